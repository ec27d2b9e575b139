/*
 * Host descriptors, served between guest instructions.
 */
#ifndef RING3_LOOP_H
#define RING3_LOOP_H

#include "runtime/base/base.h"

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
/* cb runs on the machine's thread. One registration a descriptor; events 0 mutes it. */
void loop_add(struct machine *m, int fd, u32 events, void (*cb)(void *arg, u32 events),
              void *arg);
void loop_modify(struct machine *m, int fd, u32 events);
void loop_remove(struct machine *m, int fd);
/*
 * Who has descriptors that come and go is asked again before each wait. prepare() names them
 * with loop_want() and returns how long it can wait at most (ns, ~0: for ever); serve() then
 * looks with loop_got(). The struct belongs to the caller until loop_remove_source().
 */
struct loop_source {
    u64 (*prepare)(struct loop_source *s);
    void (*serve)(struct loop_source *s);
    struct machine *m;
    struct loop_source *next;
};
void loop_add_source(struct machine *m, struct loop_source *s);
void loop_remove_source(struct loop_source *s);
/* events as poll()'s. The place to ask loop_got() for; -1: there are too many, this one is not
 * watched. */
int loop_want(struct loop_source *s, int fd, short events);
short loop_got(struct loop_source *s, int place);
void loop_free(struct machine *m);
/* Serves ready descriptors; waits up to timeout_ns (0: polls) for one, or for a signal. The next
 * look is due an interval later. */
void loop_poll(struct machine *m, u64 timeout_ns);
/* While the guest runs, descriptors are polled this often at least (ns); more often for a while
 * after loop_hurry(): somebody at the other end of one answers quickly. */
u64 loop_interval(struct machine *m);
void loop_hurry(struct machine *m);

#endif
