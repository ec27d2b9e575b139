/*
 * User maps (mmu/usermap.c): what lies there is what the user may touch, as the guest's tables
 * say when user code is about to run; it is given up where it costs too much.
 */
#include "mmu/usermap.h"
#include "devices/device.h"
#include "mmu/pte.h"
#include "mmu/state.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <string.h>

enum { DIRECTORY = 0x100, TABLE = 0x300, PAGE_0 = 0x400, USER = 0x400000, /* by directory entry 1 */
       FRAME_0 = 0x500, ENTRY = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D };

static u32 *words(struct vcpu *cpu, u32 page)
{
    return (u32 *)(mmu_ram(cpu->mmu) + ((u64)page << PAGE_SHIFT));
}

/* As the guest's kernel would, so that a trace sees it. */
static void set_entry(struct vcpu *cpu, u32 i, u32 entry)
{
    gla_t at = (TABLE << PAGE_SHIFT) + 4 * i;

    CHECK(mmu_store(&cpu->paging, at, 4, MMU_WRITE | MMU_SYSTEM, entry));
}

/* However much the host's calls cost, and whatever else it runs meanwhile. */
static u64 no_time(void)
{
    return 0;
}

static void run_long(struct vcpu *cpu)
{
    cpu->mmu->user_maps_after = 0;
    cpu->mmu->ticks = no_time;
    mmu_user_map_sample(&cpu->paging, 0);
    mmu_user_map_sync(&cpu->paging);
}

/* In user mode, with eight pages from USER on. */
static struct vcpu *start(u32 bits)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    words(cpu, DIRECTORY)[0] = 0x200 << PAGE_SHIFT | PTE_P | PTE_W;
    words(cpu, DIRECTORY)[1] = TABLE << PAGE_SHIFT | PTE_P | PTE_W | PTE_U;
    for (u32 i = 0; i < 1024; i++) /* the supervisor's, as it lies */
        words(cpu, 0x200)[i] = i << PAGE_SHIFT | PTE_P | PTE_W;
    for (u32 i = 0; i < 8; i++)
        words(cpu, TABLE)[i] = (FRAME_0 + i) << PAGE_SHIFT | bits;
    cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    cpu->cr3 = DIRECTORY << PAGE_SHIFT;
    CHECK(mmu_mode_changed(&cpu->paging, false));
    cpu->cpl = 3;
    mmu_cpl_changed(&cpu->paging, true);
    return cpu;
}

static void touch(struct vcpu *cpu, u32 i, enum mmu_access access)
{
    CHECK(mmu_probe(&cpu->paging, USER + (i << PAGE_SHIFT), 4, access));
}

static bool has(struct vcpu *cpu, u32 i, bool write)
{
    mmu_user_map_sync(&cpu->paging);
    return mmu_user_map_has(&cpu->paging, USER + (i << PAGE_SHIFT), write);
}

static volatile u32 *there(struct vcpu *cpu, u32 i)
{
    return (u32 *)(cpu->direct_map + USER + ((u64)i << PAGE_SHIFT));
}

TEST(user_map, has_what_was_touched)
{
    struct vcpu *cpu = start(PTE_P | PTE_W | PTE_U);

    touch(cpu, 0, MMU_READ);
    CHECK_EQ(cpu->user_map, 0);
    run_long(cpu);
    CHECK_EQ(cpu->user_map, 1);
    CHECK(has(cpu, 0, false));
    CHECK(!has(cpu, 0, true)); /* the guest will see that it is dirty */
    CHECK(!has(cpu, 1, false));
    CHECK_EQ(words(cpu, TABLE)[1] & PTE_A, 0);
    touch(cpu, 0, MMU_WRITE);
    CHECK(cpu->user_map_stale);
    CHECK(has(cpu, 0, true));
    *there(cpu, 0) = 77;
    CHECK_EQ(*words(cpu, FRAME_0), 77);
    *words(cpu, FRAME_0) = 78; /* DMA */
    CHECK_EQ(*there(cpu, 0), 78);
}

TEST(user_map, has_nothing_of_the_supervisor)
{
    struct vcpu *cpu = start(ENTRY);

    words(cpu, TABLE)[1] &= ~(u32)PTE_U;
    run_long(cpu);
    cpu->cpl = 0;
    mmu_cpl_changed(&cpu->paging, false);
    touch(cpu, 1, MMU_WRITE);
    CHECK(mmu_probe(&cpu->paging, 0x1000, 4, MMU_WRITE));
    CHECK(!has(cpu, 1, false));
    CHECK(!mmu_user_map_has(&cpu->paging, 0x1000, false));
    touch(cpu, 2, MMU_WRITE); /* the user's, for the supervisor */
    CHECK(has(cpu, 2, true));
}

