/*
 * What of an SSE instruction the host cannot tell (sse_post.c).
 */
#ifndef RING3_SSE_POST_H
#define RING3_SSE_POST_H

#include "cpu/hostexec.h"

/* Those found before computing (SDM vol. 1, 11.5.2) */
enum { PRE_COMPUTATION = FPU_IE | FPU_DE | FPU_ZE };

/*
 * The flags of an SSE instruction that raised `flags` when it ran masked, some of which the guest
 * has unmasked. `a` and `b` its operands, the first one the destination if there
 * are only two; of 16 bytes, or 32 with YMM. Uses the frame.
 */
u32 simd_post_flags(struct vcpu *cpu, const struct insn *in, u32 flags, const u8 a[32],
                    const u8 b[32]);

#endif
