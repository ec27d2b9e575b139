/*
 * The models of processors and what CPUID says of them (cpuid.c).
 */
#ifndef RING3_CPUID_H
#define RING3_CPUID_H

#include "cpu/vcpu.h"

/* `-cpu`: what CPUID says and which instructions exist. */
enum cpu_feature {
    FEAT_ALWAYS, FEAT_CPUID, FEAT_FPU, FEAT_VME, FEAT_DE, FEAT_PSE, FEAT_TSC, FEAT_MSR, FEAT_PAE,
    FEAT_CX8, FEAT_APIC, FEAT_SEP, FEAT_MTRR, FEAT_PGE, FEAT_CMOV, FEAT_PAT, FEAT_MMX, FEAT_FXSR,
    FEAT_SSE, FEAT_SSE2, FEAT_NX, FEAT_NOPL, FEAT_486,
};
struct cpu_model {
    const char *name, *help;
    u64 features; /* bit n: enum cpu_feature n */
    u32 signature; /* CPUID 1 EAX: family, model, stepping; EDX at reset */
};
extern const struct cpu_model cpu_models[]; /* ends with name NULL; the first is the default, p6 */
static inline bool cpu_has(const struct vcpu *cpu, enum cpu_feature f)
{
    return cpu->model->features >> f & 1;
}

void cpu_cpuid(struct vcpu *cpu, u32 leaf, u32 subleaf, u32 out[4]); /* eax ebx ecx edx */

#endif
