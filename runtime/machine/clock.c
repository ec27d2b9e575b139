/*
 * The machine's clock and its deadlines.
 *
 * Machine time is the host's (hostclock.c) plus an offset, and stands while the machine is
 * stopped, or the host has taken the processor (stolen.c); with a manual clock it moves only by
 * clock_advance(). Deadlines are a short sorted list (a PC has about a dozen). While the guest
 * runs, whoever runs it compares the TSC with vcpu.deadline every few microseconds: no timer of
 * the host, no signal. While it sleeps, the run loop waits for the first deadline in
 * loop_poll().
 */
#include "runtime/machine/clock.h"
#include "cpu/deliver.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"

#define EAGER_MOST USEC(500)

u64 clock_now(struct machine *m)
{
    u64 now;

    if (!m->clock_running || m->clock_manual)
        return m->clock_stopped;
    if (m->stolen.held)
        return m->stolen.held;
    now = host_clock_now(&m->host_clock);
    stolen_look(m, now);
    return now + (u64)m->clock_offset;
}

void clock_start(struct machine *m)
{
    if (m->clock_running)
        return;
    if (!m->host_clock.rate)
        host_clock_init(&m->host_clock);
    m->clock_running = true;
    m->clock_offset = (i64)(m->clock_stopped - stolen_start(m));
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
    *t = (struct timer){.machine = m, .fire = fire, .owner = owner};
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
    t->eager = false;
    while (*p && (*p)->deadline <= deadline)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    if (t->machine->timers == t)
        clock_arm(t->machine);
}

void timer_set_eager(struct timer *t, u64 deadline)
{
    timer_set(t, deadline);
    t->eager = true;
}

void timer_hurry(struct timer *t)
{
    if (!t->armed || !t->eager)
        return;
    timer_unlink(t);
    t->fire(t->owner);
}

void timer_cancel(struct timer *t)
{
    if (t->armed)
        timer_unlink(t);
}

/* A timer that re-arms itself in the past must not keep us here: one round serves each at most
 * once per instant read from the clock, and the round ends after as many as a busy board has.
 */
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

bool timers_hurry(struct machine *m)
{
    u64 most = clock_now(m) + EAGER_MOST;

    for (struct timer *t = m->timers; t && t->deadline <= most; t = t->next)
        if (t->eager) {
            u8 activity = activity_enter(m, ACT_DEVICES);

            timer_hurry(t);
            activity_leave(m, activity);
            return true;
        }
    return false;
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

/* ---- Deadlines while the guest runs ---- */

void clock_arm(struct machine *m)
{
    u64 deadline = m->poll_due, now, slice;

    if (m->clock_manual && m->options->deterministic && m->cpu)
        m->cpu->deadline = 0; /* each look at the clock comes back here */
    if (m->clock_manual || !m->clock_running || !m->cpu)
        return;
    if (m->timers && m->timers->deadline < deadline)
        deadline = m->timers->deadline;
    slice = speed_slice(m);
    deadline = slice < deadline ? slice : deadline;
    if (m->stolen.lag && deadline > (now = clock_now(m)))
        deadline = now + stolen_wait(m, deadline - now);
    cpu_set_deadline(m->cpu, host_clock_tsc(&m->host_clock, deadline - (u64)m->clock_offset));
}

/* ---- Deterministic machines ---- */

void clock_turn(struct machine *m)
{
    if (m->options->deterministic)
        m->clock_stopped += m->cpu->engine->turn;
}

bool clock_skip(struct machine *m, u64 ns)
{
    if (!m->options->deterministic || ns == ~0ull)
        return false;
    m->clock_stopped += ns;
    return true;
}
