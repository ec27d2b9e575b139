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

/* rorx r32, r32, by */
static void emit_rotate(struct xl *x, u8 dst, u8 src, u8 by)
{
    EMIT(x, 0xc4, (u8)(0x43 | (dst < 8) << 7 | (src < 8) << 5), 0x7b, 0xf0,
         (u8)(0xc0 | (dst & 7) << 3 | (src & 7)), by);
}

/* AH to BH beside a host register above 7, which no encoding has: by a copy in r11, or with the
 * register turned by a byte while it works on r11. */
static bool copy_high(struct xl *x, const struct insn *in)
{
    bool done;
    u8 reg;

    if (in->mnem == ZYDIS_MNEMONIC_XCHG || in->mnem == ZYDIS_MNEMONIC_XADD ||
        in->mnem == ZYDIS_MNEMONIC_CMPXCHG || in->map || insn_memory(in)->size != 1)
        return false;
    if (in->op[0].kind == OP_MEM) {
        emit_rotate(x, R11, in->op[1].reg & 3, 8);
        x->reg_r11 = true;
        done = emit_copy(x, in);
        x->reg_r11 = false;
        return done;
    }
    reg = in->op[0].reg & 3;
    emit_load(x, R11, 1);
    emit_rotate(x, reg, reg, 8);
    EMIT(x, 0x41, in->opcode, (u8)(0xc0 | reg << 3 | (R11 & 7))); /* op reg8, r11b */
    emit_rotate(x, reg, reg, 24);
    return true;
}

/* BT, BTS, BTR, BTC m, r: the register says which bit of a string that starts at the operand.
 *      mov r11d, 5;  sarx r11d, index, r11d;  lea r9d, [offset];  lea r9d, [r9+r11*4]
 *      …  mov r11d, 31;  pext r11d, index, r11d;  op [r10+r9], r11d */
static bool copy_bit_string(struct xl *x, const struct insn *in, enum xl_access access)
{
    u8 index = hreg_of(in->op[1].reg), low = in->opsize == 4;
    bool done;

    if (in->opsize == 2) {
        EMIT(x, (u8)(0x44 | index >> 3), 0x0f, 0xbf, (u8)(0xc0 | (R13 & 7) << 3 | (index & 7)));
        index = R13; /* movsx r13d, index16 */
    }
    emit_mov_ri(x, R11, low ? 5 : 4);
    EMIT(x, 0xc4, (u8)(0x42 | (index < 8) << 5), 0x22, 0xf7, (u8)(0xc0 | (R11 & 7) << 3 | (index & 7)));
    xl_offset(x, in, R9);
    emit_lea_sib(x, R9, R9, R11, low ? 4 : 2, 0, false);
    if (in->addrsize == 2)
        emit_movzx16(x, R9, R9);
    if (!xl_bytes(x, in->seg, in->addrsize, in->opsize, access))
        return false;
    emit_mov_ri(x, R11, low ? 31 : 15);
    index = hreg_of(in->op[1].reg);
    EMIT(x, 0xc4, 0x42, (u8)((~index & 15) << 3 | 2), 0xf5, 0xdb); /* pext r11d, index, r11d */
    x->reg_r11 = true;
    done = emit_copy(x, in);
    x->reg_r11 = false;
    return done;
}

bool xl_only_loads(const struct insn *in)
{
    const struct operand *m = insn_memory(in);
    const struct xl_row *row = &xl_rows[in->mnem];

    return m && plain_operands(in) && in->mnem != ZYDIS_MNEMONIC_XCHG &&
           (row->translate == xl_copy || row->translate == xl_mov) &&
           (m == &in->op[1] || row->access == XL_READ);
}

bool xl_copy(struct xl *x, const struct insn *in)
{
    const struct operand *m = insn_memory(in);
    u8 access = xl_rows[in->mnem].access;

    if (!plain_operands(in))
        return false;
    if (m == &in->op[1] && !(in->mnem == ZYDIS_MNEMONIC_XCHG))
        access = XL_READ;
    x->bt->stats.ident++;
    if (bit_string(in))
        return copy_bit_string(x, in, (enum xl_access)access);
    if (m && !xl_operand(x, in, m->size, (enum xl_access)access))
        return false;
    if (m && (insn_high_byte(&in->op[0]) || insn_high_byte(&in->op[1])))
        return (x->m.direct_map && emit_copy(x, in)) || copy_high(x, in);
    return emit_copy(x, in);
}

