/*
 * Random instructions, interpreter against translator: two bare machines start in the same random
 * state; the translator runs a TU, the interpreter steps until it agrees. At most 13 steps may be
 * needed; registers, flags, segments and memory are compared.
 *
 *   lockstep [--insns N] [--seed S] [--mode real|prot16|prot32|v86|paged] [--max-insns K]
 *            [--form F] [--cache BYTES] [--chain] [-v]
 *
 * A difference prints the seed, the instructions and both states, and ends with exit status 1.
 */
#include "bt/bt.h"
#include "runtime/machine.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { RAM = 0x104000, CODE = 0x10000, CODE_SIZE = 0x8000, ROUND = 1000, TABLES = 0x100000,
       GDT = 0x1000 };
enum mode { REAL, PROT16, PROT32, V86, PAGED, MODES };
static const char *const mode_names[] = { "real", "prot16", "prot32", "v86", "paged" };

static u64 rng;

static u32 rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (u32)(rng >> 16);
}

static u32 pick(u32 n)
{
    return rnd() % n;
}

/* ---- Random code ---- */

/* One-byte opcodes worth running often; the rest comes by chance. */
static const u8 common[] = {
    0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x10, 0x11, 0x13, 0x19, 0x1b, 0x21, 0x23, 0x29,
    0x2b, 0x31, 0x33, 0x38, 0x39, 0x3b, 0x3c, 0x3d, 0x40, 0x44, 0x48, 0x50, 0x54, 0x57, 0x58,
    0x5c, 0x5f, 0x68, 0x6a, 0x69, 0x6b, 0x70, 0x72, 0x74, 0x75, 0x7c, 0x80, 0x81, 0x83, 0x84,
    0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0x8f, 0x90, 0x93, 0x98, 0x99, 0x9c, 0x9d,
    0x9e, 0x9f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xb0,
    0xb4, 0xb8, 0xbc, 0xc0, 0xc1, 0xc2, 0xc3, 0xc6, 0xc7, 0xc8, 0xc9, 0xd0, 0xd1, 0xd2, 0xd3,
    0xe0, 0xe2, 0xe3, 0xe8, 0xe9, 0xeb, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfc, 0xfe, 0xff,
};
static const u8 extended[] = {
    0x40, 0x44, 0x4f, 0x80, 0x84, 0x90, 0x95, 0xa3, 0xa4, 0xa5, 0xab, 0xac, 0xad, 0xaf, 0xb0,
    0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0xc0, 0xc1, 0xc8, 0xcc, 0x1f,
    0x0b, 0xa0, 0xa1, 0x02, 0x03, 0x00,
};

static u32 random_insn(u8 *p)
{
    u32 n = 0, kind = pick(20);

    if (!pick(8))
        p[n++] = 0x66;
    if (!pick(12))
        p[n++] = 0x67;
    if (!pick(12))
        p[n++] = (const u8[]){ 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3 }[pick(9)];
    if (kind < 15) {
        p[n++] = common[pick(sizeof(common))];
    } else if (kind < 19) {
        p[n++] = 0x0f;
        p[n++] = extended[pick(sizeof(extended))];
    } else {
        p[n++] = (u8)rnd();
    }
    for (u32 i = 0; i < 6; i++) /* small displacements keep the state near its memory */
        p[n + i] = (u8)(i == 2 || i == 3 || pick(2) ? rnd() : pick(3) ? 0 : 0xff);
    p[n] = (u8)rnd();
    return n + 1 + pick(3) * pick(3);
}

static void random_code(u8 *ram)
{
    for (u32 at = CODE; at < CODE + CODE_SIZE - 16;)
        at += random_insn(ram + at);
}

/* ---- Random state ---- */

static void flat(struct segment *s, u16 selector, u32 base, u32 limit, u16 attr)
{
    *s = (struct segment){ base, limit, selector, attr };
}

static u32 random_register(void)
{
    switch (pick(6)) {
    case 0:
        return rnd();
    case 1:
        return pick(3) - 1;
    case 2:
        return 0x20000 + pick(0x8000);
    case 3:
        return 0x20000 + pick(0x2000) * 4;
    case 4:
        return pick(0x10000);
    default:
        return CODE + pick(CODE_SIZE);
    }
}

