/*
 * Private to the FPU's files: what fpu.c, fpu_env.c and sse.c share.
 */
#ifndef RING3_FPU_H
#define RING3_FPU_H

#include "cpu/hostexec.h"

/* Recomputes FSW.ES and B from the exception flags and their masks; lowers FERR# with them. */
void fpu_summarize(struct vcpu *cpu);
/* FCW as the register keeps it. */
static inline u16 fpu_fcw(u32 val)
{
    return (val & FCW_WRITABLE) | FCW_ONE;
}
/* FNINIT: control, status, tags and pointers; the registers keep their contents. */
void fpu_init(struct vcpu *cpu);
/* Moves TOP; the image's ST order follows, the physical registers stay. */
void fpu_set_top(struct fxsave *fx, u32 top);
static inline u32 fpu_top(const struct fxsave *fx)
{
    return (fx->fsw & FSW_TOP) >> FSW_TOP_SHIFT;
}
/* The bits this CPU's MXCSR has. */
u32 fpu_mxcsr_mask(const struct vcpu *cpu);

/* The flags of an SSE instruction that over- or underflows unmasked, without an unmasked exception
 * before computing: `a` its destination, `b` its source (sse_post.c). Uses the frame. */
u32 simd_post_flags(struct vcpu *cpu, const struct insn *in, const u8 a[16], const u8 b[16]);

/* The memory operand, up to 16 bytes, with the alignment check of numbers of 2, 4 and 8. */
bool fpu_read_operand(struct vcpu *cpu, const struct insn *in, void *buf, u32 size);
bool fpu_write_operand(struct vcpu *cpu, const struct insn *in, const void *buf, u32 size);

#endif
