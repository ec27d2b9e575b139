/*
 * The stack: [SS:ESP], or [SS:SP] when SS.B is clear. ESP moves when all accesses have been
 * made.
 */
#include "bt/emit.h"

/* The host address of what lies `by` bytes above the top of the stack: [r10+r9], or by a map.
 */
static bool stack_place(struct xl *x, i32 by, u32 size, enum xl_access access)
{
    if (x->stack32 && xl_mapped_flat(x, SS, access)) {
        x->m = (struct xl_place){
            .direct_map = true, .wraps = true, .base = R8, .index = NO_REG, .disp = by};
        return true;
    }
    emit_lea_rm(x, R9, R8, by);
    if (!x->stack32)
        emit_movzx_rr16(x, R9, R9);
    return xl_near(x, SS, ESP, by, x->stack32 ? 4 : 2, size, access);
}

bool xl_stack_region(struct xl *x, i32 by, u8 size, enum xl_access access)
{
    bool done;

    if (!xl_region_starts(x, size))
        return false;
    done = stack_place(x, by, size, access);
    x->span = 0;
    return done;
}

/* The new top. ESP moves after the store, by xl_stack_move. */
static bool push_room(struct xl *x, u32 size)
{
    return stack_place(x, -(i32)size, size, XL_WRITE);
}

void xl_stack_move(struct xl *x, i32 by)
{
    if (x->stack32) {
        emit_lea_rm(x, R8, R8, by);
        return;
    }
    emit_lea_rm(x, R9, R8, by);
    emit_mov_part(x, R8, R9, 2);
}

bool xl_stack_top(struct xl *x, u32 size)
{
    if (x->stack32)
        return xl_at(x, SS, ESP, size, XL_READ);
    emit_movzx_rr16(x, R9, R8);
    return xl_near(x, SS, ESP, 0, 2, size, XL_READ);
}

bool xl_push_imm(struct xl *x, u32 imm, u32 size)
{
    if (!push_room(x, size))
        return false;
    emit_store_imm(x, imm, size);
    xl_stack_move(x, -(i32)size);
    return true;
}

bool xl_push_eip(struct xl *x, u32 eip, u32 size)
{
    if (!x->pic)
        return xl_push_imm(x, eip, size);
    if (!push_room(x, size))
        return false;
    emit_eip(x, R13, eip);
    emit_store(x, R13, size);
    xl_stack_move(x, -(i32)size);
    return true;
}

bool xl_push_reg(struct xl *x, u8 reg, u32 size)
{
    if (reg == R11)
        emit_hold(x, SS);
    if (!push_room(x, size))
        return false;
    if (reg == R11)
        emit_unhold(x, SS);
    emit_store(x, reg, size);
    xl_stack_move(x, -(i32)size);
    return true;
}

bool xl_pop_reg(struct xl *x, u8 reg, u32 size)
{
    if (!xl_stack_top(x, size))
        return false;
    emit_load(x, reg, size);
    return true;
}

static bool push_memory(struct xl *x, const struct insn *in)
{
    if (!xl_operand(x, in, in->opsize, XL_READ))
        return false;
    emit_load(x, R11, in->opsize);
    return xl_push_reg(x, R11, in->opsize);
}

/* PUSH of a selector writes two bytes, whatever the operand size (SDM vol. 2, "PUSH"). */
static bool push_selector(struct xl *x, const struct insn *in)
{
    if (!push_room(x, in->opsize))
        return false;
    emit_mov_rm16(x, R11, R15,
                  selector_at(in->op[0].reg)); /* a MOVZX waits for the POP before */
    emit_store(x, R11, 2);
    xl_stack_move(x, -(i32)in->opsize);
    return true;
}

bool xl_push(struct xl *x, const struct insn *in)
{
    if (in->op[0].kind == OP_SEG)
        return push_selector(x, in);
    if (in->op[0].kind == OP_IMM)
        return xl_push_imm(x, in->imm, in->opsize);
    if (in->op[0].kind == OP_MEM)
        return push_memory(x, in);
    return in->op[0].kind == OP_REG && xl_push_reg(x, hreg_of(in->op[0].reg), in->opsize);
}

/* The address is computed after ESP has moved (SDM vol. 2, "POP"): one by ESP is a callout. */
static bool pop_memory(struct xl *x, const struct insn *in)
{
    if (in->base == ESP || !xl_pop_reg(x, R11, in->opsize))
        return false;
    emit_hold(x, in->seg);
    if (!xl_operand(x, in, in->opsize, XL_WRITE))
        return false;
    emit_unhold(x, in->seg);
    emit_store(x, R11, in->opsize);
    xl_stack_move(x, (i32)in->opsize);
    return true;
}

