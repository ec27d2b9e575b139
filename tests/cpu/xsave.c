/*
 * XCR0, XSAVE and XRSTOR (xsave.c), what CPUID says of them, and the checks before AVX
 * instructions (avx.c). Results of AVX are insn-fpu's (tests/insn).
 */
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "mmu/mmu.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { AREA = 0x2000, HEADER = 512, YMM = 576 };

#define XGETBV "\x0f\x01\xd0"
#define XSETBV "\x0f\x01\xd1"
#define XSAVE_AREA "\x0f\xae\x25\x00\x20\x00\x00"
#define XRSTOR_AREA "\x0f\xae\x2d\x00\x20\x00\x00"
#define VPXOR "\xc5\xf1\xef\xc2"     /* vpxor xmm0, xmm1, xmm2 */
#define VPXOR_YMM "\xc5\xf5\xef\xc2" /* AVX2's */
#define VXORPS_YMM "\xc5\xf4\x57\xc2"
#define VFMADD231PS      "\xc4\xe2\x71\xb8\xc2"
#define VCVTPH2PS_AT_EBX "\xc4\xe2\x79\x13\x03"
#define VCVTPS2PH_AT_EBX "\xc4\xe3\x79\x1d\x03\x04"
#define VAESENC          "\xc4\xe2\x71\xdc\xc2"
#define VAESENC_YMM      "\xc4\xe2\x75\xdc\xc2"
#define VPCLMULQDQ       "\xc4\xe3\x71\x44\xc2\x11"
#define VPCLMULQDQ_YMM   "\xc4\xe3\x75\x44\xc2\x11"
#define VZEROUPPER "\xc5\xf8\x77"
#define VZEROALL "\xc5\xfc\x77"

/* Flat protected mode with XSAVE turned on, and AVX where the host has it. */
static struct vcpu *xsave_cpu(void)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    const u16 attr = ATTR_P | ATTR_S | ATTR_DB | ATTR_G | SEG_W | SEG_A;

    cpu->features = cpu_features_of(cpu->model, ~0ull, 0);
    for (u32 i = ES; i <= GS; i++)
        cpu->seg[i] = (struct segment){ 0, ~0u, 0x10, attr };
    cpu->seg[CS].attr |= SEG_CODE;
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
    cpu->exc_vector = EXC_NONE;
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    check(cpu_set_cr4(cpu, CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE), "CR4.OSXSAVE");
    cpu->xcr0 = cpu_xcr0_supported(cpu);
    fpu_init(cpu);
    return cpu;
}

static u8 *area(struct vcpu *cpu)
{
    return mmu_ram(cpu->mmu) + AREA;
}

static u64 state_bv(struct vcpu *cpu)
{
    u64 bv;

    memcpy(&bv, area(cpu) + HEADER, sizeof(bv));
    return bv;
}

static u8 run(struct vcpu *cpu, const char *bytes, u32 len)
{
    struct insn in;
    u8 code[16] = { 0 }, vector;
    const struct op_row *row;
    bool done;

    memcpy(code, bytes, len);
    if (insn_decode(code, sizeof(code), true, &in) != DECODE_OK)
        return EXC_UD;
    row = &cpu_ops[in.mnem];
    if (!row->exec || !cpu_has(cpu, row->feature))
        return EXC_UD;
    done = row->exec(cpu, &in);
    vector = cpu->exc_vector;
    cpu->exc_vector = EXC_NONE;
    return done ? EXC_NONE : vector;
}
#define RUN(bytes) run(cpu, bytes, sizeof(bytes) - 1)

TEST(xsave, xcr0_takes_what_there_is)
{
    struct vcpu *cpu = xsave_cpu();
    static const u32 refused[] = { 0, XCR0_SSE, XCR0_X87 | XCR0_AVX, 8 | 7, 1u << 31 | 3 };

    cpu_fpu_reset(cpu);
    CHECK_EQ(RUN(XGETBV), EXC_NONE);
    CHECK_EQ(cpu->gpr[EAX], XCR0_X87);
    for (u32 i = 0; i < ARRAY_SIZE(refused); i++) {
        cpu->gpr[EAX] = refused[i];
        CHECK_EQ(RUN(XSETBV), EXC_GP);
    }
    cpu->gpr[EAX] = 3;
    CHECK_EQ(RUN(XSETBV), EXC_NONE);
    cpu->gpr[EDX] = 1;
    CHECK_EQ(RUN(XSETBV), EXC_GP);
    cpu->gpr[EDX] = 0;
    cpu->gpr[ECX] = 1;
    CHECK_EQ(RUN(XSETBV), EXC_GP);
    CHECK_EQ(RUN(XGETBV), EXC_GP);
    cpu->gpr[ECX] = 0;
    cpu->cpl = 3;
    CHECK_EQ(RUN(XSETBV), EXC_GP);
    CHECK_EQ(RUN(XGETBV), EXC_NONE);
    CHECK_EQ(cpu->gpr[EAX], 3);
    cpu->cr4 &= ~(u32)CR4_OSXSAVE;
    CHECK_EQ(RUN(XGETBV), EXC_UD);
    CHECK_EQ(RUN(XSETBV), EXC_UD);
    CHECK_EQ(RUN(XSAVE_AREA), EXC_UD);
}

