/*
 * The reference interpreter: fetch, the checks every instruction of its kind shares, the
 * handler from the table, and what follows each instruction (SDM vol. 3, table 6-2 gives the
 * order).
 *
 *   1 requests   interrupts and traps of the boundary          cpu_serve_requests()
 *   2 breakpoint  instruction breakpoint at CS:EIP, unless RF    cpu_debug_fetch()
 *                 before it, a debugger's outside the guest      cpu_debugger_fetch()
 *   3 fetch       limit, page, decoding                          fetch_quick()
 *   4 admit       model, LOCK, mode, FPU, privilege              by the row's attributes
 *   5 execute     the row's handler
 *   6 retire      EIP, RF, single step; or the exception
 */
#include "cpu/interp.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/debugger.h"
#include "cpu/deliver.h"
#include "cpu/engine.h"
#include "cpu/fetch.h"
#include "cpu/fpu.h"

/* LOCK needs a memory destination and an instruction that modifies it. */
static bool lock_allowed(const struct insn *in, u32 attr)
{
    return attr & OP_LOCK && (in->op[0].kind == OP_MEM || in->op[1].kind == OP_MEM);
}

/* 4: #UD first, then #NM and #MF, then #GP. */
static bool row_admits(struct vcpu *cpu, const struct insn *in, const struct op_row *row)
{
    if (!row->exec || !cpu_has(cpu, row->feature))
        return cpu_fault(cpu, EXC_UD, 0);
    if (in->prefixes & PFX_LOCK && !lock_allowed(in, row->attr))
        return cpu_fault(cpu, EXC_UD, 0);
    if (row->attr & OP_PROT && !cpu_protected(cpu))
        return cpu_fault(cpu, EXC_UD, 0);
    if (row->attr & (OP_FPU | OP_MMXREG | OP_SSE) && !cpu_fpu_check(cpu, row->attr))
        return false;
    if (row->attr & OP_CPL0 && cpu->cpl)
        return cpu_fault(cpu, EXC_GP, 0);
    if (row->attr & OP_IOPL && cpu->cpl > cpu_iopl(cpu))
        return cpu_fault(cpu, EXC_GP, 0);
    return true;
}

static inline bool run_handler(struct vcpu *cpu, const struct decoded *d)
{
    if (unlikely(d->admit) && !row_admits(cpu, &d->insn, &cpu_ops[d->insn.mnem]))
        return false;
    return d->exec(cpu, &d->insn);
}

/* A handler said no: an exception, or an FPU error that waits for its interrupt. */
static void deliver_recorded(struct vcpu *cpu)
{
    if (cpu->exc_vector != EXC_NONE)
        cpu_deliver_pending(cpu);
}

/* The instruction did not end at this boundary: a string instruction gave way. */
static inline bool suspended(const struct vcpu *cpu, u32 attr)
{
    return attr & OP_STRING && cpu->mid_rep;
}

/*
 * Does the single-step trap follow an instruction that started with TF set? Not if it entered a
 * software interrupt's handler, which clears TF, and not after a load of SS.
 */
static bool single_step_follows(const struct vcpu *cpu, u32 attr)
{
    if (attr & OP_INT && !(cpu->eflags & FLAG_TF))
        return false;
    return !(cpu->requests & REQ_SHADOW && cpu->ss_shadow);
}

static inline const struct decoded *fetch(struct vcpu *cpu)
{
    const struct decoded *d = fetch_quick(cpu);

    return likely(d) ? d : fetch_decoded(cpu);
}

/* 2 to 6, with TF or RF set or a breakpoint armed. RF shields one instruction from 2. */
static __attribute__((noinline)) void run_watched(struct vcpu *cpu)
{
    u32 before = cpu->eflags, from = cpu->eip;
    const struct decoded *d;
    bool branched;

    if (cpu->watch_code && cpu_debugger_fetch(cpu, cpu->seg[CS].base + cpu->eip))
        return;
    /* A trap that waits behind a load of SS comes first, and after this instruction. */
    if (cpu_debug_armed(cpu) && !(before & FLAG_RF) && !cpu->db_pending &&
        !cpu_debug_fetch(cpu, cpu->seg[CS].base + cpu->eip)) {
        deliver_recorded(cpu);
        return;
    }
    d = fetch(cpu);
    if (!d) {
        deliver_recorded(cpu);
        return;
    }
    cpu->eflags &= ~(u32)FLAG_RF; /* IRET and task switches may set it again */
    if (!run_handler(cpu, d)) {
        cpu->eflags |= before & FLAG_RF;
        deliver_recorded(cpu);
        return;
    }
    cpu->insns++;
    if (suspended(cpu, d->attr))
        cpu->eflags |= before & FLAG_RF;
    else if (!(d->attr & OP_FLOW))
        cpu->eip += d->len;
    branched = d->attr & OP_FLOW && cpu->eip != from + d->len;
    if (branched && !(d->attr & OP_INT))
        cpu_debug_branch(cpu, from);
    if (before & FLAG_TF && single_step_follows(cpu, d->attr) &&
        (branched || !(cpu->debugctl & DEBUGCTL_BTF)))
        cpu_debug_step(cpu);
}

static inline void run_one(struct vcpu *cpu)
{
    const struct decoded *d;

    if (unlikely(cpu->eflags & (FLAG_TF | FLAG_RF) || cpu_debug_armed(cpu) ||
                 cpu->watch_code)) {
        run_watched(cpu);
        return;
    }
    d = fetch(cpu);
    if (unlikely(!d || !run_handler(cpu, d))) {
        deliver_recorded(cpu);
        return;
    }
    cpu->insns++;
    if (likely(!(d->attr & (OP_FLOW | OP_STRING))))
        cpu->eip += d->len;
    else if (!(d->attr & OP_FLOW) && !suspended(cpu, d->attr))
        cpu->eip += d->len;
}

void cpu_run_one(struct vcpu *cpu)
{
    run_one(cpu);
}

bool cpu_run_insn(struct vcpu *cpu, const struct insn *in)
{
    if (likely(row_admits(cpu, in, &cpu_ops[in->mnem])))
        return cpu_run_admitted(cpu, in);
    deliver_recorded(cpu);
    return false;
}

bool cpu_run_admitted(struct vcpu *cpu, const struct insn *in)
{
    const struct op_row *row = &cpu_ops[in->mnem];

    if (unlikely(!row->exec(cpu, in))) {
        deliver_recorded(cpu);
        return false;
    }
    cpu->insns++;
    if (!(row->attr & OP_FLOW) && !suspended(cpu, row->attr))
        cpu->eip += in->len;
    return true;
}

static inline bool requests_served(struct vcpu *cpu)
{
    return likely(!cpu_asked(cpu, 1)) || cpu_serve_requests(cpu);
}

void cpu_step(struct vcpu *cpu)
{
    if (requests_served(cpu))
        run_one(cpu);
}

static void interp_run(struct vcpu *cpu)
{
    while (requests_served(cpu))
        run_one(cpu);
}

static bool attach_nothing(struct vcpu *cpu, const struct engine_config *config,
                           const char **why)
{
    return true;
}

static void detach_nothing(struct vcpu *cpu)
{
}

const struct engine interp_engine = {
    .name = "interp",
    .turn = CPU_PATIENCE,
    .help = "the reference interpreter",
    .attach = attach_nothing,
    .detach = detach_nothing,
    .run = interp_run,
};
