/*
 * Keeps the spaces' slots in step with the guest's page tables.
 *
 * Coherence comes from traces: a guest table page that was read for a slot is guarded, so every
 * write to it (by a CPU store, DMA, whatever) passes shadow_before_write(), which drops the slots
 * the old entry gave. So INVLPG and CR3 loads have nothing to do, and a space stays valid while
 * other address spaces run. What the guest sees is a TLB that is never stale, which the manual
 * allows (vol. 3, 4.10).
 *
 * Guarding a page needs everybody who can write it: the `writer` lists, a superset (an entry whose
 * slot has since changed is ignored, and removed when met).
 */
#include "mmu/pte.h"
#include "mmu/shadow.h"
#include "runtime/machine.h"
#include <stdlib.h>
#include <string.h>

enum { STALE_ROOT_WRITES = 64 }; /* to a top-level table not in use: it is no table any more */

bool shadow_init(struct mmu *mmu)
{
    mmu->table_head = mmu_reserve(PHYS_PAGES * sizeof(u32));
    mmu->writer_head = mmu_reserve(PHYS_PAGES * sizeof(u32));
    return mmu->table_head && mmu->writer_head;
}

/* ---- Slots ---- */

static inline void slot_set(struct space *s, u32 index, u64 val)
{
    u32 leaf = index / LEAF_SLOTS;

    s->flat[index] = val;
    s->used[leaf / 64] |= 1ull << leaf % 64;
}

static inline bool leaf_used(const struct space *s, u32 leaf)
{
    return s->used[leaf / 64] >> leaf % 64 & 1;
}

/* Execute slots are what translations and fetches rely on: when one goes, the generation moves. */
static void drop_page(struct mmu *mmu, struct space *s, u32 page)
{
    for (u32 priv = 0; priv <= FLAT_USER; priv += FLAT_USER)
        if (leaf_used(s, (priv + FLAT_EXEC + page) / LEAF_SLOTS) && s->flat[priv + FLAT_EXEC + page])
            mmu->fetch_generation++;
    for (u32 t = 0; t < FLAT_TABLES; t++)
        if (leaf_used(s, (t * FLAT_SLOTS + page) / LEAF_SLOTS))
            s->flat[t * FLAT_SLOTS + page] = 0;
}

void shadow_forget_page(struct mmu *mmu, gla_t gla)
{
    drop_page(mmu, mmu->space, gla >> PAGE_SHIFT);
}

static void drop_range(struct mmu *mmu, struct space *s, u32 first, u32 count)
{
    mmu->fetch_generation++;
    for (u32 t = 0; t < FLAT_TABLES; t++)
        for (u32 page = first; page < first + count; page = (page | (LEAF_SLOTS - 1)) + 1) {
            u32 i = t * FLAT_SLOTS + page;
            u32 n = LEAF_SLOTS - page % LEAF_SLOTS;

            if (leaf_used(s, i / LEAF_SLOTS))
                memset(&s->flat[i], 0, (n < first + count - page ? n : first + count - page) * 8);
        }
}

static void drop_space(struct space *s)
{
    for (u32 w = 0; w < ARRAY_SIZE(s->used); w++) {
        for (u64 bits = s->used[w]; bits; bits &= bits - 1) {
            u32 leaf = w * 64 + (u32)__builtin_ctzll(bits);

            memset(&s->flat[(u64)leaf * LEAF_SLOTS], 0, LEAF_SLOTS * 8);
        }
        s->used[w] = 0;
    }
}

void shadow_drop_all(struct mmu *mmu)
{
    mmu->machine->stats.shadow_flushes++;
    mmu->fetch_generation++;
    for (u32 i = 0; i < MAX_SPACES; i++)
        if (mmu->spaces[i].live)
            drop_space(&mmu->spaces[i]);
}

/* The memory map changed while no paging space is current: those are dropped whole, the identity
 * space only where it changed. */
void shadow_drop_identity(struct mmu *mmu, gpa_t gpa, u64 size)
{
    mmu->fetch_generation++;
    for (u32 i = 0; i < MAX_SPACES; i++) {
        struct space *s = &mmu->spaces[i];

        if (!s->live)
            continue;
        if (s->mode & SPACE_PAGING || mmu->a20_mask != ~0u)
            drop_space(s);
        else if (gpa < GIB(4))
            drop_range(mmu, s, (u32)(gpa >> PAGE_SHIFT),
                       (u32)((size < GIB(4) - gpa ? size : GIB(4) - gpa) >> PAGE_SHIFT));
    }
}

/* ---- Who can write a page ---- */

