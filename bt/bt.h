/*
 * The translator, as the other folders see it: guest code of any mode to 64-bit host code, in
 * translation units (TUs) of at most 12 instructions. See bt/README.md.
 */
#ifndef RING3_BT_H
#define RING3_BT_H

#include "cpu/engine.h"

/* Which TUs do not depend on their address (context.h): user code's, all that can, none. */
enum pic { PIC_USER, PIC_ALL, PIC_NONE };

/* For experiments and tests; all zero is the normal way. */
struct bt_config {
    u64 cache_size;   /* bytes of host code and its records, rounded up to 64 KiB; 0: 32 MiB */
    u32 max_insns;    /* per TU, 1 to 12; 0: 12 */
    bool count_runs;  /* translated code counts what is in stats.def's group "runs" */
    u32 reuse_one_in; /* one TU in so many tells its reuse distances (reuse.c); 0: none */
    enum pic pic;
    enum engine_user user;
    bool no_chaining; /* every exit goes through the look-up */
    /* around the making of a TU, for who books time; or NULL */
    void (*translating)(void *owner, bool on);
    void *owner;
    u8 force_form;    /* 0: adapt; else every memory operand in this form (enum form of tu.h) */
    bool deterministic; /* looks at the clock are equally far apart; the cache does not grow */
    bool trap;        /* what is sensitive traps, and C emulates it (xl_trap.c) */
    bool no_adapt;    /* sites learn nothing of their operands */
    bool no_returns;  /* RET goes by the jump cache, not by the host's */
    bool no_inline;   /* what is sensitive is a callout */
    bool no_memo;     /* transfers are callouts, nothing is memoised */
    bool no_fast;     /* every callout is a whole one */
    bool no_thunks;   /* a call of a get-PC thunk is a call */
};

/* Makes the translator of a CPU. NULL: the host lacks what it needs; *why says what. */
struct bt *bt_new(struct vcpu *cpu, const struct bt_config *config, const char **why);
void bt_free(struct bt *bt); /* NULL is fine */

/* Runs guest code until requests asks for the run loop: as the interpreter, translated. */
void bt_run(struct vcpu *cpu);
/* At most one TU, for comparing with the interpreter; returns after it with exact state. */
void bt_run_one(struct vcpu *cpu);
/* Drops all translations. */
void bt_flush(struct bt *bt);

/* By the words of -engine; what `value` should have been, or NULL. */
const char *bt_switch(struct engine_switches *s, const char *key, const char *value);
/* All but those that are the MMU's. */
void bt_take_switches(struct bt_config *c, const struct engine_switches *s);
/* Trap-and-emulate: what it does, and what of the translator's it does without. */
void bt_take_trap(struct bt_config *c);

extern const struct engine bt_engine, trap_engine;

/* ---- Statistics (stats.def, stats.c) ---- */

/* Every number, in the order of stats.def; those of tables only if not 0. None without a
 * translator. */
u64 bt_insns(const struct vcpu *cpu); /* run so far, where they are counted */
void bt_stats_each(const struct vcpu *cpu, engine_stats_fn *fn, void *arg);
void bt_stats_print(const struct vcpu *cpu, FILE *out);
/* All TUs in the translation cache, as lines of JSON: docs/statistics.md (tcdump.c). With
 * `listing` the code of guest and host as text, too. Nothing without a translator. */
void bt_dump(const struct vcpu *cpu, FILE *out, bool listing);
/* Is a host address translated code? Async-signal-safe. */
bool bt_in_code(const struct vcpu *cpu, u64 pc);

#endif
