/*
 * Code of KEY_PIC (bt/context.h) at two linear addresses is one TU: EIPs are those of the place
 * it runs in, a chain looks where its target's page lies now, and a store drops it in both
 * places.
 */
#include "bt/tu.h"
#include "cpu/reset.h"
#include "mmu/pte.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum {
    DIRECTORY = 0x100000,
    TABLE = 0x101000,
    FIRST = 0x200000,
    SECOND = 0x201000,
    OTHER = 0x202000,
    THIRD = 0x203000,
    STACK = 0x300000,
    LOW = 0x00010000,
    HIGH = 0x00020000,
    ODD = 0x00030000,
    FAR_OFF = 0x00040000
};

/* call SECOND;  hlt; at 10h: call ecx;  hlt; at 20h: call 30h;  hlt; at 30h: mov eax, [esp];
 * ret */
static const u8 first[] = {0xe8, 0xfb, 0x0f, 0,    0,    0xf4, 0,   0,    0, 0, 0, 0, 0, 0, 0,
                           0,    0xff, 0xd1, 0xf4, 0,    0,    0,   0,    0, 0, 0, 0, 0, 0, 0,
                           0,    0,    0xe8, 0x0b, 0,    0,    0,   0xf4, 0, 0, 0, 0, 0, 0, 0,
                           0,    0,    0,    0x8b, 0x04, 0x24, 0xc3};
/* mov eax, [esp];  ret */
static const u8 second[] = {0x8b, 0x04, 0x24, 0xc3};
/* mov eax, 7;  ret */
static const u8 other[] = {0xb8, 7, 0, 0, 0, 0xc3};

static u8 *ram(const struct bt *bt)
{
    return mmu_ram(bt->cpu->mmu);
}

static void map_page(const struct bt *bt, gla_t gla, gpa_t gpa)
{
    u32 pte = (u32)gpa | PTE_P | PTE_W | PTE_A | PTE_D;

    mmu_store(&bt->cpu->paging, TABLE + (gla >> PAGE_SHIFT) * 4, 4, MMU_WRITE, pte);
}

static struct bt *start_with(bool count)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    struct bt_config config = {.pic = PIC_ALL, .count_runs = count};
    const char *why = NULL;
    struct bt *bt;

    cpu_reset(cpu);
    bt = bt_new(cpu, &config, &why);
    CHECK(bt != NULL);
    memcpy(ram(bt) + FIRST, first, sizeof(first));
    memcpy(ram(bt) + SECOND, second, sizeof(second));
    memcpy(ram(bt) + OTHER, other, sizeof(other));
    memcpy(ram(bt) + DIRECTORY, &(u32){TABLE | PTE_P | PTE_W}, 4);
    for (u32 i = 0; i < 1024; i++) /* as it lies */
        memcpy(ram(bt) + TABLE + 4 * i, &(u32){i << PAGE_SHIFT | PTE_P | PTE_W}, 4);
    for (u32 s = ES; s <= DS; s++)
        cpu->seg[s] = (struct segment){0, ~0u, 8, s == CS ? 0xc09b : 0xc093};
    cpu->cr3 = DIRECTORY;
    cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    mmu_mode_changed(&cpu->paging, false);
    for (u32 i = 0; i < 2; i++) {
        map_page(bt, LOW + i * PAGE_SIZE, FIRST + i * PAGE_SIZE);
        map_page(bt, HIGH + i * PAGE_SIZE, FIRST + i * PAGE_SIZE);
    }
    map_page(bt, ODD, FIRST);
    map_page(bt, ODD + PAGE_SIZE, OTHER);
    return bt;
}

static struct bt *start(void)
{
    return start_with(false);
}

/* Runs to the HLT behind a call of `size` bytes. EAX. */
static u32 run(struct bt *bt, gla_t gla, u32 size)
{
    struct vcpu *cpu = bt->cpu;

    cpu->requests = 0;
    cpu->eip = gla;
    cpu->gpr[ESP] = STACK;
    cpu->gpr[ECX] = (gla & ~(gla_t)PAGE_MASK) + PAGE_SIZE;
    for (u32 i = 0; i < 10000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
    CHECK_EQ(cpu->eip, gla + size + 1);
    CHECK_EQ(cpu->gpr[ESP], STACK);
    return cpu->gpr[EAX];
}

static void both_places(u32 offset, u32 size)
{
    struct bt *bt = start();
    u64 made;

    CHECK_EQ(run(bt, LOW + offset, size), LOW + offset + size);
    CHECK_EQ(run(bt, LOW + offset, size), LOW + offset + size);
    made = bt->stats.tus[1];
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(run(bt, HIGH + offset, size), HIGH + offset + size);
        CHECK_EQ(run(bt, LOW + offset, size), LOW + offset + size);
    }
    CHECK_EQ(bt->stats.tus[1], made);
}

