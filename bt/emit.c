/*
 * The host encoder: the few fixed forms translated code needs.
 */
#include "bt/encode.h"

/* op reg, rm for an opcode of the one-byte map, of 32 or 64 bits */
static void op_rr(struct xl *x, u8 opcode, u8 reg, u8 rm, bool w)
{
    EMIT(x, rex_byte(w, reg, 0, rm), opcode, modrm_rr(reg, rm));
}

/* op reg, [base+disp] for an opcode of the one-byte map */
static void op_rm(struct xl *x, u8 opcode, u8 reg, u8 base, i32 disp, bool w)
{
    EMIT(x, rex_byte(w, reg, 0, base), opcode);
    modrm_disp(x, reg, base, disp);
}

/* The same of the map 0F. */
static void op_0f_rr(struct xl *x, u8 opcode, u8 reg, u8 rm)
{
    EMIT(x, rex_byte(0, reg, 0, rm), 0x0f, opcode, modrm_rr(reg, rm));
}

static void op_0f_rm(struct xl *x, u8 opcode, u8 reg, u8 base, i32 disp)
{
    EMIT(x, rex_byte(0, reg, 0, base), 0x0f, opcode);
    modrm_disp(x, reg, base, disp);
}

/* ---- Moves ---- */

void emit_mov_rr(struct xl *x, enum hreg dst, enum hreg src)
{
    op_rr(x, 0x89, src, dst, false);
}

void emit_mov_part(struct xl *x, enum hreg dst, enum hreg src, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    emit_mov_rr(x, dst, src);
}

void emit_mov_rr64(struct xl *x, enum hreg dst, enum hreg src)
{
    op_rr(x, 0x89, src, dst, true);
}

void emit_mov_ri(struct xl *x, enum hreg dst, u32 imm)
{
    EMIT(x, rex_byte(0, 0, 0, dst), (u8)(0xb8 | (dst & 7)));
    emit32(x, imm);
}

void emit_mov_ri64(struct xl *x, enum hreg dst, u64 imm)
{
    EMIT(x, rex_byte(1, 0, 0, dst), (u8)(0xb8 | (dst & 7)));
    emit64(x, imm);
}

void emit_mov_rm8(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_rm(x, 0x8a, dst, base, disp, false);
}

void emit_mov_rm16(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    emit8(x, 0x66);
    emit_mov_rm(x, dst, base, disp);
}

void emit_mov_rm(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_rm(x, 0x8b, dst, base, disp, false);
}

void emit_mov_rm64(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_rm(x, 0x8b, dst, base, disp, true);
}

void emit_mov_rm64_disp32(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    EMIT(x, rex_byte(1, dst, 0, base), 0x8b);
    modrm_disp32(x, dst, base, disp);
}

void emit_mov_rm64_index8(struct xl *x, enum hreg dst, enum hreg base, enum hreg index,
                          i32 disp)
{
    bool small = disp == (i8)disp;

    EMIT(x, rex_byte(1, dst, index, base), 0x8b,
         (u8)((small ? 0x40 : 0x80) | (dst & 7) << 3 | RSP), sib_byte(base, index, 8));
    if (small)
        EMIT(x, (u8)disp);
    else
        emit32(x, (u32)disp);
}

void emit_mov_mr8(struct xl *x, enum hreg base, i32 disp, enum hreg src)
{
    op_rm(x, 0x88, src, base, disp, false);
}

void emit_mov_mr16(struct xl *x, enum hreg base, i32 disp, enum hreg src)
{
    emit8(x, 0x66);
    emit_mov_mr(x, base, disp, src);
}

void emit_mov_mr(struct xl *x, enum hreg base, i32 disp, enum hreg src)
{
    op_rm(x, 0x89, src, base, disp, false);
}

void emit_mov_mr64(struct xl *x, enum hreg base, i32 disp, enum hreg src)
{
    op_rm(x, 0x89, src, base, disp, true);
}

void emit_mov_mi8(struct xl *x, enum hreg base, i32 disp, u8 imm)
{
    op_rm(x, 0xc6, 0, base, disp, false);
    emit8(x, imm);
}

void emit_mov_mi32(struct xl *x, enum hreg base, i32 disp, u32 imm)
{
    op_rm(x, 0xc7, 0, base, disp, false);
    emit32(x, imm);
}

void emit_mov_mi32_disp32(struct xl *x, enum hreg base, i32 disp, u32 imm)
{
    EMIT(x, rex_byte(0, 0, 0, base), 0xc7);
    modrm_disp32(x, 0, base, disp);
    emit32(x, imm);
}

void emit_movzx_rr8(struct xl *x, enum hreg dst, enum hreg src)
{
    op_0f_rr(x, 0xb6, dst, src);
}

