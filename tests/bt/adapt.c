/*
 * Sites change their form by what happens there, both ways (bt/adapt.c): a divide that faults
 * becomes a callout, and the host's instruction again after a trial without a fault; a store
 * that meets a code page is checked; a load goes by the direct map until it finds nothing
 * there.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, HANDLER = 0x800, DATA = 0x20000, FIRST = 64, LAST = 1024 };
#define NUMBER(fact) __builtin_ctz(fact)

/* 1: div byte [bx];  loop 1b;  hlt.  The quotient of AX: 0; of a divisor 0: #DE */
static const u8 divides[] = { 0xf6, 0x37, 0xe2, 0xfc, 0xf4 };
/* 1: mov [bx], ax;  loop 1b;  hlt */
static const u8 stores[] = { 0x89, 0x07, 0xe2, 0xfc, 0xf4 };
/* 1: mov ax, [bx];  loop 1b;  hlt */
static const u8 loads[] = { 0x8b, 0x07, 0xe2, 0xfc, 0xf4 };
/* Behind the divide: push bp;  mov bp, sp;  add word [bp+2], 2;  pop bp;  iret */
static const u8 handler[] = { 0x55, 0x89, 0xe5, 0x83, 0x46, 0x02, 0x02, 0x5d, 0xcf };

static struct bt *start(const u8 *program)
{
    static const u16 vector0[2] = { HANDLER, CODE >> 4 };
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { 0 };
    const char *why = NULL;
    u8 *ram = mmu_ram(m->mmu);

    cpu_reset(m->cpu);
    CHECK(bt_new(m->cpu, &config, &why) != NULL);
    memcpy(ram, vector0, sizeof(vector0));
    memcpy(ram + CODE, program, sizeof(stores));
    memcpy(ram + CODE + HANDLER, handler, sizeof(handler));
    cpu_load_segment_real(m->cpu, CS, CODE >> 4);
    m->cpu->gpr[ESP] = 0x8000;
    return m->cpu->bt;
}

