/*
 * The x87 unit's state, its checks and operands (fpu.c), for sse.c and fpu_env.c as well.
 */
#ifndef RING3_FPU_H
#define RING3_FPU_H

#include "cpu/hostexec.h"

enum { /* SDM vol. 1, 13.3 */
    XCR0_X87 = 1, XCR0_SSE = 2, XCR0_AVX = 4,
    XSAVE_YMM_AT = 576, XSAVE_YMM_SIZE = 256, /* of the XSAVE area: bytes */
};
/* The bits XCR0 can have; the bytes of an XSAVE area for those of xcr0 (xsave.c). */
u32 cpu_xcr0_supported(const struct vcpu *cpu);
u32 cpu_xsave_size(u32 xcr0);
/* May VEX-coded instructions use vector registers? */
static inline bool cpu_avx_enabled(const struct vcpu *cpu)
{
    return cpu->cr4 & CR4_OSXSAVE &&
           (cpu->xcr0 & (XCR0_SSE | XCR0_AVX)) == (XCR0_SSE | XCR0_AVX);
}

/* The FPU part of RESET (SDM vol. 3, table 9-1). */
void cpu_fpu_reset(struct vcpu *cpu);
/*
 * The checks behind OP_FPU, OP_MMXREG and OP_SSE: #UD, #NM, then the pending x87 error.
 * False: an exception is recorded, or exc_vector is EXC_NONE and the CPU stands still at this
 * instruction until an interrupt comes (CR0.NE clear, FERR# raised; SDM vol. 1, 8.7.2). The engine
 * then leaves EIP as it is and serves requests.
 */
bool cpu_fpu_check(struct vcpu *cpu, u32 attr);

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
/* The tag word with two bits a physical register, R0 lowest, as FSTENV stores it; and back to one bit. */
u16 fpu_full_tags(const struct fxsave *fx);
u8 fpu_short_tags(u16 tags);
/* The bits this CPU's MXCSR has. */
u32 fpu_mxcsr_mask(const struct vcpu *cpu);

/* MOVDQU and its kin: need their 16 bytes not be aligned? */
bool simd_any_alignment(const struct insn *in);
/* Has the CPU this form of a mnemonic that it has? */
bool simd_has_form(const struct vcpu *cpu, const struct insn *in);
/* Runs an instruction whose checks have passed, on MMX, XMM or YMM registers (sse.c). */
bool simd_compute(struct vcpu *cpu, const struct insn *in);
/* Bytes of `data` to DS:EDI where those of the mask have their sign bit set. */
bool simd_masked_store(struct vcpu *cpu, const struct insn *in, const u8 *data, const u8 *mask,
                       u32 size);

/* The memory operand, up to 32 bytes, with the alignment check of numbers of 2, 4 and 8. */
bool fpu_read_operand(struct vcpu *cpu, const struct insn *in, void *buf, u32 size);
bool fpu_write_operand(struct vcpu *cpu, const struct insn *in, const void *buf, u32 size);

#endif