void emit_movzx_eax_ah(struct xl *x)
{
    EMIT(x, 0x0f, 0xb6, 0xc4); /* no REX: with one, 4 is SPL */
}

void emit_movzx_rr16(struct xl *x, enum hreg dst, enum hreg src)
{
    op_0f_rr(x, 0xb7, dst, src);
}

void emit_movzx_rm8(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_0f_rm(x, 0xb6, dst, base, disp);
}

void emit_movzx_rm16(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_0f_rm(x, 0xb7, dst, base, disp);
}

void emit_mov_rm_index4(struct xl *x, enum hreg dst, enum hreg base, enum hreg index)
{
    EMIT(x, rex_byte(0, dst, index, base), 0x8b);
    modrm_sib(x, dst & 7, base, index, 4, 0);
}

void emit_movsx_rr16(struct xl *x, enum hreg dst, enum hreg src)
{
    op_0f_rr(x, 0xbf, dst, src);
}

void emit_movsx_rm8(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_0f_rm(x, 0xbe, dst, base, disp);
}

void emit_movsx_rm16(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_0f_rm(x, 0xbf, dst, base, disp);
}

void emit_xchg_rr64(struct xl *x, enum hreg a, enum hreg b)
{
    op_rr(x, 0x87, b, a, true);
}

/* ---- Arithmetic that leaves the flags alone ---- */

void emit_lea_rm(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_rm(x, 0x8d, dst, base, disp, false);
}

void emit_lea_rm64(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_rm(x, 0x8d, dst, base, disp, true);
}

u8 *emit_lea_rm_disp32(struct xl *x, enum hreg dst, enum hreg base, i32 disp, bool w)
{
    EMIT(x, rex_byte(w, dst, 0, base), 0x8d);
    modrm_disp32(x, dst, base, disp);
    return x->p - 4;
}

void emit_lea_sib(struct xl *x, enum hreg dst, u8 base, u8 index, u8 scale, i32 disp, bool w)
{
    if (index == NO_REG && base != NO_REG) {
        op_rm(x, 0x8d, dst, base, disp, w);
        return;
    }
    if (index == NO_REG) { /* disp32 alone: the zero-extended constant */
        emit_mov_ri(x, dst, (u32)disp);
        return;
    }
    EMIT(x, rex_byte(w, dst, index, base == NO_REG ? 0 : base), 0x8d);
    modrm_sib(x, dst, base, index, scale, disp);
}

void emit_not(struct xl *x, enum hreg reg)
{
    op_rr(x, 0xf7, 2, reg, false);
}

void emit_not64(struct xl *x, enum hreg reg)
{
    op_rr(x, 0xf7, 2, reg, true);
}

/* What a VEX prefix holds besides registers: opcode map, implied prefix. */
enum { MAP_0F38 = 2, MAP_0F3A = 3 };
enum { PP_66 = 1, PP_F3 = 2, PP_F2 = 3 };

/* VEX in three bytes, 128 bits: C4, RXB (inverted) and the map, W, vvvv (inverted) and pp. */
static void emit_vex(struct xl *x, u8 map, u8 pp, bool w, u8 reg, u8 vvvv, u8 rm)
{
    EMIT(x, 0xc4, (u8)((reg < 8) << 7 | 1 << 6 | (rm < 8) << 5 | map),
         (u8)(w << 7 | (~vvvv & 15) << 3 | pp));
}

/* rorx: VEX.LZ.F2.0F3A F0 /r ib */
static void vex_rorx(struct xl *x, u8 dst, u8 src, u8 by, bool w)
{
    emit_vex(x, MAP_0F3A, PP_F2, w, dst, 0, src);
    EMIT(x, 0xf0, modrm_rr(dst, src), by);
}

void emit_rorx(struct xl *x, enum hreg dst, enum hreg src, u8 by)
{
    vex_rorx(x, dst, src, by, false);
}

void emit_rorx64(struct xl *x, enum hreg dst, enum hreg src, u8 by)
{
    vex_rorx(x, dst, src, by, true);
}

/* dst in ModRM.reg, the others in VEX.vvvv and ModRM.rm; map 0F38 */
static void vex_rrr(struct xl *x, u8 pp, bool w, u8 opcode, u8 dst, u8 vvvv, u8 rm)
{
    emit_vex(x, MAP_0F38, pp, w, dst, vvvv, rm);
    EMIT(x, opcode, modrm_rr(dst, rm));
}

/* VEX.LZ.F2.0F38.W0 F7 /r */
void emit_shrx(struct xl *x, enum hreg dst, enum hreg src, enum hreg count)
{
    vex_rrr(x, PP_F2, false, 0xf7, dst, count, src);
}

