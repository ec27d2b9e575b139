/*
 * What the host's own mechanisms cost on this machine: the events and instruction forms between
 * which the design chooses (docs/design.md, "What the host costs").
 *
 *   hostcost          "row NAME BEST MEDIAN": hundredths of a TSC cycle per operation; "none
 *                     NAME": the host has no such thing
 *   hostcost tsc      "tsc KHZ": the TSC's rate against CLOCK_MONOTONIC_RAW; "core RATIO": core
 *                     cycles per TSC cycle, by a chain of additions of one cycle each; and
 *                     "hypervisor NAME", as its CPUID leaf signs, if there is one
 */
#include "bench/host.h"

#include <cpuid.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

enum { SAMPLES = 60, SAMPLE_CYCLES = 400000, PAGE = 4096 };

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The TSC and the clock at one moment: the closest of a few pairs, should the host preempt
 * us. */
static void read_pair(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX, before, after, now;

    for (int i = 0; i < 20; i++) {
        before = __rdtsc();
        now = now_ns();
        after = __rdtsc();
        if (after - before < best) {
            best = after - before;
            *tsc = before + best / 2;
            *ns = now;
        }
    }
}

static double tsc_khz(void)
{
    uint64_t tsc[2], ns[2];
    struct timespec wait = { .tv_nsec = 200000000 };

    read_pair(&tsc[0], &ns[0]);
    nanosleep(&wait, NULL);
    read_pair(&tsc[1], &ns[1]);
    return (double)(tsc[1] - tsc[0]) * 1e6 / (double)(ns[1] - ns[0]);
}

static double core_ratio(void)
{
    enum { TURNS = 2000, CHAIN = 100 };
    uint64_t best = UINT64_MAX, start, val, x = 1;

    for (int i = 0; i < 200; i++) {
        start = __rdtsc();
        for (int k = 0; k < TURNS; k++)
            __asm__ volatile(".rept 100\n\tadd %0, %0\n\t.endr" : "+r"(x));
        val = __rdtsc() - start;
        best = val < best ? val : best;
    }
    return (double)TURNS * CHAIN / (double)best;
}

/* CPUID 40000000: the convention of hypervisors, under the bit that says there is one. */
static void print_hypervisor(void)
{
    uint32_t a, b, c, d, name[4] = { 0 };

    __cpuid(1, a, b, c, d);
    if (!(c >> 31))
        return;
    __cpuid(0x40000000, a, name[0], name[1], name[2]);
    printf("hypervisor %s\n", name[0] ? (char *)name : "without a name");
}

static int memory;   /* a memfd */
static char *mapped; /* 64 pages of it */

/* ---- Host faults ---- */

static char *closed; /* a page without access */
static sigjmp_buf resume;
static bool by_jump;
static uint32_t skip; /* bytes of the instruction that traps */

static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    if (by_jump)
        siglongjmp(resume, 1);
    uc->uc_mcontext.gregs[REG_RIP] += skip;
}

