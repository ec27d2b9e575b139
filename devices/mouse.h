/*
 * What mice have in common: motion adds up until it is told, within bounds.
 */
#ifndef RING3_MOUSE_H
#define RING3_MOUSE_H

#include "runtime/base/base.h"

enum { MAX_TRAVEL = 4096 }; /* steps each way, while nobody reads */

static inline i32 clamp(i32 n, i32 low, i32 high)
{
    return n < low ? low : n > high ? high : n;
}

#endif
