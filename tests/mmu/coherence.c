/*
 * The MMU against a plain model of it (SDM vol. 3, 4.3 to 4.8), over random tables that change all
 * the time: by CPU stores of any size, by DMA, whole pages at once, under six address spaces that
 * agree about a "kernel" most of the time, and about its table pages' rights never for long. Every
 * access must reach the page, set the A and D bits, or fault with the error code, as the model says:
 * a shadow that is stale anywhere shows as a difference.
 */
#include "cpu/far.h"
#include "devices/device.h"
#include "mmu/pte.h"
#include "mmu/state.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <stdlib.h>
#include <string.h>

/* Physical pages: directories (one or four a space), tables, data: all in one pool, so that tables
 * map tables; then the kernel's tables, the kernel's directory (PAE), the PDPTEs. */
enum { SPACES = 6, POOL = 0x100, POOL_PAGES = 64, KERNEL_TABLES = 0x140, KERNEL_DIRECTORY = 0x148,
       PDPTES = 0x149, END = 0x14a, KERNEL_REGIONS = 8, RAM = 16 << 20 };

struct world {
    struct machine *m;
    struct vcpu *cpu;
    u8 *model;  /* what RAM should hold */
    u64 pdpte[4]; /* as loaded */
    bool pae;
    u32 seed, space;
};

static u32 rnd(struct world *w)
{
    w->seed = w->seed * 1664525 + 1013904223;
    return w->seed >> 8;
}

static u32 below(struct world *w, u32 n)
{
    return rnd(w) % n;
}

static u32 size_of_entry(const struct world *w)
{
    return w->pae ? 8 : 4;
}

/* ---- The model ---- */

/* Beyond RAM nobody answers. */
static void model_read(const struct world *w, u64 gpa, void *buf, u32 n)
{
    memset(buf, 0xff, n);
    if (gpa < RAM)
        memcpy(buf, w->model + gpa, n);
}

static void model_write(struct world *w, u64 gpa, const void *buf, u32 n)
{
    if (gpa < RAM)
        memcpy(w->model + gpa, buf, n);
}

static u64 model_entry(const struct world *w, u64 gpa)
{
    u64 val = 0;

    model_read(w, gpa, &val, size_of_entry(w));
    return val;
}

struct access {
    gla_t gla;
    bool write, exec, user;
    u32 error; /* of a fault */
    gpa_t gpa;
};

static bool refuse(const struct world *w, struct access *a, u32 error)
{
    a->error = error | (a->write ? PF_W : 0) | (a->user ? PF_U : 0) |
               (a->exec && w->pae && w->cpu->efer & EFER_NXE ? PF_I : 0);
    return false;
}

static bool reserved(const struct world *w, u64 e, bool large)
{
    u64 bits = 0;

    if (w->pae)
        bits = 0x7ffffff000000000ull | (w->cpu->efer & EFER_NXE ? 0 : PTE_NX);
    if (large)
        bits |= w->pae ? 0x1fe000 : 0x3fe000;
    return e & bits;
}

static void model_set(struct world *w, u64 gpa, u32 bits)
{
    if (gpa < RAM)
        w->model[gpa] |= (u8)bits; /* A and D lie in the first byte */
}

