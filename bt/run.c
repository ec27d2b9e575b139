/*
 * The loop around translated code: serve requests, find or make the TU, chain the exit that led
 * here, enter.
 *
 * A request is seen here, behind a callout, or by a poll whose count is down (enter.S).
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/debug.h"
#include "cpu/debugger.h"
#include "cpu/deliver.h"
#include "cpu/interp.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

/* Of a deterministic machine: how far apart looks at the clock are, and what a TU counts for.
 */
enum { TURN_POLLS = 512, TURN_POLL_NS = 6 };

static_assert(sizeof(struct tc) <= CPU_ENGINE_ROOM, "room behind struct vcpu");

static void (*const far_routines[FAR_KINDS])(void) = {
    [FAR_CALL] = bt_far_call,
    [FAR_RET] = bt_far_ret,
    [FAR_JMP] = bt_far_jmp,
    [FAR_CALL + FAR_WIDE] = bt_far_call_wide,
    [FAR_RET + FAR_WIDE] = bt_far_ret_wide,
    [FAR_CALL + FAR_PROT] = bt_far_call_prot,
    [FAR_RET + FAR_PROT] = bt_far_ret_prot,
    [FAR_JMP + FAR_PROT] = bt_far_jmp_prot,
    [FAR_CALL + FAR_PROT + FAR_WIDE] = bt_far_call_prot_wide,
    [FAR_RET + FAR_PROT + FAR_WIDE] = bt_far_ret_prot_wide,
    [FAR_INT] = bt_int_real,
    [FAR_IRETS] = bt_iret_real,
    [FAR_IRETS + 1] = bt_iret_real_wide,
    [FAR_IRETS + 2] = bt_iret_prot,
    [FAR_IRETS + 3] = bt_iret_prot_wide,
};

static void tc_init(const struct bt *bt, struct tc *tc)
{
    *tc = (struct tc){
        .poll = bt_poll,
        .polls = POLLS(1),
        .budget = POLLS(bt->config.deterministic ? TURN_POLLS : MIN_POLLS),
        .callout = bt_callout,
        .exit = bt_exit,
        .indirect = bt_indirect,
        .indirect_miss = bt_indirect_miss,
        .fast_callout = bt_fast_callout,
        .code_page_store = bt_code_page_store,
        .patched = bt_patched,
        .load_segment = bt_load_segment,
        .look = bt_look,
        .arpl = bt_arpl,
        .arpl_register = bt_arpl_register,
        .sysenter = bt_sysenter,
        .sysexit = bt_sysexit,
        .iret = bt_iret,
        .int_n = bt_int,
        .cpuid = bt_cpuid,
        .mov_cr0 = bt_mov_cr0,
        .reuse = bt_reuse,
        .rsp = tc->rsp,
        .stack_top = tc->stack_top,
        .fpu_cpl = FPU_NOBODY,
        .code_map = bt->code_map,
        .jump_cache = bt->jump_cache,
    };
    memcpy(tc->far, far_routines, sizeof(tc->far));
}

struct bt *bt_new(struct vcpu *cpu, const struct bt_config *config, const char **why)
{
    struct bt *bt = calloc(1, sizeof(*bt));

    bt->cpu = cpu;
    bt->config = *config;
    bt->fd = -1;
    bt->contexts = calloc(MAX_CONTEXTS, sizeof(*bt->contexts));
    bt->context_count = 2;
    bt->contexts[0].key = bt->contexts[1].key = ~0u; /* no contexts */
    bt->page_tus = mmu_reserve(PHYS_PAGES * sizeof(*bt->page_tus));
    bt->code_map = mmu_reserve(CODE_MAP_BYTES);
    decimal_init(bt);
    bt->jump_cache = aligned_alloc(64, JUMP_BYTES);
    memset(bt->jump_cache, 0, JUMP_BYTES);
    if (!bt->page_tus || !bt->code_map || !cache_init(bt, why) || !reuse_init(bt, why)) {
        bt_free(bt);
        return NULL;
    }
    tc_init(bt, tc_of(cpu));
    cpu->bt = bt;
    cpu->engine = &bt_engine;
    bt->listener = (struct mmu_listener){ bt_code_written, bt, NULL };
    mmu_listen(cpu->mmu, &bt->listener);
    bt_signals_init();
    cages_init(bt);
    return bt;
}

