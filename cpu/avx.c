/*
 * AVX and AVX2 (SDM vol. 1, chapter 14): the checks that VEX brings, and the instructions that
 * access memory element by element. What computes is the host's own instruction, by sse.c.
 *
 * The guest's XMM registers are in its FXSAVE image, the upper halves of YMM in vcpu.ymm_high.
 */
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"

#include <string.h>

insn_handler ex_ldmxcsr, ex_stmxcsr;

enum { YMM_BYTES = 32, XMM_BYTES = 16 };

/* Neither CR0.EM nor CR4.OSFXSR counts (vol. 2, 2.4). */
static bool avx_check(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_avx_enabled(cpu) || !simd_has_form(cpu, in))
        return cpu_fault(cpu, EXC_UD, 0);
    if (cpu->cr0 & CR0_TS)
        return cpu_fault(cpu, EXC_NM, 0);
    return true;
}

bool ex_avx(struct vcpu *cpu, const struct insn *in)
{
    return avx_check(cpu, in) && simd_compute(cpu, in);
}

bool ex_vldmxcsr(struct vcpu *cpu, const struct insn *in)
{
    return avx_check(cpu, in) && ex_ldmxcsr(cpu, in);
}

bool ex_vstmxcsr(struct vcpu *cpu, const struct insn *in)
{
    return avx_check(cpu, in) && ex_stmxcsr(cpu, in);
}

bool ex_vmaskmovdqu(struct vcpu *cpu, const struct insn *in)
{
    return avx_check(cpu, in) && simd_masked_store(cpu, in, cpu->fpu.xmm[in->op[0].reg],
                                                   cpu->fpu.xmm[in->op[1].reg], XMM_BYTES);
}

/* ---- Registers ---- */

static u32 vector_bytes(const struct insn *in)
{
    return insn_vex_256(in) ? YMM_BYTES : XMM_BYTES;
}

static void ymm_read(const struct vcpu *cpu, u32 reg, u8 to[YMM_BYTES])
{
    memcpy(to, cpu->fpu.xmm[reg], XMM_BYTES);
    memcpy(to + XMM_BYTES, cpu->ymm_high[reg], XMM_BYTES);
}

static void ymm_write(struct vcpu *cpu, u32 reg, const u8 from[YMM_BYTES])
{
    memcpy(cpu->fpu.xmm[reg], from, XMM_BYTES);
    memcpy(cpu->ymm_high[reg], from + XMM_BYTES, XMM_BYTES);
}

/* ---- VMASKMOVPS and its kin: elements whose mask has its sign bit set ---- */

static bool selected(const u8 *mask, u32 at, u32 size)
{
    return mask[at + size - 1] & 0x80;
}

static bool masked_load(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u8 mask[YMM_BYTES], val[YMM_BYTES] = { 0 };
    u32 off = insn_offset(cpu, in);

    ymm_read(cpu, in->op[1].reg, mask);
    for (u32 at = 0; at < vector_bytes(in); at += size)
        if (selected(mask, at, size) &&
            !cpu_read_bytes(cpu, in->seg, off + at, val + at, size))
            return false;
    ymm_write(cpu, in->op[0].reg, val);
    return true;
}

static bool masked_elements_store(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u8 mask[YMM_BYTES], val[YMM_BYTES];
    u32 off = insn_offset(cpu, in);

    ymm_read(cpu, in->op[1].reg, mask);
    ymm_read(cpu, in->op[2].reg, val);
    for (u32 at = 0; at < vector_bytes(in); at += size)
        if (selected(mask, at, size) && !cpu_check_write(cpu, in->seg, off + at, size))
            return false;
    for (u32 at = 0; at < vector_bytes(in); at += size)
        if (selected(mask, at, size) &&
            !cpu_write_bytes(cpu, in->seg, off + at, val + at, size))
            return false;
    return true;
}

bool ex_vmaskmov(struct vcpu *cpu, const struct insn *in)
{
    bool wide = in->mnem == ZYDIS_MNEMONIC_VMASKMOVPD || in->mnem == ZYDIS_MNEMONIC_VPMASKMOVQ;

    if (!avx_check(cpu, in))
        return false;
    return in->op[0].kind == OP_MEM ? masked_elements_store(cpu, in, wide ? 8 : 4)
                                    : masked_load(cpu, in, wide ? 8 : 4);
}

/* ---- Gathers: each element's address by an element of the index register ---- */

struct gather {
    u8 val[YMM_BYTES], mask[YMM_BYTES], index[YMM_BYTES];
    u32 size, index_size; /* of an element */
};

static u32 gather_offset(const struct vcpu *cpu, const struct insn *in, const struct gather *g,
                         u32 i)
{
    u32 off = (u32)in->disp, index;

    memcpy(&index, g->index + i * g->index_size, 4); /* addresses have 32 bits */
    if (in->base != NO_REG)
        off += cpu->gpr[in->base];
    return off + index * in->scale;
}

/* From the lowest one on. What is done is done, should one of them fault (vol. 2, "VPGATHERDD"). */
static bool gather_elements(struct vcpu *cpu, const struct insn *in, struct gather *g, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u32 at = i * g->size;

        if (selected(g->mask, at, g->size) &&
            !cpu_read_bytes(cpu, in->seg, gather_offset(cpu, in, g, i), g->val + at, g->size))
            return false;
        memset(g->mask + at, 0, g->size);
    }
    memset(g->val + count * g->size, 0, YMM_BYTES - count * g->size);
    memset(g->mask, 0, YMM_BYTES);
    return true;
}

bool ex_vgather(struct vcpu *cpu, const struct insn *in)
{
    struct gather g = { .size = insn_vex_w(in) ? 8 : 4, .index_size = in->opcode & 1 ? 8 : 4 };
    u32 count = vector_bytes(in) / (g.size > g.index_size ? g.size : g.index_size);
    u8 last = in->op[2].reg;
    bool done;

    if (!avx_check(cpu, in))
        return false;
    ymm_read(cpu, in->op[0].reg, g.val);
    ymm_read(cpu, last, g.mask);
    ymm_read(cpu, in->index, g.index);
    /* the mask's other elements count for nothing, and are cleared */
    for (u32 at = 0; at < count * g.size; at += g.size)
        memset(g.mask + at, selected(g.mask, at, g.size) ? 0xff : 0, g.size);
    done = gather_elements(cpu, in, &g, count);
    ymm_write(cpu, in->op[0].reg, g.val);
    ymm_write(cpu, last, g.mask);
    return done;
}