TEST(bt_pic, code_at_two_addresses_is_one_unit)
{
    both_places(0, 5);    /* a call into another page */
    both_places(0x10, 2); /* the same, indirect */
    both_places(0x20, 5); /* a call in the page */
}

TEST(bt_pic, a_chain_looks_where_it_leads_in_this_place)
{
    struct bt *bt = start();

    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(run(bt, LOW, 5), LOW + 5);
        CHECK_EQ(run(bt, ODD, 5), 7);
        CHECK_EQ(run(bt, LOW + 0x10, 2), LOW + 0x12);
        CHECK_EQ(run(bt, ODD + 0x10, 2), 7);
    }
}

TEST(bt_pic, a_page_that_moves_is_met_in_its_new_place)
{
    struct bt *bt = start();

    CHECK_EQ(run(bt, LOW, 5), LOW + 5);
    map_page(bt, LOW + PAGE_SIZE, OTHER);
    CHECK_EQ(run(bt, LOW, 5), 7);
    CHECK_EQ(run(bt, HIGH, 5), HIGH + 5);
    map_page(bt, LOW + PAGE_SIZE, SECOND);
    CHECK_EQ(run(bt, LOW, 5), LOW + 5);
}

TEST(bt_pic, a_store_drops_it_in_both_places)
{
    struct bt *bt = start();

    run(bt, LOW + 0x10, 2);
    run(bt, HIGH + 0x10, 2);
    run(bt, LOW + 0x10, 2);
    for (u32 i = 0; i < sizeof(other); i++)
        mmu_store(&bt->cpu->paging, HIGH + PAGE_SIZE + i, 1, MMU_WRITE, other[i]);
    CHECK_EQ(run(bt, HIGH + 0x10, 2), 7);
    CHECK_EQ(run(bt, LOW + 0x10, 2), 7);
}

/* From a callee that begins in the caller's page, too. */
TEST(bt_pic, a_return_from_another_page_goes_where_its_call_says)
{
    struct bt *bt = start_with(true);
    const u64 *runs = tc_of(bt->cpu)->runs;
    u64 returns, predicted;

    memcpy(ram(bt) + FIRST + 0x30, "\xe9\xcb\x0f\0", 5); /* jmp SECOND */
    for (u32 i = 0; i < 3; i++)
        run(bt, LOW + 0x20, 5);
    returns = runs[RUNS_RETURNS];
    predicted = runs[RUNS_PREDICTED];
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(run(bt, LOW + 0x20, 5), LOW + 0x25);
        CHECK_EQ(run(bt, HIGH + 0x20, 5), HIGH + 0x25);
    }
    CHECK_EQ(runs[RUNS_RETURNS], returns + 6);
    CHECK_EQ(runs[RUNS_PREDICTED], predicted + 6);
}

/* An instruction of five bytes, two of them in the next page. */
TEST(bt_pic, an_instruction_across_pages_looks_at_both)
{
    struct bt *bt = start();

    memcpy(ram(bt) + FIRST + PAGE_SIZE - 3, "\xb8\x01\x00", 3); /* mov eax, 1 */
    memcpy(ram(bt) + SECOND, "\x00\x00\xf4", 3);                /* hlt */
    memcpy(ram(bt) + OTHER, "\x02\x00\xf4", 3);
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(run(bt, LOW + PAGE_SIZE - 3, 5), 1);
        CHECK_EQ(run(bt, ODD + PAGE_SIZE - 3, 5), 0x20001);
        CHECK_EQ(run(bt, HIGH + PAGE_SIZE - 3, 5), 1);
    }
}

/* To that instruction from a third page: jmp;  mov ecx, target;  jmp ecx */
static void branch_to(const struct bt *bt, u32 at, gla_t target)
{
    u8 *code = ram(bt) + THIRD + at;
    u32 distance = target - (FAR_OFF + at + 5);

    code[0] = 0xe9;
    memcpy(code + 1, &distance, 4);
    code[8] = 0xb9;
    memcpy(code + 9, &target, 4);
    memcpy(code + 13, "\xff\xe1", 2);
}

/* What was looked up in C meanwhile is added to `lookups`. */
static u32 run_from_afar(struct bt *bt, u32 at, gla_t end, u64 *lookups)
{
    u64 before = bt->stats.lookups;
    u32 got = run(bt, FAR_OFF + at, end - (FAR_OFF + at) - 1);

    *lookups += bt->stats.lookups - before;
    return got;
}

