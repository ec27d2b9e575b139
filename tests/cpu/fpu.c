/*
 * x87, MMX and SSE where the host is no oracle: the checks of CR0 and CR4, pending errors by #MF
 * and by FERR#, the guest's own pointers, environments in four formats, what faults leave alone.
 * Results of arithmetic are insn-fpu's (tests/insn).
 */
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/segment.h"
#include "mmu/mmu.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { DATA = 0x2000, CODE_SELECTOR = 0x1b, DATA_SELECTOR = 0x23, EIP = 0x12345 };

static bool ferr_level;

static void ferr(struct vcpu *cpu, bool level)
{
    ferr_level = level;
}

/* Flat protected mode, FPU and SSE on, after FNINIT. */
static struct vcpu *fpu_cpu(void)
{
    struct rig *r = rig_new(NULL, NULL);
    struct vcpu *cpu = r->m->cpu;

    for (u32 i = ES; i <= GS; i++)
        cpu->seg[i] = (struct segment){ 0, ~0u, DATA_SELECTOR,
                                        ATTR_P | ATTR_S | ATTR_DB | ATTR_G | SEG_W | SEG_A };
    cpu->seg[CS].attr |= SEG_CODE;
    cpu->seg[CS].selector = CODE_SELECTOR;
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->eip = EIP;
    cpu->exc_vector = EXC_NONE;
    cpu->pins.ferr = ferr;
    ferr_level = false;
    fpu_init(cpu);
    return cpu;
}

static u8 *memory(struct vcpu *cpu)
{
    return mmu_ram(cpu->mmu) + DATA;
}

/* Runs one instruction as the interpreter does after its fetch; the exception, or EXC_NONE. */
static u8 run(struct vcpu *cpu, const char *bytes, u32 len)
{
    struct insn in;
    u8 code[16] = { 0 }, vector;
    const struct op_row *row;
    bool done;

    memcpy(code, bytes, len);
    check(insn_decode(code, sizeof(code), cpu_code32(cpu), &in) == DECODE_OK, "no instruction");
    row = &cpu_ops[in.mnem];
    if (!row->exec || !cpu_has(cpu, row->feature))
        return EXC_UD;
    done = (!row->attr || cpu_fpu_check(cpu, row->attr)) && row->exec(cpu, &in);
    vector = cpu->exc_vector;
    cpu->exc_vector = EXC_NONE;
    return done ? EXC_NONE : vector == EXC_NONE ? 0xfe /* stands still */ : vector;
}
#define RUN(bytes) run(cpu, bytes, sizeof(bytes) - 1)

#define FLD1 "\xd9\xe8"
#define FNSTCW_DATA "\xd9\x3d\x00\x20\x00\x00"
#define FNSTENV_DATA "\xd9\x35\x00\x20\x00\x00"
#define FWAIT "\x9b"
#define FNCLEX "\xdb\xe2"
#define PADDB "\x0f\xfc\xc1"
#define ADDPS "\x0f\x58\xc1"

TEST(fpu, state_after_reset_and_fninit)
{
    struct vcpu *cpu = fpu_cpu();

    cpu_fpu_reset(cpu);
    CHECK_EQ(cpu->fpu.fcw, 0x40);
    CHECK_EQ(cpu->fpu.ftw, 0xff);
    CHECK_EQ(cpu->fpu.mxcsr, 0x1f80);
    CHECK_EQ(RUN("\xdb\xe3"), EXC_NONE);
    CHECK_EQ(cpu->fpu.fcw, 0x37f);
    CHECK_EQ(cpu->fpu.fsw, 0);
    CHECK_EQ(cpu->fpu.ftw, 0);
}

