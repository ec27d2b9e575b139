/*
 * Address spaces kept, shared, evicted, and bounded (mmu/space.c, mmu/shared.c). 32-bit tables in a bare
 * machine's 16 MiB: directory of space k at DIRECTORIES + k, its user table at TABLES + k, and for
 * all, from C0000000 on, a kernel table that maps RAM from 0.
 */
#include "devices/device.h"
#include "mmu/pte.h"
#include "mmu/rmap.h"
#include "mmu/state.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <string.h>
#include <unistd.h>

enum { DIRECTORIES = 0x100, TABLES = 0x200, KERNEL_TABLE = 0x300, KERNEL_REGION = 768,
       ENTRY = PTE_P | PTE_W | PTE_A | PTE_D, KERNEL = 0xc0000000 };

static u32 *words(struct vcpu *cpu, u32 page)
{
    return (u32 *)(mmu_ram(cpu->mmu) + ((u64)page << PAGE_SHIFT));
}

static void make_space(struct vcpu *cpu, u32 k)
{
    words(cpu, DIRECTORIES + k)[0] = (TABLES + k) << PAGE_SHIFT | ENTRY | PTE_U;
    words(cpu, DIRECTORIES + k)[KERNEL_REGION] = KERNEL_TABLE << PAGE_SHIFT | ENTRY;
    for (u32 i = 0; i < 1024; i++)
        words(cpu, TABLES + k)[i] = (0x400 + (k + i) % 0x400) << PAGE_SHIFT | ENTRY | PTE_U;
}

static void load_cr3(struct vcpu *cpu, u32 k)
{
    cpu->cr3 = (DIRECTORIES + k) << PAGE_SHIFT;
    CHECK(mmu_mode_changed(&cpu->paging, false));
}

static struct vcpu *start(u32 spaces)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    for (u32 i = 0; i < 1024; i++)
        words(cpu, KERNEL_TABLE)[i] = i << PAGE_SHIFT | ENTRY;
    for (u32 k = 0; k < spaces; k++)
        make_space(cpu, k);
    cpu->cr4 = CR4_PSE;
    cpu->cr3 = DIRECTORIES << PAGE_SHIFT;
    cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    load_cr3(cpu, 0);
    return cpu;
}

static u64 load(struct vcpu *cpu, gla_t gla)
{
    u64 val;

    CHECK(mmu_load(&cpu->paging, gla, 4, MMU_READ, &val));
    return val;
}

TEST(spaces, a_new_one_knows_the_kernel)
{
    struct vcpu *cpu = start(3);
    u64 hidden;

    load_cr3(cpu, 1);
    CHECK(cpu->mmu->space->shared_shadow);
    for (u32 i = 0; i < 8; i++)
        load(cpu, KERNEL + i * PAGE_SIZE);
    load(cpu, 0x5000);
    load_cr3(cpu, 2);
    hidden = cpu->mmu->stats.shadow_hidden;
    for (u32 i = 0; i < 8; i++)
        load(cpu, KERNEL + i * PAGE_SIZE);
    CHECK_EQ(cpu->mmu->stats.shadow_hidden, hidden);
    load(cpu, 0x5000); /* user pages are each space's own */
    CHECK_EQ(cpu->mmu->stats.shadow_hidden, hidden + 1);
    load_cr3(cpu, 1);
    load(cpu, 0x5000);
    CHECK_EQ(cpu->mmu->stats.shadow_hidden, hidden + 1);
}

/* Its directory entry goes while another space is current: the shared sptes must not serve it. */
TEST(spaces, one_that_disagrees_is_heard)
{
    struct vcpu *cpu = start(3);
    u32 zero = 0;

    load_cr3(cpu, 1);
    load(cpu, KERNEL);
    load_cr3(cpu, 2);
    load(cpu, KERNEL);
    phys_write(machine_of(cpu), ((DIRECTORIES + 1) << PAGE_SHIFT) + KERNEL_REGION * 4, &zero, 4);
    load(cpu, KERNEL);
    load_cr3(cpu, 1);
    CHECK(!mmu_load(&cpu->paging, KERNEL, 4, MMU_READ, &(u64){ 0 }));
    CHECK_EQ(cpu->exc_vector, EXC_PF);
    cpu->exc_vector = EXC_NONE;
    load_cr3(cpu, 2);
    load(cpu, KERNEL);
}

