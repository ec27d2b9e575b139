/*
 * A launch: both machines run from the same state, TU by TU or in legs between writes to STOP_PORT,
 * and are compared where they should agree.
 *
 * Random code falls into loops, and into a REP of 2^32 turns. A clock of our own breaks those off,
 * at a place the translator chooses; there the interpreter looks for the same state, within a bound.
 */
#include "tests/fuzz/lockstep.h"
#include "bt/tu.h"
#include "cpu/deliver.h"
#include "cpu/interp.h"
#include "mmu/shadow.h"
#include <signal.h>
#include <string.h>
#include <time.h>

enum {
    LAUNCH_INSNS = 1000,  /* then the next launch */
    STALE_TURNS = 48,     /* without a new TU: it goes in circles */
    STALE_LEGS = 4,
    MAX_LEGS = 100,
    MAX_TURN = 400,       /* steps: two TUs and some interrupts, and see settle() */
    LEG_INSNS = 1000,     /* of a leg count; what is more is a loop */
    MAX_STEPS = 50000000, /* of the interpreter, to where the translator has been */
    EXPIRED_STEPS = 200000,
    MAX_COMPARES = 5000,
    TICK = 100000,        /* ns */
    TURN_TICKS = 50,      /* of a launch by TUs */
    LEG_TICKS = 8, /* what then has not come to its port is in a loop, where differences may go unseen */
    FOLLOW_TICKS = 200,
};

static struct {
    struct pair *pair; /* whose turn it is; NULL: none */
    u32 limit;         /* ticks */
    struct vcpu *follower; /* the interpreter, after the time is over: its REP must give way */
    volatile u32 ticks;
    volatile bool expired;
} watch;

static void on_tick(int sig)
{
    struct pair *p = watch.pair;

    if (++watch.ticks >= FOLLOW_TICKS && watch.follower)
        __atomic_fetch_or(&watch.follower->requests, REQ_TIMER, __ATOMIC_RELAXED);
    if (watch.ticks < watch.limit || !p)
        return;
    watch.expired = true;
    if (!p->chain)
        __atomic_fetch_or(&p->interp->cpu->requests, REQ_TIMER, __ATOMIC_RELAXED);
    __atomic_fetch_or(&p->bt->cpu->requests, REQ_TIMER, __ATOMIC_RELAXED);
}

void watch_start(const struct pair *p)
{
    struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK };
    struct itimerspec every = { { 0, TICK }, { 0, TICK } };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
    timer_t timer;

    watch.limit = p->chain ? LEG_TICKS : TURN_TICKS;
    watch.limit *= p->verbose ? 1000 : p->step ? 100 : p->cold ? 10 : 1;
    sigaction(SIGALRM, &sa, NULL);
    check(!timer_create(CLOCK_MONOTONIC, &event, &timer) &&
              !timer_settime(timer, 0, &every, NULL),
          "no timer");
}

static void watch_pair(struct pair *p)
{
    watch.ticks = 0;
    watch.expired = false;
    __atomic_store_n(&watch.pair, p, __ATOMIC_SEQ_CST);
}

static void watch_nobody(void)
{
    __atomic_store_n(&watch.pair, NULL, __ATOMIC_SEQ_CST);
    __atomic_store_n(&watch.follower, NULL, __ATOMIC_SEQ_CST);
}

/* ---- Where a machine stands ---- */

static bool over(const struct machine *m)
{
    return m->events || m->cpu->requests & (REQ_HALT | REQ_EVENT | REQ_TIMER);
}

/* By itself: asking for a reset, or halted with nothing to wake it. */
static bool ended(const struct machine *m)
{
    return m->events || (m->cpu->requests & REQ_HALT && !cpu_can_wake(m->cpu));
}

static bool stands(const struct machine *m)
{
    return ended(m) || m->cpu->requests & (REQ_EVENT | REQ_TIMER);
}

/* TUs made so far: a launch that makes none meets nothing new. */
static u64 tus_made(const struct pair *p)
{
    const struct bt_stats *s = &((const struct bt *)p->bt->cpu->bt)->stats;

    return s->tus[0] + s->tus[1];
}

