/*
 * The pages of cages: what the host maps there follows the user maps, and which of them code
 * may run on.
 *
 * A page is executable in a cage when it has been looked through (cage_scan.c), and from then
 * on write-protected (PG_CAGED), so that whoever writes to it is heard of before. What was
 * looked through is known by page of memory, so a library is looked through once for all
 * programs.
 */
#include "bt/cage_private.h"
#include "cpu/fpu.h"

#include <sys/mman.h>

enum {
    MOST_WRITES = 16, /* to a page of code: it is refused, */
    ASK_AGAIN = 4096, /* until it has been asked for so often */
};

/* ---- Following the MMU ---- */

static void exec_drop(struct cage *c, u32 i, bool mapped)
{
    u32 page = c->exec_pages[i].page;

    c->exec[page / 8] &= (u8) ~(1u << (page & 7));
    c->exec_pages[i] = c->exec_pages[--c->exec_count];
    if (mapped)
        cage_process_executable(&c->process, page << PAGE_SHIFT, false);
}

static void exec_drop_page(struct cage *c, u32 page, bool mapped)
{
    if (cage_is_exec(c, page))
        for (u32 i = 0; i < c->exec_count; i++)
            if (c->exec_pages[i].page == page) {
                exec_drop(c, i, mapped);
                return;
            }
}

static struct cage *cage_of(struct cages *cs, u32 map) /* NULL: none */
{
    return cs->cage[map].process.pid ? &cs->cage[map] : NULL;
}

static void on_mapped(void *owner, u32 map, u32 first, u32 count, u32 frame, bool writable)
{
    struct cages *cs = owner;
    struct cage *c = cage_of(cs, map);
    gla_t gla = first << PAGE_SHIFT;
    u64 size = (u64)count << PAGE_SHIFT;

    if (!c)
        return;
    for (u32 i = 0; i < count; i++)
        exec_drop_page(c, first + i, false);
    if (frame)
        cage_process_map(&c->process, gla, size, (u64)(frame - 1) << PAGE_SHIFT, writable);
    else
        cage_process_unmap(&c->process, gla, size);
}

static bool guest_executes(const struct vcpu *cpu, u32 page)
{
    return spte_direct(cpu->mmu->space->shadow[SHADOW_USER + SHADOW_EXEC + page]);
}

static void on_kept(void *owner, u32 map, u32 page)
{
    struct cages *cs = owner;
    struct cage *c = cage_of(cs, map);

    if (c && cage_is_exec(c, page) && !guest_executes(cs->bt->cpu, page))
        exec_drop_page(c, page, true);
}

static void on_closed(void *owner, u32 map)
{
    cage_end(owner, map);
}

/* The page is not what was looked through. */
static void on_written(void *owner, gpa_t gpa, u32 n)
{
    struct cages *cs = owner;
    u32 frame = (u32)(gpa >> PAGE_SHIFT);
    struct frame *f = &cs->frames[frame];

    if (f->state != RUNS)
        return;
    f->state = UNKNOWN;
    f->writes += f->writes < MOST_WRITES;
    cs->bt->stats.cage_rewritten++;
    mmu_unprotect_caged(cs->bt->cpu->mmu, gpa & ~(gpa_t)PAGE_MASK);
    for (struct cage *c = cs->cage; c < cs->cage + MMU_USER_MAPS; c++)
        for (u32 i = 0; i < c->exec_count;)
            if (c->exec_pages[i].frame == frame)
                exec_drop(c, i, true);
            else
                i++;
}

void cage_forget_pages(struct cage *c)
{
    while (c->exec_count)
        exec_drop(c, 0, false);
}

void cage_pages_begin(struct cages *cs)
{
    struct mmu *mmu = cs->bt->cpu->mmu;

    cs->frames = mmu_reserve(PHYS_PAGES * sizeof(*cs->frames));
    check(cs->frames, "out of memory");
    cs->listener = (struct mmu_listener){on_written, cs, NULL};
    cs->mirror = (struct mmu_mirror){on_mapped, on_kept, on_closed, cs};
    mmu_listen(mmu, &cs->listener);
    mmu_set_mirror(mmu, &cs->mirror);
}

void cage_pages_end(struct cages *cs)
{
    struct mmu *mmu = cs->bt->cpu->mmu;

    mmu_unlisten(mmu, &cs->listener);
    mmu_set_mirror(mmu, NULL);
    munmap(cs->frames, PHYS_PAGES * sizeof(*cs->frames));
}

/* ---- Code ---- */