void bt_free(struct bt *bt)
{
    if (!bt)
        return;
    cages_free(bt);
    if (bt->cpu->bt == bt) {
        mmu_unlisten(bt->cpu->mmu, &bt->listener);
        bt->cpu->bt = NULL;
        bt->cpu->engine = &interp_engine;
    }
    if (bt->page_tus) {
        tu_forget_all(bt);
        munmap(bt->page_tus, PHYS_PAGES * sizeof(*bt->page_tus));
    }
    if (bt->code_map)
        munmap(bt->code_map, CODE_MAP_BYTES);
    reuse_free(bt);
    jit_forget(bt);
    cache_free(bt);
    free(bt->contexts);
    free(bt->jump_cache);
    free(bt->decimal);
    free(bt);
}

void bt_flush(struct bt *bt)
{
    bt->stats.flushes++;
    tu_forget_all(bt);
    cache_clear(bt);
    reuse_clear(bt);
    jit_forget(bt);
    bt->dropped = true;
    bt->interpret = false;
}

/* Single steps and breakpoints are the interpreter's. Without these RF falls: see bt_iret. */
bool bt_watched(struct vcpu *cpu)
{
    if (cpu->eflags & FLAG_TF || cpu_debug_armed(cpu))
        return true;
    cpu->eflags &= ~(u32)FLAG_RF;
    return false;
}

/* A return address on the stack leads into a TU without a look at its context or page: true
 * only while neither has changed. */
void bt_revalidate_stack(struct bt *bt)
{
    u32 generation = bt->cpu->mmu->fetch_generation;
    struct tc *tc = tc_of(bt->cpu);

    if (bt->generation == generation && tc->stack_context == tc->context)
        return;
    tc->rsp = tc->stack_top;
    tc->stack_context = tc->context;
    bt->generation = generation;
}

/* ---- The loop ---- */

/* A debugger outside the guest has breakpoints on other pages than before: their code is interpreted, and
 * no TU leads there. */
static void follow_debugger(struct vcpu *cpu)
{
    if (likely(!cpu_debugger_pages_changed(cpu)))
        return;
    bt_flush(cpu->bt);
    memo_forget_transfers(cpu);
}

/* The execute spte of EIP's page, filled; false: the page fault was delivered. */
static bool fill_exec_spte(struct vcpu *cpu)
{
    gla_t gla = cpu->seg[CS].base + cpu->eip;
    bool fault = false;

    if (likely(cpu->shadow[SHADOW_EXEC + (gla >> PAGE_SHIFT)]))
        return true;
    if (cpu->eip <= cpu->seg[CS].limit)
        mmu_host(&cpu->paging, gla, MMU_EXEC, &fault);
    if (fault)
        cpu_deliver_pending(cpu);
    return !fault;
}

/* What is memoised leads to contexts of the supervisor by a map: they go with it. */
void bt_user_map_sample(struct vcpu *cpu, u64 tsc)
{
    if (mmu_user_map_sample(&cpu->paging, tsc))
        memo_forget_transfers(cpu);
}

void bt_user_map_follow(struct vcpu *cpu)
{
    if (bt_user_map_stale(cpu))
        mmu_user_map_sync(&cpu->paging);
}

/* Has translating touched what user code is about to go by? */
static bool user_map_changed(const struct bt *bt, u32 context)
{
    return bt_user_map_stale(bt->cpu) ||
           (context_user_map(bt->contexts[context].key) && !bt->cpu->user_map);
}

/* The TU to run next, chained to the exit that led here. NULL: interpret. */
static struct tu *next_tu(struct bt *bt, struct exit *from)
{
    u64 flushes = bt->stats.flushes;
    u32 context;
    struct tu *tu;

    if (unlikely(bt->cpu->watch_code) && cpu_debugger_page(bt->cpu, bt->cpu->seg[CS].base + bt->cpu->eip))
        return NULL;
    do {
        bt_user_map_follow(bt->cpu);
        bt_fpu_revalidate(bt->cpu);
        context = bt_context(bt);
        tu = tu_lookup(bt, context, bt->cpu->eip);
        if (!tu)
            tu = bt_translate(bt, context);
        if (!tu)
            return NULL;
    } while (user_map_changed(bt, context)); /* its page has become code; or more */
    if (from && flushes == bt->stats.flushes && !tu_at(bt, from->tu)->dead) {
        tu_unlink(bt, from);
        tu_link(bt, from, tu);
    }
    tu_jump_cache_add(bt, tu);
    return tu;
}

