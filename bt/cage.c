/*
 * Direct execution. An address space that has a user map may have a cage, too: another process
 * whose low 4 GiB are a copy of that map. Its user code runs there as it is, on the host's
 * processor, from one trap to the next. It is an accelerator and no more: whatever stops it,
 * the state is that before an instruction, and the translator or the interpreter goes on from
 * there. So nothing of what the guest sees is decided here.
 *
 *   poll in user code   ──▶  cages_run()  ──▶  the cage  ──▶  time, fault, system call
 *                            maps follow       computes       interpreter, translator
 *
 * A page of code may be executed in a cage when it has been looked through (cage_scan.c); it is
 * write-protected from then on (PG_CAGED), as a page with TUs is. What cannot run directly
 * faults at its first byte, as it is not executable, and runs translated.
 *
 * When: a cage costs two switches of processes and a dozen calls of the host, so it is worth
 * it only if it stays there. An address space waits in translated code for its `interval`
 * before it is let run directly; short runs double that, long ones halve it. Programs that
 * mostly call their kernel so hardly ever leave translated code.
 */
#include "bt/cage.h"
#include "bt/cage_process.h"
#include "bt/cage_scan.h"
#include "bt/translator.h"
#include "cpu/debug.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>
#include <x86intrin.h>

enum {
    MAX_EXEC = 8192,   /* pages executable in a cage: more, and it starts again */
    MOST_FAULTS = 64,  /* in one turn, before the translator has a go */
    MOST_FAILURES = 3, /* of the host to give one: no more are asked for */
    MOST_WRITES = 16,  /* to a page of code: it is refused, */
    ASK_AGAIN = 64,    /* until it has been asked for so often */
    SHORT = 4,
    LONG = 16, /* runs, in what the shortest has cost */
};
/* Of the TSC's ticks: */
static const u64
    INTERVAL_LEAST = 1 << 16,
    INTERVAL_MOST = 1 << 28,
    CAGE_AFTER =
        64000000; /* of user time with a user map: what making a cage costs, fifty times */

enum frame_state { UNKNOWN, RUNS, REFUSED };
struct frame {
    u8 state; /* enum frame_state */
    u8 needs, tail, writes;
    u32 asked; /* since it was refused */
};

struct cage {
    struct cage_process process;
    bool open; /* it has one, or had until the host ended it */
    u64 interval;
    u16 cs;     /* the host's selector for the code that runs */
    u8 allowed; /* NEEDS_* of the pages that are executable */
    u32 exec_count;
    struct exec_page {
        u32 page, frame;
    } exec_pages[MAX_EXEC];
    u8 exec[SHADOW_SPTES / 8]; /* a bit each */
};

struct cages {
    struct bt *bt;
    bool probed, usable;
    u32 failures;                     /* to make a cage */
    pid_t thread;                     /* whose children the cages are */
    struct cage cage[MMU_USER_MAPS];  /* by the user map's number; without a process: none */
    struct frame *frames;             /* [PHYS_PAGES] */
    struct mmu_listener listener;
    struct mmu_mirror mirror;
    u64 shortest; /* run so far, of the TSC's ticks: what a way there and back costs */
    struct cage_state state;
};

const char *cage_exit_name(u32 exit)
{
    static const char *const names[CAGE_EXITS] = {
        "time",        "system call", "page of code", "page of memory",
        "other fault", "trap",        "escape",       "gone",
    };

    return names[exit];
}

/* ---- Pages ---- */

static bool is_exec(const struct cage *c, u32 page)
{
    return c->exec[page / 8] >> (page & 7) & 1;
}

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
    if (is_exec(c, page))
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

static void end_cage(struct cages *cs, u32 map)
{
    struct cage *c = &cs->cage[map];

    if (!c->open)
        return;
    cage_process_end(&c->process);
    while (c->exec_count)
        exec_drop(c, 0, false);
    c->open = false;
    cs->bt->stats.cages_ended++;
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

    if (c && is_exec(c, page) && !guest_executes(cs->bt->cpu, page))
        exec_drop_page(c, page, true);
}

