/*
 * The host encoder: the few fixed forms translated code needs, and the guest's own instructions
 * with their registers renamed.
 */
#include "bt/emit.h"
#include "cpu/hostexec.h"

static u8 rex(bool w, u8 reg, u8 index, u8 base)
{
    return (u8)(0x40 | w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1));
}

void emit_mov_rr(struct xl *x, enum hreg dst, enum hreg src)
{
    EMIT(x, rex(0, src, 0, dst), 0x89, (u8)(0xc0 | (src & 7) << 3 | (dst & 7)));
}

void emit_mov_ri(struct xl *x, enum hreg dst, u32 imm)
{
    EMIT(x, rex(0, 0, 0, dst), (u8)(0xb8 | (dst & 7)));
    emit32(x, imm);
}

void emit_mov_ri64(struct xl *x, enum hreg dst, u64 imm)
{
    EMIT(x, rex(1, 0, 0, dst), (u8)(0xb8 | (dst & 7)));
    emit64(x, imm);
}

/* ModRM with a base register and a displacement; RSP and R12 as base need a SIB. */
static void modrm_disp(struct xl *x, u8 reg, u8 base, i32 disp)
{
    u8 mod = !disp && (base & 7) != RBP ? 0 : disp == (i8)disp ? 0x40 : 0x80;

    emit8(x, (u8)(mod | (reg & 7) << 3 | (base & 7)));
    if ((base & 7) == RSP)
        emit8(x, 0x24);
    if (mod == 0x40)
        emit8(x, (u8)disp);
    else if (mod)
        emit32(x, (u32)disp);
}

void emit_op_rm(struct xl *x, u8 opcode, enum hreg reg, enum hreg base, i32 disp, bool w)
{
    EMIT(x, rex(w, reg, 0, base), opcode);
    modrm_disp(x, reg, base, disp);
}

void emit_lea_rm(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    emit_op_rm(x, 0x8d, dst, base, disp, false);
}

void emit_lea_sib(struct xl *x, enum hreg dst, u8 base, u8 index, u8 scale, i32 disp, bool w)
{
    u8 shift = scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0, mod;

    if (index == NO_REG && base != NO_REG) {
        emit_op_rm(x, 0x8d, dst, base, disp, w);
        return;
    }
    if (index == NO_REG) { /* disp32 alone: the zero-extended constant */
        emit_mov_ri(x, dst, (u32)disp);
        return;
    }
    EMIT(x, rex(w, dst, index, base == NO_REG ? 0 : base), 0x8d);
    if (base == NO_REG) { /* mod 00, base 101: disp32 */
        EMIT(x, (u8)((dst & 7) << 3 | 4), (u8)(shift << 6 | (index & 7) << 3 | 5));
        emit32(x, (u32)disp);
        return;
    }
    mod = !disp && (base & 7) != RBP ? 0 : disp == (i8)disp ? 0x40 : 0x80;
    EMIT(x, (u8)(mod | (dst & 7) << 3 | 4), (u8)(shift << 6 | (index & 7) << 3 | (base & 7)));
    if (mod == 0x40)
        emit8(x, (u8)disp);
    else if (mod)
        emit32(x, (u32)disp);
}

void emit_movzx16(struct xl *x, enum hreg dst, enum hreg src)
{
    EMIT(x, rex(0, dst, 0, src), 0x0f, 0xb7, (u8)(0xc0 | (dst & 7) << 3 | (src & 7)));
}

void emit_jmp_vcpu(struct xl *x, i32 off)
{
    EMIT(x, 0x41, 0xff);
    modrm_disp(x, 4, R15, off);
}

void emit_call_vcpu(struct xl *x, i32 off)
{
    EMIT(x, 0x41, 0xff);
    modrm_disp(x, 2, R15, off);
}

/* mov r64, r64 */
static void emit_mov64(struct xl *x, enum hreg dst, enum hreg src)
{
    EMIT(x, rex(1, src, 0, dst), 0x89, (u8)(0xc0 | (src & 7) << 3 | (dst & 7)));
}

void emit_mov_part(struct xl *x, enum hreg dst, enum hreg src, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    emit_mov_rr(x, dst, src);
}

void emit_test_zero(struct xl *x, enum hreg reg, enum hreg save, u8 skip)
{
    emit_mov64(x, save, RCX);
    emit_mov64(x, RCX, reg);
    EMIT(x, 0xe3, (u8)(3 + skip));
    emit_mov64(x, RCX, save);
}

