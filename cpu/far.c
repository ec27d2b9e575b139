/*
 * Transfers to another code segment (SDM vol. 2, "JMP", "CALL", "RET"; vol. 3, 5.8): direct,
 * through call gates with a stack switch, and the entries to task switches.
 */
#include "cpu/far.h"
#include "cpu/access.h"
#include "cpu/deliver.h"
#include "cpu/task.h"

void cpu_set_cpl(struct vcpu *cpu, u32 cpl)
{
    if (cpu->cpl == cpl)
        return;
    cpu->cpl = (u8)cpl;
    mmu_cpl_changed(&cpu->paging, cpl == 3);
}

void cpu_commit_code(struct vcpu *cpu, u16 selector, const u32 desc[2], u32 rpl, u32 eip)
{
    cpu_unpack_descriptor(&cpu->seg[CS], (u16)((selector & ~3u) | rpl), desc);
    cpu_set_cpl(cpu, rpl);
    cpu->eip = eip;
}

/* ---- Pieces ---- */

/* A code descriptor for a direct transfer or a call gate's target at the same level. */
static bool check_code(struct vcpu *cpu, u16 selector, const u32 desc[2], u32 rpl)
{
    u32 dpl = desc_dpl(desc);
    bool allowed = desc_is_conforming(desc) ? dpl <= cpu->cpl : dpl == cpu->cpl && rpl <= cpu->cpl;

    if (!desc_is_code(desc) || !allowed)
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    return true;
}

static bool check_eip(struct vcpu *cpu, const u32 desc[2], u32 eip)
{
    return eip <= desc_limit(desc) || cpu_fault(cpu, EXC_GP, 0);
}

/* A gate or TSS reached by JMP or CALL: DPL at least CPL and RPL, and present. */
static bool check_system(struct vcpu *cpu, u16 selector, const u32 desc[2])
{
    u32 dpl = desc_dpl(desc);

    if (dpl < cpu->cpl || dpl < (selector & 3u))
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    return true;
}

static bool read_target(struct vcpu *cpu, u16 selector, u32 desc[2])
{
    if (selector_null(selector))
        return cpu_fault(cpu, EXC_GP, 0);
    return cpu_read_descriptor(cpu, selector, EXC_GP, desc);
}

/* CS:EIP in real mode and V86. */
static bool real_target(struct vcpu *cpu, u32 off)
{
    return off <= cpu->seg[CS].limit || cpu_fault(cpu, EXC_GP, 0);
}

static void real_commit(struct vcpu *cpu, u16 selector, u32 off)
{
    cpu_load_segment_real(cpu, CS, selector);
    cpu->eip = off;
}

static u32 truncate_offset(u32 off, u32 opsize)
{
    return opsize == 2 ? off & 0xffff : off;
}

/* The code segment behind a call gate (vol. 3, 5.8.4): CPL does not fall. */
static bool read_gate_target(struct vcpu *cpu, const u32 gate[2], u32 desc[2], bool jump)
{
    u16 selector = gate_selector(gate);
    bool allowed;

    if (!read_target(cpu, selector, desc))
        return false;
    allowed = jump && !desc_is_conforming(desc) ? desc_dpl(desc) == cpu->cpl
                                                : desc_dpl(desc) <= cpu->cpl;
    if (!desc_is_code(desc) || !allowed)
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    return true;
}

/* ---- JMP ---- */

static bool jump_code(struct vcpu *cpu, u16 selector, u32 desc[2], u32 off)
{
    if (!check_code(cpu, selector, desc, selector & 3) || !check_eip(cpu, desc, off) ||
        !segment_set_accessed(cpu, selector, desc))
        return false;
    cpu_commit_code(cpu, selector, desc, cpu->cpl, off);
    return true;
}

/* next_eip is CALL's: nothing returns here. */
static bool jump_gate(struct vcpu *cpu, const u32 gate[2], u32 next_eip)
{
    u32 desc[2] = { 0 };
    u16 selector = gate_selector(gate);
    u32 off = gate_offset(gate);

    if (!read_gate_target(cpu, gate, desc, true) || !check_eip(cpu, desc, off) ||
        !segment_set_accessed(cpu, selector, desc))
        return false;
    cpu_commit_code(cpu, selector, desc, cpu->cpl, off);
    return true;
}

