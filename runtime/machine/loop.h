/*
 * Host descriptors, served between guest instructions.
 */
#ifndef RING3_LOOP_H
#define RING3_LOOP_H

#include "runtime/base/base.h"

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
/* cb runs on the machine's thread. One registration a descriptor; events 0 mutes it. */
void loop_add(struct machine *m, int fd, u32 events, void (*cb)(void *arg, u32 events), void *arg);
void loop_modify(struct machine *m, int fd, u32 events);
void loop_remove(struct machine *m, int fd);
/* Serves ready descriptors; waits up to timeout_ns (0: polls) for one, or for a signal. */
void loop_poll(struct machine *m, u64 timeout_ns);
/* While the guest runs, descriptors are polled this often at least. */
#define LOOP_INTERVAL MSEC(5)

#endif