static u8 allowed_now(const struct vcpu *cpu)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS) || cpu->ferr)
        return 0;
    return NEEDS_FPU | (cpu->cr4 & CR4_OSFXSR ? NEEDS_SSE : 0) |
           (cpu_avx_enabled(cpu) ? NEEDS_AVX : 0);
}

static const u8 *frame_memory(const struct vcpu *cpu, u32 frame)
{
    return cpu->mmu->base + ((u64)frame << PAGE_SHIFT);
}

static void look_through(struct cages *cs, u32 frame, u32 entry)
{
    struct vcpu *cpu = cs->bt->cpu;
    struct frame *f = &cs->frames[frame];
    struct cage_scan s;

    mmu_protect_caged(cpu->mmu, (gpa_t)frame << PAGE_SHIFT);
    s = cage_scan_page(cpu, frame_memory(cpu, frame), entry);
    cs->bt->stats.cage_pages++;
    f->state = s.refused ? REFUSED : RUNS;
    f->needs = s.needs;
    f->tail = s.tail;
    f->asked = 0;
    if (!s.refused)
        return;
    cs->bt->stats.cage_refused[s.refused]++;
    mmu_unprotect_caged(cpu->mmu, (gpa_t)frame << PAGE_SHIFT);
}

/* May code on that page of memory run directly? */
static bool frame_runs(struct cages *cs, u32 frame, u32 entry)
{
    struct frame *f = &cs->frames[frame];

    if (f->state == REFUSED || f->writes == MOST_WRITES) {
        if (++f->asked < ASK_AGAIN)
            return false;
        f->state = UNKNOWN;
        f->writes = 0;
    }
    if (f->state == UNKNOWN)
        look_through(cs, frame, entry);
    return f->state == RUNS;
}

/* An instruction of two pages, both of which are executable, or about to be. */
static bool crossing_runs(const struct cages *cs, u32 frame, u32 next)
{
    const struct vcpu *cpu = cs->bt->cpu;
    u32 tail = cs->frames[frame].tail;

    return !tail ||
           !cage_scan_crossing(cpu, frame_memory(cpu, frame), tail, frame_memory(cpu, next));
}

static bool neighbours_run(const struct cages *cs, const struct cage *c, u32 page, u32 frame)
{
    const struct paging *pg = &cs->bt->cpu->paging;

    if (page && cage_is_exec(c, page - 1) &&
        !crossing_runs(cs, mmu_user_map_frame(pg, (page - 1) << PAGE_SHIFT) - 1, frame))
        return false;
    return page == SHADOW_SPTES - 1 || !cage_is_exec(c, page + 1) ||
           crossing_runs(cs, frame, mmu_user_map_frame(pg, (page + 1) << PAGE_SHIFT) - 1);
}

bool cage_make_executable(struct cages *cs, struct cage *c, gla_t gla, bool at_entry)
{
    struct vcpu *cpu = cs->bt->cpu;
    u32 page = gla >> PAGE_SHIFT, frame = mmu_user_map_frame(&cpu->paging, gla);

    if (cage_is_exec(c, page))
        return true;
    if (!frame-- || !guest_executes(cpu, page) || gla < CAGE_FIRST ||
        c->exec_count == MAX_EXEC ||
        !frame_runs(cs, frame, at_entry ? gla & PAGE_MASK : PAGE_SIZE) ||
        cs->frames[frame].needs & ~c->allowed || !neighbours_run(cs, c, page, frame))
        return false;
    bt_user_map_follow(cpu); /* nobody can write it from now on */
    if (mmu_user_map_frame(&cpu->paging, gla) != frame + 1 ||
        mmu_user_map_has(&cpu->paging, gla, true))
        return false;
    c->exec[page / 8] |= (u8)(1u << (page & 7));
    c->exec_pages[c->exec_count++] = (struct exec_page){page, frame};
    cage_process_executable(&c->process, page << PAGE_SHIFT, true);
    return true;
}

void cage_follow_allowed(struct cages *cs, struct cage *c)
{
    u8 now = allowed_now(cs->bt->cpu);

    if (now == c->allowed)
        return;
    c->allowed = now;
    for (u32 i = 0; i < c->exec_count;)
        if (cs->frames[c->exec_pages[i].frame].needs & ~now)
            exec_drop(c, i, true);
        else
            i++;
}

const u8 *cage_byte(const struct vcpu *cpu, gla_t gla)
{
    u32 frame = mmu_user_map_frame(&cpu->paging, gla);

    return frame ? frame_memory(cpu, frame - 1) + (gla & PAGE_MASK) : NULL;
}
