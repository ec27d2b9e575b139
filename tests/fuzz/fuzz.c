/*
 * fuzz-devices: feeds every chip of the board with what no driver would do.
 *
 *   fuzz-devices [--seconds N] [--seed S] [--episodes N] [CHIP…]
 *
 * An episode is a whole machine with random images, and a few thousand accesses, mostly to one
 * chip. Episodes run in child processes, a batch each: a crash, a sanitizer's report, a hang or
 * a growth beyond bounds fails the batch, and the seed of the episode is printed: `--seed S
 * --episodes 1 CHIP` shows it again.
 */
#include "tests/fuzz/fuzz.h"
#include "devices/lapic.h"
#include "runtime/machine/clock.h"
#include "runtime/machine/run.h"
#include "runtime/options/option_devices.h"
#include "runtime/options/option_network.h"
#include "runtime/parts.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 10,            /* episodes a child */
    STEPS = 1500,          /* actions an episode */
    EPISODE_SECONDS = 60,  /* of the host's CPU: more is a hang */
    ASLEEP_SECONDS = 1800, /* by the clock: an episode that waits for something */
    GROWTH_KIB = 300000,   /* of the resident set, over a batch */
};

struct shared {
    u64 seed;     /* of the episode that runs */
    u64 accesses;
};
static struct shared *shared;

/* ---- Random numbers ---- */

u32 fuzz_u32(struct fuzz *f)
{
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return (u32)(f->random * 0x2545f4914f6cdd1dull >> 32);
}

u32 fuzz_below(struct fuzz *f, u32 n)
{
    return n ? fuzz_u32(f) % n : 0;
}

bool fuzz_chance(struct fuzz *f, u32 percent)
{
    return fuzz_below(f, 100) < percent;
}

u32 fuzz_value(struct fuzz *f)
{
    switch (fuzz_below(f, 7)) {
    case 0:
        return fuzz_below(f, 16);
    case 1:
        return 1u << fuzz_below(f, 32);
    case 2:
        return ~0u;
    case 3:
        return f->last;
    case 4:
        return f->last ^ 1u << fuzz_below(f, 32);
    case 5:
        return fuzz_below(f, 256);
    default:
        return fuzz_u32(f);
    }
}

void fuzz_bytes(struct fuzz *f, void *buf, u32 n)
{
    for (u32 i = 0; i < n; i++)
        ((u8 *)buf)[i] = (u8)fuzz_u32(f);
}

static char sound_path[32]; /* what the machine says: of a file in memory */
static char flash_path[32]; /* what its flash holds: another */
static char paper_path[32]; /* what its printer prints: a third */

/* ---- Accesses ---- */

void fuzz_out8(struct fuzz *f, u16 port, u32 val)
{
    shared->accesses++;
    bus_out(f->m, port, IO_8, val & 0xff);
}

u8 fuzz_in8(struct fuzz *f, u16 port)
{
    shared->accesses++;
    f->last = bus_in(f->m, port, IO_8);
    return (u8)f->last;
}

void fuzz_wait(struct fuzz *f)
{
    clock_advance(f->m, (u64)fuzz_u32(f) % (1ull << fuzz_below(f, 27)));
}

static void access_port(struct fuzz *f)
{
    const struct port_range *r = f->target->ports;
    u32 n = 0, times = fuzz_chance(f, 3) ? 1 + fuzz_below(f, 1024) : 1;
    enum io_size size = fuzz_chance(f, 70) ? IO_8 : 2u << fuzz_below(f, 2);
    u16 port;

    while (n < ARRAY_SIZE(f->target->ports) && r[n].count)
        n++;
    r += fuzz_below(f, n);
    port = fuzz_chance(f, 98) ? r->base + fuzz_below(f, r->count) : fuzz_below(f, 0x1000);
    shared->accesses += times;
    if (fuzz_chance(f, 40)) {
        while (times--)
            f->last = bus_in(f->m, port, size);
        return;
    }
    while (times--)
        bus_out(f->m, port, size, fuzz_value(f) & (u32)(0xffffffffull >> (32 - 8 * size)));
}