TEST(xsave, cpuid_follows_cr4_and_xcr0)
{
    struct vcpu *cpu = xsave_cpu();
    u32 r[4], version = cpu->cpuid_version, all = cpu_xcr0_supported(cpu);

    cpu_cpuid(cpu, 1, 0, r);
    CHECK_EQ(r[2] >> 26 & 3, 3);
    cpu_cpuid(cpu, 0xd, 0, r);
    CHECK_EQ(r[0], all);
    CHECK_EQ(r[2], all & XCR0_AVX ? 832 : 576);
    CHECK_EQ(r[1], r[2]);
    cpu->gpr[EAX] = 3;
    CHECK_EQ(RUN(XSETBV), EXC_NONE);
    cpu_cpuid(cpu, 0xd, 0, r);
    CHECK_EQ(r[1], 576);
    CHECK_EQ(r[2], all & XCR0_AVX ? 832 : 576);
    cpu_cpuid(cpu, 0xd, 1, r);
    CHECK_EQ(r[0] | r[1] | r[2] | r[3], 0);
    cpu_cpuid(cpu, 0xd, 2, r);
    CHECK_EQ(r[0], all & XCR0_AVX ? 256 : 0);
    CHECK_EQ(r[1], all & XCR0_AVX ? 576 : 0);
    CHECK(cpu_set_cr4(cpu, 0));
    cpu_cpuid(cpu, 1, 0, r);
    CHECK_EQ(r[2] >> 26 & 3, 1);
    CHECK(cpu->cpuid_version != version); /* what was kept of its answers goes */
    cpu->features = cpu_features_of(cpu_models, 0, 0);
    CHECK(!cpu_set_cr4(cpu, CR4_OSXSAVE));
}

TEST(xsave, saves_and_restores_what_is_asked_for)
{
    struct vcpu *cpu = xsave_cpu();
    bool avx = cpu_has(cpu, FEAT_AVX);
    u8 zero[16] = { 0 };

    memset(area(cpu), 0xaa, 832);
    memset(area(cpu) + HEADER, 0, 64);
    memset(cpu->fpu.xmm[7], 0x77, 16);
    memset(cpu->ymm_high[7], 0x99, 16);
    cpu->fpu.mxcsr = 0x1f00;
    cpu->gpr[EAX] = XCR0_SSE;
    CHECK_EQ(RUN(XSAVE_AREA), EXC_NONE);
    CHECK_EQ(area(cpu)[0], 0xaa); /* no x87, no YMM */
    CHECK_EQ(area(cpu)[YMM + 7 * 16], 0xaa);
    CHECK_EQ(area(cpu)[160 + 7 * 16], 0x77);
    CHECK_EQ(area(cpu)[160 + 8 * 16], 0xaa); /* XMM8 is of 64-bit mode */
    CHECK_EQ(state_bv(cpu), XCR0_SSE);
    cpu->gpr[EAX] = ~0u;
    CHECK_EQ(RUN(XSAVE_AREA), EXC_NONE);
    CHECK_EQ(state_bv(cpu), avx ? XCR0_SSE | XCR0_AVX : XCR0_SSE); /* x87 is as FNINIT left it */
    CHECK_EQ(area(cpu)[YMM + 7 * 16], avx ? 0x99 : 0xaa);
    CHECK_EQ(area(cpu)[0], 0x7f);

    memset(cpu->fpu.xmm, 1, 8 * 16);
    memset(cpu->ymm_high, 2, sizeof(cpu->ymm_high));
    cpu->fpu.mxcsr = MXCSR_INIT;
    cpu->fpu.fcw = 0x40;
    cpu->gpr[EAX] = XCR0_X87; /* which the area says is initial */
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_NONE);
    CHECK_EQ(cpu->fpu.fcw, FCW_INIT);
    CHECK_EQ(cpu->fpu.mxcsr, MXCSR_INIT);
    CHECK_EQ(cpu->fpu.xmm[7][0], 1);
    cpu->gpr[EAX] = ~0u;
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_NONE);
    CHECK_EQ(cpu->fpu.mxcsr, 0x1f00);
    CHECK_EQ(cpu->fpu.xmm[7][0], 0x77);
    CHECK_EQ(cpu->ymm_high[7][15], avx ? 0x99 : 2);
    area(cpu)[HEADER] = 0;
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_NONE);
    CHECK(!memcmp(cpu->fpu.xmm[7], zero, 16));
    CHECK(!avx || !memcmp(cpu->ymm_high[7], zero, 16));
    CHECK_EQ(cpu->fpu.mxcsr, 0x1f00); /* comes from memory all the same */
}

