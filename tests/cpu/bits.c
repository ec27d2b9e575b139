/*
 * Newer instructions on general registers (bits.c) where the host is no oracle: random numbers,
 * what the prefixes mean to a CPU without them, VEX outside of protected mode. Results are
 * insn-random's (tests/insn).
 */
#include "cpu/cpuid.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "mmu/mmu.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x1000 };

static struct vcpu *cpu_with(u64 on)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    cpu->features = cpu_features_of(cpu_models, on, 0);
    return cpu;
}

/* Runs one instruction of real mode at CS:0; false: it was undefined, and its vector is 0. */
static bool step(struct vcpu *cpu, const char *bytes, u32 len)
{
    memcpy(mmu_ram(cpu->mmu) + CODE, bytes, len);
    cpu->seg[CS].base = CODE;
    cpu->seg[CS].selector = CODE >> 4;
    cpu->eip = 0;
    cpu_step(cpu);
    return cpu->seg[CS].base == CODE && cpu->eip == len;
}
#define STEP(bytes) step(cpu, bytes, sizeof(bytes) - 1)

TEST(bits, rdrand_says_by_cf_whether_it_has_one)
{
    struct vcpu *cpu = cpu_with(FEATURE_BIT(FEAT_RDRAND));
    u32 numbers = 0;

    if (!cpu_has(cpu, FEAT_RDRAND))
        return;
    for (u32 i = 0; i < 32; i++) {
        cpu->gpr[EDX] = 0xaaaa5555;
        cpu->eflags |= FLAGS_ARITH;
        CHECK(STEP("\x66\x0f\xc7\xf2")); /* rdrand edx */
        CHECK_EQ(cpu->eflags & FLAGS_ARITH & ~FLAG_CF, 0);
        CHECK(cpu->eflags & FLAG_CF || !cpu->gpr[EDX]);
        numbers += cpu->gpr[EDX] != 0 && cpu->gpr[EDX] != 0xaaaa5555;
    }
    CHECK(numbers > 16);
    cpu->gpr[EDX] = 0xaaaa5555;
    CHECK(STEP("\x0f\xc7\xf2")); /* rdrand dx */
    CHECK_EQ(cpu->gpr[EDX] >> 16, 0xaaaa);
    CHECK(!STEP("\xf0\x0f\xc7\xf2"));
    CHECK(!step(cpu_with(0), "\x0f\xc7\xf2", 3));
}

TEST(bits, lzcnt_and_tzcnt_are_scans_where_they_are_not)
{
    struct vcpu *cpu = cpu_with(0);

    cpu->gpr[ECX] = 0x100;
    CHECK(STEP("\x66\xf3\x0f\xbd\xc1"));
    CHECK_EQ(cpu->gpr[EAX], 8);
    CHECK(STEP("\x66\xf3\x0f\xbc\xc1"));
    CHECK_EQ(cpu->gpr[EAX], 8);
    CHECK(!STEP("\xf3\x0f\xb8\xc1")); /* POPCNT */
    cpu = cpu_with(FEATURE_BIT(FEAT_LZCNT) | FEATURE_BIT(FEAT_BMI1));
    cpu->gpr[ECX] = 0x100;
    if (!cpu_has(cpu, FEAT_LZCNT))
        return;
    CHECK(STEP("\x66\xf3\x0f\xbd\xc1"));
    CHECK_EQ(cpu->gpr[EAX], 23);
    cpu->gpr[ECX] = 0;
    CHECK(STEP("\x66\xf3\x0f\xbc\xc1"));
    CHECK_EQ(cpu->gpr[EAX], 32);
}

/* MOVBE and CRC32 are of all modes. */
TEST(bits, vex_is_undefined_in_real_mode)
{
    struct vcpu *cpu = cpu_with(~0ull);

    CHECK(!STEP("\xc4\xe2\x70\xf2\xc2")); /* andn eax, ecx, edx */
    memcpy(mmu_ram(cpu->mmu) + 0x2000, "\x12\x34\x56\x78", 4);
    cpu->gpr[EBX] = 0x2000;
    CHECK(STEP("\x66\x0f\x38\xf0\x07"));
    CHECK_EQ(cpu->gpr[EAX], 0x12345678);
    CHECK(STEP("\xf2\x66\x0f\x38\xf1\xc3"));
}
