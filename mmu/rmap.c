/*
 * Two lists for each physical page: the reverse map, the pairs of space and page whose write
 * spte was filled as direct; and the users of a page table, the spaces and places it was read
 * for.
 *
 * To protect a page needs everybody who can write it. The reverse map is a superset: an entry
 * whose spte has since changed is ignored, and removed when met.
 *
 * Items lie in two pools, named by their index; free ones are a list of their own.
 */
#include "mmu/rmap.h"
#include "mmu/phys.h"
#include "mmu/shadow.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool rmap_init(struct mmu *mmu)
{
    mmu->table_head = mmu_reserve(PHYS_PAGES * sizeof(u32));
    mmu->rmap_head = mmu_reserve(PHYS_PAGES * sizeof(u32));
    return mmu->table_head && mmu->rmap_head;
}

void rmap_done(struct mmu *mmu)
{
    if (mmu->table_head)
        munmap(mmu->table_head, PHYS_PAGES * sizeof(u32));
    if (mmu->rmap_head)
        munmap(mmu->rmap_head, PHYS_PAGES * sizeof(u32));
    free(mmu->table_pool);
    free(mmu->rmap_pool);
}

bool rmap_full(const struct mmu *mmu)
{
    return unlikely((!mmu->rmap_free && mmu->rmap_size >= MAX_RMAPS) ||
                    (!mmu->table_free && mmu->table_size >= MAX_TABLE_USERS));
}

void rmap_clear(struct mmu *mmu)
{
    madvise(mmu->rmap_head, PHYS_PAGES * sizeof(u32), MADV_DONTNEED);
    mmu->rmap_size = mmu->rmap_free = 0;
}

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

/* ---- Who can write a page ---- */

/* The write spte of a reverse map's entry in one of the two tables, if it leads straight to
 * hva; NULL: no longer. */
static u64 *rmap_spte(const struct mmu *mmu, const struct rmap *w, const u8 *hva, u32 table)
{
    const struct space *s = &mmu->spaces[w->space];
    u64 *spte = &s->shadow[table * SHADOW_SPTES + w->page];

    if (!s->live || !(s->used[w->page / LEAF_SPTES] >> table & 1))
        return NULL; /* not even looked at: that would touch memory given back */
    return *spte == spte_base(mmu, s, hva, w->page) ? spte : NULL;
}

/* Adds a space's page to the reverse map of a physical page, unless it is there; removes those
 * met that no longer lead there. */
void rmap_add(struct mmu *mmu, u32 page, const struct space *s, u32 gla_page, u8 *hva)
{
    u32 space = (u32)(s - mmu->spaces), *link = &mmu->rmap_head[page], i;

    while ((i = *link)) {
        struct rmap *w = &mmu->rmap_pool[i];

        if (w->page == gla_page && w->space == space)
            return;
        if (rmap_spte(mmu, w, hva, TABLE_WRITE) ||
            rmap_spte(mmu, w, hva, TABLE_USER + TABLE_WRITE)) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->next = mmu->rmap_free;
        mmu->rmap_free = i;
    }
    if (!mmu->rmap_free)
        pool_grow((void **)&mmu->rmap_pool, &mmu->rmap_size, &mmu->rmap_free,
                  sizeof(struct rmap));
    i = mmu->rmap_free;
    mmu->rmap_free = mmu->rmap_pool[i].next;
    mmu->rmap_pool[i] = (struct rmap){ mmu->rmap_head[page], gla_page, space };
    mmu->rmap_head[page] = i;
}

void rmap_protect(struct mmu *mmu, u32 page, u8 flag)
{
    u8 *hva = mmu->page_write[page];
    u32 i;

    if (mmu->page_flags[page] & flag)
        return;
    mmu->page_flags[page] |= flag;
    while ((i = mmu->rmap_head[page])) {
        struct rmap *w = &mmu->rmap_pool[i];

        for (u32 table = TABLE_WRITE; table < SHADOW_TABLES; table += TABLE_USER) {
            u64 *spte = rmap_spte(mmu, w, hva, table);

            if (spte) {
                *spte |= SPTE_PROTECTED;
                user_map_drops(mmu, &mmu->spaces[w->space], w->page);
            }
        }
        mmu->rmap_head[page] = w->next;
        w->next = mmu->rmap_free;
        mmu->rmap_free = i;
    }
}

/* ---- What a page table is read for ---- */

void table_user_add(struct mmu *mmu, u32 page, struct table_user u)
{
    u32 i;

    if (!mmu->table_free)
        pool_grow((void **)&mmu->table_pool, &mmu->table_size, &mmu->table_free,
                  sizeof(struct table_user));
    i = mmu->table_free;
    mmu->table_free = mmu->table_pool[i].next;
    u.next = mmu->table_head[page];
    mmu->table_pool[i] = u;
    mmu->table_head[page] = i;
    rmap_protect(mmu, page, PG_TABLE);
}

void table_user_remove(struct mmu *mmu, u32 page, const struct space *s, u32 first, u8 level)
{
    u16 space = (u16)(s - mmu->spaces);
    u32 *link = &mmu->table_head[page], i;

    while ((i = *link)) {
        struct table_user *u = &mmu->table_pool[i];

        if (u->space != space || u->first != first || u->level != level) {
            link = &u->next;
            continue;
        }
        *link = u->next;
        u->next = mmu->table_free;
        mmu->table_free = i;
        break;
    }
    if (!mmu->table_head[page])
        mmu->page_flags[page] &= (u8)~PG_TABLE;
}