/* All sptes go, but for one that code goes on by (mmu/shadow.c). */
static void forget(struct mmu *mmu)
{
    u32 page = mmu->pg->stale_code - 1, stale = mmu->pg->stale_code;
    struct space *s = stale ? spte_owner(mmu->space, page) : NULL;
    u64 exec[2] = { 0 };

    for (u32 i = 0; s && i < 2; i++)
        exec[i] = s->shadow[i * SHADOW_USER + SHADOW_EXEC + page];
    shadow_drop_all(mmu);
    for (u32 i = 0; s && i < 2; i++)
        if (exec[i]) {
            s->shadow[i * SHADOW_USER + SHADOW_EXEC + page] = exec[i];
            s->used[page / LEAF_SPTES] |= TABLES_EXEC;
        }
}

/* A step of the interpreter: cpu_step(), with a look at the instruction. */
static void step(struct pair *p)
{
    struct vcpu *c = p->interp->cpu;
    const struct space *space = c->mmu->space;

    if (__atomic_load_n(&c->requests, __ATOMIC_RELAXED) && !cpu_serve_requests(c))
        return;
    if (!p->pointers)
        p->pointers = stores_pointers(c);
    if (p->cold)
        forget(c->mmu);
    cpu_run_one(c);
    if (p->cold_spaces && c->mmu->space != space)
        forget(c->mmu);
}

/* What differs may be due to such addresses, once the guest has stored them: then the launch ends. */
static bool report(struct pair *p, const struct vcpu *before, const char *what)
{
    p->ended = p->apart = p->pointers;
    p->given_up += p->ended;
    if (!p->ended)
        describe(p, before, what);
    return p->ended;
}

/* Both are at the same instruction: an interrupt now, or once IF is set. It pushes RF, which the
 * translator lets fall at IRET where no breakpoint is armed (bt/memo.S). */
static void interrupt(struct pair *p)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu;

    if (!(a->dr[7] & 0xff)) {
        a->eflags &= ~(u32)FLAG_RF;
        b->eflags &= ~(u32)FLAG_RF;
    }
    cpu_set_intr(p->interp->cpu, true);
    cpu_set_intr(p->bt->cpu, true);
}

/* Shut down, both, by a triple fault: an engine may have run one more instruction since. */
static bool shut_down(struct pair *p)
{
    if (!p->interp->events || p->interp->events != p->bt->events)
        return false;
    return p->ended = p->apart = true;
}

/* User code has run for long: its space gets a user map. Or has cost too much: it is lost. */
static void map_user(struct vcpu *cpu)
{
    struct user_map *m = cpu->mmu->space->user_map;

    if (cpu->cpl == 3)
        bt_user_map_sample(cpu, 0);
    if (m && !pick(64)) {
        m->spent = ~0ull / 2;
        cpu->user_map_stale = true;
    }
}

/* ---- TU by TU ---- */

/* One or two TUs against as many steps as it takes. */
static bool turn(struct pair *p, const struct vcpu *before)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu;
    const u64 *starts = &((const struct bt *)b->bt)->stats.fpu_starts;
    u64 started = *starts;

    map_user(b);
    bt_run_one(b);
    if (*starts != started && !over(p->bt))
        bt_run_one(b); /* a turn that made the FPU live ended there */
    for (u32 i = 0; i < MAX_TURN && !watch.expired && !stands(p->interp); i++) {
        step(p);
        p->insns++;
        if (!difference(a, b) && stands(p->interp) == stands(p->bt))
            return true;
    }
    if (watch.expired)
        return p->ended = p->apart = true;
    return shut_down(p) || report(p, before, difference(a, b) ? difference(a, b) : "why it stops");
}

/*
 * Registers that are the same again after a turn of a loop can have stopped the interpreter a turn
 * too soon: then the memories differ until it has made that turn, too.
 */
static bool settle(struct pair *p)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu;

    for (u32 i = 0; i < MAX_TURN && !stands(p->interp); i++) {
        if (!difference(a, b) && memory_difference(p) == RAM)
            return true;
        step(p);
    }
    return !difference(a, b) && memory_difference(p) == RAM;
}

static bool run_by_tu(struct pair *p)
{
    u64 end = p->insns + LAUNCH_INSNS, made = tus_made(p);
    struct vcpu before;

    for (u32 stale = 0; p->insns < end && stale < STALE_TURNS; stale++) {
        before = *p->bt->cpu;
        if (!turn(p, &before))
            return false;
        if (hostile && !pick(8) && !audit_pair(p)) {
            describe(p, &before, "what the guest can reach");
            return false;
        }
        if (p->ended)
            return true;
        if (p->verbose && memory_difference(p) < RAM && !settle(p))
            return report(p, &before, "memory");
        if (stands(p->bt))
            break;
        if (made != tus_made(p))
            stale = 0;
        made = tus_made(p);
        if (!pick(64) && settle(p)) /* an interrupt would make a turn's difference lasting */
            interrupt(p);
    }
    if (watch.expired) /* behind a turn: nobody can step any more */
        return p->ended = p->apart = true;
    return settle(p) || report(p, &before, "memory at the end of the launch");
}

