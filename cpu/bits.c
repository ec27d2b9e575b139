/*
 * BSF and BSR, and instructions on general registers that are newer than the P6: counting bits,
 * BMI1 and BMI2, swapping bytes, CRC32, random numbers. SDM vol. 2, by mnemonic. The host
 * computes (hostop.h), so a model has them only where the host does.
 */
#include "cpu/cpuid.h"
#include "cpu/hostop.h"
#include "cpu/operand.h"

HOST_WORD(lzcnt, "lzcnt")
HOST_WORD(tzcnt, "tzcnt")
HOST_WORD(popcnt, "popcnt")
HOST_WORD(bsf, "bsf")
HOST_WORD(bsr, "bsr")

/* ---- Looking for bits and counting them: BSF and BSR of zero leave the destination as it was ---- */

ALWAYS_INLINE bool count(struct vcpu *cpu, const struct insn *in,
                         u32 (*fn)(u32 size, u32 a, u32 b, u32 *ax))
{
    u32 src, dst, ax = flags_to_ax(cpu->eflags), size = in->op[0].size;

    if (!op_read(cpu, in, 1, &src))
        return false;
    dst = fn(size, reg_read(cpu, in->op[0].reg, size), src, &ax);
    reg_write(cpu, in->op[0].reg, size, dst);
    flags_commit(cpu, ax);
    return true;
}

bool ex_bsf(struct vcpu *cpu, const struct insn *in)
{
    return count(cpu, in, host_bsf);
}

bool ex_bsr(struct vcpu *cpu, const struct insn *in)
{
    return count(cpu, in, host_bsr);
}

/* To a CPU without them, LZCNT and TZCNT are BSR and BSF with a prefix that means nothing. */
bool ex_lzcnt(struct vcpu *cpu, const struct insn *in)
{
    return cpu_has(cpu, FEAT_LZCNT) ? count(cpu, in, host_lzcnt) : ex_bsr(cpu, in);
}

bool ex_tzcnt(struct vcpu *cpu, const struct insn *in)
{
    return cpu_has(cpu, FEAT_BMI1) ? count(cpu, in, host_tzcnt) : ex_bsf(cpu, in);
}

bool ex_popcnt(struct vcpu *cpu, const struct insn *in)
{
    return count(cpu, in, host_popcnt);
}

/* ---- BMI1, BMI2: always 32 bits; the register in VEX.vvvv is one of the listed operands ---- */

#define HOST_BMI(name, operands)                                                               \
    static u32 host_##name(u32 a, u32 b, u32 *ax)                                              \
    {                                                                                          \
        u32 r;                                                                                 \
                                                                                               \
        __asm__(LOAD_FLAGS #name operands SAVE_FLAGS                                           \
                : "+&a"(*ax), "=&r"(r) : "r"(a), "r"(b) : "cc");                               \
        return r;                                                                              \
    }

static bool bmi(struct vcpu *cpu, const struct insn *in, u32 (*fn)(u32 a, u32 b, u32 *ax))
{
    u32 a, b = 0, ax = flags_to_ax(cpu->eflags);

    if (!op_read(cpu, in, 1, &a) || (in->nops > 2 && !op_read(cpu, in, 2, &b)))
        return false;
    cpu->gpr[in->op[0].reg] = fn(a, b, &ax);
    flags_commit(cpu, ax);
    return true;
}

/* Two sources, in Intel's order; or one. */
#define EX_BMI(name, operands)                                                                 \
    HOST_BMI(name, operands)                                                                   \
    bool ex_##name(struct vcpu *cpu, const struct insn *in)                                    \
    {                                                                                          \
        return bmi(cpu, in, host_##name);                                                      \
    }
EX_BMI(andn, " %3, %2, %1")
EX_BMI(bextr, " %3, %2, %1")
EX_BMI(bzhi, " %3, %2, %1")
EX_BMI(pdep, " %3, %2, %1")
EX_BMI(pext, " %3, %2, %1")
EX_BMI(sarx, " %3, %2, %1")
EX_BMI(shlx, " %3, %2, %1")
EX_BMI(shrx, " %3, %2, %1")
EX_BMI(blsi, " %2, %1")
EX_BMI(blsmsk, " %2, %1")
EX_BMI(blsr, " %2, %1")

bool ex_rorx(struct vcpu *cpu, const struct insn *in)
{
    u32 val, count = in->imm & 31;

    if (!op_read(cpu, in, 1, &val))
        return false;
    cpu->gpr[in->op[0].reg] = val >> count | val << (-count & 31);
    return true;
}

/* Where both halves go to one register, it is the high one. */
bool ex_mulx(struct vcpu *cpu, const struct insn *in)
{
    u64 product;
    u32 val;

    if (!op_read(cpu, in, 2, &val))
        return false;
    product = (u64)cpu->gpr[EDX] * val;
    cpu->gpr[in->op[1].reg] = (u32)product;
    cpu->gpr[in->op[0].reg] = (u32)(product >> 32);
    return true;
}

/* ---- Bytes ---- */

/* A load or a store, of 16 or 32 bits. */
bool ex_movbe(struct vcpu *cpu, const struct insn *in)
{
    u32 val;

    if (!op_read(cpu, in, 1, &val))
        return false;
    val = in->op[0].size == 2 ? __builtin_bswap16((u16)val) : __builtin_bswap32(val);
    return op_write(cpu, in, 0, val);
}

bool ex_crc32(struct vcpu *cpu, const struct insn *in)
{
    u32 crc = cpu->gpr[in->op[0].reg], val;

    if (!op_read(cpu, in, 1, &val))
        return false;
    if (in->op[1].size == 4)
        __asm__("crc32l %1, %0" : "+r"(crc) : "r"(val));
    else if (in->op[1].size == 2)
        __asm__("crc32w %w1, %0" : "+r"(crc) : "r"(val));
    else
        __asm__("crc32b %b1, %0" : "+r"(crc) : "q"(val));
    cpu->gpr[in->op[0].reg] = crc;
    return true;
}

/* ---- Random numbers ---- */

/* CF: there was one; else the register is 0. The other flags are clear. */
bool ex_rdrand(struct vcpu *cpu, const struct insn *in)
{
    u32 val, ax = flags_to_ax(cpu->eflags);

    __asm__ volatile(LOAD_FLAGS "rdrand %1" SAVE_FLAGS : "+&a"(ax), "=&r"(val) : : "cc");
    reg_write(cpu, in->op[0].reg, in->op[0].size, val);
    flags_commit(cpu, ax);
    return true;
}