/* Walks, and sets A and D if the access is allowed. */
static bool model_walk(struct world *w, struct access *a)
{
    u32 size = size_of_entry(w), span = w->pae ? 21 : 22, each = PAGE_SIZE / size;
    u64 directory = w->pae ? w->pdpte[a->gla >> 30] : w->cpu->cr3, at, entry, rights;
    u64 address = w->pae ? PAE_ADDRESS : 0xfffff000;
    bool large, pse = w->pae || w->cpu->cr4 & CR4_PSE;

    if (w->pae && !(directory & PTE_P))
        return refuse(w, a, 0);
    at = entry = (directory & 0xfffff000) + (a->gla >> span & (each - 1)) * size;
    rights = model_entry(w, at);
    large = rights & PDE_PS && pse;
    if (!(rights & PTE_P))
        return refuse(w, a, 0);
    if (reserved(w, rights, large))
        return refuse(w, a, PF_P | PF_RSVD);
    if (!large) {
        u64 pte;

        if ((rights & address) >= GIB(4))
            return refuse(w, a, 0);
        entry = (rights & address) + (a->gla >> 12 & (each - 1)) * size;
        pte = model_entry(w, entry);
        if (!(pte & PTE_P))
            return refuse(w, a, 0);
        if (reserved(w, pte, false))
            return refuse(w, a, PF_P | PF_RSVD);
        a->gpa = (pte & address) | (a->gla & PAGE_MASK);
        rights = (rights & pte & (PTE_W | PTE_U)) | ((rights | pte) & PTE_NX);
    } else {
        a->gpa = (rights & address & ~((1ull << span) - 1)) | (a->gla & ((1u << span) - 1));
    }
    if ((a->user && !(rights & PTE_U)) || (a->exec && rights & PTE_NX) ||
        (a->write && !(rights & PTE_W) && (a->user || w->cpu->cr0 & CR0_WP)))
        return refuse(w, a, PF_P);
    model_set(w, at, PTE_A);
    model_set(w, entry, PTE_A | (a->write ? PTE_D : 0));
    return true;
}

/* ---- Random tables ---- */

static u64 random_entry(struct world *w, bool directory)
{
    u64 e = (u64)(POOL + below(w, POOL_PAGES)) << PAGE_SHIFT | (rnd(w) & (PTE_A | PTE_D | PTE_G));

    e |= (below(w, 8) ? PTE_P : 0) | (below(w, 4) ? PTE_W : 0) | (below(w, 4) ? PTE_U : 0);
    if (directory && !below(w, 8))
        e = (e & 0xfff) | PDE_PS | (u64)below(w, 2) << 22;
    if (w->pae && !below(w, 8))
        e |= PTE_NX;
    return below(w, 50) ? e : e | (w->pae ? 1ull << 40 : 1u << 14);
}

static u32 kernel_region(const struct world *w)
{
    return w->pae ? 1536 : 768;
}

static u64 kernel_entry(u32 i)
{
    u32 rights = PTE_P | PTE_W | PTE_A | ((i & 6) == 2 ? PTE_U : 0);

    if (i == KERNEL_REGIONS - 1) /* RAM as it is, with the tables in it */
        return rights | PTE_D | PDE_PS;
    return (KERNEL_TABLES + i) << PAGE_SHIFT | rights;
}

static u32 directory_page(const struct world *w, u32 space, u32 number)
{
    if (w->pae && number == 3 && space < SPACES / 2)
        return KERNEL_DIRECTORY;
    return POOL + (w->pae ? space * 4 + number : space);
}

static gpa_t directory_entry_at(const struct world *w, u32 space, u32 region)
{
    u32 number = w->pae ? region >> 9 : 0;

    return ((gpa_t)directory_page(w, space, number) << PAGE_SHIFT) +
           (region & (w->pae ? 511 : 1023)) * size_of_entry(w);
}

/* By DMA: nothing can refuse it. */
static void put(struct world *w, gpa_t gpa, const void *buf, u32 n)
{
    if (below(w, 2)) {
        phys_write(w->m, gpa, buf, n);
    } else { /* as a disk does */
        for (u32 done = 0, run; done < n; done += run) {
            u8 *at = phys_run(w->m, gpa + done, n - done, true, &run);

            CHECK(at && run);
            memcpy(at, (const u8 *)buf + done, run);
        }
    }
    memcpy(w->model + gpa, buf, n);
}

static void put_kernel(struct world *w, u32 space)
{
    for (u32 i = 0; i < KERNEL_REGIONS; i++) {
        u64 e = kernel_entry(i);

        put(w, directory_entry_at(w, space, kernel_region(w) + i), &e, size_of_entry(w));
    }
}

