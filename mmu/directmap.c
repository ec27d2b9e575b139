/*
 * Direct maps: 4 GiB of the host's address space in which a guest's address space lies as it
 * is, so that translated code of the kernel loads by gs:[address], one instruction.
 *
 *   sptes ─▶ direct map + gla ◀─ gs:[gla]        pages that are mapped in a direct map
 *   sptes ─▶ base + gpa                          all others: gs:[gla] faults
 *
 * Loads only: a store has to be told of code and page tables, page by page, and changing the
 * host's mapping for each would cost microseconds. Both ways meet in one mapping, since the
 * host does not forward a store to a load of the same memory at another address.
 *
 * What is worth mapping is large and stays: the kernel's linear mapping of RAM, or all of it
 * without paging. So a direct map grows by runs of pages, as long as guest and memory go in
 * step, when a load has found nothing (mmu_direct_map_extend()), and only where the guest's
 * entries need no look: RAM, present, accessed, their tables traced. Then the page may be
 * loaded as long as its sptes would hold, and what drops those cuts the direct map
 * (direct_map_cut()). Where that happens often there is none.
 *
 * A space without a shared shadow has its own direct map; those of a shared shadow share one,
 * for the shared regions.
 */
#include "mmu/phys.h"
#include "mmu/shadow.h"
#include <asm/prctl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2 /* asm/hwcap2.h: WRGSBASE works in user mode */
#endif