TEST(fpu, em_and_ts)
{
    static const struct {
        u32 cr0, cr4;
        u8 x87, wait, mmx, sse, ldmxcsr, fxsave;
    } cases[] = {
        { 0, CR4_OSFXSR, EXC_NONE, EXC_NONE, EXC_NONE, EXC_NONE, EXC_NONE, EXC_NONE },
        { CR0_EM, CR4_OSFXSR, EXC_NM, EXC_NONE, EXC_UD, EXC_UD, EXC_UD, EXC_NM },
        { CR0_TS, CR4_OSFXSR, EXC_NM, EXC_NONE, EXC_NM, EXC_NM, EXC_NM, EXC_NM },
        { CR0_TS | CR0_MP, CR4_OSFXSR, EXC_NM, EXC_NM, EXC_NM, EXC_NM, EXC_NM, EXC_NM },
        { CR0_MP, CR4_OSFXSR, EXC_NONE, EXC_NONE, EXC_NONE, EXC_NONE, EXC_NONE, EXC_NONE },
        { CR0_TS | CR0_EM, 0, EXC_NM, EXC_NONE, EXC_UD, EXC_UD, EXC_UD, EXC_NM },
        { 0, 0, EXC_NONE, EXC_NONE, EXC_NONE, EXC_UD, EXC_UD, EXC_NONE },
    };

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *cpu = fpu_cpu();

        memcpy(memory(cpu), &(u32){ 0x1f80 }, 4);
        cpu->cr0 |= cases[i].cr0;
        cpu->cr4 = cases[i].cr4;
        CHECK_EQ(RUN(FLD1), cases[i].x87);
        CHECK_EQ(RUN(FWAIT), cases[i].wait);
        CHECK_EQ(RUN(PADDB), cases[i].mmx);
        CHECK_EQ(RUN(ADDPS), cases[i].sse);
        CHECK_EQ(RUN("\x0f\xae\x15\x00\x20\x00\x00"), cases[i].ldmxcsr);
        CHECK_EQ(RUN("\x0f\xae\x05\x00\x20\x00\x00"), cases[i].fxsave);
        CHECK_EQ(RUN("\x0f\xae\xf0"), EXC_NONE);                 /* MFENCE */
        CHECK_EQ(RUN("\x0f\xc3\x05\x00\x20\x00\x00"), EXC_NONE); /* MOVNTI */
    }
}

/* 1/0 unmasked, with its error pending. */
static void divide_by_zero(struct vcpu *cpu)
{
    cpu->fpu.fcw = 0x37b;
    RUN(FLD1);
    RUN("\xd9\xee"); /* FLDZ */
    CHECK_EQ(RUN("\xde\xf9"), EXC_NONE);
    CHECK_EQ(cpu->fpu.fsw & 0x80ff, 0x8084);
}

TEST(fpu, error_is_reported_by_the_next_waiting_instruction)
{
    struct vcpu *cpu = fpu_cpu();

    divide_by_zero(cpu);
    CHECK_EQ(RUN("\xdf\xe0"), EXC_NONE); /* FNSTSW AX does not wait */
    CHECK_EQ(cpu->gpr[EAX] & 0x80ff, 0x8084);
    CHECK_EQ(RUN(FLD1), EXC_MF);
    CHECK_EQ(RUN(FWAIT), EXC_MF);
    CHECK_EQ(RUN(PADDB), EXC_MF);
    CHECK_EQ(RUN("\x0f\x77"), EXC_MF);
    CHECK_EQ(RUN("\x0f\x2a\xc1"), EXC_MF);   /* CVTPI2PS xmm0, mm1 */
    CHECK_EQ(RUN(ADDPS), EXC_NONE);
    CHECK_EQ(RUN(FNCLEX), EXC_NONE);
    CHECK_EQ(RUN(FLD1), EXC_NONE);
    CHECK(!ferr_level);
}

TEST(fpu, masks_decide_what_is_pending)
{
    struct vcpu *cpu = fpu_cpu();

    divide_by_zero(cpu);
    CHECK_EQ(RUN(FNSTENV_DATA), EXC_NONE); /* masks all */
    CHECK_EQ(cpu->fpu.fsw & 0x80ff, 0x0004);
    CHECK_EQ(RUN(FWAIT), EXC_NONE);
    memcpy(memory(cpu), &(u16){ 0x37b }, 2);
    CHECK_EQ(RUN("\xd9\x2d\x00\x20\x00\x00"), EXC_NONE); /* FLDCW unmasks it again */
    CHECK_EQ(cpu->fpu.fsw & 0x80ff, 0x8084);
    CHECK_EQ(RUN(FWAIT), EXC_MF);
}