static void set_up(struct world *w, bool pae)
{
    u32 size;

    w->pae = pae;
    size = size_of_entry(w);
    for (u32 page = POOL; page < END; page++)
        for (u32 i = 0; i < PAGE_SIZE / size; i++) {
            u64 e = random_entry(w, page < POOL + SPACES * (pae ? 4 : 1));

            put(w, (page << PAGE_SHIFT) + i * size, &e, size);
        }
    for (u32 s = 0; s < SPACES; s++)
        put_kernel(w, s);
}

/* PAE: one in ten is not there. */
static void put_pdptes(struct world *w, u32 space)
{
    for (u32 d = 0; d < 4 && w->pae; d++) {
        u64 e = (u64)directory_page(w, space, d) << PAGE_SHIFT | (below(w, 10) ? PTE_P : 0);

        put(w, (PDPTES << PAGE_SHIFT) + space * 32 + d * 8, &e, 8);
    }
}

static void load_cr3(struct world *w, u32 space)
{
    struct vcpu *cpu = w->cpu;

    put_pdptes(w, space);
    w->space = space;
    cpu->cr3 = w->pae ? (PDPTES << PAGE_SHIFT) + space * 32 : directory_page(w, space, 0) << PAGE_SHIFT;
    memcpy(w->pdpte, w->model + (PDPTES << PAGE_SHIFT) + space * 32, sizeof(w->pdpte));
    CHECK(mmu_mode_changed(&cpu->paging, true));
}

/* ---- Accesses ---- */

static gla_t random_gla(struct world *w)
{
    static const u16 pages[] = { 0, 1, 2, 3, 0x100, 0x101, 0x106, 0x120, 0x13f, 0x140, 0x142, 511 };
    u32 region = below(w, 2) ? kernel_region(w) + below(w, KERNEL_REGIONS + 1) : below(w, 3);

    return (region << (w->pae ? 21 : 22)) + ((u32)pages[below(w, ARRAY_SIZE(pages))] << PAGE_SHIFT) +
           (below(w, 8) ? below(w, PAGE_SIZE / 8) * 8 : below(w, PAGE_SIZE));
}

/* A fault of the MMU as the model has it? */
static void check_fault(struct world *w, const struct access *a)
{
    CHECK_EQ(w->cpu->exc_vector, EXC_PF);
    CHECK_EQ(w->cpu->exc_error, a->error);
    CHECK_EQ(w->cpu->cr2, a->gla);
    w->cpu->exc_vector = EXC_NONE;
}

static void do_load(struct world *w)
{
    struct access a = { .gla = random_gla(w), .user = w->cpu->cpl == 3 }, b;
    u32 size = 1u << below(w, 4), first;
    u64 got, want = 0;
    bool ok;

    first = PAGE_SIZE - (a.gla & PAGE_MASK) < size ? PAGE_SIZE - (a.gla & PAGE_MASK) : size;
    b = a;
    b.gla += first;
    ok = mmu_load(&w->cpu->paging, a.gla, size, MMU_READ, &got);
    if (!model_walk(w, &a)) {
        CHECK(!ok);
        check_fault(w, &a);
    } else if (first < size && !model_walk(w, &b)) {
        CHECK(!ok);
        check_fault(w, &b);
    } else {
        CHECK(ok);
        model_read(w, a.gpa, &want, first);
        model_read(w, b.gpa, (u8 *)&want + first, size - first);
        CHECK_EQ(got, want);
    }
}

static void do_exec(struct world *w)
{
    struct access a = { .gla = random_gla(w), .user = w->cpu->cpl == 3, .exec = true };
    bool fault;
    u8 *hva = mmu_host(&w->cpu->paging, a.gla, MMU_EXEC, &fault);

    if (model_walk(w, &a)) {
        CHECK(!fault && hva == (a.gpa < RAM ? mmu_ram(w->cpu->mmu) + a.gpa : NULL));
    } else {
        CHECK(fault);
        check_fault(w, &a);
    }
}

