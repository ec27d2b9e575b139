/*
 * MMX, SSE to SSE4.2, AES and SHA on the host's unit. SDM vol. 1, chapters 9 to 11.
 *
 * Numeric exceptions: the host runs with all of them masked. A flag that comes up and is unmasked
 * in the guest's MXCSR becomes #XM (#UD without CR4.OSXMMEXCPT) with nothing stored but the flags.
 * Which flags: those found before computing (invalid, denormal, divide by zero), and only if none
 * of these is unmasked, those of the results too (vol. 1, 11.5.3).
 *
 * An XMM-only instruction does not touch the x87: the host then works with an idle x87, and a
 * pending x87 error does not matter. With an MMX register operand it is an MMX instruction too.
 */
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/hostexec.h"
#include "cpu/operand.h"
#include "cpu/sse_post.h"

#include <string.h>

/* ---- What an instruction touches ---- */

static bool insn_has(const struct insn *in, enum operand_kind kind)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == kind)
            return true;
    return false;
}

/* XMM forms of MMX mnemonics came with SSE2; but for those, SSE has no prefix 66. */
static bool needs_sse2(const struct insn *in)
{
    return cpu_ops[in->mnem].feature == FEAT_MMX || hostexec_prefix(in) == 0x66;
}

/* PEXTRW to memory is of SSE4.1, unlike that to a register. */
bool simd_has_form(const struct vcpu *cpu, const struct insn *in)
{
    if (in->vex)
        return cpu_has(cpu, (enum cpu_feature)in->form);
    if (in->mnem == ZYDIS_MNEMONIC_PEXTRW && in->map == 3)
        return cpu_has(cpu, FEAT_SSE41);
    return cpu_has(cpu, FEAT_SSE2) || !insn_has(in, OP_XMM) || insn_has(in, OP_MMX) ||
           !needs_sse2(in);
}

/* By its registers: MMX, XMM, or both. */
static bool simd_check(struct vcpu *cpu, const struct insn *in)
{
    u32 attr = 0;

    if (!simd_has_form(cpu, in))
        return cpu_fault(cpu, EXC_UD, 0);

    if (insn_has(in, OP_MMX))
        attr |= OP_MMXREG;
    if (insn_has(in, OP_XMM))
        attr |= OP_SSE;
    return cpu_fpu_check(cpu, attr);
}

/* With VEX, what names alignment asks for it, else only legacy instructions do. */
static bool vex_aligned(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_VMOVAPS: case ZYDIS_MNEMONIC_VMOVAPD: case ZYDIS_MNEMONIC_VMOVDQA:
    case ZYDIS_MNEMONIC_VMOVNTPS: case ZYDIS_MNEMONIC_VMOVNTPD: case ZYDIS_MNEMONIC_VMOVNTDQ:
    case ZYDIS_MNEMONIC_VMOVNTDQA:
        return true;
    default:
        return false;
    }
}

bool simd_any_alignment(const struct insn *in)
{
    if (in->vex)
        return insn_memory(in)->size >= 16 && !vex_aligned(in);
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_MOVUPS: case ZYDIS_MNEMONIC_MOVUPD: case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI: case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI: case ZYDIS_MNEMONIC_PCMPISTRM:
        return true;
    default:
        return false;
    }
}

/* An operand of 16 or 32 bytes must be aligned, but for the instructions made for the other
 * case. */
static bool simd_aligned(struct vcpu *cpu, const struct insn *in, u32 size, bool write)
{
    gla_t gla;

    if (size < 16 || simd_any_alignment(in))
        return true;
    if (!cpu_linear(cpu, in->seg, insn_offset(cpu, in), size, write, &gla))
        return false;
    return gla & (size - 1) ? cpu_fault(cpu, EXC_GP, 0) : true;
}

/* Those of F16C ask for no alignment, whatever their size (vol. 2, 2.4.11). */
static bool is_f16c(const struct insn *in)
{
    return cpu_ops[in->mnem].feature == FEAT_F16C;
}

/* Reads a memory source into the frame. */
static bool simd_source(struct vcpu *cpu, const struct insn *in, struct hostexec_frame *f)
{
    for (u32 i = 1; i < in->nops; i++) {
        u32 size = in->op[i].size;

        if (in->op[i].kind != OP_MEM)
            continue;
        memset(f->mem, 0, sizeof(f->mem));
        if (is_f16c(in))
            return cpu_read_bytes(cpu, in->seg, insn_offset(cpu, in), f->mem, size);
        return simd_aligned(cpu, in, size, false) && fpu_read_operand(cpu, in, f->mem, size);
    }
    return true;
}

