/*
 * Decimal adjustment, which 64-bit code lacks: by a table of what the interpreter makes of AL,
 * AF and CF (cpu/bcd.c); AAM and AAD by what the manual says they compute.
 */
#include "bt/emit.h"
#include <stdlib.h>
#include <string.h>

insn_handler ex_daa, ex_das, ex_aaa, ex_aas;

/* What an entry holds: what is added to AX, and above it the flags as LAHF has them. */
static u32 entry_of(struct vcpu *cpu, insn_handler *adjust, u32 al, u32 flags)
{
    const u32 ax = 0x8000 | al;

    cpu->gpr[EAX] = ax;
    cpu->eflags = flags;
    adjust(cpu, NULL);
    return ((cpu->gpr[EAX] - ax) & 0xffff) | (cpu->eflags & 0xff) << 16;
}

void decimal_init(struct bt *bt)
{
    static insn_handler *const adjust[DECIMAL_KINDS] = {ex_daa, ex_das, ex_aaa, ex_aas};
    struct vcpu *scratch = aligned_alloc(_Alignof(struct vcpu), sizeof(*scratch));

    memset(scratch, 0, sizeof(*scratch));
    bt->decimal = calloc(DECIMAL_KINDS, sizeof(*bt->decimal));
    for (u32 k = 0; k < DECIMAL_KINDS; k++)
        for (u32 i = 0; i < DECIMAL_ENTRIES; i++)
            bt->decimal[k][i] = entry_of(scratch, adjust[k], i & 0xff,
                                         (i >> 8 & 1 ? FLAG_CF : 0) | (i >> 9 ? FLAG_AF : 0));
    free(scratch);
}

static enum decimal kind_of(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_DAA:
        return DECIMAL_DAA;
    case ZYDIS_MNEMONIC_DAS:
        return DECIMAL_DAS;
    case ZYDIS_MNEMONIC_AAA:
        return DECIMAL_AAA;
    default:
        return DECIMAL_AAS;
    }
}

/* mov r9d, eax;  lahf;  mov r11d, 11ff (AL, CF, AF);  pext r10d, eax, r11d;  mov r11, table;
 * mov r10d, [r11+r10*4];  lea r11d, [r9+r10];  mov r9w, r11w;  rorx r10d, r10d, 8;  the flags;
 * mov eax, r9d */
bool xl_decimal(struct xl *x, const struct insn *in)
{
    emit_mov_rr(x, R9, RAX);
    emit_lahf(x);
    emit_mov_ri(x, R11, 0x11ff);
    emit_pext(x, R10, RAX, R11);
    emit_mov_ri64(x, R11, (u64)x->bt->decimal[kind_of(in)]);
    emit_mov_rm_index4(x, R10, R11, R10);
    emit_lea_sib(x, R11, R9, R10, 1, 0, false);
    emit_mov_part(x, R9, R11, 2);
    emit_rorx(x, R10, R10, 8);
    emit_sahf_from(x, R10);
    emit_mov_rr(x, RAX, R9);
    return true;
}

/* mov r9d, eax;  movzx eax, al;  mov r11d, base;  div r11b;  xchg al, ah;  mov r9w, ax;  add
 * al, 0 (the flags);  mov eax, r9d */
bool xl_aam(struct xl *x, const struct insn *in)
{
    if (!(u8)in->imm)
        return false;
    emit_mov_rr(x, R9, RAX);
    emit_movzx_rr8(x, RAX, RAX);
    emit_mov_ri(x, R11, (u8)in->imm);
    emit_div_r8(x, R11);
    emit_xchg_al_ah(x);
    emit_mov_part(x, R9, RAX, 2);
    emit_add_al(x, 0);
    emit_mov_rr(x, RAX, R9);
    return true;
}

/* mov r10d, eax;  movzx eax, ah;  imul r9d, eax, base;  mov eax, r10d;  add al, r9b;
 * movzx r9d, al;  mov ax, r9w */
bool xl_aad(struct xl *x, const struct insn *in)
{
    emit_mov_rr(x, R10, RAX);
    emit_movzx_eax_ah(x);
    emit_imul_rri(x, R9, RAX, (u8)in->imm);
    emit_mov_rr(x, RAX, R10);
    emit_op_rr(x, 0x00, R9, RAX);
    emit_movzx_rr8(x, R9, RAX);
    emit_mov_part(x, RAX, R9, 2);
    return true;
}

/* mov r9d, 0;  setc r9b;  not r9d;  lea r9d, [r9+1];  mov al, r9b */
bool xl_salc(struct xl *x, const struct insn *in)
{
    emit_mov_ri(x, R9, 0);
    emit_setcc_r8(x, CC_B, R9);
    emit_not(x, R9);
    emit_lea_rm(x, R9, R9, 1);
    emit_op_rr(x, 0x88, R9, RAX);
    return true;
}
