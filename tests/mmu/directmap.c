/*
 * Windows (mmu/directmap.c): what is mapped there is what a load may find without a look, and it goes when the
 * guest's tables say otherwise. A kernel's table at C0000000 maps RAM from 0 on in a bare machine's 16 MiB.
 */
#include "devices/device.h"
#include "mmu/pte.h"
#include "mmu/state.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <string.h>

enum { DIRECTORY = 0x100, OTHER_DIRECTORY = 0x101, TABLE = 0x300, REGION = 768, PAGE_0 = 0xc0000,
       ENTRY = PTE_P | PTE_W | PTE_A | PTE_D, KERNEL = 0xc0000000 };

static u32 *words(struct vcpu *cpu, u32 page)
{
    return (u32 *)(mmu_ram(cpu->mmu) + ((u64)page << PAGE_SHIFT));
}

static void load_cr3(struct vcpu *cpu, u32 page)
{
    cpu->cr3 = page << PAGE_SHIFT;
    CHECK(mmu_mode_changed(&cpu->paging, false));
}

static struct vcpu *start(u32 bits)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    cpu->mmu->fast_gs = cpu->mmu->no_user_maps = true; /* or a space alone has none; gs is not loaded here */
    for (u32 i = 0; i < 1024; i++)
        words(cpu, TABLE)[i] = i << PAGE_SHIFT | bits;
    words(cpu, DIRECTORY)[REGION] = TABLE << PAGE_SHIFT | ENTRY;
    cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    load_cr3(cpu, DIRECTORY);
    return cpu;
}

static bool mapped(struct vcpu *cpu, u32 page)
{
    return direct_map_has(cpu->mmu->space, PAGE_0 + page);
}

/* By the direct map, as translated code would. */
static u32 look(struct vcpu *cpu, gla_t gla)
{
    return *(volatile u32 *)(cpu->direct_map + gla);
}

static void store(struct vcpu *cpu, gla_t gla, u32 val)
{
    CHECK(mmu_store(&cpu->paging, gla, 4, MMU_WRITE, val));
}

/* RAM but for the hole at 640 KiB, which is not. */
TEST(direct_map, what_is_in_step_is_mapped)
{
    struct vcpu *cpu = start(ENTRY);

    CHECK(!mmu_direct_map_use(&cpu->paging));
    CHECK(mmu_direct_map_extend(&cpu->paging, KERNEL + 0x200000));
    CHECK(mmu_direct_map_use(&cpu->paging));
    CHECK(mapped(cpu, 1023));
    store(cpu, KERNEL + 0x234568, 77);
    CHECK_EQ(look(cpu, KERNEL + 0x234568), 77);
    CHECK_EQ(words(cpu, 0x234)[0x568 / 4], 77);
    words(cpu, 0x234)[0] = 78; /* DMA */
    CHECK_EQ(look(cpu, KERNEL + 0x234000), 78);
    CHECK_EQ(cpu->shadow_system[PAGE_0 + 0x234], cpu->direct_map); /* by sptes, too */
    CHECK(!mmu_direct_map_extend(&cpu->paging, 0x1000)); /* not present */
}

TEST(direct_map, what_was_not_accessed_is_not)
{
    struct vcpu *cpu = start(PTE_P | PTE_W);
    u64 val;

    CHECK(!mmu_direct_map_extend(&cpu->paging, KERNEL + 0x5000));
    CHECK(mmu_load(&cpu->paging, KERNEL + 0x5000, 4, MMU_READ, &val));
    CHECK(mmu_direct_map_extend(&cpu->paging, KERNEL + 0x5000));
    CHECK(mapped(cpu, 5));
    CHECK(!mapped(cpu, 6));
    CHECK_EQ(words(cpu, TABLE)[6] & PTE_A, 0);
}

TEST(direct_map, a_short_run_is_not_worth_it)
{
    struct vcpu *cpu = start(ENTRY);

    for (u32 i = 0; i < 1024; i += 16)
        words(cpu, TABLE)[i] = 0;
    CHECK(!mmu_direct_map_extend(&cpu->paging, KERNEL + 0x5000));
    CHECK(!mmu_direct_map_use(&cpu->paging));
}

