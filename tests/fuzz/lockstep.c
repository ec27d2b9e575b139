/*
 * Random instructions, interpreter against translator: two bare machines start in the same random
 * state, and all state is compared as they go; registers, flags, segments, control registers, FPU,
 * memory (the page tables' A and D bits with it).
 *
 *   by default   the translator runs a TU, the interpreter steps until it agrees: at most 27 steps
 *   --chain      the translator runs freely, exits chained, until the guest has written some number
 *                of times to STOP_PORT, and so does the interpreter
 *
 *   lockstep [--insns N] [--seed S] [--rounds N] [--mode M] [--max-insns K] [--form F]
 *            [--cache BYTES] [--chain] [--trace CHANNELS] [-v]
 *
 * A difference prints the seed, the instructions and both states, and ends with exit status 1. A
 * round that shows nothing more within its time (a REP of 2^32 turns, a loop without a write to the
 * port) ends there; so does one that differs after the guest has stored the addresses of the last FPU
 * instruction, which the engines need not keep alike.
 */
#include "tests/fuzz/lockstep.h"
#include "bt/tu.h"
#include "cpu/insn.h"
#include "devices/device.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { ROUND = 250, MAX_TURN = 27 /* steps */, CHAIN_ROUND = 4000 /* instructions */, MAX_STEPS = 50000000,
       EXPIRED_STEPS = 20000, MAX_COMPARES = 500,
       EXPIRED_TICKS = 8 };
static const char *const mode_names[MODES] = { "real", "prot16", "prot32", "v86",
                                               "paged", "user", "pae" };

/* ---- The device at STOP_PORT ---- */

struct stopper {
    struct device dev;
    u32 left; /* writes until the CPU has to stop; 0: never */
};

static void stopper_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct stopper *s = (struct stopper *)dev;

    if (s->left && !--s->left)
        __atomic_fetch_or(&dev->machine->cpu->attention, ATT_TIMER, __ATOMIC_RELAXED);
}

static u32 stopper_read(struct device *dev, u32 off, enum io_size size)
{
    return 0;
}

static bool stopper_attach(struct device *dev)
{
    static const struct io_ops ops = { stopper_read, stopper_write, IO_8 };

    return bus_claim_ports(dev, STOP_PORT, 1, &ops);
}

static const struct device_class stopper_class = {
    .name = "stopper", .size = sizeof(struct stopper), .attach = stopper_attach,
};

/* ---- The two machines ---- */

struct pair {
    struct options options;
    struct machine *interp, *bt;
    enum mode mode;
    u64 seed, insns;
    u32 given_up; /* rounds */
    u64 steps;     /* of the interpreter in this round */
    bool pointers; /* it has stored the addresses of the last FPU instruction */
    bool ended;    /* the round, before its time */
    bool chain, verbose;
};

/* The interrupt controller: one request at a time. */
static int acknowledge(struct vcpu *cpu)
{
    cpu_set_intr(cpu, false);
    return 0x70;
}

static struct machine *new_machine(struct options *o)
{
    struct machine *m = machine_bare(o);

    m->clock_manual = true;
    m->cpu->intr_ack = acknowledge;
    check(device_new(m, &stopper_class, NULL), "no device to stop at");
    return m;
}

static void set_stop(struct machine *m, u32 left)
{
    ((struct stopper *)m->devices)->left = left;
}

static void apply(struct vcpu *c, enum mode mode)
{
    check(mmu_mode_changed(c, mode == PAE), "page directory pointers refused");
    mmu_cpl_changed(c);
    __atomic_store_n(&c->attention, 0, __ATOMIC_RELAXED);
}