TEST(fpu, ferr_and_ignne)
{
    struct vcpu *cpu = fpu_cpu();

    cpu->cr0 &= ~CR0_NE;
    divide_by_zero(cpu);
    CHECK(!ferr_level);
    CHECK_EQ(RUN(FLD1), 0xfe); /* stands still */
    CHECK(ferr_level);
    CHECK_EQ(RUN(FLD1), 0xfe);
    cpu->ignne = true;
    CHECK_EQ(RUN(FLD1), EXC_NONE); /* on the host, no error may be pending now */
    CHECK_EQ(cpu->fpu.fsw & 0x80ff, 0x8084);
    CHECK(ferr_level);
    CHECK_EQ(RUN(FNCLEX), EXC_NONE);
    CHECK(!ferr_level);
}

TEST(fpu, pointers_are_the_guests)
{
    struct vcpu *cpu = fpu_cpu();

    cpu->gpr[EBX] = DATA;
    cpu->seg[FS].selector = 0x33;
    cpu->seg[FS].base = 0x10;
    CHECK_EQ(RUN("\x64\xd8\x43\x08"), EXC_NONE); /* FADD dword fs:[ebx+8] */
    CHECK_EQ(cpu->fpu.fip, EIP);
    CHECK_EQ(cpu->fpu.fcs, CODE_SELECTOR);
    CHECK_EQ(cpu->fpu.fdp, DATA + 8);
    CHECK_EQ(cpu->fpu.fds, 0x33);
    CHECK_EQ(cpu->fpu.fop, 0x043);
    cpu->eip = 0x777;
    CHECK_EQ(RUN(FNSTCW_DATA), EXC_NONE); /* control: not recorded */
    CHECK_EQ(RUN(FWAIT), EXC_NONE);
    CHECK_EQ(cpu->fpu.fip, EIP);
    CHECK_EQ(RUN("\xdd\xc0"), EXC_NONE); /* FFREE ST0 */
    CHECK_EQ(cpu->fpu.fip, 0x777);
    CHECK_EQ(cpu->fpu.fop, 0x5c0);
    CHECK_EQ(cpu->fpu.fdp, DATA + 8);
}

static void environment_state(struct vcpu *cpu)
{
    RUN(FLD1);
    RUN("\xd9\xee"); /* FLDZ */
    cpu->fpu.fip = 0x00123456;
    cpu->fpu.fcs = 0xabcd;
    cpu->fpu.fdp = 0x00fedcba;
    cpu->fpu.fds = 0x1234;
    cpu->fpu.fop = 0x765;
}

TEST(fpu, environment_formats)
{
    static const u32 protected32[] = { 0xffff037f, 0xffff3000, 0xffff1fff, 0x00123456,
                                       0x0765abcd, 0x00fedcba, 0xffff1234 };
    static const u16 protected16[] = { 0x037f, 0x3000, 0x1fff, 0x3456, 0xabcd, 0xdcba, 0x1234 };
    /* linear: abcd0 + 123456 = 1cf126, 12340 + fedcba = fffffa */
    static const u32 real32[] = { 0xffff037f, 0xffff3000, 0xffff1fff, 0xfffff126,
                                  0x0001c765, 0xfffffffa, 0x000ff000 };
    static const u16 real16[] = { 0x037f, 0x3000, 0x1fff, 0xf126, 0xc765, 0xfffa, 0xf000 };
    struct vcpu *cpu = fpu_cpu();

    environment_state(cpu);
    CHECK_EQ(RUN(FNSTENV_DATA), EXC_NONE);
    CHECK(!memcmp(memory(cpu), protected32, 28));
    CHECK_EQ(RUN("\x66" FNSTENV_DATA), EXC_NONE);
    CHECK(!memcmp(memory(cpu), protected16, 14));
    cpu->cr0 &= ~CR0_PE;
    CHECK_EQ(RUN(FNSTENV_DATA), EXC_NONE);
    CHECK(!memcmp(memory(cpu), real32, 28));
    CHECK_EQ(RUN("\x66" FNSTENV_DATA), EXC_NONE);
    CHECK(!memcmp(memory(cpu), real16, 14));
}

