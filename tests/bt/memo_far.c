/*
 * Far transfers in the cache (bt/memo_far.S): done again where they led the last time, and
 * given to C where that would be wrong.
 */
#include "bt/memo.h"
#include "cpu/control.h"
#include "tests/bt/to_hlt.h"

enum { CODE = PROGRAM_AT, OTHER = 0x20000, START = PROGRAM_START, STACK = 0x8000, HANDLER = 0x400,
       FLAGS = 0x600 };

static struct bt *start(const u8 *program, u32 n)
{
    struct bt *bt = bt_for(program, n);
    u8 *ram = mmu_ram(bt->cpu->mmu);

    memcpy(ram + OTHER + START, "\x43\xcb", 2);   /* inc bx;  retf */
    memcpy(ram + CODE + HANDLER, "\x46\xcf", 2);  /* inc si;  iret */
    for (u32 v = 0; v < 256; v++)
        memcpy(ram + 4 * v, &(u32){ HANDLER | CODE << 12 }, 4);
    return bt;
}

/* Far transfers done in the cache by a run. */
static u64 quick_in_run(struct bt *bt)
{
    u64 hits;

    bt->cpu->gpr[ESP] = STACK;
    hits = bt_memo_hits(bt, MEMO_FAR);
    CHECK_EQ(bt->cpu->seg[CS].selector, CODE >> 4);
    return hits;
}

TEST(bt_far, calls_and_interrupts_are_done_again)
{
    static const u8 program[] = {
        0x9a, 0x00, 0x01, 0x00, 0x20, /* call 2000:0100 */
        0xcd, 0x60,                   /* int 60h */
        0xea, 0x0c, 0x01, 0x00, 0x10, /* jmp 1000:010c */
        0xf4,
    };
    struct bt *bt = start(program, sizeof(program));
    struct vcpu *cpu = bt->cpu;

    quick_in_run(bt);
    quick_in_run(bt); /* loads go by a direct map from now on: another context */
    for (u32 i = 3; i < 6; i++) {
        cpu->int_flag = 1;
        CHECK_EQ(quick_in_run(bt), 5);
        CHECK_EQ(cpu->gpr[EBX], i);
        CHECK_EQ(cpu->gpr[ESI], i);
        CHECK_EQ(cpu->gpr[ESP], STACK);
        CHECK_EQ(cpu->int_flag, 1);
    }
    /* another handler */
    memcpy(mmu_ram(cpu->mmu) + 4 * 0x60, &(u32){ (HANDLER + 1) | CODE << 12 }, 4);
    quick_in_run(bt);
    CHECK_EQ(cpu->gpr[ESI], 5);
}

TEST(bt_far, not_beyond_the_limit)
{
    static const u8 program[] = {
        0x66, 0xff, 0x2d,                         /* jmp far dword [di] */
        0xf4,
    };
    struct bt *bt = start(program, sizeof(program));
    struct vcpu *cpu = bt->cpu;
    u8 *ram = mmu_ram(cpu->mmu);

    memcpy(ram + 4 * EXC_GP, &(u32){ HANDLER | CODE << 12 }, 4);
    memcpy(ram + CODE + HANDLER, "\xbe\x0d\x00\xf4", 4); /* mov si, 13;  hlt */
    memcpy(ram + CODE + 0x700, "\xf4", 1);
    memcpy(ram + CODE + 0x800, "\x00\x07\x00\x00\x00\x10", 6); /* 1000:00000700 */
    memcpy(ram + CODE + 0x808, "\x00\x07\x01\x00\x00\x10", 6); /* 1000:00010700 */
    cpu->gpr[EDI] = 0x800;
    for (u32 i = 0; i < 3; i++)
        CHECK_EQ(quick_in_run(bt), i > 0);
    CHECK_EQ(cpu->eip, 0x701);
    cpu->gpr[EDI] = 0x808;
    CHECK_EQ(quick_in_run(bt), 0);
    CHECK_EQ(cpu->gpr[ESI], 13);
}

/* IOPL and NT, which IRET of real mode sets: the flags are pushed behind it. */
TEST(bt_far, iret_that_changes_more_is_not)
{
    static const u8 program[] = {
        0xff, 0x36, 0x00, 0x06, /* push word [FLAGS] */
        0x0e,                   /* push cs */
        0x68, 0x09, 0x01,       /* push 0109 */
        0xcf,                   /* iret */
        0x9c, 0x58,             /* pushf;  pop ax */
        0xf4,
    };
    struct bt *bt = start(program, sizeof(program));
    static const u16 flags[] = {
        0x0002, 0x3002, 0x2002, 0x0046, 0x4202, 0x0ad7, 0x7002, 0x0002
    };

    for (u32 i = 0; i < 4 * ARRAY_SIZE(flags); i++) {
        memcpy(mmu_ram(bt->cpu->mmu) + CODE + FLAGS, &flags[i / 4], 2);
        CHECK_EQ(quick_in_run(bt), i % 4 != 0);
        CHECK_EQ(bt->cpu->gpr[EAX] & 0xffff, flags[i / 4]);
    }
}

static u32 known_transfers(const struct vcpu *cpu)
{
    u32 n = 0;

    for (u32 i = 0; i < FAR_ENTRIES; i++)
        n += tc_of(cpu)->fars[i].selector != 0;
    return n;
}

/* The guest may write to the descriptor when it is loaded, or the transfer's own pushes may. */
TEST(bt_far, nothing_is_learnt_from_another_descriptor)
{
    struct bt *bt = start((const u8 *)"\xf4", 1);
    struct vcpu *cpu = bt->cpu;
    u64 *desc = (u64 *)(mmu_ram(cpu->mmu) + 0x808), good = 0x00cf9b000000ffff;

    *desc = good;
    cpu->gdtr = (struct table_register){ 0x800, 0xf };
    for (u32 s = ES; s <= GS; s++)
        cpu->seg[s] =
            (struct segment){ 0, ~0u, s == CS ? 8 : 0, (u16)(s == CS ? 0xc09b : 0xc093) };
    CHECK(cpu_set_cr0(cpu, CR0_PE | CR0_ET));
    cpu->eip = CODE;
    bt_run_one(cpu); /* fills the sptes; the byte is a HLT */
    mmu_host(&cpu->paging, 0x808, MMU_READ | MMU_SYSTEM, &(bool){ false });
    *desc = good & ~(1ull << 40); /* accessed: no more */
    memo_learn_far(bt, bt_context(bt));
    CHECK_EQ(known_transfers(cpu), 0);
    *desc = good;
    memo_learn_far(bt, bt_context(bt));
    CHECK_EQ(known_transfers(cpu), 1);
}

/* What is known of transfers names contexts by number. */
TEST(bt_far, forgotten_contexts_leave_nothing)
{
    struct bt *bt = start((const u8 *)"\xcd\x60\xf4", 3); /* int 60h;  hlt */
    struct vcpu *cpu = bt->cpu;
    struct context c = { .cs_limit = 0x12345 };

    quick_in_run(bt);
    CHECK(known_transfers(cpu) > 0);
    tc_of(cpu)->ints[1].from = tc_of(cpu)->irets[1].from = 1;
    while (context_number(bt, &c))
        c.cs_base += 16;
    cpu_load_segment_real(cpu, CS, 0x1234);
    CHECK(bt_context(bt) != 0);
    CHECK_EQ(known_transfers(cpu), 0);
    CHECK_EQ(tc_of(cpu)->ints[1].from, 0);
    CHECK_EQ(tc_of(cpu)->irets[1].from, 0);
}
