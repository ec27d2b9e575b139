/*
 * Model-specific registers and the time-stamp counter (msr.c).
 */
#ifndef RING3_MSR_H
#define RING3_MSR_H

#include "cpu/vcpu.h"

bool cpu_rdmsr(struct vcpu *cpu, u32 index, u64 *val);
bool cpu_wrmsr(struct vcpu *cpu, u32 index, u64 val);
/* Is the TSC not the host's, but that of a clock turned by hand? */
bool cpu_clock_by_hand(const struct vcpu *cpu);
u64 cpu_tsc(struct vcpu *cpu);
/* The machine stops or goes on: the TSC stands meanwhile, as the machine's clock does. */
void cpu_tsc_stop(struct vcpu *cpu);
void cpu_tsc_start(struct vcpu *cpu);

#endif