TEST(bt_pic, a_branch_to_an_instruction_across_pages_needs_no_look_up)
{
    enum { AT = PAGE_SIZE - 3, END = PAGE_SIZE + 3 };
    struct bt *bt = start();
    u64 lookups = 0, plain = 0;

    memcpy(ram(bt) + FIRST + AT, "\xb8\x01\x00", 3); /* mov eax, 1 */
    memcpy(ram(bt) + SECOND, "\x00\x00\xf4", 3);     /* hlt */
    memcpy(ram(bt) + OTHER, "\x02\x00\xf4", 3);
    memcpy(ram(bt) + THIRD + 0x40, "\x90\xf4", 2);
    map_page(bt, FAR_OFF, THIRD);
    branch_to(bt, 0, LOW + AT);
    branch_to(bt, 0x20, ODD + AT);
    for (u32 i = 0; i < 8; i++) {
        if (i == 4)
            lookups = plain = 0;
        for (u32 way = 0; way <= 8; way += 8) {
            CHECK_EQ(run_from_afar(bt, way, LOW + END, &lookups), 1);
            CHECK_EQ(run_from_afar(bt, 0x20 + way, ODD + END, &lookups), 0x20001);
        }
        run_from_afar(bt, 0x40, FAR_OFF + 0x42, &plain);
    }
    CHECK_EQ(lookups, 4 * plain);
    map_page(bt, LOW + PAGE_SIZE, OTHER); /* its second page moves */
    for (u32 i = 0; i < 3; i++)
        for (u32 way = 0; way <= 8; way += 8)
            CHECK_EQ(run_from_afar(bt, way, LOW + END, &lookups), 0x20001);
}

/* Does a call compare with that place? */
static bool thunk_expected_at(const struct bt *bt, gpa_t gpa)
{
    u64 place = (u64)(uintptr_t)(ram(bt) + gpa), minus;

    for (u32 i = 1; i < bt->tu_count; i++)
        for (u32 e = 0; e < bt->tus[i].exit_count; e++)
            if (bt->tus[i].exits[e].thunk) {
                memcpy(&minus,
                       tu_host(bt, &bt->tus[i]) + bt->tus[i].exits[e].jump - THUNK_PLACE, 8);
                if (minus == -place)
                    return true;
            }
    return false;
}

TEST(bt_pic, a_call_of_a_thunk_is_a_move)
{
    struct bt *bt = start();

    run(bt, LOW + 0x10, 2); /* it is seen when the call is translated */
    for (u32 i = 0; i < 4; i++) {
        CHECK_EQ(run(bt, LOW, 5), LOW + 5);
        CHECK_EQ(run(bt, HIGH, 5), HIGH + 5);
        CHECK_EQ(run(bt, LOW + 0x20, 5), LOW + 0x25); /* in the page */
    }
    CHECK(thunk_expected_at(bt, SECOND));
    CHECK(thunk_expected_at(bt, FIRST + 0x30));
}

TEST(bt_pic, a_thunk_for_another_register_is_no_move_to_this_one)
{
    struct bt *bt = start();

    run(bt, LOW + 0x10, 2);
    run(bt, LOW, 5);
    run(bt, LOW, 5);
    CHECK(thunk_expected_at(bt, SECOND));
    mmu_store(&bt->cpu->paging, HIGH + PAGE_SIZE + 1, 1, MMU_WRITE, 0x14); /* mov edx, [esp] */
    for (u32 i = 0; i < 3; i++) {
        bt->cpu->gpr[EAX] = 5;
        bt->cpu->gpr[EDX] = 6;
        CHECK_EQ(run(bt, LOW, 5), 5);
        CHECK_EQ(bt->cpu->gpr[EDX], LOW + 5);
        CHECK(!thunk_expected_at(bt, SECOND));
    }
}

TEST(bt_pic, what_is_expected_of_a_thunk_that_is_not_mapped_yet)
{
    struct bt *bt = start();

    memcpy(ram(bt) + FIRST, "\xe8\xfb\x0f\0\0\x05\0\0\0\0\xf4",
           11); /* call SECOND; add eax, 0; hlt */
    for (u32 i = 0; i < 3; i++)
        CHECK_EQ(run(bt, LOW, 10), LOW + 5);
    CHECK(thunk_expected_at(bt, SECOND));
    run(bt, ODD, 10);
    CHECK_EQ(run(bt, ODD, 10), 7);
}
