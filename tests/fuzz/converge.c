/*
 * Convergence: no site may cost more than a fixed number of host signals and translations per
 * hundred thousand executions, whatever the guest does.
 *
 *   converge [--seconds N] [--seed S] [--count N] [--turns N] [--host-model auto|plain]
 *            [--known] [-v]
 *
 * A seed makes a program of 4 to 12 slots, of one to three sites each, which a loop runs 20,000
 * times while schedules (each turn, every third, every 257th, at random, in phases) change what
 * the sites meet: their operands' alignment, page crossings, devices, ROM, code pages, page
 * tables, pages that come and go, what no direct map has; their own bytes; the address space,
 * CPL, CS, GS, DF, AC, TS. The interpreter runs it step by step, which also counts executions
 * and the guest's exceptions at each address; then the translator, by each host model. All
 * state must be the same at the end.
 *
 * The bound, for each physical address at which an instruction or a TU starts:
 *
 *   translations + host signals that are no exceptions of the guest's
 *       <= START + RATE for each 100,000 executions, times the contexts it was translated in
 *
 * RATE follows from bt/adapt.c. What is known of an operand is forgotten after 1024 good
 * executions, once its trial has that length: a translation; to learn it again costs a signal
 * or two and another translation: 4 in 1025, or 390 in 100,000. That an instruction is patched
 * is forgotten after 4096: a translation, another when it is patched again, and eight of its
 * variants: 10 in 4097, or 244. A TU's head pays for all sites of its slot: three times 390 + 244
 * are about 1900. Each context has TUs of its own, which what is learnt and forgotten drops alike, though a site's
 * trial counts its executions in all of them. START is for what is learnt once, and while
 * trials are shorter.
 *
 * --known adds what is known not to converge:
 *   - x87 and MMX instructions while IGNNE# lets the guest ignore an unmasked error: a signal
 *     each.
 */
#include "tests/fuzz/converge.h"
#include "bt/tu.h"
#include "cpu/interp.h"
#include "runtime/parts.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { START = 100, RATE = 1900, WORST = 10, PATIENCE = 120, MAX_TURN = 1000 };

/* What one physical address has cost, and how often it ran. */
struct cost {
    u32 runs, faults, signals, translations;
    u64 contexts; /* in which it was translated, a bit each */
};
static struct cost costs[CV_RAM];

struct worst {
    u64 seed;
    u32 at;
    struct insn insn;
    struct cost cost;
    double part; /* of the bound */
};

static struct {
    struct options options; /* with the host model of the run */
    struct cv_program program;
    u64 seed, count, passed, failed, endless;
    u32 seconds, worst_count;
    bool models[2]; /* native and plain: which are run */
    bool verbose;
    struct worst worst[WORST];
} fuzz = {.program.turns = 20000, .seed = 1, .count = ~0ull, .models = {true, true}};

/* ---- What the translator counts (the linker wraps these: CMakeLists.txt) ---- */

void __real_site_count_signal(struct bt *bt, gpa_t gpa);
void __real_site_count_translation(struct bt *bt, gpa_t gpa);
void __wrap_site_count_signal(struct bt *bt, gpa_t gpa);
void __wrap_site_count_translation(struct bt *bt, gpa_t gpa);

void __wrap_site_count_signal(struct bt *bt, gpa_t gpa)
{
    if (gpa < CV_RAM)
        costs[gpa].signals++;
    __real_site_count_signal(bt, gpa);
}

void __wrap_site_count_translation(struct bt *bt, gpa_t gpa)
{
    if (gpa < CV_RAM) {
        costs[gpa].translations++;
        costs[gpa].contexts |= 1ull << bt->tus[bt->tu_count - 1].context % 64;
    }
    __real_site_count_translation(bt, gpa);
}

static void forget_costs(void)
{
    for (u32 at = 0; at < CV_RAM; at++)
        costs[at] = (struct cost){costs[at].runs, costs[at].faults};
}

/* ---- The two runs ---- */

static bool ended(const struct machine *m)
{
    return m->events || m->cpu->requests & REQ_HALT;
}

/* The physical address of the instruction at EIP; of code only the page of sites moves. */
static u32 code_address(const struct vcpu *c)
{
    u32 at = c->seg[CS].base + c->eip, e;

    if (c->cr0 & CR0_PG && at >> 12 == CV_SITES >> 12) {
        memcpy(&e, mmu_ram(c->mmu) + c->cr3 + PAGE_SIZE + (CV_SITES >> 12) * 4, 4);
        at = (e & ~PAGE_MASK) | (at & PAGE_MASK);
    }
    return at % CV_RAM;
}

