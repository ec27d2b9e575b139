/*
 * Instructions that are the same on the host but for their memory operand, and the stack.
 */
#include "bt/emit.h"

/* MOV m, r and MOV r, m; MOV with a moffs (SDM vol. 2, "MOV"). Bit 0: not of bytes. */
enum { OPCODE_MOV_MR = 0x88, OPCODE_MOV_RM = 0x8a, OPCODE_MOV_MOFFS = 0xa0 };

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

/* AH to BH := r11b. rorx reg, reg, 8;  mov reg8, r11b;  rorx reg, reg, 24 */
void emit_high_from_r11(struct xl *x, u8 reg)
{
    emit_rorx(x, reg, reg, 8);
    emit_op_rr(x, OPCODE_MOV_MR, R11, reg);
    emit_rorx(x, reg, reg, 24);
}

/* AH to BH with a host register above 7, which no encoding has: by a copy in r11, or with the
 * register turned by a byte while it works on r11. */
static bool copy_high(struct xl *x, const struct insn *in)
{
    bool done;
    u8 reg;

    if ((in->map && in->mnem != ZYDIS_MNEMONIC_XADD && in->mnem != ZYDIS_MNEMONIC_CMPXCHG) ||
        insn_memory(in)->size != 1)
        return false;
    if (in->op[0].kind == OP_MEM) {
        emit_rorx(x, R11, in->op[1].reg & 3, 8);
        x->reg_r11 = true;
        done = emit_copy(x, in);
        x->reg_r11 = false;
        if (in->mnem == ZYDIS_MNEMONIC_XADD)
            emit_high_from_r11(x, in->op[1].reg & 3);
        return done;
    }
    reg = in->op[0].reg & 3;
    emit_load(x, R11, 1);
    emit_rorx(x, reg, reg, 8);
    emit_op_rr(x, in->opcode, reg, R11);
    emit_rorx(x, reg, reg, 24);
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
        emit_movsx_rr16(x, R13, index);
        index = R13;
    }
    emit_mov_ri(x, R11, low ? 5 : 4);
    emit_sarx(x, R11, index, R11);
    xl_offset(x, in, R9);
    emit_lea_sib(x, R9, R9, R11, low ? 4 : 2, 0, false);
    if (in->addrsize == 2)
        emit_movzx_rr16(x, R9, R9);
    if (!xl_bytes(x, in->seg, in->addrsize, in->opsize, access))
        return false;
    emit_mov_ri(x, R11, low ? 31 : 15);
    emit_pext(x, R11, hreg_of(in->op[1].reg), R11);
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
    x->ident = true;
    if (bit_string(in))
        return copy_bit_string(x, in, (enum xl_access)access);
    if (m && !xl_operand(x, in, m->size, (enum xl_access)access))
        return false;
    if (m && (insn_high_byte(&in->op[0]) || insn_high_byte(&in->op[1])))
        return (x->m.direct_map && emit_copy(x, in)) || copy_high(x, in);
    return emit_copy(x, in);
}

/* Without the host's LOCK, which XCHG with memory implies: there is one CPU.
 * mov r11, m;  mov m, reg;  mov reg, r11 */
bool xl_xchg(struct xl *x, const struct insn *in)
{
    const struct operand *m = insn_memory(in), *o = m == in->op ? &in->op[1] : &in->op[0];

    if (!m || o->kind != OP_REG)
        return xl_copy(x, in);
    if (!xl_operand(x, in, m->size, XL_WRITE))
        return false;
    emit_load(x, R11, m->size);
    if (insn_high_byte(o)) {
        emit_rorx(x, R13, o->reg & 3, 8);
        emit_store(x, R13, 1);
        emit_high_from_r11(x, o->reg & 3);
        return true;
    }
    emit_store(x, hreg_of(o->reg), m->size);
    if (m->size == 1)
        emit_op_rr(x, OPCODE_MOV_MR, R11, o->reg);
    else
        emit_mov_part(x, hreg_of(o->reg), R11, m->size);
    return true;
}

void xl_load_selector(struct xl *x, u8 dst, u8 seg)
{
    emit_movzx_rm16(x, dst, R15, selector_at(seg));
}

bool xl_store_selector(struct xl *x, const struct insn *in, u8 seg)
{
    u8 dst;

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

enum { MODRM_EAX_DISP = 0x05 }; /* memory at a displacement, and EAX */

/* MOV: copies, but for the moffs forms (A0-A3), whose encoding means 64 bits on the host. */
bool xl_mov(struct xl *x, const struct insn *in)
{
    struct insn as;
    bool load = in->op[0].kind == OP_REG;

    if (in->op[1].kind == OP_SEG)
        return in->op[1].reg <= GS && xl_store_selector(x, in, in->op[1].reg);
    if (in->op[0].kind == OP_SEG)
        return xl_mov_to_segment(x, in);
    if (in->op[0].kind == OP_CR || in->op[1].kind == OP_CR)
        return xl_mov_cr(x, in);
    if (in->op[0].kind == OP_DR || in->op[1].kind == OP_DR)
        return xl_mov_dr(x, in);
    if (in->map || (in->opcode & ~3) != OPCODE_MOV_MOFFS)
        return xl_copy(x, in);
    if (!plain_operands(in))
        return false;
    as = *in;
    as.opcode = (u8)((load ? OPCODE_MOV_RM : OPCODE_MOV_MR) | (in->opcode & 1));
    as.has_modrm = true;
    as.modrm = MODRM_EAX_DISP;
    as.imm_size = 0; /* the offset is the displacement */
    if (!xl_operand(x, in, insn_memory(in)->size, load ? XL_READ : XL_WRITE))
        return false;
    return emit_copy(x, &as);
}

/* A store like others: that it passes by the caches is a hint. */
bool xl_movnti(struct xl *x, const struct insn *in)
{
    if (!xl_operand(x, in, 4, XL_WRITE))
        return false;
    emit_store(x, hreg_of(in->op[1].reg), 4);
    return true;
}

/* Faults as a load of one byte does. */
bool xl_clflush(struct xl *x, const struct insn *in)
{
    if (!xl_operand(x, in, 1, XL_READ))
        return false;
    emit_load(x, R11, 1);
    return true;
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
    emit_mov_part(x, dst, R9, 2);
    return true;
}

bool xl_xlat(struct xl *x, const struct insn *in)
{
    emit_movzx_rr8(x, R9, RAX);
    emit_lea_sib(x, R9, R9, RBX, 1, 0, false);
    if (in->addrsize == 2)
        emit_movzx_rr16(x, R9, R9);
    if (!xl_bytes(x, in->seg, in->addrsize, 1, XL_READ))
        return false;
    emit_load(x, RAX, 1);
    return true;
}

bool xl_nop(struct xl *x, const struct insn *in)
{
    return true;
}