/* 4 KiB pages, the first MiB mapped in an odd order, some not writable, not user, or absent. */
static void make_tables(u8 *ram)
{
    u32 *directory = (u32 *)(ram + TABLES), *table = (u32 *)(ram + TABLES + 0x1000);

    memset(directory, 0, 0x2000);
    directory[0] = (TABLES + 0x1000) | 7;
    for (u32 i = 0; i < 512; i++) {
        u32 to = i < 16 || i >= 256 ? i : (i & ~3u) | (3 - (i & 3));

        table[i] = to << 12 | (i >= 16 && i < 256 && !pick(6) ? pick(8) : 7);
    }
    for (u32 i = CODE >> 12; i < (CODE + CODE_SIZE) >> 12; i++)
        table[i] = i << 12 | (pick(8) ? 7 : 5);
}

static void set_segments(struct vcpu *c, enum mode mode)
{
    u16 code = mode == PROT16 ? 0x9b : 0xc09b, data = mode == PROT16 ? 0x93 : 0xc093;

    for (u32 s = ES; s <= GS; s++) {
        if (mode == REAL || mode == V86)
            flat(&c->seg[s], (u16)((0x10000 + pick(2) * 0x10000) >> 4), 0, 0xffff,
                 mode == V86 ? 0xf3 : 0x93);
        else if (mode == PROT16)
            flat(&c->seg[s], 0x10, pick(2) ? 0x20000 : 0x18004,
                 pick(3) ? 0xffff : 0x3000 + pick(0x5000), data);
        else
            flat(&c->seg[s], 0x10, s >= FS && pick(2) ? 0x21000 : 0, ~0u, data);
        if (mode == REAL || mode == V86)
            c->seg[s].base = (u32)c->seg[s].selector << 4;
    }
    if (mode == REAL || mode == V86)
        flat(&c->seg[CS], CODE >> 4, CODE, 0xffff, mode == V86 ? 0xf3 : 0x93);
    else
        flat(&c->seg[CS], 0x08, mode == PROT16 ? CODE : 0, mode == PROT16 ? 0xffff : ~0u, code);
}

static void random_state(struct vcpu *c, enum mode mode)
{
    cpu_reset(c);
    for (u32 i = 0; i < 8; i++)
        c->gpr[i] = random_register();
    c->gpr[ESP] = (mode == PROT32 || mode == PAGED ? 0x24000 : 0x4000) + pick(0x1000) * (pick(4) ? 4 : 1);
    c->eflags = FLAG_1 | (rnd() & FLAGS_ARITH) | (pick(6) ? 0 : FLAG_DF);
    if (mode != REAL)
        c->cr0 |= CR0_PE;
    if (mode == V86)
        c->eflags |= FLAG_VM | FLAG_IOPL;
    if (mode == PAGED) {
        c->cr3 = TABLES;
        c->cr0 |= CR0_PG | (pick(2) ? CR0_WP : 0);
    }
    set_segments(c, mode);
    c->cpl = mode == V86 ? 3 : 0;
    c->eip = (mode == PROT32 || mode == PAGED ? CODE : 0) + pick(CODE_SIZE / 2);
    mmu_mode_changed(c, false);
    mmu_cpl_changed(c);
}

/* What both machines share at the start: the second gets the first one's random choices. */
static void copy_state(struct machine *to, const struct machine *from)
{
    struct vcpu *c = to->cpu, *f = from->cpu;

    memcpy(c->gpr, f->gpr, sizeof(c->gpr));
    memcpy(c->seg, f->seg, sizeof(c->seg));
    c->eip = f->eip;
    c->eflags = f->eflags;
    c->int_flag = f->int_flag;
    c->cr0 = f->cr0;
    c->cr2 = f->cr2;
    c->cr3 = f->cr3;
    c->cr4 = f->cr4;
    c->cpl = f->cpl;
    c->gdtr = f->gdtr;
    c->idtr = f->idtr;
    c->attention = f->attention;
    c->nmi_blocked = f->nmi_blocked;
    memcpy(&c->fpu, &f->fpu, sizeof(c->fpu));
    mmu_mode_changed(c, false);
    mmu_cpl_changed(c);
}

static void descriptor(u8 *at, u32 base, u32 limit, u32 attr)
{
    u32 d[2] = { base << 16 | (limit & 0xffff),
                 (base & 0xff000000) | (base >> 16 & 0xff) | attr << 8 | (limit & 0xf0000) };

    memcpy(at, d, 8);
}

