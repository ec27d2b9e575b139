/*
 * Changes of PE in the cache (bt/memo.S): done again as C did them, while the segments are what
 * they were; and LGDT of the table that is there.
 */
#include "bt/memo.h"
#include "tests/bt/to_hlt.h"

enum { DATA = 0x200 };

static u64 quick(struct bt *bt)
{
    return bt_memo_hits(bt, MEMO_PE);
}

/* What the cache takes for the context is what C finds. */
static void check_context(struct bt *bt)
{
    u32 context = tc_of(bt->cpu)->context;

    CHECK_EQ(bt_context(bt), context);
}

static const u8 to_and_fro[] = {
    0x0f, 0x20, 0xc0, /* mov eax, cr0 */
    0x0c, 0x01,       /* or al, 1 */
    0x0f, 0x22, 0xc0, /* mov cr0, eax */
    0x88, 0xc3,       /* mov bl, al */
    0x24, 0xfe,       /* and al, 0feh */
    0x0f, 0x22, 0xc0, /* mov cr0, eax */
    0xf4,
};

static const u8 to[] = {
    0x0f, 0x20, 0xc0, /* mov eax, cr0 */
    0x34, 0x01,       /* xor al, 1 */
    0x0f, 0x22, 0xc0, /* mov cr0, eax */
    0x43,             /* inc bx */
    0xf4,
};

TEST(bt_modes, pe_is_changed_in_the_cache)
{
    struct bt *bt = bt_for(to_and_fro, sizeof(to_and_fro));
    struct vcpu *cpu = bt->cpu;
    u64 writes = cpu->stats.cr0_writes;

    quick(bt);
    quick(bt); /* loads go by a direct map from now on: another context */
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(quick(bt), 2);
        CHECK(!(cpu->cr0 & CR0_PE) && cpu->gpr[EBX] & 1);
        check_context(bt);
    }
    CHECK_EQ(cpu->stats.cr0_writes - writes, 10);
}

TEST(bt_modes, other_segments_are_another_context)
{
    struct bt *bt = bt_for(to, sizeof(to));
    struct vcpu *cpu = bt->cpu;
    struct segment data = cpu->seg[DS];

    for (u32 i = 0; i < 6; i++)
        quick(bt);
    CHECK(!(cpu->cr0 & CR0_PE));
    CHECK_EQ(quick(bt), 1);
    CHECK(cpu->cr0 & CR0_PE);
    CHECK_EQ(tc_of(cpu)->reach[FS][1], 0xffff);
    check_context(bt);
    CHECK_EQ(quick(bt), 1);

    cpu->seg[FS].limit = ~0u;
    CHECK_EQ(quick(bt), 0);
    CHECK_EQ(tc_of(cpu)->reach[FS][1], ~0u);
    CHECK_EQ(quick(bt), 0); /* and back */
    CHECK_EQ(quick(bt), 1);
    CHECK_EQ(tc_of(cpu)->reach[FS][1], ~0u);
    CHECK_EQ(tc_of(cpu)->beyond[FS], 0);
    CHECK(tc_of(cpu)->beyond[GS] != 0);
    check_context(bt);
    CHECK_EQ(quick(bt), 1);

    cpu->seg[DS].attr = (u16)(cpu->seg[DS].attr & ~SEG_W); /* C's in protected mode alone */
    for (u32 i = 0; i < 6; i++) {
        quick(bt);
        check_context(bt);
    }
    cpu->seg[DS] = data;
    quick(bt);
    check_context(bt);
    CHECK_EQ(cpu->gpr[EBX] & 0xffff, 19);
}

TEST(bt_modes, the_table_that_is_there_is_loaded_in_the_cache)
{
    static const u8 program[] = {
        0x66, 0x0f, 0x01, 0x17, /* lgdt [bx], of 32 bits */
        0x0f, 0x01, 0x1f,       /* lidt [bx], of 24 */
        0xf4,
    };
    struct bt *bt = bt_for(program, sizeof(program));
    struct vcpu *cpu = bt->cpu;
    const u64 *callouts = bt->stats.callout_by;
    u8 *table = mmu_ram(cpu->mmu) + PROGRAM_AT + DATA;

    cpu->gpr[EBX] = DATA;
    memcpy(table, "\x1f\x02\x00\x30\x00\x45", 6);
    for (u32 i = 0; i < 4; i++) {
        quick(bt);
        CHECK_EQ(cpu->gdtr.base, 0x45003000);
        CHECK_EQ(cpu->idtr.base, 0x3000);
        CHECK(cpu->gdtr.limit == 0x21f && cpu->idtr.limit == 0x21f);
    }
    CHECK_EQ(callouts[ZYDIS_MNEMONIC_LGDT], 1);
    CHECK_EQ(callouts[ZYDIS_MNEMONIC_LIDT], 1);
    table[0] = 0x27;
    quick(bt);
    table[4] = 0x01;
    quick(bt);
    CHECK_EQ(cpu->gdtr.base, 0x45013000);
    CHECK_EQ(cpu->idtr.base, 0x13000);
    CHECK_EQ(cpu->gdtr.limit, 0x227);
    CHECK_EQ(callouts[ZYDIS_MNEMONIC_LIDT], 3);
}