void emit_shrx64(struct xl *x, enum hreg dst, enum hreg src, enum hreg count)
{
    vex_rrr(x, PP_F2, true, 0xf7, dst, count, src);
}

/* VEX.LZ.F3.0F38.W0 F7 /r */
void emit_sarx(struct xl *x, enum hreg dst, enum hreg src, enum hreg count)
{
    vex_rrr(x, PP_F3, false, 0xf7, dst, count, src);
}

/* VEX.LZ.66.0F38.W1 F7 /r */
void emit_shlx64(struct xl *x, enum hreg dst, enum hreg src, enum hreg count)
{
    vex_rrr(x, PP_66, true, 0xf7, dst, count, src);
}

/* VEX.LZ.F3.0F38.W0 F5 /r */
void emit_pext(struct xl *x, enum hreg dst, enum hreg src, enum hreg mask)
{
    vex_rrr(x, PP_F3, false, 0xf5, dst, src, mask);
}

/* VEX.LZ.F2.0F38.W0 F5 /r */
void emit_pdep(struct xl *x, enum hreg dst, enum hreg src, enum hreg mask)
{
    vex_rrr(x, PP_F2, false, 0xf5, dst, src, mask);
}

void emit_lahf(struct xl *x)
{
    emit8(x, 0x9f);
}

void emit_seto_r8(struct xl *x, enum hreg reg)
{
    op_0f_rr(x, 0x90 | CC_O, 0, reg);
}

void emit_ldmxcsr(struct xl *x, enum hreg base, i32 disp)
{
    EMIT(x, rex_byte(false, 0, 0, base), 0x0f, 0xae);
    modrm_disp(x, 2, base, disp);
}

void emit_rdtsc(struct xl *x)
{
    EMIT(x, 0x0f, 0x31);
}

void emit_cmove(struct xl *x, enum hreg dst, enum hreg src, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    op_0f_rr(x, 0x44, dst, src);
}

/* ---- Arithmetic that writes flags ---- */

void emit_op_rr(struct xl *x, u8 opcode, enum hreg reg, enum hreg rm)
{
    op_rr(x, opcode, reg, rm, false);
}

void emit_setcc_r8(struct xl *x, enum branch condition, enum hreg reg)
{
    op_0f_rr(x, (u8)(0x90 | condition), 0, reg);
}

void emit_sahf_from(struct xl *x, enum hreg reg)
{
    emit_mov_rr(x, RAX, reg);
    op_rr(x, 0x85, reg, reg, false);
    emit_sahf(x);
}

void emit_imul_rri(struct xl *x, enum hreg dst, enum hreg src, u32 imm)
{
    op_rr(x, 0x69, dst, src, false);
    emit32(x, imm);
}

void emit_div_r8(struct xl *x, enum hreg reg)
{
    op_rr(x, 0xf6, 6, reg, false);
}

void emit_xchg_al_ah(struct xl *x)
{
    EMIT(x, 0x86, 0xe0);
}

void emit_add_al(struct xl *x, u8 imm)
{
    EMIT(x, 0x04, imm);
}

void emit_cmp_rr(struct xl *x, enum hreg a, enum hreg b, u32 size)
{
    if (size == 2)
        emit8(x, 0x66);
    op_rr(x, size == 1 ? 0x3a : 0x3b, a, b, false);
}

void emit_adc_ri8(struct xl *x, enum hreg reg, u8 imm)
{
    op_rr(x, 0x80, 2, reg, false);
    emit8(x, imm);
}

void emit_and_ri(struct xl *x, enum hreg reg, i8 imm)
{
    op_rr(x, 0x83, 4, reg, false);
    emit8(x, (u8)imm);
}

void emit_shr_ri(struct xl *x, enum hreg reg, u8 by)
{
    op_rr(x, 0xc1, 5, reg, false);
    emit8(x, by);
}

void emit_bt_ri(struct xl *x, enum hreg reg, u8 bit)
{
    op_0f_rr(x, 0xba, 4, reg);
    emit8(x, bit);
}

void emit_test_ri(struct xl *x, enum hreg reg, u32 imm)
{
    op_rr(x, 0xf7, 0, reg, false);
    emit32(x, imm);
}

void emit_test_mr8(struct xl *x, enum hreg base, i32 disp, enum hreg reg)
{
    op_rm(x, 0x84, reg, base, disp, false);
}

void emit_xor_rm(struct xl *x, enum hreg dst, enum hreg base, i32 disp)
{
    op_rm(x, 0x33, dst, base, disp, false);
}

void emit_sahf(struct xl *x)
{
    emit8(x, 0x9e);
}

/* ---- Branches ---- */

void emit_jmp_vcpu(struct xl *x, i32 off)
{
    op_rm(x, 0xff, 4, R15, off, false);
}