/* Bytes that may be entries: most stores write whole ones. */
static void random_bytes(struct world *w, u8 *buf, u32 n)
{
    for (u32 i = 0; i < n; i += 8) {
        u64 e = random_entry(w, below(w, 2));

        memcpy(buf + i, &e, n - i < 8 ? n - i : 8);
    }
}

static void store(struct world *w, gla_t gla, const u8 *buf, u32 size)
{
    struct access a = { .gla = gla, .user = w->cpu->cpl == 3, .write = true }, b = a;
    u32 first = PAGE_SIZE - (gla & PAGE_MASK) < size ? PAGE_SIZE - (gla & PAGE_MASK) : size;
    bool ok;

    b.gla += first;
    ok = mmu_store_bytes(&w->cpu->paging, gla, buf, size, MMU_WRITE);
    if (!model_walk(w, &a)) {
        CHECK(!ok);
        check_fault(w, &a);
        return;
    }
    if (first < size && !model_walk(w, &b)) {
        CHECK(!ok);
        check_fault(w, &b);
        return;
    }
    model_write(w, a.gpa, buf, first);
    if (first < size && !model_walk(w, &b)) { /* by its own first part */
        CHECK(!ok);
        check_fault(w, &b);
        return;
    }
    CHECK(ok);
    model_write(w, b.gpa, buf + first, size - first);
}

static void do_store(struct world *w, gla_t gla, u32 size)
{
    u8 buf[64];

    random_bytes(w, buf, size);
    store(w, gla, buf, size);
}

/* Through the kernel's large page to an entry of some table. */
static gla_t table_gla(struct world *w)
{
    u32 page = below(w, 4) ? POOL + below(w, POOL_PAGES) : KERNEL_TABLES + below(w, 9);
    static const u16 entries[] = { 0, 1, 2, 3, 0x100, 0x101, 0x106, 0x120, 0x13f, 0x140, 0x142, 511 };
    u32 entry = below(w, 3) ? entries[below(w, ARRAY_SIZE(entries))]
                            : (kernel_region(w) + below(w, KERNEL_REGIONS)) & (w->pae ? 511 : 1023);

    if (entry == (kernel_region(w) & (w->pae ? 511 : 1023)) + KERNEL_REGIONS - 1 && below(w, 8))
        entry--; /* the entry this goes through */
    return ((kernel_region(w) + KERNEL_REGIONS - 1) << (w->pae ? 21 : 22)) + (page << PAGE_SHIFT) +
           entry * size_of_entry(w);
}

/* An entry changes in one bit: rights taken or given, aged, made clean. */
static void do_flip(struct world *w)
{
    static const u64 bits[] = { PTE_P, PTE_W, PTE_U, PTE_A, PTE_D, PTE_G, PTE_NX, 0 };
    gla_t gla = table_gla(w);
    u64 e = model_entry(w, gla & ((1u << (w->pae ? 21 : 22)) - 1)) ^ bits[below(w, w->pae ? 8 : 6)];

    store(w, gla, (u8 *)&e, size_of_entry(w));
}

/* As REP STOS does: as much of a page as it likes. */
static void do_overwrite(struct world *w, gla_t gla)
{
    struct access a = { .gla = gla, .user = w->cpu->cpl == 3, .write = true };
    u32 n = 1 + below(w, PAGE_SIZE - (gla & PAGE_MASK));
    bool fault;
    u8 *hva = mmu_host_overwrite(&w->cpu->paging, gla, n, &fault);

    if (!model_walk(w, &a)) {
        CHECK(fault);
        check_fault(w, &a);
        return;
    }
    CHECK(!fault && !hva == (a.gpa >= RAM));
    if (!hva)
        return;
    CHECK(hva == mmu_ram(w->cpu->mmu) + a.gpa);
    memset(hva, 0, n);
    memset(w->model + a.gpa, 0, n);
}

