/*
 * The host's time, read from the TSC.
 */
#ifndef RING3_HOSTCLOCK_H
#define RING3_HOSTCLOCK_H

#include "runtime/base/base.h"

/* Two of the host's clocks at one time. */
struct host_pair {
    u64 tsc, ns;
};

/* Where the TSC and CLOCK_MONOTONIC stood together, and how fast one goes by the other. See
 * hostclock.c. */
struct host_clock {
    u64 tsc, ns;        /* the anchor */
    u64 last;           /* told */
    u64 read;           /* the TSC by which host_clock_now() told it */
    u64 rate;           /* nanoseconds a tick of the TSC, times 2^32: what the clock goes by, */
    u64 learned;        /* and what the TSC does by CLOCK_MONOTONIC_RAW */
    u64 inverse;        /* ticks a nanosecond, times 2^32 */
    u64 span;           /* ticks from one anchor to the next, at most */
    struct host_pair older, newer; /* TSC and CLOCK_MONOTONIC_RAW: the rate is taken since `older` */
    bool by_tsc;        /* the TSC goes at one rate, whatever the processor does */
};

/* CLOCK_MONOTONIC itself, in nanoseconds: for what is the host's alone. */
u64 host_monotonic(void);

/* Begins to learn the TSC's rate: early, so that host_clock_init() need not wait. May be left out. */
void host_clock_begin(struct host_clock *c);
/* Waits until 5 ms after host_clock_begin(): then the rate is right to 1 part in 100,000. */
void host_clock_init(struct host_clock *c);
/* Nanoseconds, as CLOCK_MONOTONIC counts them but for some microseconds; never back. */
u64 host_clock_now(struct host_clock *c);
/* The TSC's value at a time; 0 if that is long past. */
u64 host_clock_tsc(struct host_clock *c, u64 ns);
/* How many ticks of the TSC so many nanoseconds are, and the other way; for less than an hour. */
u64 host_clock_ticks(const struct host_clock *c, u64 ns);
u64 host_clock_ns(const struct host_clock *c, u64 ticks);

#endif