/* Null, code, data, a conforming and a ring 3 segment, an expand-down one, one absent. */
static void make_gdt(u8 *ram, enum mode mode)
{
    u32 size = mode == PROT16 ? 0 : 0xc000, limit = mode == PROT16 ? 0xffff : 0xfffff;

    memset(ram + GDT, 0, 64);
    descriptor(ram + GDT + 8, mode == PROT16 ? CODE : 0, limit, 0x9b | size);
    descriptor(ram + GDT + 16, mode == PROT16 ? 0x20000 : 0, limit, 0x93 | size);
    descriptor(ram + GDT + 24, mode == PROT16 ? CODE : 0, limit, 0x9e | size);
    descriptor(ram + GDT + 32, 0, limit, 0xf2 | size);
    descriptor(ram + GDT + 40, 0x20000, 0x1000, 0x96);
    descriptor(ram + GDT + 48, 0, limit, 0x12 | size);
}

static void make_idt(u8 *ram, enum mode mode)
{
    for (u32 v = 0; v < 256; v++) {
        u32 to = pick(CODE_SIZE / 2);
        u32 *gate = (u32 *)(ram + v * 8 + 0x400);
        u32 offset = mode == PROT16 ? to : CODE + to;

        ((u32 *)ram)[v] = (CODE >> 4) << 16 | to;
        gate[0] = 8 << 16 | (offset & 0xffff);
        gate[1] = (offset & 0xffff0000) | 0x8e00;
    }
}

/* ---- The two machines ---- */

struct pair {
    struct options options;
    struct machine *interp, *bt;
    enum mode mode;
    u64 seed, insns;
    bool chain, verbose;
};

static struct machine *new_machine(struct options *o)
{
    struct machine *m = machine_bare(o);

    m->clock_manual = true;
    return m;
}

static void start_round(struct pair *p)
{
    u8 *ram = mmu_ram(p->interp->mmu), *other = mmu_ram(p->bt->mmu);
    u8 *page = calloc(1, RAM);

    rng = p->seed * 0x9e3779b97f4a7c15ull + 0x1234567;
    for (u32 i = 0; i < 8; i++)
        rnd();
    for (u32 i = 0x20000; i < 0x30000; i += 4)
        *(u32 *)(page + i) = random_register();
    make_idt(page, p->mode);
    make_gdt(page, p->mode);
    random_code(page);
    if (p->mode == PAGED)
        make_tables(page);
    /* Through the front door, so that translations and shadows of the last round go. */
    phys_write(p->interp, 0, page, RAM);
    phys_write(p->bt, 0, page, RAM);
    check(!memcmp(ram, page, RAM) && !memcmp(other, page, RAM), "memory not set");
    free(page);
    random_state(p->interp->cpu, p->mode);
    if (p->mode != REAL && p->mode != V86) {
        p->interp->cpu->idtr = (struct table_register){ 0x400, 0x7ff };
        p->interp->cpu->gdtr = (struct table_register){ GDT, 0x3f };
    }
    cpu_reset(p->bt->cpu);
    p->interp->cpu->attention = 0;
    copy_state(p->bt, p->interp);
    p->interp->events = p->bt->events = 0;
}

static bool same_cpu(const struct vcpu *a, const struct vcpu *b)
{
    return !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && a->eip == b->eip &&
           a->eflags == b->eflags && a->int_flag == b->int_flag && a->cpl == b->cpl &&
           !memcmp(a->seg, b->seg, sizeof(a->seg)) && a->cr0 == b->cr0 && a->cr2 == b->cr2 &&
           a->cr3 == b->cr3 && a->cr4 == b->cr4;
}

static void print_state(const char *name, const struct vcpu *c)
{
    printf("%-11s", name);
    for (u32 i = 0; i < 8; i++)
        printf(" %08x", c->gpr[i]);
    printf(" eip %08x flags %08x cpl %u cr0 %08x cr2 %08x cs %04x\n", c->eip, cpu_eflags(c),
           c->cpl, c->cr0, c->cr2, c->seg[CS].selector);
    for (u32 s = ES; s <= GS; s++)
        printf("  %04x:%08x/%x/%x", c->seg[s].selector, c->seg[s].base, c->seg[s].limit,
               c->seg[s].attr);
    printf("\n");
}

static void report(struct pair *p, const struct vcpu *before, const char *what)
{
    u8 *ram = mmu_ram(p->bt->mmu);
    u32 at = before->seg[CS].base + before->eip;

    printf("lockstep: %s: mode %s, seed %llu\n", what, mode_names[p->mode],
           (unsigned long long)p->seed);
    printf("code at %08x:", at);
    for (u32 i = 0; i < 48 && at + i < RAM; i++)
        printf(" %02x", ram[at + i]);
    printf("\n");
    print_state("before", before);
    print_state("interpreter", p->interp->cpu);
    print_state("translator", p->bt->cpu);
}