TEST(fpu, save_and_restore_bring_everything_back)
{
    struct vcpu *cpu = fpu_cpu();
    struct fxsave before;

    environment_state(cpu);
    before = cpu->fpu;
    CHECK_EQ(RUN("\xdd\x35\x00\x20\x00\x00"), EXC_NONE); /* FNSAVE */
    CHECK_EQ(cpu->fpu.ftw, 0);
    CHECK_EQ(cpu->fpu.fsw, 0);
    CHECK_EQ(RUN("\xdd\x25\x00\x20\x00\x00"), EXC_NONE); /* FRSTOR */
    CHECK(!memcmp(&before, &cpu->fpu, 288));
    CHECK_EQ(RUN("\x0f\xae\x05\x00\x20\x00\x00"), EXC_NONE); /* FXSAVE */
    memset(&cpu->fpu, 0, sizeof(cpu->fpu));
    CHECK_EQ(RUN("\x0f\xae\x0d\x00\x20\x00\x00"), EXC_NONE); /* FXRSTOR */
    before.mxcsr_mask = cpu->fpu.mxcsr_mask;
    CHECK(!memcmp(&before, &cpu->fpu, 288));
}

TEST(fpu, fxsave_writes_what_32_bit_code_has)
{
    struct vcpu *cpu = fpu_cpu();

    memset(memory(cpu), 0x55, 512);
    CHECK_EQ(RUN("\x0f\xae\x05\x00\x20\x00\x00"), EXC_NONE);
    CHECK_EQ(memory(cpu)[287], 0);
    for (u32 i = 288; i < 512; i++)
        CHECK_EQ(memory(cpu)[i], 0x55);
    CHECK_EQ(RUN("\x0f\xae\x05\x08\x20\x00\x00"), EXC_GP); /* not on 16 bytes */
    memset(memory(cpu) + 24, 0xff, 4);
    CHECK_EQ(RUN("\x0f\xae\x0d\x00\x20\x00\x00"), EXC_GP); /* MXCSR's reserved bits */
    CHECK_EQ(RUN("\x0f\xae\x15\x18\x20\x00\x00"), EXC_GP); /* LDMXCSR of the same */
    CHECK_EQ(cpu->fpu.mxcsr, 0x1f80);
}

TEST(fpu, fault_of_a_store_leaves_the_stack)
{
    struct vcpu *cpu = fpu_cpu();
    struct fxsave before;

    RUN(FLD1);
    before = cpu->fpu;
    cpu->seg[DS].limit = DATA + 3;
    CHECK_EQ(RUN("\xd9\x1d\x01\x20\x00\x00"), EXC_GP); /* FSTP dword */
    CHECK(!memcmp(&before, &cpu->fpu, 512));
    CHECK_EQ(RUN("\xdd\x05\x00\x20\x00\x00"), EXC_GP); /* FLD qword */
    CHECK(!memcmp(&before, &cpu->fpu, 512));
    cpu->seg[SS].limit = 0x10;
    cpu->gpr[EBP] = DATA;
    CHECK_EQ(RUN("\xd9\x5d\x00"), EXC_SS);
    CHECK(!memcmp(&before, &cpu->fpu, 512));
}

TEST(fpu, unmasked_store_exceptions_do_not_store)
{
    struct vcpu *cpu = fpu_cpu();

    memset(memory(cpu), 0x11, 16);
    cpu->fpu.fcw = 0x37e; /* invalid unmasked, stack empty */
    CHECK_EQ(RUN("\xd9\x1d\x00\x20\x00\x00"), EXC_NONE); /* FSTP dword */
    CHECK_EQ(memory(cpu)[0], 0x11);
    CHECK_EQ(cpu->fpu.fsw, 0x80c1);
    RUN(FNCLEX);
    RUN("\xd9\xeb");      /* FLDPI */
    cpu->fpu.fcw = 0x35f; /* precision unmasked: stored, then reported */
    CHECK_EQ(RUN("\xd9\x1d\x00\x20\x00\x00"), EXC_NONE);
    CHECK(!memcmp(memory(cpu), "\xdb\x0f\x49\x40", 4));
    CHECK_EQ(cpu->fpu.fsw & 0x80a0, 0x80a0);
}

