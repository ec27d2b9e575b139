/*
 * Loads of segment registers in the cache. In real mode and V86 a load is two stores; in
 * protected mode it is memoised (memo.c). What would change the context, and everything else,
 * is a callout.
 */
#include "bt/memo.h"
#include "bt/emit.h"

/* mov [r15+disp], r9w or r9d */
static void store_r9(struct xl *x, i32 disp, bool word)
{
    if (word)
        emit_mov_mr16(x, R15, disp, R9);
    else
        emit_mov_mr(x, R15, disp, R9);
}

/* base := selector << 4. The class stays if it is one that does not ask what the base is. */
static bool load_real(struct xl *x, u8 seg)
{
    enum seg_class class = context_seg(x->context->key, seg);
    i32 at = VCPU_SEG + (i32)sizeof(struct segment) * seg;

    if (class == SEG_FLAT || class == SEG_OTHER)
        return false;
    if (class == SEG_ANY) { /* it may be null since protected mode */
        emit_mov_rm64(x, R10, R15, TC_REACH + 16 * seg);
        emit_top16(x, R10);
        xl_slow_unless_zero(x, R10, R11);
    }
    store_r9(x, selector_at(seg), true);
    emit_lea_sib(x, R9, NO_REG, R9, 8, 0, false);
    emit_lea_sib(x, R9, R9, R9, 1, 0, false);
    store_r9(x, at + (i32)offsetof(struct segment, base), false);
    return true;
}

/* From the selector in r9d. Out of line before anything has changed. */
static bool load_segment(struct xl *x, u8 seg)
{
    u32 key = x->context->key;

    if (seg == CS || (seg == SS && x->last))
        return false; /* the next instruction is in the shadow, and in this TU */
    if (!(key & KEY_PROT))
        return load_real(x, seg);
    emit_lea_rm(x, R9, R9,
                (i32)memo_segment_key(0, (enum seg)seg, context_cpl(key), context_seg(key, seg),
                                      x->stack32));
    emit_mov_ri(x, R11, seg);
    emit_call_vcpu(x, TC_LOAD_SEGMENT);
    xl_slow_unless_zero(x, R10, R11);
    return true;
}

bool xl_mov_to_segment(struct xl *x, const struct insn *in)
{
    if (in->op[1].kind == OP_REG) {
        emit_movzx_rr16(x, R9, hreg_of(in->op[1].reg));
    } else {
        if (in->op[1].kind != OP_MEM || !xl_operand(x, in, 2, XL_READ))
            return false;
        emit_load_word(x);
    }
    return load_segment(x, in->op[0].reg);
}

bool xl_pop_segment(struct xl *x, const struct insn *in)
{
    if (!xl_stack_top(x, 2))
        return false;
    emit_load(x, R11, 2); /* a MOVZX of what was just pushed waits longer */
    emit_movzx_rr16(x, R9, R11);
    if (!load_segment(x, in->op[0].reg))
        return false;
    xl_stack_move(x, (i32)in->opsize);
    return true;
}

/* The offset waits in the scratch until the selector is known to be good. */
static bool load_pointer(struct xl *x, const struct insn *in, u8 seg)
{
    struct insn second = *in;
    u8 dst = hreg_of(in->op[0].reg);

    second.disp += in->opsize;
    if (in->op[1].kind != OP_MEM || !xl_operand(x, in, in->opsize, XL_READ))
        return false;
    emit_load(x, R11, in->opsize);
    emit_mov_mr(x, R15, TC_SCRATCH, R11);
    if (!xl_operand(x, &second, 2, XL_READ))
        return false;
    emit_load_word(x);
    if (!load_segment(x, seg))
        return false;
    if (in->opsize == 2)
        emit_mov_rm16(x, dst, R15, TC_SCRATCH);
    else
        emit_mov_rm(x, dst, R15, TC_SCRATCH);
    return true;
}

bool xl_lds(struct xl *x, const struct insn *in)
{
    return load_pointer(x, in, DS);
}

bool xl_les(struct xl *x, const struct insn *in)
{
    return load_pointer(x, in, ES);
}

bool xl_lss(struct xl *x, const struct insn *in)
{
    return load_pointer(x, in, SS);
}

bool xl_lfs(struct xl *x, const struct insn *in)
{
    return load_pointer(x, in, FS);
}

bool xl_lgs(struct xl *x, const struct insn *in)
{
    return load_pointer(x, in, GS);
}
