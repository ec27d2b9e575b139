/*
 * Random numbers by Marsaglia's xorshift of 64 bits: the same for the same state, which is not 0.
 */
#ifndef RING3_XORSHIFT_H
#define RING3_XORSHIFT_H

#include "runtime/base/base.h"

static inline u32 xorshift(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (u32)(*state >> 16);
}

#endif