TEST(sse, exceptions)
{
    struct vcpu *cpu = fpu_cpu();
    u8 before[16];

    memcpy(cpu->fpu.xmm[0], (const float[4]){ 1, 1, 1, 1 }, 16);
    memcpy(cpu->fpu.xmm[1], (const float[4]){ 1, 0, 1, 1 }, 16);
    memcpy(before, cpu->fpu.xmm[0], 16);
    cpu->fpu.mxcsr = 0x1f80 & ~0x200; /* divide by zero unmasked */
    CHECK_EQ(RUN("\x0f\x5e\xc1"), EXC_XM);
    CHECK_EQ(cpu->fpu.mxcsr, 0x1d84);
    CHECK(!memcmp(before, cpu->fpu.xmm[0], 16));
    cpu->cr4 &= ~CR4_OSXMMEXCPT;
    CHECK_EQ(RUN("\x0f\x5e\xc1"), EXC_UD);
    cpu->fpu.mxcsr = 0x1f80;
    CHECK_EQ(RUN("\x0f\x5e\xc1"), EXC_NONE);
    CHECK_EQ(cpu->fpu.mxcsr, 0x1f84);
}

TEST(sse, alignment)
{
    struct vcpu *cpu = fpu_cpu();

    CHECK_EQ(RUN("\x0f\x28\x05\x08\x20\x00\x00"), EXC_GP);     /* MOVAPS */
    CHECK_EQ(RUN("\x0f\x29\x05\x08\x20\x00\x00"), EXC_GP);
    CHECK_EQ(RUN("\x66\x0f\xfc\x05\x08\x20\x00\x00"), EXC_GP); /* PADDB */
    CHECK_EQ(RUN("\x0f\x10\x05\x08\x20\x00\x00"), EXC_NONE);   /* MOVUPS */
    CHECK_EQ(RUN("\xf3\x0f\x6f\x05\x01\x20\x00\x00"), EXC_NONE); /* MOVDQU */
    CHECK_EQ(RUN("\x0f\x16\x05\x08\x20\x00\x00"), EXC_NONE);   /* MOVHPS: 8 bytes */
    cpu->seg[DS].base = 8; /* the linear address counts */
    CHECK_EQ(RUN("\x0f\x28\x05\x08\x20\x00\x00"), EXC_NONE);
}

TEST(sse, models)
{
    struct vcpu *cpu = fpu_cpu();
    const struct cpu_model *m = cpu_models;

    while (m->name && strcmp(m->name, "pentium3"))
        m++;
    cpu->features = cpu_features_of(m, 0, 0);
    CHECK_EQ(RUN(ADDPS), EXC_NONE);
    CHECK_EQ(RUN("\x66\x0f\x58\xc1"), EXC_UD); /* ADDPD */
    CHECK_EQ(RUN("\x66\x0f\xfc\xc1"), EXC_UD); /* PADDB xmm */
    CHECK_EQ(RUN("\x66\x0f\xe0\xc1"), EXC_UD); /* PAVGB xmm */
    CHECK_EQ(RUN("\x0f\xe0\xc1"), EXC_NONE);   /* PAVGB mm */
    CHECK_EQ(RUN("\x0f\xd4\xc1"), EXC_UD);     /* PADDQ mm */
    memcpy(memory(cpu), &(u32){ 0x1fc0 }, 4);
    CHECK_EQ(RUN("\x0f\xae\x15\x00\x20\x00\x00"), EXC_GP); /* no DAZ */
    while (strcmp(m->name, "pentium"))
        m++;
    cpu->features = cpu_features_of(m, 0, 0);
    CHECK_EQ(RUN(PADDB), EXC_NONE);
    CHECK_EQ(RUN(ADDPS), EXC_UD);
    CHECK_EQ(RUN("\x0f\xe0\xc1"), EXC_UD);
    CHECK_EQ(RUN("\xdb\xf1"), EXC_UD); /* FCOMI */
}

