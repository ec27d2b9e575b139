/*
 * The features of processors: where CPUID shows each (SDM vol. 2, "CPUID", tables 3-10 and 3-11),
 * what it builds on, its name on the command line, and which of them this host has.
 *
 * From SSE3 on an instruction is run by the host's own, so the guest can have it only there.
 */
#include "cpu/cpuid.h"

#include <cpuid.h>
#include <string.h>

enum { LEAF_7 = 7, LEAF_EXTENDED = 0x80000001 };

/* One that stands for two bits has two rows. */
static const struct row {
    u32 leaf;
    u8 reg, bit; /* EAX, ECX, EDX or EBX */
    u8 feature, base;
} rows[] = {
    { 1, EDX, 0, FEAT_FPU, FEAT_ALWAYS },
    { 1, EDX, 1, FEAT_VME, FEAT_ALWAYS },
    { 1, EDX, 2, FEAT_DE, FEAT_ALWAYS },
    { 1, EDX, 3, FEAT_PSE, FEAT_ALWAYS },
    { 1, EDX, 4, FEAT_TSC, FEAT_ALWAYS },
    { 1, EDX, 5, FEAT_MSR, FEAT_ALWAYS },
    { 1, EDX, 6, FEAT_PAE, FEAT_ALWAYS },
    { 1, EDX, 7, FEAT_MSR, FEAT_ALWAYS }, /* MCE */
    { 1, EDX, 8, FEAT_CX8, FEAT_ALWAYS },
    { 1, EDX, 9, FEAT_APIC, FEAT_ALWAYS },
    { 1, EDX, 11, FEAT_SEP, FEAT_ALWAYS },
    { 1, EDX, 12, FEAT_MTRR, FEAT_ALWAYS },
    { 1, EDX, 13, FEAT_PGE, FEAT_ALWAYS },
    { 1, EDX, 14, FEAT_MTRR, FEAT_ALWAYS }, /* MCA */
    { 1, EDX, 15, FEAT_CMOV, FEAT_ALWAYS },
    { 1, EDX, 16, FEAT_PAT, FEAT_ALWAYS },
    { 1, EDX, 19, FEAT_SSE2, FEAT_SSE }, /* CLFSH */
    { 1, EDX, 23, FEAT_MMX, FEAT_ALWAYS },
    { 1, EDX, 24, FEAT_FXSR, FEAT_ALWAYS },
    { 1, EDX, 25, FEAT_SSE, FEAT_FXSR },
    { 1, EDX, 26, FEAT_SSE2, FEAT_SSE },
    { 1, ECX, 0, FEAT_SSE3, FEAT_SSE2 },
    { 1, ECX, 1, FEAT_PCLMUL, FEAT_SSE2 },
    { 1, ECX, 9, FEAT_SSSE3, FEAT_SSE3 },
    { 1, ECX, 12, FEAT_FMA, FEAT_AVX },
    { 1, ECX, 19, FEAT_SSE41, FEAT_SSSE3 },
    { 1, ECX, 20, FEAT_SSE42, FEAT_SSE41 },
    { 1, ECX, 22, FEAT_MOVBE, FEAT_ALWAYS },
    { 1, ECX, 23, FEAT_POPCNT, FEAT_ALWAYS },
    { 1, ECX, 25, FEAT_AES, FEAT_SSE2 },
    { 1, ECX, 26, FEAT_XSAVE, FEAT_SSE },
    { 1, ECX, 28, FEAT_AVX, FEAT_XSAVE },
    { 1, ECX, 29, FEAT_F16C, FEAT_AVX },
    { 1, ECX, 30, FEAT_RDRAND, FEAT_ALWAYS },
    { LEAF_7, EBX, 3, FEAT_BMI1, FEAT_ALWAYS },
    { LEAF_7, EBX, 5, FEAT_AVX2, FEAT_AVX },
    { LEAF_7, EBX, 8, FEAT_BMI2, FEAT_ALWAYS },
    { LEAF_7, EBX, 29, FEAT_SHA, FEAT_SSE2 },
    { LEAF_7, ECX, 9, FEAT_VAES, FEAT_AVX },
    { LEAF_7, ECX, 10, FEAT_VPCLMUL, FEAT_AVX },
    { LEAF_EXTENDED, ECX, 5, FEAT_LZCNT, FEAT_ALWAYS },
    { LEAF_EXTENDED, EDX, 20, FEAT_NX, FEAT_PAE },
};