u8 *emit_unless_zero(struct xl *x, enum hreg reg, enum hreg save)
{
    u8 *jump;

    emit_test_zero(x, reg, save, 5);
    emit8(x, 0xe9);
    jump = x->p;
    emit32(x, 0);
    emit_mov64(x, RCX, save);
    return jump;
}

void emit_patch32(u8 *rel32, const u8 *to)
{
    i32 rel = (i32)(to - (rel32 + 4));

    memcpy(rel32, &rel, 4);
}

u8 *emit_count(struct xl *x, u32 which, u32 by)
{
    u8 *imm;

    if (!x->bt->config.count_runs)
        return NULL;
    emit_op_rm(x, 0x8b, R10, R15, TC_RUNS + 8 * (i32)which, true);
    EMIT(x, 0x4d, 0x8d, 0x92);
    imm = x->p;
    emit32(x, by);
    emit_op_rm(x, 0x89, R10, R15, TC_RUNS + 8 * (i32)which, true);
    return imm;
}

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

    return rex(false, 0, m->index == NO_REG ? 0 : m->index, m->base == NO_REG ? 0 : m->base);
}

static void place_modrm(struct xl *x, u8 reg)
{
    const struct xl_place *m = &x->m;
    u8 shift = m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2 ? 1 : 0;
    u8 index = m->index == NO_REG ? RSP : m->index & 7, mod;

    if (m->base != NO_REG && m->index == NO_REG) {
        modrm_disp(x, reg, m->base, m->disp);
        return;
    }
    if (m->base == NO_REG) {
        EMIT(x, (u8)(reg << 3 | 4), (u8)(shift << 6 | index << 3 | 5));
        emit32(x, (u32)m->disp);
        return;
    }
    mod = !m->disp && (m->base & 7) != RBP ? 0 : m->disp == (i8)m->disp ? 0x40 : 0x80;
    EMIT(x, (u8)(mod | reg << 3 | 4), (u8)(shift << 6 | index << 3 | (m->base & 7)));
    if (mod == 0x40)
        emit8(x, (u8)m->disp);
    else if (mod)
        emit32(x, (u32)m->disp);
}

static void move(struct xl *x, u8 opcode, u8 reg, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    place_prefixes(x);
    EMIT(x, (u8)(place_rex(x) | (reg >= 8) << 2), (u8)(opcode - (size == 1)));
    place_modrm(x, reg & 7);
}

void emit_load(struct xl *x, u8 reg, u32 size)
{
    move(x, 0x8b, reg, size);
}

void emit_load_word(struct xl *x)
{
    emit_load(x, R11, 2);
    emit_movzx16(x, R9, R11);
}

void emit_store(struct xl *x, u8 reg, u32 size)
{
    move(x, 0x89, reg, size);
}

void emit_store_imm(struct xl *x, u32 imm, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
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
        emit_op_rm(x, 0x89, R11, R15, TC_SCRATCH + 16, false);
}

void emit_unhold(struct xl *x, u8 seg)
{
    if (looked_at(x, seg))
        emit_op_rm(x, 0x8b, R11, R15, TC_SCRATCH + 16, false);
}

/* ---- The guest's instruction once more ---- */

/* Encodings 64-bit mode gave to others: INC and DEC r (40-4F), and the moffs MOVs, which are made
 * in xl_mov. Writes FF /0 or /1. */
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

static void copy_prefixes(struct xl *x, const struct insn *in)
{
    bool fence = in->map == 1 && in->opcode == 0xae;
    u8 prefix = xl_fpu_native(in) ? hostexec_prefix(in) : in->opsize == 2 && !fence ? 0x66 : 0;

    if (prefix)
        emit8(x, prefix);
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
    copy_prefixes(x, in);
    if (memory)
        place_prefixes(x);
    if (r != 0x40)
        emit8(x, r);
    if (in->map == 0 && opcode == 0x82)
        opcode = 0x80; /* its twin, which 64-bit mode lacks */
    if (!in->has_modrm && r & 1)
        opcode &= (u8)~7; /* ESP is 4, r8 is 8: its low bits are 0 */
    copy_opcode(x, in, opcode);
    if (in->has_modrm)
        copy_modrm(x, in, memory, r);
    emit_bytes(x, in->raw + in->len - in->imm_size, in->imm_size);
    return true;
}
