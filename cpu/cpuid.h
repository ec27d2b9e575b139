/*
 * The models of processors, the features they are made of (features.c), and what CPUID says of
 * them (cpuid.c).
 */
#ifndef RING3_CPUID_H
#define RING3_CPUID_H

#include "cpu/vcpu.h"

/* `-cpu`: what CPUID says and which instructions exist. */
enum cpu_feature {
    FEAT_ALWAYS, FEAT_CPUID, FEAT_FPU, FEAT_VME, FEAT_DE, FEAT_PSE, FEAT_TSC, FEAT_MSR, FEAT_PAE,
    FEAT_CX8, FEAT_APIC, FEAT_SEP, FEAT_MTRR, FEAT_PGE, FEAT_CMOV, FEAT_PAT, FEAT_MMX, FEAT_FXSR,
    FEAT_SSE, FEAT_SSE2, FEAT_NX, FEAT_NOPL, FEAT_486, FEAT_XSAVE,
    /* From here on only what the host's processor has. */
    FEAT_SSE3, FEAT_SSSE3, FEAT_SSE41, FEAT_SSE42, FEAT_AES, FEAT_PCLMUL, FEAT_SHA,
    FEAT_POPCNT, FEAT_LZCNT, FEAT_MOVBE, FEAT_RDRAND, FEAT_BMI1, FEAT_BMI2,
    FEAT_AVX, FEAT_AVX2, FEAT_FMA, FEAT_F16C, FEAT_VAES, FEAT_VPCLMUL,
    FEATURES,
};
#define FEATURE_BIT(feature) ((u64)1 << (feature))

/* Whose instructions work on the state that FXSAVE stores. */
#define FEATURES_OF_FPU                                                                        \
    (FEATURE_BIT(FEAT_FPU) | FEATURE_BIT(FEAT_MMX) | FEATURE_BIT(FEAT_FXSR) |                  \
     FEATURE_BIT(FEAT_SSE) | FEATURE_BIT(FEAT_SSE2) | FEATURE_BIT(FEAT_SSE3) |                 \
     FEATURE_BIT(FEAT_SSSE3) | FEATURE_BIT(FEAT_SSE41) | FEATURE_BIT(FEAT_SSE42) |             \
     FEATURE_BIT(FEAT_AES) | FEATURE_BIT(FEAT_PCLMUL) | FEATURE_BIT(FEAT_SHA) |                \
     FEATURE_BIT(FEAT_XSAVE) | FEATURE_BIT(FEAT_AVX) | FEATURE_BIT(FEAT_AVX2) |                \
     FEATURE_BIT(FEAT_FMA) | FEATURE_BIT(FEAT_F16C))

struct cpu_model {
    const char *name, *help;
    u64 features; /* FEATURE_BIT of each; what the host lacks of them is left out */
    u32 signature; /* CPUID 1 EAX: family, model, stepping; EDX at reset */
};
extern const struct cpu_model cpu_models[]; /* ends with name NULL; the first is the default, p6 */
static inline bool cpu_has(const struct vcpu *cpu, enum cpu_feature f)
{
    return cpu->features >> f & 1;
}

/* A feature that can be had or left out singly, by QEMU's name. */
struct cpu_feature_name {
    const char *name;
    u8 feature;
};
extern const struct cpu_feature_name cpu_feature_names[]; /* ends with name NULL */
const char *cpu_feature_name(enum cpu_feature f); /* "" if it has none */

/* Can the host run what needs this feature? Those before FEAT_SSE3 always. */
bool cpu_host_has(enum cpu_feature f);
/*
 * A model's features, with those of the bit sets `on` and without those of `off`; what builds on
 * a missing one is missing, too, and so is what the host lacks. All FEATURE_BITs.
 */
u64 cpu_features_of(const struct cpu_model *model, u64 on, u64 off);
/* What a feature builds on and needs directly; FEAT_ALWAYS: nothing. */
enum cpu_feature cpu_feature_base(enum cpu_feature f);
/* The bits of register `reg` (EAX to EBX) of a CPUID leaf that stand for this CPU's features. */
u32 cpu_feature_bits(const struct vcpu *cpu, u32 leaf, enum gpr reg);

void cpu_cpuid(struct vcpu *cpu, u32 leaf, u32 subleaf, u32 out[4]); /* eax ebx ecx edx */
/* Does a leaf's answer depend on ECX? */
bool cpu_cpuid_has_subleaves(const struct vcpu *cpu, u32 leaf);

#endif