void xl_load_selector(struct xl *x, u8 dst, u8 seg)
{
    i32 at = VCPU_SEG + (i32)(seg * sizeof(struct segment) +
                   offsetof(struct segment, selector));

    EMIT(x, (u8)(0x41 | (dst >= 8) << 2), 0x0f, 0xb7, (u8)(0x87 | (dst & 7) << 3));
    emit32(x, (u32)at);
}

/* MOV r/m, sreg: memory and r16 take two bytes, r32 the selector with zeros above. */
static bool mov_selector(struct xl *x, const struct insn *in)
{
    u8 seg = in->op[1].reg, dst;

    if (seg > GS)
        return false;
    if (in->op[0].kind == OP_MEM) {
        if (!xl_operand(x, in, 2, XL_WRITE))
            return false;
        xl_load_selector(x, R11, seg);
        emit_store(x, R11, 2);
        return true;
    }
    dst = hreg_of(in->op[0].reg);
    if (in->opsize == 4) {
        xl_load_selector(x, dst, seg);
        return true;
    }
    xl_load_selector(x, R11, seg);
    emit_mov_part(x, dst, R11, 2);
    return true;
}

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

bool xl_xlat(struct xl *x, const struct insn *in)
{
    EMIT(x, 0x44, 0x0f, 0xb6, 0xc8); /* movzx r9d, al */
    emit_lea_sib(x, R9, R9, RBX, 1, 0, false);
    if (in->addrsize == 2)
        emit_movzx16(x, R9, R9);
    if (!xl_bytes(x, in->seg, in->addrsize, 1, XL_READ))
        return false;
    emit_load(x, RAX, 1);
    return true;
}

bool xl_nop(struct xl *x, const struct insn *in)
{
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
    if (in->addrsize == 4)
        return xl_at(x, seg, (u8)reg, string_size(in), access);
    emit_movzx16(x, R9, reg);
    return xl_bytes(x, seg, 2, string_size(in), access);
}

static bool repeated(const struct insn *in)
{
    return in->prefixes & (PFX_REP | PFX_REPNE) || in->map;
}

/* REP MOVS and STOS where it is plain: memo.S. */
static bool repeat(struct xl *x, const struct insn *in, u8 source, i32 routine)
{
    u32 key = x->context->key, size = string_size(in);

    if (in->map || in->addrsize != 4 || key & (KEY_DF | KEY_AC) || x->callout ||
        context_seg(key, ES) != SEG_FLAT || context_seg(key, source) != SEG_FLAT)
        return false;
    emit_mov_ri(x, R9, size == 4 ? 2 : size - 1);
    emit_call_vcpu(x, routine);
    xl_slow_unless_zero(x, R10, R11);
    EMIT(x, 0x41, 0xc6, 0x87); /* mov byte [r15+mid_rep], 0: it may have been under way */
    emit32(x, (u32)VCPU_MID_REP);
    emit8(x, 0);
    return true;
}

bool xl_movs(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);
    i32 step = string_step(x, size);

    if (repeated(in))
        return repeat(x, in, in->seg, TC_REP_MOVS);
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

bool xl_stos(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in))
        return repeat(x, in, ES, TC_REP_STOS);
    if (!string_address(x, in, RDI, ES, XL_WRITE))
        return false;
    emit_store(x, RAX, size);
    index_move(x, in, RDI, string_step(x, size));
    return true;
}

bool xl_lods(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in) || !string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    emit_load(x, RAX, size);
    index_move(x, in, RSI, string_step(x, size));
    return true;
}

/* cmp AL, AX or EAX with r11 (opcode 3A, 3B), or r11 with r13 */
static void emit_compare(struct xl *x, u8 a, u8 b, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    EMIT(x, (u8)(0x40 | (a >> 3) << 2 | b >> 3), size == 1 ? 0x3a : 0x3b,
         (u8)(0xc0 | (a & 7) << 3 | (b & 7)));
}

bool xl_scas(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in) || !string_address(x, in, RDI, ES, XL_READ))
        return false;
    emit_load(x, R11, size);
    emit_compare(x, RAX, R11, size);
    index_move(x, in, RDI, string_step(x, size));
    return true;
}

bool xl_cmps(struct xl *x, const struct insn *in)
{
    u32 size = string_size(in);

    if (repeated(in) || !string_address(x, in, RSI, in->seg, XL_READ))
        return false;
    emit_load(x, R11, size);
    emit_hold(x, ES);
    if (!string_address(x, in, RDI, ES, XL_READ))
        return false;
    emit_load(x, R13, size);
    emit_unhold(x, ES);
    emit_compare(x, R11, R13, size);
    index_move(x, in, RSI, string_step(x, size));
    index_move(x, in, RDI, string_step(x, size));
    return true;
}
