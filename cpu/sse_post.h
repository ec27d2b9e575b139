/*
 * What of an SSE instruction the host cannot tell (sse_post.c).
 */
#ifndef RING3_SSE_POST_H
#define RING3_SSE_POST_H

#include "cpu/hostexec.h"

/* Those found before computing (SDM vol. 1, 11.5.2) */
enum { PRE_COMPUTATION = FPU_IE | FPU_DE | FPU_ZE };

/* FMA3: reads its destination, too. */
bool simd_is_fused(const struct insn *in);

/*
 * The flags of an SSE instruction that raised `flags` when it ran masked, some of which the
 * guest has unmasked, or of VCVTPS2PH with underflow unmasked. `op`: the sources, and before them the destination
 * of what has two operands, and of FMA3; of 16 bytes, or 32 with YMM. Uses the frame.
 */
u32 simd_post_flags(struct vcpu *cpu, const struct insn *in, u32 flags, const u8 op[3][32]);

/* Has a * b + c more bits than a number of that width has, the exponent unbounded? All finite,
 * as bits, 32-bit ones zero-extended; with `daz` denormal ones count as zero (fused_post.c). */
bool fused_inexact(u64 a, u64 b, u64 c, bool wide, bool daz);
/* VCVTPS2PH's flags, `flags` those of its masked run (half_post.c). */
u32 half_post_flags(struct vcpu *cpu, const struct insn *in, u32 flags, const u8 from[32]);

#endif
