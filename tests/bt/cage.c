/*
 * Direct execution (bt/cage.c): user code of a guest of a few instructions runs in a cage, and
 * what comes back is what the processor would have made of it; what it must not do; and what
 * the host is left with. Where the host runs no 32-bit code the first test says so, and the
 * others have nothing to check; looking a page through needs no cage.
 */
#include "bt/cage_private.h"
#include "bt/tu.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/reset.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include "tests/harness/user_guest.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    USER = UG_USER,
    USER_2 = UG_USER_2,
    DATA = UG_DATA,
    STACK3 = UG_STACK,
    KERNEL = UG_KERNEL,
    ENTRY = UG_ENTRY,
};

static u8 *ram(const struct bt *bt)
{
    return mmu_ram(bt->cpu->mmu);
}

static void set_page(const struct bt *bt, u32 gla, u32 entry)
{
    user_guest_set_page(bt->cpu, gla, entry);
}

static bool host_has_cages(void)
{
    static int known = -1;
    const char *why;

    if (known < 0) {
        known = cage_process_probe(&why);
        if (!known)
            printf("skipped: direct execution: %s\n", why);
    }
    return known;
}

static struct bt *start(const void *code, u32 n)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    struct bt_config config = {.user = USER_DIRECT};
    const char *why = NULL;
    struct bt *bt;

    cpu_reset(cpu);
    bt = bt_new(cpu, &config, &why);
    CHECK(bt && bt->cages && bt->cages->usable);
    user_guest_begin(cpu);
    memset(ram(bt) + USER, 0x90, 2 * PAGE_SIZE);
    memcpy(ram(bt) + USER, code, n);
    cpu->mmu->user_maps_after = 0;
    cpu->deadline = ~0ull;
    return bt;
}

static void to_user(struct bt *bt, u32 eip)
{
    struct vcpu *cpu = bt->cpu;

    user_guest_enter(cpu, eip);
    bt_user_map_sample(cpu, 0);
    cpu->mmu->space->user_time += 1ull << 40;
    bt_user_map_sample(cpu, 1);
    CHECK(cpu->user_map);
    for (u32 page = USER; page <= USER_2; page += PAGE_SIZE) { /* as if it had run there */
        bool fault;

        mmu_host(&cpu->paging, page, MMU_EXEC, &fault);
    }
}

/* Directly, from USER, until it comes back. */
static void run(struct bt *bt)
{
    to_user(bt, USER);
    cages_run(bt);
}

