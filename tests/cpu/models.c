/* Models, CPUID, MSRs, control registers and the register dump (cpuid.c, msr.c, control.c, reset.c). */
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/msr.h"
#include "cpu/reset.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <cpuid.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

static struct vcpu *cpu_of(const char *name)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    const struct cpu_model *m = cpu_models;

    while (m->name && strcmp(m->name, name))
        m++;
    check(m->name, "no model %s", name);
    cpu->model = m;
    cpu->features = cpu_features_of(m, 0, 0);
    cpu_reset(cpu);
    return cpu;
}

TEST(models, state_after_reset)
{
    struct vcpu *cpu = cpu_of("p6");

    CHECK_EQ(cpu->seg[CS].selector, 0xf000);
    CHECK_EQ(cpu->seg[CS].base + cpu->eip, 0xfffffff0);
    CHECK_EQ(cpu_eflags(cpu), 2);
    CHECK_EQ(cpu->cr0, 0x60000010);
    CHECK_EQ(cpu->dr[6], 0xffff0ff0);
    CHECK_EQ(cpu->dr[7], 0x400);
    CHECK_EQ(cpu->gpr[EDX] >> 8 & 15, 6);
    CHECK_EQ(cpu->idtr.limit, 0xffff);
    CHECK_EQ(cpu->pat, 0x0007040600070406);
}

TEST(models, cpuid_of_p6)
{
    struct vcpu *cpu = cpu_of("p6");
    u32 r[4];
    char brand[49] = { 0 };

    cpu_cpuid(cpu, 0, 0, r);
    CHECK_EQ(r[0], 2);
    CHECK(!memcmp(&r[1], "Genu", 4) && !memcmp(&r[3], "ineI", 4) && !memcmp(&r[2], "ntel", 4));
    cpu_cpuid(cpu, 1, 0, r);
    CHECK_EQ(r[0], cpu->model->signature);
    /* FPU VME DE PSE TSC MSR PAE MCE CX8, no APIC on a bare machine, SEP MTRR PGE MCA CMOV PAT
     * CLFSH MMX FXSR SSE SSE2 */
    CHECK_EQ(r[3], 0x0789f9ff);
    CHECK_EQ(r[2], 0); /* no hypervisor */
    cpu_cpuid(cpu, 0x80000001, 0, r);
    CHECK_EQ(r[3], 1 << 20);
    for (u32 i = 0; i < 3; i++)
        cpu_cpuid(cpu, 0x80000002 + i, 0, (u32 *)(brand + 16 * i));
    CHECK(strstr(brand, "ring3"));
    cpu_cpuid(cpu, 0x40000000, 0, r); /* beyond: as the highest basic leaf */
    CHECK_EQ(r[0] & 0xff, 1);
}

static u64 features_of(const char *name, u64 on, u64 off)
{
    const struct cpu_model *m = cpu_models;

    while (strcmp(m->name, name))
        m++;
    return cpu_features_of(m, on, off);
}

/* Of what is built, as the host's own CPUID has it; ABM is not asked there. */
TEST(models, cpuid_of_max)
{
    const u32 leaf1 = 1 | 1 << 1 | 1 << 9 | 1 << 12 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 23 |
                      1 << 25 | 1 << 26 | 1 << 28 | 1 << 29 | 1 << 30;
    const u32 leaf7 = 1 << 3 | 1 << 5 | 1 << 8 | 1 << 29;
    struct vcpu *cpu = cpu_of("max");
    u32 r[4], h[4];

    __cpuid(1, h[0], h[1], h[2], h[3]);
    cpu_cpuid(cpu, 1, 0, r);
    CHECK_EQ(r[2], (h[2] | 1 << 26) & leaf1); /* XSAVE needs none of the host's */
    CHECK_EQ(r[3], 0x0789f9ff);
    __cpuid_count(7, 0, h[0], h[1], h[2], h[3]);
    cpu_cpuid(cpu, 0, 0, r);
    CHECK_EQ(r[0], 0xd);
    cpu_cpuid(cpu, 7, 0, r);
    CHECK_EQ(r[0], 0);
    CHECK_EQ(r[1], h[1] & leaf7);
    CHECK_EQ(r[2], h[2] & (1 << 9 | 1 << 10)); /* VAES, VPCLMULQDQ */
    CHECK_EQ(r[3], 0);
    cpu_cpuid(cpu, 7, 1, r);
    CHECK_EQ(r[0] | r[1] | r[2] | r[3], 0);
    for (u32 leaf = 3; leaf < 7; leaf++) {
        cpu_cpuid(cpu, leaf, 0, r);
        CHECK_EQ(r[0] | r[1] | r[2] | r[3], 0);
    }
    CHECK(cpu_cpuid_has_subleaves(cpu, 7) && cpu_cpuid_has_subleaves(cpu, 0x1234));
    CHECK(cpu_cpuid_has_subleaves(cpu, 0xd) && !cpu_cpuid_has_subleaves(cpu, 1) && !cpu_cpuid_has_subleaves(cpu_of("p6"), 7));
}