static u32 pool_grow(void **pool, u32 *size, u32 *free_list, size_t item)
{
    u32 n = *size ? *size * 2 : 1024;

    *pool = realloc(*pool, n * item);
    check(*pool, "out of memory for shadow bookkeeping");
    memset((u8 *)*pool + *size * item, 0, (n - *size) * item);
    for (u32 i = *size ? *size : 1; i < n; i++) { /* item 0 means none; `next` comes first */
        *(u32 *)((u8 *)*pool + i * item) = *free_list;
        *free_list = i;
    }
    *size = n;
    return *free_list;
}

static bool writer_current(const struct mmu *mmu, const struct writer *w, u8 *hva)
{
    const struct space *s = &mmu->spaces[w->space];
    u64 delta = (u64)hva - ((u64)w->page << PAGE_SHIFT);

    return s->live && (s->flat[FLAT_WRITE + w->page] == delta ||
                       s->flat[FLAT_USER + FLAT_WRITE + w->page] == delta);
}

/* Adds (space, gla page) to the writers of a physical page, unless it is there; removes those met
 * that no longer are. */
static void writer_add(struct mmu *mmu, u32 page, u32 gla_page, u8 *hva)
{
    u32 space = (u32)(mmu->space - mmu->spaces), *link = &mmu->writer_head[page], i;

    while ((i = *link)) {
        struct writer *w = &mmu->writer_pool[i];

        if (w->page == gla_page && w->space == space)
            return;
        if (writer_current(mmu, w, hva)) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->next = mmu->writer_free;
        mmu->writer_free = i;
    }
    if (!mmu->writer_free)
        pool_grow((void **)&mmu->writer_pool, &mmu->writer_size, &mmu->writer_free,
                  sizeof(struct writer));
    i = mmu->writer_free;
    mmu->writer_free = mmu->writer_pool[i].next;
    mmu->writer_pool[i] = (struct writer){ mmu->writer_head[page], gla_page, space };
    mmu->writer_head[page] = i;
}

/* From now on writes to the page are told. */
void shadow_guard(struct mmu *mmu, u32 page, u8 flag)
{
    u8 *hva = mmu->page_write[page];
    u32 i;

    if (mmu->page_flags[page] & flag)
        return;
    mmu->page_flags[page] |= flag;
    while ((i = mmu->writer_head[page])) {
        struct writer *w = &mmu->writer_pool[i];
        struct space *s = &mmu->spaces[w->space];
        u64 delta = (u64)hva - ((u64)w->page << PAGE_SHIFT);

        for (u32 user = 0; s->live && user <= FLAT_USER; user += FLAT_USER)
            if (s->flat[user + FLAT_WRITE + w->page] == delta)
                s->flat[user + FLAT_WRITE + w->page] = delta | SLOT_GUARDED;
        mmu->writer_head[page] = w->next;
        w->next = mmu->writer_free;
        mmu->writer_free = i;
    }
}

/* ---- Traces of guest page tables ---- */

static void table_add(struct mmu *mmu, u32 page, u32 gla, u8 level)
{
    u16 space = (u16)(mmu->space - mmu->spaces);
    u32 i;

    for (i = mmu->table_head[page]; i; i = mmu->table_pool[i].next) {
        struct table_user *u = &mmu->table_pool[i];

        if (u->space == space && u->gla == gla && u->level == level)
            return;
    }
    if (!mmu->table_free)
        pool_grow((void **)&mmu->table_pool, &mmu->table_size, &mmu->table_free,
                  sizeof(struct table_user));
    i = mmu->table_free;
    mmu->table_free = mmu->table_pool[i].next;
    mmu->table_pool[i] = (struct table_user){ mmu->table_head[page], gla, space, level };
    mmu->table_head[page] = i;
    shadow_guard(mmu, page, PG_TABLE);
}

/* Removes a space's use of a table at gla (any gla if ~0). */
static void table_remove(struct mmu *mmu, u32 page, const struct space *s, u32 gla)
{
    u16 space = (u16)(s - mmu->spaces);
    u32 *link = &mmu->table_head[page], i;

    while ((i = *link)) {
        struct table_user *u = &mmu->table_pool[i];

        if (u->space != space || (gla != ~0u && (u->gla != gla || u->level != 1))) {
            link = &u->next;
            continue;
        }
        *link = u->next;
        u->next = mmu->table_free;
        mmu->table_free = i;
    }
    if (!mmu->table_head[page])
        mmu->page_flags[page] &= (u8)~PG_TABLE;
}

static u64 old_entry(struct mmu *mmu, gpa_t gpa, u32 size)
{
    u64 val = 0;
    u8 *page = mmu->page_read[gpa >> PAGE_SHIFT];

    if (page)
        memcpy(&val, page + (gpa & PAGE_MASK), size);
    return val;
}