/* Call gate, task gate or TSS. */
static bool transfer_system(struct vcpu *cpu, u16 selector, const u32 desc[2],
                            bool (*through_gate)(struct vcpu *, const u32 *, u32),
                            enum task_switch how, u32 next_eip)
{
    switch (desc_type(desc)) {
    case TYPE_CALL16:
    case TYPE_CALL32:
        return check_system(cpu, selector, desc) && through_gate(cpu, desc, next_eip);
    case TYPE_TASK:
        return check_system(cpu, selector, desc) &&
               cpu_switch_task(cpu, gate_selector(desc), how, next_eip, false, 0);
    case TYPE_TSS16:
    case TYPE_TSS32:
        return check_system(cpu, selector, desc) &&
               cpu_switch_task(cpu, selector, how, next_eip, false, 0);
    default:
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    }
}

bool cpu_far_jump(struct vcpu *cpu, u16 selector, u32 off, u32 opsize, u32 next_eip)
{
    u32 desc[2] = { 0 };

    off = truncate_offset(off, opsize);
    if (!cpu_protected(cpu)) {
        if (!real_target(cpu, off))
            return false;
        real_commit(cpu, selector, off);
        return true;
    }
    if (!read_target(cpu, selector, desc))
        return false;
    if (desc_type(desc) & SEG_S)
        return jump_code(cpu, selector, desc, off);
    return transfer_system(cpu, selector, desc, jump_gate, TASK_JMP, next_eip);
}

/* ---- CALL ---- */

static bool push_return(struct vcpu *cpu, struct stack *s, u32 size, u32 eip)
{
    return stack_push(cpu, s, size, cpu->seg[CS].selector) && stack_push(cpu, s, size, eip);
}

static bool call_real(struct vcpu *cpu, u16 selector, u32 off, u32 opsize, u32 next_eip)
{
    struct stack s;

    stack_current(cpu, &s);
    if (!stack_reserve(cpu, &s, 2, opsize) || !real_target(cpu, off) ||
        !push_return(cpu, &s, opsize, next_eip))
        return false;
    stack_commit(cpu, &s);
    real_commit(cpu, selector, off);
    return true;
}

/* A checked code segment at this level: direct, or through a gate. */
static bool call_same(struct vcpu *cpu, u16 selector, u32 desc[2], u32 off, u32 size,
                      u32 next_eip)
{
    struct stack s;

    stack_current(cpu, &s);
    if (!stack_reserve(cpu, &s, 2, size) || !check_eip(cpu, desc, off) ||
        !segment_set_accessed(cpu, selector, desc) || !push_return(cpu, &s, size, next_eip))
        return false;
    stack_commit(cpu, &s);
    cpu_commit_code(cpu, selector, desc, cpu->cpl, off);
    return true;
}

/* Reads the caller's parameters, top of stack first. */
static bool read_parameters(struct vcpu *cpu, u32 count, u32 size, u32 *params)
{
    for (u32 i = 0; i < count; i++) {
        u32 off = (cpu->gpr[ESP] + i * size) & cpu_stack_mask(cpu);
        u64 val;

        if (!cpu_read(cpu, SS, off, size, &val))
            return false;
        params[i] = (u32)val;
    }
    return true;
}

/* To a more privileged level: the TSS's stack gets old SS:ESP, the parameters, CS:EIP. */
static bool call_inner(struct vcpu *cpu, const u32 gate[2], u32 desc[2], u32 next_eip)
{
    u32 size = desc_type(gate) == TYPE_CALL32 ? 4 : 2;
    u32 count = gate[1] & 0x1f, params[32], dpl = desc_dpl(desc);
    u16 selector = gate_selector(gate);
    struct stack s;

    if (!stack_from_tss(cpu, dpl, &s) || !stack_reserve(cpu, &s, 4 + count, size) ||
        !check_eip(cpu, desc, gate_offset(gate)) || !read_parameters(cpu, count, size, params) ||
        !segment_set_accessed(cpu, selector, desc))
        return false;
    if (!stack_push(cpu, &s, size, cpu->seg[SS].selector) ||
        !stack_push(cpu, &s, size, cpu->gpr[ESP]))
        return false;
    for (u32 i = count; i-- > 0;)
        if (!stack_push(cpu, &s, size, params[i]))
            return false;
    if (!push_return(cpu, &s, size, next_eip))
        return false;
    stack_commit(cpu, &s);
    cpu_commit_code(cpu, selector, desc, dpl, gate_offset(gate));
    return true;
}