/* ---- Legs ---- */

/* To where the translator is; in the middle of a string instruction, one iteration at a time. */
static void step_after(struct pair *p)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu;

    if (!b->mid_rep || a->eip != b->eip || a->requests) {
        step(p);
        return;
    }
    __atomic_fetch_or(&a->requests, REQ_TIMER, __ATOMIC_RELAXED);
    cpu_run_one(a);
    __atomic_fetch_and(&a->requests, ~(u32)REQ_TIMER, __ATOMIC_RELAXED);
}

/* A place may be met twice: before what waits there comes, and behind it. */
static bool same_waits(const struct vcpu *a, const struct vcpu *b)
{
    return !((a->requests ^ b->requests) & (REQ_TRAP | REQ_SHADOW));
}

/* The clock stopped the translator anywhere. Finds that place, or gives the launch up. */
static u32 find_place(struct pair *p)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu;
    u32 compares = 0, steps;

    watch.ticks = 0;
    __atomic_store_n(&watch.follower, a, __ATOMIC_SEQ_CST);
    for (steps = 0; steps < EXPIRED_STEPS && watch.ticks < FOLLOW_TICKS; steps++) {
        if (same_waits(a, b) && !difference(a, b)) {
            if (memory_difference(p) == RAM)
                break;
            if (++compares == MAX_COMPARES)
                break;
        }
        step_after(p);
    }
    watch_nobody();
    __atomic_fetch_and(&a->requests, ~(u32)REQ_TIMER, __ATOMIC_RELAXED);
    p->ended = p->apart = difference(a, b) || memory_difference(p) < RAM;
    p->given_up += p->ended;
    return steps;
}

/* The interpreter runs to where the port stopped the translator. */
static bool follow(struct pair *p, const struct vcpu *before, u32 *steps)
{
    struct vcpu *a = p->interp->cpu, *b = p->bt->cpu;
    u32 timer = watch.expired ? 0 : REQ_TIMER; /* it may have come as the translator ended */
    const char *what;

    for (*steps = 0; *steps < MAX_STEPS && !stands(p->interp); ++*steps)
        step(p);
    if (shut_down(p))
        return true;
    what = difference(a, b);
    if (!what && ((a->requests ^ b->requests) & (REQ_HALT | REQ_EVENT | timer) ||
                  p->interp->events != p->bt->events))
        what = "why it stops";
    if (!what && memory_difference(p) < RAM)
        what = "memory";
    return !what || report(p, before, what);
}

static bool leg(struct pair *p)
{
    u32 stop = 1 + pick(pick(4) ? 3 : 40), steps;
    struct vcpu before = *p->bt->cpu;
    bool good = true;

    set_stop(p->interp, stop);
    set_stop(p->bt, stop);
    watch_pair(p);
    map_user(p->bt->cpu);
    bt_run(p->bt->cpu);
    watch_nobody();
    if (watch.expired && !ended(p->bt)) {
        set_stop(p->interp, 0);
        steps = find_place(p);
    } else {
        good = follow(p, &before, &steps);
    }
    p->insns += steps < LEG_INSNS ? steps : LEG_INSNS;
    return good;
}

static bool run_chained(struct pair *p)
{
    u64 end = p->insns + LAUNCH_INSNS, made = tus_made(p);

    for (u32 i = 0, stale = 0; i < MAX_LEGS && p->insns < end && stale < STALE_LEGS; i++, stale++) {
        if (!leg(p) || (hostile && !audit_pair(p)))
            return false;
        if (p->ended || ended(p->bt))
            break;
        if (made != tus_made(p))
            stale = 0;
        else if (watch.expired)
            break;
        made = tus_made(p);
        __atomic_fetch_and(&p->bt->cpu->requests, ~(u32)REQ_TIMER, __ATOMIC_RELAXED);
        __atomic_fetch_and(&p->interp->cpu->requests, ~(u32)REQ_TIMER, __ATOMIC_RELAXED);
        if (!pick(3))
            interrupt(p);
    }
    return true;
}

bool launch_run(struct pair *p)
{
    bool good;

    if (p->chain)
        return run_chained(p);
    watch_pair(p);
    good = run_by_tu(p);
    watch_nobody();
    return good;
}