TEST(sse, later_instructions_are_undefined)
{
    struct vcpu *cpu = fpu_cpu();

    CHECK_EQ(RUN("\xf2\x0f\xd0\xc1"), EXC_UD);     /* ADDSUBPS */
    CHECK_EQ(RUN("\xdb\x0d\x00\x20\x00\x00"), EXC_UD); /* FISTTP */
    CHECK_EQ(RUN("\xf2\x0f\xf0\x05\x00\x20\x00\x00"), EXC_UD); /* LDDQU */
    CHECK_EQ(RUN("\x0f\x38\x00\xc1"), EXC_UD);     /* PSHUFB */
    CHECK_EQ(RUN("\x66\x0f\x38\x10\xc1"), EXC_UD); /* PBLENDVB */
}

TEST(sse, maskmovq_touches_only_what_the_mask_says)
{
    struct vcpu *cpu = fpu_cpu();

    RUN("\x0f\x77");
    memcpy(cpu->fpu.st[0], "abcdefgh", 8);
    memcpy(cpu->fpu.st[1], "\x80\x00\x80\x7f\x00\x00\x00\x00", 8);
    memset(memory(cpu), '.', 8);
    cpu->gpr[EDI] = DATA;
    cpu->seg[DS].limit = DATA + 2;
    CHECK_EQ(RUN("\x0f\xf7\xc1"), EXC_NONE);
    CHECK(!memcmp(memory(cpu), "a.c.....", 8));
    CHECK_EQ(cpu->fpu.ftw, 0xff);
    cpu->seg[DS].limit = DATA + 1; /* faults before it stores */
    memset(memory(cpu), '.', 8);
    CHECK_EQ(RUN("\x0f\xf7\xc1"), EXC_GP);
    CHECK_EQ(memory(cpu)[0], '.');
}

/* ---- The PC/AT's way, whole: the CPU waits at the instruction, takes IRQ 13, comes back ---- */

static int ack_irq13(struct vcpu *cpu)
{
    cpu_set_intr(cpu, false);
    return 0x75;
}

static void ferr_interrupts(struct vcpu *cpu, bool level)
{
    ferr_level = level;
    cpu_set_intr(cpu, level);
}

TEST(fpu, irq13_interrupts_the_waiting_instruction)
{
    /* FNINIT; FLDCW [300]; FLD1; FLDZ; FDIVP; at 10C FLD1; HLT */
    static const u8 code[] = { 0xdb, 0xe3, 0xd9, 0x2e, 0x00, 0x03, 0xd9, 0xe8,
                               0xd9, 0xee, 0xde, 0xf9, 0xd9, 0xe8, 0xf4 };
    /* IRQ 13's handler at 200: FNCLEX; IRET */
    static const u8 handler[] = { 0xdb, 0xe2, 0xcf };
    struct rig *r = rig_new(NULL, NULL);
    struct vcpu *cpu = r->m->cpu;
    u8 *ram = mmu_ram(r->m->mmu);
    u16 ip;

    memcpy(ram + 0x100, code, sizeof(code));
    memcpy(ram + 0x200, handler, sizeof(handler));
    memcpy(ram + 0x300, &(u16){ 0x37b }, 2);
    memcpy(ram + 0x75 * 4, &(u32){ 0x200 }, 4);
    for (u32 i = ES; i <= GS; i++)
        cpu_load_segment_real(cpu, i, 0);
    cpu->seg[CS].selector = 0;
    cpu->seg[CS].base = 0;
    cpu->gpr[ESP] = 0x1000;
    cpu->eip = 0x100;
    cpu->pins.intr_ack = ack_irq13;
    cpu->pins.ferr = ferr_interrupts;
    for (u32 i = 0; i < 5; i++)
        cpu_step(cpu);
    CHECK_EQ(cpu->eip, 0x10c);
    for (u32 i = 0; i < 3; i++) /* IF is clear: it stands there */
        cpu_step(cpu);
    CHECK_EQ(cpu->eip, 0x10c);
    CHECK(ferr_level);
    cpu_set_eflags(cpu, FLAG_IF, FLAG_IF);
    for (u32 i = 0; i < 3 && cpu->eip != 0x202; i++)
        cpu_step(cpu);
    memcpy(&ip, ram + 0x1000 - 6, 2);
    CHECK_EQ(ip, 0x10c);
    CHECK(!ferr_level); /* FNCLEX has run */
    for (u32 i = 0; i < 3 && cpu->eip != 0x10e; i++)
        cpu_step(cpu);
    CHECK_EQ(cpu->eip, 0x10e);
    CHECK_EQ(cpu->fpu.fsw & 0x80ff, 0);
}