bool xl_pop(struct xl *x, const struct insn *in)
{
    if (in->op[0].kind == OP_SEG)
        return xl_pop_segment(x, in);
    if (in->op[0].kind == OP_MEM)
        return pop_memory(x, in);
    if (in->op[0].kind != OP_REG || !xl_stack_top(x, in->opsize))
        return false;
    if (in->op[0].reg == ESP) {
        if (in->opsize != 4)
            return false;
        emit_load(x, R8, 4);
        return true;
    }
    emit_load(x, hreg_of(in->op[0].reg), in->opsize);
    xl_stack_move(x, (i32)in->opsize);
    return true;
}

/* r9d := EBP or BP, as wide as the stack */
static void frame_pointer(struct xl *x)
{
    if (x->stack32)
        emit_mov_rr(x, R9, RBP);
    else
        emit_movzx_rr16(x, R9, RBP);
}

bool xl_leave(struct xl *x, const struct insn *in)
{
    frame_pointer(x);
    if (!xl_bytes(x, SS, x->stack32 ? 4 : 2, in->opsize, XL_READ))
        return false;
    emit_load(x, R11, in->opsize);
    emit_lea_rm(x, R9, RBP, (i32)in->opsize);
    emit_mov_part(x, R8, R9, x->stack32 ? 4 : 2);
    emit_mov_part(x, RBP, R11, in->opsize);
    return true;
}

bool xl_pusha(struct xl *x, const struct insn *in)
{
    i32 size = (i32)in->opsize;

    if (!xl_stack_region(x, -8 * size, (u8)(8 * size), XL_WRITE))
        return false;
    for (u8 i = 0; i < 8; i++, x->m.disp += size)
        emit_store(x, hreg_of((u8)(EDI - i)), in->opsize);
    xl_stack_move(x, -8 * size);
    return true;
}

/* If the first load does not fault, none does. */
bool xl_popa(struct xl *x, const struct insn *in)
{
    i32 size = (i32)in->opsize;

    if (!xl_stack_region(x, 0, (u8)(8 * size), XL_READ))
        return false;
    for (u8 i = 0; i < 8; i++, x->m.disp += size)
        if (EDI - i != ESP)
            emit_load(x, hreg_of((u8)(EDI - i)), in->opsize);
    xl_stack_move(x, 8 * size);
    return true;
}

/* EBP, a copy of `level - 1` pointers, and the frame's own go below the stack's top; where it
 * ends has to be writable. The frame's pointer waits in r11. */
bool xl_enter(struct xl *x, const struct insn *in)
{
    i32 size = (i32)in->opsize, level = (i32)(in->imm2 & 31), top = -size;

    if (x->stack32 != (size == 4) || level > 3 || !push_room(x, in->opsize))
        return false;
    emit_store(x, RBP, in->opsize);
    for (i32 i = 1; i < level; i++) {
        emit_lea_rm(x, R9, RBP, -i * size);
        if (!x->stack32)
            emit_movzx_rr16(x, R9, R9);
        if (!xl_near(x, SS, EBP, -i * size, x->stack32 ? 4 : 2, in->opsize, XL_READ))
            return false;
        emit_load(x, R11, in->opsize);
        emit_hold(x, SS);
        top -= size;
        if (!stack_place(x, top, in->opsize, XL_WRITE))
            return false;
        emit_unhold(x, SS);
        emit_store(x, R11, in->opsize);
    }
    if (level) {
        top -= size;
        if (!stack_place(x, top, in->opsize, XL_WRITE))
            return false;
        emit_lea_rm(x, R11, R8, -size);
        emit_store(x, R11, in->opsize);
    }
    top -= (i32)(in->imm & 0xffff);
    if (!stack_place(x, top, in->opsize, XL_WRITE))
        return false;
    emit_load(x, R11, in->opsize);
    emit_lea_rm(x, R11, R8, -size);
    emit_mov_part(x, RBP, R11, in->opsize);
    xl_stack_move(x, top);
    return true;
}

/* The return address at the top of the stack to r9d, and `drop` bytes with it off the stack. */
bool xl_pop_target(struct xl *x, u32 size, u32 drop)
{
    if (!xl_stack_top(x, size))
        return false;
    if (size == 4 && x->context->cs_limit == ~0u && x->stack32) {
        emit_load(x, R9, size);
        xl_stack_move(x, (i32)drop);
        return true;
    }
    emit_load(x, R13, size);
    if (!xl_target_fits(x, size))
        return false;
    xl_stack_move(x, (i32)drop);
    emit_mov_rr(x, R9, R13);
    return true;
}
