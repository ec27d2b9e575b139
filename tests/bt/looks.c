/*
 * LAR, LSL, VERR and VERW in the cache (bt/memo.S): answered again as the last time, until the
 * descriptor, the selector or the table is another.
 */
#include "bt/memo.h"
#include "tests/bt/to_hlt.h"

enum { TABLE = 0x3000, DATA = 0x08, SYSTEM = 0x10 };

/* In protected mode with the hidden parts of real mode. */
static struct bt *start(const u8 *program, u32 n)
{
    struct bt *bt = bt_for(program, n);
    struct vcpu *cpu = bt->cpu;

    memcpy(mmu_ram(cpu->mmu) + TABLE + DATA, "\x34\x12\x00\x00\x00\x93\x40\x00", 8);
    memcpy(mmu_ram(cpu->mmu) + TABLE + SYSTEM, "\x34\x12\x00\x00\x00\x8e\x40\x00", 8); /* a gate */
    cpu->gdtr.base = TABLE;
    cpu->gdtr.limit = 0x17;
    cpu->cr0 |= CR0_PE;
    return bt;
}

/* How many were answered in the cache. */
static u64 quick(struct bt *bt, u16 selector)
{
    bt->cpu->gpr[EAX] = selector;
    bt->cpu->gpr[ECX] = bt->cpu->gpr[EDX] = 0x55555555;
    return bt_memo_hits(bt, MEMO_LOOK);
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

/* Threads that have a segment each write its base to the same descriptor. */
TEST(bt_looks, another_base_of_fs_is_loaded_in_the_cache)
{
    static const u8 program[] = { 0x8e, 0xe0, 0xf4 }; /* mov fs, ax */
    struct bt *bt = start(program, sizeof(program));
    const struct segment *fs = &bt->cpu->seg[FS];
    u8 *desc = mmu_ram(bt->cpu->mmu) + TABLE + DATA;

    bt->cpu->gpr[EAX] = DATA;
    for (u32 i = 0; i < 4; i++)
        bt_memo_hits(bt, MEMO_SEGMENT);
    for (u32 i = 0; i < 4; i++) {
        desc[2] = (u8)(0x11 + i);
        desc[4] = (u8)(0x22 + i);
        desc[7] = (u8)(0x83 + i);
        CHECK_EQ(bt_memo_hits(bt, MEMO_SEGMENT), 1);
        CHECK_EQ(fs->base, 0x83220011 + i * 0x01010001);
        CHECK_EQ(fs->limit, 0x1234);
        CHECK_EQ(tc_of(bt->cpu)->reach[FS][1], 0x1234);
    }
    desc[0] = 0x35;
    CHECK_EQ(bt_memo_hits(bt, MEMO_SEGMENT), 0);
    CHECK_EQ(fs->limit, 0x1235);
    CHECK_EQ(bt_memo_hits(bt, MEMO_SEGMENT), 1);
    desc[5] = 0x91; /* only to be read */
    CHECK_EQ(bt_memo_hits(bt, MEMO_SEGMENT), 0);
    CHECK_EQ(tc_of(bt->cpu)->reach[FS][1], -1);
}

/* An operand at a number from FS' base is not compared with the limit where FS reaches all;
 * what was made so meets a shorter FS, in the cache and by C. */
TEST(bt_looks, fs_that_reaches_all_may_get_shorter)
{
    static const u8 program[] = {
        0x8e, 0xe0,                                           /* mov fs, ax */
        0x64, 0x66, 0x67, 0x8b, 0x1d, 0x20, 0x00, 0x00, 0x00, /* mov ebx, fs:[dword 20h] */
        0xf4,
    };
    struct bt *bt = start(program, sizeof(program));
    struct vcpu *cpu = bt->cpu;
    u8 *ram = mmu_ram(cpu->mmu), *all = ram + TABLE + DATA, *some = ram + TABLE + SYSTEM;

    memcpy(all, "\xff\xff\x00\x50\x00\x93\xcf\x00", 8);
    memcpy(some, "\x23\x00\x00\x60\x00\x93\x40\x00", 8);
    memcpy(ram + 0x5020, "\x11\x22\x33\x44", 4);
    memcpy(ram + 0x6020, "\x55\x66\x77\x88", 4);
    cpu->gpr[EAX] = DATA;
    for (u32 i = 0; i < 4; i++) {
        CHECK_EQ(bt_memo_hits(bt, MEMO_SEGMENT), i > 0);
        CHECK_EQ(cpu->gpr[EBX], 0x44332211);
        CHECK_EQ(tc_of(cpu)->beyond[FS], 0);
    }
    CHECK_EQ(bt->stats.signals_align, 0);
    for (u32 i = 0; i < 8; i++) {
        cpu->gpr[EAX] = i & 1 ? DATA : SYSTEM;
        bt_memo_hits(bt, MEMO_SEGMENT);
        CHECK_EQ(cpu->gpr[EBX], i & 1 ? 0x44332211 : 0x88776655);
        CHECK_EQ(tc_of(cpu)->beyond[FS] != 0, !(i & 1));
    }
    CHECK_EQ(bt->stats.signals_align, 1);
}