/* False: the program does not end, which is none of the translator's. */
static bool run_interpreter(struct machine *m)
{
    u64 steps = MAX_TURN * (u64)fuzz.program.turns, exceptions;
    struct vcpu *c = m->cpu;
    struct cost *k;

    for (; steps && !ended(m); steps--) {
        k = &costs[code_address(c)];
        exceptions = c->stats.exceptions;
        cpu_step(c);
        k->runs++;
        k->faults += c->stats.exceptions != exceptions;
    }
    return steps;
}

static void run_translator(struct machine *m)
{
    const char *why;

    check(bt_new(m->cpu, &(struct bt_config){0}, &why), "no translator: %s", why);
    alarm(PATIENCE);
    while (!ended(m))
        bt_run(m->cpu);
    alarm(0);
}

/* NULL, or what differs. RF may fall at IRET (bt/memo.S). */
static const char *difference(const struct machine *m, const struct machine *n)
{
    const struct vcpu *a = m->cpu, *b = n->cpu;

    if (m->events || n->events)
        return m->events != n->events ? "why it ends" : NULL;
    if (a->eip != b->eip || memcmp(a->gpr, b->gpr, sizeof(a->gpr)))
        return "a register differs";
    if ((cpu_eflags(a) ^ cpu_eflags(b)) & ~(u32)FLAG_RF)
        return "EFLAGS differs";
    if (memcmp(a->seg, b->seg, sizeof(a->seg)) || a->cr0 != b->cr0 || a->cr2 != b->cr2 ||
        a->cr3 != b->cr3 || a->cr4 != b->cr4)
        return "a segment or control register differs";
    if (memcmp(a->fpu.st, b->fpu.st, sizeof(a->fpu.st)) || a->fpu.fsw != b->fpu.fsw ||
        memcmp(a->fpu.xmm, b->fpu.xmm, 8 * 16) || a->fpu.mxcsr != b->fpu.mxcsr)
        return "the FPU differs";
    return memcmp(mmu_ram(m->mmu), mmu_ram(n->mmu), CV_RAM) ? "memory differs" : NULL;
}

/* ---- The bound ---- */

static u32 price(const struct cost *c)
{
    return c->translations + (c->signals > c->faults ? c->signals - c->faults : 0);
}

static u32 contexts(const struct cost *c)
{
    return c->contexts ? (u32)__builtin_popcountll(c->contexts) : 1;
}

static u32 bound(const struct cost *c)
{
    return START + (u32)((u64)c->runs * RATE * contexts(c) / 100000);
}

static void print_cost(const struct worst *w)
{
    const struct cost *c = &w->cost;

    printf("    %3.0f %% of the bound: seed %llu, %s at %05x: %u signals, %u translations, "
           "%u contexts, %u executions, %u exceptions\n",
           100 * w->part, (unsigned long long)w->seed, insn_name(w->insn.mnem), w->at,
           c->signals, c->translations, contexts(c), c->runs, c->faults);
}

/* Once for both host models, if they agree. */
static bool noted(const struct worst *w)
{
    for (u32 i = 0; i < fuzz.worst_count; i++)
        if (fuzz.worst[i].seed == w->seed && fuzz.worst[i].at == w->at &&
            fuzz.worst[i].part == w->part)
            return true;
    return false;
}

static void note_worst(const struct worst *w)
{
    u32 at = fuzz.worst_count;

    if (noted(w))
        return;
    while (at && fuzz.worst[at - 1].part < w->part)
        at--;
    if (at == WORST)
        return;
    fuzz.worst_count += fuzz.worst_count < WORST;
    memmove(fuzz.worst + at + 1, fuzz.worst + at,
            (fuzz.worst_count - 1 - at) * sizeof(*fuzz.worst));
    fuzz.worst[at] = *w;
}

static void fail(const char *why)
{
    static const char *const modes[CV_MODES] = {"flat", "paged", "user", "real", "prot16"};

    printf("FAIL seed %llu: %s (%s)\n", (unsigned long long)fuzz.seed, why,
           modes[fuzz.program.mode]);
    printf("    converge --seed %llu --count 1 --turns %u --host-model %s%s\n",
           (unsigned long long)fuzz.seed, fuzz.program.turns,
           fuzz.options.plain_host ? "plain" : "auto", fuzz.program.known ? " --known" : "");
}

