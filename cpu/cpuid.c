/*
 * The processor models of `-cpu`, and CPUID (SDM vol. 2, "CPUID"): what each has, and how it says
 * so. No hypervisor leaf and no hypervisor bit: the guest sees plain hardware.
 */
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/insn.h"

#include <string.h>

#define F(name) FEATURE_BIT(FEAT_##name)
#define FEATURES_486 (F(ALWAYS) | F(486) | F(FPU))
#define FEATURES_PENTIUM                                                                       \
    (FEATURES_486 | F(CPUID) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(CX8) | F(MMX) |   \
     F(APIC))
#define FEATURES_PENTIUM2                                                                      \
    (FEATURES_PENTIUM | F(PAE) | F(SEP) | F(MTRR) | F(PGE) | F(CMOV) | F(PAT) | F(FXSR) |      \
     F(NOPL))
#define FEATURES_PENTIUM3 (FEATURES_PENTIUM2 | F(SSE))
#define FEATURES_P6 (FEATURES_PENTIUM3 | F(SSE2) | F(NX))
#define FEATURES_CORE2        (FEATURES_P6 | F(SSE3) | F(SSSE3))
#define FEATURES_NEHALEM      (FEATURES_CORE2 | F(SSE41) | F(SSE42) | F(POPCNT))
#define FEATURES_SANDY_BRIDGE (FEATURES_NEHALEM | F(AES) | F(PCLMUL) | F(XSAVE) | F(AVX))
#define FEATURES_HASWELL                                                                       \
    (FEATURES_SANDY_BRIDGE | F(RDRAND) | F(MOVBE) | F(LZCNT) | F(BMI1) | F(BMI2) | F(AVX2) |   \
     F(FMA) | F(F16C))
#define FEATURES_MAX                                                                           \
    (FEATURES_P6 | F(SSE3) | F(SSSE3) | F(SSE41) | F(SSE42) | F(AES) | F(PCLMUL) | F(SHA) |    \
     F(POPCNT) | F(LZCNT) | F(MOVBE) | F(RDRAND) | F(BMI1) | F(BMI2) | F(XSAVE) | F(AVX) |     \
     F(AVX2) | F(FMA) | F(F16C) | F(VAES) | F(VPCLMUL))

/*
 * Those of QEMU's names have what QEMU's have, as far as it is here: no MONITOR, no sensors.
 * max is no Pentium M by its signature, as p6 is: video codecs leave out SSE2 on that.
 */
const struct cpu_model cpu_models[] = {
    {"p6", "family 6 with SSE2, PAE and NX", FEATURES_P6, 0x06d8},
    {"max", "p6 and all that is built of what this host's processor has", FEATURES_MAX,
     0x306c4},
    {"host", "the same as max", FEATURES_MAX, 0x306c4},
    {"Broadwell", "Core of 2014, as far as it is built and this host has it", FEATURES_HASWELL,
     0x306d2},
    {"Haswell", "the same of 2013", FEATURES_HASWELL, 0x306c4},
    {"IvyBridge", "Core of 2012", FEATURES_SANDY_BRIDGE | F(RDRAND) | F(F16C), 0x306a9},
    {"SandyBridge", "Core of 2011, with AVX", FEATURES_SANDY_BRIDGE, 0x206a1},
    {"Westmere", "Core of 2010", FEATURES_NEHALEM | F(AES) | F(PCLMUL), 0x206c1},
    {"Nehalem", "Core of 2008, with SSE4.2", FEATURES_NEHALEM, 0x106a3},
    {"Penryn", "Core 2 of 2007, with SSE4.1", FEATURES_CORE2 | F(SSE41), 0x10673},
    {"Conroe", "Core 2 of 2006", FEATURES_CORE2, 0x006f3},
    {"core2duo", "the same", FEATURES_CORE2, 0x006fb},
    {"n270", "Atom: p6 with SSSE3 and MOVBE", FEATURES_P6 | F(SSE3) | F(SSSE3) | F(MOVBE),
     0x106c2},
    {"coreduo", "p6 with SSE3", FEATURES_P6 | F(SSE3), 0x06e8},
    {"qemu32", "QEMU's: SSE3, without VME, MTRRs and NX",
     (FEATURES_P6 | F(SSE3)) & ~(F(VME) | F(MTRR) | F(NX)), 0x0663},
    {"pentium3", "Pentium III: family 6 with SSE", FEATURES_PENTIUM3, 0x068a},
    {"pentium2", "Pentium II: family 6 with MMX", FEATURES_PENTIUM2, 0x0652},
    {"pentium", "Pentium with MMX: family 5", FEATURES_PENTIUM, 0x0543},
    {"486", "486DX2, without CPUID", FEATURES_486, 0x0433},
    {0},
};

