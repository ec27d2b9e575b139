/*
 * Random instructions, interpreter against translator: two bare machines start in the same
 * random state, and all state is compared as they go; registers, flags, segments, control
 * registers, FPU, memory (the page tables' A and D bits with it).
 *
 *   by default   the translator runs a TU, the interpreter steps until it agrees
 *   --chain      the translator runs freely, exits chained, until the guest has written some
 * number of times to STOP_PORT, and so does the interpreter
 *
 *   lockstep [--insns N] [--seed S] [--rounds N] [--mode M] [--max-insns K] [--form F]
 *            [--cache BYTES] [--pic all|none] [--chain] [--hostile] [--cold] [--step] [--stats]
 *            [--trap] [--without SWITCH]... [--cpu MODEL] [--trace CHANNELS] [-v]
 *
 * Both use the shadow of mmu/. So that its mistakes differ, the interpreter's forgets what it
 * knows at each switch between address spaces, in half of the rounds.
 *
 *   --hostile    the guest tries to reach what is not its own (lockstep_hostile.c)
 *   --cold       the interpreter walks the guest's page tables again for each instruction
 *   --trap       trap-and-emulate;  --without: KEY=VALUE as -engine bt takes it
 *   --cpu        the guest's processor: max, if none is named
 *   --step       each host instruction of translated code is looked at first (lockstep_audit.c)
 *
 * A round makes a memory from its seed and launches into it several times, each time with new
 * registers at a new place; what the last launch did to code and data stays, the tables are put
 * right. A difference prints the seed, the instructions and both states, and ends with exit
 * status 1;
 * `--seed S --rounds 1` shows it again. A launch ends when it meets nothing new any more, or
 * when it differs after the guest has stored the addresses of the last FPU instruction, which
 * the engines need not keep alike.
 */
#include "tests/fuzz/lockstep.h"
#include "bt/tu.h"
#include "cpu/deliver.h"
#include "cpu/reset.h"
#include "devices/i8259.h"
#include "devices/port92.h"
#include "devices/device.h"
#include "mmu/state.h"
#include "runtime/parts.h"
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { LAUNCHES = 24, SCRATCH_SIZE = 0x2000 };
bool hostile;

/* ---- The device at STOP_PORT ---- */

struct stopper {
    struct device dev;
    u32 left; /* writes until the CPU has to stop; 0: never */
};

static void stopper_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct stopper *s = (struct stopper *)dev;

    if (s->left && !--s->left)
        __atomic_fetch_or(&dev->machine->cpu->requests, REQ_TIMER, __ATOMIC_RELAXED);
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

/* ---- The device at SCRATCH: bytes that are read and written by handlers ---- */

struct scratch {
    struct device dev;
    u8 bytes[SCRATCH_SIZE];
};

static void scratch_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    memcpy(((struct scratch *)dev)->bytes + off, &val, size);
}

static u32 scratch_read(struct device *dev, u32 off, enum io_size size)
{
    u32 val = 0;

    memcpy(&val, ((struct scratch *)dev)->bytes + off, size);
    return val;
}

static void scratch_reset(struct device *dev)
{
    memset(((struct scratch *)dev)->bytes, 0x5a, SCRATCH_SIZE);
}

static bool scratch_attach(struct device *dev)
{
    static const struct io_ops ops = { scratch_read, scratch_write, IO_8 | IO_16 | IO_32 };

    return bus_claim_memory(dev, SCRATCH, SCRATCH_SIZE, &ops);
}

static const struct device_class scratch_class = {
    .name = "scratch", .size = sizeof(struct scratch), .attach = scratch_attach, .reset = scratch_reset,
};

/* ---- The two machines ---- */

/* The interrupt controller: one request at a time. */
static int acknowledge(struct vcpu *cpu)
{
    cpu_set_intr(cpu, false);
    return 0x70;
}

static struct machine *new_machine(struct options *o)
{
    struct machine *m = machine_bare(o);
    u8 *rom;