static void access_memory(struct fuzz *f)
{
    const struct memory_range *r = f->target->memory;
    u32 n = 0, size = 1u << fuzz_below(f, 3);
    gpa_t gpa;
    u8 buf[64];

    while (n < ARRAY_SIZE(f->target->memory) && r[n].size)
        n++;
    shared->accesses++;
    if (!n || fuzz_chance(f, 20)) { /* guest memory: what chips may fetch from */
        fuzz_bytes(f, buf, sizeof(buf));
        phys_write(f->m, fuzz_chance(f, 90) ? fuzz_below(f, 0x10000) : fuzz_u32(f), buf,
                   1 + fuzz_below(f, sizeof(buf)));
        return;
    }
    r += fuzz_below(f, n);
    gpa = r->base + fuzz_u32(f) % r->size;
    if ((gpa & PAGE_MASK) + size > PAGE_SIZE)
        gpa &= ~(gpa_t)3;
    if (fuzz_chance(f, 30))
        phys_read(f->m, gpa, buf, 1 + fuzz_below(f, sizeof(buf)));
    else if (fuzz_chance(f, 50))
        f->last = bus_mmio_read(f->m, gpa, size);
    else
        bus_mmio_write(f->m, gpa, size,
                       fuzz_value(f) & (u32)(0xffffffffull >> (32 - 8 * size)));
}

/* What happens to a machine from outside. */
static void outside(struct fuzz *f)
{
    switch (fuzz_below(f, 6)) {
    case 0:
        media_change(f);
        break;
    case 1:
        scene_i8042(f);
        break;
    case 2:
        scene_serial(f);
        break;
    case 3:
        irq_set(irq_isa(f->m, fuzz_below(f, 16)), fuzz_chance(f, 50));
        break;
    case 4:
        if (f->m->lapic && lapic_intr(f->m->lapic))
            lapic_ack(f->m->lapic);
        break;
    default:
        for (struct device *d = f->m->devices; d; d = d->next)
            if (d->class->woken && fuzz_chance(f, 2))
                d->class->woken(d);
            else if (d->class->reset && fuzz_chance(f, 2))
                d->class->reset(d);
    }
}

static void serve_events(struct fuzz *f)
{
    u32 events = f->m->events;

    f->m->events = 0;
    f->m->cpu->requests &= ~(u32)REQ_EVENT;
    if (events & MACHINE_WAKE)
        machine_wake(f->m);
    if (events & MACHINE_RESET)
        machine_reset(f->m);
}

static void step(struct fuzz *f)
{
    u32 dice = fuzz_below(f, 100);

    if (f->target->scene && dice < 15)
        f->target->scene(f);
    else if (dice < 70)
        access_port(f);
    else if (dice < 85)
        access_memory(f);
    else if (dice < 95)
        fuzz_wait(f);
    else
        outside(f);
    if (f->m->events)
        serve_events(f);
}

/* ---- Episodes ---- */

/* Where a printer's bytes go; one is out of room always. */
static const char *paper(struct fuzz *f)
{
    static char file[40];

    snprintf(file, sizeof(file), "file:%s", paper_path);
    return fuzz_chance(f, 40) ? "null" : fuzz_chance(f, 30) ? "file:/dev/full" : file;
}

/* A busy host is no hang: so it is CPU time that counts. 0: no longer. */
static void watch(u32 busy, u32 asleep)
{
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value.tv_sec = busy}, NULL);
    alarm(asleep);
}

static void episode(const struct target *target, u64 seed)
{
    static const char *const pci[] = {"AC97,addr=8", "ES1370,addr=0xa", "pci-testdev,addr=9"};
    struct options o = {.ram = MIB(2), .serial = {"null", "msmouse"}, .cpu = NULL};
    char nic[128];
    struct fuzz f = { .random = seed * 0x9e3779b97f4a7c15ull | 1, .target = target };

    shared->seed = seed;
    watch(EPISODE_SECONDS, ASLEEP_SECONDS);
    o.ram = MIB(1 + fuzz_below(&f, 8));
    set_device(&o, "-device", "isa-debug-exit,iobase=0xf4,iosize=4");
    set_device(&o, "-device", "sb16"); /* with the OPL3 */
    o.isapc = o.no_acpi = o.no_hpet = target->isapc;
    for (u32 i = 0; !o.isapc && i < ARRAY_SIZE(pci); i++)
        set_device(&o, "-device", pci[i]);
    set_device(&o, "-device", "pc-testdev");
    set_debugcon(&o, "-debugcon", "null");
    set_parallel(&o, "-parallel", paper(&f));
    o.vga = target->vga;
    if (target->flash)
        o.flash[0] = (struct drive_options){
            .file = flash_path, .format = "raw", .present = true, .unlocked = true,
            .read_only = fuzz_chance(&f, 10), .snapshot = fuzz_chance(&f, 30)
        };
    if (target->nic) { /* what it sends goes to the discard port of this host */
        snprintf(nic, sizeof(nic), "socket,udp=127.0.0.1:9,localaddr=127.0.0.1:0,id=n,model=%s",
                 target->nic);
        set_nic(&o, "-nic", nic);
    }
    media_choose(&f, &o);
    if (fuzz_chance(&f, 50))
        o.audiodev[0] =
            (struct audiodev_options){ .id = "wav", .backend = "wav", .path = sound_path };
    if (target->scenes) {
        o.bios = NULL;
        o.boot[0] = "acd"[fuzz_below(&f, 3)];
    }
    f.m = machine_new(&o);
    f.m->clock_manual = true;
    for (u32 i = 0; i < target->scenes; i++) {
        target->scene(&f);
        serve_events(&f);
    }
    if (target->scenes)
        shared->accesses +=
            bus_stats(f.m->bus)->port_accesses + bus_stats(f.m->bus)->mmio_accesses;
    for (u32 i = 0; !target->scenes && i < STEPS; i++)
        step(&f);
    machine_free(f.m);
    watch(0, 0);
}

