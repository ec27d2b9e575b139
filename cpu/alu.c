/*
 * Integer arithmetic and logic: ADD ADC SUB SBB CMP AND OR XOR TEST, INC DEC NEG NOT, and the
 * read-modify-write exchanges XADD, CMPXCHG, CMPXCHG8B. The host computes (cpu/hostop.h).
 * SDM vol. 2, by mnemonic.
 */
#include "cpu/hostop.h"
#include "cpu/operand.h"

HOST_BINARY(add, "add")
HOST_BINARY(adc, "adc")
HOST_BINARY(sub, "sub")
HOST_BINARY(sbb, "sbb")
HOST_BINARY(cmp, "cmp")
HOST_BINARY(and, "and")
HOST_BINARY(or, "or")
HOST_BINARY(xor, "xor")
HOST_BINARY(test, "test")
HOST_UNARY(inc, "inc")
HOST_UNARY(dec, "dec")
HOST_UNARY(neg, "neg")

typedef u32 host_fn(u32 size, u32 a, u32 b, u32 *ax);

/* op[0] := op[0] fn op[1] */
ALWAYS_INLINE bool alu_binary(struct vcpu *cpu, const struct insn *in, host_fn *fn)
{
    u32 a, b, ax = flags_to_ax(cpu->eflags);

    if (!op_read(cpu, in, 1, &b) || !op_modify(cpu, in, 0, &a))
        return false;
    a = fn(in->op[0].size, a, b, &ax);
    if (!op_write(cpu, in, 0, a))
        return false;
    flags_commit(cpu, ax);
    return true;
}

/* Flags of op[0] fn op[1] */
ALWAYS_INLINE bool alu_compare(struct vcpu *cpu, const struct insn *in, host_fn *fn)
{
    u32 a, b, ax = flags_to_ax(cpu->eflags);

    if (!op_read(cpu, in, 1, &b) || !op_read(cpu, in, 0, &a))
        return false;
    fn(in->op[0].size, a, b, &ax);
    flags_commit(cpu, ax);
    return true;
}

ALWAYS_INLINE bool alu_unary(struct vcpu *cpu, const struct insn *in, host_fn *fn)
{
    u32 a, ax = flags_to_ax(cpu->eflags);

    if (!op_modify(cpu, in, 0, &a))
        return false;
    a = fn(in->op[0].size, a, 0, &ax);
    if (!op_write(cpu, in, 0, a))
        return false;
    flags_commit(cpu, ax);
    return true;
}

#define EX(name, shape)                                                                        \
    bool ex_##name(struct vcpu *cpu, const struct insn *in)                                    \
    {                                                                                          \
        return alu_##shape(cpu, in, host_##name);                                              \
    }

EX(add, binary)
EX(adc, binary)
EX(sub, binary)
EX(sbb, binary)
EX(and, binary)
EX(or, binary)
EX(xor, binary)
EX(cmp, compare)
EX(test, compare)
EX(inc, unary)
EX(dec, unary)
EX(neg, unary)

bool ex_not(struct vcpu *cpu, const struct insn *in) /* no flags */
{
    u32 a;

    return op_modify(cpu, in, 0, &a) && op_write(cpu, in, 0, ~a);
}

/* The sum goes to the destination last: XADD EAX, EAX leaves the sum. */
bool ex_xadd(struct vcpu *cpu, const struct insn *in)
{
    u32 dst, src, sum, ax = flags_to_ax(cpu->eflags);

    if (!op_modify(cpu, in, 0, &dst))
        return false;
    src = reg_read(cpu, in->op[1].reg, in->op[1].size);
    sum = host_add(in->op[0].size, dst, src, &ax);
    if (in->op[0].kind == OP_MEM && !op_write(cpu, in, 0, sum))
        return false;
    reg_write(cpu, in->op[1].reg, in->op[1].size, dst);
    if (in->op[0].kind == OP_REG)
        op_write(cpu, in, 0, sum);
    flags_commit(cpu, ax);
    return true;
}

/* The destination is written either way: with its own value when the comparison fails. */
bool ex_cmpxchg(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->op[0].size, ax = flags_to_ax(cpu->eflags), acc = reg_read(cpu, EAX, size),
        dst;
    bool equal;

    if (!op_modify(cpu, in, 0, &dst))
        return false;
    host_cmp(size, acc, dst, &ax);
    equal = acc == dst;
    if (!op_write(cpu, in, 0, equal ? reg_read(cpu, in->op[1].reg, size) : dst))
        return false;
    if (!equal)
        reg_write(cpu, EAX, size, dst);
    flags_commit(cpu, ax);
    return true;
}

bool ex_cmpxchg8b(struct vcpu *cpu, const struct insn *in) /* only ZF */
{
    u64 old, expected = (u64)cpu->gpr[EDX] << 32 | cpu->gpr[EAX];
    u64 wanted = (u64)cpu->gpr[ECX] << 32 | cpu->gpr[EBX];
    u32 off = insn_offset(cpu, in);

    if (!cpu_read_rmw(cpu, in->seg, off, 8, &old) ||
        !cpu_write(cpu, in->seg, off, 8, old == expected ? wanted : old))
        return false;
    if (old == expected) {
        cpu->eflags |= FLAG_ZF;
        return true;
    }
    cpu->eflags &= ~FLAG_ZF;
    cpu->gpr[EAX] = (u32)old;
    cpu->gpr[EDX] = old >> 32;
    return true;
}

/* ---- Single flags, and AH ---- */

bool ex_clc(struct vcpu *cpu, const struct insn *in)
{
    cpu->eflags &= ~FLAG_CF;
    return true;
}

bool ex_stc(struct vcpu *cpu, const struct insn *in)
{
    cpu->eflags |= FLAG_CF;
    return true;
}

bool ex_cmc(struct vcpu *cpu, const struct insn *in)
{
    cpu->eflags ^= FLAG_CF;
    return true;
}

bool ex_cld(struct vcpu *cpu, const struct insn *in)
{
    cpu->eflags &= ~FLAG_DF;
    return true;
}

bool ex_std(struct vcpu *cpu, const struct insn *in)
{
    cpu->eflags |= FLAG_DF;
    return true;
}

bool ex_lahf(struct vcpu *cpu, const struct insn *in)
{
    reg_write(cpu, 4, 1, cpu->eflags & 0xff); /* AH */
    return true;
}

bool ex_sahf(struct vcpu *cpu, const struct insn *in)
{
    u32 mask = FLAGS_ARITH & 0xff;

    cpu->eflags = (cpu->eflags & ~mask) | (reg_read(cpu, 4, 1) & mask);
    return true;
}
