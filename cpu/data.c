/*
 * Data movement: MOV and its extending, swapping and conditional forms, the stack (PUSH, POP,
 * PUSHA, POPA, ENTER, LEAVE), addresses (LEA, XLAT), and the instructions that do nothing.
 * SDM vol. 2, by mnemonic. No flag changes here.
 *
 * Forms of MOV, PUSH and POP on segment, control and debug registers belong to control.c.
 */
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/deliver.h"
#include "cpu/operand.h"

static bool mov_special(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OP_SEG)
        return ex_mov_to_seg(cpu, in);
    if (in->op[1].kind == OP_SEG)
        return ex_mov_from_seg(cpu, in);
    if (in->op[0].kind == OP_CR || in->op[1].kind == OP_CR)
        return ex_mov_cr(cpu, in);
    return ex_mov_dr(cpu, in);
}

static inline bool kind_is_special(u32 kind)
{
    static_assert(OP_CR == OP_SEG + 1 && OP_DR == OP_SEG + 2, "one comparison");
    return kind - OP_SEG <= 2;
}

bool ex_mov(struct vcpu *cpu, const struct insn *in)
{
    u32 val;

    if (unlikely(kind_is_special(in->op[0].kind) || kind_is_special(in->op[1].kind)))
        return mov_special(cpu, in);
    return op_read(cpu, in, 1, &val) && op_write(cpu, in, 0, val);
}

bool ex_movzx(struct vcpu *cpu, const struct insn *in)
{
    u32 val;

    return op_read(cpu, in, 1, &val) && op_write(cpu, in, 0, val);
}

bool ex_movsx(struct vcpu *cpu, const struct insn *in)
{
    u32 val;

    return op_read(cpu, in, 1, &val) && op_write(cpu, in, 0, sign_extend(val, in->op[1].size));
}

bool ex_xchg(struct vcpu *cpu, const struct insn *in)
{
    u32 mem = in->op[1].kind == OP_MEM, a, b; /* the memory operand, if any, is written first */

    if (!op_read(cpu, in, !mem, &b) || !op_modify(cpu, in, mem, &a) || !op_write(cpu, in, mem, b))
        return false;
    return op_write(cpu, in, !mem, a);
}

/* The source is read, and can fault, even if the condition fails. */
bool ex_cmov(struct vcpu *cpu, const struct insn *in)
{
    u32 val;

    if (!op_read(cpu, in, 1, &val))
        return false;
    return !flags_condition(cpu->eflags, in->opcode) || op_write(cpu, in, 0, val);
}

bool ex_setcc(struct vcpu *cpu, const struct insn *in)
{
    return op_write(cpu, in, 0, flags_condition(cpu->eflags, in->opcode));
}

/* Of a 16-bit register the result is undefined: the host's. */
bool ex_bswap(struct vcpu *cpu, const struct insn *in)
{
    u32 val = cpu->gpr[in->op[0].reg];

    if (in->op[0].size == 2)
        __asm__(".byte 0x66, 0x0f, 0xc8" : "+a"(val)); /* bswap %ax */
    else
        val = __builtin_bswap32(val);
    cpu->gpr[in->op[0].reg] = val;
    return true;
}

bool ex_cbw(struct vcpu *cpu, const struct insn *in)
{
    reg_write(cpu, EAX, 2, sign_extend(cpu->gpr[EAX], 1));
    return true;
}

bool ex_cwde(struct vcpu *cpu, const struct insn *in)
{
    cpu->gpr[EAX] = sign_extend(cpu->gpr[EAX], 2);
    return true;
}

bool ex_cwd(struct vcpu *cpu, const struct insn *in)
{
    reg_write(cpu, EDX, 2, cpu->gpr[EAX] & 0x8000 ? 0xffff : 0);
    return true;
}

bool ex_cdq(struct vcpu *cpu, const struct insn *in)
{
    cpu->gpr[EDX] = cpu->gpr[EAX] >> 31 ? 0xffffffff : 0;
    return true;
}

/* The address is cut to the address size, then to the operand size. */
bool ex_lea(struct vcpu *cpu, const struct insn *in)
{
    reg_write(cpu, in->op[0].reg, in->opsize, insn_offset(cpu, in));
    return true;
}

bool ex_xlat(struct vcpu *cpu, const struct insn *in)
{
    u64 val;

    if (!cpu_read(cpu, in->seg, (cpu->gpr[EBX] + (u8)cpu->gpr[EAX]) & addr_mask(in), 1, &val))
        return false;
    reg_write(cpu, EAX, 1, (u32)val);
    return true;
}