/* Then on, until the kernel's HLT: which vector's? */
static u32 run_on(struct bt *bt)
{
    struct vcpu *cpu = bt->cpu;

    for (u32 i = 0; i < 10000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
    return (cpu->eip - KERNEL) / 16;
}

static u32 run_to_kernel(struct bt *bt)
{
    run(bt);
    return run_on(bt);
}

/* What the kernel's stack says of where it was. */
static u32 pushed(const struct bt *bt, u32 n)
{
    u32 val;

    memcpy(&val, ram(bt) + bt->cpu->gpr[ESP] + 4 * n, 4);
    return val;
}

#define START(...)                                                                             \
    static const u8 code[] = {__VA_ARGS__};                                                    \
    struct bt *bt;                                                                             \
    if (!host_has_cages())                                                                     \
        return;                                                                                \
    bt = start(code, sizeof(code))

TEST(bt_cage, the_host_is_asked)
{
    const char *why = NULL;

    CHECK(cage_process_probe(&why) == host_has_cages());
}

/* mov ecx, 1000000;  add eax, ecx;  dec ecx;  jnz;  int 80h */
TEST(bt_cage, computes_to_a_system_call)
{
    START(0xb9, 0x40, 0x42, 0x0f, 0, 0x01, 0xc8, 0x49, 0x75, 0xfb, 0xcd, 0x80);
    bt->cpu->gpr[EAX] = 7;
    run(bt);
    CHECK_EQ(bt->cpu->eip, USER + 10);
    CHECK_EQ(bt->cpu->gpr[EAX], 7 + (u32)(1000000ull * 1000001 / 2));
    CHECK_EQ(bt->cpu->gpr[ECX], 0);
    CHECK_EQ(bt->cpu->eflags & FLAGS_ARITH, FLAG_ZF | FLAG_PF);
    CHECK_EQ(bt->stats.cage_exits[EXIT_SYSCALL], 1);
    CHECK(bt->stats.cage_cpu > 0);
    CHECK_EQ(bt_engine.cpu_time(bt->cpu), bt->stats.cage_cpu);
    CHECK_EQ(run_to_kernel(bt), 0x80);
    CHECK_EQ(pushed(bt, 0), USER + 12);
}

/* mov [DATA], edi;  add [DATA], edi;  push edi;  mov eax, [not present] */
TEST(bt_cage, pages_come_as_they_are_used_and_a_fault_is_the_guests)
{
    START(0x89, 0x3d, 0, 0, 0x21, 0, 0x01, 0x3d, 0, 0, 0x21, 0, 0x57, 0xa1, 0, 0x10, 0x25, 0);
    bt->cpu->gpr[EDI] = 21;
    CHECK_EQ(run_to_kernel(bt), EXC_PF);
    CHECK_EQ(bt->cpu->cr2, 0x251000);
    CHECK_EQ(pushed(bt, 0), PF_U | PF_P);
    CHECK_EQ(pushed(bt, 1), USER + 13);
    CHECK_EQ(*(u32 *)(ram(bt) + DATA), 42);
    CHECK_EQ(*(u32 *)(ram(bt) + STACK3 + 0x7fc), 21);
    CHECK_EQ(bt->stats.cage_exits[EXIT_MEMORY], 3);
}

static void check_fault(const void *code, u32 n, u32 vector, u32 eip, u32 words)
{
    struct bt *bt = start(code, n);

    bt->cpu->gpr[EAX] = 5;
    bt->cpu->gpr[EBX] = DATA;
    CHECK_EQ(run_to_kernel(bt), vector);
    CHECK_EQ(pushed(bt, words), eip);
    CHECK(bt->stats.cage_runs >= 1);
}
#define CHECK_FAULT(bytes, vector, eip, words)                                                 \
    check_fault(bytes, sizeof(bytes) - 1, vector, USER + (eip), words)

TEST(bt_cage, every_way_out_is_exact)
{
    if (!host_has_cages())
        return;
    CHECK_FAULT("\x90\x31\xc9\xf7\xf1", EXC_DE, 3, 0); /* div ecx, 0 */
    CHECK_FAULT("\x90\xcc", EXC_BP, 2, 0);             /* int3 */
    CHECK_FAULT("\x90\xcd\x03", EXC_BP, 3, 0);         /* int 3 */
    CHECK_FAULT("\x90\x0f\x0b", EXC_UD, 1, 0);         /* ud2 */
    CHECK_FAULT("\x90\xf4", EXC_GP, 1, 1);             /* hlt */
    CHECK_FAULT("\x90\xfa", EXC_GP, 1, 1);             /* cli */
    CHECK_FAULT("\x90\xec", EXC_GP, 1, 1);             /* in al, dx */
    CHECK_FAULT("\x90\x0f\x30", EXC_GP, 1, 1);         /* wrmsr */
    CHECK_FAULT("\x90\x0f\x20\xd8", EXC_GP, 1, 1);     /* mov eax, cr3 */
    CHECK_FAULT("\x90\xcd\x40", 0x40, 3, 0);           /* int 40h */
    CHECK_FAULT("\x90\xcd\x80", 0x80, 3, 0);           /* int 80h */
    CHECK_FAULT("\xc7\x03\x06\0\0\0\xc7\x43\x04\x09\0\0\0\x62\x03", EXC_BR, 13, 0); /* bound */
    /* pushf;  or [esp], TF;  popf;  nop: #DB behind the nop */
    CHECK_FAULT("\x9c\x81\x0c\x24\0\x01\0\0\x9d\x90\x90", EXC_DB, 10, 0);
    CHECK_FAULT("\x9c\x81\x0c\x24\0\x01\0\0\x9d\xcc\x90", EXC_BP, 10, 0); /* int3 with TF set */
    /* fldcw 340h;  fldz;  fdiv: pending;  fwait */
    CHECK_FAULT("\x68\x40\x03\0\0\xdb\xe3\xd9\x2c\x24\xd9\xe8\xd9\xee\xde\xf9\x9b\x90", EXC_MF,
                16, 0);
    /* the same with AC set and a misaligned load */
    CHECK_FAULT("\x9c\x81\x0c\x24\0\0\x04\0\x9d\x8b\x43\x01", EXC_AC, 9, 1);
}

/* fld1;  fadd st, st;  addps xmm0, xmm0;  int 80h */
TEST(bt_cage, the_fpu_goes_there_and_back)
{
    static const u8 two[10] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0x00, 0x40};
    const float ones[4] = {1, 2, 3, 4}, twos[4] = {2, 4, 6, 8};

    START(0xd9, 0xe8, 0xd8, 0xc0, 0x0f, 0x58, 0xc0, 0xcd, 0x80);
    bt->cpu->fpu.fcw = 0x37f;
    bt->cpu->fpu.mxcsr = 0x1f80;
    memcpy(bt->cpu->fpu.xmm[0], ones, 16);
    bt->cpu->fpu.xmm[7][3] = 0x77;
    run(bt);
    CHECK_EQ(bt->cpu->eip, USER + 7);
    CHECK(!memcmp(bt->cpu->fpu.st[0], two, 10));
    CHECK(!memcmp(bt->cpu->fpu.xmm[0], twos, 16));
    CHECK_EQ(bt->cpu->fpu.xmm[7][3], 0x77);
    CHECK_EQ(bt->cpu->fpu.fsw >> 11 & 7, 7);
    CHECK_EQ(bt->stats.cage_exits[EXIT_SYSCALL], 1);
    /* a kernel that saves it when it is needed: the page is not run, and #NM is the guest's */
    bt->cpu->cr0 |= CR0_TS;
    CHECK_EQ(run_to_kernel(bt), EXC_NM);
    CHECK_EQ(pushed(bt, 0), USER);
    bt->cpu->cr0 &= ~(u32)CR0_TS;
}

