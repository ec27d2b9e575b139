/*
 * Multiplication and division by the host (cpu/hostop.h). Quotients that do not fit, and division
 * by zero, are found in C before the host would trap: #DE. SDM vol. 2, by mnemonic.
 */
#include "cpu/deliver.h"
#include "cpu/hostop.h"
#include "cpu/operand.h"

/* EDX:EAX, DX:AX or AX (size 1), as two halves. */
struct wide {
    u32 low, high;
};

static struct wide wide_read(const struct vcpu *cpu, u32 size)
{
    if (size == 1)
        return (struct wide){ reg_read(cpu, EAX, 1), reg_read(cpu, 4, 1) };
    return (struct wide){ reg_read(cpu, EAX, size), reg_read(cpu, EDX, size) };
}

static void wide_write(struct vcpu *cpu, u32 size, struct wide w)
{
    reg_write(cpu, EAX, size, w.low);
    reg_write(cpu, size == 1 ? 4 : EDX, size, w.high);
}

/*
 * AX carries the flags, so the operands wait in other registers: the sequence is
 *      (load flags) ; mov low, %eax ; op src ; mov %eax, low ; lahf ; seto %al
 * with EDX as the upper half. For bytes both halves are AX.
 */
#define HOST_WIDE(name, op)                                                                    \
    static void host_##name(u32 size, struct wide *w, u32 src, u32 *ax)                        \
    {                                                                                          \
        u32 low = size == 1 ? (w->low & 0xff) | w->high << 8 : w->low, high = w->high;         \
                                                                                               \
        if (size == 4)                                                                         \
            __asm__(LOAD_FLAGS "mov %1, %%eax\n\t" op "l %3\n\tmov %%eax, %1" SAVE_FLAGS       \
                    : "+&a"(*ax), "+&r"(low), "+&d"(high) : "r"(src) : "cc");                   \
        else if (size == 2)                                                                    \
            __asm__(LOAD_FLAGS "mov %1, %%eax\n\t" op "w %w3\n\tmov %%eax, %1" SAVE_FLAGS      \
                    : "+&a"(*ax), "+&r"(low), "+&d"(high) : "r"(src) : "cc");                   \
        else                                                                                   \
            __asm__(LOAD_FLAGS "mov %1, %%eax\n\t" op "b %b2\n\tmov %%eax, %1" SAVE_FLAGS      \
                    : "+&a"(*ax), "+&r"(low) : "q"(src) : "cc");                                \
        w->low = low;                                                                          \
        w->high = size == 1 ? low >> 8 : high;                                                 \
    }
HOST_WIDE(mul, "mul")
HOST_WIDE(imul, "imul")
HOST_WIDE(div, "div")
HOST_WIDE(idiv, "idiv")

typedef void wide_fn(u32 size, struct wide *w, u32 src, u32 *ax);

static bool wide_run(struct vcpu *cpu, u32 size, u32 src, wide_fn *fn)
{
    struct wide w = wide_read(cpu, size);
    u32 ax = flags_to_ax(cpu->eflags);

    fn(size, &w, src, &ax);
    wide_write(cpu, size, w);
    flags_commit(cpu, ax);
    return true;
}

bool ex_mul(struct vcpu *cpu, const struct insn *in)
{
    u32 src;

    return op_read(cpu, in, 0, &src) && wide_run(cpu, in->op[0].size, src, host_mul);
}

HOST_WORD(imul2, "imul")

/* IMUL r, r/m (0F AF) and IMUL r, r/m, imm (69, 6B): the truncated product */
static bool imul_truncated(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->op[0].size, dst = in->op[0].reg, a, ax = flags_to_ax(cpu->eflags);
    u32 b = in->map == 1 ? reg_read(cpu, dst, size) : in->imm;

    if (!op_read(cpu, in, 1, &a))
        return false;
    reg_write(cpu, dst, size, host_imul2(size, b, a, &ax));
    flags_commit(cpu, ax);
    return true;
}

bool ex_imul(struct vcpu *cpu, const struct insn *in)
{
    u32 src;

    if (in->map == 1 || in->opcode < 0xf6)
        return imul_truncated(cpu, in);
    return op_read(cpu, in, 0, &src) && wide_run(cpu, in->op[0].size, src, host_imul);
}

bool ex_div(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->op[0].size, src;
    struct wide w = wide_read(cpu, size);

    if (!op_read(cpu, in, 0, &src))
        return false;
    if (w.high >= src) /* 0 included: the quotient needs more than `size` */
        return cpu_fault(cpu, EXC_DE, 0);
    return wide_run(cpu, size, src, host_div);
}

/* Does the signed quotient fit into `size` bytes? */
static bool idiv_fits(struct wide w, u32 size, u32 src)
{
    u32 bits = 8 * size;
    i64 dividend = (i64)(((u64)w.high << bits | w.low) << (64 - 2 * bits)) >> (64 - 2 * bits);
    i64 divisor = (i32)sign_extend(src, size), quotient;

    if (!divisor || (divisor == -1 && dividend == INT64_MIN))
        return false;
    quotient = dividend / divisor;
    return quotient == (i64)((u64)quotient << (64 - bits)) >> (64 - bits);
}

bool ex_idiv(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->op[0].size, src;

    if (!op_read(cpu, in, 0, &src))
        return false;
    if (!idiv_fits(wide_read(cpu, size), size, src))
        return cpu_fault(cpu, EXC_DE, 0);
    return wide_run(cpu, size, src, host_idiv);
}
