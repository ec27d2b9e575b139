/*
 * Time that the host took from the guest.
 *
 * A guest measures one clock by another: it reads the PM timer, waits until the PIT has counted
 * 30 ms, and reads the PM timer again. If the host runs something else for 3 ms just then, the
 * guest sees the PIT's end late, and finds a clock that is a tenth too fast. A real PC has no
 * such pauses. So machine time stands while the host has taken the processor away, for all
 * clocks alike (the TSC, too), and what it then lags behind the host's is made up unseen:
 *
 *   the guest waits (HLT, PAUSE)   that much of the wait passes at once
 *   it runs                        machine time goes a sixteenth faster
 *
 * What is taken shows in the thread's CPU time: it stands as well. That costs a system call, so
 * it is looked at only where 65536 ticks of the TSC have passed since the clock was last read,
 * be it by a chip or by RDTSC: translated code notes its reading in vcpu.tsc_noted, and comes
 * here after a gap, or as often while there is something to make up (bt/xl_system.c). What the
 * guest has seen pass is not hidden any more; so no clock goes back.
 *
 * What is served between two instructions (a window drawn, a socket read) and a sleep that the
 * host ends late are taken time as well, up to a few milliseconds.
 */
#include "runtime/machine/stolen.h"
#include "runtime/base/clock_ns.h"
#include "runtime/machine/clock.h"
#include "runtime/machine/machine.h"

#include <time.h>

enum { GAP = 65536, FASTER = 16 };
#define NOISE           USEC(2) /* of the two readings */
#define LAG_MOST        SEC(60) /* a guest that gets so little of the host sees it */
#define LAG_MOST_HEARD  MSEC(20)
#define LAG_MOST_SERVED MSEC(20)
#define HEARD_FOR       MSEC(50)
#define FINE            USEC(20)

/* A thread that computes sees its CPU time go. Some hosts count it in ticks of milliseconds. */
static bool cpu_time_is_fine(struct machine *m)
{
    for (u32 i = 0; i < 4; i++) {
        u64 cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID),
            end = host_clock_now(&m->host_clock) + FINE;

        while (host_clock_now(&m->host_clock) < end)
            ;
        cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
        if (cpu > FINE / 4 && cpu < FINE * 4)
            return true;
    }
    return false;
}

/* Ours, and that of whoever ran the guest for us: while they do, this thread sleeps. */
static u64 cpu_time(const struct machine *m)
{
    const struct engine *e = m->cpu ? m->cpu->engine : NULL;

    return clock_ns(CLOCK_THREAD_CPUTIME_ID) + (e && e->cpu_time ? e->cpu_time(m->cpu) : 0);
}

static void begin_again(struct machine *m, u64 now)
{
    m->stolen.wall = now;
    m->stolen.cpu = cpu_time(m);
    m->stolen.seen = m->host_clock.read;
}

u64 stolen_start(struct machine *m)
{
    m->stolen.lag = m->stolen.served = 0;
    m->stolen.held = 0;
    m->stolen.works = m->host_clock.by_tsc && cpu_time_is_fine(m);
    begin_again(m, host_clock_now(&m->host_clock));
    return m->stolen.wall;
}

/* Machine time moves against the host's, and the guest's TSC with it: in many small steps, so
 * to parts of a tick. */
static void shift(struct machine *m, i64 ns)
{
    __int128 ticks = (__int128)ns * (i64)m->host_clock.inverse + m->stolen.fraction;

    m->clock_offset += ns;
    m->stolen.fraction = (u32)ticks;
    if (m->cpu)
        m->cpu->tsc_offset += (u64)(i64)(ticks >> 32);
}

/* As much as `room` allows; returns how much. */
static u64 hide(struct machine *m, u64 ns, u64 room, u64 now)
{
    struct stolen *s = &m->stolen;

    ns = ns < room ? ns : room;
    if (!s->lag)
        s->made_up = now;
    s->lag += ns;
    m->stats.stolen_ns += ns;
    shift(m, -(i64)ns);
    return ns;
}

static void make_up(struct machine *m, u64 ns, u64 now)
{
    m->stolen.lag -= ns;
    m->stolen.served -= ns < m->stolen.served ? ns : m->stolen.served;
    m->stolen.made_up = now;
    shift(m, (i64)ns);
}

