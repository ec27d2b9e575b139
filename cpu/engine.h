/*
 * An engine runs a processor's code: the interpreter here, the translator of bt/. All act on one struct vcpu, whose
 * state is exact whenever one has returned, so any may follow any other at an instruction's boundary.
 *
 * To add one: a constant struct engine, and its row in the machine's table (runtime/machine/engines.c).
 */
#ifndef RING3_ENGINE_H
#define RING3_ENGINE_H

#include "cpu/vcpu.h"

/* Ideas of an engine's that it does without, for experiments: -engine NAME,KEY=VALUE,… All zero
 * is the normal way. What the keys are: bt/switches.c. */
struct engine_switches {
    u32 max_insns; /* in a translation unit, 1 to 12; 0: 12 */
    u32 spaces;    /* shadows of address spaces that are kept, 1 to 128; 0: 128 */
    u8 form;       /* of all memory operands: enum form of bt/adapt.h; 0: as they have learnt */
    bool no_adapt, no_chain, no_returns, no_inline, no_memo, no_fast, no_user_maps, no_pic,
        no_thunks;
};

/* How user code runs: translated; by what it costs; directly on the host's processor wherever
 * it can. */
enum engine_user { USER_BT, USER_AUTO, USER_DIRECT };

/* What an engine may be told when it is attached; one that has no use for something leaves it. */
struct engine_config {
    u64 cache_size;  /* bytes of host code and its records; 0: the engine's choice */
    bool count_runs; /* count what runs, at a price */
    u32 reuse_one_in; /* of so many pieces of made code one tells its reuse distances; 0: none */
    void (*translating)(void *owner, bool on); /* around the making of code, for who books time; or NULL */
    void *owner;
    struct engine_switches switches;
    enum engine_user user;
    bool deterministic; /* nothing that it makes or does may depend on the host's clock */
};

struct engine_stat {
    const char *group, *name, *help;
    const char *label; /* of one number in a table; NULL: a number by itself */
    u64 value;
};
typedef void engine_stats_fn(void *arg, const struct engine_stat *stat);

struct engine {
    const char *name, *help; /* as --engine has them */
    u32 turn; /* between two looks at the clock: nanoseconds of a deterministic machine */
    /* Makes what it keeps for the CPU. false: the host lacks what it needs; *why says what. */
    bool (*attach)(struct vcpu *cpu, const struct engine_config *config, const char **why);
    /* One switch by its words; returns what it should have been, or NULL. NULL: it has none. */
    const char *(*set_switch)(struct engine_switches *s, const char *key, const char *value);
    void (*detach)(struct vcpu *cpu);
    void (*run)(struct vcpu *cpu);   /* until requests asks for the run loop, or the deadline has passed */
    void (*flush)(struct vcpu *cpu); /* forgets all it made of the guest's code; NULL: it makes nothing */
    /* Instructions run so far, where config.count_runs was set; NULL: they are never counted. */
    u64 (*insns)(const struct vcpu *cpu);
    bool (*in_code)(const struct vcpu *cpu, u64 pc); /* is a host address code it made? async-signal-safe; or NULL */
    /* The host's CPU time, in ns, of its other processes that have run the guest so far; NULL: it has none. */
    u64 (*cpu_time)(const struct vcpu *cpu);
    /* Every number, those of tables only if not 0; and all as text. NULL: it counts nothing. */
    void (*stats_each)(const struct vcpu *cpu, engine_stats_fn *fn, void *arg);
    void (*stats_print)(const struct vcpu *cpu, FILE *out);
    void (*cages_print)(const struct vcpu *cpu,
                        FILE *out); /* what runs directly; NULL: nothing can */
    /* What it has made of the guest's code, as lines of JSON (docs/statistics.md); with
     * instructions as text, if `listing`. NULL: it makes nothing. */
    void (*dump)(const struct vcpu *cpu, FILE *out, bool listing);
};

#endif