static u32 span_of(const struct space *s)
{
    return s->mode & SPACE_PAE ? 21 : 22;
}

/* An entry of the directory of space s changes: what it gave goes. */
static void directory_entry_drop(struct mmu *mmu, struct space *s, u64 old, u32 gla)
{
    u64 table = old & (s->mode & SPACE_PAE ? PAE_ADDRESS : 0xfffff000u);

    if (!(old & PTE_P))
        return;
    drop_range(mmu, s, gla >> PAGE_SHIFT, 1u << (span_of(s) - PAGE_SHIFT));
    if (!(old & PDE_PS && s->mode & (SPACE_PAE | SPACE_PSE)) && table >> PAGE_SHIFT < PHYS_PAGES)
        table_remove(mmu, (u32)(table >> PAGE_SHIFT), s, gla);
}

/* Frees a space and every trace it asked for: its directories tell where its tables are. */
static void space_free(struct mmu *mmu, struct space *s)
{
    u32 size = s->mode & SPACE_PAE ? 8 : 4, directories = s->mode & SPACE_PAE ? 4 : 1;

    for (u32 d = 0; s->mode & SPACE_PAGING && d < directories; d++) {
        u64 directory = size == 8 ? s->pdpte[d] & PAE_ADDRESS : s->root;

        if ((size == 8 && !(s->pdpte[d] & PTE_P)) || directory >> PAGE_SHIFT >= PHYS_PAGES)
            continue;
        for (u32 i = 0; i < PAGE_SIZE / size; i++) {
            u64 e = old_entry(mmu, (directory + i * size) & mmu->a20_mask, size);
            u64 table = e & (size == 8 ? PAE_ADDRESS : 0xfffff000u);

            if (e & PTE_P && table >> PAGE_SHIFT < PHYS_PAGES)
                table_remove(mmu, (u32)(table >> PAGE_SHIFT), s, ~0u);
        }
        table_remove(mmu, (u32)(directory >> PAGE_SHIFT), s, ~0u);
    }
    drop_space(s);
    s->live = false;
}

/* One table page, one of its users, the entries [first, last] change. */
static void user_before_write(struct mmu *mmu, struct table_user u, gpa_t page, u32 off, u32 n)
{
    struct space *s = &mmu->spaces[u.space];
    u32 size = s->mode & SPACE_PAE ? 8 : 4;

    for (u32 i = off / size; i <= (off + n - 1) / size; i++) {
        u64 old = old_entry(mmu, page + i * size, size);

        if (u.level == 1) {
            if (old & PTE_P)
                drop_page(mmu, s, (u.gla >> PAGE_SHIFT) + i);
        } else {
            directory_entry_drop(mmu, s, old, u.gla + (i << span_of(s)));
        }
    }
    if (u.level == 2 && s != mmu->space && ++s->root_writes > STALE_ROOT_WRITES)
        space_free(mmu, s);
}

void shadow_before_write(struct mmu *mmu, gpa_t gpa, u32 n)
{
    u32 page = (u32)(gpa >> PAGE_SHIFT);
    struct table_user users[2 * MAX_SPACES];
    u32 count = 0;

    if (mmu->page_flags[page] & PG_CODE && mmu->on_code_write) {
        mmu->machine->stats.smc_events++;
        mmu->on_code_write(mmu->code_owner, gpa, n);
    }
    if (!(mmu->page_flags[page] & PG_TABLE))
        return;
    mmu->machine->stats.pt_traces++;
    /* Copied: serving one may remove others. */
    for (u32 i = mmu->table_head[page]; i; i = mmu->table_pool[i].next) {
        if (count == ARRAY_SIZE(users)) { /* shared more often than we follow */
            shadow_drop_all(mmu);
            break;
        }
        users[count++] = mmu->table_pool[i];
    }
    for (u32 i = 0; i < count; i++)
        if (mmu->spaces[users[i].space].live)
            user_before_write(mmu, users[i], (gpa_t)page << PAGE_SHIFT, gpa & PAGE_MASK, n);
}

/* ---- Filling ---- */

/* What a slot becomes: `hva` answers the access, or the bus does. */
static u64 slot_value(const u8 *hva, gpa_t gpa, gla_t gla_page, bool guarded)
{
    if (!hva)
        return SLOT_DEVICE | ((gpa - gla_page) & SLOT_LOW);
    return ((u64)hva - gla_page) | (guarded ? SLOT_GUARDED : 0);
}

