/*
 * Callouts: an instruction in C, its exceptions included, and what comes behind it: the TU goes
 * on, or the code at EIP, or the run loop (AFTER_* in regs.h). Called by enter.S.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/interp.h"
#include "cpu/operand.h"

#include <string.h>

static u32 callout_eip(const struct vcpu *cpu, const struct callout *co)
{
    return (u32)tc_of(cpu)->page + co->eip;
}

/* Is what the TU was made for still so, after an instruction that may change it? */
static bool same_context(struct bt *bt, const struct callout *co)
{
    u32 context = co->tu->context; /* one context too many frees the TU */
    u64 flushes = bt->stats.flushes;

    bt_fpu_revalidate(bt->cpu);
    return !bt_watched(bt->cpu) && bt_context(bt) == context && flushes == bt->stats.flushes;
}

/* May the TU go on behind the instruction that C has run? */
static bool tu_goes_on(struct bt *bt, const struct callout *co)
{
    const struct vcpu *cpu = bt->cpu;

    return !co->ends && !bt->dropped && cpu->eip == callout_eip(cpu, co) + co->insn.len &&
           (!co->revalidate || same_context(bt, co)) &&
           bt->generation == cpu->mmu->fetch_generation;
}

/* On at EIP, in whatever context, without the run loop: bt_indirect finds the TU or leaves. */
static int jump_on(struct bt *bt)
{
    bt_user_map_follow(bt->cpu);
    bt_fpu_revalidate(bt->cpu);
    bt_context(bt);
    if (bt_watched(bt->cpu))
        return AFTER_LEAVE;
    bt_revalidate_stack(bt);
    bt->dropped = false;
    bt->stats.exits_callout++;
    return AFTER_JUMP;
}

/* Before the instruction, which may load its own address. Bases of segments and the stack are
 * taken for aligned. */
static bool operand_is_aligned(const struct vcpu *cpu, const struct insn *in)
{
    const struct operand *m = insn_memory(in);

    if (cpu_ops[in->mnem].attr & OP_STRING)
        return !(in->opcode & 1) || !((cpu->gpr[ESI] | cpu->gpr[EDI]) & (in->opsize - 1u));
    return !m || m->size <= 1 || !(insn_offset(cpu, in) & (m->size - 1u));
}

/* Runs an instruction that became a callout by what its operand did, and notes what it does
 * now. */
static bool run_adapted(struct bt *bt, const struct callout *co)
{
    struct vcpu *cpu = bt->cpu;
    struct tu *tu = co->tu;
    u64 odd = cpu->mmu->odd_accesses;
    bool plain = operand_is_aligned(cpu, &co->insn), done = cpu_run_insn(cpu, &co->insn);

    plain &= done && odd == cpu->mmu->odd_accesses;
    if (site_served(bt, tu->gpa + (co->eip - tu->eip), plain))
        tu_drop(bt, tu);
    return done;
}

/* A checked operand that is misaligned now and again gets the form for such. */
static void learn_alignment(struct vcpu *cpu, struct callout *co)
{
    struct bt *bt = cpu->bt;

    if (!operand_misaligned(cpu, &co->insn) || bt->contexts[co->tu->context].key & KEY_AC ||
        ++co->misaligned < 8)
        return;
    site_learn(bt, co->tu->gpa + (co->eip - co->tu->eip), FACT_MISALIGNED);
    tu_drop(bt, co->tu);
}

/* The short way for a MOV from or to a device's memory, or to a page that is write-protected:
 * nothing of it can fault. False: nothing has happened. */
static bool move_short(struct vcpu *cpu, const struct insn *in)
{
    bool load = in->op[0].kind == OP_REG;
    const struct operand *m = &in->op[load], *o = &in->op[!load];
    u32 offset = insn_offset(cpu, in);
    gla_t gla = cpu->seg[in->seg].base + offset;
    u64 spte = cpu->shadow[(load ? 0 : SHADOW_WRITE) + (gla >> PAGE_SHIFT)];
    u32 val = o->kind == OP_IMM ? in->imm : reg_read(cpu, o->reg, m->size);
    gpa_t gpa = spte_gpa(spte, gla);

    if ((gla | offset) & (m->size - 1u) ||
        (in->seg >= FS &&
         tc_of(cpu)->reach[in->seg][!load] < (i64)(offset + (u64)m->size - 1)) ||
        (!spte_device(spte) && (load || !spte_protected(spte))))
        return false;
    if (load)
        reg_write(cpu, o->reg, m->size, mmu_bus_read(cpu->mmu, gpa, m->size));
    else if (spte_protected(spte))
        mmu_store(&cpu->paging, gla, m->size, MMU_WRITE, val);
    else if (gpa >> PAGE_SHIFT >= PHYS_PAGES || cpu->mmu->page_read[gpa >> PAGE_SHIFT])
        return false; /* ROM */
    else
        mmu_bus_write(cpu->mmu, gpa, m->size, val);
    cpu->eip += in->len;
    cpu->insns++;
    return true;
}

