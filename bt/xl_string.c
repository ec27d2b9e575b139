/*
 * String instructions: single ones in line; repeated ones by the routines of strings.S, but for
 * none or one element. DF is known.
 */
#include "bt/emit.h"

static i32 string_step(const struct xl *x, u32 size)
{
    return x->context->key & KEY_DF ? -(i32)size : (i32)size;
}

static u32 string_size(const struct insn *in)
{
    return in->opcode & 1 ? in->opsize : 1;
}

static void index_move(struct xl *x, const struct insn *in, enum hreg reg, i32 by)
{
    if (in->addrsize == 4) {
        emit_lea_rm(x, reg, reg, by);
        return;
    }
    emit_lea_rm(x, R9, reg, by);
    emit_mov_part(x, reg, R9, 2);
}

static bool string_address(struct xl *x, const struct insn *in, enum hreg reg, u8 seg,
                           enum xl_access access)
{
    if (in->addrsize == 4)
        return xl_at(x, seg, (u8)reg, string_size(in), access);
    emit_movzx_rr16(x, R9, reg);
    return xl_bytes(x, seg, 2, string_size(in), access);
}

static bool single_movs(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);
    i32 step = string_step(x, size);

    if (!string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    emit_load(x, R11, size);
    emit_hold(x, ES);
    if (!string_address(x, in, RDI, ES, XL_WRITE))
        return false;
    emit_unhold(x, ES);
    emit_store(x, R11, size);
    index_move(x, in, RSI, step);
    index_move(x, in, RDI, step);
    return true;
}

static bool single_stos(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (!string_address(x, in, RDI, ES, XL_WRITE))
        return false;
    emit_store(x, RAX, size);
    index_move(x, in, RDI, string_step(x, size));
    return true;
}