TEST(xsave, refuses_bad_areas)
{
    struct vcpu *cpu = xsave_cpu();

    cpu->gpr[EAX] = ~0u;
    memset(area(cpu), 0, 832);
    CHECK_EQ(RUN(XSAVE_AREA), EXC_NONE);
    CHECK_EQ(RUN("\x0f\xae\x25\x10\x20\x00\x00"), EXC_GP); /* a multiple of 16 is not enough */
    CHECK_EQ(RUN("\x0f\xae\x2d\x20\x20\x00\x00"), EXC_GP);
    area(cpu)[HEADER] = 8; /* a component that XCR0 has not */
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_GP);
    area(cpu)[HEADER] = 0;
    area(cpu)[HEADER + 15] = 0x80; /* the compacted form */
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_GP);
    area(cpu)[HEADER + 15] = 0;
    area(cpu)[HEADER + 16] = 1;
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_GP);
    area(cpu)[HEADER + 16] = 0;
    area(cpu)[26] = 1; /* MXCSR has no bit 16 */
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_GP);
    cpu->gpr[EAX] = XCR0_X87;
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_NONE); /* it is not loaded */
    cpu->cr0 |= CR0_TS;
    CHECK_EQ(RUN(XRSTOR_AREA), EXC_NM);
    CHECK_EQ(RUN(XSAVE_AREA), EXC_NM);
}

TEST(avx, checks_xcr0_and_ts_but_neither_em_nor_osfxsr)
{
    struct vcpu *cpu = xsave_cpu();

    if (!cpu_has(cpu, FEAT_AVX))
        return;
    CHECK_EQ(RUN(VPXOR), EXC_NONE);
    cpu->cr0 |= CR0_EM;
    cpu->cr4 &= ~(u32)CR4_OSFXSR;
    CHECK_EQ(RUN(VPXOR), EXC_NONE);
    cpu->cr0 |= CR0_TS;
    CHECK_EQ(RUN(VPXOR), EXC_NM);
    cpu->xcr0 = XCR0_X87 | XCR0_SSE;
    CHECK_EQ(RUN(VPXOR), EXC_UD);
    CHECK_EQ(RUN(VZEROUPPER), EXC_UD);
    cpu->xcr0 |= XCR0_AVX;
    cpu->cr4 &= ~(u32)CR4_OSXSAVE;
    CHECK_EQ(RUN(VPXOR), EXC_UD);
}

TEST(avx, features_decide_by_the_form)
{
    struct vcpu *cpu = xsave_cpu();

    if (!cpu_has(cpu, FEAT_AVX))
        return;
    cpu->features = cpu_features_of(cpu->model, ~0ull, FEATURE_BIT(FEAT_AVX2));
    CHECK_EQ(RUN(VPXOR), EXC_NONE);
    CHECK_EQ(RUN(VXORPS_YMM), EXC_NONE);
    CHECK_EQ(RUN(VPXOR_YMM), EXC_UD);
    CHECK_EQ(RUN("\xc4\xe2\x71\x50\xc2"), EXC_UD); /* VNNI */
    cpu->features = cpu_features_of(cpu->model, ~0ull, FEATURE_BIT(FEAT_XSAVE));
    CHECK(!cpu_has(cpu, FEAT_AVX) && !cpu_has(cpu, FEAT_AVX2));
    CHECK_EQ(RUN(VPXOR), EXC_UD);
}

