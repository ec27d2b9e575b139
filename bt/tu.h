/*
 * A translation unit and what belongs to it; private to bt/.
 *
 * A TU is found by context and EIP, and holds only while the page of EIP maps the physical page it
 * was made from: whoever jumps to it from elsewhere compares that page's execute spte (mmu/shadow.h)
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
#include "bt/tc.h"
#include "cpu/insn.h"
#include "mmu/shadow.h"

enum { MAX_INSNS = 12, MAX_EXITS = 2 };

/* How a memory operand is reached. */
enum form {
    FORM_ADAPT,
    FORM_MAPPED,  /* loads by gs:[address], stores flat */
    FORM_TABLE,    /* the spte as it is; anything unusual faults */
    FORM_CHECKED, /* spte and alignment looked at first; unusual: callout. No fault ever */
    FORM_MAPPED_UNALIGNED, /* loads by gs:[address], misaligned ones, too; stores as in unaligned */
    FORM_UNALIGNED, /* flat, but misaligned operands are in order: the sptes of both ends must be one */
    FORM_CHECKED_UNALIGNED, /* so they are, and the spte is looked at first */
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
    KEY_AC = 1 << 10,      /* the guest wants #AC: CPL 3, EFLAGS.AC and CR0.AM */
    KEY_SEG_SHIFT = 12,   /* three bits per segment register, ES to DS: enum seg_class */
};
enum seg_class {
    SEG_FLAT,  /* base 0, limit 4 GiB, readable and writable */
    SEG_BASE,  /* the same with a base */
    SEG_64K,   /* base, and a limit of at least FFFF: 16-bit offsets fit unless misaligned */
    SEG_LIMIT, /* readable and writable, not expand-down, with base and limit */
    SEG_OTHER, /* anything else: C looks */
    SEG_ANY,   /* FS and GS, which kernels reload often: the code looks, by vcpu.reach */
};

/* One guest instruction in a TU. Its bytes are in the guest's memory, which cannot change while the
 * TU lives. */
struct site {
    u16 host_off; /* from the CCF's start to its first host instruction */
    u8 eip_off;   /* from the TU's EIP */
    u8 form;      /* of its memory operands */
};

/* What C needs of an instruction that it runs, always or in a slow path. */
struct callout {
    struct tu *tu;
    u32 eip;
    bool fpu;    /* first tries to make the FPU live */
    bool revalidate; /* the context may be another behind it */
    bool ends;   /* never goes on in this TU */
    bool adapted; /* C runs it because of what its operand did: see adapt.c */
    u8 form;       /* of its site */
    u8 misaligned; /* times it was here for that */
    bool fast_callout;    /* a move, IN or OUT that may go by bt_fast_callout */
    bool move;     /* MOV from or to memory in a segment without a limit */
    bool admitted; /* the context says that privilege and mode allow it */
    struct insn insn;
};

/* A way out of a TU by a direct branch. Places are offsets in the CCF. */
struct exit {
    struct exit *next_in; /* of those chained to the same TU */
    u32 tu;               /* number of the one that leaves */
    u32 to;               /* chained to; 0: not */
    u32 target;           /* EIP */
    u16 jump;             /* the branch's rel32; 0: this exit is unused */
    u16 stub;             /* where it points while not chained */
    u16 check;            /* another page: the link check; 0: none needed */
    bool second;          /* the target may cross into the next page: the check is for that page */
    u16 guess;            /* an indirect branch: the disp32 of its guess, `target`; 0: direct */
};
/* In a link check: the place of the execute spte, the imm64 that is compared, and the rel32 at its end. */
enum { CHECK_PAGE = 3, CHECK_SPTE = 9, CHECK_JUMP = 41, CHECK_SIZE = 45 };
enum { GUESS_MISS = 16 }; /* from a guess to the rel32 of the jump for another target */

/* Of a TU of one instruction that crosses into another page: its second part. Such a TU is chained
 * to only from its own page. */
struct crossing {
    u32 line_next;
    u32 gpa;
    u64 spte;
};

