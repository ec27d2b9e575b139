/*
 * Control flow inside a segment, and software interrupts. SDM vol. 2, by mnemonic; vol. 1, 6.4.
 *
 * Targets are cut to 16 bits by the operand size and must lie within the CS limit, else #GP(0)
 * with EIP, and all else, unchanged. Far forms are handed to far.c.
 */
#include "cpu/deliver.h"
#include "cpu/far.h"
#include "cpu/operand.h"

static inline u32 next_eip(const struct vcpu *cpu, const struct insn *in)
{
    return cpu->eip + in->len;
}

static inline u32 near_target(const struct insn *in, u32 eip)
{
    return in->opsize == 2 ? eip & 0xffff : eip;
}

static inline bool target_valid(struct vcpu *cpu, u32 eip)
{
    return likely(eip <= cpu->seg[CS].limit) || cpu_fault(cpu, EXC_GP, 0);
}

static inline bool near_jump(struct vcpu *cpu, const struct insn *in, u32 eip)
{
    eip = near_target(in, eip);
    if (!target_valid(cpu, eip))
        return false;
    cpu->eip = eip;
    return true;
}

static inline bool branch_if(struct vcpu *cpu, const struct insn *in, bool taken)
{
    if (taken)
        return near_jump(cpu, in, next_eip(cpu, in) + in->imm);
    cpu->eip += in->len;
    return true;
}

bool ex_jcc(struct vcpu *cpu, const struct insn *in)
{
    return branch_if(cpu, in, flags_condition(cpu->eflags, in->opcode));
}

bool ex_jcxz(struct vcpu *cpu, const struct insn *in)
{
    return branch_if(cpu, in, !(cpu->gpr[ECX] & addr_mask(in)));
}

/* E0 LOOPNE, E1 LOOPE, E2 LOOP: the count is committed only if the jump does not fault. */
bool ex_loop(struct vcpu *cpu, const struct insn *in)
{
    u32 mask = addr_mask(in), count = (cpu->gpr[ECX] - 1) & mask;
    bool taken = count != 0;

    if (in->opcode == 0xe0)
        taken = taken && !(cpu->eflags & FLAG_ZF);
    else if (in->opcode == 0xe1)
        taken = taken && (cpu->eflags & FLAG_ZF);
    if (!branch_if(cpu, in, taken))
        return false;
    reg_write_masked(cpu, ECX, mask, count);
    return true;
}

/* ---- JMP, CALL, RET: near here, far in far.c ---- */

enum target_kind { TARGET_NEAR, TARGET_FAR, TARGET_FAULT };

/* Reads the target; FF /3 and FF /5 are the far forms in memory. */
static enum target_kind read_target(struct vcpu *cpu, const struct insn *in, u32 *off, u32 *selector)
{
    const struct operand *op = &in->op[0];
    u32 mem = insn_offset(cpu, in);
    u64 wide;

    if (op->kind == OP_REL) {
        *off = near_target(in, next_eip(cpu, in) + in->imm);
        return TARGET_NEAR;
    }
    if (op->kind == OP_FAR) {
        *off = in->imm;
        *selector = in->imm2;
        return TARGET_FAR;
    }
    if (op->kind == OP_REG || !(in->modrm >> 3 & 1))
        return op_read(cpu, in, 0, off) ? TARGET_NEAR : TARGET_FAULT;
    if (!cpu_read(cpu, in->seg, mem, in->opsize, &wide))
        return TARGET_FAULT;
    *off = (u32)wide;
    mem = (mem + in->opsize) & addr_mask(in);
    if (!cpu_read(cpu, in->seg, mem, 2, &wide))
        return TARGET_FAULT;
    *selector = (u32)wide;
    return TARGET_FAR;
}

bool ex_jmp(struct vcpu *cpu, const struct insn *in)
{
    u32 off, selector;

    switch (read_target(cpu, in, &off, &selector)) {
    case TARGET_NEAR:
        return near_jump(cpu, in, off);
    case TARGET_FAR:
        return cpu_far_jump(cpu, (u16)selector, off, in->opsize, next_eip(cpu, in));
    default:
        return false;
    }
}

bool ex_call(struct vcpu *cpu, const struct insn *in)
{
    u32 off, selector, esp = cpu->gpr[ESP];

    switch (read_target(cpu, in, &off, &selector)) {
    case TARGET_NEAR:
        if (!cpu_push(cpu, in->opsize, next_eip(cpu, in)))
            return false;
        if (near_jump(cpu, in, off))
            return true;
        cpu->gpr[ESP] = esp; /* as on hosts, the word below has been written */
        return false;
    case TARGET_FAR:
        return cpu_far_call(cpu, (u16)selector, off, in->opsize, next_eip(cpu, in));
    default:
        return false;
    }
}

/* C2, C3 near; CA, CB far; the even ones release imm16 bytes of parameters. */
bool ex_ret(struct vcpu *cpu, const struct insn *in)
{
    u32 skip = 0, eip, release = in->opcode & 1 ? 0 : in->imm & 0xffff;

    if (in->opcode >= 0xca)
        return cpu_far_ret(cpu, in->opsize, release);
    if (!cpu_pop(cpu, in->opsize, &skip, &eip) || !near_jump(cpu, in, eip))
        return false;
    cpu_pop_commit(cpu, skip + release);
    return true;
}

/* ---- Software interrupts ---- */

bool ex_int(struct vcpu *cpu, const struct insn *in)
{
    return cpu_int_n(cpu, (u8)in->imm, next_eip(cpu, in));
}

bool ex_int3(struct vcpu *cpu, const struct insn *in)
{
    return cpu_deliver(cpu, EXC_BP, DELIVER_INT, 0, false, next_eip(cpu, in));
}

bool ex_into(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->eflags & FLAG_OF)
        return cpu_deliver(cpu, EXC_OF, DELIVER_INT, 0, false, next_eip(cpu, in));
    cpu->eip += in->len;
    return true;
}

/* INT1 (F1, ICEBP): #DB as hardware raises it, no DPL check; DR6 is left alone. */
bool ex_int1(struct vcpu *cpu, const struct insn *in)
{
    return cpu_deliver(cpu, EXC_DB, DELIVER_EXCEPTION, 0, false, next_eip(cpu, in));
}

bool ex_ud(struct vcpu *cpu, const struct insn *in)
{
    return cpu_fault(cpu, EXC_UD, 0);
}

/* Signed index against two bounds in memory: #BR, a fault, outside them. */
bool ex_bound(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->opsize, off = insn_offset(cpu, in);
    i32 index = (i32)sign_extend(reg_read(cpu, in->op[0].reg, size), size);
    u64 bound;

    if (!cpu_read(cpu, in->seg, off, size, &bound))
        return false;
    if (index < (i32)sign_extend((u32)bound, size)) /* before the upper bound is read */
        return cpu_fault(cpu, EXC_BR, 0);
    if (!cpu_read(cpu, in->seg, (off + size) & addr_mask(in), size, &bound))
        return false;
    return index <= (i32)sign_extend((u32)bound, size) || cpu_fault(cpu, EXC_BR, 0);
}
