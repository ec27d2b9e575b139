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
#include "bt/cage_private.h"
#include "cpu/deliver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

enum {
    MOST_FAULTS = 64,  /* in one turn, before the translator has a go */
    MOST_FAILURES = 3, /* of the host to give a cage: no more are asked for */
    SHORT = 4,         /* a run, in what the shortest has cost; */
    LONG = 16,         /* and one that was worth it */
};
/* Of the TSC's ticks: */
static const u64
    INTERVAL_LEAST = 1 << 16,
    INTERVAL_MOST = 1 << 28,
    FORCED_AFTER =
        4000000,           /* of user time it has a user map, if it has to run directly; else */
    CAGE_AFTER = 64000000; /* with a user map it has a cage: what one costs, fifty times */

const char *cage_exit_name(u32 exit)
{
    static const char *const names[CAGE_EXITS] = {
        "time",        "system call", "page of code", "page of memory",
        "other fault", "trap",        "escape",       "gone",
    };

    return names[exit];
}

/* ---- Life ---- */

void cage_end(struct cages *cs, u32 map)
{
    struct cage *c = &cs->cage[map];

    if (!c->open)
        return;
    cage_process_end(&c->process);
    cage_forget_pages(c);
    c->open = false;
    cs->bt->stats.cages_ended++;
}

static void usable_or_not(struct cages *cs)
{
    cs->usable = cage_process_probe(&cs->why);
    cs->probed = true;
    if (!cs->usable)
        trace(TRACE_CPU, "user code is translated: %s", cs->why);
}

void cages_init(struct bt *bt)
{
    bool forced = bt->config.user == USER_DIRECT;
    struct cages *cs;

    tc_of(bt->cpu)->direct_at = ~0ull;
    if (bt->config.user == USER_BT || bt->config.count_runs || bt->config.deterministic ||
        bt->config.trap)
        return;
    cs = calloc(1, sizeof(*cs));
    check(cs, "out of memory");
    cs->bt = bt;
    if (forced)
        usable_or_not(cs);
    if (forced && cs->usable)
        mmu_user_maps_at_any_price(bt->cpu->mmu, FORCED_AFTER);
    else if (forced)
        warn("user code is translated: %s", cs->why);
    cs->shortest = ~0ull;
    cage_pages_begin(cs);
    tc_of(bt->cpu)->direct_at = 0;
    bt->cages = cs;
}

void cages_free(struct bt *bt)
{
    struct cages *cs = bt->cages;

    if (!cs)
        return;
    for (u32 map = 0; map < MMU_USER_MAPS; map++)
        cage_end(cs, map);
    cage_pages_end(cs);
    free(cs);
    bt->cages = NULL;
}

/* The cage of the current space, made if there is none. NULL: it has none. */
static struct cage *cage_here(struct cages *cs)
{
    struct vcpu *cpu = cs->bt->cpu;
    int map = mmu_user_map_number(&cpu->paging);
    pid_t thread = (pid_t)syscall(SYS_gettid);
    struct cage *c;

