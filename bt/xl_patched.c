/*
 * Instructions whose immediate or displacement the guest overwrites again and again: what reads
 * it from where it stands, so that those bytes are no code, and a store to them is one to data.
 *
 *      mov r11, address of the immediate;  mov r11d, [r11];  op operand, r11d
 *      mov r9, address of the displacement;  mov r9d, [r9];  lea r9d, [r9+base];  …
 */
#include "bt/encode.h"
#include "bt/emit.h"

/* TEST r/m, r;  MOV r/m, r. Bit 0: not of bytes (SDM vol. 2, appendix A). */
enum { OPCODE_TEST = 0x84, OPCODE_MOV = 0x88 };

static bool is_shift(const struct insn *in)
{
    return !in->map && (in->opcode & ~1) == 0xc0;
}

/* The opcode with a register in place of the immediate; 0: none. */
static u8 by_register(const struct insn *in)
{
    u8 wide = in->op[0].size > 1;

    if (in->map || in->op[1].kind != OP_IMM)
        return 0;
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_CMP:
        /* 80 to 83 /n;  04, 05 and n * 8 */
        return (u8)((in->has_modrm ? in->modrm & 0x38 : in->opcode & 0x38) | wide);
    case ZYDIS_MNEMONIC_TEST:
        return OPCODE_TEST | wide;
    case ZYDIS_MNEMONIC_MOV:
        return OPCODE_MOV | wide;
    default:
        return 0;
    }
}

static bool jumps_near(const struct insn *in)
{
    return in->mnem == ZYDIS_MNEMONIC_JMP && in->op[0].kind == OP_REL;
}

/* A shift of memory would fault with the count in ECX. */
static bool takes_immediate(const struct insn *in)
{
    if (jumps_near(in) || (in->mnem == ZYDIS_MNEMONIC_PUSH && in->op[0].kind == OP_IMM))
        return true;
    if (is_shift(in))
        return in->op[0].kind == OP_REG && !insn_high_byte(&in->op[0]);
    return by_register(in) && (in->mnem == ZYDIS_MNEMONIC_MOV || !insn_high_byte(&in->op[0]));
}

static bool takes_displacement(const struct insn *in)
{
    xl_handler *fn = xl_rows[in->mnem].translate;

    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_SEG)
            return false;
    return insn_memory(in) && (fn == xl_copy || fn == xl_mov || fn == xl_lea || fn == xl_xchg ||
                               xl_fpu_native(in));
}

struct hole xl_field(const struct insn *in, enum fact fact)
{
    if (fact == FACT_PATCHED_IMM && in->imm_size && takes_immediate(in))
        return (struct hole){(u8)(in->len - in->imm_size), in->imm_size};
    if (fact == FACT_PATCHED_DISP && in->disp_size && takes_displacement(in))
        return (struct hole){(u8)(in->len - in->imm_size - in->disp_size), in->disp_size};
    return (struct hole){0, 0};
}

/* dst := the field, sign-extended. mov dst, address;  movsx or mov dst, [dst] */
static void load_field(struct xl *x, const struct insn *in, enum fact fact, enum hreg dst)
{
    struct hole f = xl_field(in, fact);

    emit_mov_ri64(x, dst, (u64)(x->code + x->site->eip_off + f.at));
    if (f.n == 1)
        emit_movsx_rm8(x, dst, dst, 0);
    else if (f.n == 2)
        emit_movsx_rm16(x, dst, dst, 0);
    else
        emit_mov_rm(x, dst, dst, 0);
}

void xl_patched_offset(struct xl *x, const struct insn *in)
{
    load_field(x, in, FACT_PATCHED_DISP, R9);
    if (in->base != NO_REG)
        emit_lea_sib(x, R9, R9, hreg_of(in->base), 1, 0, false);
    if (in->index != NO_REG)
        emit_lea_sib(x, R9, R9, hreg_of(in->index), in->scale, 0, false);
}

static bool move(struct xl *x, const struct insn *in)
{
    const struct operand *to = &in->op[0];

    load_field(x, in, FACT_PATCHED_IMM, R11);
    if (to->kind == OP_MEM)
        emit_store(x, R11, to->size);
    else if (insn_high_byte(to))
        emit_high_from_r11(x, to->reg & 3);
    else if (to->size == 1)
        emit_op_rr(x, OPCODE_MOV, R11, to->reg);
    else
        emit_mov_part(x, hreg_of(to->reg), R11, to->size);
    return true;
}

/* op operand, r11 */
static bool with_r11(struct xl *x, const struct insn *in)
{
    struct insn as = *in;
    bool done;

    load_field(x, in, FACT_PATCHED_IMM, R11);
    if (in->op[0].kind == OP_REG) {
        if (in->op[0].size == 2)
            emit8(x, 0x66);
        emit_op_rr(x, by_register(in), R11, hreg_of(in->op[0].reg));
        return true;
    }
    as.opcode = by_register(in);
    as.imm_size = 0;
    as.op[1] = (struct operand){OP_REG, EAX, in->op[0].size};
    x->reg_r11 = true;
    done = emit_copy(x, &as);
    x->reg_r11 = false;
    return done;
}

/* mov r11, rcx;  count to ecx;  op register, cl;  mov rcx, r11: of ECX itself, r11 is it. */
static bool shift(struct xl *x, const struct insn *in)
{
    const struct operand *o = &in->op[0];
    u8 reg = o->reg == ECX ? R11 : hreg_of(o->reg);

    emit_mov_rr64(x, R11, RCX);
    load_field(x, in, FACT_PATCHED_IMM, RCX);
    if (o->size == 2)
        emit8(x, 0x66);
    emit_op_rr(x, (u8)(0xd2 | (o->size > 1)), in->modrm >> 3 & 7, reg);
    emit_mov_rr64(x, RCX, R11);
    return true;
}

static bool jump(struct xl *x, const struct insn *in)
{
    load_field(x, in, FACT_PATCHED_IMM, R9);
    emit_eip(x, R13, x->next_eip);
    emit_lea_sib(x, R13, R13, R9, 1, 0, false);
    return xl_jump_r13(x, in);
}

bool xl_with_patched_imm(struct xl *x, const struct insn *in)
{
    enum xl_access access = (enum xl_access)xl_rows[in->mnem].access;

    if (jumps_near(in))
        return jump(x, in);
    if (in->mnem == ZYDIS_MNEMONIC_PUSH) {
        load_field(x, in, FACT_PATCHED_IMM, R11);
        return xl_push_reg(x, R11, in->opsize);
    }
    if (in->op[0].kind == OP_MEM && !xl_operand(x, in, in->op[0].size, access))
        return false;
    if (is_shift(in))
        return shift(x, in);
    return in->mnem == ZYDIS_MNEMONIC_MOV ? move(x, in) : with_r11(x, in);
}