/* vaddps ymm0, ymm0, ymm0;  int 80h: the upper halves go with it. */
TEST(bt_cage, avx_goes_there_and_back)
{
    const float ones[4] = {1, 2, 3, 4}, twos[4] = {2, 4, 6, 8};

    START(0xc5, 0xfc, 0x58, 0xc0, 0xcd, 0x80);
    if (!cpu_host_has(FEAT_AVX))
        return;
    bt->cpu->features |= FEATURE_BIT(FEAT_XSAVE) | FEATURE_BIT(FEAT_AVX);
    bt->cpu->cr4 |= CR4_OSXSAVE;
    bt->cpu->xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    bt->cpu->fpu.mxcsr = 0x1f80;
    memcpy(bt->cpu->fpu.xmm[0], ones, 16);
    memcpy(bt->cpu->ymm_high[0], ones, 16);
    memcpy(bt->cpu->ymm_high[7], ones, 16);
    run(bt);
    CHECK_EQ(bt->cpu->eip, USER + 4);
    CHECK(!memcmp(bt->cpu->fpu.xmm[0], twos, 16));
    CHECK(!memcmp(bt->cpu->ymm_high[0], twos, 16));
    CHECK(!memcmp(bt->cpu->ymm_high[7], ones, 16));
    CHECK_EQ(bt->stats.cage_exits[EXIT_SYSCALL], 1);
}

