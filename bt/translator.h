/*
 * The translator's own state, and what its parts ask of each other. Private to bt/.
 */
#ifndef RING3_BT_TRANSLATOR_H
#define RING3_BT_TRANSLATOR_H

#include "bt/adapt.h"
#include "bt/bt.h"
#include "bt/cage.h"
#include "bt/context.h"
#include "bt/routines.h"
#include "mmu/phys.h"
#include "mmu/spte.h"
#include "mmu/state.h"

struct tu;
struct reuse;
struct exit;
struct site;

enum { MAX_INSNS = 12, MAX_EXITS = 2 };

enum {
    MAX_CCF = 24576,   /* see emit.h */
    POLL_SIZE = 18,    /* of the poll at a CCF's head, */
    POLL_END_SIZE = 3, /* and of what stands before it */
    MAX_NOTES = 1536,  /* bytes that belong to one TU */
    HASH_SIZE = 1 << 19,
    LINES = 1 << 18,
    LINE_SHIFT = 6,
    MAX_TU_BYTES = MAX_INSNS * 15,
    REUSE_BITS = 32, /* of a distance */
    SITE_BITS = 13,
    SITE_SETS = 1 << SITE_BITS,
    SITE_WAYS = 4,
    STACK_SIZE = 1 << 16,
    MAX_CONTEXTS = 1 << 14,
    CONTEXT_LISTS_LOG2 = 12,
    MISSES_BEFORE_CHECK = 3, /* host signals at a site */
    TRAPS_BEFORE_CHANGE = 2,
    MISSES_BEFORE_TABLE = 3, /* of a user map, from one tick to the next */
};

/* See stats.def. */
struct bt_stats {
#define GROUP(id, title)
#define COUNT(id, help) u64 id;
#define TABLE(id, size, label, help) u64 id[size];
#include "bt/stats.def"
#undef GROUP
#undef COUNT
#undef TABLE
};

/* By AL, CF in bit 8 and AF in bit 9. */
enum decimal { DECIMAL_DAA, DECIMAL_DAS, DECIMAL_AAA, DECIMAL_AAS, DECIMAL_KINDS };
enum { DECIMAL_ENTRIES = 1 << 10 };

/* A page's part of the map is 64 words; its last byte is looked at together with the word
 * behind. */
enum { CODE_MAP_WORDS = PAGE_SIZE / 64 };
#define CODE_MAP_BYTES ((PHYS_PAGES * (u64)CODE_MAP_WORDS + 1) * 8)

struct bt {
    struct vcpu *cpu;
    struct bt_config config;
    struct mmu_listener listener; /* for writes to code */
    /* Host code: one memory, two mappings; never writable and executable through one. */
    int fd;
    u8 *write, *exec;
    u64 size, used;  /* size: reserved; */
    /* and how much of it, with records, before something is done: see cache.c */
    u64 limit;
    /* when it was empty last: by the TSC, by the clock and by the thread's CPU time, in ns;
     * what had been spent on translating, and TUs dropped */
    struct moment {
        u64 tsc, wall, cpu;
    } cleared;
    u64 spent, dropped_before;
    u64 taken; /* of the code, from the host: see cache.c */
    u8 *stack; /* of return addresses, with a guard page below */
    /* Records: TUs by number from below, what belongs to them (notes) from above. */
    struct tu *tus;
    u32 tu_count; /* number of the next one */
    u8 *notes;    /* lowest taken */
    /* how often each TU ran, by number, and had at the last cache_touched(); NULL: not counted
     */
    u64 *tu_runs, *tu_runs_before;
    u32 hash[HASH_SIZE];
    u32 lines[LINES]; /* lists by line_next: the 64 bytes a TU (or its second part) starts in */
    u32 *page_tus; /* [PHYS_PAGES] how many TUs have bytes there */
    u64 *code_map; /* a bit for each byte of memory: it may be some TU's */
    struct context *contexts;
    u32 context_count;
    u16 context_lists[1 << CONTEXT_LISTS_LOG2]; /* by hash: the first of each; 0: none */
    struct tables {
        u32 base[4], limit[4], tss; /* tss: its attributes, CR4.OSFXSR, CR0.PG, AVX */
    } tables; /* GDT, LDT, IDT and TSS that what memo.c keeps is good for */
    struct jump_cached *jump_cache;
    u32 (*decimal)[DECIMAL_ENTRIES]; /* by enum decimal: xl_decimal.c */
    u32 cpuid_version; /* the vcpu's, for which tc.cpuids holds */
    /* What is known of sites: adapt.c */
    struct site_record {
        u32 gpa;                 /* of the instruction, plus 1; 0: free */
        u8 facts, traps, writes; /* enum fact; host signals and writes to it since */
        u8 tick;                 /* of the last miss of a user map */
        u16 served, trial;       /* good executions in C: so far, until facts are forgotten */
    } records[SITE_SETS][SITE_WAYS];
    struct site_cost costs[COST_SIZE];
    u32 generation; /* for which the stack of return addresses holds */
    bool dropped; /* a TU died since the code was entered */
    struct cages *cages; /* NULL: none */
    bool direct;         /* user code is to run in one next */
    bool interpret; /* set by the signal handler: run the instruction at EIP in C */
    u32 ticks;      /* times a poll left the code */
    struct {
        bool set;  /* it found nothing in the map of its context, */
        bool user; /* a user map */
        bool write;
        gla_t gla;
        u32 tu;   /* number, */
        gpa_t gpa; /* and of the instruction */
    } map_miss;
    struct reuse *reuse; /* NULL: nobody asked for distances */
    struct bt_stats stats;
};

