/*
 * Shifts, rotates, double shifts, bit tests and bit scans, computed by the host (cpu/hostop.h):
 * the flags of counts the manual leaves undefined are the host's. SDM vol. 2, by mnemonic.
 */
#include "cpu/hostop.h"
#include "cpu/operand.h"

HOST_SHIFT(rol, "rol")
HOST_SHIFT(ror, "ror")
HOST_SHIFT(rcl, "rcl")
HOST_SHIFT(rcr, "rcr")
HOST_SHIFT(shl, "shl")
HOST_SHIFT(shr, "shr")
HOST_SHIFT(sar, "sar")
HOST_WORD(bt, "bt")
HOST_WORD(bts, "bts")
HOST_WORD(btr, "btr")
HOST_WORD(btc, "btc")

typedef u32 host_fn(u32 size, u32 a, u32 b, u32 *ax);

/* C0, C1: immediate; D0, D1: 1; D2, D3: CL. */
static inline u32 shift_count(const struct vcpu *cpu, const struct insn *in)
{
    if (in->opcode < 0xd0)
        return in->imm & 0xff;
    return in->opcode & 2 ? cpu->gpr[ECX] & 0xff : 1;
}

ALWAYS_INLINE bool shift(struct vcpu *cpu, const struct insn *in, host_fn *fn)
{
    u32 a, ax = flags_to_ax(cpu->eflags);

    if (!op_modify(cpu, in, 0, &a))
        return false;
    a = fn(in->op[0].size, a, shift_count(cpu, in), &ax);
    if (!op_write(cpu, in, 0, a))
        return false;
    flags_commit(cpu, ax);
    return true;
}

