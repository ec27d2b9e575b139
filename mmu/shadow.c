/*
 * Keeps the spaces' sptes in step with the guest's page tables.
 *
 * Coherence comes from traces: a guest table page that was read for a spte is write-protected,
 * so every write to it (by a CPU store, DMA, whatever) passes shadow_store() or
 * shadow_before_write(). A store that changes one entry changes its sptes at once; what writes
 * more drops the sptes the old entries gave. So INVLPG and CR3 loads have nothing to do, and a
 * space stays valid while other address spaces run. What the guest sees is a TLB that is never
 * stale, which the manual allows (vol. 3, 4.10).
 *
 * But for one page: code that rewrites the entry of the page it runs in goes on by its TLB, until it
 * invalidates that. PC-MOS' monitor does so in two steps, in between of which the entry leads nowhere.
 * The page's execute spte stays as it was, alone, and is stale: until INVLPG, a load of CR3, another
 * write to the entry while other code runs, or an entry that leads there again.
 */
#include "mmu/shadow.h"
#include "mmu/phys.h"
#include "mmu/pte.h"
#include "mmu/rmap.h"
#include <string.h>

enum {
    STALE_ROOT_WRITES = 64, /* of entries of a directory not in use: it is none any more */
    FILL_AROUND = 64,       /* pages, a power of two */
    MAX_TABLE_PLACES = 4 * MAX_SPACES /* that one table serves, before a write drops all */
};

/* ---- Sptes ---- */

/* `s` owns the page (spte_owner()). */
static inline void spte_set(struct mmu *mmu, struct space *s, u32 table, u32 page, u64 val)
{
    u32 column = page / LEAF_SPTES;
    u8 bit = (u8)(1u << table);

    s->shadow[table * SHADOW_SPTES + page] = val;
    s->used[column] |= bit;
    if (page & LEAF_SPTES / 2)
        s->odd[column] = s->any_odd = true;
    if (unlikely(!(s->resident[column] & bit))) {
        s->resident[column] |= bit;
        s->leaves++;
        mmu->leaves++;
    }
}

/* Execute sptes are what translations and fetches rely on: when one goes, the generation
 * moves. */
static void drop_page(struct mmu *mmu, struct space *s, u32 page)
{
    u32 used = s->used[page / LEAF_SPTES];
    u64 *sptes = &s->shadow[page];

    direct_map_cut(mmu, s, page, 1);
    user_map_drops(mmu, s, page);
    if (!(used & 1 << TABLE_READ) || !*sptes)
        return;
    for (; used; used &= used - 1) {
        u32 table = (u32)__builtin_ctz(used);

        if (1u << table & TABLES_EXEC && sptes[table * SHADOW_SPTES])
            mmu->fetch_generation++;
        sptes[table * SHADOW_SPTES] = 0;
    }
}

static bool stale(const struct mmu *mmu, const struct space *s, u32 page)
{
    return mmu->pg && mmu->pg->stale_code == page + 1 && spte_owner(mmu->space, page) == s;
}

void shadow_forget_stale(struct mmu *mmu)
{
    u32 page = mmu->pg->stale_code - 1;
    u64 *sptes = &spte_owner(mmu->space, page)->shadow[page];

    sptes[SHADOW_EXEC] = sptes[SHADOW_USER + SHADOW_EXEC] = 0;
    mmu->pg->stale_code = 0;
    mmu->fetch_generation++;
}

static bool runs_in(const struct mmu *mmu, const struct space *s, u32 page)
{
    return mmu->pg && mmu->pg->running_at &&
           mmu->pg->running_at(mmu->pg) >> PAGE_SHIFT == page &&
           spte_owner(mmu->space, page) == s && s->used[page / LEAF_SPTES] & TABLES_EXEC;
}

/* The entry of a page changes. */
static void drop_by_entry(struct mmu *mmu, struct space *s, u32 page)
{
    u32 generation = mmu->fetch_generation, used = s->used[page / LEAF_SPTES];
    u64 *sptes = &s->shadow[page], exec = used & 1 << TABLE_EXEC ? sptes[SHADOW_EXEC] : 0,
        user = used & 1 << (TABLE_USER + TABLE_EXEC) ? sptes[SHADOW_USER + SHADOW_EXEC] : 0;

    if (likely(!runs_in(mmu, s, page)) || !(exec | user)) {
        if (stale(mmu, s, page))
            shadow_forget_stale(mmu);
        drop_page(mmu, s, page);
        return;
    }
    if (mmu->pg->stale_code && mmu->pg->stale_code != page + 1)
        shadow_forget_stale(mmu);
    drop_page(mmu, s, page);
    if (exec)
        sptes[SHADOW_EXEC] = exec;
    if (user)
        sptes[SHADOW_USER + SHADOW_EXEC] = user;
    mmu->fetch_generation = generation;
    mmu->pg->stale_code = page + 1;
}

