/*
 * Ticks that a guest could not take when they came are owed to it: the one rule of all timers
 * for how soon they follow.
 *
 * No tick comes sooner than three quarters of a period after the last one, so that music does
 * not run off. If more than a second is owed, the guest gets but a part of the host: then a
 * sixteenth is enough, and it keeps up with a tenth.
 */
#ifndef RING3_TICKS_H
#define RING3_TICKS_H

#include "runtime/base/base.h"

/* Nanoseconds, as all here: when to look again at a guest that has not taken the last tick. */
static inline u64 ticks_look(u64 period)
{
    return period / 16 < USEC(1) ? USEC(1) : period / 16;
}

/* Least time to the next tick, since one was seen to wait for the guest: it may take it up to
 * ticks_look() later. */
static inline u64 ticks_spacing(u64 period, u64 owed)
{
    return owed * period > SEC(1) ? ticks_look(period) : period * 3 / 4 + period / 16;
}

#endif