/* ---- run.c ---- */
/* The guest's arithmetic flags live in the host's while its code runs; in vcpu.eflags they are
 * 0 then, so that PUSHF only has to merge. */
static inline void bt_flags_to_host(struct vcpu *cpu)
{
    tc_of(cpu)->host_flags = (cpu->eflags & 0xff) << 8 | (cpu->eflags >> 11 & 1);
    cpu->eflags &= ~(u32)FLAGS_ARITH;
}
static inline void bt_flags_from_host(struct vcpu *cpu)
{
    u32 low = tc_of(cpu)->host_flags >> 8 & 0xff, overflow = tc_of(cpu)->host_flags & 1;

    cpu->eflags = (cpu->eflags & ~(u32)FLAGS_ARITH) | ((low | overflow << 11) & FLAGS_ARITH);
}
/* single steps and breakpoints are the interpreter's */
bool bt_watched(struct vcpu *cpu);
/* Does code of the present level go by the user map, if there is one? Without paging, all does.
 */
static inline bool bt_user_map_serves(const struct vcpu *cpu)
{
    return cpu->cpl == 3 || !(cpu->cr0 & CR0_PG);
}
/* Has something changed that the user map has to follow before such code runs? It does. */
static inline bool bt_user_map_stale(const struct vcpu *cpu)
{
    return unlikely(cpu->user_map_stale) && bt_user_map_serves(cpu);
}
void bt_user_map_follow(struct vcpu *cpu);
/* Code that a user map would serve was running at that TSC: its space may get one. */
void bt_user_map_sample(struct vcpu *cpu, u64 tsc);
/* Empties the stack of return addresses if they may lead to the wrong place. */
void bt_revalidate_stack(struct bt *bt);

/* ---- cache.c ---- */
bool cache_init(struct bt *bt, const char **why);
void cache_free(struct bt *bt);
/* Room for one TU: a CCF of up to MAX_CCF bytes and its records; flushes when there is none.
 * Write address of the CCF. */
u8 *cache_reserve(struct bt *bt);
void cache_commit(struct bt *bt, u32 size);
void *cache_note(struct bt *bt, u32 size); /* of MAX_NOTES in all for each TU; zero */
void cache_clear(struct bt *bt); /* all of it, back to the host; the stack is emptied */
void cache_reset_stack(struct bt *bt);
u64 cache_records_size(const struct bt *bt); /* bytes */
/* Which TUs ran since the last call: how many, and bytes of their host code. False: TUs' runs
 * are not counted. */
bool cache_touched(struct bt *bt, u64 *tus, u64 *bytes);

/* ---- reuse.c ---- */
bool reuse_init(struct bt *bt, const char **why); /* true, too, if nobody asks for distances */
void reuse_free(struct bt *bt);
void reuse_clear(struct bt *bt); /* all TUs are new */
bool reuse_looks_at(const struct bt *bt, u32 number); /* does this TU tell when it runs? */

/* ---- jit.c: names for GDB (--trace jit) ---- */
void jit_name(const struct bt *bt, const struct tu *tu); /* one that has been made */
void jit_poll(const struct bt *bt);   /* a poll has left the code */
void jit_forget(const struct bt *bt); /* all TUs go */

/* ---- translate.c ---- */
/* Makes the TU at the CPU's EIP. NULL: the instruction there is to be interpreted. */
struct tu *bt_translate(struct bt *bt, u32 context);
/* The patched instruction at EIP as it is now, up to VARIANT_BYTES long (variants.h). NULL: it
 * is none that fits. */
struct tu *bt_translate_variant(struct bt *bt, const struct tu *of);

/* ---- xl_decimal.c ---- */
void decimal_init(struct bt *bt);

/* ---- fpu.c ---- */
bool bt_fpu_may_live(const struct vcpu *cpu);
/* May code of this CPL compute on the host's? */
static inline bool bt_fpu_live_for(const struct vcpu *cpu, u32 cpl)
{
    return tc_of(cpu)->fpu_cpl == cpl;
}
void bt_fpu_start(struct vcpu *cpu);
void bt_fpu_revalidate(struct vcpu *cpu); /* before a context is found: still live? */
void bt_fpu_exact(struct vcpu *cpu); /* vcpu.fpu is what the code left */
/* In a callout whose instruction moves the state as a whole: the same, and it stays parked as
 * well; then, if the instruction has changed vcpu.fpu: that is what the code goes on with. */
void bt_fpu_look(struct vcpu *cpu);
void bt_fpu_changed(struct vcpu *cpu, const struct insn *in, bool leaves);

/* ---- dump.c ---- */
/* The CCF to stderr, with a mark at pc: what a failed check of it shows. */
void dump_host(const struct bt *bt, const struct tu *tu, const u8 *pc);

/* ---- fault.c ---- */
void bt_signals_init(void); /* the process' handlers */
void bt_fault_bind(struct vcpu *cpu); /* whose code this thread runs; gives it a signal stack */

#endif