/* mov eax, gs:[10h];  mov gs:[1000h], eax: beyond its limit */
TEST(bt_cage, a_segment_has_its_base_and_limit)
{
    START(0x65, 0xa1, 0x10, 0, 0, 0, 0x65, 0xa3, 0, 0x10, 0, 0);
    memcpy(ram(bt) + DATA + 0x110, "\x78\x56\x34\x12", 4);
    to_user(bt, USER);
    bt->cpu->seg[GS] = (struct segment){DATA + 0x100, 0xfff, 0x33, 0x40f3};
    cages_run(bt);
    CHECK_EQ(bt->cpu->gpr[EAX], 0x12345678);
    CHECK_EQ((bt->cpu->eip - KERNEL) / 16, EXC_GP); /* delivered */
    CHECK_EQ(pushed(bt, 1), USER + 6);
}

/* inc byte [the 1 of add eax, 1];  add eax, 1;  dec ecx;  jnz;  int 80h */
TEST(bt_cage, code_that_is_written_to_is_exact)
{
    START(0xfe, 0x05, 0x08, 0, 0x20, 0, 0x83, 0xc0, 0x01, 0x49, 0x75, 0xf4, 0xcd, 0x80);
    bt->cpu->gpr[EAX] = 0;
    bt->cpu->gpr[ECX] = 60;
    for (u32 i = 0; i < 200 && bt->cpu->gpr[ECX]; i++) {
        u32 eax = bt->cpu->gpr[EAX], ecx = bt->cpu->gpr[ECX], eip = i ? bt->cpu->eip : USER;

        to_user(bt, eip);
        bt->cpu->gpr[EAX] = eax;
        bt->cpu->gpr[ECX] = ecx;
        cages_run(bt);
        if (bt->cpu->gpr[ECX] == ecx)
            bt_run_one(bt->cpu);
    }
    CHECK_EQ(bt->cpu->gpr[EAX], 60 * 63 / 2);
    CHECK(bt->stats.cage_rewritten > 3);
}

/* Its page may not be executed any longer, and then may be again: another page's. */
TEST(bt_cage, the_maps_are_followed)
{
    START(0xb8, 1, 0, 0, 0, 0xcd, 0x80);
    run(bt);
    CHECK_EQ(bt->cpu->gpr[EAX], 1);
    bt->cpu->eip = KERNEL; /* code that rewrites its own entry is another matter */
    memcpy(ram(bt) + USER_2, "\xb8\x02\0\0\0\xcd\x80", 7);
    set_page(bt, USER, USER_2 | ENTRY);
    run(bt);
    CHECK_EQ(bt->cpu->gpr[EAX], 2);
    bt->cpu->eip = KERNEL;
    set_page(bt, USER, 0);
    to_user(bt, USER);
    CHECK_EQ(run_to_kernel(bt), EXC_PF);
}

/* What is not to be seen from instruction to instruction, and leads to the host's 64-bit code:
 * mov eax, ea 10 00 20 00 33 00: JMP 33:200010;  there: xor edi, edi;  mov al, 60;  syscall */
static const u8 escape[] = {0xb8, 0xea, 0x10, 0x00, 0x20, 0x00, 0x33, 0x00, 0xc0,
                            0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x31, 0xff,
                            0xb0, 0x3c, 0xb8, 0x0f, 0x05, 0xeb, 0xfe};