TEST(models, qemus_models_have_what_they_have_there)
{
    u32 r[4];

    cpu_cpuid(cpu_of("n270"), 1, 0, r);
    CHECK_EQ(r[0], 0x106c2);
    CHECK_EQ(r[2], 1 | 1 << 9 | 1 << 22);
    cpu_cpuid(cpu_of("coreduo"), 1, 0, r);
    CHECK_EQ(r[2], 1);
    cpu_cpuid(cpu_of("qemu32"), 1, 0, r);
    CHECK_EQ(r[2], 1);
    CHECK_EQ(r[3], 0x0789f9ff & ~(1u << 1 | 1u << 12 | 1u << 14));
    cpu_cpuid(cpu_of("qemu32"), 0x80000001, 0, r);
    CHECK_EQ(r[3], 0);
    cpu_cpuid(cpu_of("pentium2"), 1, 0, r);
    CHECK_EQ(r[3] >> 23 & 15, 3); /* MMX, FXSR */
}

TEST(models, a_feature_goes_with_what_it_builds_on)
{
    const u64 sse3 = FEATURE_BIT(FEAT_SSE3), ssse3 = FEATURE_BIT(FEAT_SSSE3);
    u64 max = features_of("max", 0, 0), without = features_of("max", 0, sse3);

    CHECK_EQ(features_of("p6", sse3, 0), features_of("coreduo", 0, 0));
    CHECK_EQ(features_of("p6", ssse3, 0), features_of("p6", 0, 0));
    CHECK(max & ssse3 && max & FEATURE_BIT(FEAT_BMI2));
    CHECK(!(without & (sse3 | ssse3 | FEATURE_BIT(FEAT_SSE41) | FEATURE_BIT(FEAT_SSE42))));
    CHECK(!(features_of("max", 0, FEATURE_BIT(FEAT_AVX)) &
            (FEATURE_BIT(FEAT_AVX2) | FEATURE_BIT(FEAT_FMA) | FEATURE_BIT(FEAT_F16C) |
             FEATURE_BIT(FEAT_VAES) | FEATURE_BIT(FEAT_VPCLMUL))));
    CHECK_EQ(without & FEATURE_BIT(FEAT_AES), max & FEATURE_BIT(FEAT_AES));
    CHECK(!(features_of("p6", 0, FEATURE_BIT(FEAT_PAE)) & FEATURE_BIT(FEAT_NX)));
    CHECK_EQ(features_of("host", 0, 0), max);
}

TEST(models, cpuid_of_older_models)
{
    struct vcpu *cpu = cpu_of("pentium3");
    u32 r[4];

    cpu_cpuid(cpu, 1, 0, r);
    CHECK_EQ(r[3] >> 25 & 3, 1); /* SSE, no SSE2 */
    cpu_cpuid(cpu, 0x80000000, 0, r);
    CHECK(r[0] < 0x80000000);
    cpu = cpu_of("pentium");
    cpu_cpuid(cpu, 0, 0, r);
    CHECK_EQ(r[0], 1);
    cpu_cpuid(cpu, 1, 0, r);
    CHECK_EQ(r[0] >> 8 & 15, 5);
    CHECK_EQ(r[3] & (1 << 15 | 1 << 11 | 1 << 6), 0); /* no CMOV, SEP, PAE */
    CHECK(!cpu_has(cpu_of("486"), FEAT_CPUID));
}

TEST(models, id_flag_needs_cpuid)
{
    struct vcpu *cpu = cpu_of("p6");

    cpu_set_eflags(cpu, FLAG_ID, FLAG_ID);
    CHECK_EQ(cpu->eflags & FLAG_ID, FLAG_ID);
    cpu = cpu_of("486");
    cpu_set_eflags(cpu, FLAG_ID | FLAG_AC, FLAG_ID | FLAG_AC);
    CHECK_EQ(cpu->eflags & (FLAG_ID | FLAG_AC), FLAG_AC);
}

TEST(models, cr4_by_model)
{
    CHECK(cpu_set_cr4(cpu_of("p6"), CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_VME));
    CHECK(!cpu_set_cr4(cpu_of("p6"), 1 << 11));
    CHECK(!cpu_set_cr4(cpu_of("pentium"), CR4_PAE));
    CHECK(cpu_set_cr4(cpu_of("pentium"), CR4_PSE | CR4_TSD));
}

