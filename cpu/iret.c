/*
 * IRET in every mode (SDM vol. 2, "IRET"; virtual-8086 mode: vol. 3, 20.2.5 and 20.3): to the same
 * or an outer level, to virtual-8086 mode, from it, and back to the task that NT links to.
 */
#include "cpu/access.h"
#include "cpu/deliver.h"
#include "cpu/far.h"
#include "cpu/insn.h"
#include "cpu/task.h"

enum { FLAGS_PROGRAM = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT,
       FLAGS_WIDE = FLAG_RF | FLAG_AC | FLAG_ID }; /* above 16 bits */

/* EIP, CS and EFLAGS as popped, and how much that was. */
struct frame {
    u32 eip, cs, flags, skip;
};

static bool pop_frame(struct vcpu *cpu, u32 opsize, struct frame *f)
{
    u32 top = 2 * opsize, word[3];

    f->skip = 0;
    if (opsize == 4 && cpu_pop_words(cpu, 3, &f->skip, word)) {
        f->eip = word[0];
        f->cs = word[1];
        f->flags = word[2];
        return true;
    }
    /* hosts look at EFLAGS first: its fault goes before the others' */
    if (!cpu_pop(cpu, opsize, &top, &f->flags) || !cpu_pop(cpu, opsize, &f->skip, &f->eip) ||
        !cpu_pop(cpu, opsize, &f->skip, &f->cs))
        return false;
    f->skip = top;
    return true;
}

static u32 wide_flags(u32 opsize)
{
    return opsize == 4 ? FLAGS_WIDE : 0;
}

static bool check_limit(struct vcpu *cpu, u32 limit, u32 eip)
{
    return eip <= limit || cpu_fault(cpu, EXC_GP, 0);
}

/* Real mode, and virtual-8086 mode once the flags to change are known. */
static bool iret_real(struct vcpu *cpu, u32 opsize, u32 mask)
{
    struct frame f;

    if (!pop_frame(cpu, opsize, &f) || !check_limit(cpu, cpu->seg[CS].limit, f.eip))
        return false;
    cpu_pop_commit(cpu, f.skip);
    cpu_load_segment_real(cpu, CS, (u16)f.cs);
    cpu->eip = f.eip;
    cpu_set_eflags(cpu, f.flags, mask | wide_flags(opsize));
    return true;
}

/* With VME and IOPL < 3 the popped IF becomes VIF. */
static bool iret_v86_virtual(struct vcpu *cpu)
{
    struct frame f;

    if (!pop_frame(cpu, 2, &f) || !check_limit(cpu, 0xffff, f.eip))
        return false;
    if ((f.flags & FLAG_IF && cpu->eflags & FLAG_VIP) || f.flags & FLAG_TF)
        return cpu_fault(cpu, EXC_GP, 0);
    cpu_pop_commit(cpu, f.skip);
    cpu_load_segment_real(cpu, CS, (u16)f.cs);
    cpu->eip = f.eip;
    cpu_set_eflags(cpu, f.flags & FLAG_IF ? f.flags | FLAG_VIF : f.flags & ~(u32)FLAG_VIF,
                   FLAGS_PROGRAM | FLAG_VIF);
    return true;
}

static bool iret_v86(struct vcpu *cpu, u32 opsize)
{
    if (cpu_iopl(cpu) == 3)
        return iret_real(cpu, opsize, FLAGS_PROGRAM | FLAG_IF);
    if (opsize == 2 && cpu->cr4 & CR4_VME)
        return iret_v86_virtual(cpu);
    return cpu_fault(cpu, EXC_GP, 0);
}

/* NT: back to the task in the link field of the TSS. */
static bool iret_task(struct vcpu *cpu, u32 next_eip)
{
    const struct segment *tr = &cpu->seg[TR];
    u64 link;

    if (!mmu_load(&cpu->paging, tr->base, 2, MMU_READ | MMU_SYSTEM, &link))
        return false;
    return cpu_switch_task(cpu, (u16)link, TASK_IRET, next_eip, false, 0);
}

