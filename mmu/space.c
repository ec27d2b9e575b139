/*
 * The spaces: one for each guest address space seen, kept over switches, and freed by age when
 * there are too many, or when they hold too much memory.
 *
 * A space that is freed leaves its 48 MiB of address space, its memory and what is mapped there
 * to the next; so a guest that makes and ends processes finds everything in place.
 */
#include "mmu/phys.h"
#include "mmu/rmap.h"
#include "mmu/shadow.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REMAP_AGE = 4096 /* switches */ };

void space_clear(struct mmu *mmu, struct space *s)
{
    shadow_drop_sptes(mmu, s);
    for (u32 i = 0; i < REGIONS; i++)
        if (s->table[i])
            shadow_drop_region(mmu, s, i);
    for (u32 d = 0; d < 4; d++)
        if (s->traced >> d & 1)
            table_user_remove(mmu, s->directory[d], s, d << 9, 2);
    s->traced = 0;
}

void space_free(struct mmu *mmu, struct space *s)
{
    space_clear(mmu, s);
    mmu->bases[s - mmu->spaces] = 0;
    s->live = false;
    s->shared_shadow = NULL;
}

void space_begin(struct mmu *mmu, struct space *s)
{
    u32 end = (u32)(s - mmu->spaces) + 1;

    s->live = true;
    mmu->spaces_end = mmu->spaces_end > end ? mmu->spaces_end : end;
}

/* ---- Finding and making one ---- */

static bool root_same(const struct root *a, const struct root *b)
{
    return a->base == b->base && a->mode == b->mode &&
           (!(a->mode & SPACE_PAE) || !memcmp(a->pdpte, b->pdpte, sizeof(a->pdpte)));
}

static struct space *space_find(struct mmu *mmu, const struct root *r)
{
    for (u32 i = 0; i < MAX_SPACES; i++)
        if (mmu->bases[i] == 1ull + r->base && root_same(&mmu->spaces[i].root, r))
            return &mmu->spaces[i];
    return NULL;
}

/*
 * How well a space would serve one of shared shadow g: free and mapped for it, free, or the
 * oldest. Mapping another shared shadow costs as much as filling hundreds of sptes: one of the
 * same shared shadow goes first unless it has been used much later.
 */
static u64 space_worth(const struct mmu *mmu, const struct space *s,
                       const struct shared_shadow *g)
{
    bool mapped = s->bound == (g ? g->id : 0);

    if (s == mmu->space)
        return 0;
    if (s->live)
        return ~0ull / 2 - s->age - (mapped ? 0 : REMAP_AGE);
    return ~0ull - (mapped ? 0 : s->shadow ? 2 : 1);
}

static struct space *oldest_with_sptes(struct mmu *mmu)
{
    struct space *old = NULL;

    for (struct space *s = mmu->spaces; s < mmu->spaces + MAX_SPACES; s++)
        if (s->shadow && s != mmu->space && (!old || s->age < old->age))
            old = s;
    return old;
}

static struct space *space_take(struct mmu *mmu, const struct shared_shadow *g)
{
    struct space *best = NULL;
    u64 most = 0, worth;

    for (struct space *s = mmu->spaces; s < mmu->spaces + mmu->spaces_kept; s++)
        if ((worth = space_worth(mmu, s, g)) > most) {
            most = worth;
            best = s;
        }
    if (!best->shadow && !(best->shadow = mmu_reserve(SHADOW_BYTES)))
        best = oldest_with_sptes(mmu); /* the host gives no more address space */
    check(best, "no address space left for a shadow");
    if (best->live) {
        mmu->stats.shadow_evicted++;
        space_free(mmu, best);
    }
    return best;
}

static struct space *space_new(struct mmu *mmu, const struct root *r, struct shared_shadow *g)
{
    struct space *s = space_take(mmu, g);

    if (!shared_bind(mmu, s, g))
        g = NULL;
    mmu->spaces_made++;
    mmu->stats.shadow_spaces++;
    mmu->bases[s - mmu->spaces] = 1ull + r->base;
    space_begin(mmu, s);
    s->root = *r;
    s->quarrels = 0;
    s->user_time = s->user_map_due = 0;
    s->user_fills = s->fills_then = s->time_then = 0;
    s->steady = false;
    if (g)
        shared_join(mmu, s, g);
    return s;
}

void mmu_spaces_kept(struct mmu *mmu, u32 n)
{
    mmu->only_current = n == 1; /* but two are needed to change from one to the other */
    mmu->spaces_kept = n == 0 || n > MAX_SPACES ? MAX_SPACES : n < 2 ? 2 : n;
}

