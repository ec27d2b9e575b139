/*
 * Who owns the host's FPU. Translated code that computes with it runs "live": its registers
 * hold the guest's state while the code runs, and enter.S stores and loads them around every
 * piece of C but callouts that need none of it, or only look at it or replace it, which only
 * park its XMM registers. The first x87, MMX or SSE instruction met makes it live, if the
 * guest's CR0 and the state allow; TS or EM end it. It is live for code of one CPL: that of
 * others finds it there, and leaves it alone, or takes it over by its first instruction. But
 * for those callouts vcpu.fpu is exact whenever C runs.
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
 * To the vcpu's, from what enter.S stored (FXSAVE64). The instruction pointer there is a host
 * address if an x87 instruction ran since: the guest's is found by the TU. The data pointer is
 * not kept live: it reads 0, which the manual allows on CPUs that keep it only for unmasked
 * exceptions.
 */
static void copy_stored(struct vcpu *cpu)
{
    struct bt *bt = cpu->bt;
    u8 *from = (u8 *)&tc_of(cpu)->fpu_stored, *to = (u8 *)&cpu->fpu;
    u64 pc;
    struct tu *tu;

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
    if (tc_of(cpu)->fpu_live != FPU_STORED)
        return;
    copy_stored(cpu);
    tc_of(cpu)->fpu_live = FPU_LIVE;
}

/* XMM and MXCSR are parked already; the host's of now are C's. */
void bt_fpu_look(struct vcpu *cpu)
{
    struct fxsave *stored = &tc_of(cpu)->fpu_stored, now;

    if (tc_of(cpu)->fpu_live != FPU_PARKED)
        return;
    __asm__ volatile("fxsave64 %0" : "=m"(now));
    memcpy(stored, &now, offsetof(struct fxsave, mxcsr));
    memcpy(stored->st, now.st, sizeof(now.st));
    copy_stored(cpu);
}

/* The environment of vcpu.fpu to the host's registers, whose stack stays: FLDENV. Pointers are
 * taken from the vcpu while those of the host are not of code. */
static void load_environment(const struct fxsave *fx)
{
    u32 env[7] = {fx->fcw, fx->fsw};

    for (u32 i = 0; i < 8; i++)
        env[2] |= fx->ftw >> i & 1 ? 0 : 3u << 2 * i;
    __asm__ volatile("fldenv %0" : : "m"(env));
}

/* What costs less than all of it, if the host's registers can have it so. FLDCW would raise
 * what FNSTENV has masked just now. */
static bool change_parked(const struct vcpu *cpu, const struct insn *in)
{
    if (in->mnem == ZYDIS_MNEMONIC_FNSAVE)
        __asm__ volatile("fninit");
    else if (in->mnem == ZYDIS_MNEMONIC_FNSTENV && !(tc_of(cpu)->fpu_stored.fsw & FSW_ES))
        __asm__ volatile("fldcw %0" : : "m"(cpu->fpu.fcw));
    else if (in->mnem == ZYDIS_MNEMONIC_FNSTENV || in->mnem == ZYDIS_MNEMONIC_FLDENV)
        load_environment(&cpu->fpu);
    else
        return false;
    return true;
}

void bt_fpu_changed(struct vcpu *cpu, const struct insn *in, bool leaves)
{
    if (tc_of(cpu)->fpu_live != FPU_PARKED || change_parked(cpu, in))
        return;
    tc_of(cpu)->fpu_live = FPU_LIVE;
    if (leaves)
        __asm__ volatile("fninit");
}

void bt_fpu_revalidate(struct vcpu *cpu)
{
    if (!tc_of(cpu)->fpu_live || !(cpu->cr0 & (CR0_EM | CR0_TS)))
        return;
    bt_fpu_exact(cpu);
    tc_of(cpu)->fpu_live = FPU_OFF;
    tc_of(cpu)->fpu_cpl = FPU_NOBODY;
}
