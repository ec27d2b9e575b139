/*
 * What is known of the low bits of the guest's registers inside a TU, so that not each of its
 * operands in form table has to test its own alignment: after an access that tested it and went
 * on, those of its base are known.
 *
 * Known is only what holds on every way to the next instruction. So an instruction that may go
 * on after a slow path teaches nothing, and one that is not in the list below makes all of it
 * unknown.
 */
#include "bt/emit.h"
#include <string.h>

static const struct low_bits unknown;

/* Of a + b*scale, for which only b's own zeros count. */
static struct low_bits low_bits_sum(struct low_bits a, struct low_bits b)
{
    return (struct low_bits){ a.mask & b.mask, (u8)(a.value + b.value) & 3 };
}

static struct low_bits low_bits_of(u32 value)
{
    return (struct low_bits){ 3, value & 3 };
}

/* ---- Addresses ---- */

void align_address(struct xl *x, u8 base, u8 index, u8 scale, i32 disp)
{
    bool free = index == NO_REG || scale >= 4; /* of an index whose bits are unknown */

    x->at = (struct xl_at){ .low = low_bits_of((u32)disp),
                            .base = free ? base : NO_REG,
                            .disp = disp };
    if (base != NO_REG)
        x->at.low = low_bits_sum(x->at.low, x->low[base]);
    if (!free)
        x->at.low = scale == 2 ? low_bits_sum(x->at.low, (struct low_bits){ 1, 0 }) : unknown;
}

void align_nowhere(struct xl *x)
{
    x->at = (struct xl_at){ .base = NO_REG };
}

bool align_known(const struct xl *x, u32 size)
{
    u32 need = size - 1;

    return (x->at.low.mask & need) == need && !(x->at.low.value & need);
}

void align_learn(struct xl *x, u32 size)
{
    u8 mask = size >= 4 ? 3 : 1;

    if (x->at.base != NO_REG && x->low[x->at.base].mask < mask)
        x->low[x->at.base] = (struct low_bits){ mask, (u8)(-x->at.disp & mask) };
}

/* ---- Instructions ---- */

static void forget_reg(struct xl *x, const struct operand *o)
{
    if (o->kind == OP_REG)
        x->low[o->size == 1 ? o->reg & 3 : o->reg] = unknown;
}

static void move_stack(struct xl *x, i32 by)
{
    x->low[ESP].value = (u8)(x->low[ESP].value + by) & 3;
}

/* Registers of 16 bits share their low bits with those of 32. */
static void follow_move(struct xl *x, const struct insn *in)
{
    const struct operand *to = &in->op[0], *from = &in->op[1];

    forget_reg(x, to);
    if (to->kind != OP_REG || to->size == 1)
        return;
    if (from->kind == OP_REG)
        x->low[to->reg] = x->low[from->reg];
    if (from->kind == OP_IMM)
        x->low[to->reg] = low_bits_of(in->imm);
}

static void follow_add(struct xl *x, const struct insn *in, u32 by)
{
    const struct operand *to = &in->op[0];

    if (to->kind == OP_REG && to->size > 1 && in->op[1].kind == OP_IMM)
        x->low[to->reg] = low_bits_sum(x->low[to->reg], low_bits_of(by));
    else
        forget_reg(x, to);
}

static void follow_lea(struct xl *x, const struct insn *in)
{
    align_address(x, in->base, in->index, in->scale, in->disp);
    x->low[in->op[0].reg] = x->at.low;
    align_nowhere(x);
}

void align_follow(struct xl *x, const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_PUSH:
        move_stack(x, -(i32)in->opsize);
        return;
    case ZYDIS_MNEMONIC_POP:
        move_stack(x, (i32)in->opsize);
        forget_reg(x, &in->op[0]);
        return;
    case ZYDIS_MNEMONIC_MOV:
        follow_move(x, in);
        return;
    case ZYDIS_MNEMONIC_ADD:
        follow_add(x, in, in->imm);
        return;
    case ZYDIS_MNEMONIC_SUB:
        follow_add(x, in, -in->imm);
        return;
    case ZYDIS_MNEMONIC_LEA:
        follow_lea(x, in);
        return;
    case ZYDIS_MNEMONIC_XOR: case ZYDIS_MNEMONIC_AND: case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SBB: case ZYDIS_MNEMONIC_INC: case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT: case ZYDIS_MNEMONIC_SHL: case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_MOVZX: case ZYDIS_MNEMONIC_MOVSX:
        forget_reg(x, &in->op[0]);
        return;
    case ZYDIS_MNEMONIC_CMP: case ZYDIS_MNEMONIC_TEST: case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_NOP:
        return;
    default:
        align_forget(x);
    }
}

void align_forget(struct xl *x)
{
    memset(x->low, 0, sizeof(x->low));
}