static void on_closed(void *owner, u32 map)
{
    end_cage(owner, map);
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

/* ---- Life ---- */

void cages_init(struct bt *bt)
{
    bool forced = bt->config.user == USER_DIRECT;
    struct cages *cs;
    const char *why;

    tc_of(bt->cpu)->direct_at = ~0ull;
    if (bt->config.user == USER_BT || bt->config.count_runs || bt->config.deterministic ||
        bt->config.trap)
        return;
    if (forced && !cage_process_probe(&why)) {
        warn("user code is translated: %s", why);
        return;
    }
    cs = calloc(1, sizeof(*cs));
    check(cs, "out of memory");
    cs->bt = bt;
    cs->probed = cs->usable = forced;
    cs->shortest = ~0ull;
    cs->frames = mmap(NULL, PHYS_PAGES * sizeof(*cs->frames), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(cs->frames != MAP_FAILED, "out of memory");
    cs->listener = (struct mmu_listener){on_written, cs, NULL};
    cs->mirror = (struct mmu_mirror){on_mapped, on_kept, on_closed, cs};
    mmu_listen(bt->cpu->mmu, &cs->listener);
    mmu_set_mirror(bt->cpu->mmu, &cs->mirror);
    tc_of(bt->cpu)->direct_at = 0;
    bt->cages = cs;
}

void cages_free(struct bt *bt)
{
    struct cages *cs = bt->cages;

    if (!cs)
        return;
    mmu_unlisten(bt->cpu->mmu, &cs->listener);
    mmu_set_mirror(bt->cpu->mmu, NULL);
    for (u32 map = 0; map < MMU_USER_MAPS; map++)
        end_cage(cs, map);
    munmap(cs->frames, PHYS_PAGES * sizeof(*cs->frames));
    free(cs);
    bt->cages = NULL;
}

static void usable_or_not(struct cages *cs)
{
    const char *why;

    cs->usable = cage_process_probe(&why);
    cs->probed = true;
    if (!cs->usable)
        trace(TRACE_CPU, "user code is translated: %s", why);
}

/* The cage of the current space, made if there is none. NULL: it has none. */
static struct cage *cage_here(struct cages *cs)
{
    struct vcpu *cpu = cs->bt->cpu;
    int map = mmu_user_map_number(&cpu->paging);
    pid_t thread = (pid_t)syscall(SYS_gettid);
    struct cage *c;
    const char *why;

    if (map < 0)
        return NULL;
    if (cs->thread != thread) { /* the host lets nobody else control them */
        for (u32 i = 0; i < MMU_USER_MAPS; i++)
            end_cage(cs, i);
        cs->thread = thread;
    }
    c = &cs->cage[map];
    if (c->process.pid)
        return c;
    end_cage(cs, (u32)map);
    if (cs->bt->config.user != USER_DIRECT && mmu_user_map_age(&cpu->paging) < CAGE_AFTER)
        return NULL;
    if (!cage_process_start(&c->process, mmu_memory_file(cpu->mmu), &why)) {
        cs->usable = ++cs->failures < MOST_FAILURES;
        return NULL;
    }
    c->open = true;
    c->interval = INTERVAL_LEAST;
    c->allowed = 0;
    cs->bt->stats.cages++;
    mmu_user_map_tell(cpu->mmu, (u32)map);
    return c;
}

/* ---- When ---- */

static bool flat_code(const struct segment *cs)
{
    return !cs->base && cs->limit == ~0u && cs->attr & ATTR_P && cs->attr & ATTR_DB &&
           cs->attr & SEG_R;
}

/* Is the state one that a process of the host can have, with the same meaning? Code segments of
 * the LDT, with a base, a limit, or 16 bits, it could have; they are translated. */
static bool can_run(struct vcpu *cpu)
{
    const u32 strange = FLAG_TF | FLAG_IOPL | FLAG_NT | FLAG_VM | FLAG_VIF | FLAG_VIP | FLAG_ID;

    return cpu->cpl == 3 && cpu_protected(cpu) && cpu->cr0 & CR0_PG && cpu->int_flag &&
           !(cpu->eflags & strange) && (!(cpu->eflags & FLAG_AC) || cpu->cr0 & CR0_AM) &&
           cpu->user_map && flat_code(&cpu->seg[CS]) && cpu->seg[SS].attr & ATTR_P &&
           !cpu->watch_code && !bt_watched(cpu);
}

bool cages_due(struct bt *bt, u64 tsc)
{
    struct cages *cs = bt->cages;
    struct tc *tc = tc_of(bt->cpu);

    if (likely(!cs) || tsc < tc->direct_at)
        return false;
    tc->direct_at = tsc + INTERVAL_LEAST;
    if (!can_run(bt->cpu))
        return false;
    if (!cs->probed)
        usable_or_not(cs);
    if (!cs->usable)
        tc->direct_at = ~0ull;
    return cs->usable;
}

/* How long it runs translated before it is let run directly again. */
static void think_over(struct cages *cs, struct cage *c, u64 ran)
{
    bool forced = cs->bt->config.user == USER_DIRECT;

    if (ran < cs->shortest)
        cs->shortest = ran;
    if (ran < SHORT * cs->shortest && c->interval < INTERVAL_MOST && !forced)
        c->interval *= 2;
    else if (ran > LONG * cs->shortest && c->interval > INTERVAL_LEAST)
        c->interval /= 2;
}

/* ---- The state, there and back ---- */

struct fxsave64 {
    u16 fcw, fsw, ftw, fop;
    u64 rip, rdp;
    u32 mxcsr, mxcsr_mask;
    u8 st[8][16], xmm[16][16], unused[96];
};
enum { GUEST_XMM = 8 * 16 }; /* bytes: the guest has eight */
enum { FLAGS_OURS = FLAGS_ARITH | FLAG_DF | FLAG_AC };

static u32 segment_base(const struct segment *s, u16 selector)
{
    return selector ? s->base : 0;
}

/* FXSAVE64 and FXSAVE differ in how they store the pointers (SDM vol. 1, 10.5). */
static void fpu_there(const struct vcpu *cpu, struct cage_state *s, enum cage_fpu fpu)
{
    struct fxsave64 *to = (struct fxsave64 *)s->xsave;
    const struct fxsave *fx = &cpu->fpu;
    u64 components = XCR0_X87 | XCR0_SSE | XCR0_AVX;

    memcpy(to, fx, offsetof(struct fxsave, fip));
    to->rip = fx->fip;
    to->rdp = fx->fdp;
    to->mxcsr = fx->mxcsr;
    memcpy(to->st, fx->st, sizeof(fx->st));
    memcpy(to->xmm, fx->xmm, GUEST_XMM);
    if (fpu != CAGE_FPU_AVX)
        return;
    memcpy(s->xsave + sizeof(*fx), &components, sizeof(components));
    memcpy(s->xsave + XSAVE_YMM_AT, cpu->ymm_high, sizeof(cpu->ymm_high));
}

static void fpu_back(struct vcpu *cpu, const struct cage_state *s, enum cage_fpu fpu)
{
    const struct fxsave64 *from = (const struct fxsave64 *)s->xsave;
    struct fxsave *fx = &cpu->fpu;

    memcpy(fx, from, offsetof(struct fxsave, fip));
    if (fx->fip != (u32)from->rip)
        fx->fcs = cpu->seg[CS].selector;
    fx->fip = (u32)from->rip;
    fx->fdp = (u32)from->rdp;
    fx->mxcsr = from->mxcsr;
    memcpy(fx->st, from->st, sizeof(fx->st));
    memcpy(fx->xmm, from->xmm, GUEST_XMM);
    if (fpu == CAGE_FPU_AVX)
        memcpy(cpu->ymm_high, s->xsave + XSAVE_YMM_AT, sizeof(cpu->ymm_high));
}

static void state_there(struct vcpu *cpu, struct cage *c, struct cage_state *s,
                        enum cage_fpu fpu)
{
    for (u32 i = 0; i < 8; i++)
        s->gpr[i] = cpu->gpr[i];
    s->ip = cpu->eip;
    s->flags = (cpu->eflags & FLAGS_OURS) | FLAG_1 | FLAG_IF;
    for (u32 i = ES; i <= GS; i++)
        s->seg[i] = cage_process_selector(&c->process, &cpu->seg[i]);
    c->cs = s->seg[CS];
    s->fs_base = segment_base(&cpu->seg[FS], s->seg[FS]);
    s->gs_base = segment_base(&cpu->seg[GS], s->seg[GS]);
    if (fpu != CAGE_FPU_NONE)
        fpu_there(cpu, s, fpu);
}

static void state_back(struct vcpu *cpu, struct cage_state *s, enum cage_fpu fpu)
{
    for (u32 i = 0; i < 8; i++)
        cpu->gpr[i] = (u32)s->gpr[i];
    cpu->eip = (u32)s->ip;
    cpu->eflags = (cpu->eflags & ~(u32)(FLAGS_OURS | FLAG_RF)) | ((u32)s->flags & FLAGS_OURS);
    if (fpu != CAGE_FPU_NONE)
        fpu_back(cpu, s, fpu);
}

/* ---- Code ---- */

static u8 allowed_now(const struct vcpu *cpu)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS) || cpu->ferr)
        return 0;
    return NEEDS_FPU | (cpu->cr4 & CR4_OSFXSR ? NEEDS_SSE : 0) |
           (cpu_avx_enabled(cpu) ? NEEDS_AVX : 0);
}