/* TUs have numbers, in order of their host code's address; 0 is none. */
struct tu {
    u32 hash_next; /* same bucket */
    u32 line_next; /* same list by physical address */
    u32 context;   /* number of its struct context */
    u32 eip;
    u64 spte;      /* execute spte of its page when it was made */
    u32 gpa;       /* of its first byte */
    u32 host;      /* offset of its CCF in the code memory */
    u16 host_size;
    u16 body_size; /* up to what is out of line */
    u8 guest_size;
    u8 count;      /* instructions */
    u8 exit_count;
    bool dead;
    struct crossing *crossing; /* NULL: it lies in one page */
    struct exit *in;           /* chained to us */
    struct exit *exits;        /* exit_count of them */
    struct site *sites;        /* count of them */
};
static_assert(sizeof(struct site) == 4 && sizeof(struct exit) == 32 && sizeof(struct tu) <= 80,
              "there are a hundred thousand of them");

/* ---- enter.S ---- */
struct exit *bt_enter(struct vcpu *cpu, const void *host);
void bt_leave(void);
void bt_leave_saved(void);
void bt_callout(void);
void bt_fast_callout(void);
void bt_indirect(void);
void bt_stack_empty(void);
void bt_load_segment(void);
void bt_verw(void);
void bt_sysenter(void);
void bt_sysexit(void);
void bt_iret(void);
void bt_rep_movs(void);
void bt_rep_stos(void);
void bt_int(void);
void bt_cpuid(void);
void bt_code_page_store(void);
void bt_far_call(void), bt_far_ret(void), bt_far_jmp(void), bt_far_call_wide(void), bt_far_ret_wide(void);
void bt_far_call_prot(void), bt_far_ret_prot(void), bt_far_jmp_prot(void);
void bt_far_call_prot_wide(void), bt_far_ret_prot_wide(void), bt_int_real(void), bt_iret_real(void);
/* Behind the last routine of each file. */
void bt_enter_end(void), bt_memo_end(void), bt_memo_far_end(void), bt_strings_end(void), bt_code_page_store_end(void);