/* ---- What came after SSE2 ---- */

#define PSHUFB_MMX "\x0f\x38\x00\xc1"
#define PSHUFB "\x66\x0f\x38\x00\xc1"
#define HADDPS "\xf2\x0f\x7c\xc1"
#define PTEST "\x66\x0f\x38\x17\xc1"
#define PCMPISTRI "\x66\x0f\x3a\x63\xc1\x00"
#define AESENC "\x66\x0f\x38\xdc\xc1"
#define PCLMULQDQ "\x66\x0f\x3a\x44\xc1\x00"
#define FISTTP_DATA "\xdb\x0d\x00\x20\x00\x00"
#define PEXTRW_DATA "\x66\x0f\x3a\x15\x05\x00\x20\x00\x00\x01"

/* The checks go by the registers, as for SSE2. */
TEST(fpu, newer_instructions_check_cr0_and_cr4)
{
    struct vcpu *cpu = fpu_cpu();

    cpu->features = cpu_features_of(cpu->model, ~0ull, 0);
    cpu->cr0 |= CR0_TS;
    CHECK_EQ(RUN(PSHUFB), EXC_NM);
    CHECK_EQ(RUN(PSHUFB_MMX), EXC_NM);
    CHECK_EQ(RUN(PCMPISTRI), EXC_NM);
    CHECK_EQ(RUN(FISTTP_DATA), EXC_NM);
    cpu->cr0 |= CR0_EM;
    CHECK_EQ(RUN(PSHUFB), EXC_UD);
    CHECK_EQ(RUN(PSHUFB_MMX), EXC_UD);
    CHECK_EQ(RUN(HADDPS), EXC_UD);
    CHECK_EQ(RUN(FISTTP_DATA), EXC_NM);
    cpu->cr0 &= ~(CR0_EM | CR0_TS);
    cpu->cr4 &= ~CR4_OSFXSR;
    CHECK_EQ(RUN(PSHUFB), EXC_UD);
    CHECK_EQ(RUN(PTEST), EXC_UD);
    if (cpu_has(cpu, FEAT_AES))
        CHECK_EQ(RUN(AESENC), EXC_UD);
    if (cpu_has(cpu, FEAT_PCLMUL))
        CHECK_EQ(RUN(PCLMULQDQ), EXC_UD);
    CHECK_EQ(RUN(PSHUFB_MMX), EXC_NONE);
    CHECK_EQ(RUN(FISTTP_DATA), EXC_NONE);
}

TEST(fpu, newer_instructions_are_undefined_without_their_feature)
{
    struct vcpu *cpu = fpu_cpu();

    cpu->features = cpu_features_of(cpu_models, 0, 0);
    CHECK_EQ(RUN(PSHUFB), EXC_UD);
    CHECK_EQ(RUN(HADDPS), EXC_UD);
    CHECK_EQ(RUN(FISTTP_DATA), EXC_UD);
    CHECK_EQ(RUN(PEXTRW_DATA), EXC_UD); /* of SSE4.1; that to a register is SSE's */
    CHECK_EQ(RUN("\x66\x0f\xc5\xc1\x01"), EXC_NONE);
    cpu->features = cpu_features_of(cpu->model, ~0ull, 0);
    CHECK_EQ(RUN(PEXTRW_DATA), EXC_NONE);
}
