/*
 * The processor models of `-cpu`, and CPUID (SDM vol. 2, "CPUID"): what each has, and how it says
 * so. No hypervisor leaf and no hypervisor bit: the guest sees plain hardware.
 */
#include "cpu/cpuid.h"
#include "cpu/insn.h"

#include <string.h>

#define F(name) ((u64)1 << FEAT_##name)
#define FEATURES_486 (F(ALWAYS) | F(486) | F(FPU))
#define FEATURES_PENTIUM                                                                       \
    (FEATURES_486 | F(CPUID) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(CX8) | F(MMX) |   \
     F(APIC))
#define FEATURES_PENTIUM3                                                                      \
    (FEATURES_PENTIUM | F(PAE) | F(SEP) | F(MTRR) | F(PGE) | F(CMOV) | F(PAT) | F(FXSR) |      \
     F(SSE) | F(NOPL))

const struct cpu_model cpu_models[] = {
    { "p6", "family 6 with SSE2, PAE and NX", FEATURES_PENTIUM3 | F(SSE2) | F(NX), 0x06d8 },
    { "pentium3", "Pentium III: family 6 with SSE", FEATURES_PENTIUM3, 0x068a },
    { "pentium", "Pentium with MMX: family 5", FEATURES_PENTIUM, 0x0543 },
    { "486", "486DX2, without CPUID", FEATURES_486, 0x0433 },
    { 0 },
};

/* Leaf 1, EDX: bit by feature. A Pentium's SEP, MTRR… bits follow from their absence. */
static u32 features_edx(const struct vcpu *cpu)
{
    static const struct {
        u8 feature, bit;
    } bits[] = {
        { FEAT_FPU, 0 },   { FEAT_VME, 1 },   { FEAT_DE, 2 },    { FEAT_PSE, 3 },
        { FEAT_TSC, 4 },   { FEAT_MSR, 5 },   { FEAT_PAE, 6 },   { FEAT_MSR, 7 /* MCE */ },
        { FEAT_CX8, 8 },   { FEAT_APIC, 9 },  { FEAT_SEP, 11 },  { FEAT_MTRR, 12 },
        { FEAT_PGE, 13 },  { FEAT_MTRR, 14 /* MCA */ },          { FEAT_CMOV, 15 },
        { FEAT_PAT, 16 },  { FEAT_SSE2, 19 /* CLFSH */ },        { FEAT_MMX, 23 },
        { FEAT_FXSR, 24 }, { FEAT_SSE, 25 },  { FEAT_SSE2, 26 },
    };
    u32 edx = 0;

    for (u32 i = 0; i < ARRAY_SIZE(bits); i++)
        if (cpu_has(cpu, bits[i].feature))
            edx |= 1u << bits[i].bit;
    return edx;
}

static bool apic_enabled(const struct vcpu *cpu)
{
    return cpu->pins.apic_base_read && cpu->pins.apic_base_read(cpu) & 1 << 11;
}

static void leaf_1(struct vcpu *cpu, u32 out[4])
{
    out[0] = cpu->model->signature;
    out[1] = cpu_has(cpu, FEAT_SSE2) ? 8 << 8 : 0; /* CLFLUSH line: 64 bytes; APIC id 0 */
    out[2] = 0;
    out[3] = features_edx(cpu);
    if (!apic_enabled(cpu))
        out[3] &= ~(1u << 9);
}

/* Name for people, 48 bytes, right-adjusted as Intel does. */
static void brand_string(u32 leaf, u32 out[4])
{
    static const char name[49] = "                      ring3 P6-class processor  ";

    memcpy(out, name + (leaf - 0x80000002) * 16, 16);
}

static void leaf_0(const struct vcpu *cpu, u32 out[4])
{
    out[0] = cpu_has(cpu, FEAT_CMOV) ? 2 : 1;
    memcpy(&out[1], "Genu", 4);
    memcpy(&out[3], "ineI", 4);
    memcpy(&out[2], "ntel", 4);
}

void cpu_cpuid(struct vcpu *cpu, u32 leaf, u32 subleaf, u32 out[4])
{
    u32 basic = cpu_has(cpu, FEAT_CMOV) ? 2 : 1;
    u32 extended = cpu_has(cpu, FEAT_SSE2) ? 0x80000004 : 0;

    memset(out, 0, 16);
    if (leaf > (leaf & 0x80000000 ? extended : basic)) /* beyond: the highest basic leaf */
        leaf = basic;
    switch (leaf) {
    case 0:
        leaf_0(cpu, out);
        break;
    case 1:
        leaf_1(cpu, out);
        break;
    case 2: /* 4 KB and 4 MB TLBs, L1 32 KB + 32 KB, L2 2 MB: one of AL = 1 rounds */
        out[0] = 0x02b3b001;
        out[1] = 0x000000f0;
        out[3] = 0x2c04307d;
        break;
    case 0x80000000:
        out[0] = extended;
        break;
    case 0x80000001:
        out[3] = cpu_has(cpu, FEAT_NX) ? 1u << 20 : 0;
        break;
    default:
        brand_string(leaf, out);
    }
}

bool ex_cpuid(struct vcpu *cpu, const struct insn *in)
{
    u32 leaf = cpu->gpr[EAX], out[4];

    cpu->stats.cpuids++;
    cpu_cpuid(cpu, leaf, cpu->gpr[ECX], out);
    cpu->gpr[EAX] = out[0];
    cpu->gpr[EBX] = out[1];
    cpu->gpr[ECX] = out[2];
    cpu->gpr[EDX] = out[3];
    return true;
}
