/*
 * Random user code, run directly: whatever it does, ring3 survives, nothing outside of the
 * user's pages changes, and the guest is where the interpreter comes by.
 *
 *   direct [--seconds N] [--seed S] [--count N] [--defined] [-v]
 *
 * A seed makes two pages of code, of data and a stack, and the registers. Of odd seeds the code
 * is instructions whose results the manual defines: the cage's stop has to be a state that the
 * interpreter, started alike, reaches as well, memory included. Of even ones it is bytes, in
 * which what a cage could be broken by is sown (far transfers to the host's 64-bit code,
 * SYSCALL, SYSENTER, INT 80h, prefixes): there the user may be anywhere, but the kernel's
 * memory must be as it was.
 *
 * --defined leaves the even seeds out: on a host that QEMU emulates, since its far CALL, RET
 * and IRET access the user's stack as a supervisor does, and the host's kernel may panic.
 *
 * It wants a host that runs 32-bit code, and says so where it does not.
 */
#include "bt/cage_private.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "runtime/parts.h"
#include "tests/fuzz/xorshift.h"
#include "tests/harness/user_guest.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

enum {
    MOST_STEPS = 1000000,
    TURNS = 4, /* of a program: it is let run directly so often */
    USER_SIZE = UG_STACK + PAGE_SIZE - UG_USER,
};
#define RUN_FOR 3000000 /* of the TSC's ticks */

static struct {
    struct options options;
    struct machine *direct, *interp;
    struct bt *bt;
    u64 random, seed;
    u8 kernel[UG_USER]; /* memory below the user's */
    u64 programs, ran, compared, exits[CAGE_EXITS], failed;
    u32 differs;         /* a byte that was another, where all else was the same */
    const u8 *starts[8]; /* of the last instructions made */
    bool verbose;
} fuzz = {.seed = 1};

static u32 below(u32 n)
{
    return xorshift(&fuzz.random) % n;
}

/* ---- Code ---- */

static u8 *put_bytes(u8 *p, const char *s, u32 n)
{
    memcpy(p, s, n);
    return p + n;
}
#define PUT(p, s) put_bytes(p, s, sizeof(s) - 1)

/* ModRM of [DATA + something], or of a register that leads somewhere. */
static u8 *memory(u8 *p, u32 reg)
{
    u32 at = UG_DATA + below(2 * PAGE_SIZE) - 64;

    if (below(4)) {
        *p++ = (u8)(0x05 | reg << 3);
        memcpy(p, &at, 4);
        return p + 4;
    }
    *p++ = (u8)(0x40 | reg << 3 | (below(2) ? 3 : 7)); /* [ebx + disp8], [edi + disp8] */
    *p++ = (u8)below(256);
    return p;
}

/* Jcc to one of the last instructions, or over the next bytes, which are NOPs. */
static u8 *jump(u8 *p)
{
    const u8 *to = fuzz.starts[below(ARRAY_SIZE(fuzz.starts))];

    *p++ = (u8)(0x70 | below(16));
    if (to && below(2) && p - to < 120) {
        *p = (u8)(to - (p + 1));
        return p + 1;
    }
    *p++ = 2;
    return PUT(p, "\x90\x90");
}