/* The entry leads where the stale spte does: it is stale no more. */
static void settle_stale(struct mmu *mmu, struct space *s, u32 page, u64 exec, bool user)
{
    u64 *sptes = &s->shadow[page];

    if ((sptes[SHADOW_EXEC] && sptes[SHADOW_EXEC] != exec) ||
        (sptes[SHADOW_USER + SHADOW_EXEC] &&
         (sptes[SHADOW_USER + SHADOW_EXEC] != exec || !user)))
        return;
    mmu->pg->stale_code = 0;
}

static void drop_writes(struct mmu *mmu, struct space *s, u32 page)
{
    u32 used = s->used[page / LEAF_SPTES];

    user_map_drops(mmu, s, page);
    if (used & 1 << TABLE_WRITE)
        s->shadow[SHADOW_WRITE + page] = 0;
    if (used & 1 << (TABLE_USER + TABLE_WRITE))
        s->shadow[SHADOW_USER + SHADOW_WRITE + page] = 0;
}

void shadow_forget_writes(struct mmu *mmu, gla_t gla)
{
    u32 page = gla >> PAGE_SHIFT;

    drop_writes(mmu, spte_owner(mmu->space, page), page);
}

void shadow_drop_range(struct mmu *mmu, struct space *s, u32 first, u32 count)
{
    u32 end = first + count, n;

    direct_map_cut(mmu, s, first, count);
    user_map_range_changes(mmu, s, first, count);
    for (u32 page = first; page < end; page += n) {
        u32 used = s->used[page / LEAF_SPTES];

        n = LEAF_SPTES - page % LEAF_SPTES < end - page ? LEAF_SPTES - page % LEAF_SPTES
                                                        : end - page;
        if (used & TABLES_EXEC)
            mmu->fetch_generation++;
        if (n == LEAF_SPTES)
            s->used[page / LEAF_SPTES] = 0;
        for (; used; used &= used - 1)
            memset(&s->shadow[(u32)__builtin_ctz(used) * SHADOW_SPTES + page], 0, n * 8);
    }
}

void shadow_drop_sptes(struct mmu *mmu, struct space *s)
{
    u64 eight;

    mmu->fetch_generation++;
    direct_map_close(mmu, s);
    user_map_close(mmu, s);
    for (u32 column = 0; column < COLUMNS; column += 8) {
        memcpy(&eight, &s->used[column], 8);
        if (eight)
            shadow_drop_range(mmu, s, column * LEAF_SPTES, 8 * LEAF_SPTES);
    }
}

/* Spaces and shared shadows: what has sptes. */
#define FOR_LIVE(mmu, s)                                                                       \
    for (struct space *s = (mmu)->spaces; s < (mmu)->spaces + (mmu)->spaces_end; s++)          \
        if (s->live)

void shadow_drop_all(struct mmu *mmu)
{
    mmu->stats.shadow_flushes++;
    mmu->fetch_generation++;
    FOR_LIVE(mmu, s)
        shadow_drop_sptes(mmu, s);
    shared_doubt(mmu);
}

/* The memory map changed while no paging space is current: those are dropped whole, the
 * identity space only where it changed. */
void shadow_drop_identity(struct mmu *mmu, gpa_t gpa, u64 size)
{
    mmu->fetch_generation++;
    FOR_LIVE(mmu, s) {
        if (s->root.mode & SPACE_PAGING || mmu->a20_mask != ~0u)
            shadow_drop_sptes(mmu, s);
        else if (gpa < GIB(4))
            shadow_drop_range(mmu, s, (u32)(gpa >> PAGE_SHIFT),
                       (u32)((size < GIB(4) - gpa ? size : GIB(4) - gpa) >> PAGE_SHIFT));
    }
    shared_doubt(mmu);
}

/* Without paging, odd megabytes lead elsewhere now. */
static void drop_odd_megabytes(struct mmu *mmu, struct space *s)
{
    u64 eight;

    for (u32 column = 0; s->any_odd && column < COLUMNS; column += 8) {
        memcpy(&eight, &s->odd[column], 8);
        memset(&s->odd[column], 0, 8);
        for (; eight; eight &= eight - 1)
            shadow_drop_range(mmu, s,
                              (column + (u32)__builtin_ctzll(eight) / 8) * LEAF_SPTES +
                                  LEAF_SPTES / 2,
                              LEAF_SPTES / 2);
    }
    s->any_odd = false;
    if (s->direct_map)
        direct_map_cut_odd(mmu, s->direct_map);
}