static bool apic_enabled(const struct vcpu *cpu)
{
    return cpu->pins.apic_base_read && cpu->pins.apic_base_read(cpu) & 1 << 11;
}

enum { LEAF_1_OSXSAVE = 1 << 27 };

static void leaf_1(struct vcpu *cpu, u32 out[4])
{
    out[0] = cpu->model->signature;
    out[1] = cpu_has(cpu, FEAT_SSE2) ? 8 << 8 : 0; /* CLFLUSH line: 64 bytes; APIC id 0 */
    out[2] = cpu_feature_bits(cpu, 1, ECX) | (cpu->cr4 & CR4_OSXSAVE ? LEAF_1_OSXSAVE : 0);
    out[3] = cpu_feature_bits(cpu, 1, EDX);
    if (!apic_enabled(cpu))
        out[3] &= ~(1u << 9);
}

/* Name for people, 48 bytes, right-adjusted as Intel does. */
static void brand_string(u32 leaf, u32 out[4])
{
    static const char name[49] = "                      ring3 P6-class processor  ";

    memcpy(out, name + (leaf - 0x80000002) * 16, 16);
}

enum { LEAF_XSAVE = 0xd };

/* State components: XCR0 and the area's size for what is on and for all; then YMM's place. */
static void leaf_xsave(const struct vcpu *cpu, u32 subleaf, u32 out[4])
{
    if (subleaf == 0) {
        out[0] = cpu_xcr0_supported(cpu);
        out[1] = cpu_xsave_size(cpu->xcr0);
        out[2] = cpu_xsave_size(out[0]);
    } else if (subleaf == 2 && cpu_has(cpu, FEAT_AVX)) {
        out[0] = XSAVE_YMM_SIZE;
        out[1] = XSAVE_YMM_AT;
    }
}

static u32 highest_basic(const struct vcpu *cpu)
{
    if (cpu_has(cpu, FEAT_XSAVE))
        return LEAF_XSAVE;
    if (cpu_feature_bits(cpu, 7, EBX))
        return 7;
    return cpu_has(cpu, FEAT_CMOV) ? 2 : 1;
}

static void leaf_0(const struct vcpu *cpu, u32 out[4])
{
    out[0] = highest_basic(cpu);
    memcpy(&out[1], "Genu", 4);
    memcpy(&out[3], "ineI", 4);
    memcpy(&out[2], "ntel", 4);
}

static u32 highest_extended(const struct vcpu *cpu)
{
    return cpu_has(cpu, FEAT_SSE2) ? 0x80000004 : 0;
}

/* Beyond the highest one stands the highest basic leaf. */
static u32 leaf_answered(const struct vcpu *cpu, u32 leaf)
{
    u32 highest = leaf & 0x80000000 ? highest_extended(cpu) : highest_basic(cpu);

    return leaf > highest ? highest_basic(cpu) : leaf;
}

bool cpu_cpuid_has_subleaves(const struct vcpu *cpu, u32 leaf)
{
    return leaf_answered(cpu, leaf) == 7 || leaf_answered(cpu, leaf) == LEAF_XSAVE;
}

void cpu_cpuid(struct vcpu *cpu, u32 leaf, u32 subleaf, u32 out[4])
{
    memset(out, 0, 16);
    leaf = leaf_answered(cpu, leaf);
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
    case 3: case 4: case 5: case 6: /* serial number, caches, MONITOR, power: none of these */
    case 8: case 9: case 10: case 11: case 12: /* nor DCA, performance counters, topology */
        break;
    case 7:
        if (subleaf == 0) {
            out[1] = cpu_feature_bits(cpu, leaf, EBX);
            out[2] = cpu_feature_bits(cpu, leaf, ECX);
        }
        break;
    case LEAF_XSAVE:
        leaf_xsave(cpu, subleaf, out);
        break;
    case 0x80000000:
        out[0] = highest_extended(cpu);
        break;
    case 0x80000001:
        out[2] = cpu_feature_bits(cpu, leaf, ECX);
        out[3] = cpu_feature_bits(cpu, leaf, EDX);
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
