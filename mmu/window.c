/*
 * Windows: 4 GiB of the host's address space in which a guest's address space lies as it is, so that
 * translated code of the kernel loads by gs:[address], one instruction.
 *
 *   flat slots ─▶ window + gla ◀─ gs:[gla]        pages that are mapped in a window
 *   flat slots ─▶ base + gpa                      all others: gs:[gla] faults
 *
 * Loads only: a store has to be told of code and page tables, page by page, and changing the host's
 * mapping for each would cost microseconds. Both ways meet in one mapping, since the host does not
 * forward a store to a load of the same memory at another address.
 *
 * What is worth mapping is large and stays: the kernel's linear mapping of RAM, or all of it without
 * paging. So a window grows by runs of pages, as long as guest and memory go in step, when a load
 * has found nothing (mmu_window_extend()), and only where the guest's entries need no look: RAM,
 * present, accessed, their tables traced. Then the page may be loaded as long as its slots would
 * hold, and what drops those cuts the window (window_cut()). Where that happens often there is none.
 *
 * A space without a group has its own window; those of a group share one, for the shared regions.
 */
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
    WINDOW_SPAN = 1 << 10,  /* pages that are mapped at most at once: 4 MiB, aligned */
    MIN_RUN = 32,           /* pages that are worth it */
    MAX_CUTS = 10,          /* of a span, that count */
    MAX_MAPS = 2048,        /* calls of the host, each two areas at most; a process has 65,530 */
    MAX_CLOSED = 256,       /* windows given up too soon, before there are no more; */
    SOON = 1024,            /* not one in so many switches */
    IDLE = 256,             /* switches after which a window is another's who wants it */
};
static const u64 WINDOW_BYTES = GIB(4) + PAGE_SIZE; /* the last bytes may be the first of 16 */

