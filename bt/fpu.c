/*
 * Who owns the host's FPU. Translated code that computes with it runs "live": its registers
 * hold the guest's state while the code runs, and enter.S stores and loads them around every
 * piece of C but callouts that need none of it, which only park its XMM registers. The first
 * x87, MMX or SSE instruction met makes it live, if the guest's CR0 and the state allow; TS or
 * EM end it. It is live for code of one CPL: that of others finds it there, and leaves it
 * alone, or takes it over by its first instruction. But for those callouts vcpu.fpu is exact
 * whenever C runs.
 */
#include "bt/tu.h"
#include "cpu/hostexec.h"
#include <string.h>

enum { FXSAVE_POINTERS = 8, FXSAVE_POINTERS_END = 24 };

bool bt_fpu_may_live(const struct vcpu *cpu)
{
    return !(cpu->cr0 & (CR0_EM | CR0_TS)) && !(cpu->fpu.fsw & FSW_ES) && !cpu->ferr;
}

void bt_fpu_start(struct vcpu *cpu)
{
    struct bt *bt = cpu->bt;

    tc_of(cpu)->fpu_live = FPU_LIVE;
    tc_of(cpu)->fpu_cpl = cpu->cpl;
    bt->stats.fpu_starts++;
}

/*
 * Takes the state enter.S stored (FXSAVE64). The instruction pointer there is a host address if
 * an x87 instruction ran since: the guest's is found by the TU. The data pointer is not kept
 * live: it reads 0, which the manual allows on CPUs that keep it only for unmasked exceptions.
 */
static void take_stored(struct vcpu *cpu)
{
    struct bt *bt = cpu->bt;
    u8 *from = (u8 *)&tc_of(cpu)->fpu_stored, *to = (u8 *)&cpu->fpu;
    u64 pc;
    struct tu *tu;

    tc_of(cpu)->fpu_live = FPU_LIVE;
    memcpy(&pc, from + FXSAVE_POINTERS, 8);
    memcpy(to, from, FXSAVE_POINTERS);
    memcpy(to + FXSAVE_POINTERS_END, from + FXSAVE_POINTERS_END,
           160 + 128 - FXSAVE_POINTERS_END);
    tu = pc - (u64)bt->exec < bt->used ? tu_by_host(bt, (const u8 *)pc) : NULL;
    if (tu) {
        const struct site *site = tu_site(bt, tu, (const u8 *)pc);

        cpu->fpu.fip = (tu_pic(bt, tu) ? (u32)tc_of(cpu)->fpu_page : 0) + tu->eip +
                       (site ? site->eip_off : 0);
        cpu->fpu.fcs = cpu->seg[CS].selector;
        cpu->fpu.fdp = 0;
        cpu->fpu.fds = 0;
    }
}

void bt_fpu_exact(struct vcpu *cpu)
{
    bt_fpu_unpark(cpu);
    if (tc_of(cpu)->fpu_live == FPU_STORED)
        take_stored(cpu);
}

void bt_fpu_revalidate(struct vcpu *cpu)
{
    if (!tc_of(cpu)->fpu_live || !(cpu->cr0 & (CR0_EM | CR0_TS)))
        return;
    bt_fpu_exact(cpu);
    tc_of(cpu)->fpu_live = FPU_OFF;
    tc_of(cpu)->fpu_cpl = FPU_NOBODY;
}