/* One instruction, of those that have no undefined flags; jumps are within a few of them. */
static u8 *instruction(u8 *p)
{
    u32 reg = below(8), other = below(8), kind = below(24);
    u32 imm = xorshift(&fuzz.random);

    if (reg == ESP)
        reg = EAX;
    if (other == ESP)
        other = ECX;
    switch (kind) {
    case 0:
    case 1:
    case 2: /* an ALU's, of registers */
        *p++ = (u8)(below(8) << 3 | 1);
        *p++ = (u8)(0xc0 | reg << 3 | other);
        return p;
    case 3:
    case 4:
    case 5: /* and memory, both ways */
        *p++ = (u8)(below(8) << 3 | 1 | below(2) << 1);
        return memory(p, reg);
    case 6:
        *p++ = (u8)(0xb8 | reg);
        memcpy(p, &imm, 4);
        return p + 4;
    case 7:
    case 8:
        *p++ = below(2) ? 0x8b : 0x89;
        return memory(p, reg);
    case 9:
        *p++ = (u8)((below(2) ? 0x40 : 0x48) | reg);
        return p;
    case 10:
    case 11:
    case 12:
        return jump(p);
    case 13:
        *p++ = (u8)(0x50 | reg);
        return p;
    case 14:
        *p++ = (u8)(0x58 | reg);
        return p;
    case 15:
        p = PUT(p, "\x0f\xb6");
        return memory(p, reg);
    case 16: /* lea, and a pointer */
        *p++ = (u8)(0xb8 | (below(2) ? EBX : EDI));
        imm = (below(8) ? UG_DATA : UG_USER) + below(PAGE_SIZE);
        memcpy(p, &imm, 4);
        return p + 4;
    case 17:
        return below(3) ? PUT(p, "\xcd\x80") : PUT(p, "\xcd\x40");
    case 18:
        return below(8) ? PUT(p, "\x9c\x58") : PUT(p, "\x0f\x0b"); /* pushf; pop eax. ud2 */
    case 19:
        return below(4) ? PUT(p, "\xfc") : below(2) ? PUT(p, "\xcc") : PUT(p, "\xf4");
    case 20: /* rep stosb of a few */
        return PUT(p, "\x81\xe1\x3f\0\0\0\xf3\xaa");
    case 21: /* trap flag; QEMU, as the host, checks alignment here and there alone */
        return below(6) ? PUT(p, "\x90") : PUT(p, "\x9c\x81\x0c\x24\0\1\0\0\x9d");
    case 22:
        return PUT(p, "\xe8\0\0\0\0");
    default:
        return PUT(p, "\x0f\x31\x31\xc0\x31\xd2"); /* rdtsc traps; its result is forgotten */
    }
}

static void sow(u8 *code, u32 size)
{
    static const struct {
        u8 n;
        const char *bytes;
    } seeds[] = {
        {7, "\xea\x40\0\x20\0\x33\0"},
        {2, "\x0f\x05"},
        {2, "\x0f\x34"},
        {2, "\xcd\x80"},
        {1, "\xcb"},
        {1, "\xcf"},
        {2, "\x8e\xd8"},
        {2, "\x8e\xe8"},
        {3, "\x48\x0f\x05"},
        {2, "\xff\xe0"},
        {2, "\x0f\xa2"},
        {3, "\x0f\x01\xc8"},
        {5, "\x68\x33\0\0\0"},
        {1, "\xf1"},
        {1, "\xce"},
        {2, "\xeb\xfe"},
        {10, "\x48\xb8\0\0\1\0\0\x7e\0\0"},
    };

    for (u32 i = 0; i < size; i++) {
        code[i] = (u8)xorshift(&fuzz.random);
        if ((code[i] & 0xfe) == 0xf6) /* of whose /1 QEMU, as the host, knows nothing */
            code[i] = 0x90;
    }
    for (u32 i = 0; i < size / 64; i++) {
        u32 s = below(ARRAY_SIZE(seeds));

        memcpy(code + below(size - 16), seeds[s].bytes, seeds[s].n);
    }
    memcpy(code, "\x90\x90\x90\x90", 4);
}

static void make_program(u8 *ram, bool defined)
{
    u8 *code = ram + UG_USER, *end = code + 2 * PAGE_SIZE;

    memset(ram + UG_USER, 0, USER_SIZE);
    if (defined) {
        u8 *p = code + (below(2) ? PAGE_SIZE - 64 : 0);

        memset(code, 0x90, 2 * PAGE_SIZE);
        memset(fuzz.starts, 0, sizeof(fuzz.starts));
        for (u32 i = 0; p < end - 32 && p < code + PAGE_SIZE + 512; i++) {
            fuzz.starts[i % ARRAY_SIZE(fuzz.starts)] = p;
            p = instruction(p);
        }
        PUT(p, "\xcd\x80");
    } else {
        sow(code, 2 * PAGE_SIZE);
    }
    for (u32 i = 0; i < 2 * PAGE_SIZE; i += 4)
        *(u32 *)(ram + UG_DATA + i) =
            below(4) ? UG_DATA + below(2 * PAGE_SIZE) : xorshift(&fuzz.random);
    for (u32 i = 0; i < PAGE_SIZE; i += 4)
        *(u32 *)(ram + UG_STACK + i) = UG_USER + below(2 * PAGE_SIZE);
}

/* ---- The guests ---- */