/* What both machines share at the start: the second gets the first one's random choices. */
static void copy_state(struct vcpu *c, const struct vcpu *f)
{
    cpu_reset(c);
    memcpy(c->gpr, f->gpr, sizeof(c->gpr));
    memcpy(c->seg, f->seg, sizeof(c->seg));
    c->eip = f->eip;
    c->eflags = f->eflags;
    c->int_flag = f->int_flag;
    c->cr0 = f->cr0;
    c->cr3 = f->cr3;
    c->cr4 = f->cr4;
    c->efer = f->efer;
    c->cpl = f->cpl;
    c->gdtr = f->gdtr;
    c->idtr = f->idtr;
    c->sysenter_cs = f->sysenter_cs;
    c->sysenter_esp = f->sysenter_esp;
    c->sysenter_eip = f->sysenter_eip;
    memcpy(&c->fpu, &f->fpu, sizeof(c->fpu));
}

static void start_round(struct pair *p)
{
    static u8 memory[RAM];

    rnd_seed(p->seed);
    memset(memory, 0, RAM);
    make_memory(memory, p->mode);
    /* Through the front door, so that translations and shadows of the last round go. */
    phys_write(p->interp, 0, memory, RAM);
    phys_write(p->bt, 0, memory, RAM);
    check(!memcmp(mmu_ram(p->interp->mmu), memory, RAM), "memory not set");
    random_state(p->interp->cpu, p->mode);
    copy_state(p->bt->cpu, p->interp->cpu);
    apply(p->interp->cpu, p->mode);
    apply(p->bt->cpu, p->mode);
    p->interp->events = p->bt->events = 0;
    set_stop(p->interp, 0);
    set_stop(p->bt, 0);
    cpu_set_intr(p->interp->cpu, false);
    cpu_set_intr(p->bt->cpu, false);
    p->steps = 0;
    p->pointers = false;
    p->ended = false;
}

/* ---- Comparing ---- */

/* But for the addresses of the last FPU instruction, which hosts do not keep alike. */
static bool same_fpu(const struct fxsave *a, const struct fxsave *b)
{
    for (u32 i = 0; i < 8; i++)
        if (memcmp(a->st[i], b->st[i], 10) || memcmp(a->xmm[i], b->xmm[i], 16))
            return false;
    return a->fcw == b->fcw && a->fsw == b->fsw && a->ftw == b->ftw && a->mxcsr == b->mxcsr;
}

/* NULL, or what differs. */
static const char *difference(const struct vcpu *a, const struct vcpu *b)
{
    if (a->eip != b->eip)
        return "EIP";
    if (memcmp(a->gpr, b->gpr, sizeof(a->gpr)))
        return "a register";
    if (cpu_eflags(a) != cpu_eflags(b))
        return "EFLAGS";
    if (memcmp(a->seg, b->seg, sizeof(a->seg)) || a->cpl != b->cpl)
        return "a segment";
    if (a->cr0 != b->cr0 || a->cr2 != b->cr2 || a->cr3 != b->cr3 || a->cr4 != b->cr4)
        return "a control register";
    if (a->gdtr.base != b->gdtr.base || a->gdtr.limit != b->gdtr.limit ||
        a->idtr.base != b->idtr.base || a->idtr.limit != b->idtr.limit)
        return "GDTR or IDTR";
    if (memcmp(a->dr, b->dr, sizeof(a->dr)) || a->efer != b->efer ||
        a->sysenter_cs != b->sysenter_cs || a->sysenter_eip != b->sysenter_eip)
        return "a debug or model-specific register";
    return same_fpu(&a->fpu, &b->fpu) ? NULL : "the FPU";
}

static u32 memory_difference(const struct pair *p)
{
    const u8 *a = mmu_ram(p->interp->mmu), *b = mmu_ram(p->bt->mmu);
    u32 i = 0;

    if (!memcmp(a, b, RAM))
        return RAM;
    while (a[i] == b[i])
        i++;
    return i;
}