static long resident_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* In the child: exit status 0 when all went well. */
static void batch(const struct target *target, u64 seed, u32 episodes)
{
    long before = 0;

    for (u32 i = 0; i < episodes; i++) {
        episode(target, seed + i);
        if (i == 0)
            before = resident_kib();
    }
    if (resident_kib() - before > GROWTH_KIB) {
        fprintf(stderr, "grew by %ld KiB\n", resident_kib() - before);
        exit(3);
    }
    exit(0);
}

static void report(const struct target *target, int status)
{
    bool killed = WIFSIGNALED(status);
    bool late = killed && (WTERMSIG(status) == SIGVTALRM || WTERMSIG(status) == SIGALRM);
    const char *how = late ? "hangs, signal" : killed ? "signal" : "exit status";

    printf("FAIL %s: seed %llu: %s %d\n", target->name, (unsigned long long)shared->seed, how,
           killed ? WTERMSIG(status) : WEXITSTATUS(status));
}

static bool run_batch(const struct target *target, u64 seed, u32 episodes)
{
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    check(child >= 0, "cannot fork");
    if (!child)
        batch(target, seed, episodes);
    check(waitpid(child, &status, 0) == child, "lost a child");
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return true;
    report(target, status);
    return false;
}

/* ---- The program ---- */

struct plan {
    u64 seconds, seed;
    u32 episodes; /* 0: by time */
    const struct target *targets[64];
    u32 n;
};

static const struct target *find(const char *name)
{
    const struct target *t = fuzz_targets;

    while (t->name && strcmp(t->name, name))
        t++;
    if (!t->name)
        die("fuzz-devices: no chip \"%s\"; there are:%s", name,
            " i8259 i8254 mc146818 i8042 vmport ns16550 msmouse lpt small sb16 ac97 es1370 "
            "flash i8237 "
            "i82077 ata atapi ata-dma vga gd5446 "
            "vbe pci"
            " ne2k_isa ne2k_pci e1000 rtl8139 pcnet testdev fw_cfg apic hpet board cpu gdb "
            "boot isapc isapc-cpu isapc-boot");
    return t;
}

static void parse(struct plan *p, int argc, char **argv)
{
    bool named;

    for (int i = 1; i < argc; i++) {
        u64 *number = !strcmp(argv[i], "--seconds") ? &p->seconds
                      : !strcmp(argv[i], "--seed")  ? &p->seed
                                                    : NULL;
        if (number && i + 1 < argc)
            *number = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--episodes") && i + 1 < argc)
            p->episodes = (u32)strtoul(argv[++i], NULL, 0);
        else if (p->n < ARRAY_SIZE(p->targets))
            p->targets[p->n++] = find(argv[i]);
    }
    named = p->n;
    for (const struct target *t = fuzz_targets; !named && t->name; t++)
        p->targets[p->n++] = t;
}

static void make_file(char path[32], u32 size)
{
    int fd = memfd_create("fuzz", 0);

    check(ftruncate(fd, size) == 0, "no memory for a file");
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

int main(int argc, char **argv)
{
    struct plan p = { .seconds = 60, .seed = 1 };
    u64 episodes = 0, end;
    bool failed[ARRAY_SIZE(p.targets)] = { false };
    u32 failures = 0;

    parse(&p, argc, argv);
    shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED, "no shared page");
    media_make(1);
    make_file(sound_path, 0);
    make_file(flash_path, KIB(64));
    make_file(paper_path, 0);
    end = (u64)time(NULL) + p.seconds;
    for (u32 i = 0; p.episodes ? i < p.n : (u64)time(NULL) < end; i++) {
        u32 n = p.episodes ? p.episodes : BATCH;
        if (!run_batch(p.targets[i % p.n], p.seed + (p.episodes ? 0 : episodes), n))
            failed[i % p.n] = true;
        episodes += n;
    }
    for (u32 i = 0; i < p.n; i++)
        failures += failed[i];
    printf("%llu episodes, %llu accesses\n", (unsigned long long)episodes,
           (unsigned long long)shared->accesses);
    printf("%u passed, %u failed\n", p.n - failures, failures);
    return failures ? 1 : 0;
}