static bool look_at_costs(void)
{
    bool good = true;

    for (u32 at = 0; at < CV_RAM; at++) {
        const struct cost *c = &costs[at];
        struct worst w = {fuzz.seed, at, {0}, *c, (double)price(c) / bound(c)};

        if (!price(c))
            continue;
        insn_decode(fuzz.program.image + at, 15, cv_code32(&fuzz.program), &w.insn);
        note_worst(&w);
        if (w.part > 1 && good)
            fail("a site does not converge");
        if (w.part > 1 || (fuzz.verbose && price(c) > 4))
            print_cost(&w);
        good &= w.part <= 1;
    }
    return good;
}

/* ---- Seeds ---- */

static struct machine *new_machine(bool plain)
{
    struct machine *m;

    fuzz.options.plain_host = plain;
    m = cv_machine(&fuzz.options);
    cv_start(m, &fuzz.program);
    return m;
}

/* The first byte that differs, if any. */
static void print_memory(const struct machine *interp, const struct machine *m)
{
    const u8 *a = mmu_ram(interp->mmu), *b = mmu_ram(m->mmu);

    for (u32 at = 0; at < CV_RAM; at++)
        if (a[at] != b[at]) {
            printf("    %05x: interpreter %02x, translator %02x\n", at, a[at], b[at]);
            return;
        }
}

static bool run_model(const struct machine *interp, bool plain)
{
    struct machine *m = new_machine(plain);
    const char *what;
    bool good;

    forget_costs();
    run_translator(m);
    what = difference(interp, m);
    if (what) {
        fail(what);
        print_memory(interp, m);
    }
    good = look_at_costs() && !what;
    if (fuzz.verbose)
        bt_stats_print(m->cpu, stdout);
    machine_free(m);
    return good;
}

static void run_seed(void)
{
    struct machine *interp;

    cv_make(&fuzz.program, fuzz.seed);
    memset(costs, 0, sizeof(costs));
    interp = new_machine(false);
    if (!run_interpreter(interp)) {
        fuzz.endless++;
    } else {
        for (u32 plain = 0; plain < 2; plain++)
            if (fuzz.models[plain])
                run_model(interp, plain) ? fuzz.passed++ : fuzz.failed++;
    }
    machine_free(interp);
}

/* With the translator, but not with the interpreter. */
static void on_alarm(int sig)
{
    fail("does not end");
    printf("0 passed, 1 failed\n");
    fflush(stdout);
    _exit(1);
}

static u64 seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec;
}

static bool parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"seconds", 1, NULL, 's'},
        {"seed", 1, NULL, 'S'},
        {"count", 1, NULL, 'n'},
        {"host-model", 1, NULL, 'h'},
        {"known", 0, NULL, 'k'},
        {"turns", 1, NULL, 't'},
        {0},
    };
    int o;

    while ((o = getopt_long(argc, argv, "v", longs, NULL)) != -1) {
        switch (o) {
        case 's':
            fuzz.seconds = (u32)atoi(optarg);
            break;
        case 'S':
            fuzz.seed = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            fuzz.count = strtoull(optarg, NULL, 0);
            break;
        case 't':
            fuzz.program.turns = (u32)strtoul(optarg, NULL, 0);
            break;
        case 'h':
            fuzz.models[strcmp(optarg, "plain") ? 1 : 0] = false;
            break;
        case 'k':
            fuzz.program.known = true;
            break;
        case 'v':
            fuzz.verbose = true;
            break;
        default:
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    u64 start = seconds();

    if (!parse(argc, argv))
        die("converge [--seconds N] [--seed S] [--count N] [--turns N] "
            "[--host-model auto|plain] [--known] [-v]");
    fuzz.options.ram = CV_RAM;
    signal(SIGALRM, on_alarm);
    for (; fuzz.count && (!fuzz.seconds || seconds() - start < fuzz.seconds); fuzz.count--) {
        run_seed();
        fuzz.seed++;
    }
    printf("The sites that cost most:\n");
    for (u32 i = 0; i < fuzz.worst_count; i++)
        print_cost(&fuzz.worst[i]);
    printf("%llu programs did not end\n", (unsigned long long)fuzz.endless);
    printf("%llu passed, %llu failed\n", (unsigned long long)fuzz.passed,
           (unsigned long long)fuzz.failed);
    return fuzz.failed != 0;
}