/* ---- Switching ---- */

static u32 space_mode(const struct paging *pg)
{
    if (!(pg->cr0 & CR0_PG))
        return 0;
    return SPACE_PAGING | (pg->cr4 & CR4_PSE ? SPACE_PSE : 0) |
           (pg->cr4 & CR4_PAE ? SPACE_PAE : 0) | (pg->cr0 & CR0_WP ? SPACE_WP : 0) |
           (pg->efer & EFER_NXE && pg->cr4 & CR4_PAE ? SPACE_NXE : 0);
}

static struct root root_now(const struct paging *pg)
{
    u32 mode = space_mode(pg), align = mode & SPACE_PAE ? ~31u : ~PAGE_MASK;
    struct root r = { .base = mode & SPACE_PAGING ? pg->cr3 & align : 0, .mode = mode };

    if (mode & SPACE_PAE)
        memcpy(r.pdpte, pg->mmu->pdpte, sizeof(r.pdpte));
    return r;
}

void space_switch(struct paging *pg)
{
    struct mmu *mmu = pg->mmu;
    struct root r = root_now(pg);
    struct space *s = space_find(mmu, &r), *old = mmu->space;
    bool user = pg->shadow != pg->shadow_system;
    u32 groups = mmu->shared_id;

    mmu->pg = pg;
    pg->ram = mmu->base;
    pg->ram_pages = mmu->ram_size >> PAGE_SHIFT;
    pg->page_flags = mmu->page_flags;
    if (!s)
        s = space_new(mmu, &r, shared_find(mmu, &r, old));
    s->age = ++mmu->clock;
    s->root_writes = 0;
    mmu->space = s;
    if (s->shared_shadow && !shared_agree(mmu, s)) {
        space_free(mmu, s);
        s = mmu->space = space_new(mmu, &r, NULL);
    }
    /* a shared shadow made for it and us: it joins when it is next current */
    if (mmu->shared_id != groups || (mmu->only_current && old && old != s && old->live))
        space_free(mmu, old);
    mmu->fetch_generation++;
    direct_map_switch(mmu);
    mmu_cpl_changed(pg, user);
}

/* ---- Memory ---- */

/* Its memory back to the host; its sptes are dropped before. */
static void release_memory(struct mmu *mmu, struct space *s)
{
    if (!s->leaves)
        return;
    if (s >= mmu->spaces + MAX_SPACES)
        fallocate(mmu->shared_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (s - mmu->spaces - MAX_SPACES) * (off_t)SHADOW_BYTES, SHADOW_BYTES);
    else
        madvise(s->shadow, SHADOW_BYTES, MADV_DONTNEED);
    mmu->leaves -= s->leaves;
    s->leaves = 0;
    memset(s->resident, 0, sizeof(s->resident));
}

static struct space *oldest_space(struct mmu *mmu)
{
    struct space *old = NULL;

    for (struct space *s = mmu->spaces; s < mmu->spaces + MAX_SPACES; s++)
        if (s->live && s != mmu->space && (!old || s->age < old->age))
            old = s;
    return old;
}

/* First the memory of free spaces, then the oldest ones', last the current one's and the shared
 * shadows'. */
static void give_memory_back(struct mmu *mmu)
{
    struct space *s, *end = mmu->spaces + ARRAY_SIZE(mmu->spaces);

    for (s = mmu->spaces; s < end; s++)
        if (!s->live)
            release_memory(mmu, s);
    while (mmu->leaves > MAX_LEAVES / 2 && (s = oldest_space(mmu))) {
        mmu->stats.shadow_evicted++;
        space_free(mmu, s);
        release_memory(mmu, s);
    }
    for (s = mmu->spaces; mmu->leaves > MAX_LEAVES / 2 && s < end; s++) {
        shadow_drop_sptes(mmu, s);
        release_memory(mmu, s);
    }
}

void space_shrink(struct mmu *mmu)
{
    if (unlikely(mmu->leaves > MAX_LEAVES))
        give_memory_back(mmu);
}

void space_done(struct mmu *mmu)
{
    for (u32 i = 0; i < ARRAY_SIZE(mmu->spaces); i++)
        if (mmu->spaces[i].shadow)
            munmap(mmu->spaces[i].shadow, SHADOW_BYTES);
    if (mmu->shared_fd >= 0)
        close(mmu->shared_fd);
}