TEST(spaces, the_oldest_go)
{
    enum { MANY = MAX_SPACES + 36 };
    struct vcpu *cpu = start(MANY);
    u32 wrong = 0;

    for (u32 i = 0; i < 1024; i++)
        words(cpu, 0x400 + i)[0] = i;
    for (u32 turn = 0; turn < 3; turn++)
        for (u32 k = 0; k < MANY; k++) {
            load_cr3(cpu, k);
            wrong += load(cpu, 7 * PAGE_SIZE) != k + 7;
        }
    CHECK_EQ(wrong, 0);
    CHECK(cpu->mmu->stats.shadow_evicted >= 2 * MANY);
}

/* Every 2 MiB of the address space touched, for reading and writing, under many address spaces. */
TEST(spaces, memory_is_bounded)
{
    struct vcpu *cpu = start(8);
    u32 most = 0;

    for (u32 k = 0; k < 8; k++) {
        for (u32 i = 0; i < 1024; i++)
            words(cpu, DIRECTORIES + k)[i] = (i & 1) << 22 | ENTRY | PTE_U | PDE_PS;
        load_cr3(cpu, k);
        for (u32 column = 0; column < COLUMNS; column++) {
            CHECK_EQ(load(cpu, (column * LEAF_SPTES + k) << PAGE_SHIFT),
                     words(cpu, (column % 4 * LEAF_SPTES + k))[0]);
            most = cpu->mmu->leaves > most ? cpu->mmu->leaves : most;
        }
    }
    CHECK(most > MAX_LEAVES / 2);
    CHECK(most <= MAX_LEAVES + SHADOW_TABLES);
}

/* The same addresses mapped to one page after the other, each written: each is one more writer. */
static u32 host_areas(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    u32 lines = 0;

    for (int c; f && (c = getc(f)) != EOF;)
        lines += c == '\n';
    if (f)
        fclose(f);
    return lines;
}

/* Every second region of the kernel's part is each space's own. */
TEST(spaces, areas_of_the_host_are_bounded)
{
    struct vcpu *cpu = start(0);
    u32 before;

    for (u32 k = 0; k < 8; k++)
        for (u32 i = 0; i < 1024; i++)
            words(cpu, DIRECTORIES + k)[i] =
                i < 512 ? 0 : ((i & 1 ? TABLES + k : KERNEL_TABLE) << PAGE_SHIFT) | ENTRY;
    load_cr3(cpu, 0);
    before = host_areas();
    for (u32 k = 1; k < 8; k++)
        load_cr3(cpu, k);
    CHECK(cpu->mmu->space->shared_shadow);
    CHECK(host_areas() - before <= 8 * SHADOW_TABLES * (2 * 6 + 1));
}

TEST(spaces, bookkeeping_is_bounded)
{
    enum { PLACES = 600 };
    struct vcpu *cpu = start(1);
    u32 wrong = 0, most = 0;

    for (u32 i = 0; i < 2048; i++) {
        u32 page = 0x400 + i;

        for (u32 place = 0; place < PLACES; place++) {
            u32 entry = page << PAGE_SHIFT | ENTRY | PTE_U;

            CHECK(mmu_store(&cpu->paging, KERNEL + (TABLES << PAGE_SHIFT) + place * 4, 4, MMU_WRITE, entry));
            CHECK(mmu_store(&cpu->paging, place << PAGE_SHIFT, 4, MMU_WRITE, i * PLACES + place));
            wrong += words(cpu, page)[0] != i * PLACES + place;
        }
        most = cpu->mmu->rmap_size > most ? cpu->mmu->rmap_size : most;
    }
    CHECK_EQ(wrong, 0);
    CHECK(most >= MAX_RMAPS / 2);
    CHECK(most <= MAX_RMAPS);
}

/* ---- The page that code runs in ---- */

enum { CODE_PAGE = 5 };

static void write_entry(struct vcpu *cpu, u32 i, u32 entry)
{
    mmu_store(&cpu->paging, KERNEL + ((TABLES + 0) << PAGE_SHIFT) + i * 4, 4, MMU_WRITE, entry);
}