static void fill_slots(struct mmu *mmu, const struct walk *w, gla_t gla, bool exec)
{
    struct space *s = mmu->space;
    u32 gla_page = gla & ~PAGE_MASK, index = gla >> PAGE_SHIFT;
    gpa_t gpa = w->gpa & (0xffffffff00000000ull | mmu->a20_mask);
    u32 page = (u32)(gpa >> PAGE_SHIFT);
    bool known = gpa >> PAGE_SHIFT < PHYS_PAGES;
    u8 *read = known ? mmu->page_read[page] : NULL, *write = known ? mmu->page_write[page] : NULL;
    bool guarded = known && mmu->page_flags[page];
    u64 rd = slot_value(read, gpa, gla_page, false);
    u64 wr = slot_value(write, gpa, gla_page, guarded);
    bool super_write = w->dirty && (w->writable || !(s->mode & SPACE_WP));

    slot_set(s, index, rd);
    if (exec)
        slot_set(s, FLAT_EXEC + index, rd);
    if (w->user) {
        slot_set(s, FLAT_USER + index, rd);
        if (exec)
            slot_set(s, FLAT_USER + FLAT_EXEC + index, rd);
    }
    if (super_write)
        slot_set(s, FLAT_WRITE + index, wr);
    if (w->dirty && w->writable && w->user)
        slot_set(s, FLAT_USER + FLAT_WRITE + index, wr);
    if (super_write && write && !guarded)
        writer_add(mmu, page, index, write);
}

bool shadow_fill(struct vcpu *cpu, gla_t gla, enum mmu_access access)
{
    struct mmu *mmu = cpu->mmu;
    struct walk w;
    u32 error;

    if (!mmu_walk(mmu, gla, access, mmu_user(cpu, access), &w, &error)) {
        mmu->machine->stats.shadow_true++;
        trace(TRACE_MMU, "page fault at %08x, error %x, eip %08x", gla, error, cpu->eip);
        cpu->cr2 = gla;
        return cpu_fault(cpu, EXC_PF, error);
    }
    mmu->machine->stats.shadow_hidden++;
    for (u32 i = 0; i < w.levels; i++)
        table_add(mmu, (u32)((w.path[i].table & mmu->a20_mask) >> PAGE_SHIFT), w.path[i].gla,
                  w.path[i].level);
    fill_slots(mmu, &w, gla, access & MMU_EXEC);
    return true;
}

/* ---- Spaces ---- */

static struct space *space_find(struct mmu *mmu, u32 root, u32 mode, const u64 pdpte[4])
{
    for (u32 i = 0; i < MAX_SPACES; i++) {
        struct space *s = &mmu->spaces[i];

        if (s->live && s->root == root && s->mode == mode &&
            (!(mode & SPACE_PAE) || !memcmp(s->pdpte, pdpte, sizeof(s->pdpte))))
            return s;
    }
    return NULL;
}

/* A free one, or the one not used for longest. */
static struct space *space_take(struct mmu *mmu)
{
    struct space *old = NULL;

    for (u32 i = 0; i < MAX_SPACES; i++) {
        struct space *s = &mmu->spaces[i];

        if (!s->live) {
            old = s;
            break;
        }
        if (s != mmu->space && (!old || s->age < old->age))
            old = s;
    }
    if (old->live)
        space_free(mmu, old);
    if (!old->flat)
        old->flat = mmu_reserve(FLAT_BYTES);
    check(old->flat, "no address space left for a shadow");
    return old;
}

static u32 space_mode(const struct vcpu *cpu)
{
    if (!(cpu->cr0 & CR0_PG))
        return 0;
    return SPACE_PAGING | (cpu->cr4 & CR4_PSE ? SPACE_PSE : 0) |
           (cpu->cr4 & CR4_PAE ? SPACE_PAE : 0) | (cpu->cr0 & CR0_WP ? SPACE_WP : 0) |
           (cpu->efer & EFER_NXE && cpu->cr4 & CR4_PAE ? SPACE_NXE : 0);
}

void shadow_switch(struct vcpu *cpu)
{
    struct mmu *mmu = cpu->mmu;
    u32 mode = space_mode(cpu), align = mode & SPACE_PAE ? ~31u : ~PAGE_MASK;
    u32 root = mode & SPACE_PAGING ? cpu->cr3 & align : 0;
    struct space *s = space_find(mmu, root, mode, mmu->pdpte);

    mmu->cpu = cpu;
    if (!s) {
        s = space_take(mmu);
        *s = (struct space){ .live = true, .root = root, .mode = mode, .flat = s->flat };
        if (mode & SPACE_PAE)
            memcpy(s->pdpte, mmu->pdpte, sizeof(s->pdpte));
    }
    s->age = ++mmu->clock;
    s->root_writes = 0;
    mmu->space = s;
    mmu->fetch_generation++;
    mmu_cpl_changed(cpu);
}
