/*
 * User maps: 4 GiB of the host's address space in which those pages of a guest address space
 * lie that its user mode may touch, with the permissions it has there. Translated code of the
 * user loads and stores by gs:[address], one instruction; a misaligned operand, and one in two
 * pages, is the host's affair.
 *
 *   user sptes ─▶ base + gpa        C, the routines, and what is not mapped
 *   gs:[gla]   ─▶ user map + gla    the same memory, while the sptes say so
 *
 * A user map is a copy of the user's data sptes: a page is mapped for reading while its read
 * spte is direct, for writing while its write spte is, so code and page tables are read-only
 * there, and devices are not. What changes a spte notes the page (user_map_note()); before user
 * code runs again in that space, the host's mappings follow (mmu_user_map_sync()), in runs.
 * Nobody else looks at it: a kernel may rewrite all its tables meanwhile.
 *
 * A call of the host costs as much as a thousand translated instructions, and each page that a
 * program touches first is one. So a space has a user map when its user code has run for some
 * fifteen milliseconds and, lately, has hardly asked for new pages; it loses it when the calls
 * have taken more than a part of the time since; then it has to run twice as long for the next
 * one. Pages that keep changing are left out.
 *
 * V86 tasks are user code. Without paging the user's sptes are those of all levels, and all
 * code goes by the map.
 *
 * gs leads to one map. With the first user map the supervisor's direct maps under paging
 * (directmap.c) are given up for ever; without paging, the space's own.
 */
#include "mmu/usermap.h"
#include "mmu/phys.h"
#include "mmu/shadow.h"
#include <sys/mman.h>

enum {
    /* A page takes two areas at most, of the 65,530 that a process of the host has; 9,216 are for
     * shared shadows, 4,096 for a direct map without paging. */
    MAX_PAGES = 22000,
    MAX_RUN = 512,                  /* pages mapped by one call, which populates them */
    COST_SHARE = 8,                 /* of the user's time: not more than one in so many */
    MAX_CHANGES = 6,                /* of a page, in a period: more, and it is read-only; */
    MOST_CHANGES = 2 * MAX_CHANGES, /* or left out */
};
/* Of the TSC's ticks: */
static const u64 SAMPLE_MOST = 4000000, /* that one sample counts for */
    PERIOD = 400000000,                 /* of what changes are counted in */
    WINDOW = 16000000,                  /* in which few pages are asked for: */
    CALL_USUAL = 16000,                 /* that many calls would be its 16th part */
    CALL_MOST = 400000, /* for a call: what took longer, the host gave to somebody else */
    LEEWAY = 8000000;   /* what a new map may cost beyond its share */

void user_map_done(struct mmu *mmu)
{
    for (struct user_map *m = mmu->user_maps; m < mmu->user_maps + MAX_USER_MAPS; m++) {
        if (m->at)
            munmap(m->at, MAP_BYTES);
        if (m->mapped)
            munmap(m->mapped, SHADOW_SPTES * sizeof(*m->mapped));
        if (m->writable)
            munmap(m->writable, SHADOW_SPTES / 8);
        if (m->differs)
            munmap(m->differs, SHADOW_SPTES / 8);
        if (m->changes)
            munmap(m->changes, SHADOW_SPTES);
    }
}

static bool bit_of(const u8 *bits, u32 i)
{
    return bits[i / 8] >> (i & 7) & 1;
}

static void set_bit(u8 *bits, u32 i, bool on)
{
    bits[i / 8] = (u8)((bits[i / 8] & ~(1u << (i & 7))) | (u32)on << (i & 7));
}

/* ---- What is different ---- */

void user_map_note(struct mmu *mmu, struct user_map *m, u32 page)
{
    if (m->lost || bit_of(m->differs, page))
        return;
    if (m->owner == mmu->space)
        mmu->pg->user_map_stale = true;
    if (m->dirty_count == USER_MAP_DIRTY) {
        m->lost = true;
        return;
    }
    set_bit(m->differs, page, true);
    m->dirty[m->dirty_count++] = page;
}