static void print_state(const char *name, const struct vcpu *c)
{
    printf("%-11s", name);
    for (u32 i = 0; i < 8; i++)
        printf(" %08x", c->gpr[i]);
    printf(" eip %08x flags %08x cpl %u cr0 %08x cr2 %08x cr3 %08x cr4 %x\n", c->eip,
           cpu_eflags(c), c->cpl, c->cr0, c->cr2, c->cr3, c->cr4);
    for (u32 s = ES; s <= TR; s++)
        printf("  %04x:%08x/%x/%x", c->seg[s].selector, c->seg[s].base, c->seg[s].limit,
               c->seg[s].attr);
    printf("\n  fcw %04x fsw %04x ftw %02x mxcsr %08x st0 ", c->fpu.fcw, c->fpu.fsw, c->fpu.ftw,
           c->fpu.mxcsr);
    for (u32 i = 10; i-- > 0;)
        printf("%02x", c->fpu.st[0][i]);
    printf(" attention %x events %x\n", c->attention, c->machine->events);
}

static void describe(struct pair *p, const struct vcpu *before, const char *what)
{
    u32 at = before->seg[CS].base + before->eip, byte = memory_difference(p);
    gpa_t gpa;

    printf("lockstep: %s: mode %s, seed %llu, %llu instructions\n", what, mode_names[p->mode],
           (unsigned long long)p->seed, (unsigned long long)p->insns);
    if (byte < RAM)
        printf("memory at %06x: interpreter %02x, translator %02x\n", byte,
               mmu_ram(p->interp->mmu)[byte], mmu_ram(p->bt->mmu)[byte]);
    printf("code at %08x:", at);
    for (u32 i = 0; i < 48 && mmu_translate(p->bt->cpu, at + i, &gpa) && gpa < RAM; i++)
        printf(" %02x", mmu_ram(p->bt->mmu)[gpa]);
    printf("\n");
    print_state("before", before);
    print_state("interpreter", p->interp->cpu);
    print_state("translator", p->bt->cpu);
}

/* Does the next instruction store the addresses of the last FPU instruction? */
static bool stores_pointers(struct vcpu *c)
{
    gla_t gla = c->seg[CS].base + c->eip;
    struct insn in;
    u8 bytes[15];
    gpa_t gpa;
    u32 n = 0;

    for (; n < sizeof(bytes) && mmu_translate(c, gla + n, &gpa) && gpa < RAM; n++)
        bytes[n] = mmu_ram(c->mmu)[gpa];
    if (insn_decode(bytes, n, cpu_code32(c), &in) != DECODE_OK)
        return false;
    return in.mnem == ZYDIS_MNEMONIC_FNSTENV || in.mnem == ZYDIS_MNEMONIC_FNSAVE ||
           in.mnem == ZYDIS_MNEMONIC_FXSAVE;
}

/* A step of the interpreter; in a round's first million, with a look at the instruction. */
static void step(struct pair *p)
{
    if (!p->pointers && p->steps < 1000000)
        p->pointers = stores_pointers(p->interp->cpu);
    p->steps++;
    cpu_step(p->interp->cpu);
}

/* What differs may be due to such addresses, once the guest has stored them: then the round ends. */
static bool report(struct pair *p, const struct vcpu *before, const char *what)
{
    p->ended = p->pointers;
    p->given_up += p->ended;
    if (!p->ended)
        describe(p, before, what);
    return p->ended;
}

/* ---- A round ---- */

static bool over(const struct machine *m)
{
    return m->events || m->cpu->attention & (ATT_HALT | ATT_EVENT | ATT_TIMER);
}

/* One or two TUs against as many steps as it takes. */
static bool turn(struct pair *p)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu, before = *b;
    const u64 *starts = &((const struct bt *)b->bt)->stats.fpu_starts;
    u64 started = *starts;

    bt_run_one(b);
    if (*starts != started && !over(p->bt))
        bt_run_one(b); /* a turn that made the FPU live ended there */
    if (over(p->bt))
        return true;
    for (u32 i = 0; i < MAX_TURN; i++) {
        step(p);
        p->insns++;
        if (!difference(a, b) || over(p->interp))
            return true;
    }
    return report(p, &before, difference(a, b));
}

static bool round_by_tu(struct pair *p)
{
    struct vcpu before;

    for (u32 i = 0; i < ROUND; i++) {
        before = *p->bt->cpu;
        if (!turn(p))
            return false;
        if (p->ended || over(p->interp) || over(p->bt))
            return true; /* ended half-way: memory may be one store apart */
        if (p->verbose && memory_difference(p) < RAM)
            return report(p, &before, "memory");
    }
    return memory_difference(p) == RAM || report(p, &before, "memory at the end of the round");
}