enum {
    DIRECT_MAP_SPAN = 1 << 10,  /* pages that are mapped at most at once: 4 MiB, aligned */
    MIN_RUN = 32,           /* pages that are worth it */
    MAX_CUTS = 10,          /* of a span, that count */
    /* calls of the host, each two areas at most; a process has 65,530 */
    MAX_MAPS = 2048,
    MAX_CLOSED = 256,       /* direct maps given up too soon, before there are no more; */
    SOON = 1024,            /* not one in so many switches */
    IDLE = 256,             /* switches after which a direct map is another's who wants it */
};
u8 *map_reserve(void *at, u64 size)
{
    void *p = mmap(at, size, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void direct_map_init(struct mmu *mmu)
{
    mmu->nowhere = map_reserve(NULL, MAP_BYTES);
    mmu->direct_map_run = MIN_RUN;
    mmu->user_maps_after = USER_MAP_AFTER;
    mmu->fast_gs = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

void direct_map_done(struct mmu *mmu)
{
    if (mmu->nowhere)
        munmap(mmu->nowhere, MAP_BYTES);
    for (struct direct_map *w = mmu->direct_maps; w < mmu->direct_maps + MAX_DIRECT_MAPS; w++) {
        if (w->at)
            munmap(w->at, MAP_BYTES);
        if (w->frame)
            munmap(w->frame, SHADOW_SPTES * sizeof(*w->frame));
    }
}

/* ---- The current one ---- */

static struct space *direct_map_owner(const struct mmu *mmu)
{
    return mmu->space->shared_shadow ? mmu->space->shared_shadow->sptes : mmu->space;
}

void direct_map_switch(struct mmu *mmu)
{
    struct direct_map *w = direct_map_owner(mmu)->direct_map;
    struct user_map *m = mmu->space->user_map;
    struct paging *pg = mmu->pg;
    u8 *at = w ? w->at : m ? m->at : mmu->nowhere;
    u64 start;

    pg->user_map = m && !w;
    if (m && m->dirty_count | m->lost)
        pg->user_map_stale = true;
    if (pg->direct_map && at == mmu->nowhere && mmu->user_maps_used)
        return; /* nobody goes by gs: not worth a call of the host */
    if (pg->direct_map == (u64)at)
        return;
    start = mmu->ticks();
    pg->direct_map = (u64)at;
    pg->direct_map_frames = w ? w->frame : NULL;
    if (!pg->direct_map_loaded)
        return;
    mmu_direct_map_load(pg);
    if (pg->user_map && !mmu->fast_gs)
        user_map_pays(mmu, m, mmu->ticks() - start);
}

/* By WRGSBASE, if programs may use it (Linux 5.9 and later let them, where the processor has
 * it). Else it is a call of the host, of a thousand cycles and more: there, only what spaces
 * share, and memory without paging, has a direct map, which lasts. */
void mmu_direct_map_load(struct paging *pg)
{
    static _Thread_local u64 loaded;

    if (loaded == pg->direct_map)
        return;
    loaded = pg->direct_map;
    if (pg->mmu->fast_gs)
        __asm__ volatile("wrgsbase %0" : : "r"(loaded));
    else
        check(!syscall(SYS_arch_prctl, ARCH_SET_GS, loaded), "the host refuses a base of GS");
}

void mmu_plain_host(struct mmu *mmu)
{
    mmu->fast_gs = false;
}

const char *mmu_host_model(const struct mmu *mmu)
{
    return mmu->fast_gs ? "gs by WRGSBASE"
                        : "gs by arch_prctl(): one direct map for all address spaces, or none";
}

bool mmu_direct_map_use(const struct paging *pg)
{
    const struct direct_map *w = direct_map_owner(pg->mmu)->direct_map;

    return w && w->good;
}

static u32 in_odd_megabyte(u32 page)
{
    return page / (MIB(1) / PAGE_SIZE) & 1;
}

/* ---- Cutting: who does it clears the sptes that lead there ---- */

static void direct_map_remove(struct direct_map *w, u32 first, u32 count)
{
    check(map_reserve(w->at + ((u64)first << PAGE_SHIFT), (u64)count << PAGE_SHIFT),
          "the host refuses to unmap a direct map");
    for (u32 page = first; page < first + count; page++)
        if (w->frame[page]) {
            w->frame[page] = 0;
            w->mapped[page / DIRECT_MAP_SPAN]--;
            w->odd -= in_odd_megabyte(page);
        }
    w->maps++;
}

/* All of it, so that the host has fewer areas to keep; here the sptes are cleared as well. */
static void lose_span(struct mmu *mmu, struct direct_map *w, u32 span)
{
    struct space *s = w->owner;

    direct_map_remove(w, span * DIRECT_MAP_SPAN, DIRECT_MAP_SPAN);
    shadow_drop_range(mmu, s, span * DIRECT_MAP_SPAN, DIRECT_MAP_SPAN);
}

static void cut_span(struct mmu *mmu, struct direct_map *w, u32 first, u32 count)
{
    u32 span = first / DIRECT_MAP_SPAN;

    for (u32 page = first; page < first + count; page++)
        if (w->frame[page]) {
            mmu->stats.direct_map_cuts++;
            w->cuts[span] += w->grown[span] && w->cuts[span] < MAX_CUTS;
            w->grown[span] = false;
            if (w->maps < MAX_MAPS)
                direct_map_remove(w, first, count);
            else
                lose_span(mmu, w, span);
            return;
        }
}

void direct_map_cut_pages(struct mmu *mmu, struct direct_map *w, u32 first, u32 count)
{
    u32 end = first + count, n;

    for (u32 page = first; page < end; page += n) {
        n = DIRECT_MAP_SPAN - page % DIRECT_MAP_SPAN;
        n = n < end - page ? n : end - page;
        if (w->mapped[page / DIRECT_MAP_SPAN])
            cut_span(mmu, w, page, n);
    }
}

void direct_map_cut_odd(struct mmu *mmu, struct direct_map *w)
{
    u32 megabyte = MIB(1) / PAGE_SIZE;

    for (u32 page = megabyte; w->odd && page < SHADOW_SPTES; page += 2 * megabyte)
        if (w->mapped[page / DIRECT_MAP_SPAN])
            cut_span(mmu, w, page, megabyte);
}

void direct_map_close(struct mmu *mmu, struct space *s)
{
    struct direct_map *w = s->direct_map;

    if (!w)
        return;
    for (u32 span = 0; span < DIRECT_MAP_SPANS; span++)
        if (w->mapped[span])
            direct_map_remove(w, span * DIRECT_MAP_SPAN, DIRECT_MAP_SPAN);
    mmu->direct_maps_closed += w->maps > 0;
    w->owner = NULL;
    s->direct_map = NULL;
    if (mmu->space)
        direct_map_switch(mmu);
}

/* ---- Growing ---- */

static u64 last_used(const struct mmu *mmu, const struct space *s)
{
    return s < mmu->spaces + MAX_SPACES ? s->age
                                        : mmu->shareds[s - mmu->spaces - MAX_SPACES].age;
}

/* One that is free, or of a space long not used. */
static struct direct_map *direct_map_take(struct mmu *mmu)
{
    for (struct direct_map *w = mmu->direct_maps; w < mmu->direct_maps + MAX_DIRECT_MAPS; w++)
        if (!w->owner)
            return w;
    for (struct direct_map *w = mmu->direct_maps; w < mmu->direct_maps + MAX_DIRECT_MAPS; w++)
        if (last_used(mmu, w->owner) + IDLE < mmu->clock) {
            shadow_drop_sptes(mmu, w->owner);
            return w;
        }
    return NULL;
}

static bool direct_map_memory_get(struct direct_map *w)
{
    if (!w->frame)
        w->frame = mmu_reserve(SHADOW_SPTES * sizeof(*w->frame));
    if (w->frame && !w->at)
        w->at = map_reserve(NULL, MAP_BYTES);
    return w->at;
}

static struct direct_map *direct_map_open(struct mmu *mmu, struct space *s)
{
    bool alone = s->root.mode & SPACE_PAGING && s < mmu->spaces + MAX_SPACES;
    struct direct_map *w;

    if (!mmu->nowhere || (alone && !mmu->fast_gs) ||
        (mmu->user_maps_used && mmu->space->root.mode & SPACE_PAGING) || mmu->space->user_map ||
        mmu->direct_maps_closed >= MAX_CLOSED + mmu->clock / SOON)
        return NULL;
    w = direct_map_take(mmu);
    if (!w || !direct_map_memory_get(w))
        return NULL;
    memset(w->grown, 0, sizeof(w->grown));
    memset(w->cuts, 0, sizeof(w->cuts));
    memset(w->vain, 0, sizeof(w->vain));
    w->maps = 0;
    w->good = false;
    w->owner = s;
    s->direct_map = w;
    direct_map_switch(mmu);
    mmu->stats.direct_maps++;
    return w;
}

/* RAM that a load at the page would find as it is; its number in *frame. Without any look or
 * change, if it is w->accessed. The last page of all is left out: the first is no neighbour of
 * it in the host's memory, though both would have the same spte. */
static bool direct_map_look(struct mmu *mmu, u32 page, u32 *frame, struct walk *w)
{
    gpa_t gpa;

    if (page == SHADOW_SPTES - 1 || !mmu_walk_quiet(mmu, page << PAGE_SHIFT, w))
        return false;
    gpa = w->gpa & (0xffffffff00000000ull | mmu->a20_mask);
    *frame = (u32)(gpa >> PAGE_SHIFT);
    return gpa < mmu->ram_size && mmu->page_read[*frame] == mmu->base + gpa;
}

/* Pages in step around one. */
struct run {
    u32 first, end; /* that have been accessed */
    u32 frame;      /* of the first */
    u32 length;     /* with those that have not, as far as it was looked */
};

/* How many pages next to `page`, by `step`, are in step with it, inside the span; and how many
 * of them, up to the first that is not, have been accessed and are not mapped yet. Those behind
 * count up to MIN_RUN. */
static u32 count_in_step(struct mmu *mmu, const struct direct_map *direct_map, u32 page,
                         u32 frame, i32 step, u32 *accessed)
{
    u32 span = page / DIRECT_MAP_SPAN, n = 0, f;
    bool all = true;
    struct walk w;

    for (*accessed = 0; all || n < MIN_RUN; n++) {
        page += (u32)step;
        frame += (u32)step;
        if (page / DIRECT_MAP_SPAN != span || !direct_map_look(mmu, page, &f, &w) || f != frame)
            break;
        all &= w.accessed && !direct_map->frame[page];
        *accessed += all;
    }
    return n;
}

/* Traces the tables that say so, of pages [first, first+count). */
static void trace_run(struct mmu *mmu, struct space *owner, u32 first, u32 count)
{
    u32 shift = region_shift(&mmu->space->root), frame;
    struct walk w;

    for (u32 page = first; page < first + count; page = ((page >> shift) + 1) << shift)
        if (direct_map_look(mmu, page, &frame, &w))
            shadow_trace_walk(mmu, &w, owner, page >> shift);
}

/* Data sptes that lead to RAM lead to it by the direct map from now on. */
static void lead_sptes(struct direct_map *w, u32 page)
{
    static const u8 tables[] = { TABLE_READ, TABLE_WRITE, TABLE_USER + TABLE_READ,
                                 TABLE_USER + TABLE_WRITE };
    struct space *s = w->owner;

    for (u32 i = 0; i < ARRAY_SIZE(tables); i++) {
        u64 *spte = &s->shadow[tables[i] * SHADOW_SPTES + page];

        if (!(s->used[page / LEAF_SPTES] >> tables[i] & 1))
            continue;
        if (spte_direct(*spte))
            *spte = (u64)w->at;
        else if (spte_protected(*spte))
            *spte = (u64)w->at | SPTE_PROTECTED;
    }
}

static bool direct_map_add(struct mmu *mmu, struct direct_map *w, u32 first, u32 count,
                           u32 frame)
{
    if (mmap(w->at + ((u64)first << PAGE_SHIFT), (u64)count << PAGE_SHIFT,
             PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, mmu->fd,
             (off_t)frame << PAGE_SHIFT) == MAP_FAILED) {
        direct_map_remove(w, first, count);
        return false;
    }
    w->maps++;
    w->vain[first / DIRECT_MAP_SPAN] = 0;
    w->grown[first / DIRECT_MAP_SPAN] = w->good = true;
    w->mapped[first / DIRECT_MAP_SPAN] += (u16)count;
    for (u32 page = first; page < first + count; page++)
        w->odd += in_odd_megabyte(page);
    for (u32 i = 0; i < count; i++) {
        w->frame[first + i] = frame + i + 1;
        lead_sptes(w, first + i);
    }
    mmu->stats.direct_map_maps++;
    return true;
}

/* Is it too early to look at the span again? After cuts, and when it had no run to give: less
 * and less often. */
static bool direct_map_tired(struct direct_map *w, u32 span)
{
    u32 n = ++w->vain[span];

    return n < 1u << w->cuts[span] || (n > 8 && n & (n - 1));
}

static bool find_run(struct mmu *mmu, const struct direct_map *w, u32 page, struct run *r)
{
    u32 before, behind;
    struct walk walk;

    if (!direct_map_look(mmu, page, &r->frame, &walk) || !walk.accessed)
        return false;
    r->length = 1 + count_in_step(mmu, w, page, r->frame, 1, &behind) +
                count_in_step(mmu, w, page, r->frame, -1, &before);
    r->first = page - before;
    r->end = page + 1 + behind;
    r->frame -= before;
    return r->length >= mmu->direct_map_run;
}

bool mmu_direct_map_extend(struct paging *pg, gla_t gla)
{
    struct mmu *mmu = pg->mmu;
    struct space *owner = direct_map_owner(mmu);
    u32 page = gla >> PAGE_SHIFT;
    struct direct_map *w = owner->direct_map;
    struct run r;

    if (spte_owner(mmu->space, page) != owner || (!w && !(w = direct_map_open(mmu, owner))))
        return false;
    if (w->frame[page])
        return true;
    if (direct_map_tired(w, page / DIRECT_MAP_SPAN) || w->maps >= MAX_MAPS ||
        !find_run(mmu, w, page, &r))
        return false;
    trace_run(mmu, owner, r.first, r.end - r.first);
    return direct_map_add(mmu, w, r.first, r.end - r.first, r.frame);
}

/* ---- For C ---- */

u8 *direct_map_memory(const struct mmu *mmu, u8 *hva)
{
    u64 off = (u64)hva - mmu->pg->direct_map;

    if (off >= GIB(4) || !direct_map_owner(mmu)->direct_map)
        return hva;
    return mmu->base +
           ((u64)(direct_map_owner(mmu)->direct_map->frame[off >> PAGE_SHIFT] - 1)
            << PAGE_SHIFT) +
           (off & PAGE_MASK);
}