static bool over(const struct machine *m)
{
    return m->events || m->cpu->attention & (ATT_HALT | ATT_EVENT | ATT_TIMER);
}

static bool memory_same(struct pair *p)
{
    u8 *a = mmu_ram(p->interp->mmu), *b = mmu_ram(p->bt->mmu);

    if (!memcmp(a, b, RAM))
        return true;
    for (u32 i = 0; i < RAM; i++)
        if (a[i] != b[i]) {
            printf("memory at %06x: interpreter %02x, translator %02x\n", i, a[i], b[i]);
            break;
        }
    return false;
}

/* One TU against as many steps as it takes. */
static bool turn(struct pair *p)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu, before = *b;
    u32 limit = 14;

    bt_run_one(b);
    if (over(p->bt) || same_cpu(a, b)) /* no progress: it made the FPU live */
        return true;
    for (u32 i = 0; i < limit; i++) {
        cpu_step(a);
        p->insns++;
        if (same_cpu(a, b) || over(p->interp))
            return true;
    }
    report(p, &before, "state differs");
    return false;
}

static bool round_of(struct pair *p)
{
    struct vcpu before;

    start_round(p);
    for (u32 i = 0; i < ROUND; i++) {
        before = *p->bt->cpu;
        if (!turn(p))
            return false;
        if (over(p->interp) || over(p->bt))
            break;
        if (p->verbose && !memory_same(p)) {
            report(p, &before, "memory differs");
            return false;
        }
    }
    if (over(p->interp) || over(p->bt))
        return true; /* ended half-way: memory may be one store apart */
    if (memory_same(p))
        return true;
    report(p, &before, "memory differs at the end of the round");
    return false;
}

/* A random REP may have 2^32 turns to go: after half a second in one round, that round ends. */
static struct pair *watched;
static u64 watched_seed;

static void on_alarm(int sig)
{
    if (watched_seed == watched->seed) {
        __atomic_fetch_or(&watched->interp->cpu->attention, ATT_TIMER, __ATOMIC_RELAXED);
        __atomic_fetch_or(&watched->bt->cpu->attention, ATT_TIMER, __ATOMIC_RELAXED);
    }
    watched_seed = watched->seed;
}

static void watch(struct pair *p)
{
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART | SA_ONSTACK };
    struct itimerval every = { { 0, 500000 }, { 0, 500000 } };

    watched = p;
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static int usage(void)
{
    fprintf(stderr, "usage: lockstep [--insns N] [--seed S] [--mode M] [--max-insns K] [--form F] "
                    "[--cache BYTES] [-v]\n");
    return 1;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        { "insns", 1, NULL, 'n' },     { "seed", 1, NULL, 's' },  { "mode", 1, NULL, 'm' },
        { "max-insns", 1, NULL, 'k' }, { "form", 1, NULL, 'f' },  { "cache", 1, NULL, 'c' },
        { 0 },
    };
    struct pair p = { .options = { .ram = RAM }, .seed = 1 };
    struct bt_config config = { .no_chaining = true };
    u64 insns = 1000000, rounds = 0;
    const char *why, *mode = NULL;
    int o;

    while ((o = getopt_long(argc, argv, "v", longs, NULL)) != -1) {
        switch (o) {
        case 'n':
            insns = strtoull(optarg, NULL, 0);
            break;
        case 's':
            p.seed = strtoull(optarg, NULL, 0);
            break;
        case 'm':
            mode = optarg;
            break;
        case 'k':
            config.max_insns = (u32)atoi(optarg);
            break;
        case 'f':
            config.force_form = (u8)atoi(optarg);
            break;
        case 'c':
            config.cache_size = strtoull(optarg, NULL, 0);
            break;
        case 'v':
            p.verbose = true;
            break;
        default:
            return usage();
        }
    }
    p.interp = new_machine(&p.options);
    p.bt = new_machine(&p.options);
    check(bt_new(p.bt->cpu, &config, &why), "no translator: %s", why);
    watch(&p);
    for (; p.insns < insns; p.seed++, rounds++) {
        p.mode = (enum mode)(p.seed % MODES);
        for (u32 i = 0; mode && i < MODES; i++)
            if (!strcmp(mode, mode_names[i]))
                p.mode = (enum mode)i;
        if (!round_of(&p)) {
            printf("0 passed, 1 failed\n");
            return 1;
        }
    }
    printf("lockstep: %llu instructions in %llu rounds agree\n", (unsigned long long)p.insns,
           (unsigned long long)rounds);
    printf("1 passed, 0 failed\n");
    machine_free(p.interp);
    machine_free(p.bt);
    return 0;
}