TEST(models, time_stamp_follows_the_manual_clock)
{
    struct rig *r = rig_new(NULL, NULL);
    struct vcpu *cpu = r->m->cpu;
    u64 before = cpu_tsc(cpu), val;

    rig_advance(r, USEC(5));
    CHECK_EQ(cpu_tsc(cpu) - before, 5000);
    CHECK(cpu_wrmsr(cpu, 0x10, 1ull << 40));
    CHECK(cpu_rdmsr(cpu, 0x10, &val));
    CHECK_EQ(val, 1ull << 40);
}

TEST(models, time_stamp_stands_while_the_machine_does)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    u64 guest, host = __rdtsc();

    machine_of(cpu)->clock_manual = false; /* the host's TSC runs on */
    cpu_tsc_stop(cpu);
    usleep(20000);
    cpu_tsc_start(cpu);
    guest = cpu_tsc(cpu) - cpu->tsc_stopped;
    CHECK(guest < (__rdtsc() - host) / 2);
    machine_of(cpu)->clock_manual = true;
}

static bool kept(struct vcpu *cpu, u32 index, u64 val)
{
    u64 got;

    return cpu_wrmsr(cpu, index, val) && cpu_rdmsr(cpu, index, &got) && got == val;
}

TEST(models, msrs)
{
    struct vcpu *cpu = cpu_of("p6");
    u64 val;

    CHECK(kept(cpu, 0x174, 0x60));
    CHECK(kept(cpu, 0x277, 0x0606060606060606));
    CHECK(!cpu_wrmsr(cpu, 0x277, 0x02)); /* reserved memory type */
    CHECK(kept(cpu, 0x2ff, 0xc06));
    CHECK(!cpu_wrmsr(cpu, 0x2ff, 0x1000));
    CHECK(kept(cpu, 0x200, 0xe0000001));
    CHECK(kept(cpu, 0x201, 0xfff000800));
    CHECK(kept(cpu, 0x20f, 0));
    CHECK(!cpu_wrmsr(cpu, 0x201, 1ull << 36)); /* 36 address bits */
    CHECK(kept(cpu, 0x250, 0x0606060606060606));
    CHECK(kept(cpu, 0x26f, 0x0505050505050505));
    CHECK(kept(cpu, 0xc0000080, EFER_NXE));
    CHECK(!cpu_wrmsr(cpu, 0xc0000080, 1)); /* no SYSCALL */
    CHECK(cpu_rdmsr(cpu, 0xfe, &val));
    CHECK_EQ(val & 0xff, 8);
    CHECK(!cpu_rdmsr(cpu, 0x12345, &val));
    CHECK_EQ(cpu->exc_vector, EXC_GP);
    CHECK(!cpu_rdmsr(cpu_of("pentium"), 0x277, &val));
    CHECK(!cpu_rdmsr(cpu_of("pentium3"), 0xc0000080, &val));
}

TEST(models, event_counter_counts_instructions)
{
    struct vcpu *cpu = cpu_of("p6");
    u64 val;

    CHECK(cpu_wrmsr(cpu, 0xc1, 100));
    CHECK(cpu_wrmsr(cpu, 0x186, 0x4300c0)); /* EN, OS, USR, INST_RETIRED */
    cpu->insns += 7;
    CHECK(cpu_rdmsr(cpu, 0xc1, &val));
    CHECK_EQ(val, 107);
    CHECK(cpu_wrmsr(cpu, 0x186, 0)); /* stops where it is */
    cpu->insns += 7;
    CHECK(cpu_rdmsr(cpu, 0xc1, &val));
    CHECK_EQ(val, 107);
}

TEST(models, dump_has_qemus_layout)
{
    struct vcpu *cpu = cpu_of("p6");
    char text[4096];
    size_t n = cpu_print(cpu, text, sizeof(text));

    CHECK_EQ(n, strlen(text));
    CHECK(strstr(text, "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"));
    CHECK(strstr(text, "\nCS =f000 ffff0000 0000ffff 00009300\n"));
    CHECK(strstr(text, "\nGDT=     00000000 0000ffff\n"));
    CHECK(strstr(text, "\nCR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\n"));
    cpu->cr0 |= CR0_PE;
    cpu->seg[CS] = (struct segment){ 0, 0xffffffff, 8, 0xc09b };
    cpu_print(cpu, text, sizeof(text));
    CHECK(strstr(text, "\nCS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]\n"));
    CHECK_EQ(cpu_print(cpu, text, 16), 15); /* cut, and terminated */
    CHECK_EQ(strlen(text), 15);
}