TEST(bt_cage, nobody_gets_out)
{
    struct bt *bt;

    if (!host_has_cages())
        return;
    for (u32 way = 0; way < 6; way++) {
        static const u8 there[6][16] = {
            {0x31, 0xff, 0xb0, 0x3c, 0x0f, 0x05, 0xeb, 0xfe}, /* exit by SYSCALL */
            {0xb0, 0x01, 0x31, 0xdb, 0xcd, 0x80, 0xeb, 0xfe}, /* by INT 80h */
            {0x48, 0xb8, 0, 0, 1, 0, 0, 0x7e, 0, 0, 0xff, 0x00, 0xeb,
             0xfe},                                              /* inc [the calls] */
            {0x48, 0xb8, 0, 1, 0, 0, 0, 0x7e, 0, 0, 0xff, 0xe0}, /* into the stub */
            {0x48, 0xc7, 0xc0, 0, 0, 0x60, 0xff, 0xff, 0xe0},    /* vsyscall */
            {0xb0, 20, 0x89, 0xe5, 0x0f, 0x34, 0xeb, 0xfe},      /* SYSENTER */
        };
        bt = start(escape, sizeof(escape));
        memcpy(ram(bt) + USER + 16, "\x90\x90\x90\x90\x90\x90\x90\x90\xcd\x80", 10);
        bt->cpu->gpr[EBX] = DATA;
        run(bt); /* looked through, and found to be harmless */
        CHECK_EQ(bt->stats.cage_exits[EXIT_SYSCALL], 1);
        memcpy(ram(bt) + USER + 16, there[way], 16); /* by nobody who is seen */
        to_user(bt, USER + 1);
        bt->cpu->deadline = __builtin_ia32_rdtsc() + 300000000;
        cages_run(bt);
        CHECK(bt->stats.cage_exits[EXIT_ESCAPE] == 1);
        CHECK(bt->cpu->cpl == 0);
        for (u32 i = 0; i < 1000 && !(bt->cpu->requests & REQ_HALT); i++) {
            bt->cpu->requests &= ~(u32)REQ_TIMER;
            bt->cpu->deadline = ~0ull;
            bt_run(bt->cpu);
        }
        CHECK_EQ((bt->cpu->eip - KERNEL) / 16, EXC_GP);
    }
}

/* jmp $: the time comes, and the state is where it was */
TEST(bt_cage, the_deadline_ends_it)
{
    START(0xeb, 0xfe);
    to_user(bt, USER);
    bt->cpu->deadline = __builtin_ia32_rdtsc() + 50000000;
    cages_run(bt);
    CHECK(__builtin_ia32_rdtsc() >= bt->cpu->deadline);
    CHECK_EQ(bt->cpu->eip, USER);
    CHECK_EQ(bt->stats.cage_exits[EXIT_TIME], 1);
}

static u32 children(void)
{
    char path[64];
    FILE *f;
    u32 n = 0;
    int pid;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    f = fopen(path, "re");
    while (f && fscanf(f, "%d", &pid) == 1)
        n++;
    if (f)
        fclose(f);
    return n;
}

static u32 descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    u32 n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

TEST(bt_cage, nothing_is_left_on_the_host)
{
    u32 processes, files;

    START(0xb8, 1, 0, 0, 0, 0xcd, 0x80);
    processes = children();
    files = descriptors();
    for (u32 i = 0; i < 20; i++) {
        run(bt);
        CHECK_EQ(bt->cpu->gpr[EAX], 1);
        CHECK_EQ(children(), processes + 1);
        bt->cpu->mmu->space->user_map->spent = ~0ull; /* it is given up, and the cage with it */
        mmu_user_map_sync(&bt->cpu->paging);
        bt->cpu->mmu->space->user_map_due = 0;
        bt->cpu->gpr[EAX] = 0;
    }
    CHECK_EQ(bt->stats.cages_ended, 20);
    CHECK_EQ(children(), processes);
    CHECK_EQ(descriptors(), files);
}

/* A data segment of 64 KiB, and code of 16 bits, which is translated. */
TEST(bt_cage, sixteen_bits_are_translated)
{
    START(0xb8, 0x34, 0x12, 0xa3, 0x10, 0, 0xcd, 0x80);
    to_user(bt, 0);
    bt->cpu->seg[CS] = (struct segment){USER, 0xffff, UG_CODE3, 0x00fb};
    bt->cpu->seg[DS] = (struct segment){DATA, 0xffff, UG_DATA3, 0x00f3};
    bt->cpu->gpr[EAX] = 0xabcd0000;
    cages_run(bt);
    CHECK_EQ(bt->stats.cage_runs, 0);
    CHECK_EQ(run_on(bt), 0x80);
    CHECK_EQ(bt->cpu->gpr[EAX], 0xabcd1234);
    CHECK_EQ(*(u32 *)(ram(bt) + DATA + 0x10), 0x1234);
}