void shadow_drop_a20(struct mmu *mmu)
{
    static_assert(LEAF_SPTES * PAGE_SIZE == MIB(2), "a leaf is an even and an odd megabyte");
    mmu->fetch_generation++;
    FOR_LIVE(mmu, s)
    {
        if (s->root.mode & SPACE_PAGING)
            shadow_drop_sptes(mmu, s);
        else
            drop_odd_megabytes(mmu, s);
    }
    shared_doubt(mmu);
}

/* ---- Traces of guest page tables ---- */

void shadow_trace_directory(struct mmu *mmu, struct space *s, u32 page, u32 number)
{
    if (s->traced >> number & 1)
        return;
    s->traced |= (u8)(1u << number);
    s->directory[number] = page;
    table_user_add(mmu, page, (struct table_user){ .first = number << 9, .level = 2,
                                                   .space = (u16)(s - mmu->spaces) });
}

static void trace_table(struct mmu *mmu, struct space *s, u32 page, u32 region, u8 rights)
{
    if (s->table[region] == page + 1)
        return;
    if (s->table[region]) /* its directory is no memory that can be traced */
        shadow_drop_region(mmu, s, region);
    s->table[region] = page + 1;
    table_user_add(mmu, page,
                   (struct table_user){ .first = region << region_shift(&s->root),
                                        .level = 1,
                                        .rights = rights,
                                        .space = (u16)(s - mmu->spaces) });
}

/* What a directory's entry gave goes. */
void shadow_drop_region(struct mmu *mmu, struct space *s, u32 region)
{
    u32 shift = region_shift(&s->root), first = region << shift;

    shadow_drop_range(mmu, s, first, 1u << shift);
    if (s->table[region])
        table_user_remove(mmu, s->table[region] - 1, s, first, 1);
    s->table[region] = 0;
}

/* Forgets what was derived and who asked for it, of all spaces, when a guest that keeps making
 * up mappings has filled the lists. */
static void lists_trim(struct mmu *mmu)
{
    if (likely(!rmap_full(mmu)))
        return;
    FOR_LIVE(mmu, s)
        space_clear(mmu, s);
    shared_doubt(mmu);
    rmap_clear(mmu);
}

/* ---- Guest page tables change ---- */

static void directory_entry_changes(struct mmu *mmu, struct space *s, u32 region, u64 old)
{
    if (s->shared_shadow && bit_test(s->shared_shadow->regions, region))
        shared_entry_written(mmu, s, region);
    else if (old & PTE_P)
        shadow_drop_region(mmu, s, region);
}

/* One table page, one of its users, the bytes [off, off+n) change. */
static void user_before_write(struct mmu *mmu, struct table_user u, const u8 *page, u32 off,
                              u32 n)
{
    struct space *s = &mmu->spaces[u.space];
    u32 size = entry_size(&s->root);

    if (u.level == 2 && s != mmu->space) {
        s->root_writes += (n + size - 1) / size;
        if (s->root_writes > STALE_ROOT_WRITES) {
            space_free(mmu, s);
            return;
        }
    }
    for (u32 i = off / size; i <= (off + n - 1) / size; i++) {
        u64 old = page ? pte_read(page + i * size, size) : PTE_P;

        if (u.level == 2)
            directory_entry_changes(mmu, s, u.first + i, old);
        else if (old & PTE_P)
            drop_by_entry(mmu, s, u.first + i);
    }
}

static void table_before_write(struct mmu *mmu, gpa_t gpa, u32 n)
{
    u32 page = (u32)(gpa >> PAGE_SHIFT), count = 0;
    struct table_user users[MAX_TABLE_PLACES];

    /* Copied: serving one may remove others. */
    for (u32 i = mmu->table_head[page]; i; i = mmu->table_pool[i].next) {
        if (count == ARRAY_SIZE(users)) { /* shared more often than we follow */
            FOR_LIVE(mmu, s)
                space_clear(mmu, s);
            shared_doubt(mmu);
            return;
        }
        users[count++] = mmu->table_pool[i];
    }
    for (u32 i = 0; i < count; i++)
        if (mmu->spaces[users[i].space].live)
            user_before_write(mmu, users[i], mmu->page_read[page], gpa & PAGE_MASK, n);
}

