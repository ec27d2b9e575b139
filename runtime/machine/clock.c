/*
 * The machine's clock and its deadlines.
 *
 * Machine time is the host's monotonic clock plus an offset, and stands while the machine is
 * stopped; with a manual clock it moves only by clock_advance(). Deadlines are a short sorted list
 * (a PC has about a dozen). While the guest runs, one POSIX timer of the host sets REQ_TIMER at the
 * first deadline; while it sleeps, the run loop waits for it in loop_poll().
 */
#include "runtime/machine/clock.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static u64 host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return SEC((u64)ts.tv_sec) + (u64)ts.tv_nsec;
}

u64 clock_now(struct machine *m)
{
    if (!m->clock_running || m->clock_manual)
        return m->clock_stopped;
    return host_now() + (u64)m->clock_offset;
}

void clock_start(struct machine *m)
{
    if (m->clock_running)
        return;
    m->clock_offset = (i64)(m->clock_stopped - host_now());
    m->clock_running = true;
}

void clock_stop(struct machine *m)
{
    m->clock_stopped = clock_now(m);
    m->clock_running = false;
}

i64 clock_wall(struct machine *m, u32 *nanoseconds)
{
    u64 t = (u64)m->wall_base_ns + clock_now(m);

    *nanoseconds = (u32)(t % SEC(1));
    return m->wall_base + (i64)(t / SEC(1));
}

void timer_init(struct timer *t, struct machine *m, void (*fire)(void *owner), void *owner)
{
    *t = (struct timer){ .machine = m, .fire = fire, .owner = owner };
}

static void timer_unlink(struct timer *t)
{
    struct timer **p = &t->machine->timers;

    while (*p && *p != t)
        p = &(*p)->next;
    if (*p)
        *p = t->next;
    t->armed = false;
}

void timer_set(struct timer *t, u64 deadline)
{
    struct timer **p = &t->machine->timers;

    if (t->armed)
        timer_unlink(t);
    t->deadline = deadline;
    t->armed = true;
    while (*p && (*p)->deadline <= deadline)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    if (t->machine->timers == t)
        clock_arm_host(t->machine);
}

void timer_cancel(struct timer *t)
{
    if (t->armed)
        timer_unlink(t);
}

/* A timer that re-arms itself in the past must not keep us here: one round serves each at most
 * once per instant read from the clock, and the round ends after as many as a busy board has. */
u64 timers_run(struct machine *m)
{
    u8 activity = activity_enter(m, ACT_DEVICES);
    u64 now = clock_now(m);

    for (u32 n = 0; n < 64 && m->timers && m->timers->deadline <= now; n++) {
        struct timer *t = m->timers;

        timer_unlink(t);
        t->fire(t->owner);
    }
    activity_leave(m, activity);
    if (!m->timers)
        return ~0ull;
    now = clock_now(m);
    return m->timers->deadline > now ? m->timers->deadline - now : 0;
}

void clock_advance(struct machine *m, u64 ns)
{
    u64 end = m->clock_stopped + ns;

    while (m->timers && m->timers->deadline <= end) {
        struct timer *t = m->timers;

        if (t->deadline > m->clock_stopped)
            m->clock_stopped = t->deadline;
        timer_unlink(t);
        t->fire(t->owner);
    }
    m->clock_stopped = end;
}

/* ---- The host's timer ---- */

/* The signal only says "look up"; which machine: the one this thread runs. */
static _Thread_local struct machine *running;

static void on_alarm(int sig)
{
    if (!running)
        return;
    running->stats.timer_signals++;
    __atomic_fetch_or(&running->cpu->requests, REQ_TIMER, __ATOMIC_SEQ_CST);
    engine_kick(running->cpu);
}

void clock_bind_thread(struct machine *m)
{
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART | SA_ONSTACK };
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };

    sigaction(SIGALRM, &sa, NULL);
    ev._sigev_un._tid = (int)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &ev, &m->host_timer))
        die("timer_create: %s; the guest's clock needs one (ulimit -i limits them)", strerror(errno));
    m->host_armed = ~0ull;
    running = m;
}

void clock_leave_thread(struct machine *m)
{
    running = NULL; /* a signal may still be on its way */
    timer_delete(m->host_timer);
}

/* Re-arms only when the new deadline is earlier than the armed one: a late look is harmless. */
void clock_arm_host(struct machine *m)
{
    u64 now, deadline;
    struct itimerspec its = { 0 };

    if (running != m || m->clock_manual || !m->clock_running)
        return;
    now = clock_now(m);
    deadline = m->timers && m->timers->deadline < now + LOOP_INTERVAL ? m->timers->deadline
                                                                      : now + LOOP_INTERVAL;
    if (m->host_armed > now && m->host_armed <= deadline)
        return;
    if (deadline <= now) {
        __atomic_fetch_or(&m->cpu->requests, REQ_TIMER, __ATOMIC_RELAXED);
        return;
    }
    m->host_armed = deadline;
    its.it_value.tv_sec = (time_t)((deadline - now) / SEC(1));
    its.it_value.tv_nsec = (long)((deadline - now) % SEC(1));
    timer_settime(m->host_timer, 0, &its, NULL);
}