/* ---- Looking a page through ---- */

static struct cage_scan scan(const void *code, u32 n, u32 at, u32 entry)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    u8 page[PAGE_SIZE];

    cpu_reset(cpu);
    cpu->seg[CS] = (struct segment){0, ~0u, UG_CODE3, 0xc0fb};
    memset(page, 0x90, sizeof(page));
    memcpy(page + at, code, n);
    return cage_scan_page(cpu, page, entry);
}
#define REFUSED(bytes) (scan(bytes, sizeof(bytes) - 1, 0x800, 0x700).refused != 0)

TEST(bt_cage, what_differs_without_a_trap_is_refused)
{
    CHECK(REFUSED("\x0f\xa2"));           /* cpuid */
    CHECK(REFUSED("\x0f\x01\x00"));       /* sgdt */
    CHECK(REFUSED("\x0f\x01\x08"));       /* sidt */
    CHECK(REFUSED("\x0f\x00\xc0"));       /* sldt */
    CHECK(REFUSED("\x0f\x00\xc8"));       /* str */
    CHECK(REFUSED("\x0f\x01\xe0"));       /* smsw */
    CHECK(REFUSED("\x0f\x02\xc1"));       /* lar */
    CHECK(REFUSED("\x0f\x03\xc1"));       /* lsl */
    CHECK(REFUSED("\x0f\x00\xe0"));       /* verr */
    CHECK(REFUSED("\x0f\x00\xe8"));       /* verw */
    CHECK(REFUSED("\x8c\xd8"));           /* mov eax, ds */
    CHECK(REFUSED("\x8e\xd8"));           /* mov ds, eax */
    CHECK(REFUSED("\x1e"));               /* push ds */
    CHECK(REFUSED("\x0f\xa9"));           /* pop gs */
    CHECK(REFUSED("\xc4\x03"));           /* les eax, [ebx] */
    CHECK(REFUSED("\x9a\0\0\0\0\x33\0")); /* call 33h:0 */
    CHECK(REFUSED("\xff\x2b"));           /* jmp far [ebx] */
    CHECK(REFUSED("\xcb"));               /* retf */
    CHECK(REFUSED("\xcf"));               /* iret */
    CHECK(REFUSED("\x0f\x05"));           /* syscall */
    CHECK(REFUSED("\x0f\x34"));           /* sysenter */
    CHECK(REFUSED("\xce"));               /* into */
    CHECK(REFUSED("\xcd\x04"));           /* int 4 */
    CHECK(REFUSED("\xf1"));               /* int1 */
    CHECK(!REFUSED("\xcd\x80"));
    CHECK(!REFUSED("\x9c\x9d"));             /* pushf;  popf */
    CHECK(!REFUSED("\x0f\x31"));             /* rdtsc traps */
    CHECK(!REFUSED("\xff\x13"));             /* call [ebx] */
    CHECK(!REFUSED("\xb8\x0f\xa2\xce\xcf")); /* mov eax, …: in the middle of an instruction */
}

TEST(bt_cage, before_the_entry_and_over_the_end)
{
    static const u8 cpuid[] = {0x0f, 0xa2};
    struct cage_scan s;

    CHECK(scan(cpuid, 2, 0x100, 0x800).refused != 0);
    s = scan(cpuid, 1, PAGE_SIZE - 1, 0x800);
    CHECK_EQ(s.refused, 0);
    CHECK_EQ(s.tail, 1);
    CHECK(scan("\xd9\xe8", 2, 0x900, 0x800).needs == NEEDS_FPU);
    CHECK(scan("\x0f\x58\xc0", 3, 0x900, 0x800).needs == NEEDS_SSE);
}