static enum cage_fpu fpu_of(const struct cage *c)
{
    return c->allowed & NEEDS_AVX ? CAGE_FPU_AVX : c->allowed ? CAGE_FPU_SSE : CAGE_FPU_NONE;
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

    if (page && is_exec(c, page - 1) &&
        !crossing_runs(cs, mmu_user_map_frame(pg, (page - 1) << PAGE_SHIFT) - 1, frame))
        return false;
    return page == SHADOW_SPTES - 1 || !is_exec(c, page + 1) ||
           crossing_runs(cs, frame, mmu_user_map_frame(pg, (page + 1) << PAGE_SHIFT) - 1);
}

/* The page of gla, where code is about to run, becomes executable; false: it cannot. */
static bool make_executable(struct cages *cs, struct cage *c, gla_t gla, bool at_entry)
{
    struct vcpu *cpu = cs->bt->cpu;
    u32 page = gla >> PAGE_SHIFT, frame = mmu_user_map_frame(&cpu->paging, gla);

    if (is_exec(c, page))
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

/* What code may use of the FPU has changed: pages that use more go. */
static void follow_allowed(struct cages *cs, struct cage *c)
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

/* ---- Coming back ---- */

static const u8 *byte_at(const struct vcpu *cpu, gla_t gla)
{
    u32 frame = mmu_user_map_frame(&cpu->paging, gla);

    return frame ? frame_memory(cpu, frame - 1) + (gla & PAGE_MASK) : NULL;
}

/* Do two bytes of an instruction end before EIP? */
static bool behind(const struct vcpu *cpu, u8 first, u8 second)
{
    gla_t gla = cpu->eip;
    const u8 *one = byte_at(cpu, gla - 2), *two = byte_at(cpu, gla - 1);

    return one && two && *one == first && *two == second;
}

/* It has left 32- or 16-bit code for the host's 64-bit code, or called the host in a way that
 * loses its place: in the guest no such selector leads anywhere. */
static void escaped(struct vcpu *cpu, const struct cage_state *s)
{
    cpu_fault(cpu, EXC_GP, s->seg[CS] & 0xfffcu);
    cpu_deliver_pending(cpu);
}

static bool in_guest_code(const struct cage *c, const struct cage_state *s)
{
    return s->seg[CS] == c->cs && !(s->ip >> 32);
}

static enum cage_exit system_call(struct vcpu *cpu, const struct cage_state *s)
{
    if (!behind(cpu, 0xcd, 0x80)) {
        escaped(cpu, s);
        return EXIT_ESCAPE;
    }
    cpu->eip -= 2;
    cpu->gpr[EAX] = (u32)s->called;
    return EXIT_SYSCALL;
}

/* A trap: EIP is behind the instruction. */
static enum cage_exit trapped(struct vcpu *cpu, const struct cage_state *s)
{
    const u8 *before = byte_at(cpu, cpu->eip - 1);

    if (s->code == TRAP_TRACE || s->flags & FLAG_TF) {
        cpu_set_eflags(cpu, FLAG_TF, FLAG_TF);
        cpu_debug_step(cpu);
        return EXIT_TRAP;
    }
    cpu->eip -= before && *before == 0xcc ? 1 : behind(cpu, 0xcd, 3) ? 2 : 0;
    return EXIT_TRAP;
}

/* Is the fault one of fetching code at EIP, or behind it? The page where it was, plus 1. */
static u32 fetch_fault(const struct vcpu *cpu, const struct cage *c, const struct cage_state *s)
{
    gla_t gla = cpu->eip;
    u32 page = gla >> PAGE_SHIFT, at = (u32)(s->address >> PAGE_SHIFT);

    if (s->signal != SIGSEGV || s->address >> 32 || is_exec(c, at))
        return 0;
    return at == page || (at == page + 1 && (gla & PAGE_MASK) > PAGE_SIZE - 15) ? at + 1 : 0;
}

/* True: it may go on there. */
static bool after_signal(struct cages *cs, struct cage *c, enum cage_exit *exit)
{
    struct vcpu *cpu = cs->bt->cpu;
    struct cage_state *s = &cs->state;
    u32 page = fetch_fault(cpu, c, s);
    gla_t gla = cpu->eip;
    bool paged = s->signal == SIGSEGV && s->code != SI_KERNEL;

    if (s->signal == SIGTRAP) {
        *exit = trapped(cpu, s);
        return false;
    }
    if (page &&
        make_executable(cs, c, page - 1 == gla >> PAGE_SHIFT ? gla : (page - 1) << PAGE_SHIFT,
                        page - 1 == gla >> PAGE_SHIFT)) {
        *exit = EXIT_FETCH;
        return true;
    }
    if (page && page - 1 == gla >> PAGE_SHIFT) {
        *exit = EXIT_FETCH;
        return false;
    }
    *exit = paged ? EXIT_MEMORY : EXIT_FAULT;
    cpu_run_one(cpu);
    return paged;
}

static bool after_stop(struct cages *cs, struct cage *c, enum cage_stop stop,
                       enum cage_exit *exit)
{
    struct vcpu *cpu = cs->bt->cpu;

    *exit = EXIT_GONE;
    if (stop == CAGE_GONE)
        return false;
    state_back(cpu, &cs->state, fpu_of(c));
    *exit = EXIT_ESCAPE;
    if (!in_guest_code(c, &cs->state)) {
        escaped(cpu, &cs->state);
        return false;
    }
    *exit = EXIT_TIME;
    if (stop == CAGE_SIGNAL)
        return after_signal(cs, c, exit);
    if (stop == CAGE_SYSCALL)
        *exit = system_call(cpu, &cs->state);
    return false;
}

/* ---- Running ---- */

/* The host's mappings, and what may be executed, are right; false: it cannot run. */
static bool prepare(struct cages *cs, struct cage *c)
{
    struct vcpu *cpu = cs->bt->cpu;

    follow_allowed(cs, c);
    if (fpu_of(c) == CAGE_FPU_AVX && !cs->state.xsave_size &&
        !cage_process_fpu(&c->process, &cs->state))
        return false;
    if (!make_executable(cs, c, cpu->eip, true))
        return false;
    state_there(cpu, c, &cs->state, fpu_of(c));
    cs->bt->stats.cage_settles += c->process.calls != NULL;
    return cage_process_settle(&c->process);
}

static u32 bits_of(u64 n) /* of a statistic */
{
    u32 bits = n ? 64 - (u32)__builtin_clzll(n) : 0;

    return bits < REUSE_BITS ? bits : REUSE_BITS;
}

static bool run_once(struct cages *cs, struct cage *c, u64 *ran, u64 prepared)
{
    struct bt *bt = cs->bt;
    u64 start = __rdtsc(), cpu = c->process.cpu;
    enum cage_stop stop;
    enum cage_exit exit;
    bool on;

    stop = cage_process_run(&c->process, &cs->state, fpu_of(c), bt->cpu->deadline);
    *ran = __rdtsc() - start;
    mmu_user_map_ran(&bt->cpu->paging, *ran, prepared);
    bt->stats.cage_cpu += c->process.cpu - cpu;
    bt->stats.cage_runs++;
    bt->stats.cage_tsc += *ran;
    bt->stats.cage_bursts[bits_of(*ran)]++;
    on = after_stop(cs, c, stop, &exit);
    bt->stats.cage_exits[exit]++;
    return on;
}

void cages_run(struct bt *bt)
{
    struct cages *cs = bt->cages;
    struct vcpu *cpu = bt->cpu;
    struct cage *c;
    u64 ran = 0, start;
    bool on = true;

    for (u32 faults = 0; on && faults < MOST_FAULTS; faults++) {
        bt_user_map_follow(cpu);
        if (!can_run(cpu) || cpu_asked(cpu, 1) || !(c = cage_here(cs)))
            break;
        start = __rdtsc();
        if (!prepare(cs, c)) {
            think_over(cs, c, cs->shortest);
            break;
        }
        on = run_once(cs, c, &ran, __rdtsc() - start);
        if (!on)
            think_over(cs, c, ran);
    }
    c = cage_here(cs);
    tc_of(cpu)->direct_at = __rdtsc() + (c ? c->interval : INTERVAL_LEAST);
}