/* Signal stack and no signal mask to restore, as the monitor has it. */
static void catch(int sig)
{
    struct sigaction sa = { .sa_sigaction = on_signal,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    sigaction(sig, &sa, NULL);
}

static void faults_init(void)
{
    static char stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };

    sigaltstack(&ss, NULL);
    catch(SIGSEGV);
    catch(SIGBUS);
    catch(SIGFPE);
    catch(SIGILL);
    catch(SIGTRAP);
    closed = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

#define TRAP(id, length, text, ...)                                                            \
    static void id(uint32_t n)                                                                 \
    {                                                                                          \
        by_jump = false;                                                                       \
        skip = length;                                                                         \
        while (n--)                                                                            \
            __asm__ volatile(text : : __VA_ARGS__ : "rax", "rdx", "memory", "cc");             \
    }

TRAP(segv_return, 2, "movb (%0), %%al", "r"(closed))
TRAP(gp_return, 1, "cli", "r"(0))
TRAP(int3_return, 0, "int3", "r"(0))
TRAP(divide_return, 2, "xor %%edx, %%edx; div %0", "r"(0))
TRAP(ud2_return, 2, "ud2", "r"(0))
TRAP(align_return, 2,
     "pushfq; orl $0x40000, (%%rsp); popfq; movl (%%rbx), %%eax; pushfq; andl $~0x40000, "
     "(%%rsp); popfq",
     "b"(mapped + 1))

static void segv_jump(uint32_t n)
{
    volatile uint32_t left = n;

    by_jump = true;
    while (left) {
        left--;
        if (!sigsetjmp(resume, 0))
            *(volatile char *)closed = 1;
    }
}

/* ---- Mappings ---- */

static void maps_init(void)
{
    memory = memfd_create("bench", 0);
    mapped = ftruncate(memory, 64 * PAGE) ? MAP_FAILED :
             mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (mapped == MAP_FAILED) {
        perror("hostcost: memfd");
        exit(1);
    }
    memset(mapped, 1, 64 * PAGE);
}

/* Turn by turn two pages of the file, so that each call changes something. */
static void map_one(uint32_t n)
{
    while (n--)
        mmap(mapped, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory,
             (n & 1) * 5 * PAGE);
}

static void map_touch(uint32_t n)
{
    while (n--) {
        mmap(mapped, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory,
             (n & 1) * 5 * PAGE);
        *(volatile char *)mapped = 1;
    }
}

static void map_populate(uint32_t n)
{
    while (n--)
        mmap(mapped, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
             memory, (n & 1) * 5 * PAGE);
}

static void protect_one(uint32_t n)
{
    while (n--)
        mprotect(mapped + 8 * PAGE, PAGE, n & 1 ? PROT_READ | PROT_WRITE : PROT_READ);
}

static void protect_touch(uint32_t n)
{
    while (n--) {
        mprotect(mapped + 8 * PAGE, PAGE, n & 1 ? PROT_READ | PROT_WRITE : PROT_READ);
        (void)*(volatile char *)(mapped + 8 * PAGE);
    }
}

static void drop_touch(uint32_t n)
{
    while (n--) {
        madvise(mapped + 9 * PAGE, PAGE, MADV_DONTNEED);
        *(volatile char *)(mapped + 9 * PAGE) = 1;
    }
}

static void getppid_64(uint32_t n)
{
    while (n--)
        syscall(SYS_getppid);
}

/* ---- Instructions ---- */

static char *low; /* two pages below 4 GB: code for far_calls(); data and its stack */

#define INSN(id, text)                                                                         \
    static void id(uint32_t n)                                                                 \
    {                                                                                          \
        n /= 8;                                                                                \
        __asm__ volatile("1:\t.rept 8\n\t" text "\n\t.endr\n\tdec %%ecx\n\tjnz 1b"             \
                         : "+c"(n)                                                             \
                         : "S"(low + PAGE)                                                     \
                         : "rax", "rdx", "rdi", "r8", "memory", "cc");                         \
    }

INSN(insn_pushf_popf, "pushfq; popfq")
INSN(insn_pushf, "pushfq; pop %%rax")
INSN(insn_lahf_sahf,
     "lahf; seto %%al; mov %%eax, %%edx; mov %%edx, %%eax; add $0x7f, %%al; sahf")
INSN(insn_rdtsc, "rdtsc")
INSN(insn_load, "mov (%%rsi), %%eax")
INSN(insn_load_gs, "mov %%gs:(%%esi), %%eax")
INSN(insn_poll, "cmpb $0, (%%rsi); jne 1b")
INSN(insn_call_ret, "call 2f; jmp 3f; 2: ret; 3:")
INSN(insn_popf_ac, "pushfq; xorl $0x40000, (%%rsp); popfq")

static void insn_cpuid(uint32_t n)
{
    uint32_t a, b, c, d;

    while (n--)
        __cpuid(0, a, b, c, d);
}

static bool have_fsgsbase(void)
{
    return getauxval(AT_HWCAP2) & 2;
}

static void insn_wrgsbase(uint32_t n)
{
    while (n--)
        __asm__ volatile("wrgsbase %0" ::"r"(0ul));
}

/* ---- Far jumps ---- */

/* Linux has a segment for 32-bit code at this selector; a hypervisor may take it away (LAR: L,
 * D, type). */
static bool have_code32(void)
{
    enum { SELECTOR = 0x23, MASK = 0x60f800, CODE32 = 0x40f800 };
    uint32_t access = 0;

    __asm__("lar %1, %0" : "+r"(access) : "r"(SELECTOR) : "cc");
    return (access & MASK) == CODE32;
}

static void far_init(void)
{
    static const struct { uint32_t offset; uint16_t selector; } target = { 0, 0x23 };

    low = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    memcpy(low, far_calls, (size_t)(far_calls_end - far_calls));
    memcpy(low + 2048, &target, sizeof target);
    *(uint32_t *)(low + 2048) = (uint32_t)(uintptr_t)(low + (far_target - far_calls));
}

static void far_jump(uint32_t n)
{
    ((void (*)(void *, void *, uint32_t))(void *)low)(low + 2048, low + 2 * PAGE, n);
}

/* ---- Memory operands: the loops of host_forms.S ---- */

enum { FORM_BYTES = 16384, TLB_ENTRIES = 256, FORM_DELTA = 0x100000 };
static struct form_state form, misaligned, direct; /* guest addresses, twice; host addresses */

static void forms_init(void)
{
    char *buffer = mmap(NULL, 2 * FORM_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_POPULATE, -1, 0);
    uint32_t page;

    form.table = mmap(NULL, 8ull << 20, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    form.tlb = aligned_alloc(4096, TLB_ENTRIES * sizeof *form.tlb);
    memset(form.tlb, 0xff, TLB_ENTRIES * sizeof *form.tlb);
    direct.source = (uint32_t)(uintptr_t)buffer;
    direct.target = direct.source + FORM_BYTES;
    form.source = direct.source - FORM_DELTA;
    form.target = direct.target - FORM_DELTA;
    for (page = form.source >> 12; page < (form.source + 2 * FORM_BYTES) >> 12; page++) {
        form.table[page] = FORM_DELTA;
        form.tlb[page % TLB_ENTRIES] =
            (struct tlb_entry){ .page = page << 12, .delta = FORM_DELTA };
    }
    misaligned = form;
    misaligned.source += 1;
    misaligned.target += 3;
}

#define FORM(id, name, state)                                                                  \
    static void id(uint32_t n)                                                                 \
    {                                                                                          \
        name(&state, n);                                                                       \
    }
FORM(loop_plain, form_plain, direct)
FORM(loop_mapped, form_mapped, direct)
FORM(loop_table, form_table, form)
FORM(loop_table_ac, form_table_ac, form)
FORM(loop_table_crossing, form_table_crossing, form)
FORM(loop_aligned, form_aligned, form)
FORM(loop_both_sptes, form_both_sptes, form)
FORM(loop_both_sptes_misaligned, form_both_sptes, misaligned)
FORM(loop_checked, form_checked, form)
FORM(loop_checked_mov, form_checked_mov, form)
FORM(loop_masked, form_masked, form)
FORM(loop_masked_misaligned, form_masked, misaligned)
FORM(loop_qemu, form_qemu, form)

/* ---- The table ---- */

static const struct {
    const char *name;
    void (*run)(uint32_t n);
    bool (*have)(void);
} rows[] = {
    { "segv-handler-sigreturn", segv_return }, { "segv-siglongjmp", segv_jump },
    { "cli-gp-sigreturn", gp_return }, { "int3-sigreturn", int3_return },
    { "divide-sigreturn", divide_return }, { "ud2-sigreturn", ud2_return },
    { "misaligned-ac-sigreturn", align_return },
    { "mmap-one-page", map_one }, { "mmap-and-touch", map_touch }, { "mmap-populate", map_populate },
    { "mprotect-one-page", protect_one }, { "mprotect-and-touch", protect_touch },
    { "dontneed-and-touch", drop_touch }, { "getppid-64", getppid_64 },
    { "far-call-to-32-bit-and-back", far_jump, have_code32 }, { "wrgsbase", insn_wrgsbase, have_fsgsbase },
    { "pushfq-popfq", insn_pushf_popf }, { "pushfq-pop", insn_pushf },
    { "popfq-changing-ac", insn_popf_ac }, { "lahf-seto-sahf", insn_lahf_sahf },
    { "rdtsc", insn_rdtsc }, { "cpuid", insn_cpuid }, { "load", insn_load },
    { "load-gs", insn_load_gs }, { "poll-flag", insn_poll }, { "call-ret", insn_call_ret },
    { "form-plain", loop_plain }, { "form-mapped", loop_mapped }, { "form-table", loop_table },
    { "form-table-with-ac", loop_table_ac }, { "form-table-crossing-check", loop_table_crossing },
    { "form-table-aligned", loop_aligned },
    { "form-both-sptes", loop_both_sptes }, { "form-both-sptes-misaligned", loop_both_sptes_misaligned },
    { "form-checked", loop_checked }, { "form-checked-by-moves", loop_checked_mov },
    { "form-masked", loop_masked }, { "form-masked-misaligned", loop_masked_misaligned },
    { "form-qemu-tlb", loop_qemu },
};

static uint64_t time_of(void (*run)(uint32_t), uint32_t n)
{
    uint64_t start = __rdtsc();

    run(n);
    return __rdtsc() - start;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void measure(const char *name, void (*run)(uint32_t))
{
    uint64_t samples[SAMPLES];
    uint32_t n = 8;

    run(n);
    while (time_of(run, n) < SAMPLE_CYCLES)
        n *= 2;
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = time_of(run, n);
    qsort(samples, SAMPLES, sizeof *samples, compare);
    printf("row %s %.0f %.0f\n", name, 100.0 * (double)samples[0] / n,
           100.0 * (double)samples[SAMPLES / 2] / n);
}

int main(int argc, char **argv)
{
    printf("tsc %.0f\ncore %.3f\n", tsc_khz(), core_ratio());
    print_hypervisor();
    if (argc > 1 && !strcmp(argv[1], "tsc"))
        return 0;
    faults_init();
    maps_init();
    far_init();
    forms_init();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!rows[i].have || rows[i].have())
            measure(rows[i].name, rows[i].run);
        else
            printf("none %s\n", rows[i].name);
    return 0;
}
