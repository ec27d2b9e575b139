/*
 * Instructions that are the same on the host but for their memory operand, and the stack.
 */
#include "bt/emit.h"

static bool plain_operands(const struct insn *in)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind != OP_REG && in->op[i].kind != OP_MEM && in->op[i].kind != OP_IMM)
            return false;
    return true;
}

/* BT with a register index reaches beyond its memory operand. */
static bool bit_string(const struct insn *in)
{
    return in->op[0].kind == OP_MEM && in->op[1].kind == OP_REG &&
           (in->mnem == ZYDIS_MNEMONIC_BT || in->mnem == ZYDIS_MNEMONIC_BTS ||
            in->mnem == ZYDIS_MNEMONIC_BTR || in->mnem == ZYDIS_MNEMONIC_BTC);
}

bool xl_copy(struct xl *x, const struct insn *in)
{
    const struct operand *m = insn_memory(in);
    u8 access = xl_rows[in->mnem].access;

    if (!plain_operands(in) || bit_string(in))
        return false;
    if (m == &in->op[1] && !(in->mnem == ZYDIS_MNEMONIC_XCHG))
        access = XL_READ;
    if (m && !xl_operand(x, in, m->size, (enum xl_access)access))
        return false;
    if (!emit_copy(x, in))
        return false;
    x->bt->stats.ident++;
    return true;
}

static bool mov_selector(struct xl *x, const struct insn *in);

/* MOV: copies, but for the moffs forms (A0-A3), whose encoding means 64 bits on the host. */
bool xl_mov(struct xl *x, const struct insn *in)
{
    struct insn as;
    bool load = in->op[0].kind == OP_REG;

    if (in->op[1].kind == OP_SEG)
        return mov_selector(x, in);
    if (in->op[0].kind == OP_SEG)
        return xl_mov_to_segment(x, in);
    if (in->op[0].kind == OP_CR || in->op[1].kind == OP_CR)
        return xl_mov_cr(x, in);
    if (in->map || (in->opcode & 0xfc) != 0xa0)
        return xl_copy(x, in);
    if (!plain_operands(in))
        return false;
    as = *in;
    as.opcode = (u8)((load ? 0x8a : 0x88) | (in->opcode & 1));
    as.has_modrm = true;
    as.modrm = 0x05; /* mod 0: memory; reg: EAX */
    as.imm_size = 0; /* the offset is the displacement */
    if (!xl_operand(x, in, insn_memory(in)->size, load ? XL_READ : XL_WRITE))
        return false;
    return emit_copy(x, &as);
}

/* LEA r, [offset]: the segment does not matter. */
bool xl_lea(struct xl *x, const struct insn *in)
{
    u8 dst = hreg_of(in->op[0].reg);

    if (in->op[1].kind != OP_MEM)
        return false;
    if (in->opsize == 4) {
        xl_offset(x, in, dst);
        return true;
    }
    xl_offset(x, in, R9);
    EMIT(x, 0x66, (u8)(0x44 | (dst >= 8)), 0x89, (u8)(0xc8 | (dst & 7))); /* mov r16, r9w */
    return true;
}

bool xl_nop(struct xl *x, const struct insn *in)
{
    return true;
}

/* ---- The stack: [SS:ESP], or SP when SS.B is clear ---- */

/* Makes [r10+r9] the host address of the new top, `size` bytes below the present one. ESP moves
 * after the store, by xl_stack_move. */
static bool push_room(struct xl *x, u32 size)
{
    emit_lea_rm(x, R9, R8, -(i32)size);
    if (!x->stack32)
        emit_movzx16(x, R9, R9);
    return xl_bytes(x, SS, x->stack32 ? 4 : 2, size, XL_WRITE);
}

void xl_stack_move(struct xl *x, i32 by)
{
    if (x->stack32) {
        emit_lea_rm(x, R8, R8, by);
        return;
    }
    emit_lea_rm(x, R9, R8, by);
    EMIT(x, 0x66, 0x45, 0x89, 0xc8); /* mov r8w, r9w */
}

