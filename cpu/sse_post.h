/*
 * What of an SSE instruction the host cannot tell (sse_post.c).
 */
#ifndef RING3_SSE_POST_H
#define RING3_SSE_POST_H

#include "cpu/insn.h"

/* The flags of an SSE instruction that over- or underflows unmasked, without an unmasked exception
 * before computing: `a` its destination, `b` its source. Uses the frame. */
u32 simd_post_flags(struct vcpu *cpu, const struct insn *in, const u8 a[16], const u8 b[16]);

#endif