static bool call_gate(struct vcpu *cpu, const u32 gate[2], u32 next_eip)
{
    u32 desc[2] = { 0 };
    u32 size = desc_type(gate) == TYPE_CALL32 ? 4 : 2;

    if (!read_gate_target(cpu, gate, desc, false))
        return false;
    if (!desc_is_conforming(desc) && desc_dpl(desc) < cpu->cpl)
        return call_inner(cpu, gate, desc, next_eip);
    return call_same(cpu, gate_selector(gate), desc, gate_offset(gate), size, next_eip);
}

bool cpu_far_call(struct vcpu *cpu, u16 selector, u32 off, u32 opsize, u32 next_eip)
{
    u32 desc[2] = { 0 };

    off = truncate_offset(off, opsize);
    if (!cpu_protected(cpu))
        return call_real(cpu, selector, off, opsize, next_eip);
    if (!read_target(cpu, selector, desc))
        return false;
    if (desc_type(desc) & SEG_S)
        return check_code(cpu, selector, desc, selector & 3) &&
               call_same(cpu, selector, desc, off, opsize, next_eip);
    return transfer_system(cpu, selector, desc, call_gate, TASK_CALL, next_eip);
}

/* ---- RET ---- */

bool far_check_return_code(struct vcpu *cpu, u16 selector, const u32 desc[2])
{
    u32 rpl = selector & 3, dpl = desc_dpl(desc);

    if (!desc_is_code(desc) || rpl < cpu->cpl ||
        (desc_is_conforming(desc) ? dpl > rpl : dpl != rpl))
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    return true;
}

/* A 16-bit return to a 32-bit stack gives ESP the popped word. */
bool far_pop_outer_stack(struct vcpu *cpu, u32 opsize, u32 *skip, u32 rpl, struct stack *s)
{
    u32 esp, ss;

    if (!cpu_pop(cpu, opsize, skip, &esp) || !cpu_pop(cpu, opsize, skip, &ss))
        return false;
    *s = (struct stack){ .esp = esp };
    if (!segment_read_stack(cpu, (u16)ss, rpl, EXC_GP, &s->ss))
        return false;
    s->mask = segment_stack_mask(&s->ss);
    return true;
}

static bool ret_real(struct vcpu *cpu, u32 opsize, u32 pop_bytes)
{
    u32 skip = 0, eip, cs;

    if (!cpu_pop(cpu, opsize, &skip, &eip) || !cpu_pop(cpu, opsize, &skip, &cs) ||
        !real_target(cpu, eip))
        return false;
    cpu_pop_commit(cpu, skip + pop_bytes);
    real_commit(cpu, (u16)cs, eip);
    return true;
}

/* To a less privileged level: SS:ESP lie beyond the parameters. */
static bool ret_outer(struct vcpu *cpu, u16 cs, u32 desc[2], u32 eip, u32 opsize, u32 skip,
                      u32 pop_bytes)
{
    u32 rpl = cs & 3;
    struct stack s;

    skip += pop_bytes;
    if (!far_pop_outer_stack(cpu, opsize, &skip, rpl, &s) || !check_eip(cpu, desc, eip) ||
        !segment_set_accessed(cpu, cs, desc))
        return false;
    stack_commit(cpu, &s);
    cpu_commit_code(cpu, cs, desc, rpl, eip);
    cpu_pop_commit(cpu, pop_bytes);
    segment_drop_inner(cpu);
    return true;
}

bool cpu_far_ret(struct vcpu *cpu, u32 opsize, u32 pop_bytes)
{
    u32 skip = 0, at = opsize, eip, cs, desc[2] = { 0 };

    if (!cpu_protected(cpu))
        return ret_real(cpu, opsize, pop_bytes);
    if (!cpu_pop(cpu, 2, &at, &cs) || /* first, and only 16 bits of it, as hosts do */
        !cpu_pop(cpu, opsize, &skip, &eip))
        return false;
    skip += opsize;
    if (!read_target(cpu, (u16)cs, desc) || !far_check_return_code(cpu, (u16)cs, desc))
        return false;
    if ((cs & 3) > cpu->cpl)
        return ret_outer(cpu, (u16)cs, desc, eip, opsize, skip, pop_bytes);
    if (!check_eip(cpu, desc, eip) || !segment_set_accessed(cpu, (u16)cs, desc))
        return false;
    cpu_pop_commit(cpu, skip + pop_bytes);
    cpu_commit_code(cpu, (u16)cs, desc, cpu->cpl, eip);
    return true;
}
