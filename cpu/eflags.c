/*
 * The instructions that move EFLAGS as a whole or its IF: PUSHF, POPF, CLI, STI, with the rules of
 * IOPL, virtual-8086 extensions (VME) and protected-mode virtual interrupts (PVI). SDM vol. 2, by
 * mnemonic; vol. 3, 20.3 and 20.4.
 */
#include "cpu/access.h"
#include "cpu/deliver.h"
#include "cpu/insn.h"

enum { FLAGS_PROGRAM = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT };

/* Virtual-8086 mode below IOPL 3 with VME: IF means VIF. */
static bool vme(const struct vcpu *cpu)
{
    return cpu_v86(cpu) && cpu->cr4 & CR4_VME;
}

/* Ring 3 below IOPL 3 with PVI: CLI and STI mean VIF. */
static bool pvi(const struct vcpu *cpu)
{
    return cpu_protected(cpu) && cpu->cr4 & CR4_PVI && cpu->cpl == 3;
}

bool ex_pushf(struct vcpu *cpu, const struct insn *in)
{
    u32 flags = cpu_eflags(cpu) & ~(u32)(FLAG_VM | FLAG_RF);

    if (cpu_v86(cpu) && cpu_iopl(cpu) < 3) {
        if (!vme(cpu) || in->opsize == 4)
            return cpu_fault(cpu, EXC_GP, 0);
        flags = v86_virtual_flags(cpu);
    }
    return cpu_push(cpu, in->opsize, flags);
}

/* Flags that POPF may change. RF is cleared. */
static u32 popf_mask(const struct vcpu *cpu, u32 opsize)
{
    u32 mask = FLAGS_PROGRAM | FLAG_RF;

    if (cpu->cpl <= cpu_iopl(cpu) || !(cpu->cr0 & CR0_PE))
        mask |= FLAG_IF;
    if (cpu->cpl == 0)
        mask |= FLAG_IOPL;
    if (opsize == 4)
        mask |= FLAG_AC | FLAG_ID;
    return mask;
}

static bool popf_virtual(struct vcpu *cpu)
{
    u32 skip = 0, flags;

    if (!cpu_pop(cpu, 2, &skip, &flags))
        return false;
    if ((flags & FLAG_IF && cpu->eflags & FLAG_VIP) || flags & FLAG_TF)
        return cpu_fault(cpu, EXC_GP, 0);
    cpu_pop_commit(cpu, skip);
    cpu_set_eflags(cpu, flags & FLAG_IF ? flags | FLAG_VIF : flags,
                   FLAGS_PROGRAM | FLAG_RF | FLAG_VIF);
    return true;
}

bool ex_popf(struct vcpu *cpu, const struct insn *in)
{
    u32 skip = 0, flags;

    if (cpu_v86(cpu) && cpu_iopl(cpu) < 3) {
        if (!vme(cpu) || in->opsize == 4)
            return cpu_fault(cpu, EXC_GP, 0);
        return popf_virtual(cpu);
    }
    if (!cpu_pop(cpu, in->opsize, &skip, &flags))
        return false;
    cpu_pop_commit(cpu, skip);
    cpu_set_eflags(cpu, flags & ~(u32)FLAG_RF, popf_mask(cpu, in->opsize));
    return true;
}

/* May IF itself be changed here? */
static bool if_allowed(const struct vcpu *cpu)
{
    return !(cpu->cr0 & CR0_PE) || cpu->cpl <= cpu_iopl(cpu);
}

bool ex_cli(struct vcpu *cpu, const struct insn *in)
{
    if (if_allowed(cpu))
        cpu->int_flag = 0;
    else if (vme(cpu) || pvi(cpu))
        cpu->eflags &= ~(u32)FLAG_VIF;
    else
        return cpu_fault(cpu, EXC_GP, 0);
    return true;
}

bool ex_sti(struct vcpu *cpu, const struct insn *in)
{
    if (if_allowed(cpu)) {
        if (!cpu->int_flag)
            request_set(cpu, REQ_SHADOW);
        cpu_set_eflags(cpu, FLAG_IF, FLAG_IF);
    } else if ((vme(cpu) || pvi(cpu)) && !(cpu->eflags & FLAG_VIP)) {
        cpu->eflags |= FLAG_VIF;
    } else {
        return cpu_fault(cpu, EXC_GP, 0);
    }
    return true;
}
