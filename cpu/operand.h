/*
 * Operands of a decoded instruction, as the handlers of cpu/ read and write them: registers by
 * number and size, memory through segments, immediates. Private to cpu/.
 *
 * Values travel in u32, zero-extended from the operand's size; the upper bits of what is written
 * are ignored. A handler reads with op_read() or op_modify() (which faults as a write would), then
 * commits with op_write(), which after op_modify() cannot fail, and sets flags last.
 */
#ifndef RING3_OPERAND_H
#define RING3_OPERAND_H

#include "cpu/access.h"
#include "cpu/insn.h"

static inline u32 reg_read(const struct vcpu *cpu, u32 reg, u32 size)
{
    if (size == 4)
        return cpu->gpr[reg];
    if (size == 2)
        return (u16)cpu->gpr[reg];
    return (u8)(cpu->gpr[reg & 3] >> (reg & 4) * 2); /* AH CH DH BH are bits 8-15 of 0-3 */
}

static inline void reg_write(struct vcpu *cpu, u32 reg, u32 size, u32 val)
{
    if (size == 4)
        cpu->gpr[reg] = val;
    else if (size == 2)
        cpu->gpr[reg] = (cpu->gpr[reg] & 0xffff0000) | (u16)val;
    else if (reg & 4)
        cpu->gpr[reg & 3] = (cpu->gpr[reg & 3] & 0xffff00ff) | (u8)val << 8;
    else
        cpu->gpr[reg] = (cpu->gpr[reg] & 0xffffff00) | (u8)val;
}

/* Of the size's bits: 0xff, 0xffff, 0xffffffff. */
static inline u32 size_mask(u32 size)
{
    return 0xffffffffu >> (32 - 8 * size);
}

static inline u32 sign_extend(u32 val, u32 size)
{
    return size == 1 ? (u32)(i8)val : size == 2 ? (u32)(i16)val : val;
}

/* The bits of a register that the address size uses: CX or ECX, SI or ESI. */
static inline u32 addr_mask(const struct insn *in)
{
    return in->addrsize == 2 ? 0xffff : 0xffffffff;
}

static inline void reg_write_masked(struct vcpu *cpu, u32 reg, u32 mask, u32 val)
{
    cpu->gpr[reg] = (cpu->gpr[reg] & ~mask) | (val & mask);
}

static inline bool mem_read(struct vcpu *cpu, const struct insn *in, u32 size, u32 *val)
{
    u64 wide;

    if (!cpu_read(cpu, in->seg, insn_offset(cpu, in), size, &wide))
        return false;
    *val = (u32)wide;
    return true;
}

static inline bool op_read(struct vcpu *cpu, const struct insn *in, u32 i, u32 *val)
{
    const struct operand *op = &in->op[i];

    if (op->kind == OP_REG)
        *val = reg_read(cpu, op->reg, op->size);
    else if (op->kind == OP_MEM)
        return mem_read(cpu, in, op->size, val);
    else
        *val = in->imm;
    return true;
}

/* 16 bits of a register of any size, or of memory: a selector, or the operand of LMSW. */
static inline bool op_read_word(struct vcpu *cpu, const struct insn *in, u32 i, u16 *val)
{
    u32 wide;

    if (in->op[i].kind == OP_REG)
        wide = cpu->gpr[in->op[i].reg];
    else if (!mem_read(cpu, in, 2, &wide))
        return false;
    *val = (u16)wide;
    return true;
}

/* Reads what op_write() will replace. */
static inline bool op_modify(struct vcpu *cpu, const struct insn *in, u32 i, u32 *val)
{
    const struct operand *op = &in->op[i];
    u64 wide;

    if (op->kind == OP_REG) {
        *val = reg_read(cpu, op->reg, op->size);
        return true;
    }
    if (!cpu_read_rmw(cpu, in->seg, insn_offset(cpu, in), op->size, &wide))
        return false;
    *val = (u32)wide;
    return true;
}

static inline bool op_write(struct vcpu *cpu, const struct insn *in, u32 i, u32 val)
{
    const struct operand *op = &in->op[i];

    if (op->kind == OP_REG) {
        reg_write(cpu, op->reg, op->size, val);
        return true;
    }
    return cpu_write(cpu, in->seg, insn_offset(cpu, in), op->size, val & size_mask(op->size));
}

/* Condition codes by the low four bits of the opcode (vol. 1, appendix B). */
static inline bool flags_condition(u32 f, u32 cc)
{
    bool sf_of = !(f & FLAG_SF) != !(f & FLAG_OF);
    bool yes;

    switch (cc >> 1 & 7) {
    case 0: yes = f & FLAG_OF; break;
    case 1: yes = f & FLAG_CF; break;
    case 2: yes = f & FLAG_ZF; break;
    case 3: yes = f & (FLAG_CF | FLAG_ZF); break;
    case 4: yes = f & FLAG_SF; break;
    case 5: yes = f & FLAG_PF; break;
    case 6: yes = sf_of; break;
    default: yes = sf_of || (f & FLAG_ZF); break;
    }
    return yes != (cc & 1);
}

#endif