void user_map_range_changes(struct mmu *mmu, struct space *s, u32 first, u32 count)
{
    struct user_map *m = s->user_map;

    if (likely(!m))
        return;
    for (u32 page = first; page < first + count && !m->lost; page++)
        if (m->mapped[page])
            user_map_note(mmu, m, page);
}

static void forget_dirty(struct user_map *m)
{
    for (u32 i = 0; i < m->dirty_count; i++)
        set_bit(m->differs, m->dirty[i], false);
    m->dirty_count = 0;
    m->lost = false;
}

/* ---- What it should be ---- */

struct want {
    u32 frame; /* + 1; 0: nothing */
    bool writable;
};

/* The last page is left out: an operand may go on in the first. So is what keeps changing. */
static struct want wanted(const struct mmu *mmu, const struct space *s, u32 page)
{
    u32 used = s->used[page / LEAF_SPTES];
    struct want w = {0, false};
    u64 read, off;

    if (!(used >> (TABLE_USER + TABLE_READ) & 1) || page == SHADOW_SPTES - 1 ||
        s->user_map->changes[page] > MOST_CHANGES || spte_owner(mmu->space, page) != s)
        return w;
    read = s->shadow[SHADOW_USER + page];
    if (!spte_direct(read))
        return w;
    off = (u64)(direct_map_memory(mmu, spte_hva(read, page << PAGE_SHIFT)) - mmu->base);
    if (off >= mmu->ram_size)
        return w;
    w.frame = (u32)(off >> PAGE_SHIFT) + 1;
    w.writable = s->user_map->changes[page] <= MAX_CHANGES &&
                 used >> (TABLE_USER + TABLE_WRITE) & 1 &&
                 spte_direct(s->shadow[SHADOW_USER + SHADOW_WRITE + page]);
    return w;
}

static bool as_wanted(const struct user_map *m, u32 page, struct want w)
{
    return m->mapped[page] == w.frame && (!w.frame || bit_of(m->writable, page) == w.writable);
}

/* ---- The host's mappings ---- */

static void set_mapped(struct mmu *mmu, struct user_map *m, u32 page, u32 frame)
{
    u32 more = (u32)!m->mapped[page] - !frame; /* 1, 0, or less by 1 */

    m->changes[page] += m->changes[page] <= MOST_CHANGES;
    m->columns[page / LEAF_SPTES] += (u16)more;
    mmu->user_map_pages += more;
    m->mapped[page] = frame;
}

static u32 map_number(const struct mmu *mmu, const struct user_map *m)
{
    return (u32)(m - mmu->user_maps);
}

static void tell_mirror(const struct mmu *mmu, const struct user_map *m, u32 first, u32 count,
                        u32 frame, bool writable)
{
    if (unlikely(mmu->mirror != NULL))
        mmu->mirror->mapped(mmu->mirror->owner, map_number(mmu, m), first, count, frame,
                            writable);
}

static void unmap_pages(struct mmu *mmu, struct user_map *m, u32 first, u32 count)
{
    check(map_reserve(m->at + ((u64)first << PAGE_SHIFT), (u64)count << PAGE_SHIFT),
          "the host refuses to unmap a user map");
    m->calls++;
    for (u32 page = first; page < first + count; page++)
        set_mapped(mmu, m, page, 0);
    tell_mirror(mmu, m, first, count, 0, false);
}

static void map_pages(struct mmu *mmu, struct user_map *m, u32 first, u32 count, struct want w)
{
    void *at = m->at + ((u64)first << PAGE_SHIFT);
    u64 size = (u64)count << PAGE_SHIFT;

    mmu->stats.user_map_maps++;
    m->calls++;
    if (mmap(at, size, PROT_READ | (w.writable ? PROT_WRITE : 0),
             MAP_SHARED | MAP_FIXED | MAP_NORESERVE | MAP_POPULATE, mmu->fd,
             (off_t)(w.frame - 1) << PAGE_SHIFT) == MAP_FAILED) {
        unmap_pages(mmu, m, first, count);
        return;
    }
    for (u32 i = 0; i < count; i++) {
        set_mapped(mmu, m, first + i, w.frame + i);
        set_bit(m->writable, first + i, w.writable);
    }
    tell_mirror(mmu, m, first, count, w.frame, w.writable);
}

