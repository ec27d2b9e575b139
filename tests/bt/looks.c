/*
 * LAR, LSL, VERR and VERW in the cache (bt/memo.S): answered again as the last time, until the
 * descriptor, the selector or the table is another.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, START = 0x100, TABLE = 0x3000, DATA = 0x08, SYSTEM = 0x10 };

/* In protected mode with the hidden parts of real mode. */
static struct bt *start(const u8 *program, u32 n)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { 0 };
    const char *why = NULL;
    struct bt *bt;

    cpu_reset(m->cpu);
    bt = bt_new(m->cpu, &config, &why);
    CHECK(bt != NULL);
    memcpy(mmu_ram(m->mmu) + CODE + START, program, n);
    memcpy(mmu_ram(m->mmu) + TABLE + DATA, "\x34\x12\x00\x00\x00\x93\x40\x00", 8);
    memcpy(mmu_ram(m->mmu) + TABLE + SYSTEM, "\x34\x12\x00\x00\x00\x8e\x40\x00", 8); /* a gate */
    for (u32 s = ES; s <= DS; s++)
        cpu_load_segment_real(m->cpu, (enum seg)s, CODE >> 4);
    m->cpu->gdtr.base = TABLE;
    m->cpu->gdtr.limit = 0x17;
    m->cpu->cr0 |= CR0_PE;
    return bt;
}

/* How many were answered in the cache. */
static u64 quick(struct bt *bt, u16 selector)
{
    struct vcpu *cpu = bt->cpu;
    u64 before = tc_of(cpu)->memo_hits[MEMO_LOOK];

    cpu->requests = 0;
    cpu->eip = START;
    cpu->gpr[EAX] = selector;
    cpu->gpr[ECX] = cpu->gpr[EDX] = 0x55555555;
    for (u32 i = 0; i < 1000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
    return tc_of(cpu)->memo_hits[MEMO_LOOK] - before;
}

static const u8 looks[] = {
    0x66, 0x0f, 0x02, 0xd0, /* lar edx, eax */
    0x66, 0x0f, 0x03, 0xc8, /* lsl ecx, eax */
    0x0f, 0x00, 0xe8,       /* verw ax */
    0x0f, 0x00, 0xe0,       /* verr ax */
    0xf4,
};

TEST(bt_looks, are_answered_again)
{
    struct bt *bt = start(looks, sizeof(looks));

    for (u32 i = 0; i < 5; i++) {
        CHECK_EQ(quick(bt, DATA) == 4, i >= 1);
        CHECK_EQ(bt->cpu->gpr[EDX], 0x00409300);
        CHECK_EQ(bt->cpu->gpr[ECX], 0x1234);
        CHECK(bt->cpu->eflags & FLAG_ZF);
    }
}

TEST(bt_looks, no_is_an_answer)
{
    struct bt *bt = start(looks, sizeof(looks));

    for (u32 i = 0; i < 5; i++) {
        CHECK_EQ(quick(bt, SYSTEM) == 4, i >= 1);
        CHECK_EQ(bt->cpu->gpr[EDX], 0x55555555);
        CHECK_EQ(bt->cpu->gpr[ECX], 0x55555555);
        CHECK(!(bt->cpu->eflags & FLAG_ZF));
    }
}

TEST(bt_looks, another_descriptor_is_looked_at_anew)
{
    struct bt *bt = start(looks, sizeof(looks));

    for (u32 i = 0; i < 4; i++)
        quick(bt, DATA);
    mmu_ram(bt->cpu->mmu)[TABLE + DATA] = 0x99;
    CHECK_EQ(quick(bt, DATA), 0);
    CHECK_EQ(bt->cpu->gpr[ECX], 0x1299);
    CHECK_EQ(quick(bt, DATA), 4);
    CHECK_EQ(bt->cpu->gpr[ECX], 0x1299);
}

TEST(bt_looks, a_shorter_table_ends_what_lay_in_it)
{
    struct bt *bt = start(looks, sizeof(looks));

    for (u32 i = 0; i < 4; i++)
        quick(bt, DATA);
    bt->cpu->gdtr.limit = 7;
    CHECK_EQ(quick(bt, DATA), 0);
    CHECK(!(bt->cpu->eflags & FLAG_ZF));
    CHECK_EQ(bt->cpu->gpr[ECX], 0x55555555);
}