/* The loop at an address, so often. */
static void run(struct bt *bt, gpa_t gpa, u16 times)
{
    struct vcpu *cpu = bt->cpu;

    cpu->requests = 0;
    cpu_load_segment_real(cpu, DS, (u16)(gpa >> 4 & 0xf000));
    cpu->gpr[EAX] = 0;
    cpu->gpr[EBX] = gpa & 0xffff;
    cpu->gpr[ECX] = times;
    cpu->eip = 0;
    for (u32 i = 0; i < 100 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
}

/* Divides by `divisor` so often. Returns how many of them C did. */
static u64 divide(struct bt *bt, u8 divisor, u16 times)
{
    u64 before = bt->stats.callout_by[ZYDIS_MNEMONIC_DIV];

    mmu_ram(bt->cpu->mmu)[DATA] = divisor;
    run(bt, DATA, times);
    return bt->stats.callout_by[ZYDIS_MNEMONIC_DIV] - before;
}

static void offend(struct bt *bt)
{
    divide(bt, 0, 10);
}

TEST(bt_adapt, a_guilty_site_serves_its_trial)
{
    struct bt *bt = start(divides);

    CHECK_EQ(divide(bt, 1, 100), 0);
    offend(bt);
    CHECK(bt->stats.signals_divide <= 2);
    CHECK_EQ(bt->stats.learnt[NUMBER(FACT_FAULTS)], 1);
    CHECK_EQ(bt->stats.forgotten, 0);
    CHECK_EQ(divide(bt, 1, FIRST - 1), FIRST - 1);
    CHECK_EQ(bt->stats.forgotten, 0);
    CHECK_EQ(divide(bt, 1, 100), 1);
    CHECK_EQ(bt->stats.forgotten, 1);
    CHECK_EQ(divide(bt, 1, 1000), 0);
}

TEST(bt_adapt, an_offence_within_the_trial_restarts_it)
{
    struct bt *bt = start(divides);

    offend(bt);
    CHECK_EQ(divide(bt, 1, FIRST - 1), FIRST - 1);
    CHECK_EQ(divide(bt, 0, 10), 10);
    CHECK_EQ(divide(bt, 1, FIRST + 5), FIRST);
}

TEST(bt_adapt, each_relapse_doubles_the_trial_up_to_a_limit)
{
    struct bt *bt = start(divides);

    for (u64 trial = FIRST, signals; trial <= 4 * LAST; trial *= 2) {
        signals = bt->stats.signals_divide;
        offend(bt);
        if (trial > FIRST)
            CHECK_EQ(bt->stats.signals_divide - signals, 1); /* a callout at once */
        CHECK_EQ(divide(bt, 1, 5 * LAST), trial < LAST ? trial : LAST);
    }
}

/* To plain memory. */
static void stores_need_no_callout(struct bt *bt)
{
    u64 callouts;

    run(bt, DATA, 1); /* fills the shadow */
    callouts = bt->stats.callouts;
    run(bt, DATA, 1000);
    CHECK_EQ(bt->stats.callouts - callouts, 1); /* HLT */
}

TEST(bt_adapt, a_store_that_met_code_is_checked)
{
    struct bt *bt = start(stores);

    run(bt, DATA, 10); /* one signal, for a page not known yet, */
    run(bt, CODE + 0x900, 100);
    CHECK_EQ(bt->stats.signals_protected, 1); /* and the second */
    CHECK_EQ(bt->stats.learnt[NUMBER(FACT_UNUSUAL)], 1);
    stores_need_no_callout(bt);
}

/* Its registers told, when it was translated. */
TEST(bt_adapt, a_store_beside_its_code_starts_checked)
{
    struct bt *bt = start(stores);

    run(bt, CODE + 0x900, 100);
    CHECK_EQ(bt->stats.signals_protected, 0);
    CHECK_EQ(bt->stats.learnt[NUMBER(FACT_UNUSUAL)], 0);
    stores_need_no_callout(bt);
}

TEST(bt_adapt, misaligned_stores_stay_in_the_cache)
{
    struct bt *bt = start(stores);
    u64 callouts;

    run(bt, DATA + 1, 10);
    CHECK_EQ(bt->stats.signals_align, 1);
    CHECK_EQ(bt->stats.learnt[NUMBER(FACT_MISALIGNED)], 1);
    callouts = bt->stats.callouts;
    run(bt, DATA + 3, 1000);
    run(bt, DATA + 4, 1000);
    CHECK_EQ(bt->stats.callouts - callouts, 2); /* HLT */
    run(bt, DATA + 0xfff, 10); /* two pages in a row; the next is for the spte of the second */
    callouts = bt->stats.callouts;
    run(bt, DATA + 0xfff, 10);
    CHECK_EQ(bt->stats.callouts - callouts, 1);
}

/* The direct map comes to be when the first spte is filled; what was made before then goes by
 * the table. */
static struct bt *with_direct_map(const u8 *program)
{
    struct bt *bt = start(program);

    run(bt, DATA, 1);
    CHECK(mmu_direct_map_use(&bt->cpu->paging));
    bt_flush(bt);
    return bt;
}

TEST(bt_adapt, a_load_goes_by_the_window_until_it_misses)
{
    struct bt *bt = with_direct_map(loads);
    u64 missed = bt->stats.signals_miss;

    mmu_map_phys(bt->cpu->mmu, 0xb8000, PAGE_SIZE, NULL, NULL);
    run(bt, DATA, 1000);
    run(bt, DATA + 0x8000, 1000);
    CHECK_EQ(bt->stats.signals_miss, missed);
    CHECK_EQ(bt->stats.signals_direct_map, 0);
    run(bt, 0xb8000, 10); /* no memory */
    CHECK_EQ(bt->stats.signals_direct_map, 1);
    CHECK_EQ(bt->stats.learnt[NUMBER(FACT_UNMAPPED)], 1);
    run(bt, DATA, 1000);
    CHECK_EQ(bt->stats.signals_direct_map, 1);
}

TEST(bt_adapt, misaligned_loads_come_from_the_window)
{
    struct bt *bt = with_direct_map(loads);
    u64 callouts;

    mmu_ram(bt->cpu->mmu)[DATA + 0xfff] = 0x34;
    mmu_ram(bt->cpu->mmu)[DATA + 0x1000] = 0x12;
    run(bt, DATA + 0xfff, 10); /* over the end of a page, even */
    CHECK_EQ(bt->stats.signals_align, 1);
    CHECK_EQ(bt->stats.learnt[NUMBER(FACT_MISALIGNED)], 1);
    callouts = bt->stats.callouts;
    run(bt, DATA + 0xfff, 1000);
    CHECK_EQ(bt->stats.callouts - callouts, 1); /* HLT */
    CHECK_EQ(bt->cpu->gpr[EAX] & 0xffff, 0x1234);
}

/* A segment of 4 GiB with a base: what #AC no longer catches must not wrap. */
TEST(bt_adapt, misaligned_operands_end_at_the_limit)
{
    static const u8 wraps[] = { 0x67, 0x8b, 0x00, 0xf4, 0x90 }; /* mov ax, [eax];  hlt */
    static const u16 vector13[2] = { HANDLER + 0x40, CODE >> 4 };
    struct bt *bt = start(wraps);
    struct vcpu *cpu = bt->cpu;

    memcpy(mmu_ram(cpu->mmu) + 13 * 4, vector13, sizeof(vector13));
    mmu_ram(cpu->mmu)[CODE + HANDLER + 0x40] = 0xf4;
    cpu->seg[DS].limit = ~0u;
    for (u32 i = 0; i < 8; i++) {
        cpu->requests = 0;
        cpu->seg[DS].base = 0x100;
        cpu->gpr[EAX] = i < 6 ? DATA + 1 : 0xffffffff;
        cpu->eip = 0;
        for (u32 n = 0; n < 100 && !(cpu->requests & REQ_HALT); n++)
            bt_run(cpu);
        CHECK_EQ(cpu->eip, i < 6 ? 4 : HANDLER + 0x41);
    }
    CHECK_EQ(bt->stats.signals_align, 1);
}

/* Without A20, a target a megabyte up is just above its source: the pattern repeats, direct map
 * or not. `hits`: of n elements it is done without C, in turns where the pages differ and where not. */
static void copy_over_itself(u32 n, u32 memo, u32 hits_apart, u32 hits_over)
{
    /* rep movsd [edi], [esi];  hlt */
    static const u8 copy[] = { 0xf3, 0x67, 0x66, 0xa5, 0xf4 };
    struct bt *bt = start(copy);
    struct vcpu *cpu = bt->cpu;
    u32 *data = (u32 *)(mmu_ram(cpu->mmu) + DATA);

    mmu_set_a20(cpu->mmu, false);
    cpu->seg[DS].base = cpu->seg[ES].base = 0;
    cpu->seg[DS].limit = cpu->seg[ES].limit = ~0u;
    for (u32 turn = 0; turn < 4; turn++) {
        u32 hits = (u32)tc_of(cpu)->memo_hits[memo];

        for (u32 i = 0; i < 128; i++)
            data[i] = i;
        cpu->gpr[ESI] = DATA + 4;
        cpu->gpr[EDI] = DATA + (turn & 1 ? 8 : 0x2000) + 0x100000;
        cpu->gpr[ECX] = n;
        cpu->requests = 0;
        cpu->eip = 0;
        for (u32 i = 0; i < 100 && !(cpu->requests & REQ_HALT); i++)
            bt_run(cpu);
        CHECK_EQ(data[turn & 1 ? n + 1 : 0x2000 / 4 + n - 1], turn & 1 ? 1 : n);
        if (turn > 1) /* the shadow is filled */
            CHECK_EQ((u32)tc_of(cpu)->memo_hits[memo] - hits, turn & 1 ? hits_over : hits_apart);
    }
    CHECK(mmu_direct_map_use(&cpu->paging));
}

TEST(bt_adapt, copies_see_that_memory_overlaps)
{
    copy_over_itself(16, MEMO_SHORT, 1, 1); /* one by one */
    copy_over_itself(REP_SHORT + 1, MEMO_MOVS, 1, 0);
}

/* By sptes, out of line: the last page and the first are no neighbours. */
TEST(bt_adapt, misaligned_operands_end_with_the_address_space)
{
    static const u8 wraps[] = { 0x67, 0x03, 0x45, 0x00, 0xf4 }; /* add ax, [ebp];  hlt */
    static const u16 vector12[2] = { HANDLER + 0x40, CODE >> 4 };
    struct bt *bt = start(wraps);
    struct vcpu *cpu = bt->cpu;

    mmu_map_phys(cpu->mmu, 0xfffff000, PAGE_SIZE, mmu_ram(cpu->mmu) + 0x30000, NULL);
    memcpy(mmu_ram(cpu->mmu) + 12 * 4, vector12, sizeof(vector12));
    mmu_ram(cpu->mmu)[CODE + HANDLER + 0x40] = 0xf4;
    cpu->seg[SS].limit = ~0u;
    cpu->seg[SS].base = 0;
    for (u32 i = 0; i < 8; i++) {
        cpu->requests = 0;
        cpu->gpr[EBP] = i < 6 ? DATA + 1 : 0xffffffff;
        cpu->eip = 0;
        for (u32 n = 0; n < 100 && !(cpu->requests & REQ_HALT); n++)
            bt_run(cpu);
        CHECK_EQ(cpu->eip, i < 6 ? 5 : HANDLER + 0x41);
    }
}