static u8 *reserve_nothing(void *at, u64 size)
{
    void *p = mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0),
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void window_init(struct mmu *mmu)
{
    mmu->nowhere = reserve_nothing(NULL, WINDOW_BYTES);
    mmu->window_run = MIN_RUN;
    mmu->fast_gs = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

void window_done(struct mmu *mmu)
{
    if (mmu->nowhere)
        munmap(mmu->nowhere, WINDOW_BYTES);
    for (struct window *w = mmu->windows; w < mmu->windows + MAX_WINDOWS; w++) {
        if (w->at)
            munmap(w->at, WINDOW_BYTES);
        if (w->frame)
            munmap(w->frame, FLAT_SLOTS * sizeof(*w->frame));
    }
}

/* ---- The current one ---- */

static struct space *window_owner(const struct mmu *mmu)
{
    return mmu->space->group ? mmu->space->group->slots : mmu->space;
}

void window_switch(struct mmu *mmu)
{
    struct window *w = window_owner(mmu)->window;
    struct paging *pg = mmu->pg;
    u8 *at = w ? w->at : mmu->nowhere;

    if (pg->window == (u64)at)
        return;
    pg->window = (u64)at;
    pg->window_frames = w ? w->frame : NULL;
    if (pg->window_loaded)
        mmu_window_load(pg);
}

/* By WRGSBASE, if programs may use it (Linux 5.9 and later let them, where the processor has it). Else it is a
 * call of the host, of a thousand cycles and more: there, only what spaces share, and memory without
 * paging, has a window, which lasts. */
void mmu_window_load(struct paging *pg)
{
    static _Thread_local u64 loaded;

    if (loaded == pg->window)
        return;
    loaded = pg->window;
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
    return mmu->fast_gs ? "gs by WRGSBASE" : "gs by arch_prctl(): one window for all address spaces, or none";
}

bool mmu_window_use(const struct paging *pg)
{
    const struct window *w = window_owner(pg->mmu)->window;

    return w && w->good;
}

/* ---- Cutting: who does it clears the slots that lead there ---- */

static void unmap(struct window *w, u32 first, u32 count)
{
    check(reserve_nothing(w->at + ((u64)first << PAGE_SHIFT), (u64)count << PAGE_SHIFT),
          "the host refuses to unmap a window");
    for (u32 page = first; page < first + count; page++)
        if (w->frame[page]) {
            w->frame[page] = 0;
            w->mapped[page / WINDOW_SPAN]--;
        }
    w->maps++;
}

/* All of it, so that the host has fewer areas to keep; here the slots are cleared as well. */
static void lose_span(struct mmu *mmu, struct window *w, u32 span)
{
    struct space *s = w->owner;

    unmap(w, span * WINDOW_SPAN, WINDOW_SPAN);
    shadow_drop_range(mmu, s, span * WINDOW_SPAN, WINDOW_SPAN);
}

static void cut_span(struct mmu *mmu, struct window *w, u32 first, u32 count)
{
    u32 span = first / WINDOW_SPAN;

    for (u32 page = first; page < first + count; page++)
        if (w->frame[page]) {
            mmu->stats.window_cuts++;
            w->cuts[span] += w->grown[span] && w->cuts[span] < MAX_CUTS;
            w->grown[span] = false;
            if (w->maps < MAX_MAPS)
                unmap(w, first, count);
            else
                lose_span(mmu, w, span);
            return;
        }
}

void window_cut_pages(struct mmu *mmu, struct window *w, u32 first, u32 count)
{
    u32 end = first + count, n;

    for (u32 page = first; page < end; page += n) {
        n = WINDOW_SPAN - page % WINDOW_SPAN;
        n = n < end - page ? n : end - page;
        if (w->mapped[page / WINDOW_SPAN])
            cut_span(mmu, w, page, n);
    }
}

void window_close(struct mmu *mmu, struct space *s)
{
    struct window *w = s->window;

    if (!w)
        return;
    for (u32 span = 0; span < WINDOW_SPANS; span++)
        if (w->mapped[span])
            unmap(w, span * WINDOW_SPAN, WINDOW_SPAN);
    mmu->windows_closed += w->maps > 0;
    w->owner = NULL;
    s->window = NULL;
    if (mmu->space)
        window_switch(mmu);
}

/* ---- Growing ---- */

static u64 last_used(const struct mmu *mmu, const struct space *s)
{
    return s < mmu->spaces + MAX_SPACES ? s->age : mmu->groups[s - mmu->spaces - MAX_SPACES].age;
}

/* One that is free, or of a space long not used. */
static struct window *window_take(struct mmu *mmu)
{
    for (struct window *w = mmu->windows; w < mmu->windows + MAX_WINDOWS; w++)
        if (!w->owner)
            return w;
    for (struct window *w = mmu->windows; w < mmu->windows + MAX_WINDOWS; w++)
        if (last_used(mmu, w->owner) + IDLE < mmu->clock) {
            shadow_drop_slots(mmu, w->owner);
            return w;
        }
    return NULL;
}

static bool window_memory_get(struct window *w)
{
    if (!w->frame)
        w->frame = mmu_reserve(FLAT_SLOTS * sizeof(*w->frame));
    if (w->frame && !w->at)
        w->at = reserve_nothing(NULL, WINDOW_BYTES);
    return w->at;
}

static struct window *window_open(struct mmu *mmu, struct space *s)
{
    bool alone = s->root.mode & SPACE_PAGING && s < mmu->spaces + MAX_SPACES;
    struct window *w;

    if (!mmu->nowhere || (alone && !mmu->fast_gs) || mmu->windows_closed >= MAX_CLOSED + mmu->clock / SOON)
        return NULL;
    w = window_take(mmu);
    if (!w || !window_memory_get(w))
        return NULL;
    memset(w->grown, 0, sizeof(w->grown));
    memset(w->cuts, 0, sizeof(w->cuts));
    memset(w->vain, 0, sizeof(w->vain));
    w->maps = 0;
    w->good = false;
    w->owner = s;
    s->window = w;
    window_switch(mmu);
    mmu->stats.windows++;
    return w;
}

/* RAM that a load at the page would find as it is; its number in *frame. Without any look or change, if it
 * is w->accessed. The last page of all is left out: the first is no neighbour of it in the host's memory,
 * though both would have the same slot. */
static bool look(struct mmu *mmu, u32 page, u32 *frame, struct walk *w)
{
    gpa_t gpa;

    if (page == FLAT_SLOTS - 1 || !mmu_walk_quiet(mmu, page << PAGE_SHIFT, w))
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

/* How many pages beside `page`, by `step`, are in step with it, inside the span; and how many of them,
 * up to the first that is not, have been accessed and are not mapped yet. Those behind count up to MIN_RUN. */
static u32 count_in_step(struct mmu *mmu, const struct window *window, u32 page, u32 frame, i32 step,
                         u32 *accessed)
{
    u32 span = page / WINDOW_SPAN, n = 0, f;
    bool all = true;
    struct walk w;

    for (*accessed = 0; all || n < MIN_RUN; n++) {
        page += (u32)step;
        frame += (u32)step;
        if (page / WINDOW_SPAN != span || !look(mmu, page, &f, &w) || f != frame)
            break;
        all &= w.accessed && !window->frame[page];
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
        if (look(mmu, page, &frame, &w))
            shadow_trace_walk(mmu, &w, owner, page >> shift);
}

/* Data slots that lead to RAM lead to it by the window from now on. */
static void lead_slots(struct window *w, u32 page)
{
    static const u8 tables[] = { TABLE_READ, TABLE_WRITE, TABLE_USER + TABLE_READ, TABLE_USER + TABLE_WRITE };
    struct space *s = w->owner;

    for (u32 i = 0; i < ARRAY_SIZE(tables); i++) {
        u64 *slot = &s->flat[tables[i] * FLAT_SLOTS + page];

        if (!(s->used[page / LEAF_SLOTS] >> tables[i] & 1))
            continue;
        if (slot_direct(*slot))
            *slot = (u64)w->at;
        else if (slot_guarded(*slot))
            *slot = (u64)w->at | SLOT_GUARDED;
    }
}

static bool map(struct mmu *mmu, struct window *w, u32 first, u32 count, u32 frame)
{
    if (mmap(w->at + ((u64)first << PAGE_SHIFT), (u64)count << PAGE_SHIFT, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED | MAP_NORESERVE, mmu->fd, (off_t)frame << PAGE_SHIFT) == MAP_FAILED) {
        unmap(w, first, count);
        return false;
    }
    w->maps++;
    w->vain[first / WINDOW_SPAN] = 0;
    w->grown[first / WINDOW_SPAN] = w->good = true;
    w->mapped[first / WINDOW_SPAN] += (u16)count;
    for (u32 i = 0; i < count; i++) {
        w->frame[first + i] = frame + i + 1;
        lead_slots(w, first + i);
    }
    mmu->stats.window_maps++;
    return true;
}

/* Is it too early to look at the span again? After cuts, and when it had no run to give: less and less
 * often. */
static bool tired(struct window *w, u32 span)
{
    u32 n = ++w->vain[span];

    return n < 1u << w->cuts[span] || (n > 8 && n & (n - 1));
}

static bool find_run(struct mmu *mmu, const struct window *w, u32 page, struct run *r)
{
    u32 before, behind;
    struct walk walk;

    if (!look(mmu, page, &r->frame, &walk) || !walk.accessed)
        return false;
    r->length = 1 + count_in_step(mmu, w, page, r->frame, 1, &behind) +
                count_in_step(mmu, w, page, r->frame, -1, &before);
    r->first = page - before;
    r->end = page + 1 + behind;
    r->frame -= before;
    return r->length >= mmu->window_run;
}

bool mmu_window_extend(struct paging *pg, gla_t gla)
{
    struct mmu *mmu = pg->mmu;
    struct space *owner = window_owner(mmu);
    u32 page = gla >> PAGE_SHIFT;
    struct window *w = owner->window;
    struct run r;

    if (slot_owner(mmu->space, page) != owner || (!w && !(w = window_open(mmu, owner))))
        return false;
    if (w->frame[page])
        return true;
    if (tired(w, page / WINDOW_SPAN) || w->maps >= MAX_MAPS || !find_run(mmu, w, page, &r))
        return false;
    trace_run(mmu, owner, r.first, r.end - r.first);
    return map(mmu, w, r.first, r.end - r.first, r.frame);
}

/* ---- For C ---- */

u8 *window_memory(const struct mmu *mmu, u8 *hva)
{
    u64 off = (u64)hva - mmu->pg->window;

    if (off >= GIB(4) || !window_owner(mmu)->window)
        return hva;
    return mmu->base + ((u64)(window_owner(mmu)->window->frame[off >> PAGE_SHIFT] - 1) << PAGE_SHIFT) +
           (off & PAGE_MASK);
}
