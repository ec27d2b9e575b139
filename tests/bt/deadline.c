/*
 * Code that runs looks at the clock: whatever it does, the engine leaves soon after the deadline, without a signal.
 */
#include "bt/tu.h"
#include "cpu/deliver.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/hostclock.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>
#include <x86intrin.h>

enum { CODE = 0x10000, TICKS = 2000000, TRIES = 5 };

/* The least lateness of a few tries, in ticks of the TSC: the host may be busy. */
static u64 lateness(struct vcpu *cpu, const u8 *program, u32 size)
{
    u64 least = ~0ull, now, late;

    memcpy(mmu_ram(cpu->mmu) + CODE, program, size);
    for (u32 i = 0; i < TRIES; i++) {
        cpu_reset(cpu);
        cpu_load_segment_real(cpu, CS, CODE >> 4);
        cpu_load_segment_real(cpu, DS, 0x2000);
        cpu_load_segment_real(cpu, ES, 0x3000);
        cpu->eip = 0;
        cpu->requests = 0;
        cpu_set_deadline(cpu, __rdtsc() + TICKS);
        cpu->engine->run(cpu);
        now = __rdtsc();
        CHECK(now >= cpu->deadline);
        CHECK(cpu->requests & REQ_TIMER);
        late = now - cpu->deadline;
        least = late < least ? late : least;
        cpu->deadline = ~0ull;
    }
    return least;
}

static const u8 tight[] = { 0xeb, 0xfe };                                  /* jmp to itself */
static const u8 calls[] = { 0xe8, 0x02, 0x00, 0xeb, 0xfb, 0x40, 0xc3 };    /* a loop of calls */
static const u8 ports[] = { 0xe4, 0x70, 0xeb, 0xfc };                      /* in al, 70h; again */
static const u8 copies[] = { 0xb9, 0xff, 0xff, 0x31, 0xf6, 0x31, 0xff, 0xf3, 0xa4, 0xeb, 0xf5 };    /* rep movsb */
static const u8 compares[] = { 0xb9, 0xff, 0xff, 0x31, 0xf6, 0x31, 0xff, 0xf3, 0xa6, 0xeb, 0xf5 };  /* repe cmpsb */
static const struct {
    const u8 *program;
    u32 size;
} programs[] = { { tight, sizeof(tight) }, { calls, sizeof(calls) }, { ports, sizeof(ports) },
                 { copies, sizeof(copies) }, { compares, sizeof(compares) } };

TEST(deadline, is_met_by_code_of_every_kind)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    for (u32 engine = 0; engine < 2; engine++) {
        struct bt_config config = { 0 };
        const char *why = NULL;

        if (engine)
            CHECK(bt_new(cpu, &config, &why) != NULL);
        for (u32 i = 0; i < ARRAY_SIZE(programs); i++)
            CHECK(lateness(cpu, programs[i].program, programs[i].size) < 200000);
    }
    CHECK_EQ(((struct bt *)cpu->bt)->stats.exits_fault, ((struct bt *)cpu->bt)->stats.interpreted);
}

TEST(deadline, that_comes_nearer_is_met_too)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    cpu_set_deadline(cpu, __rdtsc() + 1000000000000);
    CHECK(!(cpu->requests & REQ_TIMER) && !cpu->hurry);
    cpu_set_deadline(cpu, __rdtsc() + 30000);
    CHECK(cpu->hurry);
    cpu_set_deadline(cpu, 0);
    CHECK(cpu->requests & REQ_TIMER);
}