static void start(struct machine *m, const u8 *user, const struct vcpu *state)
{
    struct vcpu *cpu = m->cpu;

    memcpy(mmu_ram(m->mmu), fuzz.kernel, UG_USER);
    for (u32 page = UG_USER; page < UG_USER + USER_SIZE; page += PAGE_SIZE)
        mmu_phys_write(m->mmu, page, user + page, PAGE_SIZE); /* code there may be known */
    user_guest_enter(cpu, state->eip);
    memcpy(cpu->gpr, state->gpr, sizeof(cpu->gpr));
    cpu->gpr[ESP] = UG_STACK + 0x800;
    cpu->eflags = state->eflags;
    fpu_init(cpu); /* with all exceptions masked: QEMU, as the host, forgets to raise them */
    cpu->deadline = ~0ull;
}

/* Of the kernel's HLTs the interpreter has run the first by then. */
static u32 eip_of(const struct vcpu *cpu)
{
    return cpu->cpl ? cpu->eip : cpu->eip & ~15u;
}

static bool same(const struct vcpu *a, const struct vcpu *b)
{
    return eip_of(a) == eip_of(b) && a->cpl == b->cpl &&
           !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && cpu_eflags(a) == cpu_eflags(b);
}

static void fail(const char *what)
{
    const struct vcpu *a = fuzz.direct->cpu, *b = fuzz.interp->cpu;

    fuzz.failed++;
    printf("seed %llu: %s\n", (unsigned long long)fuzz.seed, what);
    if (fuzz.differs)
        printf("  at %08x: %02x, %02x\n", fuzz.differs, mmu_ram(fuzz.direct->mmu)[fuzz.differs],
               mmu_ram(fuzz.interp->mmu)[fuzz.differs]);
    printf("  directly:    eip %08x cpl %u eflags %06x eax %08x ecx %08x edx %08x ebx %08x esp "
           "%08x esi %08x edi %08x\n",
           a->eip, a->cpl, cpu_eflags(a), a->gpr[EAX], a->gpr[ECX], a->gpr[EDX], a->gpr[EBX],
           a->gpr[ESP], a->gpr[ESI], a->gpr[EDI]);
    printf("  interpreted: eip %08x cpl %u eflags %06x eax %08x ecx %08x edx %08x ebx %08x esp "
           "%08x esi %08x edi %08x\n",
           b->eip, b->cpl, cpu_eflags(b), b->gpr[EAX], b->gpr[ECX], b->gpr[EDX], b->gpr[EBX],
           b->gpr[ESP], b->gpr[ESI], b->gpr[EDI]);
}

static u32 memory_differs(void)
{
    const u8 *a = mmu_ram(fuzz.direct->mmu), *b = mmu_ram(fuzz.interp->mmu);

    if (!memcmp(a + UG_USER, b + UG_USER, USER_SIZE))
        return 0;
    for (u32 at = UG_USER; at < UG_USER + USER_SIZE; at++)
        if (a[at] != b[at])
            return fuzz.differs = at;
    return 0;
}

/* The interpreter, to where the other one is. */
static bool reached(void)
{
    struct vcpu *a = fuzz.direct->cpu, *b = fuzz.interp->cpu;

    fuzz.differs = 0;
    for (u32 i = 0; i < MOST_STEPS; i++) {
        if (same(a, b) && !memory_differs())
            return true;
        if (b->cpl == 0)
            return false;
        cpu_step(b);
    }
    return false;
}

static bool kernel_untouched(void)
{
    const u8 *ram = mmu_ram(fuzz.direct->mmu);
    const u32 stack = 0x11f000; /* exceptions are pushed there; A bits are set in the GDT */

    return !memcmp(ram + 0x103000, fuzz.kernel + 0x103000, stack - 0x103000) &&
           !memcmp(ram, fuzz.kernel, 0x100000);
}

/* As if the code had run before, and its pages had not been written to as often. */
static void known(struct vcpu *cpu, bool defined)
{
    bool fault;

    for (u32 page = UG_USER; page <= UG_USER_2; page += PAGE_SIZE) {
        struct frame *f = &fuzz.bt->cages->frames[page >> PAGE_SHIFT];

        f->writes = 0;
        if (f->state == REFUSED)
            f->state = UNKNOWN;
        if (!defined) { /* as if nothing had been found there */
            *f = (struct frame){.state = RUNS};
            mmu_protect_caged(cpu->mmu, page);
        }
        mmu_host(&cpu->paging, page, MMU_EXEC, &fault);
    }
}

