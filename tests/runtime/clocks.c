/*
 * All clocks of a PC tell the same time, whenever two are compared: PIT, PM timer, RTC, APIC
 * timer and TSC, with the host's delays between the readings. A whole board, whose clock runs;
 * this test is its processor.
 */
#include "cpu/msr.h"
#include "runtime/machine/clock.h"
#include "runtime/machine/engines.h"
#include "runtime/machine/loop.h"
#include "runtime/parts.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PM_BASE = 0x600, PMTMR = PM_BASE + 8, CURRENT = 0xfee00390 };
enum clock_name { PIT, PM, APIC, TSC, CLOCKS };

struct clocks {
    struct options options;
    char bios[32];
    struct machine *m;
    u64 tsc_start, tsc_hz, last[CLOCKS], sum[CLOCKS]; /* ticks */
};

static u64 host_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return SEC((u64)ts.tv_sec) + (u64)ts.tv_nsec;
}

static void compute(u64 ns)
{
    u64 end = host_ns(CLOCK_MONOTONIC) + ns;

    while (host_ns(CLOCK_MONOTONIC) < end)
        ;
}

static void out8(struct clocks *c, u16 port, u8 val)
{
    bus_out(c->m, port, IO_8, val);
}

static u8 in8(struct clocks *c, u16 port)
{
    return (u8)bus_in(c->m, port, IO_8);
}

static void pci_write(struct clocks *c, u32 reg, u32 val)
{
    bus_out(c->m, 0xcf8, IO_32, 0x80000000 | 0x0b00 | (reg & 0xfc));
    bus_out(c->m, 0xcfc + (reg & 3), IO_8, val);
}

static void start(struct clocks *c)
{
    static const u8 rom[64 << 10];
    int fd;

    *c = (struct clocks){0};
    strcpy(c->bios, "/tmp/ring3-clocks-XXXXXX");
    fd = mkstemp(c->bios);
    check(fd >= 0 && write(fd, rom, sizeof(rom)) == sizeof(rom), "no room for a BIOS in /tmp");
    close(fd);
    c->options = (struct options){.ram = MIB(8), .bios = c->bios, .engine = engines[0]};
    c->m = machine_new(&c->options);
    clock_start(c->m);
    pci_write(c, 0x41, PM_BASE >> 8);
    pci_write(c, 0x80, 1);
    pci_write(c, 0x04, 1);
    out8(c, 0x43, 0x34); /* channel 0, mode 2, 65536 */
    out8(c, 0x40, 0);
    out8(c, 0x40, 0);
    bus_memory_write(c->m->bus, 0xfee003e0, 4, 0xb);     /* divided by 1 */
    bus_memory_write(c->m->bus, 0xfee00320, 4, 0x10000); /* masked, once */
    bus_memory_write(c->m->bus, 0xfee00380, 4, 0xffffffff);
}

static void stop(struct clocks *c)
{
    clock_stop(c->m);
    machine_free(c->m);
    unlink(c->bios);
}

/* ---- Readings, in ticks since the first one ---- */

static u64 raw(struct clocks *c, enum clock_name which)
{
    u32 low;

    switch (which) {
    case PIT:
        out8(c, 0x43, 0);
        low = in8(c, 0x40);
        return 65536 - (low | (u32)in8(c, 0x40) << 8);
    case PM:
        return bus_in(c->m, PMTMR, IO_32);
    case APIC:
        return 0xffffffff - bus_memory_read(c->m->bus, CURRENT, 4);
    default:
        return cpu_tsc(c->m->cpu);
    }
}

static u64 elapsed(struct clocks *c, enum clock_name which)
{
    static const u64 width[CLOCKS] = {0xffff, 0xffffff, 0xffffffff, ~0ull};
    u64 now = raw(c, which);

    c->sum[which] += (now - c->last[which]) & width[which];
    c->last[which] = now;
    return c->sum[which];
}

static u64 elapsed_ns(struct clocks *c, enum clock_name which)
{
    static const u64 hz[CLOCKS] = {1193182, 3579545, 1000000000, 0};
    u64 by = which == TSC ? c->tsc_hz : hz[which];

    return (u64)((unsigned __int128)elapsed(c, which) * SEC(1) / by);
}