/* ---- Closing ---- */

void user_map_close(struct mmu *mmu, struct space *s)
{
    struct user_map *m = s->user_map;

    if (!m)
        return;
    check(map_reserve(m->at, MAP_BYTES), "the host refuses to unmap a user map");
    for (u32 column = 0; column < COLUMNS; column++)
        for (u32 i = 0; m->columns[column]; i++)
            set_mapped(mmu, m, column * LEAF_SPTES + i, 0);
    forget_dirty(m);
    m->owner = NULL;
    s->user_map = NULL;
    if (mmu->mirror)
        mmu->mirror->closed(mmu->mirror->owner, map_number(mmu, m));
    if (s == mmu->space)
        direct_map_switch(mmu);
}

/* Of the space not used for longest, but not the current one; NULL: there is no other. */
static struct user_map *oldest_map(struct mmu *mmu)
{
    struct user_map *oldest = NULL;

    for (struct user_map *m = mmu->user_maps; m < mmu->user_maps + MAX_USER_MAPS; m++)
        if (m->owner && m->owner != mmu->space &&
            (!oldest || m->owner->age < oldest->owner->age))
            oldest = m;
    return oldest;
}

/* It has to run twice as long for the next one: so that they do not take turns for ever. */
static void give_up(struct mmu *mmu, struct space *s)
{
    user_map_close(mmu, s);
    s->user_map_due = 2 * s->user_time;
}

/* Is there room for more pages? If need be, where others had theirs. */
static bool room_for_pages(struct mmu *mmu)
{
    struct user_map *oldest;

    while (mmu->user_map_pages >= MAX_PAGES) {
        oldest = oldest_map(mmu);
        if (!oldest)
            return false;
        give_up(mmu, oldest->owner);
    }
    return true;
}

/* How many pages from `page` on, up to `most`, can be made right by one call. */
static u32 run_length(const struct mmu *mmu, const struct user_map *m, u32 page, u32 most,
                      struct want w)
{
    u32 n = 1;

    for (; n < most && n < MAX_RUN && page + n < SHADOW_SPTES; n++) {
        struct want next = wanted(mmu, m->owner, page + n);

        if (next.frame != (w.frame ? w.frame + n : 0) || next.writable != w.writable ||
            as_wanted(m, page + n, next))
            break;
    }
    return n;
}

/* Makes `page` right, and what follows it, as far as `most`. How many were. */
static u32 follow(struct mmu *mmu, struct user_map *m, u32 page, u32 most)
{
    struct want w = wanted(mmu, m->owner, page);
    u32 n;

    if (as_wanted(m, page, w)) {
        if (unlikely(mmu->mirror != NULL) && w.frame)
            mmu->mirror->kept(mmu->mirror->owner, map_number(mmu, m), page);
        return 1;
    }
    if (w.frame && !m->mapped[page] && !room_for_pages(mmu))
        return 1;
    n = run_length(mmu, m, page, most, w);
    if (w.frame)
        map_pages(mmu, m, page, n, w);
    else
        unmap_pages(mmu, m, page, n);
    return n;
}

/* Of the user's sptes, a column of 512 pages at a time; what is mapped and has none goes. */
static void follow_all(struct mmu *mmu, struct user_map *m)
{
    for (u32 column = 0; column < COLUMNS; column++) {
        u32 first = column * LEAF_SPTES, n;

        if (!(m->owner->used[column] >> (TABLE_USER + TABLE_READ) & 1) && !m->columns[column])
            continue;
        for (u32 page = first; page < first + LEAF_SPTES; page += n)
            n = follow(mmu, m, page, first + LEAF_SPTES - page);
    }
}