static void do_dma(struct world *w)
{
    u32 page = POOL + below(w, END - POOL - 1), n = below(w, 4) ? 4u << below(w, 4) : PAGE_SIZE;
    u8 buf[PAGE_SIZE];

    if (n < PAGE_SIZE)
        random_bytes(w, buf, n);
    else if (below(w, 2)) /* a fork: a page like another */
        memcpy(buf, w->model + ((POOL + below(w, POOL_PAGES)) << PAGE_SHIFT), n);
    else
        memset(buf, 0, n);
    put(w, (page << PAGE_SHIFT) + (n < PAGE_SIZE ? below(w, PAGE_SIZE / 64) * 64 : 0), buf, n);
}

static void change_mode(struct world *w)
{
    struct vcpu *cpu = w->cpu;

    if (below(w, 3) == 0)
        cpu->cr0 ^= CR0_WP;
    else if (w->pae)
        cpu->efer ^= EFER_NXE;
    else
        cpu->cr4 ^= CR4_PSE;
    CHECK(mmu_mode_changed(&cpu->paging, false));
}

static void turn(struct world *w)
{
    u32 what = below(w, 100);

    if (what < 35)
        do_load(w);
    else if (what < 45)
        do_exec(w);
    else if (what < 60)
        do_store(w, random_gla(w), 1u << below(w, 5));
    else if (what < 75)
        do_flip(w);
    else if (what < 85)
        do_store(w, table_gla(w), below(w, 4) ? size_of_entry(w) : 1u << below(w, 7));
    else if (what < 87)
        do_dma(w);
    else if (what < 88)
        do_overwrite(w, below(w, 2) ? table_gla(w) : random_gla(w));
    else if (what < 93)
        load_cr3(w, below(w, SPACES));
    else if (what < 97)
        cpu_set_cpl(w->cpu, w->cpu->cpl ^ 3);
    else if (what < 99)
        put_kernel(w, below(w, 2) ? w->space : below(w, SPACES));
    else if (!below(w, 8))
        change_mode(w);
}

static void same_memory(const struct world *w)
{
    u32 from = POOL << PAGE_SHIFT, n = (END - POOL) << PAGE_SHIFT;

    CHECK(!memcmp(w->model + from, mmu_ram(w->cpu->mmu) + from, n));
}

static void run(bool pae, u32 turns)
{
    struct world w = { .m = rig_new(NULL, NULL)->m, .seed = pae ? 77 : 1 };

    w.cpu = w.m->cpu;
    w.model = calloc(1, mmu_ram_size(w.cpu->mmu));
    set_up(&w, pae);
    w.cpu->cr4 = pae ? CR4_PAE : CR4_PSE;
    w.cpu->cr3 = pae ? PDPTES << PAGE_SHIFT : directory_page(&w, 0, 0) << PAGE_SHIFT;
    w.cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    load_cr3(&w, 0);
    for (u32 i = 0; i < turns && !test_failed(); i++) {
        turn(&w);
        if (i % 64 == 0)
            same_memory(&w);
        if (i % 20000 == 19999)
            set_up(&w, pae);
    }
    CHECK(!memcmp(w.model, mmu_ram(w.cpu->mmu), mmu_ram_size(w.cpu->mmu)));
    /* The paths meant to be tried were. */
    CHECK(w.m->mmu->stats.shared_shadows > 0);
    CHECK(w.m->mmu->stats.shadow_quarrels > 0);
    CHECK(w.m->mmu->stats.pt_traces > turns / 20);
    CHECK(w.m->mmu->stats.shadow_true > turns / 20);
    CHECK(w.m->mmu->stats.shadow_hidden > turns / 20);
    free(w.model);
}

TEST(mmu, coherent_32bit)
{
    run(false, 400000);
}

TEST(mmu, coherent_pae)
{
    run(true, 400000);
}