static bool simd_store(struct vcpu *cpu, const struct insn *in, const struct hostexec_frame *f)
{
    u32 size = in->op[0].size;

    if (is_f16c(in))
        return cpu_write_bytes(cpu, in->seg, insn_offset(cpu, in), f->mem, size);
    return simd_aligned(cpu, in, size, true) && fpu_write_operand(cpu, in, f->mem, size);
}

/* VCVTPS2PH alone can raise #XM and stores: a page fault comes first. */
static bool simd_may_store(struct vcpu *cpu, const struct insn *in)
{
    return !is_f16c(in) || in->op[0].kind != OP_MEM ||
           cpu_check_write_bytes(cpu, in->seg, insn_offset(cpu, in), in->op[0].size);
}

/* An MMX instruction moves TOP to 0 and marks all registers valid, whatever else it does. */
static void mmx_enter(struct vcpu *cpu)
{
    fpu_set_top(&cpu->fpu, 0);
    cpu->fpu.ftw = 0xff;
}

/* ---- Exceptions ---- */

/* Raises #XM if one of the flags that came up is unmasked; else adds them to MXCSR. */
static bool simd_exceptions(struct vcpu *cpu, u32 flags)
{
    u32 unmasked = flags & ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT);

    cpu->fpu.mxcsr |= flags;
    if (!unmasked)
        return true;
    return cpu_fault(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD, 0);
}

/*
 * Runs the instruction masked; returns the flags it raised. An unmasked underflow is due for any
 * tiny result, a masked one only for an inexact one. With flush-to-zero the host says "tiny".
 */
static u32 simd_run(struct vcpu *cpu, const struct insn *in, struct hostexec_frame *f)
{
    u32 guest = cpu->fpu.mxcsr, tiny = 0;
    bool underflow = !(guest >> MXCSR_MASK_SHIFT & FPU_UE);

    if (underflow) {
        struct hostexec_frame before = *f;

        f->fx.mxcsr = (guest & ~FPU_EXCEPTIONS) | MXCSR_FTZ;
        hostexec_run(cpu, in);
        tiny = f->fx.mxcsr & FPU_UE;
        *f = before;
    }
    f->fx.mxcsr = guest & ~(FPU_EXCEPTIONS | (underflow ? MXCSR_FTZ : 0));
    f->flags = cpu->eflags & FLAGS_ARITH;
    hostexec_run(cpu, in);
    return (f->fx.mxcsr & FPU_EXCEPTIONS) | tiny;
}

/* A vector operand as the guest has it, or as it was loaded. */
static void vector_read(const struct vcpu *cpu, const struct operand *o,
                        const struct hostexec_frame *f, u8 to[32])
{
    if (o->kind == OP_XMM || o->kind == OP_YMM) {
        memcpy(to, cpu->fpu.xmm[o->reg], 16);
        memcpy(to + 16, cpu->ymm_high[o->reg], 16);
    } else {
        memcpy(to, f->mem, 32);
    }
}

/* Which flags of those that a masked run raised come up if some are unmasked. */
static u32 simd_refine(struct vcpu *cpu, const struct insn *in, struct hostexec_frame *f,
                       u32 flags)
{
    u32 unmasked = flags & ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT), first = 0;
    bool tiny = in->mnem == ZYDIS_MNEMONIC_VCVTPS2PH &&
                !(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT & FPU_UE); /* perhaps, if it is exact */
    struct hostexec_frame result;
    u8 op[3][32];

    if (!unmasked && !tiny)
        return flags;
    if (in->vex && in->nops > 2 && in->op[2].kind != OP_IMM && !simd_is_fused(in))
        first = 1; /* the destination is no source */
    for (u32 i = 0; i + first < 3; i++)
        vector_read(cpu, &in->op[i + first], f, op[i]);
    result = *f; /* may still be what is stored */
    flags = simd_post_flags(cpu, in, flags, op);
    *f = result;
    return flags;
}

/* ---- The instruction ---- */

static bool simd_general(const struct insn *in, u32 *operand)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_REG) {
            *operand = i;
            return true;
        }
    return false;
}

/* Of PCMPESTRI and PCMPISTRI, whose result is ECX. */
static bool yields_ecx(const struct insn *in)
{
    return in->mnem == ZYDIS_MNEMONIC_PCMPESTRI || in->mnem == ZYDIS_MNEMONIC_PCMPISTRI ||
           in->mnem == ZYDIS_MNEMONIC_VPCMPESTRI || in->mnem == ZYDIS_MNEMONIC_VPCMPISTRI;
}