static void code_before_write(struct mmu *mmu, gpa_t gpa, u32 n)
{
    if (!(mmu->page_flags[gpa >> PAGE_SHIFT] & (PG_CODE | PG_CAGED)))
        return;
    mmu->stats.smc_events++;
    mmu_tell_code_written(mmu, gpa, n);
}

void shadow_before_write(struct mmu *mmu, gpa_t gpa, u32 n)
{
    u32 page = (u32)(gpa >> PAGE_SHIFT);

    code_before_write(mmu, gpa, n);
    if (!(mmu->page_flags[page] & PG_TABLE))
        return;
    mmu->stats.pt_traces++;
    table_before_write(mmu, gpa, n);
}

/* ---- Filling ---- */

/* What a data spte becomes: `hva` answers the access, or the bus does. */
static u64 spte_value(const struct mmu *mmu, const struct space *s, u32 page, const u8 *hva,
                      gpa_t gpa)
{
    return hva ? spte_base(mmu, s, hva, page)
               : SPTE_DEVICE | ((gpa - ((u64)page << PAGE_SHIFT)) & SPTE_LOW);
}

static void fill_sptes(struct mmu *mmu, struct space *s, const struct walk *w, u32 index,
                       bool exec)
{
    gpa_t gpa = w->gpa & (0xffffffff00000000ull | mmu->a20_mask);
    u32 page = (u32)(gpa >> PAGE_SHIFT);
    bool known = gpa >> PAGE_SHIFT < PHYS_PAGES;
    u8 *read = known ? mmu->page_read[page] : NULL,
       *write = known ? mmu->page_write[page] : NULL;
    bool write_protected = known && mmu->page_flags[page];
    u64 rd = spte_value(mmu, s, index, read, gpa);
    u64 wr =
        spte_value(mmu, s, index, write, gpa) | (write && write_protected ? SPTE_PROTECTED : 0);
    /* stays, whatever the direct maps do */
    u64 ex = read ? (u64)read - ((u64)index << PAGE_SHIFT) : rd;
    bool super_write = w->dirty && (w->writable || !(s->root.mode & SPACE_WP));

    if (unlikely(stale(mmu, s, index)))
        settle_stale(mmu, s, index, ex, w->user);
    spte_set(mmu, s, TABLE_READ, index, rd);
    if (exec)
        spte_set(mmu, s, TABLE_EXEC, index, ex);
    if (w->user) {
        s->user_fills++;
        spte_set(mmu, s, TABLE_USER + TABLE_READ, index, rd);
        if (exec)
            spte_set(mmu, s, TABLE_USER + TABLE_EXEC, index, ex);
    }
    if (super_write)
        spte_set(mmu, s, TABLE_WRITE, index, wr);
    if (w->dirty && w->writable && w->user)
        spte_set(mmu, s, TABLE_USER + TABLE_WRITE, index, wr);
    if (w->user)
        user_map_changes(mmu, s, index);
    if (super_write && write && !write_protected)
        rmap_add(mmu, page, s, index, write);
}

void shadow_trace_walk(struct mmu *mmu, const struct walk *w, struct space *owner, u32 region)
{
    struct space *s = mmu->space;

    if (w->levels)
        shadow_trace_directory(mmu, s, (u32)(w->table[0] >> PAGE_SHIFT),
                               region_directory(&s->root, region));
    if (owner != s)
        shared_filled(mmu, s, region, w->entry);
    if (w->levels == 2)
        trace_table(mmu, owner, (u32)(w->table[1] >> PAGE_SHIFT), region, w->rights);
}

/* Without paging an entry needs no walk, and what lies around a page is wanted soon. */
static void fill_around(struct mmu *mmu, struct space *s, u32 index)
{
    u32 first = index & ~(FILL_AROUND - 1);
    const u64 *read = &s->shadow[TABLE_READ * SHADOW_SPTES];

    for (u32 page = first; page < first + FILL_AROUND; page++) {
        struct walk w = {
            .gpa = (gpa_t)page << PAGE_SHIFT, .writable = true, .user = true, .dirty = true};

        if (!read[page] && mmu->page_write[page])
            fill_sptes(mmu, s, &w, page, false);
    }
}

