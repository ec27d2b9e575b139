/* Random numbers and states, mostly at the edges, for fpu.c. */
#ifndef RING3_FPU_RANDOM_H
#define RING3_FPU_RANDOM_H

#include "cpu/vcpu.h"

void fpu_seed(u64 seed);
u32 fpu_rand(u32 below);
/* An operand in memory of that size (2 to 16 bytes; 16 are written). */
void fpu_random_operand(u8 *p, u32 size);
/* Numbers of 8 or 4 bytes whose products and sums are at the limits of what these hold. */
void fpu_random_factors(u8 p[16], bool wide);
/* A state the host's FXRSTOR accepts. */
void fpu_random_state(struct fxsave *fx);

#endif
