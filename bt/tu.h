/*
 * A translation unit and what belongs to it; private to bt/.
 *
 * A TU is found by context and EIP, and holds only while the page of EIP maps the physical page it
 * was made from: whoever jumps to it from elsewhere compares that page's execute slot (mmu/shadow.h)
 * with the one noted. Its host code is a compiled code fragment (CCF):
 *
 *   head     mov r9,[r15+poll]; mov r9b,[r9]              the interrupt poll
 *   insn 0   …                                            per instruction: one of the forms
 *   insn n-1 …
 *   exits    jmp rel32 → exit stub, or the next CCF once chained
 *   stubs    exit stubs, link checks, slow paths
 */
#ifndef RING3_BT_TU_H
#define RING3_BT_TU_H

#include "bt/bt.h"
#include "bt/regs.h"
#include "cpu/insn.h"
#include "mmu/shadow.h"

enum { MAX_INSNS = 12, MAX_EXITS = 2 };

/* How a memory operand is reached. */
enum form {
    FORM_ADAPT,
    FORM_FLAT,    /* the slot as it is; anything unusual faults */
    FORM_CHECKED, /* slot and alignment looked at first; unusual: callout. No fault ever */
    FORM_CALLOUT, /* C does it */
    FORMS,
};

/*
 * What does not change inside a TU, and so is part of its name. Segments whose base and limit
 * matter are read from the vcpu by the code; whether they matter is in the key.
 */
struct context {
    u32 key; /* KEY_* */
    u32 cs_base, cs_limit;
};
enum {
    KEY_CODE32 = 1 << 0,
    KEY_STACK32 = 1 << 1,
    KEY_CPL_SHIFT = 2, /* two bits */
    KEY_PROT = 1 << 4, /* protected mode, not V86 */
    KEY_V86 = 1 << 5,
    KEY_DF = 1 << 6,
    KEY_IOPL_OK = 1 << 7, /* CPL <= IOPL: CLI and STI need no look */
    KEY_FPU_LIVE = 1 << 8, /* the host's FPU holds the guest's state; CR0.EM and TS are clear */
    KEY_SSE = 1 << 9,      /* CR4.OSFXSR */
    KEY_SEG_SHIFT = 12,   /* three bits per segment register, ES to GS: enum seg_class */
};
enum seg_class {
    SEG_FLAT,  /* base 0, limit 4 GiB, readable and writable */
    SEG_BASE,  /* the same with a base */
    SEG_64K,   /* base, and a limit of at least FFFF: 16-bit offsets fit unless misaligned */
    SEG_LIMIT, /* readable and writable, not expand-down, with base and limit */
    SEG_OTHER, /* anything else: C looks */
};

/* One guest instruction in a TU: for faults, callouts and adaptation. */
struct site {
    u32 eip;
    u16 host_off; /* from the CCF's start to its first host instruction */
    u8 form;      /* of its memory operands */
    bool fpu;     /* a callout that first tries to make the FPU live */
    bool review;  /* a callout after which the context may be another */
    bool ends;    /* a callout that never goes on in this TU */
    struct tu *tu;
    struct insn insn;
};

/* A way out of a TU by a direct branch. */
struct exit {
    struct tu *tu;     /* that leaves */
    u32 target;        /* EIP */
    u8 *jump;          /* rel32 to patch (write address), at the branch; NULL: unused */
    const u8 *stub;    /* where it points while not chained (execute address) */
    bool second;       /* the target may cross into the next page: the check is for that page */
    const u8 *check;   /* another page: the link check (execute address); NULL: none needed */
    u8 *check_slot;    /* its imm64 and its rel32 (write addresses) */
    u8 *check_jump;
    struct tu *to;     /* chained to; NULL: not */
    struct exit *next_in; /* of those chained to the same TU */
};

struct tu {
    struct tu *hash_next; /* same bucket */
    struct tu *page_next; /* same physical page; */
    struct tu *page2_next; /* and of its second page */
    u32 context;          /* number of its struct context */
    u32 eip;
    gla_t gla;
    gpa_t gpa;            /* of its first byte */
    u64 slot;             /* execute slot of its page when it was made */
    gpa_t gpa2;           /* one instruction that crosses into another page: of its rest, and */
    u64 slot2;            /* that page's execute slot; 0: no such thing. Chained to only from its page */
    const u8 *host;       /* execute address of its CCF */
    u32 host_size;
    u16 guest_size;
    u8 count;             /* instructions */
    bool dead;
    struct exit *in;      /* chained to us */
    struct exit exits[MAX_EXITS];
    struct site sites[];  /* count of them */
};