/* Each change of an entry takes the page out; the others stay. */
TEST(direct_map, a_change_of_the_tables_cuts)
{
    static const u32 changes[] = { 0, PTE_P | PTE_W, ENTRY | 0x200 << PAGE_SHIFT };
    struct vcpu *cpu = start(ENTRY);

    CHECK(mmu_direct_map_extend(&cpu->paging, KERNEL));
    for (u32 i = 0; i < ARRAY_SIZE(changes); i++) {
        store(cpu, KERNEL + (TABLE << PAGE_SHIFT) + (0x20 + i) * 4, changes[i]);
        CHECK(!mapped(cpu, 0x20 + i));
        CHECK_EQ(cpu->shadow_system[PAGE_0 + 0x20 + i] == cpu->direct_map, false);
        CHECK(mapped(cpu, 0x1f));
        CHECK(mapped(cpu, 0x24));
    }
    store(cpu, KERNEL + (TABLE << PAGE_SHIFT) + 0x30 * 4, (0x30 << PAGE_SHIFT) | (ENTRY & ~PTE_W));
    CHECK(mapped(cpu, 0x30)); /* loads need no W */
    phys_write(machine_of(cpu), (DIRECTORY << PAGE_SHIFT) + REGION * 4, &(u32){ 0 }, 4);
    CHECK(!mapped(cpu, 0x24));
    CHECK_EQ(cpu->mmu->stats.direct_map_cuts, 4);
}

/* A page table that lies in the direct map, written through it, by a store that takes away its own page. */
TEST(direct_map, a_table_may_cut_itself_off)
{
    struct vcpu *cpu = start(ENTRY);

    CHECK(mmu_direct_map_extend(&cpu->paging, KERNEL));
    store(cpu, KERNEL + (TABLE << PAGE_SHIFT) + TABLE * 4, 0);
    CHECK(!mapped(cpu, TABLE));
    CHECK_EQ(words(cpu, TABLE)[TABLE], 0);
}

TEST(direct_map, each_space_has_its_own)
{
    struct vcpu *cpu = start(ENTRY);
    u64 first;

    CHECK(mmu_direct_map_extend(&cpu->paging, KERNEL));
    first = cpu->direct_map;
    load_cr3(cpu, OTHER_DIRECTORY);
    CHECK(cpu->direct_map != first);
    CHECK(!mmu_direct_map_use(&cpu->paging));
    load_cr3(cpu, DIRECTORY);
    CHECK_EQ(cpu->direct_map, first);
    CHECK(mapped(cpu, 0));
}

/* Unpaged: RAM as it is, without what the chipset maps elsewhere. */
TEST(direct_map, the_memory_map_cuts)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    CHECK(mmu_direct_map_extend(&cpu->paging, 0x100000));
    CHECK(direct_map_has(cpu->mmu->space, 0x100));
    CHECK(direct_map_has(cpu->mmu->space, 0xc0));
    mmu_map_phys(cpu->mmu, 0xc0000, 0x4000, NULL, NULL);
    CHECK(!direct_map_has(cpu->mmu->space, 0xc3));
    CHECK(direct_map_has(cpu->mmu->space, 0xc4));
}

/* Odd megabytes lead elsewhere, even ones stay. */
TEST(direct_map, a20_moves_odd_megabytes)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    u64 val = 0;

    memcpy(mmu_ram(cpu->mmu), "even", 4);
    memcpy(mmu_ram(cpu->mmu) + 0x100000, "odd.", 4);
    CHECK(mmu_direct_map_extend(&cpu->paging, 0x100000));
    for (u32 turn = 1; turn < 7; turn++) {
        mmu_set_a20(cpu->mmu, !(turn & 1));
        CHECK(!cpu->shadow[0x100]);
        CHECK(!direct_map_has(cpu->mmu->space, 0x100));
        CHECK(direct_map_has(cpu->mmu->space, 0));
        CHECK(turn == 1 || cpu->shadow[0]);
        CHECK(mmu_load(&cpu->paging, 0, 4, MMU_READ, &val));
        CHECK(!memcmp(&val, "even", 4));
        CHECK(mmu_load(&cpu->paging, 0x100000, 4, MMU_READ, &val));
        CHECK(!memcmp(&val, turn & 1 ? "even" : "odd.", 4));
        CHECK(cpu->shadow[0x100]);
    }
}