static void simd_commit(struct vcpu *cpu, const struct insn *in, const struct hostexec_frame *f)
{
    struct fxsave *fx = &cpu->fpu;
    u32 i;

    memcpy(fx->xmm, f->fx.xmm, 8 * 16);
    if (in->vex)
        memcpy(cpu->ymm_high, f->ymm_high, sizeof(cpu->ymm_high));
    if (insn_has(in, OP_MMX)) {
        fx->fsw = f->fx.fsw;
        fx->ftw = f->fx.ftw;
        memcpy(fx->st, f->fx.st, sizeof(fx->st));
    }
    if (simd_general(in, &i) && i == 0)
        cpu->gpr[in->op[0].reg] = (u32)f->eax;
    if (yields_ecx(in))
        cpu->gpr[ECX] = (u32)f->ecx;
    cpu->eflags = (cpu->eflags & ~FLAGS_ARITH) | (u32)f->flags; /* COMISS and its kin */
}

bool simd_compute(struct vcpu *cpu, const struct insn *in)
{
    struct hostexec_frame *f = hostexec_load(cpu);
    u32 i, flags;

    if (!insn_has(in, OP_MMX)) {
        f->fx.fcw = FCW_INIT;
        f->fx.fsw = 0;
        f->fx.ftw = 0;
    }
    f->eax = cpu->gpr[simd_general(in, &i) ? in->op[i].reg : EAX];
    f->edx = cpu->gpr[EDX]; /* PCMPESTRI's second length */
    if (!simd_source(cpu, in, f))
        return false;
    flags = simd_refine(cpu, in, f, simd_run(cpu, in, f));
    if (flags && !simd_may_store(cpu, in))
        return false;
    if (!simd_exceptions(cpu, flags)) {
        if (insn_has(in, OP_MMX))
            mmx_enter(cpu); /* hardware changes over before it computes */
        return false;
    }
    if (in->nops && in->op[0].kind == OP_MEM && !simd_store(cpu, in, f))
        return false;
    simd_commit(cpu, in, f);
    return true;
}

bool ex_simd(struct vcpu *cpu, const struct insn *in)
{
    return simd_check(cpu, in) && simd_compute(cpu, in);
}

/* EMMS: all registers empty. */
bool ex_emms(struct vcpu *cpu, const struct insn *in)
{
    mmx_enter(cpu);
    cpu->fpu.ftw = 0;
    return true;
}

/* ---- Masked stores: bytes to DS:EDI where the mask's sign bits are set ---- */

bool simd_masked_store(struct vcpu *cpu, const struct insn *in, const u8 *data, const u8 *mask,
                       u32 size)
{
    enum seg seg = in->prefixes & PFX_SEG ? in->seg : DS;
    u32 at = cpu->gpr[EDI] & addr_mask(in); /* its bytes do not wrap at 64 KiB */

    for (u32 i = 0; i < size; i++)
        if (mask[i] & 0x80 && !cpu_check_write(cpu, seg, at + i, 1))
            return false;
    for (u32 i = 0; i < size; i++)
        if (mask[i] & 0x80 && !cpu_write(cpu, seg, at + i, 1, data[i]))
            return false;
    return true;
}

bool ex_maskmov(struct vcpu *cpu, const struct insn *in)
{
    struct fxsave *fx = &cpu->fpu;
    bool mmx = in->mnem == ZYDIS_MNEMONIC_MASKMOVQ;
    u32 top = fpu_top(fx), data = in->op[0].reg, mask = in->op[1].reg;

    if (!simd_check(cpu, in))
        return false;
    if (!mmx)
        return simd_masked_store(cpu, in, fx->xmm[data], fx->xmm[mask], 16);
    /* MMn is physical register n */
    if (!simd_masked_store(cpu, in, fx->st[(data - top) & 7], fx->st[(mask - top) & 7], 8))
        return false;
    mmx_enter(cpu);
    return true;
}

/* ---- Of memory and its order ---- */

bool ex_movnti(struct vcpu *cpu, const struct insn *in)
{
    return cpu_write(cpu, in->seg, insn_offset(cpu, in), 4, cpu->gpr[in->op[1].reg]);
}

/* Fences and prefetches: this CPU does everything in order, and has no caches to fill. */
bool ex_fence(struct vcpu *cpu, const struct insn *in)
{
    return true;
}

/* Faults as a load of one byte does. */
bool ex_clflush(struct vcpu *cpu, const struct insn *in)
{
    return cpu_check_read(cpu, in->seg, insn_offset(cpu, in), 1);
}