/* Each instruction is there with its feature, and not without. */
TEST(avx, what_came_after_it_has_features_of_its_own)
{
    static const struct {
        const char *bytes;
        u32 len;
        u8 feature;
    } forms[] = {
        {VFMADD231PS, 5, FEAT_FMA},        {VCVTPH2PS_AT_EBX, 5, FEAT_F16C},
        {VCVTPS2PH_AT_EBX, 6, FEAT_F16C},  {VAESENC, 5, FEAT_AES},
        {VAESENC_YMM, 5, FEAT_VAES},       {VPCLMULQDQ, 6, FEAT_PCLMUL},
        {VPCLMULQDQ_YMM, 6, FEAT_VPCLMUL},
    };
    struct vcpu *cpu = xsave_cpu();

    cpu->gpr[EBX] = AREA;
    for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
        bool had = cpu_has(cpu, (enum cpu_feature)forms[i].feature);

        CHECK_EQ(run(cpu, forms[i].bytes, forms[i].len), had ? EXC_NONE : EXC_UD);
        cpu->features &= ~FEATURE_BIT(forms[i].feature);
        CHECK_EQ(run(cpu, forms[i].bytes, forms[i].len), EXC_UD);
        cpu->features = cpu_features_of(cpu->model, ~0ull, 0);
        cpu->cr0 |= CR0_TS;
        CHECK_EQ(run(cpu, forms[i].bytes, forms[i].len), had ? EXC_NM : EXC_UD);
        cpu->cr0 &= ~(u32)CR0_TS;
        cpu->xcr0 = XCR0_X87 | XCR0_SSE;
        CHECK_EQ(run(cpu, forms[i].bytes, forms[i].len), EXC_UD);
        cpu->xcr0 = cpu_xcr0_supported(cpu);
        cpu->cr4 &= ~(u32)CR4_OSXSAVE;
        CHECK_EQ(run(cpu, forms[i].bytes, forms[i].len), EXC_UD);
        cpu->cr4 |= CR4_OSXSAVE;
    }
}

/* A page fault or a segment's comes before #XM, and leaves MXCSR; no alignment is asked for. */
TEST(avx, conversion_to_halves_looks_at_its_operand_first)
{
    struct vcpu *cpu = xsave_cpu();
    const u32 inexact[4] = {0x3f800001, 0x3f800001, 0x3f800001, 0x3f800001};
    u64 halves;

    if (!cpu_has(cpu, FEAT_F16C))
        return;
    memcpy(cpu->fpu.xmm[0], inexact, 16);
    cpu->gpr[EBX] = AREA + 1;
    cpu->cpl = 3;
    cpu->cr0 |= CR0_AM;
    cpu->eflags |= FLAG_AC;
    CHECK_EQ(RUN(VCVTPS2PH_AT_EBX), EXC_NONE);
    memcpy(&halves, area(cpu) + 1, sizeof(halves));
    CHECK_EQ(halves, 0x3c003c003c003c00);
    CHECK_EQ(cpu->fpu.mxcsr, MXCSR_INIT | FPU_PE);
    CHECK_EQ(RUN(VCVTPH2PS_AT_EBX), EXC_NONE);
    CHECK(!memcmp(cpu->fpu.xmm[0], (const u32[]){0x3f800000, 0x3f800000}, 8));
    memcpy(cpu->fpu.xmm[0], inexact, 16);
    cpu->fpu.mxcsr = MXCSR_INIT & ~(u32)(FPU_PE << MXCSR_MASK_SHIFT);
    cpu->seg[DS].limit = AREA + 7;
    CHECK_EQ(RUN(VCVTPS2PH_AT_EBX), EXC_GP);
    CHECK_EQ(cpu->fpu.mxcsr & FPU_EXCEPTIONS, 0);
    cpu->seg[DS].limit = AREA + 8;
    memset(area(cpu), 0x55, 16);
    CHECK_EQ(RUN(VCVTPS2PH_AT_EBX), EXC_XM);
    CHECK_EQ(cpu->fpu.mxcsr & FPU_EXCEPTIONS, FPU_PE);
    CHECK_EQ(area(cpu)[1], 0x55);
}

TEST(avx, zeroes_and_keeps_upper_halves)
{
    struct vcpu *cpu = xsave_cpu();
    u8 zero[16] = { 0 };

    if (!cpu_has(cpu, FEAT_AVX))
        return;
    memset(cpu->fpu.xmm, 0x11, 8 * 16);
    memset(cpu->ymm_high, 0x22, sizeof(cpu->ymm_high));
    CHECK_EQ(RUN("\x66\x0f\xef\xc1"), EXC_NONE); /* pxor xmm0, xmm1 */
    CHECK_EQ(cpu->ymm_high[0][0], 0x22);
    CHECK_EQ(RUN(VPXOR), EXC_NONE);
    CHECK(!memcmp(cpu->ymm_high[0], zero, 16));
    CHECK_EQ(cpu->ymm_high[1][0], 0x22);
    CHECK_EQ(RUN(VZEROUPPER), EXC_NONE);
    CHECK(!memcmp(cpu->ymm_high[7], zero, 16));
    CHECK_EQ(cpu->fpu.xmm[7][0], 0x11);
    CHECK_EQ(RUN(VZEROALL), EXC_NONE);
    CHECK(!memcmp(cpu->fpu.xmm[7], zero, 16));
}