static bool single_lods(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (!string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    emit_load(x, RAX, size);
    index_move(x, in, RSI, string_step(x, size));
    return true;
}

static bool single_scas(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (!string_address(x, in, RDI, ES, XL_READ))
        return false;
    emit_load(x, R11, size);
    emit_cmp_rr(x, RAX, R11, size);
    index_move(x, in, RDI, string_step(x, size));
    return true;
}

static bool single_cmps(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (!string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    emit_load(x, R11, size);
    emit_hold(x, ES);
    if (!string_address(x, in, RDI, ES, XL_READ))
        return false;
    emit_load(x, R13, size);
    emit_unhold(x, ES);
    emit_cmp_rr(x, R11, R13, size);
    index_move(x, in, RSI, string_step(x, size));
    index_move(x, in, RDI, string_step(x, size));
    return true;
}

/* ---- REP ---- */

typedef bool single(struct xl *x, const struct insn *in);

static bool repeated(const struct insn *in)
{
    return in->prefixes & (PFX_REP | PFX_REPNE);
}

/* To the rel32 that it returns if the count is 0; changes r9, r10. */
static u8 *jump_unless_count(struct xl *x, const struct insn *in)
{
    u8 *zero, *over, *end;

    if (in->addrsize == 2) {
        emit_movzx_rr16(x, R9, RCX);
        emit_test_zero(x, R9, R10, 2);
        over = emit_jmp_rel8(x);
        emit_mov_rr64(x, RCX, R10);
        end = emit_branch(x, JMP);
        emit_patch8(over, x->p);
        return end;
    }
    zero = emit_jrcxz(x);
    over = emit_jmp_rel8(x);
    emit_patch8(zero, x->p);
    end = emit_branch(x, JMP);
    emit_patch8(over, x->p);
    return end;
}

/* (E)CX := 0 */
static void count_is_spent(struct xl *x, const struct insn *in)
{
    if (in->addrsize == 4) {
        emit_mov_ri(x, RCX, 0);
    } else {
        emit_mov_ri(x, R9, 0);
        emit_mov_part(x, RCX, R9, 2);
    }
}

/* r9d := (E)CX - 1 */
static void count_but_one(struct xl *x, const struct insn *in)
{
    emit_lea_rm(x, R9, RCX, -1);
    if (in->addrsize == 2)
        emit_movzx_rr16(x, R9, R9);
}

static bool place_of(const struct xl *x, const struct insn *in, bool source, bool target,
                     enum bt_rep_place *place)
{
    enum seg_class from = source ? context_seg(x->context->key, in->seg) : SEG_FLAT,
                   to = target ? context_seg(x->context->key, ES) : SEG_FLAT;

    if (from == SEG_OTHER || from == SEG_ANY || to == SEG_OTHER)
        return false;
    *place = in->addrsize == 2                    ? REP_WORD
             : from == SEG_FLAT && to == SEG_FLAT ? REP_FLAT
                                                  : REP_BASE;
    return true;
}

/* mov r10, routine;  call r10;  out of line unless r10 = 0 */
static void call_routine(struct xl *x, const struct insn *in, enum bt_rep what,
                         enum bt_rep_place place)
{
    u32 size = string_size(in);

    emit_mov_ri(x, R9, size == 4 ? 2 : size - 1);
    if (place != REP_FLAT)
        emit_mov_ri(x, R11, (u32)(in->seg * sizeof(struct segment)));
    emit_mov_ri64(x, R10, (u64)bt_rep_short[what][place][!!(x->context->key & KEY_DF)]);
    emit_call(x, R10);
    xl_slow_unless_zero(x, R10, R11);
}

/* No element, one, several: each in its way. */
static bool repeat(struct xl *x, const struct insn *in, enum bt_rep what, single *one)
{
    bool source = what != REP_STOS && what != REP_SCAS_E && what != REP_SCAS_NE;
    struct insn alone = *in;
    enum bt_rep_place place;
    u8 *none, *several, *done;

    if (x->callout || x->context->key & KEY_AC ||
        !place_of(x, in, source, what != REP_LODS, &place))
        return false;
    alone.prefixes &= (u8) ~(PFX_REP | PFX_REPNE);
    none = jump_unless_count(x, in);
    count_but_one(x, in);
    several = emit_unless_zero(x, R9, R10);
    if (!one(x, &alone))
        return false;
    count_is_spent(x, in);
    done = emit_branch(x, JMP);
    emit_patch32(several, x->p);
    call_routine(x, in, what, place);
    emit_patch32(done, x->p);
    emit_mov_mi8(x, R15, VCPU_MID_REP, 0); /* it may have been under way */
    emit_patch32(none, x->p);
    return true;
}

bool xl_movs(struct xl *x, const struct insn *in)
{
    return repeated(in) ? repeat(x, in, REP_MOVS, single_movs) : single_movs(x, in);
}

bool xl_stos(struct xl *x, const struct insn *in)
{
    return repeated(in) ? repeat(x, in, REP_STOS, single_stos) : single_stos(x, in);
}

bool xl_lods(struct xl *x, const struct insn *in)
{
    return repeated(in) ? repeat(x, in, REP_LODS, single_lods) : single_lods(x, in);
}

bool xl_scas(struct xl *x, const struct insn *in)
{
    enum bt_rep what = in->prefixes & PFX_REPNE ? REP_SCAS_NE : REP_SCAS_E;

    return repeated(in) ? repeat(x, in, what, single_scas) : single_scas(x, in);
}

bool xl_cmps(struct xl *x, const struct insn *in)
{
    enum bt_rep what = in->prefixes & PFX_REPNE ? REP_CMPS_NE : REP_CMPS_E;

    return repeated(in) ? repeat(x, in, what, single_cmps) : single_cmps(x, in);
}

/* INS and OUTS are C's; that none is to be done is seen here. A repeated one may not fault
 * then. */
bool xl_port_string(struct xl *x, const struct insn *in)
{
    u8 *none;

    if (!repeated(in) || !(x->context->key & KEY_IOPL_OK) || x->context->key & KEY_V86)
        return false;
    none = jump_unless_count(x, in);
    xl_callout(x, x->site, false);
    emit_patch32(none, x->p);
    return true;
}
