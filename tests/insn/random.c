/*
 * Random instructions on the host's CPU and on ours: registers, flags, memory, the exception with
 * its error code and address must agree, the flags the manual leaves undefined included. Where the
 * host runs no 32-bit programs, it judges those that mean the same in 64-bit mode (judged.c).
 *
 *      insn-random [--cases N] [--seed N] [--show N] [--verbose] and the engine's options (bare.h)
 */
#include "cpu/interp.h"
#include "devices/device.h"
#include "tests/insn/bare.h"
#include "tests/insn/generate.h"
#include "tests/insn/host.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct trial {
    struct bare *b;
    struct case_page *page;
    struct insn insns[CASE_BATCH];
    int ask, answer; /* pipes to and from the oracle */
    pid_t oracle;
    struct case_host host;
    struct bare_engine engine;
    u64 cases, differ, shown; /* shown: how many differences at most */
    u32 tried[INSN_MNEMONICS];
};

/* ---- The oracle's process ---- */

static int shared_page(struct trial *t)
{
    int fd = memfd_create("insn-cases", 0);

    if (fd < 0 || ftruncate(fd, sizeof(struct case_page)) < 0)
        die("no shared memory for the oracle");
    t->page = mmap(NULL, sizeof(struct case_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (t->page == MAP_FAILED)
        die("no shared memory for the oracle");
    return fd;
}

static void start_oracle(struct trial *t, const char *path)
{
    int fd = shared_page(t), to[2], from[2];

    if (pipe(to) < 0 || pipe(from) < 0)
        die("no pipes for the oracle");
    t->oracle = fork();
    if (t->oracle == 0) {
        dup2(fd, 10);
        dup2(to[0], 11);
        dup2(from[1], 12);
        dup2(10, 3), dup2(11, 0), dup2(12, 1);
        for (int i = 4; i < 16; i++)
            close(i);
        execl(path, path, t->host.ldt ? "ldt" : NULL, (char *)NULL);
        _exit(127);
    }
    close(to[0]), close(from[1]), close(fd);
    t->ask = to[1];
    t->answer = from[0];
}

/* Of the two that are built, the one this host can run; both are beside this program. */
static void choose_oracle(struct trial *t, const char *self, char *path, size_t size)
{
    const char *slash = strrchr(self, '/');
    int folder = slash ? (int)(slash + 1 - self) : 0;

    snprintf(path, size, "%.*sinsn-oracle", folder, self);
    t->host.code32 = host_runs_32(path);
    t->host.ldt = t->host.code32 && host_has_ldt();
    t->host.amd = host_is_amd();
    if (!t->host.code32)
        snprintf(path, size, "%.*sinsn-oracle64", folder, self);
}

/* ---- Ours ---- */

static void run_ours(struct trial *t, const struct insn_case *c, struct case_state *after)
{
    struct bare *b = t->b;
    static const u8 int3[15] = { [0 ... 14] = 0xcc };
    struct bare_event e;

    memset(after, 0, sizeof(*after));
    memcpy(b->ram + CASE_DATA, t->page->data, CASE_PAGES);
    memcpy(b->ram + CASE_DATA + c->poke_at, c->poke, sizeof(c->poke));
    phys_write(b->m, c->code_at, c->code, c->len); /* tells the translator */
    memcpy(b->cpu->gpr, c->before.gpr, sizeof(b->cpu->gpr));
    bare_enter_segments(b, c->before.selector, c->before.eip, c->before.eflags);
    if (!bare_run(b, t->engine.engine, 100000, &e)) {
        after->trap = 0xdead;
        return;
    }
    memcpy(after->gpr, b->cpu->gpr, sizeof(after->gpr));
    phys_write(b->m, c->code_at, int3, c->len);
    for (u32 i = 0; i < 5; i++)
        after->selector[i] = b->cpu->seg[i].selector;
    after->selector[CS] = e.selector[CS];
    after->selector[SS] = e.selector[SS];
    after->gpr[ESP] = e.esp;
    after->eip = e.eip;
    after->eflags = e.eflags;
    after->trap = e.vector;
    after->error = e.error;
    after->cr2 = b->cpu->cr2;
}

/* ---- Judging ---- */

static void normalize(struct case_state *s)
{
    s->eflags |= FLAG_IF;
    s->selector[GS] = 0;
    for (u32 i = 0; i < 6; i++)
        if (!(s->selector[i] & ~3)) /* a switch of tasks on the host forgets the RPL of null */
            s->selector[i] = 0;
    if (!case_segment_big(s->selector[SS])) /* IRET to a 16-bit stack spoils the rest of ESP */
        s->gpr[ESP] &= 0xffff;
    if (s->trap != EXC_PF)
        s->cr2 = 0;
    else
        s->error &= ~(u32)PF_I; /* reported only where NX is on */
}

static u32 first_difference(const u8 *a, const u8 *b)
{
    u32 i = 0;

    while (i < CASE_PAGES && a[i] == b[i])
        i++;
    return i;
}

static void print_state(const char *who, const struct case_state *s)
{
    printf("  %-6s eax %08x ecx %08x edx %08x ebx %08x esp %08x ebp %08x esi %08x edi %08x\n"
           "         eip %08x eflags %08x trap %x error %x cr2 %08x"
           " es %x cs %x ss %x ds %x fs %x\n",
           who, s->gpr[0], s->gpr[1], s->gpr[2], s->gpr[3], s->gpr[4], s->gpr[5], s->gpr[6],
           s->gpr[7], s->eip, s->eflags, s->trap, s->error, s->cr2, s->selector[ES],
           s->selector[CS], s->selector[SS], s->selector[DS], s->selector[FS]);
}

static void print_case(const struct insn_case *c, const struct case_state *ours, const u8 *data)
{
    ZydisDisassembledInstruction text;
    u32 at;

    ZydisDisassembleIntel(case_segment_big(c->before.selector[CS]) ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                                   : ZYDIS_MACHINE_MODE_LEGACY_16,
                          c->before.eip, c->code, c->len, &text);
    printf("%s   [", text.text);
    for (u32 i = 0; i < c->len; i++)
        printf(" %02x", c->code[i]);
    printf(" ]  poke %x = %08x %08x %08x\n", CASE_DATA + c->poke_at, c->poke[0], c->poke[1],
           c->poke[2]);
    print_state("before", &c->before);
    if (!ours)
        return;
    print_state("host", &c->after);
    print_state("ours", ours);
    at = first_difference(c->data, data);
    if (at < CASE_PAGES)
        printf("  memory at %x: host %02x, ours %02x\n", CASE_DATA + at, c->data[at], data[at]);
}

/* The oracle is no more: which case has killed it? */
static _Noreturn void oracle_died(struct trial *t)
{
    int status = 0;

    waitpid(t->oracle, &status, 0);
    if (WIFEXITED(status))
        die("the oracle does not work: status %d", WEXITSTATUS(status));
    if (t->page->current)
        print_case(&t->page->cases[t->page->current - 1], NULL, NULL);
    die("the oracle was killed by signal %d", WTERMSIG(status));
}

static void ask_oracle(struct trial *t)
{
    char byte = 'c';

    if (write(t->ask, &byte, 1) != 1 || read(t->answer, &byte, 1) != 1)
        oracle_died(t);
}

/*
 * Differences that are the host's freedom. When one of its interrupts comes before an instruction
 * beyond CS's limit, the IRET back faults, and Linux shows it as the program's #GP, without RF. And
 * instructions that fault half-way and restart: POPA has loaded some registers on some CPUs, CALL
 * far has written the first of its words below ESP. Ours does all or nothing.
 */
static void tolerate(const struct insn *in, struct insn_case *c, const u8 *ours)
{
    u32 words = stack_linear(c) - CASE_DATA - 8;

    if (c->after.trap == EXC_GP)
        c->after.eflags |= FLAG_RF;
    if (c->after.trap == EXC_BP || c->after.eip != c->before.eip)
        return;
    if (in->mnem == ZYDIS_MNEMONIC_POPA || in->mnem == ZYDIS_MNEMONIC_POPAD)
        memcpy(c->after.gpr, c->before.gpr, sizeof(c->after.gpr));
    for (u32 i = 0; in->mnem == ZYDIS_MNEMONIC_CALL && i < 8; i++)
        if (words + i < CASE_PAGES)
            c->data[words + i] = ours[words + i];
}

static bool bad_access(u32 trap)
{
    return trap == EXC_PF || trap == EXC_AC;
}

/*
 * AMD's freedom, where ours does as Intel's: which operand of CMPS is looked at first; what EFLAGS
 * shows between two iterations of a REP; that UD0 and UD1 end before their ModRM.
 */
static void tolerate_amd(const struct insn *in, struct insn_case *c, const struct case_state *ours)
{
    struct case_state *host = &c->after;
    bool stopped = host->eip == c->before.eip, cmps = in->map == 0 && (in->opcode & ~1) == 0xa6;

    if (cpu_ops[in->mnem].attr & OP_STRING && stopped && host->gpr[ECX] != c->before.gpr[ECX])
        host->eflags = (host->eflags & ~FLAGS_ARITH) | (ours->eflags & FLAGS_ARITH) | FLAG_RF;
    if (cmps && stopped && bad_access(host->trap) && bad_access(ours->trap)) {
        host->trap = ours->trap;
        host->error = ours->error;
        host->cr2 = ours->cr2;
    }
    if ((in->mnem == ZYDIS_MNEMONIC_UD0 || in->mnem == ZYDIS_MNEMONIC_UD1) && c->len < in->len)
        *host = *ours;
}

static void judge(struct trial *t, const struct insn *in, struct insn_case *c)
{
    struct case_state ours;

    run_ours(t, c, &ours);
    tolerate(in, c, t->b->ram + CASE_DATA);
    if (t->host.amd)
        tolerate_amd(in, c, &ours);
    normalize(&ours);
    normalize(&c->after);
    if (!memcmp(&ours, &c->after, sizeof(ours)) &&
        !memcmp(c->data, t->b->ram + CASE_DATA, CASE_PAGES))
        return;
    if (t->differ++ < t->shown) {
        printf("FAIL ");
        print_case(c, &ours, t->b->ram + CASE_DATA);
    }
}

/* Random bytes with stretches of zeroes between them, for what repeats while equal. */
static void fill_data(struct dice *d, u8 *data)
{
    bool zero = false;

    for (u32 i = 0; i < CASE_PAGES; i += 4) {
        u32 val = dice_next(d);

        if (dice_roll(d, 32) == 0)
            zero = !zero && dice_roll(d, 2);
        if (zero)
            val = 0;
        memcpy(data + i, &val, 4);
    }
}

static void run_batch(struct trial *t, struct dice *d, u32 count)
{
    struct case_page *p = t->page;

    fill_data(d, p->data);
    for (u32 i = 0; i < count;)
        i += generate(d, &t->host, p->data, &p->cases[i], &t->insns[i]);
    p->count = count;
    ask_oracle(t);
    for (u32 i = 0; i < count; i++) {
        judge(t, &t->insns[i], &p->cases[i]);
        t->tried[t->insns[i].mnem]++;
    }
    t->cases += count;
}

static u32 mnemonics_tried(const struct trial *t, bool verbose)
{
    u32 n = 0;

    for (u32 i = 0; i < INSN_MNEMONICS; i++)
        if (t->tried[i]) {
            n++;
            if (verbose)
                printf("%8u %s\n", t->tried[i], insn_name(i));
        }
    return n;
}

/* What no case was about, by name. */
static u32 skipped(const struct trial *t)
{
    static const char *const left_out[] = { "segments", "stack-and-calls", "16-bit-addresses",
                                            "opcodes-without-64-bit-form" };
    u32 n = t->host.code32 ? !t->host.ldt : ARRAY_SIZE(left_out);

    for (u32 i = 0; i < n; i++)
        printf("SKIP insn-random-%s: %s\n", left_out[i],
               t->host.code32 ? "this host has no local descriptor tables" : HOST_NO_32);
    return n;
}

static int report(const struct trial *t, u64 seed, bool verbose)
{
    u32 left_out = skipped(t);

    printf("%u mnemonics, seed %llu\n", mnemonics_tried(t, verbose), (unsigned long long)seed);
    printf("%llu passed, %llu failed", (unsigned long long)(t->cases - t->differ),
           (unsigned long long)t->differ);
    if (left_out)
        printf(", %u skipped", left_out);
    printf("\n");
    return t->differ != 0;
}

static void usage(void)
{
    die("insn-random [--cases N] [--seed N] [--show N] [--verbose] " BARE_ENGINE_OPTIONS);
}

int main(int argc, char **argv)
{
    static struct trial t;
    u64 cases = 100000, seed = 1;
    bool verbose = false;
    char oracle[4096];
    int status;

    t.shown = 20;
    t.engine.engine = &interp_engine;
    signal(SIGPIPE, SIG_IGN);

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--verbose"))
            verbose = true;
        else if (i + 1 == argc)
            usage();
        else if (!strcmp(argv[i], "--cases"))
            cases = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--show"))
            t.shown = strtoull(argv[++i], NULL, 0);
        else if (!bare_engine_option(&t.engine, argv[i], argv[i + 1]))
            usage();
        else
            i++;
    }
    choose_oracle(&t, argv[0], oracle, sizeof(oracle));
    t.b = bare_new(MIB(4));
    bare_map(t.b, CASE_CODE, CASE_PAGES);
    bare_map(t.b, CASE_DATA, CASE_PAGES);
    memset(t.b->ram + CASE_CODE, 0xcc, CASE_PAGES);
    bare_use(t.b, &t.engine);
    start_oracle(&t, oracle);
    struct dice d = { seed * 0x9e3779b97f4a7c15ull | 1 };
    while (t.cases < cases)
        run_batch(&t, &d, cases - t.cases < CASE_BATCH ? (u32)(cases - t.cases) : CASE_BATCH);
    status = report(&t, seed, verbose);
    bare_free(t.b);
    return status;
}
