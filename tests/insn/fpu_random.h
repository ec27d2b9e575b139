/* Random numbers and states, mostly at the edges, for fpu.c. */
#ifndef RING3_FPU_RANDOM_H
#define RING3_FPU_RANDOM_H

#include "cpu/vcpu.h"

void fpu_seed(u64 seed);
u32 fpu_rand(u32 below);
/* An operand in memory of that size (2 to 16 bytes; 16 are written). */
void fpu_random_operand(u8 *p, u32 size);
/* A state the host's FXRSTOR accepts. */
void fpu_random_state(struct fxsave *fx);

#endif