static struct {
    struct pair *pair; /* whose round it is; NULL: none */
    u64 seed;
    struct vcpu *follower; /* the interpreter, after the time is over: its REP must give way */
    volatile u32 ticks;
    bool expired;
} watch;

/* A single-step trap wakes even a CPU that has halted. */
static bool stands(const struct machine *m)
{
    return over(m) && !(m->cpu->attention & ATT_TRAP && !m->events &&
                        !(m->cpu->attention & ATT_TIMER));
}

/* The interpreter follows to where the translator stopped. */
static bool follow(struct pair *p, const struct vcpu *before)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu;
    bool expired = watch.expired;
    u32 compares = 0, steps;
    const char *what;

    watch.ticks = 0;
    __atomic_store_n(&watch.follower, expired ? a : NULL, __ATOMIC_SEQ_CST);
    for (steps = 0; steps < (expired ? EXPIRED_STEPS : MAX_STEPS); steps++) {
        if (expired ? watch.ticks >= EXPIRED_TICKS : stands(p->interp))
            break;
        if (expired && !difference(a, b) &&
            (memory_difference(p) == RAM || ++compares == MAX_COMPARES))
            break;
        step(p);
    }
    __atomic_store_n(&watch.follower, NULL, __ATOMIC_SEQ_CST);
    p->insns += steps < CHAIN_ROUND / 4 ? steps : CHAIN_ROUND / 4; /* loops tell nothing new */
    what = difference(a, b);
    if (expired) {
        p->given_up += what || memory_difference(p) < RAM;
        return true;
    }
    if ((a->attention ^ b->attention) & (ATT_HALT | ATT_EVENT | ATT_TIMER) ||
        p->interp->events != p->bt->events)
        what = what ? what : "why it stops";
    return (!what && memory_difference(p) == RAM) || report(p, before, what ? what : "memory");
}

static bool round_chained(struct pair *p)
{
    u64 end = p->insns + CHAIN_ROUND;
    struct vcpu before;

    while (p->insns < end) {
        u32 stop = 1 + pick(pick(2) ? 4 : 40);

        before = *p->bt->cpu;
        set_stop(p->interp, stop);
        set_stop(p->bt, stop);
        watch.ticks = 0;
        __atomic_store_n(&watch.pair, p, __ATOMIC_SEQ_CST);
        bt_run(p->bt->cpu);
        __atomic_store_n(&watch.pair, NULL, __ATOMIC_SEQ_CST);
        if (!follow(p, &before))
            return false;
        if (p->ended || watch.expired || p->bt->events || p->bt->cpu->attention & ATT_HALT)
            break;
        __atomic_fetch_and(&p->bt->cpu->attention, ~(u32)ATT_TIMER, __ATOMIC_RELAXED);
        __atomic_fetch_and(&p->interp->cpu->attention, ~(u32)ATT_TIMER, __ATOMIC_RELAXED);
        if (!pick(3)) { /* both are at the same instruction: an interrupt now, or once IF is set */
            cpu_set_intr(p->interp->cpu, true);
            cpu_set_intr(p->bt->cpu, true);
        }
    }
    return true;
}

static bool round_of(struct pair *p)
{
    bool good;

    start_round(p);
    watch.expired = false;
    if (p->chain)
        return round_chained(p);
    watch.ticks = 0;
    __atomic_store_n(&watch.pair, p, __ATOMIC_SEQ_CST);
    good = round_by_tu(p);
    __atomic_store_n(&watch.pair, NULL, __ATOMIC_SEQ_CST);
    return good;
}

