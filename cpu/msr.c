/*
 * Model-specific registers of the P6 family (SDM vol. 4, tables 2-20 and 2-51), the time-stamp
 * counter and the two event counters. Everything else is #GP(0), is counted, and `--trace nyi` names it.
 */
#include "cpu/msr.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/deliver.h"
#include "cpu/insn.h"
#include "mmu/mmu.h"
#include <string.h>

#include <x86intrin.h>

enum {
    MSR_P5_MC_ADDR = 0x00, MSR_P5_MC_TYPE = 0x01, MSR_TSC = 0x10, MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b, MSR_EBL_CR_POWERON = 0x2a, MSR_TEST_CTL = 0x33, MSR_UCODE_WRITE = 0x79,
    MSR_UCODE_REV = 0x8b, MSR_PERFCTR0 = 0xc1, MSR_MTRR_CAP = 0xfe, MSR_BBL_CR_CTL3 = 0x11e,
    MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS, MSR_EVNTSEL0 = 0x186, MSR_MISC_ENABLE = 0x1a0, MSR_DEBUGCTL = 0x1d9,
    MSR_LAST_BRANCH_FROM = 0x1db, MSR_LAST_INT_FROM = 0x1dd, MSR_MTRR_PHYSBASE0 = 0x200,
    MSR_MTRR_FIX64K = 0x250, MSR_MTRR_FIX16K = 0x258, MSR_MTRR_FIX4K = 0x268, MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff, MSR_MC0_CTL = 0x400, MSR_EFER = 0xc0000080,
};
enum { MC_BANKS = 5, PHYS_BITS = 36 };

/* ---- Time ---- */

/* A hand-turned clock counts nanoseconds: tests get the same count each run. */
static u64 raw_tsc(struct vcpu *cpu)
{
    u64 now;

    if (cpu->pins.clock_by_hand && cpu->pins.clock_by_hand(cpu, &now))
        return now;
    return cpu->pins.host_tsc ? cpu->pins.host_tsc(cpu) : __rdtsc();
}

bool cpu_clock_by_hand(const struct vcpu *cpu)
{
    u64 now;

    return cpu->pins.clock_by_hand && cpu->pins.clock_by_hand(cpu, &now);
}

u64 cpu_tsc(struct vcpu *cpu)
{
    u64 raw = raw_tsc(cpu); /* may change the offset */

    return raw + cpu->tsc_offset;
}

void cpu_tsc_stop(struct vcpu *cpu)
{
    cpu->tsc_stopped = cpu_tsc(cpu);
}

void cpu_tsc_start(struct vcpu *cpu)
{
    u64 now = cpu_tsc(cpu);

    cpu->tsc_offset += cpu->tsc_stopped - now;
}

/* ---- Event counters: what the two events that we can count stand at ---- */

static u64 event_now(struct vcpu *cpu, u64 select)
{
    if (!(select & 1u << 22)) /* EN */
        return 0;
    switch (select & 0xff) {
    case 0xc0: /* INST_RETIRED */
        return cpu->insns;
    case 0x79: /* CPU_CLK_UNHALTED */
        return cpu_tsc(cpu);
    }
    return 0;
}

static u64 counter_read(struct vcpu *cpu, u32 n)
{
    return (cpu->perf_base[n] + event_now(cpu, cpu->perf_select[n])) & 0xffffffffffull;
}

/* Writes sign-extend 32 bits. */
static void counter_write(struct vcpu *cpu, u32 n, u64 val)
{
    cpu->perf_base[n] = (u64)(i64)(i32)val - event_now(cpu, cpu->perf_select[n]);
}

static void counter_select(struct vcpu *cpu, u32 n, u64 select)
{
    u64 count = counter_read(cpu, n);

    cpu->perf_select[n] = select & 0xffffffff;
    cpu->perf_base[n] = count - event_now(cpu, cpu->perf_select[n]);
}

/* ---- MTRRs and PAT: kept for the guest; our memory is coherent in any case ---- */

static bool memory_type(u8 type, bool pat)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6 || (pat && type == 7);
}

static bool memory_types(u64 val, bool pat)
{
    for (u32 i = 0; i < 8; i++)
        if (!memory_type((u8)(val >> 8 * i), pat))
            return false;
    return true;
}

/* Index in mtrr_fix, or -1. */
static int fixed_mtrr(u32 index)
{
    if (index == MSR_MTRR_FIX64K)
        return 0;
    if (index == MSR_MTRR_FIX16K || index == MSR_MTRR_FIX16K + 1)
        return 1 + (int)(index - MSR_MTRR_FIX16K);
    if (index >= MSR_MTRR_FIX4K && index < MSR_MTRR_FIX4K + 8)
        return 3 + (int)(index - MSR_MTRR_FIX4K);
    return -1;
}

static bool mtrr_read(struct vcpu *cpu, u32 index, u64 *val)
{
    int fixed = fixed_mtrr(index);

    if (fixed >= 0)
        *val = cpu->mtrr_fix[fixed];
    else if (index - MSR_MTRR_PHYSBASE0 < 16)
        *val = cpu->mtrr_var[index - MSR_MTRR_PHYSBASE0];
    else if (index == MSR_MTRR_CAP)
        *val = 0x508; /* 8 variable ranges, fixed ranges, write-combining */
    else if (index == MSR_MTRR_DEF_TYPE)
        *val = cpu->mtrr_def_type;
    else
        return false;
    return true;
}

