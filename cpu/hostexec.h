/*
 * One x87, MMX or SSE instruction of the guest, run by the host's own unit: how fpu.c and
 * sse.c get results that are exact to the last bit.
 *
 * The instruction is copied into a thunk with its memory operand at [RDI] (a bounce buffer) and
 * its general register, where it has one, renamed to EAX. The host loads the guest's FXSAVE image,
 * calls the thunk and stores the image back. Nothing here can raise a signal of the host: see
 * hostexec_run().
 */
#ifndef RING3_HOSTEXEC_H
#define RING3_HOSTEXEC_H

#include "cpu/insn.h"

enum { /* x87 status and MXCSR share the first six: SDM vol. 1, 8.1.3 and 10.2.3 */
    FPU_IE = 1, FPU_DE = 2, FPU_ZE = 4, FPU_OE = 8, FPU_UE = 16, FPU_PE = 32, FPU_EXCEPTIONS = 0x3f,
    FSW_SF = 0x40, FSW_ES = 0x80, FSW_TOP = 0x3800, FSW_B = 0x8000, FSW_TOP_SHIFT = 11,
    FCW_INIT = 0x37f, FCW_WRITABLE = 0x1f3f, FCW_ONE = 0x40,
    MXCSR_INIT = 0x1f80, MXCSR_DAZ = 0x40, MXCSR_MASKS = 0x1f80, MXCSR_MASK_SHIFT = 7,
    MXCSR_FTZ = 0x8000, MXCSR_ALL = 0xffff,
};

/* What a thunk works on; one per CPU. The caller fills `fx` (hostexec_load), `mem`, `eax` and
 * `flags`, and takes from them what it wants to keep. */
struct hostexec_frame {
    struct fxsave fx;
    u8 mem[32] __attribute__((aligned(32))); /* the memory operand, read and written */
    u64 eax;   /* of the one general register operand; or EAX itself, with: */
    u64 ecx, edx; /* what PCMPESTRI and its kin use without naming it */
    u64 flags; /* FLAGS_ARITH only */
    u8 ymm_high[8][16] __attribute__((aligned(16))); /* loaded and stored if it has VEX */
};

/* The bits of MXCSR that exist here, in FXSAVE's mxcsr_mask. */
u32 hostexec_mxcsr_mask(void);

/* The one prefix that selects the instruction: the last F2 or F3, else 66; x87 has none. */
u8 hostexec_prefix(const struct insn *in);

/*
 * The three bytes of a VEX prefix for the host: with these bits R, X and B as REX has them, and
 * this register in vvvv (0: none). W is ignored outside of 64-bit mode where it would tell the
 * size of a general register, or of what is loaded to one's place.
 */
void hostexec_vex(const struct insn *in, u8 rex, u8 vvvv, u8 vex[3]);
/* Its register in vvvv, as encoded. */
static inline u8 hostexec_vvvv(const struct insn *in)
{
    return ~insn_vex_last(in) >> 3 & 7;
}
/* Its immediate: a register's number in there has three bits. */
u8 hostexec_vex_imm(const struct insn *in);

/* The CPU's frame, its image a copy of the guest's. Made at the first call. */
struct hostexec_frame *hostexec_load(struct vcpu *cpu);

/*
 * Runs `in` on the frame. x87 exceptions pending on entry are set aside and put back, so no
 * waiting instruction can meet one; those the instruction itself raises stay in fx.fsw, unmasked
 * or not, as on hardware. fx.mxcsr must have all exceptions masked: the caller derives #XM.
 */
void hostexec_run(struct vcpu *cpu, const struct insn *in);

void cpu_hostexec_free(struct vcpu *cpu); /* by cpu_free() */

#endif