static void follow_dirty(struct mmu *mmu, struct user_map *m)
{
    for (u32 i = 0; i < m->dirty_count; i++) {
        u32 page = m->dirty[i], n = 1;

        while (i + n < m->dirty_count && m->dirty[i + n] == page + n)
            n++;
        i += n - 1;
        for (u32 done = 0; done < n;)
            done += follow(mmu, m, page + done, n - done);
    }
}

/* ---- Opening ---- */

static bool memory_get(struct user_map *m)
{
    if (!m->mapped)
        m->mapped = mmu_reserve(SHADOW_SPTES * sizeof(*m->mapped));
    if (!m->writable)
        m->writable = mmu_reserve(SHADOW_SPTES / 8);
    if (!m->differs)
        m->differs = mmu_reserve(SHADOW_SPTES / 8);
    if (!m->changes)
        m->changes = mmu_reserve(SHADOW_SPTES);
    if (m->mapped && m->writable && m->differs && m->changes && !m->at)
        m->at = map_reserve(NULL, MAP_BYTES);
    return m->at;
}

static struct user_map *user_map_take(struct mmu *mmu)
{
    struct user_map *oldest;

    for (struct user_map *m = mmu->user_maps; m < mmu->user_maps + MAX_USER_MAPS; m++)
        if (!m->owner)
            return m;
    oldest = oldest_map(mmu);
    give_up(mmu, oldest->owner);
    return oldest;
}

/* gs is the user map's from now on, wherever there is paging; without, while there is one. */
static bool supervisor_gives_up(struct mmu *mmu, struct space *s)
{
    if (!(s->root.mode & SPACE_PAGING)) {
        shadow_drop_sptes(mmu, s);
        return true;
    }
    if (mmu->user_maps_used)
        return false;
    mmu->user_maps_used = true;
    for (struct direct_map *w = mmu->direct_maps; w < mmu->direct_maps + MAX_DIRECT_MAPS; w++)
        if (w->owner && w->owner->root.mode & SPACE_PAGING)
            shadow_drop_sptes(mmu, w->owner);
    return true;
}

/* What kept changing gets another chance. */
static void forget_changes(struct user_map *m)
{
    m->counted = m->owner->user_time;
    madvise(m->changes, SHADOW_SPTES, MADV_DONTNEED);
}

static bool user_map_open(struct mmu *mmu, struct space *s)
{
    struct user_map *m = user_map_take(mmu);
    bool gone;

    if (!memory_get(m))
        return false;
    gone = supervisor_gives_up(mmu, s);
    m->owner = s;
    m->opened = s->user_time;
    m->spent = 0;
    m->calls = 0;
    forget_changes(m);
    m->lost = true;
    s->user_map = m;
    mmu->stats.user_maps++;
    direct_map_switch(mmu);
    mmu->pg->user_map_stale = true;
    return gone;
}

/* Dearer than it may be? */
static bool too_dear(const struct user_map *m)
{
    return m->spent > (m->owner->user_time - m->opened) / COST_SHARE + LEEWAY;
}

static void pay(struct user_map *m, u64 ticks)
{
    u64 most = m->calls * CALL_MOST;

    m->spent += ticks < most ? ticks : most;
    m->calls = 0;
}

void user_map_pays(struct mmu *mmu, struct user_map *m, u64 ticks)
{
    m->calls++;
    pay(m, ticks);
    if (too_dear(m))
        mmu->pg->user_map_stale = true;
}

void mmu_no_user_maps(struct mmu *mmu)
{
    mmu->no_user_maps = true;
}

static u64 no_time(void)
{
    return 0;
}

void mmu_user_maps_at_any_price(struct mmu *mmu, u64 ticks)
{
    mmu->ticks = no_time;
    mmu->user_maps_after = ticks;
}

