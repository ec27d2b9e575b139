/*
 * `-d exec` and `-d cpu`: a line, or the registers, before each piece of guest code that runs,
 * as QEMU 7.2 prints them with `nochain` (accel/tcg/cpu-exec.c). The engine is driven from
 * here, a piece at a time; a piece is a translation unit, and of the interpreter an
 * instruction. A machine that was started without (the monitor's `log`) has units that are
 * chained and do without C: then the interpreter runs it while the log wants to see.
 *
 *   Trace 0: 0x0 [cs_base/linear address/flags/0]
 *
 * In QEMU's second place is where its host code lies, and in the last how it was compiled:
 * nothing of that is comparable between two programs, and here both are 0.
 */
#include "runtime/machine/execlog.h"
#include "bt/bt.h"
#include "cpu/deliver.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "runtime/base/debuglog.h"
#include "runtime/machine/machine.h"

/* QEMU's names and places of what a piece depends on (target/i386/cpu.h); the rest are EFLAGS'.
 */
enum {
    HF_INHIBIT_IRQ = 1 << 3, /* behind STI or MOV to SS */
    HF_CS32 = 1 << 4,
    HF_SS32 = 1 << 5,
    HF_ADDSEG = 1 << 6, /* DS, ES or SS may have a base */
    HF_PE = 1 << 7,
    HF_CR0_SHIFT = 8, /* MP, EM, TS: bits 1 to 3 of CR0 */
    HF_OSFXSR = 1 << 22,
};
#define HF_CR0    (CR0_MP | CR0_EM | CR0_TS)
#define HF_EFLAGS (FLAG_IOPL | FLAG_TF | FLAG_RF | FLAG_VM | FLAG_AC)

static bool based(const struct vcpu *cpu)
{
    bool code32 = cpu->seg[CS].attr & ATTR_DB;

    return !cpu_protected(cpu) || !code32 ||
           (cpu->seg[DS].base | cpu->seg[ES].base | cpu->seg[SS].base);
}

static u32 flags(const struct vcpu *cpu)
{
    u32 val = cpu->cpl | (cpu->eflags & HF_EFLAGS) | (cpu->cr0 & HF_CR0) << HF_CR0_SHIFT;

    val |= cpu->requests & REQ_SHADOW ? HF_INHIBIT_IRQ : 0;
    val |= cpu->seg[CS].attr & ATTR_DB ? HF_CS32 : 0;
    val |= cpu->seg[SS].attr & ATTR_DB ? HF_SS32 : 0;
    val |= based(cpu) ? HF_ADDSEG : 0;
    val |= cpu->cr0 & CR0_PE ? HF_PE : 0;
    val |= cpu->cr4 & CR4_OSFXSR ? HF_OSFXSR : 0;
    return val;
}

bool execlog_drives(const struct vcpu *cpu)
{
    const struct options *o = machine_of(cpu)->options;

    return execlog_on() || (debuglog_on(DEBUGLOG_INT) && o && !o->switches.no_memo);
}

/* Was the machine started without the log? */
static bool chained(const struct vcpu *cpu)
{
    const struct options *o = machine_of(cpu)->options;

    return o && !(o->switches.no_chain && o->switches.no_memo);
}

static void log_piece(const struct vcpu *cpu)
{
    char text[8192];

    if (debuglog_on(DEBUGLOG_EXEC))
        debuglog_print("Trace 0: 0x0 [%08x/%08x/%08x/00000000] \n", cpu->seg[CS].base,
                       cpu->seg[CS].base + cpu->eip, flags(cpu));
    if (!debuglog_on(DEBUGLOG_CPU))
        return;
    if (debuglog_on(DEBUGLOG_FPU))
        cpu_print(cpu, text, sizeof(text));
    else
        cpu_print_integer(cpu, text, sizeof(text));
    debuglog_print("%s", text);
}

/* As engines serve them. *alone: what follows is one instruction, behind STI or MOV to SS. */
static bool serve_requests(struct vcpu *cpu, bool *alone)
{
    *alone = false;
    if (!cpu_asked(cpu, 1))
        return true;
    *alone = cpu->requests & REQ_SHADOW;
    if (!cpu_serve_requests(cpu))
        return false;
    *alone |= cpu->requests != 0;
    return true;
}

/* A unit begins with a look at the clock now and then, and does not run where the deadline has
 * passed. */
static void run_unit(struct vcpu *cpu)
{
    u32 eip = cpu->eip;

    bt_run_one(cpu);
    if (cpu->requests & REQ_TIMER && cpu->eip == eip && debuglog_on(DEBUGLOG_EXEC))
        debuglog_print("Stopped execution of TB chain before 0x0 [%08x] \n",
                       cpu->seg[CS].base + eip);
}

void execlog_run(struct vcpu *cpu)
{
    bool alone, interpreted = cpu->engine == &interp_engine || chained(cpu);

    while (serve_requests(cpu, &alone)) {
        log_piece(cpu);
        if (alone || interpreted)
            cpu_run_one(cpu);
        else
            run_unit(cpu);
    }
}