/* Has the instruction stayed as it was when it ran last? */
static bool unchanged(const struct vcpu *cpu, struct callout *co)
{
    gla_t gla = cpu->seg[CS].base + cpu->eip;
    u32 left = PAGE_SIZE - (gla & PAGE_MASK), n = co->insn.len < left ? co->insn.len : left;
    const u8 *now = tu_code(cpu->bt, co->tu, gla);
    bool same = !memcmp(now, co->insn.raw, n);

    memcpy(co->insn.raw, now, n);
    return same;
}

/* Runs what stands there now. False: what it was is not known, so nothing is learnt from it. */
static bool run_patched(struct vcpu *cpu, struct callout *co)
{
    struct tu *tu = co->tu;

    if (site_served(cpu->bt, tu->gpa, unchanged(cpu, co)))
        tu_drop(cpu->bt, tu);
    cpu_run_one(cpu);
    return false;
}

static bool run_callout(struct vcpu *cpu, struct callout *co)
{
    if (co->tu->patched)
        return run_patched(cpu, co);
    if (co->move && move_short(cpu, &co->insn))
        return true;
    if (co->form == FORM_CHECKED)
        learn_alignment(cpu, co);
    if (co->adapted)
        return run_adapted(cpu->bt, co);
    return co->admitted ? cpu_run_admitted(cpu, &co->insn) : cpu_run_insn(cpu, &co->insn);
}

/* Contexts keep their numbers up to a flush. */
static void learn_switch(struct bt *bt, const struct insn *in, u32 from)
{
    bool real = !(bt->contexts[from].key & KEY_PROT);

    switch (in->mnem) {
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_INT:
        if (real)
            memo_learn_far(bt, from);
        else if (in->mnem == ZYDIS_MNEMONIC_INT)
            memo_learn_int(bt, from, (u8)in->imm);
        else if (in->mnem == ZYDIS_MNEMONIC_IRETD)
            memo_learn_iret(bt, from);
        break;
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_RET:
        if (insn_far(in))
            memo_learn_far(bt, from);
        break;
    default:
        break;
    }
}

/* AFTER_*, when C has run the instruction, or delivered its exception instead. */
static int what_follows(struct bt *bt, const struct callout *co, bool done)
{
    if (done && co->revalidate)
        memo_learn_segment(bt, &co->insn); /* of SS, too, which asks for its shadow */
    if (unlikely(bt->cpu->requests))
        return AFTER_LEAVE;
    return done && !bt_user_map_stale(bt->cpu) && tu_goes_on(bt, co) ? AFTER_ON : jump_on(bt);
}

int bt_callout_c(struct vcpu *cpu, struct callout *co)
{
    u32 from = tc_of(cpu)->context, leaf = cpu->gpr[EAX];
    struct bt *bt = cpu->bt;
    u64 flushes = bt->stats.flushes;
    int after;
    bool done;

    bt->stats.callouts++;
    bt->stats.callout_by[co->insn.mnem]++;
    bt_flags_from_host(cpu);
    cpu->eip = callout_eip(cpu, co);
    if (co->needs_fpu)
        bt_fpu_exact(cpu);
    done = run_callout(cpu, co);
    if (done && co->fpu && bt_fpu_may_live(cpu))
        /* behind it: it may be in the shadow of STI, where nothing comes between */
        bt_fpu_start(cpu);
    if (done && co->insn.mnem == ZYDIS_MNEMONIC_CPUID)
        memo_learn_cpuid(bt, leaf);
    after = what_follows(bt, co, done);
    if (done && after != AFTER_ON && !cpu->requests && flushes == bt->stats.flushes)
        learn_switch(bt, &co->insn, from);
    bt_flags_to_host(cpu);
    return after;
}

/* ---- Fast callouts ---- */

int bt_after_c(struct vcpu *cpu, struct callout *co)
{
    int after;

    bt_flags_from_host(cpu);
    after = what_follows(cpu->bt, co, true);
    bt_flags_to_host(cpu);
    return after;
}

/*
 * Device accesses and stores to page tables are what guests do most. They know neither EIP nor
 * flags: the guest's arithmetic flags are not in the vcpu.
 */
int bt_fast_callout_c(struct vcpu *cpu, struct callout *co)
{
    struct bt *bt = cpu->bt;

    cpu->eip = callout_eip(cpu, co);
    if (!co->fast_callout || (co->move && !move_short(cpu, &co->insn)))
        return FAST_NOT;
    if (!co->move)
        cpu_run_admitted(cpu, &co->insn);
    bt->stats.callouts++;
    bt->stats.callout_by[co->insn.mnem]++;
    return cpu->requests || bt->dropped || bt_user_map_stale(cpu) ||
                   bt->generation != cpu->mmu->fetch_generation
               ? FAST_AFTER
               : FAST_ON;
}