static bool mtrr_variable_valid(u32 index, u64 val)
{
    if (val >> PHYS_BITS)
        return false;
    return index & 1 ? !(val & 0x7ff) : !(val & 0xf00) && memory_type((u8)val, false);
}

static bool mtrr_write(struct vcpu *cpu, u32 index, u64 val)
{
    int fixed = fixed_mtrr(index);

    if (fixed >= 0) {
        if (!memory_types(val, false))
            return false;
        cpu->mtrr_fix[fixed] = val;
    } else if (index - MSR_MTRR_PHYSBASE0 < 16) {
        if (!mtrr_variable_valid(index, val))
            return false;
        cpu->mtrr_var[index - MSR_MTRR_PHYSBASE0] = val;
    } else if (index == MSR_MTRR_DEF_TYPE) {
        if (val & ~0xcffull || !memory_type((u8)val, false))
            return false;
        cpu->mtrr_def_type = val;
    } else {
        return false;
    }
    return true;
}

static bool is_mtrr(u32 index)
{
    return fixed_mtrr(index) >= 0 || index - MSR_MTRR_PHYSBASE0 < 16 || index == MSR_MTRR_CAP ||
           index == MSR_MTRR_DEF_TYPE;
}

/* ---- Machine check banks: nothing ever goes wrong, but the registers are there ---- */

static u64 *machine_check(struct vcpu *cpu, u32 index)
{
    u64 *const banks[] = { cpu->mc_ctl, cpu->mc_status, cpu->mc_addr };
    u32 n = index - MSR_MC0_CTL;

    return n < MC_BANKS * 4 && n % 4 < 3 ? &banks[n % 4][n / 4] : NULL;
}

/* ---- RDMSR, WRMSR ---- */

/* Which of our features brings an MSR into being. */
static bool msr_exists(const struct vcpu *cpu, u32 index)
{
    if (!cpu_has(cpu, FEAT_MSR))
        return false;
    if (index == MSR_TSC || index == MSR_P5_MC_ADDR || index == MSR_P5_MC_TYPE)
        return true;
    if (index == MSR_EFER)
        return cpu_has(cpu, FEAT_NX);
    if (index == MSR_PAT)
        return cpu_has(cpu, FEAT_PAT);
    if (index == MSR_APIC_BASE)
        return cpu_has(cpu, FEAT_APIC) && cpu->pins.apic_base_read;
    if (index - MSR_SYSENTER_CS < 3)
        return cpu_has(cpu, FEAT_SEP);
    return cpu_has(cpu, FEAT_MTRR); /* the rest came with the P6 */
}

static bool read_misc(struct vcpu *cpu, u32 index, u64 *val)
{
    u64 *bank = machine_check(cpu, index);

    if (bank)
        *val = *bank;
    else if (index - MSR_PERFCTR0 < 2)
        *val = counter_read(cpu, index - MSR_PERFCTR0);
    else if (index - MSR_EVNTSEL0 < 2)
        *val = cpu->perf_select[index - MSR_EVNTSEL0];
    else if (index - MSR_LAST_BRANCH_FROM < 2)
        *val = cpu->last_branch[index - MSR_LAST_BRANCH_FROM];
    else if (index - MSR_LAST_INT_FROM < 2)
        *val = cpu->last_int[index - MSR_LAST_INT_FROM];
    else
        return false;
    return true;
}

static bool read_msr(struct vcpu *cpu, u32 index, u64 *val)
{
    *val = 0;
    switch (index) {
    case MSR_P5_MC_ADDR:
    case MSR_P5_MC_TYPE:
    case MSR_PLATFORM_ID:
    case MSR_EBL_CR_POWERON:
    case MSR_TEST_CTL:
    case MSR_BBL_CR_CTL3:
        return true;
    case MSR_DEBUGCTL:
        *val = cpu->debugctl;
        return true;
    case MSR_UCODE_REV:
        *val = 1ull << 32;
        return true;
    case MSR_TSC:
        *val = cpu_tsc(cpu);
        return true;
    case MSR_APIC_BASE:
        *val = cpu->pins.apic_base_read(cpu);
        return true;
    case MSR_SYSENTER_CS:
        *val = cpu->sysenter_cs;
        return true;
    case MSR_SYSENTER_ESP:
        *val = cpu->sysenter_esp;
        return true;
    case MSR_SYSENTER_EIP:
        *val = cpu->sysenter_eip;
        return true;
    case MSR_MCG_CAP:
        *val = MC_BANKS;
        return true;
    case MSR_MCG_STATUS:
        *val = cpu->mcg_status;
        return true;
    case MSR_MISC_ENABLE:
        *val = cpu->misc_enable;
        return true;
    case MSR_PAT:
        *val = cpu->pat;
        return true;
    case MSR_EFER:
        *val = cpu->efer;
        return true;
    }
    return is_mtrr(index) ? mtrr_read(cpu, index, val) : read_misc(cpu, index, val);
}