bool xl_stack_top(struct xl *x, u32 size)
{
    emit_mov_rr(x, R9, R8);
    if (!x->stack32)
        emit_movzx16(x, R9, R9);
    return xl_bytes(x, SS, x->stack32 ? 4 : 2, size, XL_READ);
}

/* mov [r10+r9], reg of 2 or 4 bytes */
static void store_reg(struct xl *x, u8 reg, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    EMIT(x, (u8)(0x43 | (reg >= 8) << 2), 0x89, (u8)((reg & 7) << 3 | 4), 0x0a);
}

/* mov [r10+r9], imm of 2 or 4 bytes */
static void store_imm(struct xl *x, u32 imm, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    EMIT(x, 0x43, 0xc7, 0x04, 0x0a);
    if (size == 2)
        EMIT(x, (u8)imm, (u8)(imm >> 8));
    else
        emit32(x, imm);
}

/* mov reg, [r10+r9] of 2 (upper half kept) or 4 bytes */
static void load_reg(struct xl *x, u8 reg, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    EMIT(x, (u8)(0x43 | (reg >= 8) << 2), 0x8b, (u8)((reg & 7) << 3 | 4), 0x0a);
}

bool xl_push_imm(struct xl *x, u32 imm, u32 size)
{
    if (!push_room(x, size))
        return false;
    store_imm(x, imm, size);
    xl_stack_move(x, -(i32)size);
    return true;
}

bool xl_push_reg(struct xl *x, u8 reg, u32 size)
{
    if (!push_room(x, size))
        return false;
    store_reg(x, reg, size);
    xl_stack_move(x, -(i32)size);
    return true;
}

bool xl_pop_reg(struct xl *x, u8 reg, u32 size)
{
    if (!xl_stack_top(x, size))
        return false;
    load_reg(x, reg, size);
    return true;
}

/* Loads a memory operand, keeping it where push_room in flat form leaves it alone. */
static bool push_memory(struct xl *x, const struct insn *in)
{
    if (x->site->form != FORM_FLAT || !xl_operand(x, in, in->opsize, XL_READ))
        return false;
    load_reg(x, R13, in->opsize);
    if (context_seg(x->context->key, SS) == SEG_LIMIT || !push_room(x, in->opsize))
        return false;
    store_reg(x, R13, in->opsize);
    xl_stack_move(x, -(i32)in->opsize);
    return true;
}

/* movzx r11d, word [r15+selector] */
static void load_selector(struct xl *x, u8 dst, u8 seg)
{
    i32 at = (i32)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) +
                   offsetof(struct segment, selector));

    EMIT(x, (u8)(0x41 | (dst >= 8) << 2), 0x0f, 0xb7, (u8)(0x87 | (dst & 7) << 3));
    emit32(x, (u32)at);
}

/* PUSH of a selector writes two bytes, whatever the operand size (SDM vol. 2, "PUSH"). */
static bool push_selector(struct xl *x, const struct insn *in)
{
    if (x->site->form != FORM_FLAT || !push_room(x, in->opsize))
        return false;
    load_selector(x, R11, in->op[0].reg);
    store_reg(x, R11, 2);
    xl_stack_move(x, -(i32)in->opsize);
    return true;
}