    m->clock_manual = true;
    m->cpu->pins.intr_ack = acknowledge;
    check(device_new(m, &stopper_class, NULL) && device_new(m, &i8259_class, NULL) &&
              device_new(m, &scratch_class, NULL) && device_new(m, &port92_class, NULL),
          "no device to stop at");
    rom = mmu_alloc(m->mmu, PAGE_SIZE);
    memset(rom, 0xcc, PAGE_SIZE);
    mmu_map_phys(m->mmu, ROM, PAGE_SIZE, rom, NULL);
    return m;
}

void set_stop(struct machine *m, u32 left)
{
    ((struct stopper *)m->devices)->left = left;
}

static void reset_devices(struct machine *m)
{
    for (struct device *d = m->devices; d; d = d->next)
        if (d->class->reset)
            d->class->reset(d);
}

static void apply(struct vcpu *c, enum mode mode)
{
    check(mmu_mode_changed(&c->paging, mode == PAE), "page directory pointers refused");
    mmu_cpl_changed(&c->paging, c->cpl == 3);
    __atomic_store_n(&c->requests, 0, __ATOMIC_RELAXED);
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
    memcpy(c->ymm_high, f->ymm_high, sizeof(c->ymm_high));
    c->xcr0 = f->xcr0;
}

/* Through the front door, so that translations and shadows of the page go. */
static void set_memory(struct pair *p, u32 at, u32 size)
{
    phys_write(p->interp, at, p->image + at, size);
    phys_write(p->bt, at, p->image + at, size);
}

/* The tables and handlers as at the round's start; also what the two may hold differently. */
static void restore_memory(struct pair *p)
{
    const u8 *a = mmu_ram(p->interp->mmu), *b = mmu_ram(p->bt->mmu);

    for (u32 at = 0; at < RAM; at += PAGE_SIZE) {
        bool table = at < CODE || at >= TABLES || (at >= HANDLERS16 && at < DATA);

        if (table && memcmp(a + at, p->image + at, PAGE_SIZE))
            set_memory(p, at, PAGE_SIZE);
        else if (p->apart && memcmp(a + at, b + at, PAGE_SIZE))
            set_memory(p, at, PAGE_SIZE);
    }
    p->apart = false;
}

static void start_round(struct pair *p)
{
    rnd_seed(p->seed);
    memset(p->image, 0, RAM);
    make_memory(p->image, p->mode);
    set_memory(p, 0, RAM);
    check(!memcmp(mmu_ram(p->interp->mmu), p->image, RAM), "memory not set");
    p->interp->mmu->shared_due = p->bt->mmu->shared_due = 0; /* no matter how many there were */
    p->bt->mmu->direct_maps_closed = 0;
    p->bt->mmu->direct_map_run = pick(4) ? 1 : 3;
    p->apart = false;
    p->cold_spaces = pick(2);
    p->bt->mmu->no_user_maps = pick(2);
    p->bt->mmu->user_maps_used &= pick(2); /* as if there had been none */
    p->bt->mmu->user_maps_after = 0;
}

static void start_launch(struct pair *p)
{
    rnd_seed(p->seed << 8 | p->launch | 1ull << 63);
    if (p->launch)
        restore_memory(p);
    random_state(p->interp->cpu, p->mode);
    copy_state(p->bt->cpu, p->interp->cpu);
    apply(p->interp->cpu, p->mode);
    apply(p->bt->cpu, p->mode);
    reset_devices(p->interp);
    reset_devices(p->bt);
    p->interp->events = p->bt->events = 0;
    set_stop(p->interp, 0);
    set_stop(p->bt, 0);
    cpu_set_intr(p->interp->cpu, false);
    cpu_set_intr(p->bt->cpu, false);
    p->pointers = false;
    p->ended = false;
    p->launches++;
}

static bool round_of(struct pair *p)
{
    start_round(p);
    for (p->launch = 0; p->launch < LAUNCHES; p->launch++) {
        start_launch(p);
        if (!launch_run(p))
            return false;
        if (mode_paged(p->mode) && !pick(4) && !audit_pair(p))
            return false;
    }
    return !hostile || audit_memory(p);
}

/* ---- The command line ---- */

struct args {
    struct bt_config config;
    u64 insns, rounds;
    const char *mode;
    bool stats;
    struct engine_switches switches;
};