/* ---- While the guest runs ---- */

/* Ticks since the guest, or C for it, last looked at the clock. */
static u64 gap(const struct machine *m)
{
    u64 read = m->host_clock.read, since = read - m->stolen.seen, guest;

    if (!m->cpu || !*m->cpu->tsc_noted)
        return since;
    guest = read - ~*m->cpu->tsc_noted;
    return guest < since ? guest : since;
}

static u64 room_until(u64 most, u64 lag)
{
    return most > lag ? most - lag : 0;
}

static u64 room(const struct machine *m, u64 now)
{
    bool heard = now + (u64)m->clock_offset < m->stolen.heard_until;

    return room_until(heard ? LAG_MOST_HEARD : LAG_MOST, m->stolen.lag);
}

/* RDTSC needs no C for a while; while it is to go faster than the host's, not longer than that. */
static void tell_guest(struct machine *m)
{
    struct vcpu *cpu = m->cpu;

    if (!cpu)
        return;
    cpu->tsc_noted = m->stolen.lag ? &cpu->tsc_seen : &cpu->tsc_unseen;
    cpu->tsc_unseen = cpu->tsc_seen = ~m->stolen.seen;
}

static void look_at_gap(struct machine *m, u64 now, u64 unseen)
{
    struct stolen *s = &m->stolen;
    u64 cpu = cpu_time(m);
    i64 taken = (i64)(now - s->wall - (cpu - s->cpu));

    s->wall = now;
    s->cpu = cpu;
    if (taken <= (i64)NOISE)
        return;
    s->made_up += s->lag ? (u64)taken : 0; /* the guest did not run */
    hide(m, (u64)taken < unseen ? (u64)taken : unseen, room(m, now), now);
}

void stolen_look(struct machine *m, u64 now)
{
    struct stolen *s = &m->stolen;
    u64 due, unseen = gap(m);

    s->seen = m->host_clock.read;
    if (s->works && unseen >= GAP)
        look_at_gap(m, now, host_clock_ns(&m->host_clock, unseen));
    if (s->lag) {
        due = now > s->made_up ? (now - s->made_up) / FASTER : 0;
        due = due < s->lag ? due : s->lag;
        if (due)
            make_up(m, due, s->made_up + due * FASTER);
    }
    tell_guest(m);
}

u64 stolen_wait(const struct machine *m, u64 ns)
{
    u64 faster = ns / (FASTER + 1);

    return ns - (faster < m->stolen.lag ? faster : m->stolen.lag);
}

/* ---- While it does not ---- */

u64 stolen_make_up(struct machine *m, u64 ns)
{
    u64 now, part = ns < m->stolen.lag ? ns : m->stolen.lag;

    if (!m->clock_running || !part)
        return ns;
    clock_now(m); /* has all that was taken until now */
    now = host_clock_now(&m->host_clock);
    part = ns < m->stolen.lag ? ns : m->stolen.lag;
    make_up(m, part, now);
    return ns == ~0ull ? ns : ns - part;
}

void stolen_hold(struct machine *m, u64 until)
{
    u64 now;

    if (!m->clock_running || m->clock_manual || !m->stolen.works)
        return;
    now = host_clock_now(&m->host_clock) + (u64)m->clock_offset;
    m->stolen.held = now < until ? now : until;
    m->stolen.cpu = cpu_time(m);
    m->stolen.held_tsc =
        m->host_clock.read - host_clock_ticks(&m->host_clock, now - m->stolen.held);
}

void stolen_release(struct machine *m)
{
    struct stolen *s = &m->stolen;
    u64 held = s->held, cpu = s->cpu, now, time, taken, served;

    s->held = 0;
    if (!held || !m->clock_running)
        return;
    now = host_clock_now(&m->host_clock);
    time = now + (u64)m->clock_offset;
    begin_again(m, now);
    taken = time > held ? time - held : 0;
    served = s->cpu - cpu < taken ? s->cpu - cpu : taken;
    s->made_up += s->lag ? taken : 0;
    hide(m, taken - served, room(m, now), now);
    s->served += hide(m, served, room_until(LAG_MOST_SERVED, s->served), now);
    tell_guest(m);
}

void stolen_heard(struct machine *m)
{
    m->stolen.heard_until = clock_now(m) + HEARD_FOR;
}