/* Ring 0 returns to virtual-8086 mode: ESP, SS, ES, DS, FS and GS follow. */
static bool iret_to_v86(struct vcpu *cpu, struct frame *f)
{
    static const u8 order[] = { SS, ES, DS, FS, GS };
    u32 word[1 + ARRAY_SIZE(order)]; /* ESP first */

    if (!cpu_pop_words(cpu, ARRAY_SIZE(word), &f->skip, word))
        for (u32 i = 0; i < ARRAY_SIZE(word); i++)
            if (!cpu_pop(cpu, 4, &f->skip, &word[i]))
                return false;
    if (!check_limit(cpu, 0xffff, f->eip))
        return false;
    for (u32 i = 0; i < ARRAY_SIZE(order); i++)
        segment_make_v86(&cpu->seg[order[i]], (u16)word[1 + i]);
    segment_make_v86(&cpu->seg[CS], (u16)f->cs);
    cpu->gpr[ESP] = word[0];
    cpu->eip = f->eip;
    cpu_set_eflags(cpu, f->flags,
                   FLAGS_PROGRAM | FLAGS_WIDE | FLAG_IF | FLAG_IOPL | FLAG_VM | FLAG_VIF |
                       FLAG_VIP);
    cpu_set_cpl(cpu, 3);
    return true;
}

/* The flags a return from the present CPL may change. */
static u32 return_mask(const struct vcpu *cpu, u32 opsize)
{
    u32 mask = FLAGS_PROGRAM | wide_flags(opsize);

    if (cpu->cpl <= cpu_iopl(cpu))
        mask |= FLAG_IF;
    if (cpu->cpl == 0)
        mask |= FLAG_IOPL | (opsize == 4 ? FLAG_VIF | FLAG_VIP : 0);
    return mask;
}

static bool iret_outer(struct vcpu *cpu, struct frame *f, u32 desc[2], u32 opsize)
{
    u32 rpl = f->cs & 3, mask = return_mask(cpu, opsize);
    struct stack s;

    if (!far_pop_outer_stack(cpu, opsize, &f->skip, rpl, &s) ||
        !check_limit(cpu, desc_limit(desc), f->eip) ||
        !segment_set_accessed(cpu, (u16)f->cs, desc))
        return false;
    stack_commit(cpu, &s);
    cpu_set_eflags(cpu, f->flags, mask);
    cpu_commit_code(cpu, (u16)f->cs, desc, rpl, f->eip);
    segment_drop_inner(cpu);
    return true;
}

static bool iret_same(struct vcpu *cpu, struct frame *f, u32 desc[2], u32 opsize)
{
    if (!check_limit(cpu, desc_limit(desc), f->eip) ||
        !segment_set_accessed(cpu, (u16)f->cs, desc))
        return false;
    cpu_pop_commit(cpu, f->skip);
    cpu_set_eflags(cpu, f->flags, return_mask(cpu, opsize));
    cpu_commit_code(cpu, (u16)f->cs, desc, cpu->cpl, f->eip);
    return true;
}

static bool iret_protected(struct vcpu *cpu, u32 opsize)
{
    struct frame f;
    u32 desc[2] = { 0 };

    if (!pop_frame(cpu, opsize, &f))
        return false;
    if (opsize == 4 && f.flags & FLAG_VM && cpu->cpl == 0)
        return iret_to_v86(cpu, &f);
    if (selector_null((u16)f.cs))
        return cpu_fault(cpu, EXC_GP, 0);
    if (!cpu_read_descriptor(cpu, (u16)f.cs, EXC_GP, desc) ||
        !far_check_return_code(cpu, (u16)f.cs, desc))
        return false;
    return (f.cs & 3) > cpu->cpl ? iret_outer(cpu, &f, desc, opsize) :
                                   iret_same(cpu, &f, desc, opsize);
}

bool ex_iret(struct vcpu *cpu, const struct insn *in)
{
    cpu_unblock_nmi(cpu); /* even if it faults (vol. 3, 6.7.1) */
    if (cpu_v86(cpu))
        return iret_v86(cpu, in->opsize);
    if (!cpu_protected(cpu))
        return iret_real(cpu, in->opsize, FLAGS_PROGRAM | FLAG_IF | FLAG_IOPL);
    if (cpu->eflags & FLAG_NT)
        return iret_task(cpu, cpu->eip + in->len);
    return iret_protected(cpu, in->opsize);
}