static int usage(void)
{
    fprintf(
        stderr,
        "usage: lockstep [--insns N] [--seed S] [--rounds N] [--mode M] [--max-insns K] "
        "[--form F] [--cache BYTES] [--pic all|none] [--chain] [--hostile] [--cold] [--step] "
        "[--stats] [--trap] [--without SWITCH]... [--cpu MODEL] [--trace CHANNELS] [-v]\n");
    return 1;
}

static u8 form_named(const char *name)
{
    for (u8 form = FORM_MAPPED; form < FORMS; form++)
        if (!strcmp(form_name(form), name))
            return form;
    die("--form is mapped, table, checked, mapped-unaligned, unaligned, checked-unaligned or "
        "callout");
}

static void take_switch(struct engine_switches *s, char *word)
{
    char *value = strchr(word, '=');
    const char *wanted;

    if (value)
        *value++ = 0;
    wanted = bt_switch(s, word, value ? value : "");
    if (wanted)
        die("--without %s: it takes %s", word, wanted);
}

static bool parse(int argc, char **argv, struct pair *p, struct args *a)
{
    static const struct option longs[] = {
        {"insns", 1, NULL, 'n'},
        {"seed", 1, NULL, 's'},
        {"mode", 1, NULL, 'm'},
        {"max-insns", 1, NULL, 'k'},
        {"form", 1, NULL, 'f'},
        {"cache", 1, NULL, 'c'},
        {"chain", 0, NULL, 'h'},
        {"rounds", 1, NULL, 'r'},
        {"trace", 1, NULL, 't'},
        {"stats", 0, NULL, 'S'},
        {"hostile", 0, NULL, 'H'},
        {"step", 0, NULL, 'p'},
        {"cold", 0, NULL, 'C'},
        {"pic", 1, NULL, 'P'},
        {"trap", 0, NULL, 'T'},
        {"without", 1, NULL, 'w'},
        {"cpu", 1, NULL, 'u'},
        {0},
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
            a->config.force_form = form_named(optarg);
            break;
        case 'c':
            a->config.cache_size = strtoull(optarg, NULL, 0);
            break;
        case 'P':
            if (strcmp(optarg, "all") && strcmp(optarg, "none"))
                return false;
            a->config.pic = strcmp(optarg, "all") ? PIC_NONE : PIC_ALL;
            break;
        case 'T':
            bt_take_trap(&a->config);
            break;
        case 'w':
            take_switch(&a->switches, optarg);
            break;
        case 'u':
            p->options.cpu = optarg;
            break;
        case 'h':
            p->chain = true;
            break;
        case 't':
            if (trace_enable(optarg))
                return false;
            break;
        case 'p':
            p->step = true;
            break;
        case 'C':
            p->cold = true;
            break;
        case 'H':
            hostile = true;
            break;
        case 'S':
            a->stats = true;
            break;
        case 'v':
            p->verbose = true;
            break;
        default:
            return false;
        }
    }
    bt_take_switches(&a->config, &a->switches);
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
    static struct pair p = { .options = { .ram = RAM, .cpu = "max" }, .seed = 1 };
    struct args a = { .insns = 1000000, .rounds = ~0ull };
    u64 rounds = 0;
    const char *why;

    if (!parse(argc, argv, &p, &a))
        return usage();
    p.interp = new_machine(&p.options);
    p.bt = new_machine(&p.options);
    check(bt_new(p.bt->cpu, &a.config, &why), "no translator: %s", why);
    watch_start(&p);
    audit_start(&p);
    for (; p.insns < a.insns && rounds < a.rounds; p.seed++, rounds++) {
        p.mode = mode_of(&a, p.seed);
        if (!round_of(&p)) {
            printf("0 passed, 1 failed\n");
            return 1;
        }
    }
    printf("lockstep: %llu instructions in %u launches of %llu rounds agree; %u launches given up\n",
           (unsigned long long)p.insns, p.launches, (unsigned long long)rounds, p.given_up);
    if (p.step)
        printf("lockstep: %llu steps of translated code looked at\n",
               (unsigned long long)audit_steps());
    if (a.stats)
        bt_stats_print(p.bt->cpu, stdout);
    printf("1 passed, 0 failed\n");
    machine_free(p.interp);
    machine_free(p.bt);
    return 0;
}