enum {
    MAX_CCF = 24576, /* see emit.h */
    POLL_SIZE = 6, /* of the poll at a CCF's head */
    MAX_NOTES = 1536, /* bytes that belong to one TU */
    HASH_SIZE = 1 << 17,
    LINES = 1 << 15,
    LINE_SHIFT = 6,
    MAX_TU_BYTES = MAX_INSNS * 15,
    FORM_SIZE = 1 << 15,
    STACK_SIZE = 1 << 16,
    MAX_CONTEXTS = 1 << 14,
    CONTEXT_MEMO = 64,
    MISSES_BEFORE_CHECK = 3,  /* host signals at a site */
    TRAPS_BEFORE_CHANGE = 2,
    REBUILD_TUS = 512, /* made without a direct map that are worth a flush when there is one */
    MAX_REBUILDS = 8,
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

/* A page's part of the map is 64 words; its last byte is looked at together with the word behind. */
enum { CODE_MAP_WORDS = PAGE_SIZE / 64 };
#define CODE_MAP_BYTES ((PHYS_PAGES * (u64)CODE_MAP_WORDS + 1) * 8)

struct bt {
    struct vcpu *cpu;
    struct bt_config config;
    struct mmu_listener listener; /* for writes to code */
    /* Host code: one memory, two mappings; never writable and executable through one. */
    int fd;
    u8 *write, *exec;
    u64 size, used;
    u64 taken; /* of the code, from the host: see cache.c */
    u8 *stack; /* of return addresses, with a guard page below */
    /* Records: TUs by number from below, what belongs to them (notes) from above. */
    struct tu *tus;
    u32 tu_count; /* number of the next one */
    u8 *notes;    /* lowest taken */
    u32 hash[HASH_SIZE];
    u32 lines[LINES]; /* lists by line_next: the 64 bytes a TU (or its second part) starts in */
    u32 *page_tus; /* [PHYS_PAGES] how many TUs have bytes there */
    u64 *code_map; /* a bit for each byte of memory: it may be some TU's */
    struct context *contexts;
    u32 context_count;
    u16 context_memo[CONTEXT_MEMO]; /* by hash: where it was found last */
    struct tables {
        u32 base[4], limit[4], tss; /* tss: its attributes */
    } tables; /* GDT, LDT, IDT and TSS that what memo.c keeps is good for */
    struct jump_cached *jump_cache;
    u32 cpuid_version; /* the vcpu's, for which tc.cpuids holds */
    /* What was learnt about memory operands, by physical address of the instruction. */
    struct history {
        u32 gpa;
        u8 form, traps, patched;
        u16 served, trial; /* executions in C: so far, until it is flat again */
    } history[FORM_SIZE];
    u8 fpu_cpl;   /* CPL the FPU is live for */
    u32 generation; /* for which the stack of return addresses holds */
    bool dropped; /* a TU died since the code was entered */
    bool interpret; /* set by the signal handler: run the instruction at EIP in C */
    bool mapped_loads; /* loads of new code go by the direct map */
    u64 mapless; /* TUs made when they did last */
    u32 rebuilds;  /* flushes because they do again */
    struct {
        bool set; /* its load found nothing in the direct map */
        gla_t gla;
        u32 tu;   /* number, */
        gpa_t gpa; /* and of the instruction */
    } direct_map_miss;
    struct bt_stats stats;
};

/* ---- run.c ---- */
/* The guest's arithmetic flags live in the host's while its code runs; in vcpu.eflags they are 0 then,
 * so that PUSHF only has to merge. */
static inline void bt_flags_to_host(struct vcpu *cpu)
{
    tc_of(cpu)->host_flags = (cpu->eflags & 0xff) << 8 | (cpu->eflags >> 11 & 1);
    cpu->eflags &= ~(u32)FLAGS_ARITH;
}
static inline void bt_flags_from_host(struct vcpu *cpu)
{
    u32 low = (u32)tc_of(cpu)->host_flags >> 8 & 0xff, overflow = (u32)tc_of(cpu)->host_flags & 1;

    cpu->eflags = (cpu->eflags & ~(u32)FLAGS_ARITH) | ((low | overflow << 11) & FLAGS_ARITH);
}
bool bt_watched(const struct vcpu *cpu); /* single steps and breakpoints are the interpreter's */
/* Starts the stack of return addresses anew if its addresses may lead astray. */
void bt_revalidate_stack(struct bt *bt);

/* ---- callout.c, for enter.S ---- */
int bt_callout_c(struct vcpu *cpu, struct callout *co); /* AFTER_* */
int bt_after_c(struct vcpu *cpu, struct callout *co);   /* AFTER_* */
int bt_fast_callout_c(struct vcpu *cpu, struct callout *co);   /* LIGHT_* */

/* ---- cache.c ---- */
bool cache_init(struct bt *bt, const char **why);
void cache_free(struct bt *bt);
/* Room for one TU: a CCF of up to MAX_CCF bytes and its records; flushes when there is none. Write
 * address of the CCF. */
u8 *cache_reserve(struct bt *bt);
void cache_commit(struct bt *bt, u32 size);
void *cache_note(struct bt *bt, u32 size); /* of MAX_NOTES in all for each TU; zero */
void cache_clear(struct bt *bt); /* all of it, back to the host; the stack starts anew */
static inline const u8 *cache_exec(const struct bt *bt, const u8 *write)
{
    return bt->exec + (write - bt->write);
}
void cache_reset_stack(struct bt *bt);

/* ---- context.c ---- */
u32 bt_context(struct bt *bt); /* number of the CPU's present context; also set in the vcpu */
/* The number of any context; 0: there is no room for one more. */
u32 context_number(struct bt *bt, const struct context *c);
static inline enum seg_class context_seg(u32 key, u32 seg)
{
    return seg >= FS ? SEG_ANY : (enum seg_class)(key >> (KEY_SEG_SHIFT + 3 * seg) & 7);
}

/* ---- memo.c ---- */
/* Of JMP, CALL and RET: EA, 9A, FF /3 and /5, CA and CB */
static inline bool insn_far(const struct insn *in)
{
    if (in->mnem == ZYDIS_MNEMONIC_RET)
        return in->opcode >= 0xca;
    return in->op[0].kind == OP_FAR || (in->op[0].kind == OP_MEM && in->modrm >> 3 & 1);
}
enum seg_class segment_class(const struct segment *s, bool code, bool protected);
/* What a load of `selector` into `seg` depends on, beside the descriptor: the key of seg_cache. */
u32 memo_segment_key(u16 selector, enum seg seg, u32 cpl, enum seg_class class, bool stack32);
/* After C ran an IRET in the context `from`: next time the code does it. */
void memo_learn_iret(struct bt *bt, u32 from);
void memo_learn_int(struct bt *bt, u32 from, u8 vector); /* INT n likewise */
void memo_learn_far(struct bt *bt, u32 from); /* and a far transfer; */
void memo_learn_cpuid(struct bt *bt, u32 leaf); /* and a CPUID */
void memo_forget_transfers(struct vcpu *cpu);
/* After C ran a segment load: next time the code does it. */
void memo_learn_segment(struct bt *bt, const struct insn *in);
/* Before a context is found: the reach of FS and GS; forgets loads after LGDT or LLDT. */
void memo_revalidate(struct bt *bt);

/* ---- tu.c ---- */
struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip); /* NULL: none, or its page moved */
void tu_insert(struct bt *bt, struct tu *tu); /* the one with the next number */
void tu_drop(struct bt *bt, struct tu *tu);
static inline struct tu *tu_at(const struct bt *bt, u32 number)
{
    return number ? &bt->tus[number] : NULL;
}
static inline const u8 *tu_host(const struct bt *bt, const struct tu *tu) /* execute address */
{
    return bt->exec + tu->host;
}
static inline gla_t tu_gla(const struct bt *bt, const struct tu *tu)
{
    return bt->contexts[tu->context].cs_base + tu->eip;
}
struct tu *tu_by_host(struct bt *bt, const u8 *pc); /* NULL: none */
struct site *tu_site(const struct bt *bt, const struct tu *tu, const u8 *pc); /* NULL: the head */
void tu_link(struct bt *bt, struct exit *e, struct tu *to);
/* Chained to a TU whose page has moved: back to the look-up. */
void tu_unlink(struct bt *bt, struct exit *e);
void tu_jump_cache_add(struct bt *bt, struct tu *tu);
void tu_forget_all(struct bt *bt);
void bt_code_written(void *owner, gpa_t gpa, u32 n);