void emit_call_vcpu(struct xl *x, i32 off)
{
    op_rm(x, 0xff, 2, R15, off, false);
}

void emit_call(struct xl *x, enum hreg reg)
{
    op_rr(x, 0xff, 2, reg, false);
}

void emit_fninit(struct xl *x)
{
    EMIT(x, 0xdb, 0xe3);
}

void emit_fwait(struct xl *x)
{
    emit8(x, 0x9b);
}

void emit_maskmov(struct xl *x, bool wide, u8 data, u8 mask)
{
    if (wide)
        emit8(x, 0x66);
    EMIT(x, 0x0f, 0xf7, (u8)(0xc0 | data << 3 | mask));
}

void emit_push_vcpu(struct xl *x, i32 off)
{
    op_rm(x, 0xff, 6, R15, off, false);
}

void emit_pop(struct xl *x, enum hreg reg)
{
    EMIT(x, rex_byte(0, 0, 0, reg), (u8)(0x58 | (reg & 7)));
}

void emit_ret(struct xl *x)
{
    emit8(x, 0xc3);
}

u8 *emit_branch(struct xl *x, enum branch branch)
{
    if (branch == JMP)
        emit8(x, 0xe9);
    else if (branch == CALL)
        emit8(x, 0xe8);
    else
        EMIT(x, 0x0f, (u8)(0x80 | branch));
    emit32(x, 0);
    return x->p - 4;
}

u8 *emit_jmp_rel8(struct xl *x)
{
    EMIT(x, 0xeb, 0);
    return x->p - 1;
}

u8 *emit_jrcxz(struct xl *x)
{
    EMIT(x, 0xe3, 0);
    return x->p - 1;
}

void emit_patch8(u8 *rel8, const u8 *to)
{
    *rel8 = (u8)(to - (rel8 + 1));
}

void emit_patch32(u8 *rel32, const u8 *to)
{
    i32 rel = (i32)(to - (rel32 + 4));

    memcpy(rel32, &rel, 4);
}

void emit_test_zero_rcx(struct xl *x, enum hreg save, u8 skip)
{
    u8 *over = emit_jrcxz(x);

    emit_mov_rr64(x, RCX, save);
    emit_patch8(over, x->p + skip);
}

void emit_test_zero(struct xl *x, enum hreg reg, enum hreg save, u8 skip)
{
    emit_mov_rr64(x, save, RCX);
    emit_mov_rr64(x, RCX, reg);
    emit_test_zero_rcx(x, save, skip);
}

u8 *emit_unless_zero_rcx(struct xl *x, enum hreg save)
{
    u8 *jump;

    emit_test_zero_rcx(x, save, 5);
    jump = emit_branch(x, JMP);
    emit_mov_rr64(x, RCX, save);
    return jump;
}

u8 *emit_unless_zero(struct xl *x, enum hreg reg, enum hreg save)
{
    emit_mov_rr64(x, save, RCX);
    emit_mov_rr64(x, RCX, reg);
    return emit_unless_zero_rcx(x, save);
}

void emit_eip(struct xl *x, enum hreg dst, u32 eip)
{
    if (!x->pic) {
        emit_mov_ri(x, dst, eip);
        return;
    }
    emit_mov_rm(x, dst, R15, TC_PAGE);
    emit_lea_rm_disp32(x, dst, dst, (i32)eip, false);
}

void emit_set_eip(struct xl *x, u32 eip)
{
    if (!x->pic) {
        emit_mov_mi32(x, R15, VCPU_EIP, eip);
        return;
    }
    emit_eip(x, R10, eip);
    emit_mov_mr(x, R15, VCPU_EIP, R10);
}

void emit_count_tu(struct xl *x)
{
    struct bt *bt = x->bt;

    if (!bt->tu_runs)
        return;
    emit_mov_ri64(x, R9, (u64)&bt->tu_runs[bt->tu_count]);
    emit_mov_rm64(x, R10, R9, 0);
    emit_lea_rm64(x, R10, R10, 1);
    emit_mov_mr64(x, R9, 0, R10);
}

void emit_reuse(struct xl *x)
{
    if (!reuse_looks_at(x->bt, x->bt->tu_count))
        return;
    emit_mov_ri(x, R9, x->bt->tu_count);
    emit_call_vcpu(x, TC_REUSE);
}

u8 *emit_count(struct xl *x, u32 which, u32 by)
{
    u8 *imm;

    if (!x->bt->config.count_runs)
        return NULL;
    emit_mov_rm64(x, R10, R15, TC_RUNS + 8 * (i32)which);
    imm = emit_lea_rm_disp32(x, R10, R10, (i32)by, true);
    emit_mov_mr64(x, R15, TC_RUNS + 8 * (i32)which, R10);
    return imm;
}