/* Directly, for a few turns; what stopped in the middle goes on translated for a unit. */
static u64 run_directly(bool defined)
{
    struct vcpu *cpu = fuzz.direct->cpu;
    u64 before = fuzz.bt->stats.cage_runs;

    known(cpu, defined);
    for (u32 turn = 0; turn < TURNS && cpu->cpl == 3; turn++) {
        cpu->requests &= REQ_TRAP;
        cpu->deadline = __rdtsc() + RUN_FOR;
        bt_user_map_sample(cpu, 0);
        cpu->mmu->space->user_time += 1ull << 40;
        bt_user_map_sample(cpu, 1);
        cages_run(fuzz.bt);
        cpu->deadline = ~0ull;
        cpu->requests &= ~(u32)REQ_TIMER;
        if (cpu->cpl == 3)
            bt_run_one(cpu);
    }
    return fuzz.bt->stats.cage_runs - before;
}

static void run_seed(void)
{
    static u8 image[UG_USER + USER_SIZE];
    bool defined = fuzz.seed & 1;
    struct vcpu state = {.eip = UG_USER, .eflags = FLAG_1};
    u64 late;

    fuzz.random = fuzz.seed * 0x9e3779b97f4a7c15ull + 1;
    make_program(image, defined);
    for (u32 i = 0; i < 8; i++)
        state.gpr[i] = below(2) ? UG_DATA + below(PAGE_SIZE) : xorshift(&fuzz.random);
    state.gpr[EBX] = UG_DATA + below(PAGE_SIZE);
    state.gpr[EDI] = UG_DATA + below(PAGE_SIZE);
    start(fuzz.direct, image, &state);
    start(fuzz.interp, image, &state);
    fuzz.programs++;
    late = fuzz.bt->stats.cage_exits[EXIT_TIME];
    fuzz.ran += run_directly(defined) != 0;
    if (late != fuzz.bt->stats.cage_exits[EXIT_TIME])
        defined = false; /* a loop: too far for the interpreter */
    if (defined && !reached())
        fail("not where the interpreter comes by");
    fuzz.compared += defined;
    if (!kernel_untouched())
        fail("memory of the kernel has changed");
}

static struct machine *machine(bool direct)
{
    struct machine *m = machine_bare(&fuzz.options);
    struct bt_config config = {.user = USER_DIRECT};
    const char *why;

    m->clock_manual = true;
    cpu_reset(m->cpu);
    if (direct)
        fuzz.bt = bt_new(m->cpu, &config, &why);
    user_guest_begin(m->cpu);
    if (direct)
        mmu_user_maps_at_any_price(m->mmu, 0);
    return m;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seconds", 1, NULL, 's'},
                                            {"seed", 1, NULL, 'S'},
                                            {"count", 1, NULL, 'c'},
                                            {"defined", 0, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    u64 count = ~0ull, step = 1;
    time_t end = 0;
    const char *why;
    int c;

    while ((c = getopt_long(argc, argv, "v", options, NULL)) > 0)
        switch (c) {
        case 's':
            end = time(NULL) + atoi(optarg);
            break;
        case 'S':
            fuzz.seed = strtoull(optarg, NULL, 0);
            break;
        case 'c':
            count = strtoull(optarg, NULL, 0);
            break;
        case 'd':
            step = 2;
            break;
        case 'v':
            fuzz.verbose = true;
            break;
        default:
            return 1;
        }
    if (!cage_process_probe(&why)) {
        printf("skipped: %s\n0 passed, 0 failed\n", why);
        return 0;
    }
    fuzz.seed |= step == 2;
    fuzz.options.ram = MIB(16);
    fuzz.direct = machine(true);
    fuzz.interp = machine(false);
    memcpy(fuzz.kernel, mmu_ram(fuzz.direct->mmu), UG_USER);
    for (; count-- && (!end || time(NULL) < end); fuzz.seed += step) {
        if (fuzz.verbose)
            printf("seed %llu\n", (unsigned long long)fuzz.seed), fflush(stdout);
        run_seed();
    }
    for (u32 i = 0; i < CAGE_EXITS; i++)
        printf("%s: %llu\n", cage_exit_name(i),
               (unsigned long long)fuzz.bt->stats.cage_exits[i]);
    printf("%llu programs, %llu ran directly, %llu compared\n",
           (unsigned long long)fuzz.programs, (unsigned long long)fuzz.ran,
           (unsigned long long)fuzz.compared);
    printf("%llu passed, %llu failed\n", (unsigned long long)(fuzz.programs - fuzz.failed),
           (unsigned long long)fuzz.failed);
    return fuzz.failed != 0;
}
