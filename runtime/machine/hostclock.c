/*
 * The host's time, read from the TSC: half of what clock_gettime() takes, and comparable in
 * translated code.
 *
 * Every few milliseconds the clock is anchored again: the TSC and CLOCK_MONOTONIC are read
 * together. The rate is what came of the last seconds. If the TSC has led the clock ahead, it
 * goes slower by a thousandth until both agree, so that time never goes back. Where the TSC's
 * rate is not constant (CPUID 80000007 EDX bit 8) it is only used for deadlines, from an anchor
 * of that moment, and whoever gives them to it looks at the clock again when it is there.
 */
#include "runtime/machine/hostclock.h"

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#define ANCHOR_NS MSEC(5)
#define RATE_NS SEC(2) /* how often `older` moves on */
#define FIRST_NS USEC(100)
#define JUMP_NS MSEC(1) /* the host stood, or the TSC jumped */

u64 host_monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return SEC((u64)ts.tv_sec) + (u64)ts.tv_nsec;
}

/* Both clocks at one time: of a few tries, the one that took least. */
static struct host_pair read_pair(void)
{
    struct host_pair best = { 0 };
    u64 least = ~0ull;

    for (u32 i = 0; i < 3; i++) {
        u64 before = __rdtsc(), ns = host_monotonic(), took = __rdtsc() - before;

        if (took >= least)
            continue;
        least = took;
        best = (struct host_pair){ before + took / 2, ns };
    }
    return best;
}

static u64 scale(u64 n, u64 by)
{
    return (u64)((unsigned __int128)n * by >> 32);
}

static void set_rate(struct host_clock *c, u64 rate)
{
    c->rate = rate;
    c->inverse = ~0ull / rate;
    c->span = scale(ANCHOR_NS, c->inverse);
}

/* What the clock says at a TSC. */
static u64 told(const struct host_clock *c, u64 tsc)
{
    return (i64)(tsc - c->tsc) > 0 ? c->ns + scale(tsc - c->tsc, c->rate) : c->ns;
}

static void learn_rate(struct host_clock *c, struct host_pair now)
{
    u64 ticks = now.tsc - c->older.tsc, ns = now.ns - c->older.ns;

    if (now.tsc > c->older.tsc && ns >= FIRST_NS && ns < RATE_NS * 8 && ticks / ns < 64 &&
        ns / ticks < 64)
        set_rate(c, (u64)(((unsigned __int128)ns << 32) / ticks));
    if (now.ns - c->newer.ns < RATE_NS)
        return;
    c->older = c->newer;
    c->newer = now;
}

static void anchor(struct host_clock *c)
{
    struct host_pair now = read_pair();
    /* later than what has been told */
    u64 was = told(c, now.tsc), most = c->ns + ANCHOR_NS * 2;
    u64 apart = was > now.ns ? was - now.ns : now.ns - was;

    if (apart > JUMP_NS + (now.ns - c->older.ns) / 256)
        c->older = c->newer = now;
    learn_rate(c, now);
    c->tsc = now.tsc;
    if (was > now.ns + JUMP_NS && was > most)
        was = most;
    c->ns = was > now.ns ? was : now.ns;
    if (c->ns > now.ns)
        set_rate(c, c->rate - (c->ns - now.ns > JUMP_NS ? c->rate / 2 : c->rate / 1024));
}

void host_clock_init(struct host_clock *c)
{
    u32 a, b, d = 0, edx = 0;

    c->by_tsc = __get_cpuid(0x80000007, &a, &b, &d, &edx) && edx & 1 << 8;
    c->older = c->newer = read_pair();
    c->tsc = c->older.tsc;
    c->ns = c->older.ns;
    while (host_monotonic() - c->older.ns < FIRST_NS)
        ;
    learn_rate(c, read_pair());
    check(c->rate, "the TSC does not count");
    anchor(c);
}

u64 host_clock_now(struct host_clock *c)
{
    u64 tsc;

    if (!c->by_tsc)
        return host_monotonic();
    tsc = __rdtsc();
    if (unlikely(tsc - c->tsc > c->span)) { /* or before: another core's, or it jumped */
        anchor(c);
        tsc = __rdtsc();
    }
    tsc = told(c, tsc);
    return c->last = tsc > c->last ? tsc : c->last;
}

u64 host_clock_tsc(struct host_clock *c, u64 ns)
{
    if (!c->by_tsc)
        anchor(c);
    return ns > c->ns ? c->tsc + scale(ns - c->ns, c->inverse) : 0;
}
