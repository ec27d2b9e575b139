/*
 * Host code whose memory operand is x->m: moves, and the guest's own instructions with their
 * registers renamed.
 */
#include "bt/encode.h"
#include "cpu/cpuid.h"
#include "cpu/hostexec.h"

/* ---- Operands in memory ---- */

/* What says x->m: prefixes, REX, ModRM and what belongs to it. */
static void place_prefixes(struct xl *x)
{
    if (x->m.direct_map)
        emit8(x, 0x65);
    if (x->m.wraps)
        emit8(x, 0x67);
}

static u8 place_rex(const struct xl *x)
{
    const struct xl_place *m = &x->m;

    return rex_byte(false, 0, m->index == NO_REG ? 0 : m->index,
                    m->base == NO_REG ? 0 : m->base);
}

static void place_modrm(struct xl *x, u8 reg)
{
    const struct xl_place *m = &x->m;

    if (m->base != NO_REG && m->index == NO_REG)
        modrm_disp(x, reg, m->base, m->disp);
    else
        modrm_sib(x, reg, m->base, m->index == NO_REG ? RSP : m->index, m->scale, m->disp);
}

static void emit_move_place(struct xl *x, u8 opcode, u8 reg, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    place_prefixes(x);
    EMIT(x, (u8)(place_rex(x) | (reg >= 8) << 2), (u8)(opcode - (size == 1)));
    place_modrm(x, reg & 7);
}

void emit_load(struct xl *x, u8 reg, u32 size)
{
    emit_move_place(x, 0x8b, reg, size);
}

void emit_load_word(struct xl *x)
{
    place_prefixes(x);
    EMIT(x, (u8)(place_rex(x) | 4), 0x0f, 0xb7); /* movzx r9d, word m */
    place_modrm(x, R9 & 7);
}

void emit_store(struct xl *x, u8 reg, u32 size)
{
    emit_move_place(x, 0x89, reg, size);
}

void emit_store_imm(struct xl *x, u32 imm, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    place_prefixes(x);
    EMIT(x, place_rex(x), 0xc7); /* mov m, imm */
    place_modrm(x, 0);
    if (size == 2)
        EMIT(x, (u8)imm, (u8)(imm >> 8));
    else
        emit32(x, imm);
}

static bool looked_at(const struct xl *x, u8 seg)
{
    enum seg_class class = context_seg(x->context->key, seg);

    return x->checked || x->unaligned || (class != SEG_FLAT && class != SEG_BASE);
}

void emit_hold(struct xl *x, u8 seg)
{
    if (looked_at(x, seg))
        emit_mov_mr(x, R15, TC_SCRATCH + 16, R11);
}

void emit_unhold(struct xl *x, u8 seg)
{
    if (looked_at(x, seg))
        emit_mov_rm(x, R11, R15, TC_SCRATCH + 16);
}

/* ---- The guest's instruction once more ---- */

/* Encodings 64-bit mode gave to others: INC and DEC r (40-4F), and the moffs MOVs, which are
 * made in xl_mov. Writes FF /0 or /1. */
static void copy_incdec(struct xl *x, const struct insn *in)
{
    u8 reg = hreg_of(in->opcode & 7);

    if (in->opsize == 2)
        emit8(x, 0x66);
    if (reg >= 8)
        emit8(x, 0x41);
    EMIT(x, 0xff, (u8)(0xc0 | (in->opcode & 8) | (reg & 7)));
}

static void copy_opcode(struct xl *x, const struct insn *in, u8 opcode)
{
    if (in->map)
        emit8(x, 0x0f);
    if (in->map == 2)
        emit8(x, 0x38);
    if (in->map == 3)
        emit8(x, 0x3a);
    emit8(x, opcode);
}

/* F2 or F3, where it is part of the opcode of an instruction on general registers. LZCNT and
 * TZCNT are BSR and BSF to a CPU without them. */
static u8 copy_repeat(const struct xl *x, const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_POPCNT:
        return 0xf3;
    case ZYDIS_MNEMONIC_LZCNT:
        return cpu_has(x->bt->cpu, FEAT_LZCNT) ? 0xf3 : 0;
    case ZYDIS_MNEMONIC_TZCNT:
        return cpu_has(x->bt->cpu, FEAT_BMI1) ? 0xf3 : 0;
    case ZYDIS_MNEMONIC_CRC32:
        return 0xf2;
    default:
        return 0;
    }
}

static void copy_prefixes(struct xl *x, const struct insn *in)
{
    bool fence = in->map == 1 && in->opcode == 0xae;
    u8 prefix = xl_fpu_native(in) ? hostexec_prefix(in) : in->opsize == 2 && !fence ? 0x66 : 0;
    u8 repeat = copy_repeat(x, in);

    if (prefix)
        emit8(x, prefix);
    if (repeat)
        emit8(x, repeat);
}

/* The REX prefix that renames ESP to r8 and reaches [r10+r9]; 0x40: none is needed. */
static u8 copy_rex(const struct xl *x, const struct insn *in, bool memory)
{
    u8 r = memory ? place_rex(x) : 0x40;

    if (x->reg_r11)
        return r | 4;

    if (in->gpr_fields & GPR_REG && (in->modrm >> 3 & 7) == ESP)
        r |= 4;
    if ((in->gpr_fields & GPR_RM && (in->modrm & 7) == ESP) ||
        (in->gpr_fields & GPR_OPCODE && (in->opcode & 7) == ESP))
        r |= 1;
    return r;
}

/* Its three-byte form, with general registers renamed. */
static void copy_vex(struct xl *x, const struct insn *in, u8 rex)
{
    u8 vex[3], vvvv = hostexec_vvvv(in);

    hostexec_vex(in, rex, in->gpr_fields & GPR_VVVV ? hreg_of(vvvv) : vvvv, vex);
    emit_bytes(x, vex, sizeof(vex));
    emit8(x, in->opcode);
}

static void copy_modrm(struct xl *x, const struct insn *in, bool memory, u8 r)
{
    u8 reg = x->reg_r11 ? R11 & 7 : r & 4 ? R8 & 7 : in->modrm >> 3 & 7;

    if (memory)
        place_modrm(x, reg);
    else
        emit8(x, (u8)(0xc0 | reg << 3 | (r & 1 ? R8 & 7 : in->modrm & 7)));
}

bool emit_copy(struct xl *x, const struct insn *in)
{
    bool memory = in->has_modrm && in->modrm >> 6 != 3, high = false;
    u8 r = copy_rex(x, in, memory), opcode = in->opcode;

    for (u32 i = 0; i < in->nops; i++)
        high |= insn_high_byte(&in->op[i]);
    if (high && r != 0x40 && !x->reg_r11)
        return false;
    if (in->map == 0 && (opcode & 0xf0) == 0x40) {
        copy_incdec(x, in);
        return true;
    }
    if (!in->vex)
        copy_prefixes(x, in);
    if (memory)
        place_prefixes(x);
    if (in->map == 0 && opcode == 0x82)
        opcode = 0x80; /* its twin, which 64-bit mode lacks */
    if (!in->has_modrm && r & 1)
        opcode &= (u8)~7; /* ESP is 4, r8 is 8: its low bits are 0 */
    if (in->vex) {
        copy_vex(x, in, r);
    } else {
        if (r != 0x40)
            emit8(x, r);
        copy_opcode(x, in, opcode);
    }
    if (in->has_modrm)
        copy_modrm(x, in, memory, r);
    if (in->vex && in->imm_size)
        emit8(x, hostexec_vex_imm(in));
    else
        emit_bytes(x, in->raw + in->len - in->imm_size, in->imm_size);
    return true;
}