/* The first of a feature's names is the one that messages use. */
const struct cpu_feature_name cpu_feature_names[] = {
    { "vme", FEAT_VME },         { "de", FEAT_DE },         { "pse", FEAT_PSE },
    { "tsc", FEAT_TSC },         { "msr", FEAT_MSR },       { "pae", FEAT_PAE },
    { "cx8", FEAT_CX8 },         { "apic", FEAT_APIC },     { "sep", FEAT_SEP },
    { "mtrr", FEAT_MTRR },       { "pge", FEAT_PGE },       { "cmov", FEAT_CMOV },
    { "pat", FEAT_PAT },         { "mmx", FEAT_MMX },       { "fxsr", FEAT_FXSR },
    { "sse", FEAT_SSE },         { "sse2", FEAT_SSE2 },     { "nx", FEAT_NX },
    { "sse3", FEAT_SSE3 },       { "pni", FEAT_SSE3 },      { "ssse3", FEAT_SSSE3 },
    { "sse4.1", FEAT_SSE41 },    { "sse4_1", FEAT_SSE41 },  { "sse4-1", FEAT_SSE41 },
    { "sse4.2", FEAT_SSE42 },    { "sse4_2", FEAT_SSE42 },  { "sse4-2", FEAT_SSE42 },
    { "aes", FEAT_AES },         { "pclmulqdq", FEAT_PCLMUL },
    { "pclmuldq", FEAT_PCLMUL }, { "sha-ni", FEAT_SHA },    { "popcnt", FEAT_POPCNT },
    { "abm", FEAT_LZCNT },       { "lzcnt", FEAT_LZCNT },   { "movbe", FEAT_MOVBE },
    { "rdrand", FEAT_RDRAND },   { "bmi1", FEAT_BMI1 },     { "bmi2", FEAT_BMI2 },
    { "xsave", FEAT_XSAVE },     { "avx", FEAT_AVX },       { "avx2", FEAT_AVX2 },
    { "fma", FEAT_FMA },         { "f16c", FEAT_F16C },     { "vaes", FEAT_VAES },
    { "vpclmulqdq", FEAT_VPCLMUL },
    { NULL, FEAT_ALWAYS },
};

const char *cpu_feature_name(enum cpu_feature f)
{
    for (const struct cpu_feature_name *n = cpu_feature_names; n->name; n++)
        if (n->feature == f)
            return n->name;
    return "";
}

enum cpu_feature cpu_feature_base(enum cpu_feature f)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].feature == f)
            return (enum cpu_feature)rows[i].base;
    return FEAT_ALWAYS;
}

/* ---- The host ---- */

/* Hypervisors hide ABM. Where it is not there, the same bytes are BSR, of which 1 yields 0. */
static bool host_has_lzcnt(void)
{
    u32 zeros;

    __asm__("lzcnt %1, %0" : "=r"(zeros) : "r"(1) : "cc");
    return zeros == 31;
}

/* Does its kernel keep the upper halves of YMM? */
static bool host_keeps_ymm(void)
{
    u32 a, b, c, d, xcr0 = 0;

    if (__get_cpuid(1, &a, &b, &c, &d) && c & bit_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(d) : "c"(0));
    return (xcr0 & 6) == 6;
}

static bool host_says(const struct row *row)
{
    u32 r[8] = { 0 };

    return __get_cpuid_count(row->leaf, 0, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) &&
           r[row->reg] >> row->bit & 1;
}

bool cpu_host_has(enum cpu_feature f)
{
    if (f < FEAT_SSE3)
        return true;
    if (f == FEAT_LZCNT)
        return host_has_lzcnt();
    if (f == FEAT_AVX && !host_keeps_ymm())
        return false;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].feature == f)
            return host_says(&rows[i]);
    return false;
}

/* ---- Choosing ---- */

/* A base stands before what builds on it in enum cpu_feature. */
u64 cpu_features_of(const struct cpu_model *model, u64 on, u64 off)
{
    u64 have = (model->features | on) & ~off;

    for (u32 f = 0; f < FEATURES; f++) {
        u64 base = FEATURE_BIT(cpu_feature_base((enum cpu_feature)f));

        if (have >> f & 1 && (!(have & base) || !cpu_host_has((enum cpu_feature)f)))
            have &= ~FEATURE_BIT(f);
    }
    return have;
}

u32 cpu_feature_bits(const struct vcpu *cpu, u32 leaf, enum gpr reg)
{
    u32 bits = 0;

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].leaf == leaf && rows[i].reg == reg && cpu_has(cpu, rows[i].feature))
            bits |= 1u << rows[i].bit;
    return bits;
}