/* Counted, so that a guest that does nothing else can be left to wait. */
bool ex_pause(struct vcpu *cpu, const struct insn *in)
{
    cpu->pauses = cpu->pauses ? cpu->pauses - 1 : cpu->pins.paused ? cpu->pins.paused(cpu) : ~0u;
    return true;
}

/* NOP, the hints of 0F 0D and 0F 18 to 0F 1F: only the 486 and Pentium lack the latter. */
bool ex_nop(struct vcpu *cpu, const struct insn *in)
{
    return in->map == 0 || cpu_has(cpu, FEAT_NOPL) || cpu_fault(cpu, EXC_UD, 0);
}

/* ---- The stack ---- */

bool ex_push(struct vcpu *cpu, const struct insn *in)
{
    u32 val;

    if (in->op[0].kind == OP_SEG)
        return ex_push_seg(cpu, in);
    return op_read(cpu, in, 0, &val) && cpu_push(cpu, in->opsize, val);
}

/* A memory destination's address is made with the ESP after the pop; POP ESP keeps the value. */
bool ex_pop(struct vcpu *cpu, const struct insn *in)
{
    u32 skip = 0, val, esp = cpu->gpr[ESP];

    if (in->op[0].kind == OP_SEG)
        return ex_pop_seg(cpu, in);
    if (!cpu_pop(cpu, in->opsize, &skip, &val))
        return false;
    cpu_pop_commit(cpu, skip);
    if (op_write(cpu, in, 0, val))
        return true;
    cpu->gpr[ESP] = esp;
    return false;
}

/* As on hosts, words below ESP may have been written when a later one faults; ESP has not moved. */
bool ex_pusha(struct vcpu *cpu, const struct insn *in)
{
    u32 mask = cpu_stack_mask(cpu), esp = cpu->gpr[ESP], size = in->opsize;

    for (u32 i = 0; i < 8; i++)
        if (!cpu_write(cpu, SS, (esp - (i + 1) * size) & mask, size,
                       (i == ESP ? esp : cpu->gpr[i]) & size_mask(size)))
            return false;
    reg_write_masked(cpu, ESP, mask, esp - 8 * size);
    return true;
}

bool ex_popa(struct vcpu *cpu, const struct insn *in)
{
    u32 skip = 0, val[8];

    for (u32 i = 0; i < 8; i++)
        if (!cpu_pop(cpu, in->opsize, &skip, &val[7 - i]))
            return false;
    for (u32 i = 0; i < 8; i++)
        if (i != ESP)
            reg_write(cpu, i, in->opsize, val[i]);
    cpu_pop_commit(cpu, skip);
    return true;
}

/* Copies `level` - 1 frame pointers from the caller's frame; *esp moves down. */
static bool enter_copy_frames(struct vcpu *cpu, u32 level, u32 size, u32 *esp)
{
    u32 mask = cpu_stack_mask(cpu), ebp = cpu->gpr[EBP];
    u64 frame;

    for (u32 i = 1; i < level; i++) {
        ebp -= size;
        *esp -= size;
        if (!cpu_read(cpu, SS, ebp & mask, size, &frame) ||
            !cpu_write(cpu, SS, *esp & mask, size, frame))
            return false;
    }
    return true;
}

/*
 * ENTER imm16, imm8. Writes go below the old ESP before EBP and ESP are committed, so a fault in
 * the middle restarts cleanly. The final stack top is probed for writing, not written.
 */
bool ex_enter(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->opsize, level = in->imm2 & 31, mask = cpu_stack_mask(cpu);
    u32 esp = cpu->gpr[ESP] - size, frame = (cpu->gpr[ESP] & ~mask) | (esp & mask);

    if (!cpu_write(cpu, SS, esp & mask, size, cpu->gpr[EBP] & size_mask(size)))
        return false;
    if (level) {
        if (!enter_copy_frames(cpu, level, size, &esp))
            return false;
        esp -= size;
        if (!cpu_write(cpu, SS, esp & mask, size, frame & size_mask(size)))
            return false;
    }
    esp -= in->imm & 0xffff;
    if (!cpu_check_write(cpu, SS, esp & mask, size))
        return false;
    reg_write(cpu, EBP, size, frame);
    reg_write_masked(cpu, ESP, mask, esp);
    return true;
}

bool ex_leave(struct vcpu *cpu, const struct insn *in)
{
    u32 mask = cpu_stack_mask(cpu), ebp = cpu->gpr[EBP];
    u64 val;

    if (!cpu_read(cpu, SS, ebp & mask, in->opsize, &val))
        return false;
    reg_write_masked(cpu, ESP, mask, ebp + in->opsize);
    reg_write(cpu, EBP, in->opsize, (u32)val);
    return true;
}