/* ---- translate.c ---- */
/* Makes the TU at the CPU's EIP. NULL: the instruction there is to be interpreted. */
struct tu *bt_translate(struct bt *bt, u32 context);

/* ---- fpu.c ---- */
bool bt_fpu_may_live(const struct vcpu *cpu);
void bt_fpu_start(struct vcpu *cpu);
void bt_fpu_revalidate(struct vcpu *cpu); /* before a context is found: still live? */
void bt_fpu_save(struct vcpu *cpu);   /* after enter.S stored it */

/* ---- dump.c ---- */
/* The CCF to stderr, with a mark at pc: what a failed check of it shows. */
void dump_host(const struct bt *bt, const struct tu *tu, const u8 *pc);

/* ---- stats.c ---- */
const char *form_name(u32 form); /* as in statistics, and lockstep's --form */

/* ---- adapt.c ---- */
enum form form_of(struct bt *bt, gpa_t gpa, enum form start);
/* Is its operand, or the top of the stack that it uses, misaligned? */
bool operand_misaligned(const struct vcpu *cpu, const struct insn *in);
/* The same by registers as they are before the TU it is in, if those it uses are likely to stay as odd. */
bool operand_likely_misaligned(const struct vcpu *cpu, const struct insn *in);
void form_set(struct bt *bt, gpa_t gpa, enum form form);
/* There is another direct map: sites that are flat because they missed the last one may try it. */
void form_forget_table(struct bt *bt);
u32 form_trap(struct bt *bt, gpa_t gpa); /* counts; how many by now, 255 at most */
/* n bytes inside the instruction are overwritten. One whose operand the guest patches again and again is a
 * TU by itself, so that little is made anew. */
void form_patch(struct bt *bt, gpa_t insn, u32 len, gpa_t gpa, u32 n);
bool form_patched(const struct bt *bt, gpa_t gpa);
/* C ran a site that is not flat; plain: it touched only aligned memory. True: it is flat from now on. */
bool form_served(struct bt *bt, gpa_t gpa, bool plain);

/* ---- fault.c ---- */
void bt_signals_init(void); /* handlers, and the calling thread's signal stack */
void bt_fault_bind(struct vcpu *cpu); /* whose code this thread runs */

#endif
