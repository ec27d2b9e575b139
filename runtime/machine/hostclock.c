/*
 * The host's time, read from the TSC: half of what clock_gettime() takes, and comparable in
 * translated code.
 *
 * The guest reads the same TSC, and compares it with clocks that go by this one. So this
 * clock's rate by the TSC may hardly change: it is that of CLOCK_MONOTONIC_RAW, which nobody
 * slews, learned over seconds. Every few milliseconds the clock looks how far CLOCK_MONOTONIC
 * is, and goes faster or slower to meet it: by 80 parts in a million at most, never in a step.
 * Only where both are more than some milliseconds apart (the host slept, the TSC jumped) it
 * steps ahead, or waits.
 *
 * Where the TSC's rate is not constant (CPUID 80000007 EDX bit 8) it is only used for
 * deadlines, from an anchor of that moment, and whoever gives them to it looks at the clock
 * again when it is there.
 */
#include "runtime/machine/hostclock.h"
#include "runtime/base/clock_ns.h"

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#define ANCHOR_NS MSEC(5)
#define RATE_NS   SEC(2) /* how often `older` moves on */
#define FIRST_NS  MSEC(5)
#define JUMP_NS   MSEC(5) /* the host stood, or the TSC jumped */
enum {
    STEER_MOST = 80000, /* parts in 10^9 by which the rate may differ from the learned one */
    STEER = 10,         /* of them for each nanosecond apart: both meet within 100 ms */
    TRIES = 20,         /* at a first rate: the host may have slept since the first look */
};

u64 host_monotonic(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* TSC and a clock at one time: of a few tries, the one that took least. */
static struct host_pair read_pair(clockid_t id)
{
    struct host_pair best = {0};
    u64 least = ~0ull;

    for (u32 i = 0; i < 3; i++) {
        u64 before = __rdtsc(), ns = clock_ns(id), took = __rdtsc() - before;

        if (took >= least)
            continue;
        least = took;
        best = (struct host_pair){before + took / 2, ns};
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

static void learn_rate(struct host_clock *c, struct host_pair raw)
{
    u64 ticks = raw.tsc - c->older.tsc, ns = raw.ns - c->older.ns;

    if (raw.tsc > c->older.tsc && ns >= FIRST_NS && ns < RATE_NS * 8 && ticks / ns < 64 &&
        ns / ticks < 64)
        c->learned = (u64)(((unsigned __int128)ns << 32) / ticks);
    if (raw.ns - c->newer.ns < RATE_NS)
        return;
    c->older = c->newer;
    c->newer = raw;
}

/* The rate that meets CLOCK_MONOTONIC, which is `ahead` of the clock. */
static u64 steered(const struct host_clock *c, i64 ahead)
{
    i64 by = ahead * STEER;

    by = by > STEER_MOST ? STEER_MOST : by < -STEER_MOST ? -STEER_MOST : by;
    return c->learned + (u64)((i64)c->learned * by / (i64)SEC(1));
}

static void anchor(struct host_clock *c)
{
    struct host_pair raw = read_pair(CLOCK_MONOTONIC_RAW), now = read_pair(CLOCK_MONOTONIC);
    u64 was = told(c, now.tsc), most = c->ns + ANCHOR_NS * 2;
    i64 ahead = (i64)(now.ns - was);
    bool jumped = ahead > (i64)JUMP_NS || ahead < -(i64)JUMP_NS;

    if (jumped)
        c->older = c->newer = raw;
    learn_rate(c, raw);
    c->tsc = now.tsc;
    if (jumped && ahead > 0) {
        c->ns = now.ns;
        set_rate(c, c->learned);
    } else if (jumped) {
        c->ns = was > most ? most : was;
        set_rate(c, c->learned / 2);
    } else {
        c->ns = was;
        set_rate(c, steered(c, ahead));
    }
}

void host_clock_begin(struct host_clock *c)
{
    u32 a, b, d = 0, edx = 0;

    c->by_tsc = __get_cpuid(0x80000007, &a, &b, &d, &edx) && edx & 1 << 8;
    c->older = c->newer = read_pair(CLOCK_MONOTONIC_RAW);
}

void host_clock_init(struct host_clock *c)
{
    struct host_pair now;

    c->learned = 0;
    for (u32 i = 0; i < TRIES && !c->learned; i++) {
        if (!c->older.tsc || i)
            host_clock_begin(c);
        while (clock_ns(CLOCK_MONOTONIC_RAW) - c->older.ns < FIRST_NS)
            ;
        learn_rate(c, read_pair(CLOCK_MONOTONIC_RAW));
    }
    check(c->learned, "the TSC does not count");
    set_rate(c, c->learned);
    now = read_pair(CLOCK_MONOTONIC);
    c->tsc = now.tsc;
    c->ns = now.ns;
}

u64 host_clock_now(struct host_clock *c)
{
    u64 tsc = c->read = __rdtsc();

    if (!c->by_tsc)
        return host_monotonic();
    if (unlikely(tsc - c->tsc > c->span)) { /* or before: another core's, or it jumped */
        anchor(c);
        tsc = c->read = __rdtsc();
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

u64 host_clock_ticks(const struct host_clock *c, u64 ns)
{
    return scale(ns, c->inverse);
}

u64 host_clock_ns(const struct host_clock *c, u64 ticks)
{
    return scale(ticks, c->rate);
}
