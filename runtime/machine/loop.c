/*
 * Host descriptors: sockets, terminals, served between guest instructions by one ppoll().
 */
#include "runtime/machine/loop.h"
#include "runtime/machine/clock.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAX_FDS = 64,      /* registered ones */
    MAX_WANTED = 4096, /* those and the sources' */
};
#define INTERVAL MSEC(5)
#define HURRIED_INTERVAL USEC(100)
#define HURRIED_FOR MSEC(20)

struct watch {
    int fd; /* -1: free */
    u32 events;
    void (*cb)(void *arg, u32 events);
    void *arg;
};
struct loop {
    struct watch watches[MAX_FDS];
    u32 count;
    struct loop_source *sources;
    struct pollfd *fds; /* of this wait: the watches, then what sources want */
    u32 wanted, room;
    u64 hurried; /* until then, machine time */
};

static struct loop *loop_of(struct machine *m)
{
    if (!m->loop) {
        m->loop = calloc(1, sizeof(*m->loop));
        check(m->loop, "out of memory");
    }
    return m->loop;
}

static struct watch *find_watch(struct machine *m, int fd)
{
    for (u32 i = 0; m->loop && i < m->loop->count; i++)
        if (m->loop->watches[i].fd == fd)
            return &m->loop->watches[i];
    return NULL;
}

void loop_add(struct machine *m, int fd, u32 events, void (*cb)(void *arg, u32 events),
              void *arg)
{
    struct loop *l = loop_of(m);
    struct watch *w = find_watch(m, -1);

    if (!w) {
        check(l->count < MAX_FDS, "more than %d descriptors watched", MAX_FDS);
        w = &l->watches[l->count++];
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

void loop_free(struct machine *m)
{
    if (m->loop)
        free(m->loop->fds);
    free(m->loop);
    m->loop = NULL;
}

/* ---- Sources ---- */

void loop_add_source(struct machine *m, struct loop_source *s)
{
    struct loop *l = loop_of(m);

    s->m = m;
    s->next = l->sources;
    l->sources = s;
}

void loop_remove_source(struct loop_source *s)
{
    struct loop_source **p = &s->m->loop->sources;

    while (*p && *p != s)
        p = &(*p)->next;
    if (*p)
        *p = s->next;
}

static int want_descriptor(struct loop *l, int fd, short events)
{
    if (l->wanted == l->room) {
        u32 room = l->room ? 2 * l->room : 2 * MAX_FDS;
        struct pollfd *fds = room > MAX_WANTED ? NULL : realloc(l->fds, room * sizeof(*fds));

        if (!fds)
            return -1;
        l->fds = fds;
        l->room = room;
    }
    l->fds[l->wanted] = (struct pollfd){ fd, events, 0 };
    return (int)l->wanted++;
}

int loop_want(struct loop_source *s, int fd, short events)
{
    return want_descriptor(s->m->loop, fd, events);
}

short loop_got(struct loop_source *s, int place)
{
    return s->m->loop->fds[place].revents;
}

void loop_hurry(struct machine *m)
{
    u64 now = clock_now(m);

    loop_of(m)->hurried = now + HURRIED_FOR;
    if (m->poll_due > now + HURRIED_INTERVAL) {
        m->poll_due = now + HURRIED_INTERVAL;
        clock_arm(m);
    }
}

u64 loop_interval(struct machine *m)
{
    return m->loop && m->loop->hurried && clock_now(m) < m->loop->hurried ? HURRIED_INTERVAL
                                                                          : INTERVAL;
}

/* ---- Waiting ---- */

static void serve_watches(struct loop *l, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        struct watch *w = &l->watches[i];
        struct pollfd fd = l->fds[i];
        u32 got = (fd.revents & (POLLIN | POLLHUP | POLLERR) ? LOOP_READ : 0) |
                  (fd.revents & (POLLOUT | POLLERR) ? LOOP_WRITE : 0);

        /* A callback before this one may have removed it or put another in its place. */
        if (got && w->fd == fd.fd)
            w->cb(w->arg, got);
    }
}

static void want_watches(struct loop *l)
{
    l->wanted = 0;
    for (u32 i = 0; i < l->count; i++) {
        struct watch *w = &l->watches[i];

        want_descriptor(l, w->events ? w->fd : -1,
                        (short)((w->events & LOOP_READ ? POLLIN : 0) |
                                (w->events & LOOP_WRITE ? POLLOUT : 0)));
    }
}

/* Asks the sources, whose answers may shorten the wait. */
static u64 prepare_sources(struct loop *l, u64 timeout_ns)
{
    for (struct loop_source *s = l->sources; s; s = s->next) {
        u64 most = s->prepare(s);

        timeout_ns = most < timeout_ns ? most : timeout_ns;
    }
    return timeout_ns;
}

void loop_poll(struct machine *m, u64 timeout_ns)
{
    struct loop *l = loop_of(m);
    u8 activity = activity_enter(m, ACT_DEVICES);
    struct timespec ts;
    u64 until;
    u32 watched;
    int ready;

    want_watches(l);
    watched = l->wanted;
    timeout_ns = stolen_make_up(m, prepare_sources(l, timeout_ns));
    until = timeout_ns == ~0ull ? ~0ull : clock_now(m) + timeout_ns;
    activity_leave(m, activity);
    ts = (struct timespec){ (time_t)(timeout_ns / SEC(1)), (long)(timeout_ns % SEC(1)) };
    ready = ppoll(l->fds, l->wanted, timeout_ns == ~0ull ? NULL : &ts, NULL);
    stolen_hold(m, until);
    activity = activity_enter(m, ACT_DEVICES);
    if (ready > 0)
        serve_watches(l, watched);
    for (struct loop_source *s = l->sources; s; s = s->next)
        s->serve(s);
    if (ready >= 0)
        m->poll_due = clock_now(m) + loop_interval(m);
    stolen_release(m);
    activity_leave(m, activity);
}