/* All at one time, as far as a few tries make them. */
static void begin(struct clocks *c)
{
    u64 least = ~0ull, now[CLOCKS], took;

    for (u32 n = 0; n < 20; n++) {
        took = cpu_tsc(c->m->cpu);
        for (u32 i = 0; i < CLOCKS; i++)
            now[i] = raw(c, i);
        took = now[TSC] - took;
        if (took < least)
            memcpy(c->last, now, sizeof(now));
        least = took < least ? took : least;
    }
    memset(c->sum, 0, sizeof(c->sum));
}

/* The TSC's rate as the host's raw clock has it. */
static u64 host_tsc_hz(struct clocks *c)
{
    u64 ns = host_ns(CLOCK_MONOTONIC_RAW), tsc = __builtin_ia32_rdtsc();

    compute(MSEC(50));
    ns = host_ns(CLOCK_MONOTONIC_RAW) - ns;
    tsc = __builtin_ia32_rdtsc() - tsc;
    return (u64)((unsigned __int128)tsc * SEC(1) / ns);
}

/* Reads all, with something between two of the readings, and checks that the first and the last
 * tell the same. */
static void compare(struct clocks *c, u32 round, void (*between)(struct clocks *c), u64 spread,
                    u32 *wrong)
{
    u64 first[CLOCKS], again, most = 0;

    for (u32 i = 0; i < CLOCKS; i++) {
        if (i == 1 + round % (CLOCKS - 1))
            between(c);
        first[i] = elapsed_ns(c, (i + round) % CLOCKS);
    }
    for (u32 i = 0; i < CLOCKS; i++)
        for (u32 j = 0; j < i; j++) {
            u64 apart = first[i] > first[j] ? first[i] - first[j] : first[j] - first[i];

            most = apart > most ? apart : most;
        }
    again = elapsed_ns(c, PM);
    *wrong += most > spread + again / 10000;
}

static void nothing(struct clocks *c)
{
}

/* As when the host runs something else. */
static void taken(struct clocks *c)
{
    usleep(3000);
}

/* The run loop serves the host between two instructions. */
static void drawn(void *arg, u32 events)
{
    char byte;

    check(read(*(int *)arg, &byte, 1) == 1, "the pipe is empty");
    compute(MSEC(2));
}

static void served(struct clocks *c)
{
    int fd[2];

    check(!pipe(fd) && write(fd[1], "x", 1) == 1, "no pipe");
    loop_add(c->m, fd[0], LOOP_READ, drawn, &fd[0]);
    loop_poll(c->m, 0);
    loop_remove(c->m, fd[0]);
    close(fd[0]);
    close(fd[1]);
}

enum { ROUNDS = 20, TRIES = 4, DISTURBED = 5 };

static u32 rounds(void (*between)(struct clocks *c), u64 gap, u64 spread)
{
    struct clocks c;
    u32 wrong = 0;

    start(&c);
    c.tsc_hz = host_tsc_hz(&c);
    begin(&c);
    for (u32 i = 0; i < ROUNDS; i++) {
        compute(gap);
        compare(&c, i, between, spread, &wrong);
    }
    stop(&c);
    return wrong;
}

/* A round that the host disturbs is wrong by the length of its interrupts: some may be, and on a busy
 * host all of a try. */
static bool agree(void (*between)(struct clocks *c), u64 gap, u64 spread)
{
    for (u32 i = 0; i < TRIES; i++)
        if (rounds(between, gap, spread) <= DISTURBED)
            return true;
    return false;
}

TEST(clocks, agree)
{
    CHECK(agree(nothing, USEC(500), USEC(20)));
}

/* What the host takes to stop and start a thread is that thread's own CPU time. */
TEST(clocks, agree_when_the_host_takes_the_processor)
{
    CHECK(agree(taken, USEC(100), USEC(200)));
}

TEST(clocks, agree_when_the_host_is_served)
{
    CHECK(agree(served, MSEC(40), USEC(200)));
}

/* Finding out how fine the host's CPU time is takes 20 us: they are not the guest's. */
TEST(clocks, start_where_they_stood)
{
    struct clocks c;
    u32 before = 0;
    u64 stood;

    start(&c);
    for (u32 i = 0; i < 2000; i++) {
        clock_stop(c.m);
        stood = clock_now(c.m);
        clock_start(c.m);
        if (i & 1)
            compute(USEC(15));
        before += clock_now(c.m) < stood;
    }
    stop(&c);
    CHECK_EQ(before, 0);
}
