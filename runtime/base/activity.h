/*
 * What the machine's thread is doing, in one byte that the sampler's signal handler reads.
 * Translated code is known by the program counter.
 */
#ifndef RING3_ACTIVITY_H
#define RING3_ACTIVITY_H

#include "runtime/base/base.h"

enum activity { ACT_MONITOR, ACT_CODE, ACT_TRANSLATOR, ACT_DEVICES, ACTIVITIES };

/* From here to activity_end(now, what this returned) the thread does `what`. */
static inline u8 activity_begin(u8 *now, enum activity what)
{
    u8 before = *now;

    __atomic_store_n(now, (u8)what, __ATOMIC_RELAXED);
    return before;
}

static inline void activity_end(u8 *now, u8 before)
{
    __atomic_store_n(now, before, __ATOMIC_RELAXED);
}

#endif