TEST(user_map, has_no_device)
{
    struct vcpu *cpu = start(ENTRY);

    words(cpu, TABLE)[1] = 0xe0000000 | ENTRY;
    run_long(cpu);
    touch(cpu, 1, MMU_WRITE);
    CHECK(!has(cpu, 1, false));
    CHECK(cpu->shadow[PAGE_0 + 1] & SPTE_DEVICE);
}

TEST(user_map, follows_the_tables)
{
    static const u32 changes[] = { 0, PTE_P | PTE_W | PTE_U, ENTRY & ~PTE_U, ENTRY & ~PTE_A };
    struct vcpu *cpu = start(ENTRY);

    for (u32 i = 0; i < 8; i++)
        touch(cpu, i, MMU_WRITE);
    run_long(cpu);
    for (u32 i = 0; i < ARRAY_SIZE(changes); i++) {
        CHECK(has(cpu, i, true));
        set_entry(cpu, i, (changes[i] & PTE_P ? (FRAME_0 + i) << PAGE_SHIFT : 0) | changes[i]);
        CHECK(cpu->user_map_stale);
        CHECK(!has(cpu, i, false));
    }
    set_entry(cpu, 5, (FRAME_0 + 5) << PAGE_SHIFT | (ENTRY & ~PTE_W)); /* a fork */
    CHECK(has(cpu, 5, false));
    CHECK(!has(cpu, 5, true));
    set_entry(cpu, 6, (FRAME_0 + 100) << PAGE_SHIFT | ENTRY);
    CHECK(has(cpu, 6, true));
    *there(cpu, 6) = 6;
    CHECK_EQ(*words(cpu, FRAME_0 + 100), 6);
    CHECK(has(cpu, 7, true));
}

/* It was only rewritten: no call of the host. */
TEST(user_map, what_comes_back_costs_nothing)
{
    struct vcpu *cpu = start(ENTRY);
    u64 maps;

    touch(cpu, 0, MMU_WRITE);
    run_long(cpu);
    maps = cpu->mmu->stats.user_map_maps;
    set_entry(cpu, 0, 0);
    set_entry(cpu, 0, FRAME_0 << PAGE_SHIFT | ENTRY);
    CHECK(has(cpu, 0, true));
    CHECK_EQ(cpu->mmu->stats.user_map_maps, maps);
}

/* Until its turn comes again. */
TEST(user_map, what_keeps_changing_is_left_out)
{
    struct vcpu *cpu = start(ENTRY);
    u64 maps;

    touch(cpu, 0, MMU_WRITE);
    touch(cpu, 1, MMU_WRITE);
    run_long(cpu);
    for (u32 i = 0; i < 20; i++) {
        set_entry(cpu, 0, (FRAME_0 + (i & 1)) << PAGE_SHIFT | ENTRY);
        mmu_user_map_sync(&cpu->paging);
    }
    maps = cpu->mmu->stats.user_map_maps;
    CHECK(maps < 15);
    CHECK(!has(cpu, 0, false));
    CHECK(has(cpu, 1, true));
    cpu->mmu->space->user_time += 1ull << 40;
    set_entry(cpu, 0, 0);
    set_entry(cpu, 0, FRAME_0 << PAGE_SHIFT | ENTRY);
    CHECK(has(cpu, 0, true));
}

TEST(user_map, code_and_tables_are_read_only)
{
    struct vcpu *cpu = start(ENTRY);

    touch(cpu, 0, MMU_WRITE);
    touch(cpu, 1, MMU_WRITE);
    run_long(cpu);
    CHECK(has(cpu, 1, true));
    mmu_protect_code(cpu->mmu, (FRAME_0 + 1) << PAGE_SHIFT);
    CHECK(cpu->user_map_stale);
    CHECK(has(cpu, 1, false));
    CHECK(!has(cpu, 1, true));
    touch(cpu, 1, MMU_WRITE);
    CHECK(!has(cpu, 1, true));
    words(cpu, TABLE)[2] = TABLE << PAGE_SHIFT | ENTRY; /* the table itself, for all to write */
    touch(cpu, 2, MMU_WRITE);
    CHECK(has(cpu, 2, false));
    CHECK(!has(cpu, 2, true));
    CHECK(has(cpu, 0, true));
}

TEST(user_map, a_long_list_is_looked_through_whole)
{
    struct vcpu *cpu = start(ENTRY);

    run_long(cpu);
    cpu->mmu->space->user_map->lost = true;
    for (u32 i = 0; i < 8; i++)
        touch(cpu, i, MMU_WRITE);
    for (u32 i = 0; i < 8; i++)
        CHECK(has(cpu, i, true));
    CHECK_EQ(cpu->mmu->user_map_pages, 8);
}