/* A round has two to three ticks. */
static void on_alarm(int sig)
{
    struct pair *p = watch.pair;

    if (++watch.ticks >= EXPIRED_TICKS && watch.follower)
        __atomic_fetch_or(&watch.follower->attention, ATT_TIMER, __ATOMIC_RELAXED);
    if (watch.ticks < 3 || !p)
        return;
    watch.expired = true;
    if (!p->chain)
        __atomic_fetch_or(&p->interp->cpu->attention, ATT_TIMER, __ATOMIC_RELAXED);
    __atomic_fetch_or(&p->bt->cpu->attention, ATT_TIMER, __ATOMIC_RELAXED);
    bt_kick(p->bt->cpu);
}

static void watch_rounds(bool chain)
{
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART | SA_ONSTACK };
    struct itimerval every = { { 0, chain ? 8000 : 250000 }, { 0, chain ? 8000 : 250000 } };

    sigaction(SIGVTALRM, &sa, NULL);
    setitimer(ITIMER_VIRTUAL, &every, NULL);
}

/* ---- The command line ---- */

struct args {
    struct bt_config config;
    u64 insns, rounds;
    const char *mode;
};

static int usage(void)
{
    fprintf(stderr, "usage: lockstep [--insns N] [--seed S] [--rounds N] [--mode M] [--max-insns K] "
                    "[--form F] [--cache BYTES] [--chain] [--trace CHANNELS] [-v]\n");
    return 1;
}

static bool parse(int argc, char **argv, struct pair *p, struct args *a)
{
    static const struct option longs[] = {
        { "insns", 1, NULL, 'n' },     { "seed", 1, NULL, 's' },  { "mode", 1, NULL, 'm' },
        { "max-insns", 1, NULL, 'k' }, { "form", 1, NULL, 'f' },  { "cache", 1, NULL, 'c' },
        { "chain", 0, NULL, 'h' },     { "rounds", 1, NULL, 'r' },
        { "trace", 1, NULL, 't' },     { 0 },
    };
    int o;

    while ((o = getopt_long(argc, argv, "v", longs, NULL)) != -1) {
        switch (o) {
        case 'n':
            a->insns = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            a->rounds = strtoull(optarg, NULL, 0);
            break;
        case 's':
            p->seed = strtoull(optarg, NULL, 0);
            break;
        case 'm':
            a->mode = optarg;
            break;
        case 'k':
            a->config.max_insns = (u32)atoi(optarg);
            break;
        case 'f':
            a->config.force_form = (u8)atoi(optarg);
            break;
        case 'c':
            a->config.cache_size = strtoull(optarg, NULL, 0);
            break;
        case 'h':
            p->chain = true;
            break;
        case 't':
            if (trace_enable(optarg))
                return false;
            break;
        case 'v':
            p->verbose = true;
            break;
        default:
            return false;
        }
    }
    a->config.no_chaining = !p->chain;
    return true;
}

static enum mode mode_of(const struct args *a, u64 seed)
{
    for (u32 i = 0; a->mode && i < MODES; i++)
        if (!strcmp(a->mode, mode_names[i]))
            return (enum mode)i;
    return (enum mode)(seed % MODES);
}

int main(int argc, char **argv)
{
    static struct pair p = { .options = { .ram = RAM }, .seed = 1 };
    struct args a = { .insns = 1000000, .rounds = ~0ull };
    u64 rounds = 0;
    const char *why;

    if (!parse(argc, argv, &p, &a))
        return usage();
    p.interp = new_machine(&p.options);
    p.bt = new_machine(&p.options);
    check(bt_new(p.bt->cpu, &a.config, &why), "no translator: %s", why);
    watch_rounds(p.chain);
    for (; p.insns < a.insns && rounds < a.rounds; p.seed++, rounds++) {
        p.mode = mode_of(&a, p.seed);
        if (!round_of(&p)) {
            printf("0 passed, 1 failed\n");
            return 1;
        }
    }
    printf("lockstep: %llu instructions in %llu rounds agree; %u rounds given up\n",
           (unsigned long long)p.insns, (unsigned long long)rounds, p.given_up);
    printf("1 passed, 0 failed\n");
    machine_free(p.interp);
    machine_free(p.bt);
    return 0;
}