/* Was a page missing that is there from now on? Of user maps, too: as long as it does not
 * happen again and again. Where the guest got a page fault, its kernel has the word. */
static bool map_has_it(struct bt *bt, bool user)
{
    struct vcpu *cpu = bt->cpu;
    gla_t gla = bt->map_miss.gla;

    if (!user)
        return mmu_direct_map_extend(&cpu->paging, gla);
    if (site_miss(bt, bt->map_miss.gpa) > MISSES_BEFORE_TABLE)
        return false;
    bt_user_map_follow(cpu);
    return !bt_user_map_serves(cpu) || mmu_user_map_has(&cpu->paging, gla, bt->map_miss.write);
}

/* An access that found nothing in the map of its context has been interpreted. */
static void retry_map(struct bt *bt, u64 flushes)
{
    struct tu *tu = flushes == bt->stats.flushes ? tu_at(bt, bt->map_miss.tu) : NULL;

    bt->map_miss.set = false;
    if (map_has_it(bt, bt->map_miss.user))
        return;
    site_learn(bt, bt->map_miss.gpa, FACT_UNMAPPED);
    if (tu && !tu->dead)
        tu_drop(bt, tu);
}

static void hurry(struct vcpu *cpu)
{
    cpu->hurry = 0;
    tc_of(cpu)->polls = POLLS(1);
    tc_of(cpu)->budget = POLLS(HURRY_POLLS);
}

/* A poll left the code, at its TU's head. */
static void stopped_by_poll(struct bt *bt)
{
    struct tc *tc = tc_of(bt->cpu);
    struct tu *tu = tu_by_host(bt, tc->polled);

    check(tu && tu_host(bt, tu) == tc->polled, "a poll at %p, where no TU begins",
          (const void *)tc->polled);
    bt->cpu->eip = (u32)tc->page + tu->eip;
    bt->stats.exits_poll++;
    if (trace_on(TRACE_JIT))
        jit_poll(bt);
    bt->ticks++;
    tc->polled = NULL;
    if (bt_user_map_serves(bt->cpu))
        bt_user_map_sample(bt->cpu, __rdtsc());
    bt->direct = bt->cages && cages_due(bt, __rdtsc());
}

/* The exit whose stub ends at `left`; EIP is where it leads. */
static struct exit *exit_taken(struct bt *bt, const u8 *left)
{
    struct tu *tu = tu_by_host(bt, left - 1);
    struct exit *e = NULL;

    check(tu, "an exit at %p, in no TU", (const void *)left);
    for (u32 i = 0; i < tu->exit_count && !e; i++)
        if (tu_host(bt, tu) + tu->exits[i].stub + EXIT_STUB_SIZE == left)
            e = &tu->exits[i];
    check(e, "an exit at %p, which is none of its TU's", (const void *)left);
    if (!e->guess)
        bt->cpu->eip = (u32)tc_of(bt->cpu)->page + e->target;
    return e;
}

/* Runs from EIP until the code leaves. Returns the exit it left by, if it can be chained. */
static struct exit *run_code(struct bt *bt, struct exit *from)
{
    struct vcpu *cpu = bt->cpu;
    struct exit *e;
    const u8 *left;
    struct tu *tu;
    u64 flushes;

    if (!fill_exec_spte(cpu))
        return NULL;
    tu = next_tu(bt, from);
    if (!tu) {
        bt->stats.interpreted++;
        cpu_run_one(cpu);
        return NULL;
    }
    flushes = bt->stats.flushes;
    bt_revalidate_stack(bt);
    bt->dropped = false;
    bt->stats.entries++;
    if (cpu->hurry)
        hurry(cpu);
    tc_of(cpu)->page = cpu->eip - tu->eip;
    bt_flags_to_host(cpu);
    left = bt_enter(cpu, tu_host(bt, tu));
    e = left ? exit_taken(bt, left) : NULL;
    bt_flags_from_host(cpu);
    bt_fpu_exact(cpu);
    bt->stats.exits_direct += e != NULL;
    if (tc_of(cpu)->polled)
        stopped_by_poll(bt);
    if (bt->interpret) { /* a fault: the handler left the state before that instruction */
        bt->interpret = false;
        bt->stats.interpreted++;
        cpu_run_one(cpu);
        if (bt->map_miss.set)
            retry_map(bt, flushes);
    }
    return e;
}