    if (map < 0)
        return NULL;
    if (cs->thread != thread) { /* the host lets nobody else control them */
        for (u32 i = 0; i < MMU_USER_MAPS; i++)
            cage_end(cs, i);
        cs->thread = thread;
    }
    c = &cs->cage[map];
    if (c->process.pid)
        return c;
    cage_end(cs, (u32)map);
    if (cs->bt->config.user != USER_DIRECT && mmu_user_map_age(&cpu->paging) < CAGE_AFTER)
        return NULL;
    if (!cage_process_start(&c->process, mmu_memory_file(cpu->mmu), &cs->why)) {
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
    const u32 strange = FLAG_TF | FLAG_IOPL | FLAG_NT | FLAG_VM | FLAG_VIF | FLAG_VIP;

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

/* How long it runs translated before it is let run directly again; ran: so long from one stop
 * to the next, 0 if it could not. */
static void think_over(struct cages *cs, struct cage *c, u64 ran)
{
    bool forced = cs->bt->config.user == USER_DIRECT;

    if (ran < SHORT * cs->shortest && c->interval < INTERVAL_MOST && !forced)
        c->interval *= 2;
    else if (ran > LONG * cs->shortest && c->interval > INTERVAL_LEAST)
        c->interval /= 2;
}

/* ---- Running ---- */

/* The host's mappings, and what may be executed, are right; false: it cannot run. */
static bool prepare(struct cages *cs, struct cage *c)
{
    struct vcpu *cpu = cs->bt->cpu;

    cage_follow_allowed(cs, c);
    if (cage_fpu_of(c) == CAGE_FPU_AVX && !cs->state.xsave_size &&
        !cage_process_fpu(&c->process, &cs->state))
        return false;
    if (!cage_make_executable(cs, c, cpu->eip, true))
        return false;
    cage_state_there(cs, c);
    return cage_process_settle(&c->process);
}

static u32 bits_of(u64 n) /* of a statistic */
{
    u32 bits = n ? 64 - (u32)__builtin_clzll(n) : 0;

    return bits < REUSE_BITS ? bits : REUSE_BITS;
}

/* What its calls cost is its user map's affair, unless it is wanted at any price. */
static void charge(struct cages *cs, struct cage *c, u64 ran)
{
    bool forced = cs->bt->config.user == USER_DIRECT;

    mmu_user_map_ran(&cs->bt->cpu->paging, ran, forced ? 0 : c->process.settling);
    cs->bt->stats.cage_settles += c->process.settles;
    c->process.settles = c->process.settling = 0;
}

static bool run_once(struct cages *cs, struct cage *c, u64 *ran)
{
    struct bt *bt = cs->bt;
    u64 start = __rdtsc(), cpu = c->process.cpu;
    enum cage_stop stop;
    enum cage_exit exit;
    bool on;

    stop = cage_process_run(&c->process, &cs->state, cage_fpu_of(c), bt->cpu->deadline);
    *ran = __rdtsc() - start;
    if (stop != CAGE_GONE && *ran < cs->shortest)
        cs->shortest = *ran;
    charge(cs, c, *ran);
    bt->stats.cage_cpu += c->process.cpu - cpu;
    bt->stats.cage_runs++;
    bt->stats.cage_tsc += *ran;
    bt->stats.cage_bursts[bits_of(*ran)]++;
    on = cage_state_back(cs, c, stop, &exit);
    bt->stats.cage_exits[exit]++;
    return on;
}

void cages_run(struct bt *bt)
{
    struct cages *cs = bt->cages;
    struct vcpu *cpu = bt->cpu;
    struct cage *c = NULL;
    u64 ran = 0, total = 0;
    u32 stops = 0;
    bool on = true;

    while (on && stops < MOST_FAULTS) {
        bt_user_map_follow(cpu);
        if (!can_run(cpu) || cpu_asked(cpu, 1) || !(c = cage_here(cs)))
            break;
        ran = 0;
        on = prepare(cs, c) && run_once(cs, c, &ran);
        total += ran;
        stops++;
    }
    if (c && stops)
        think_over(cs, c, total / stops);
    cpu_look_at_clock(cpu);
    tc_of(cpu)->direct_at = __rdtsc() + (c ? c->interval : INTERVAL_LEAST);
}

/* ---- For people ---- */

void cages_print(const struct vcpu *cpu, FILE *out)
{
    const struct bt *bt = cpu->bt;
    const struct cages *cs = bt->cages;

    if (!cs || (cs->probed && !cs->usable)) {
        fprintf(out, "User code is translated: %s\n",
                cs                           ? cs->why
                : bt->config.user == USER_BT ? "-user bt"
                                             : "what runs is counted");
        return;
    }
    if (!cs->probed)
        fprintf(out, "No user code has run for long enough yet\n");
    for (u32 map = 0; map < MMU_USER_MAPS; map++) {
        const struct cage *c = &cs->cage[map];

        if (c->process.pid)
            fprintf(out,
                    "Cage %u: process %d, %u pages of code, %.3f s of CPU, asked every %llu "
                    "ticks\n",
                    map, (int)c->process.pid, c->exec_count, (double)c->process.cpu / SEC(1),
                    (unsigned long long)c->interval);
    }
    fprintf(out, "%llu cages made, %llu ended; %llu runs, %.3f s of CPU in them\n",
            (unsigned long long)bt->stats.cages, (unsigned long long)bt->stats.cages_ended,
            (unsigned long long)bt->stats.cage_runs, (double)bt->stats.cage_cpu / SEC(1));
    for (u32 i = 0; i < CAGE_EXITS; i++)
        if (bt->stats.cage_exits[i])
            fprintf(out, "  back for: %-16s %llu\n", cage_exit_name(i),
                    (unsigned long long)bt->stats.cage_exits[i]);
}