#define EX(name)                                                                               \
    bool ex_##name(struct vcpu *cpu, const struct insn *in)                                    \
    {                                                                                          \
        return shift(cpu, in, host_##name);                                                    \
    }

EX(rcl)
EX(rcr)
EX(shl)
EX(shr)
EX(sar)

/*
 * ROL and ROR by an immediate leave OF undefined for counts above 1, and hosts disagree with
 * themselves: one Intel keeps OF where the operand is a register and computes it, as with CL,
 * where it is memory. So each of the three forms is run as it is written.
 */
#define ROTATE_BY(op, where, n)                                                                \
    case n:                                                                                    \
        if (size == 4)                                                                         \
            __asm__(LOAD_FLAGS op "l $" #n ", %1" SAVE_FLAGS                                   \
                    : "+&a"(*ax), where(a) : : "cc");                                          \
        else if (size == 2)                                                                    \
            __asm__(LOAD_FLAGS op "w $" #n ", %w1" SAVE_FLAGS                                  \
                    : "+&a"(*ax), where(a) : : "cc");                                          \
        else                                                                                   \
            __asm__(LOAD_FLAGS op "b $" #n ", %b1" SAVE_FLAGS                                  \
                    : "+&a"(*ax), where(a) : : "cc");                                          \
        break;
#define ROTATE_BY_8(op, where, a, b, c, d, e, f, g, h)                                         \
    ROTATE_BY(op, where, a) ROTATE_BY(op, where, b) ROTATE_BY(op, where, c)                    \
    ROTATE_BY(op, where, d) ROTATE_BY(op, where, e) ROTATE_BY(op, where, f)                    \
    ROTATE_BY(op, where, g) ROTATE_BY(op, where, h)
#define ROTATE_IMMEDIATE(name, op, where)                                                      \
    static u32 host_##name(u32 size, u32 a, u32 count, u32 *ax)                                \
    {                                                                                          \
        switch (count & 31) {                                                                  \
            ROTATE_BY_8(op, where, 0, 1, 2, 3, 4, 5, 6, 7)                                     \
            ROTATE_BY_8(op, where, 8, 9, 10, 11, 12, 13, 14, 15)                               \
            ROTATE_BY_8(op, where, 16, 17, 18, 19, 20, 21, 22, 23)                             \
            ROTATE_BY_8(op, where, 24, 25, 26, 27, 28, 29, 30, 31)                             \
        }                                                                                      \
        return a;                                                                              \
    }
ROTATE_IMMEDIATE(rol_register, "rol", "+q")
ROTATE_IMMEDIATE(rol_memory, "rol", "+m")
ROTATE_IMMEDIATE(ror_register, "ror", "+q")
ROTATE_IMMEDIATE(ror_memory, "ror", "+m")

#define EX_ROTATE(name)                                                                        \
    bool ex_##name(struct vcpu *cpu, const struct insn *in)                                    \
    {                                                                                          \
        if (in->opcode >= 0xd0)                                                                \
            return shift(cpu, in, host_##name);                                                \
        if (in->op[0].kind == OP_REG)                                                          \
            return shift(cpu, in, host_##name##_register);                                     \
        return shift(cpu, in, host_##name##_memory);                                           \
    }
EX_ROTATE(rol)
EX_ROTATE(ror)

/* ---- SHLD, SHRD: a gets bits of b; count in CL ---- */

#define HOST_DOUBLE(name)                                                                      \
    static u32 host_##name(u32 size, u32 a, u32 b, u32 count, u32 *ax)                         \
    {                                                                                          \
        if (size == 4)                                                                         \
            __asm__(LOAD_FLAGS #name "l %%cl, %2, %1" SAVE_FLAGS                               \
                    : "+&a"(*ax), "+r"(a) : "r"(b), "c"(count) : "cc");                        \
        else                                                                                   \
            __asm__(LOAD_FLAGS #name "w %%cl, %w2, %w1" SAVE_FLAGS                             \
                    : "+&a"(*ax), "+r"(a) : "r"(b), "c"(count) : "cc");                        \
        return a;                                                                              \
    }
HOST_DOUBLE(shld)
HOST_DOUBLE(shrd)

static bool shift_double(struct vcpu *cpu, const struct insn *in,
                         u32 (*fn)(u32 size, u32 a, u32 b, u32 count, u32 *ax))
{
    u32 count = in->opcode & 1 ? cpu->gpr[ECX] & 0xff : in->imm & 0xff; /* A4, AC: immediate */
    u32 a, b, ax = flags_to_ax(cpu->eflags);

    if (!op_read(cpu, in, 1, &b) || !op_modify(cpu, in, 0, &a))
        return false;
    a = fn(in->op[0].size, a, b, count, &ax);
    if (!op_write(cpu, in, 0, a))
        return false;
    flags_commit(cpu, ax);
    return true;
}

bool ex_shld(struct vcpu *cpu, const struct insn *in)
{
    return shift_double(cpu, in, host_shld);
}

bool ex_shrd(struct vcpu *cpu, const struct insn *in)
{
    return shift_double(cpu, in, host_shrd);
}

/* ---- BT, BTS, BTR, BTC: a register as bit offset reaches beyond the memory operand ---- */

/* Offset of the word of memory that holds the bit. */
static u32 bit_offset(const struct vcpu *cpu, const struct insn *in, u32 bit)
{
    u32 size = in->op[0].size, off = insn_offset(cpu, in);

    if (in->op[1].kind == OP_REG)
        off += size == 4 ? ((i32)bit >> 5) * 4 : ((i16)bit >> 4) * 2;
    return off & addr_mask(in);
}

ALWAYS_INLINE bool bit_test(struct vcpu *cpu, const struct insn *in, host_fn *fn, bool changes)
{
    u32 size = in->op[0].size, bit = 0, ax = flags_to_ax(cpu->eflags), off;
    u64 word;

    op_read(cpu, in, 1, &bit); /* a register or immediate: cannot fail */
    if (in->op[0].kind == OP_REG) {
        u32 a = fn(size, reg_read(cpu, in->op[0].reg, size), bit, &ax);

        if (changes)
            reg_write(cpu, in->op[0].reg, size, a);
        flags_commit(cpu, ax);
        return true;
    }
    off = bit_offset(cpu, in, bit);
    if (!(changes ? cpu_read_rmw : cpu_read)(cpu, in->seg, off, size, &word))
        return false;
    word = fn(size, (u32)word, bit, &ax) & size_mask(size);
    if (changes && !cpu_write(cpu, in->seg, off, size, word))
        return false;
    flags_commit(cpu, ax);
    return true;
}

bool ex_bt(struct vcpu *cpu, const struct insn *in)
{
    return bit_test(cpu, in, host_bt, false);
}

bool ex_bts(struct vcpu *cpu, const struct insn *in)
{
    return bit_test(cpu, in, host_bts, true);
}

bool ex_btr(struct vcpu *cpu, const struct insn *in)
{
    return bit_test(cpu, in, host_btr, true);
}

bool ex_btc(struct vcpu *cpu, const struct insn *in)
{
    return bit_test(cpu, in, host_btc, true);
}