/* Serves requests. False: back to the run loop. *one: the next instruction runs alone (the
 * shadow of STI, or something still waiting). */
static bool serve_requests(struct vcpu *cpu, bool *one)
{
    *one = cpu->requests & REQ_SHADOW;
    if (!cpu_serve_requests(cpu))
        return false;
    *one |= cpu->requests != 0;
    return true;
}

static struct exit *run_turn(struct bt *bt, struct exit *from, bool one)
{
    if (!one && !bt_watched(bt->cpu))
        return run_code(bt, from);
    cpu_run_one(bt->cpu);
    return NULL;
}

/* This thread runs the CPU's code from now on. */
static void bind_thread(struct vcpu *cpu)
{
    bt_fault_bind(cpu);
    cpu->direct_map_loaded = true;
    mmu_direct_map_load(&cpu->paging);
}

void bt_run(struct vcpu *cpu)
{
    struct bt *bt = cpu->bt;
    struct exit *from = NULL;

    bind_thread(cpu);
    follow_debugger(cpu);
    for (;;) {
        bool one = false;

        if (cpu_asked(cpu, 1)) {
            from = NULL;
            if (!serve_requests(cpu, &one)) {
                cpu->direct_map_loaded = false;
                return;
            }
        }
        if (unlikely(bt->direct)) {
            bt->direct = false;
            cages_run(bt);
            from = NULL;
            continue;
        }
        from = run_turn(bt, from, one);
    }
}

void bt_run_one(struct vcpu *cpu)
{
    bool one = false;

    bind_thread(cpu);
    if (!cpu->requests || serve_requests(cpu, &one))
        run_turn(cpu->bt, NULL, one);
    cpu->direct_map_loaded = false;
}

/* ---- As an engine ---- */

static struct bt_config config_of(const struct engine_config *config)
{
    struct bt_config c = {.cache_size = config->cache_size,
                          .count_runs = config->count_runs,
                          .reuse_one_in = config->reuse_one_in,
                          .translating = config->translating,
                          .owner = config->owner,
                          .user = config->user,
                          .deterministic = config->deterministic};

    bt_take_switches(&c, &config->switches);
    return c;
}

static bool attach(struct vcpu *cpu, const struct bt_config *c, const struct engine_switches *s,
                   const char **why)
{
    mmu_spaces_kept(cpu->mmu, s->spaces);
    if (s->no_user_maps || c->deterministic)
        mmu_no_user_maps(cpu->mmu);
    return bt_new(cpu, c, why) != NULL;
}

static bool engine_attach(struct vcpu *cpu, const struct engine_config *config,
                          const char **why)
{
    struct bt_config c = config_of(config);

    return attach(cpu, &c, &config->switches, why);
}

static bool trap_attach(struct vcpu *cpu, const struct engine_config *config, const char **why)
{
    struct bt_config c = config_of(config);

    bt_take_trap(&c);
    return attach(cpu, &c, &config->switches, why);
}

static void engine_detach(struct vcpu *cpu)
{
    bt_free(cpu->bt);
}

static u64 engine_cpu_time(const struct vcpu *cpu)
{
    const struct bt *bt = cpu->bt;

    return bt ? bt->stats.cage_cpu : 0;
}

static void engine_flush(struct vcpu *cpu)
{
    bt_flush(cpu->bt);
}

const struct engine bt_engine = {
    .name = "bt",
    .turn = TURN_POLLS * TURN_POLL_NS,
    .help = "the translator",
    .attach = engine_attach,
    .set_switch = bt_switch,
    .detach = engine_detach,
    .run = bt_run,
    .flush = engine_flush,
    .insns = bt_insns,
    .cpu_time = engine_cpu_time,
    .in_code = bt_in_code,
    .stats_each = bt_stats_each,
    .stats_print = bt_stats_print,
    .cages_print = cages_print,
    .dump = bt_dump,
};

const struct engine trap_engine = {
    .name = "trap",
    .turn = TURN_POLLS * TURN_POLL_NS,
    .help = "trap-and-emulate",
    .attach = trap_attach,
    .detach = engine_detach,
    .run = bt_run,
    .flush = engine_flush,
    .insns = bt_insns,
    .in_code = bt_in_code,
    .stats_each = bt_stats_each,
    .stats_print = bt_stats_print,
    .dump = bt_dump,
};