/* Where the processor would fetch from. */
static u8 *fetches_from(struct vcpu *cpu, gla_t gla)
{
    bool fault = false;
    u8 *hva = mmu_host(&cpu->paging, gla, MMU_EXEC, &fault);

    CHECK(!fault);
    return hva;
}

static struct vcpu *start_in_code_page(void)
{
    struct vcpu *cpu = start(1);

    cpu->seg[CS].base = 0;
    cpu->eip = CODE_PAGE << PAGE_SHIFT;
    cpu->gpr[EAX] = words(cpu, TABLES)[CODE_PAGE];
    load(cpu, CODE_PAGE << PAGE_SHIFT);
    fetches_from(cpu, CODE_PAGE << PAGE_SHIFT);
    return cpu;
}

TEST(spaces, code_goes_on_when_it_rewrites_the_entry_of_its_page)
{
    struct vcpu *cpu = start_in_code_page();
    u32 entry = cpu->gpr[EAX];
    gla_t here = CODE_PAGE << PAGE_SHIFT;
    u8 *before = fetches_from(cpu, here);

    words(cpu, 0)[0] = 0x1234;
    write_entry(cpu, CODE_PAGE, entry & 0xfff); /* it leads to page 0 */
    CHECK(fetches_from(cpu, here) == before);
    CHECK_EQ(load(cpu, here), 0x1234); /* data need no TLB that is old */
    CHECK(cpu->stale_code);
    write_entry(cpu, CODE_PAGE, entry);
    CHECK(!cpu->stale_code);
    CHECK(fetches_from(cpu, here) == before);
}

TEST(spaces, an_invalidated_page_is_fetched_anew)
{
    for (u32 how = 0; how < 3; how++) {
        struct vcpu *cpu = start_in_code_page();
        gla_t here = CODE_PAGE << PAGE_SHIFT;

        write_entry(cpu, CODE_PAGE, cpu->gpr[EAX] & 0xfff);
        if (how == 0) {
            mmu_invlpg(&cpu->paging, here);
        } else if (how == 1) {
            load_cr3(cpu, 0);
        } else { /* from elsewhere */
            cpu->eip = 0;
            write_entry(cpu, CODE_PAGE, (cpu->gpr[EAX] & 0xfff) | PTE_AVL);
            write_entry(cpu, CODE_PAGE, 1 << PAGE_SHIFT | ENTRY);
        }
        CHECK(!cpu->stale_code);
        CHECK(fetches_from(cpu, here) == mmu_ram(cpu->mmu) + (how == 2 ? PAGE_SIZE : 0));
    }
}

TEST(spaces, another_page_that_is_rewritten_is_not_kept)
{
    struct vcpu *cpu = start_in_code_page();

    fetches_from(cpu, (CODE_PAGE + 1) << PAGE_SHIFT);
    write_entry(cpu, CODE_PAGE + 1, ENTRY);
    CHECK(!cpu->stale_code);
    CHECK(fetches_from(cpu, (CODE_PAGE + 1) << PAGE_SHIFT) == mmu_ram(cpu->mmu));
}

/* Of the sparse tables, only what is touched is memory: a host that gives huge pages to
 * everybody gives 2 MiB a page there. */
static bool mapping_has_flag(const void *at, const char *flag)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    char line[512];
    bool here = false, found = false;

    while (f && fgets(line, sizeof(line), f)) {
        unsigned long long first, end;

        if (sscanf(line, "%llx-%llx ", &first, &end) == 2)
            here = (u64)at >= first && (u64)at < end;
        else if (here && !strncmp(line, "VmFlags:", 8))
            found = strstr(line, flag) != NULL;
    }
    if (f)
        fclose(f);
    return found;
}

TEST(spaces, sparse_tables_take_no_huge_pages)
{
    const struct mmu *mmu = rig_new(NULL, NULL)->m->mmu;

    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK))
        return;
    CHECK(mapping_has_flag(mmu->page_flags, " nh"));
    CHECK(mapping_has_flag(mmu->rmap_head, " nh"));
    CHECK(mmu->space && mapping_has_flag(mmu->space->shadow, " nh"));
}