/* ---- enter.S ---- */
struct exit *bt_enter(struct vcpu *cpu, const void *host);
void bt_leave(void);
void bt_leave_saved(void);
void bt_callout(void);
void bt_indirect(void);
void bt_stack_empty(void);
void bt_signal_entry(int sig);

enum {
    MAX_CCF = 8192,
    HASH_SIZE = 1 << 15,
    FORM_SIZE = 1 << 14,
    STACK_SIZE = 1 << 16,
    MAX_CONTEXTS = 1 << 14,
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

struct bt {
    struct vcpu *cpu;
    struct bt_config config;
    /* Host code: one memory, two mappings; never writable and executable through one. */
    int fd;
    u8 *write, *exec;
    u64 size, used;
    u8 *stack; /* of return addresses, with a guard page below */
    /* TUs in order of address: tus[i]->host ascends. */
    struct tu **tus;
    u32 tu_count, tu_space;
    struct tu *hash[HASH_SIZE];
    struct tu **pages; /* [PHYS_PAGES] lists by page_next */
    struct context *contexts;
    u32 context_count, context_now;
    u8 *jump_cache;
    /* What was learnt about memory operands, by physical address of the instruction. */
    struct learnt {
        u32 gpa;
        u8 form, traps;
    } learnt[FORM_SIZE];
    u8 fpu_cpl;   /* CPL the FPU is live for */
    u32 generation, stack_context; /* for which the stack of return addresses holds */
    bool dropped; /* a TU died since the code was entered */
    struct site *interpret; /* set by the signal handler: run this instruction in C */
    struct bt_stats stats;
};

/* ---- cache.c ---- */
bool cache_init(struct bt *bt, const char **why);
void cache_free(struct bt *bt);
/* Room for one CCF of up to MAX_CCF bytes; flushes when there is none. Write address. */
u8 *cache_reserve(struct bt *bt);
void cache_commit(struct bt *bt, u32 size);
static inline const u8 *cache_exec(const struct bt *bt, const u8 *write)
{
    return bt->exec + (write - bt->write);
}
void cache_reset_stack(struct bt *bt);

/* ---- context.c ---- */
u32 bt_context(struct bt *bt); /* number of the CPU's present context; also set in the vcpu */
static inline enum seg_class context_seg(u32 key, u32 seg)
{
    return (enum seg_class)(key >> (KEY_SEG_SHIFT + 3 * seg) & 7);
}

/* ---- tu.c ---- */
struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip); /* NULL: none, or its page moved */
void tu_insert(struct bt *bt, struct tu *tu);
void tu_drop(struct bt *bt, struct tu *tu);
struct tu *tu_by_host(struct bt *bt, const u8 *pc);
struct site *tu_site(struct tu *tu, const u8 *pc); /* NULL: the head */
void tu_link(struct bt *bt, struct exit *e, struct tu *to);
/* Chained to a TU whose page has moved: back to the look-up. */
void tu_unlink(struct bt *bt, struct exit *e);
void tu_jump_cache_add(struct bt *bt, struct tu *tu);
void tu_free_all(struct bt *bt);
void bt_code_written(void *owner, gpa_t gpa, u32 n);

/* ---- translate.c ---- */
/* Makes the TU at the CPU's EIP. NULL: the instruction there is to be interpreted. */
struct tu *bt_translate(struct bt *bt, u32 context);

/* ---- fpu.c ---- */
bool bt_fpu_may_live(const struct vcpu *cpu);
void bt_fpu_start(struct vcpu *cpu);
void bt_fpu_review(struct vcpu *cpu); /* before a context is found: still live? */
void bt_fpu_take(struct vcpu *cpu);   /* after enter.S stored it */

/* ---- adapt.c ---- */
enum form form_of(struct bt *bt, gpa_t gpa, enum form start);
void form_set(struct bt *bt, gpa_t gpa, enum form form);
u32 form_trap(struct bt *bt, gpa_t gpa); /* counts; how many by now, 255 at most */

/* ---- fault.c ---- */
void bt_signals_init(void); /* handlers, and the calling thread's signal stack */
void bt_fault_adopt(struct vcpu *cpu); /* whose code this thread runs */

#endif