bool cpu_rdmsr(struct vcpu *cpu, u32 index, u64 *val)
{
    if (msr_exists(cpu, index) && read_msr(cpu, index, val))
        return true;
    cpu->stats.nyi++;
    trace(TRACE_NYI, "rdmsr %x at %04x:%08x", index, cpu->seg[CS].selector, cpu->eip);
    return cpu_fault(cpu, EXC_GP, 0);
}

static bool write_efer(struct vcpu *cpu, u64 val)
{
    if (val & ~(u64)EFER_NXE)
        return false;
    if (cpu->efer == val)
        return true;
    cpu->efer = (u32)val;
    mmu_mode_changed(&cpu->paging, false);
    return true;
}

/* Banks take all ones or all zeroes in CTL, and zeroes in STATUS and ADDR (vol. 3, 15.3.2). */
static bool write_misc(struct vcpu *cpu, u32 index, u64 val)
{
    u64 *bank = machine_check(cpu, index);

    if (bank) {
        if (index % 4 != 0 && val != 0)
            return false;
        *bank = val;
    } else if (index - MSR_PERFCTR0 < 2) {
        counter_write(cpu, index - MSR_PERFCTR0, val);
    } else if (index - MSR_EVNTSEL0 < 2) {
        counter_select(cpu, index - MSR_EVNTSEL0, val);
    } else {
        return false;
    }
    return true;
}

static bool write_msr(struct vcpu *cpu, u32 index, u64 val)
{
    u64 raw;

    switch (index) {
    case MSR_P5_MC_ADDR:
    case MSR_P5_MC_TYPE:
    case MSR_EBL_CR_POWERON:
    case MSR_TEST_CTL:
    case MSR_BBL_CR_CTL3:
    case MSR_UCODE_WRITE:
    case MSR_UCODE_REV:
        return true;
    case MSR_DEBUGCTL:
        if (val & ~(u64)DEBUGCTL_BITS)
            return false;
        cpu->debugctl = (u32)val;
        return true;
    case MSR_TSC: /* P6 writes the low half and clears the high one; later ones take all */
        raw = raw_tsc(cpu);
        cpu->tsc_offset = val - raw;
        return true;
    case MSR_APIC_BASE:
        return cpu->pins.apic_base_write(cpu, val);
    case MSR_SYSENTER_CS:
        cpu->sysenter_cs = (u32)val;
        return true;
    case MSR_SYSENTER_ESP:
        cpu->sysenter_esp = (u32)val;
        return true;
    case MSR_SYSENTER_EIP:
        cpu->sysenter_eip = (u32)val;
        return true;
    case MSR_MCG_STATUS:
        cpu->mcg_status = val;
        return true;
    case MSR_MISC_ENABLE:
        cpu->misc_enable = val;
        return true;
    case MSR_PAT:
        if (!memory_types(val, true))
            return false;
        cpu->pat = val;
        return true;
    case MSR_EFER:
        return write_efer(cpu, val);
    }
    return is_mtrr(index) ? mtrr_write(cpu, index, val) : write_misc(cpu, index, val);
}

bool cpu_wrmsr(struct vcpu *cpu, u32 index, u64 val)
{
    cpu->cpuid_version++; /* it tells of the APIC's enable bit */
    if (msr_exists(cpu, index) && write_msr(cpu, index, val))
        return true;
    cpu->stats.nyi++;
    trace(TRACE_NYI, "wrmsr %x = %llx at %04x:%08x", index, (unsigned long long)val,
          cpu->seg[CS].selector, cpu->eip);
    return cpu_fault(cpu, EXC_GP, 0);
}

/* ---- Instructions ---- */

static void set_edx_eax(struct vcpu *cpu, u64 val)
{
    cpu->gpr[EAX] = (u32)val;
    cpu->gpr[EDX] = (u32)(val >> 32);
}

bool ex_rdmsr(struct vcpu *cpu, const struct insn *in)
{
    u64 val;

    cpu->stats.msr_reads++;
    if (!cpu_rdmsr(cpu, cpu->gpr[ECX], &val))
        return false;
    set_edx_eax(cpu, val);
    return true;
}

bool ex_wrmsr(struct vcpu *cpu, const struct insn *in)
{
    cpu->stats.msr_writes++;
    return cpu_wrmsr(cpu, cpu->gpr[ECX], (u64)cpu->gpr[EDX] << 32 | cpu->gpr[EAX]);
}

bool ex_rdtsc(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->cr4 & CR4_TSD && cpu->cpl != 0)
        return cpu_fault(cpu, EXC_GP, 0);
    set_edx_eax(cpu, cpu_tsc(cpu));
    return true;
}

bool ex_rdpmc(struct vcpu *cpu, const struct insn *in)
{
    if ((!(cpu->cr4 & CR4_PCE) && cpu->cpl != 0) || cpu->gpr[ECX] > 1)
        return cpu_fault(cpu, EXC_GP, 0);
    set_edx_eax(cpu, counter_read(cpu, cpu->gpr[ECX]));
    return true;
}
