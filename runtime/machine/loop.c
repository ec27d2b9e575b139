/*
 * Host descriptors: sockets, terminals, served between guest instructions by one ppoll().
 */
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_FDS = 64 };

struct watch {
    int fd; /* -1: free */
    u32 events;
    void (*cb)(void *arg, u32 events);
    void *arg;
};
struct loop {
    struct watch watches[MAX_FDS];
    u32 count;
};

static struct watch *find_watch(struct machine *m, int fd)
{
    for (u32 i = 0; m->loop && i < m->loop->count; i++)
        if (m->loop->watches[i].fd == fd)
            return &m->loop->watches[i];
    return NULL;
}

void loop_add(struct machine *m, int fd, u32 events, void (*cb)(void *arg, u32 events), void *arg)
{
    struct watch *w;

    if (!m->loop)
        m->loop = calloc(1, sizeof(*m->loop));
    w = find_watch(m, -1);
    if (!w) {
        check(m->loop->count < MAX_FDS, "more than %d descriptors watched", MAX_FDS);
        w = &m->loop->watches[m->loop->count++];
    }
    *w = (struct watch){ fd, events, cb, arg };
}

void loop_modify(struct machine *m, int fd, u32 events)
{
    struct watch *w = find_watch(m, fd);

    if (w)
        w->events = events;
}

void loop_remove(struct machine *m, int fd)
{
    struct watch *w = find_watch(m, fd);

    if (w)
        w->fd = -1;
}

static void serve_watches(struct machine *m, const struct pollfd *fds, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        struct watch *w = &m->loop->watches[i];
        u32 got = (fds[i].revents & (POLLIN | POLLHUP | POLLERR) ? LOOP_READ : 0) |
                  (fds[i].revents & (POLLOUT | POLLERR) ? LOOP_WRITE : 0);

        /* A callback before this one may have removed it or put another in its place. */
        if (got && w->fd == fds[i].fd)
            w->cb(w->arg, got);
    }
}

void loop_poll(struct machine *m, u64 timeout_ns)
{
    struct pollfd fds[MAX_FDS];
    u32 n = m->loop ? m->loop->count : 0;
    struct timespec ts = { (time_t)(timeout_ns / SEC(1)), (long)(timeout_ns % SEC(1)) };
    u8 activity;

    for (u32 i = 0; i < n; i++) {
        struct watch *w = &m->loop->watches[i];

        fds[i] = (struct pollfd){ w->events ? w->fd : -1,
                                  (short)((w->events & LOOP_READ ? POLLIN : 0) |
                                          (w->events & LOOP_WRITE ? POLLOUT : 0)),
                                  0 };
    }
    if (ppoll(fds, n, timeout_ns == ~0ull ? NULL : &ts, NULL) <= 0)
        return;
    activity = activity_enter(m, ACT_DEVICES);
    serve_watches(m, fds, n);
    activity_leave(m, activity);
}
