/*
 * RDTSC in translated code: by itself while the guest reads it often, by C after a gap, in which the host
 * may have taken time, and as C says: for each, or so long after C's own look (runtime/machine/stolen.c).
 */
#include "bt/tu.h"
#include "cpu/deliver.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>
#include <x86intrin.h>

enum { CODE = 0x10000, TICKS = 40000000 };

static const u8 often[] = { 0x0f, 0x31, 0x40, 0xeb, 0xfb }; /* rdtsc; inc ax; again */
/* rdtsc; mov dx, 8; 1: mov cx, FFFF; loop to itself; dec dx; jnz 1b; again: more than 65536 ticks between */
static const u8 seldom[] = { 0x0f, 0x31, 0xba, 0x08, 0x00, 0xb9, 0xff, 0xff,
                             0xe2, 0xfe, 0x4a, 0x75, 0xf8, 0xeb, 0xf1 };

static u32 asked;
static enum { GAPS, EACH, ASIDE } when;

static u64 host_tsc(struct vcpu *cpu)
{
    u64 now = __rdtsc();

    asked++;
    cpu->tsc_noted = when == ASIDE ? &cpu->tsc_seen : &cpu->tsc_unseen;
    cpu->tsc_unseen = when == EACH ? 0 : ~now;
    return now;
}

static u32 asks(const u8 *program, u32 size, int how)
{
    struct rig *r = rig_new(NULL, NULL);
    struct vcpu *cpu = r->m->cpu;
    struct bt_config config = { 0 };
    const char *why = NULL;

    r->m->clock_manual = false;
    cpu->pins.host_tsc = host_tsc;
    CHECK(bt_new(cpu, &config, &why) != NULL);
    memcpy(mmu_ram(cpu->mmu) + CODE, program, size);
    cpu_reset(cpu);
    cpu_load_segment_real(cpu, CS, CODE >> 4);
    cpu->eip = 0;
    cpu->requests = 0;
    cpu->tsc_unseen = 0;
    asked = 0;
    when = how;
    cpu_set_deadline(cpu, __rdtsc() + TICKS);
    cpu->engine->run(cpu);
    return asked;
}

/* The host may disturb some tries, and let none of the guest run in another. */
TEST(bt_rdtsc, asks_c_after_a_gap_only)
{
    u32 few = ~0u, aside = ~0u, gaps = 0, each = 0, n;

    for (u32 i = 0; i < 100 && (few >= 40 || gaps < 3 || each <= 1000 || aside >= 1000); i++) {
        n = asks(often, sizeof(often), GAPS);
        few = n && n < few ? n : few;
        n = asks(seldom, sizeof(seldom), GAPS);
        gaps = n > gaps ? n : gaps;
        n = asks(often, sizeof(often), EACH);
        each = n > each ? n : each;
        n = asks(often, sizeof(often), ASIDE);
        aside = n > 40 && n < aside ? n : aside;
    }
    CHECK(few < 40); /* the first, those before it is translated, and the host's pauses */
    CHECK(gaps >= 3);
    CHECK(each > 1000);
    CHECK(aside < 1000); /* 610 times 65536 ticks, however often it is read */
}