/* MOV r32, sreg */
static bool mov_selector(struct xl *x, const struct insn *in)
{
    if (in->op[0].kind != OP_REG || in->opsize != 4 || in->op[1].reg > GS)
        return false;
    load_selector(x, hreg_of(in->op[0].reg), in->op[1].reg);
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

bool xl_pop(struct xl *x, const struct insn *in)
{
    if (in->op[0].kind == OP_SEG)
        return xl_pop_segment(x, in);
    if (in->op[0].kind != OP_REG || !xl_stack_top(x, in->opsize))
        return false;
    if (in->op[0].reg == ESP) {
        if (in->opsize != 4)
            return false;
        load_reg(x, R8, 4);
        return true;
    }
    load_reg(x, hreg_of(in->op[0].reg), in->opsize);
    xl_stack_move(x, (i32)in->opsize);
    return true;
}

bool xl_leave(struct xl *x, const struct insn *in)
{
    if (in->opsize != 4 || !x->stack32)
        return false;
    emit_mov_rr(x, R9, RBP);
    if (!xl_bytes(x, SS, 4, 4, XL_READ))
        return false;
    emit_lea_rm(x, R11, RBP, 4);
    load_reg(x, RBP, 4);
    emit_mov_rr(x, R8, R11);
    return true;
}

/* The return address at the top of the stack to r9d, and `drop` bytes with it off the stack. */
bool xl_pop_target(struct xl *x, u32 size, u32 drop)
{
    if (!xl_stack_top(x, size))
        return false;
    if (size == 2)
        EMIT(x, 0x47, 0x0f, 0xb7, 0x2c, 0x0a); /* movzx r13d, word [r10+r9] */
    else
        load_reg(x, R13, 4);
    xl_stack_move(x, (i32)drop);
    emit_mov_rr(x, R9, R13);
    return true;
}

/* ---- String instructions without REP: DF is known ---- */

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
    EMIT(x, 0x66, 0x44, 0x89, (u8)(0xc8 | reg)); /* mov reg16, r9w */
}

static bool string_address(struct xl *x, const struct insn *in, enum hreg reg, u8 seg,
                           enum xl_access access)
{
    emit_mov_rr(x, R9, reg);
    if (in->addrsize == 2)
        emit_movzx16(x, R9, R9);
    return xl_bytes(x, seg, in->addrsize, string_size(in), access);
}

static void string_load(struct xl *x, u8 reg, u32 size) /* R13 or RAX */
{
    if (size == 1)
        EMIT(x, (u8)(0x43 | (reg >= 8) << 2), 0x8a, (u8)((reg & 7) << 3 | 4), 0x0a);
    else
        load_reg(x, reg, size);
}

static void string_store(struct xl *x, u8 reg, u32 size)
{
    if (size == 1)
        EMIT(x, (u8)(0x43 | (reg >= 8) << 2), 0x88, (u8)((reg & 7) << 3 | 4), 0x0a);
    else
        store_reg(x, reg, size);
}

static bool repeated(const struct insn *in)
{
    return in->prefixes & (PFX_REP | PFX_REPNE) || in->map;
}

bool xl_movs(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);
    i32 step = string_step(x, size);

    if (repeated(in) || x->site->form != FORM_FLAT ||
        context_seg(x->context->key, ES) == SEG_LIMIT ||
        !string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    string_load(x, R13, size);
    if ((in->addrsize == 4 && context_seg(x->context->key, ES) == SEG_64K) ||
        !string_address(x, in, RDI, ES, XL_WRITE))
        return false;
    string_store(x, R13, size);
    index_move(x, in, RSI, step);
    index_move(x, in, RDI, step);
    return true;
}

bool xl_stos(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in) || !string_address(x, in, RDI, ES, XL_WRITE))
        return false;
    string_store(x, RAX, size);
    index_move(x, in, RDI, string_step(x, size));
    return true;
}

bool xl_lods(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in) || !string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    string_load(x, RAX, size);
    index_move(x, in, RSI, string_step(x, size));
    return true;
}

/* cmp AL, AX or EAX with [r10+r9]; or r13 */
static void string_compare(struct xl *x, u8 reg, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    EMIT(x, (u8)(0x43 | (reg >= 8) << 2), size == 1 ? 0x3a : 0x3b, (u8)((reg & 7) << 3 | 4), 0x0a);
}

bool xl_scas(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in) || !string_address(x, in, RDI, ES, XL_READ))
        return false;
    string_compare(x, RAX, size);
    index_move(x, in, RDI, string_step(x, size));
    return true;
}

bool xl_cmps(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in) || x->site->form != FORM_FLAT ||
        context_seg(x->context->key, ES) == SEG_LIMIT ||
        (in->addrsize == 4 && context_seg(x->context->key, ES) == SEG_64K) ||
        !string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    string_load(x, R13, size);
    if (!string_address(x, in, RDI, ES, XL_READ))
        return false;
    string_compare(x, R13, size);
    index_move(x, in, RSI, string_step(x, size));
    index_move(x, in, RDI, string_step(x, size));
    return true;
}