/* Then the space has to run twice as long. */
TEST(user_map, what_costs_too_much_is_given_up)
{
    struct vcpu *cpu = start(ENTRY);
    struct space *s = cpu->mmu->space;

    touch(cpu, 0, MMU_WRITE);
    run_long(cpu);
    CHECK(has(cpu, 0, true));
    s->user_map->spent = ~0ull;
    mmu_user_map_sync(&cpu->paging);
    CHECK(!s->user_map);
    CHECK_EQ(cpu->user_map, 0);
    CHECK_EQ(cpu->mmu->user_map_pages, 0);
    CHECK(!mmu_user_map_has(&cpu->paging, USER, false));
    CHECK_EQ(s->user_map_due, 2 * s->user_time);
    run_long(cpu);
    CHECK(s->user_map != NULL);
}

static u64 long_calls(void)
{
    static u64 now;

    return now += USER_MAP_AFTER;
}

/* Where gs is the host's to set, two programs that take turns pay for it, and one goes without. */
TEST(user_map, taking_turns_costs_too_much)
{
    struct vcpu *cpu = start(ENTRY);
    struct space *s[2];

    mmu_plain_host(cpu->mmu);
    cpu->direct_map_loaded = true;
    for (u32 i = 0; i < 2; i++) {
        memcpy(words(cpu, DIRECTORY + i), words(cpu, DIRECTORY), PAGE_SIZE);
        cpu->cr3 = (DIRECTORY + i) << PAGE_SHIFT;
        CHECK(mmu_mode_changed(&cpu->paging, false));
        run_long(cpu);
        s[i] = cpu->mmu->space;
        CHECK(s[i]->user_map != NULL);
    }
    cpu->mmu->ticks = long_calls;
    for (u32 turn = 0; turn < 80; turn++) {
        cpu->cr3 = (DIRECTORY + (turn & 1)) << PAGE_SHIFT;
        CHECK(mmu_mode_changed(&cpu->paging, false));
        if (cpu->user_map_stale)
            mmu_user_map_sync(&cpu->paging);
    }
    CHECK(!s[0]->user_map && s[1]->user_map); /* gs stays where it is */
    cpu->direct_map_loaded = false;
}

static u32 in_use(const struct mmu *mmu)
{
    u32 n = 0;

    for (u32 i = 0; i < MAX_USER_MAPS; i++)
        n += mmu->user_maps[i].owner != NULL;
    return n;
}

/* The one longest not used goes. */
TEST(user_map, there_are_as_many_as_there_may_be)
{
    struct vcpu *cpu = start(ENTRY);

    for (u32 i = 0; i < 2 * MAX_USER_MAPS; i++) {
        memcpy(words(cpu, DIRECTORY + i), words(cpu, DIRECTORY), PAGE_SIZE);
        cpu->cr3 = (DIRECTORY + i) << PAGE_SHIFT;
        CHECK(mmu_mode_changed(&cpu->paging, false));
        run_long(cpu);
        CHECK_EQ(cpu->user_map, 1);
    }
    CHECK_EQ(in_use(cpu->mmu), MAX_USER_MAPS);
    cpu->cr3 = DIRECTORY << PAGE_SHIFT;
    CHECK(mmu_mode_changed(&cpu->paging, false));
    CHECK_EQ(cpu->user_map, 0);
    CHECK(cpu->mmu->space->user_map_due >= cpu->mmu->space->user_time);
}

/* So many samples of a millisecond or two, with so many new pages before each. */
static bool samples(struct vcpu *cpu, u32 n, u32 pages, u64 *tsc)
{
    static u32 next;

    for (u32 i = 0; i < n; i++) {
        for (u32 k = 0; k < pages; k++)
            touch(cpu, 8 + next++ % 1000, MMU_WRITE);
        mmu_user_map_sample(&cpu->paging, *tsc += 3000000);
    }
    return cpu->mmu->space->user_map;
}

TEST(user_map, none_while_new_pages_are_asked_for)
{
    struct vcpu *cpu = start(ENTRY);
    u64 tsc = 0;

    for (u32 i = 8; i < 1024; i++)
        words(cpu, TABLE)[i] = (FRAME_0 + i) << PAGE_SHIFT | ENTRY;
    CHECK(!samples(cpu, 40, 20, &tsc)); /* of 120,000,000 ticks; it would have been due after 32 */
    CHECK(samples(cpu, 16, 2, &tsc));
}