/* Would following what it asks for be cheap? Asked again in each window. */
static bool steady(const struct mmu *mmu, struct space *s)
{
    u64 time = s->user_time - s->time_then;

    if (!(s->root.mode & SPACE_PAGING) || !mmu->user_maps_after)
        return true;
    if (time >= WINDOW) {
        s->steady = (s->user_fills - s->fills_then) * CALL_USUAL * 16 <= time;
        s->fills_then = s->user_fills;
        s->time_then = s->user_time;
    }
    return s->steady;
}

bool mmu_user_map_sample(struct paging *pg, u64 tsc)
{
    struct mmu *mmu = pg->mmu;
    struct space *s = mmu->space;
    u64 time = tsc - mmu->user_sampled;

    mmu->user_sampled = tsc;
    s->user_time += time < SAMPLE_MOST ? time : SAMPLE_MOST;
    return !s->user_map && !mmu->no_user_maps && steady(mmu, s) &&
           s->user_time >= s->user_map_due + mmu->user_maps_after && user_map_open(mmu, s);
}

void mmu_user_map_sync(struct paging *pg)
{
    struct mmu *mmu = pg->mmu;
    struct space *s = mmu->space;
    struct user_map *m = s->user_map;
    u64 start;

    pg->user_map_stale = false;
    if (!m)
        return;
    if (too_dear(m)) {
        give_up(mmu, s);
        return;
    }
    start = mmu->ticks();
    if (s->user_time - m->counted >= PERIOD)
        forget_changes(m);
    if (m->lost)
        follow_all(mmu, m);
    else
        follow_dirty(mmu, m);
    forget_dirty(m);
    pay(m, mmu->ticks() - start);
}

bool mmu_user_map_has(const struct paging *pg, gla_t gla, bool write)
{
    const struct user_map *m = pg->mmu->space->user_map;

    return m && m->mapped[gla >> PAGE_SHIFT] &&
           (!write || bit_of(m->writable, gla >> PAGE_SHIFT));
}

/* ---- Copies of it (bt/cage.c) ---- */

void mmu_set_mirror(struct mmu *mmu, const struct mmu_mirror *mirror)
{
    mmu->mirror = mirror;
}

int mmu_user_map_number(const struct paging *pg)
{
    const struct user_map *m = pg->mmu->space->user_map;

    return m ? (int)map_number(pg->mmu, m) : -1;
}

u32 mmu_user_map_frame(const struct paging *pg, gla_t gla)
{
    const struct user_map *m = pg->mmu->space->user_map;

    return m ? m->mapped[gla >> PAGE_SHIFT] : 0;
}

/* Pages from `first` on that were mapped in a row, with the same rights. */
static u32 mapped_length(const struct user_map *m, u32 first)
{
    u32 n = 1;

    while (first + n < SHADOW_SPTES && m->mapped[first + n] == m->mapped[first] + n &&
           bit_of(m->writable, first + n) == bit_of(m->writable, first))
        n++;
    return n;
}

void mmu_user_map_tell(struct mmu *mmu, u32 map)
{
    const struct user_map *m = &mmu->user_maps[map];

    for (u32 page = 0, n; page < SHADOW_SPTES; page += n) {
        n = 1;
        if (!m->columns[page / LEAF_SPTES]) {
            n = LEAF_SPTES - page % LEAF_SPTES;
        } else if (m->mapped[page]) {
            n = mapped_length(m, page);
            tell_mirror(mmu, m, page, n, m->mapped[page], bit_of(m->writable, page));
        }
    }
}

u64 mmu_user_map_age(const struct paging *pg)
{
    const struct space *s = pg->mmu->space;

    return s->user_map ? s->user_time - s->user_map->opened : 0;
}

void mmu_user_map_ran(struct paging *pg, u64 ticks, u64 calls)
{
    struct space *s = pg->mmu->space;

    s->user_time += ticks;
    if (s->user_map && calls)
        user_map_pays(pg->mmu, s->user_map, calls);
}