/* One page comes and goes: the direct map is grown again less and less often. */
TEST(direct_map, what_keeps_changing_is_left_alone)
{
    struct vcpu *cpu = start(ENTRY);
    u32 grown = 0;

    for (u32 i = 0; i < 4096; i++) {
        grown += !mapped(cpu, 0x20) && mmu_direct_map_extend(&cpu->paging, KERNEL + 0x20000);
        store(cpu, KERNEL + (TABLE << PAGE_SHIFT) + 0x20 * 4, 0);
        store(cpu, KERNEL + (TABLE << PAGE_SHIFT) + 0x20 * 4, 0x20 << PAGE_SHIFT | ENTRY);
    }
    CHECK(grown >= 5);
    CHECK(grown <= 16);
}

/* As many areas of the host's as a guest can make: single pages taken out, everywhere, in every direct map. */
TEST(direct_map, areas_are_bounded)
{
    struct vcpu *cpu = start(ENTRY);
    u32 areas = 0;
    char line[256];
    FILE *maps;

    for (u32 i = 0; i < 1024; i++)
        words(cpu, DIRECTORY)[i] = TABLE << PAGE_SHIFT | ENTRY;
    phys_write(machine_of(cpu), DIRECTORY << PAGE_SHIFT, words(cpu, DIRECTORY), PAGE_SIZE);
    for (u32 i = 0; i < 1024; i++)
        mmu_direct_map_extend(&cpu->paging, i << 22);
    for (u32 page = 0; page < 1024; page += 2)
        phys_write(machine_of(cpu), (TABLE << PAGE_SHIFT) + page * 4, &(u32){ 0 }, 4);
    maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof(line), maps))
        areas++;
    fclose(maps);
    CHECK(areas < 8192);
    CHECK(!mapped(cpu, 0));
}

/* The second page's spte is filled when shadows hold too much: all are dropped, the direct map closes. */
TEST(direct_map, it_may_close_inside_an_access)
{
    struct vcpu *cpu = start(ENTRY);
    u64 val;

    for (u32 i = 0; i < 2; i++) {
        gla_t gla = KERNEL + 0x200ffe + i * 0x10000;

        CHECK(mmu_direct_map_extend(&cpu->paging, KERNEL));
        store(cpu, gla - 2, 0x11223344);
        CHECK_EQ(cpu->shadow_system[gla >> PAGE_SHIFT], cpu->direct_map);
        cpu->mmu->leaves += MAX_LEAVES;
        if (i)
            store(cpu, gla, 0x55667788);
        CHECK(mmu_load(&cpu->paging, gla, 4, MMU_READ, &val));
        CHECK_EQ(val, i ? 0x55667788 : 0x1122);
        CHECK(!mapped(cpu, gla >> PAGE_SHIFT & 1023));
        cpu->mmu->leaves -= MAX_LEAVES;
    }
}

/* Or an operand at its end could go on behind the direct map, where page 0 is not. */
TEST(direct_map, the_last_page_is_never_mapped)
{
    struct vcpu *cpu = start(ENTRY);

    phys_write(machine_of(cpu), (DIRECTORY << PAGE_SHIFT) + 1023 * 4, &(u32){ TABLE << PAGE_SHIFT | ENTRY }, 4);
    CHECK(mmu_direct_map_extend(&cpu->paging, 0xffffe000));
    CHECK(direct_map_has(cpu->mmu->space, 0xffffe));
    CHECK(!direct_map_has(cpu->mmu->space, 0xfffff));
    CHECK(!mmu_direct_map_extend(&cpu->paging, 0xfffff000));
}

TEST(direct_map, a_space_alone_has_none_where_gs_is_dear)
{
    struct vcpu *cpu = start(ENTRY);

    mmu_plain_host(cpu->mmu);
    CHECK(!mmu_direct_map_extend(&cpu->paging, KERNEL + 0x200000));
    CHECK(!mmu_direct_map_use(&cpu->paging));
}