bool shadow_fill(struct paging *pg, gla_t gla, enum mmu_access access)
{
    struct mmu *mmu = pg->mmu;
    u32 index = gla >> PAGE_SHIFT;
    struct space *owner;
    struct walk w;
    u32 error;

    if (!mmu_walk(mmu, gla, access, mmu_user(pg, access), &w, &error)) {
        mmu->stats.shadow_true++;
        trace(TRACE_MMU, "page fault at %08x, error %x", gla, error);
        pg->cr2 = gla;
        return pg->page_fault(pg, error);
    }
    mmu->stats.shadow_hidden++;
    lists_trim(mmu);
    space_shrink(mmu);
    owner = spte_owner(mmu->space, index);
    shadow_trace_walk(mmu, &w, owner, index >> region_shift(&mmu->space->root));
    fill_sptes(mmu, owner, &w, index, access & MMU_EXEC);
    if (pg->direct_map_loaded && !(access & MMU_EXEC) && !mmu_user(pg, access))
        mmu_direct_map_extend(pg, gla);
    if (!(owner->root.mode & SPACE_PAGING) && !(access & MMU_EXEC))
        fill_around(mmu, owner, index);
    return true;
}

/* ---- A store of the CPU to a table: the sptes of the entry change with it ---- */

/* Sptes that are as they were, but for writing, after an entry changed from old to new. */
static bool keeps_sptes(u64 old, u64 new)
{
    u64 harmless = PTE_W | PTE_D | PTE_PWT | PTE_PCD | PTE_PAT | PTE_G | PTE_AVL;

    return !((old ^ new) & ~harmless);
}

/* Entry `index` of the user's table is `new` now. */
static void entry_changed(struct mmu *mmu, const struct table_user *u, u32 index, u64 old,
                          u64 new)
{
    struct space *s = &mmu->spaces[u->space], *now = mmu->space;
    u32 page = u->first + index, mode = s->root.mode;
    struct walk w = { .gpa = new & (mode & SPACE_PAE ? PAE_ADDRESS : 0xfffff000u),
                      .writable = new & u->rights & PTE_W,
                      .user = new & u->rights & PTE_U,
                      .dirty = new & PTE_D };

    if ((old & PTE_P && !keeps_sptes(old, new)) || stale(mmu, s, page))
        drop_by_entry(mmu, s, page);
    else if (old & PTE_P && !(w.writable && w.dirty))
        drop_writes(mmu, s, page);
    if ((new & (PTE_P | PTE_A)) == (PTE_P | PTE_A) && !(new & mmu_entry_reserved(mode)) &&
        (s == now || (now->shared_shadow && s == now->shared_shadow->sptes)))
        fill_sptes(mmu, s, &w, page, false);
}

/* The store lies in one entry of a table that maps pages, for all who use it? */
static bool changes_one_page(const struct mmu *mmu, u32 page, u32 off, u32 n)
{
    for (u32 i = mmu->table_head[page]; i; i = mmu->table_pool[i].next) {
        const struct table_user *u = &mmu->table_pool[i];
        u32 size = entry_size(&mmu->spaces[u->space].root);

        if (u->level != 1 || (off & (size - 1)) + n > size)
            return false;
    }
    return true;
}

/* Most stores are of four bytes. */
static bool same_bytes(const u8 *hva, const void *buf, u32 n)
{
    return n == 4 ? !memcmp(hva, buf, 4) : !memcmp(hva, buf, n);
}

static void copy_bytes(u8 *hva, const void *buf, u32 n)
{
    if (n == 4)
        memcpy(hva, buf, 4);
    else
        memcpy(hva, buf, n);
}

static void table_store(struct mmu *mmu, gpa_t gpa, u8 *hva, const void *buf, u32 n)
{
    u32 page = (u32)(gpa >> PAGE_SHIFT), off = gpa & PAGE_MASK;
    u8 *table = hva - off;
    u64 before = pte_read(table + (off & ~7u), 8);

    if (same_bytes(hva, buf, n))
        return;
    mmu->stats.pt_traces++;
    lists_trim(mmu);
    space_shrink(mmu);
    if (!changes_one_page(mmu, page, off, n)) {
        table_before_write(mmu, gpa, n);
        memcpy(hva, buf, n);
        return;
    }
    copy_bytes(hva, buf, n);
    for (u32 i = mmu->table_head[page]; i; i = mmu->table_pool[i].next) {
        const struct table_user *u = &mmu->table_pool[i];
        u32 size = entry_size(&mmu->spaces[u->space].root);
        u64 old = size == 8 ? before : before >> (off & 4) * 8 & 0xffffffff;

        entry_changed(mmu, u, off / size, old, pte_read(table + (off & ~(size - 1)), size));
    }
}

void shadow_store(struct mmu *mmu, gpa_t gpa, u8 *hva, const void *buf, u32 n)
{
    u8 flags = mmu->page_flags[gpa >> PAGE_SHIFT];

    code_before_write(mmu, gpa, n);
    if (flags & PG_TABLE)
        table_store(mmu, gpa, hva, buf, n);
    else
        memcpy(hva, buf, n);
}
