/*
 * x87, MMX, SSE and AVX in place: while KEY_FPU_LIVE is set, the host's FPU holds the guest's
 * state, and the guest's instructions run on it as they are. bt/fpu.c says when that is.
 *
 * What need not be aligned is looked at for the end of the page only.
 */
#include "bt/emit.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"

insn_handler ex_simd, ex_x87, ex_x87_store, ex_fnstcw, ex_fldcw, ex_fnstsw, ex_emms, ex_fnclex,
    ex_fwait, ex_stmxcsr, ex_avx;

bool xl_fpu_native(const struct insn *in)
{
    /* Not FNINIT: it clears the instruction pointer, which is not told from one not set
     * since. */
    static insn_handler *const native[] = {ex_simd,  ex_x87,     ex_x87_store, ex_fnstcw,
                                           ex_fldcw, ex_fnstsw,  ex_emms,      ex_fnclex,
                                           ex_fwait, ex_stmxcsr, ex_avx};
    insn_handler *exec = cpu_ops[in->mnem].exec;

    for (u32 i = 0; i < ARRAY_SIZE(native); i++)
        if (exec == native[i])
            return true;
    return false;
}

static bool fpu_stores(const struct insn *in)
{
    insn_handler *exec = cpu_ops[in->mnem].exec;

    if (in->op[0].kind != OP_MEM)
        return false;
    return exec == ex_simd || exec == ex_avx || exec == ex_x87_store || exec == ex_fnstcw ||
           exec == ex_fnstsw || exec == ex_stmxcsr;
}

static bool sse_allowed(const struct xl *x, const struct insn *in)
{
    bool sse = cpu_ops[in->mnem].attr & OP_SSE;

    if (in->vex)
        return x->context->key & KEY_AVX && simd_has_form(x->bt->cpu, in);
    for (u32 i = 0; i < in->nops; i++)
        sse |= in->op[i].kind == OP_XMM;
    return simd_has_form(x->bt->cpu, in) && (!sse || x->context->key & KEY_SSE);
}

/* The host keeps where it ran x87 last, but not the linear page that it was the guest's.
 * mov r9d, [r15+page];  mov [r15+fpu_page], r9d */
static void note_page(struct xl *x, const struct insn *in)
{
    if (!x->pic || x->fpu_noted || in->map != 0)
        return;
    emit_mov_rm(x, R9, R15, TC_PAGE);
    emit_mov_mr(x, R15, TC_FPU_PAGE, R9);
    x->fpu_noted = true;
}

bool xl_fpu(struct xl *x, const struct insn *in)
{
    const struct operand *m = insn_memory(in);
    bool done = true;

    if (!(x->context->key & KEY_FPU_LIVE) || in->prefixes & PFX_LOCK || !sse_allowed(x, in))
        return false;
    note_page(x, in);
    if (m) {
        x->span = simd_any_alignment(in) ? (u8)m->size : 0;
        if (cpu_ops[in->mnem].feature == FEAT_SHA)
            x->direct_map = false; /* AMD's hosts do not mind misalignment, Intel's do */
        done = xl_operand(x, in, m->size, fpu_stores(in) ? XL_WRITE : XL_READ);
        x->span = 0;
    }
    return done && emit_copy(x, in);
}

bool xl_x87_nop(struct xl *x, const struct insn *in)
{
    return x->context->key & KEY_FPU_LIVE;
}

/*
 * MASKMOVQ, MASKMOVDQU: the host's own, whose address is DS:RDI. RDI is another while it runs,
 * so it may not fault: where it would store is looked at first, as a whole, and MMX's raises
 * what x87 has pending before.
 *
 *   fwait;  mov r11, rdi;  lea rdi, [r10+r9];  maskmov;  mov rdi, r11
 */
bool xl_maskmov(struct xl *x, const struct insn *in)
{
    bool wide = in->mnem == ZYDIS_MNEMONIC_MASKMOVDQU, known;
    u8 seg = in->prefixes & PFX_SEG ? in->seg : DS;
    u32 size = wide ? 16 : 8;

    if (!(x->context->key & KEY_FPU_LIVE) || in->prefixes & PFX_LOCK || !sse_allowed(x, in) ||
        !xl_region_starts(x, (u8)size))
        return false;
    emit_mov_rr(x, R9, RDI);
    if (in->addrsize == 2)
        emit_movzx_rr16(x, R9, R9);
    x->checked = true;
    known = xl_bytes(x, seg, in->addrsize, size, XL_WRITE);
    x->span = 0;
    if (!known)
        return false;
    if (!wide)
        emit_fwait(x);
    emit_mov_rr64(x, R11, RDI);
    emit_lea_sib(x, RDI, x->m.base, x->m.index, 1, 0, true);
    emit_maskmov(x, wide, in->op[0].reg, in->op[1].reg);
    emit_mov_rr64(x, RDI, R11);
    return true;
}

/* It clears the pointers in the host's registers; those of before live may still be the vcpu's.
 */
bool xl_fninit(struct xl *x, const struct insn *in)
{
    if (!(x->context->key & KEY_FPU_LIVE))
        return false;
    emit_fninit(x);
    for (u32 at = offsetof(struct fxsave, fip); at < offsetof(struct fxsave, mxcsr); at += 4)
        emit_mov_mi32_disp32(x, R15, VCPU_FPU + (i32)at, 0);
    return true;
}

/* By the callout, which raises #GP, if it would set a bit that is not there.
 * mov r13d, m;  mov r11d, ~mask;  pext r11d, r13d, r11d;  unless zero → slow path */
bool xl_ldmxcsr(struct xl *x, const struct insn *in)
{
    if (!(x->context->key & KEY_FPU_LIVE) || !sse_allowed(x, in) || in->prefixes & PFX_LOCK ||
        !xl_operand(x, in, 4, XL_READ))
        return false;
    emit_load(x, R13, 4);
    emit_mov_ri(x, R11, ~fpu_mxcsr_mask(x->bt->cpu));
    emit_pext(x, R11, R13, R11);
    xl_slow_unless_zero(x, R11, R10);
    emit_mov_mr(x, R15, TC_SCRATCH, R13);
    emit_ldmxcsr(x, R15, TC_SCRATCH);
    return true;
}
