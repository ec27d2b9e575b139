/*
 * What translated code and its routines keep. It lies directly behind struct vcpu in memory,
 * and r15 points to where they meet: what is used most, of either, is within a byte's offset.
 * The offsets are generated (offsets.c), so this struct may be changed freely.
 *
 * Nothing here is the guest's: it may be emptied at any TU's end.
 */
#ifndef RING3_BT_TC_H
#define RING3_BT_TC_H

#include "bt/regs.h"
#include "cpu/vcpu.h"

/*
 * A segment load that succeeded, memoised: while the descriptor's page maps the same memory and
 * the descriptor is unchanged, the hidden part is what it was. bt/memo.c.
 */
struct segment_memo {
    u64 minus_key;   /* -(selector and what else the load depended on) */
    u64 minus_spte;  /* -(the supervisor's read spte of the descriptor's page) */
    const u64 *desc; /* the descriptor in host memory; NULL: a null selector, which has none */
    u64 minus_desc;
    i64 reach[2];
    struct segment seg;
    u32 page;        /* of the descriptor, gla >> 12 */
};

/* An IRET that succeeded: from one context with these selectors into another (bt/memo.c). */
struct iret_memo {
    u32 from; /* context; 0: none */
    u16 cs, ss;
    u32 iopl; /* the bits of EFLAGS; AC was clear */
    u32 to;
};

/* An INT n that went through a 32-bit gate to CPL 0: the same with the gate. */
struct int_memo {
    u64 minus_gate, minus_spte; /* -(the gate), -(the supervisor's read spte of its page) */
    const u64 *gate;            /* in host memory */
    u32 page;                   /* of the gate, gla >> 12 */
    u32 from, to;               /* contexts; from 0: none */
    u32 vector, eip;
    u16 cs, ss;                 /* ss: of CPL 0, if the level changes */
    u32 trap;                   /* a trap gate: IF stays */
    u32 unused[3];
};

/* Where a transfer from a context to a selector led (bt/memo.c). */
struct far_memo {
    u32 from, selector, to, unused;
};

/* A MOV to CR0 that changed PE alone, and what the contexts depend on besides the one it came
 * from: what the segments ES to GS are like. It also made the reach of FS and GS. */
struct pe_memo {
    u32 from, to; /* contexts; from 0: none */
    u32 limit[GS + 1];
    u16 attr[GS + 1];
    u32 unused;
    i64 reach[2][2];
};

/* An answer of CPUID. */
struct cpuid_memo {
    u64 minus_leaf; /* -(leaf + 1); 0: none */
    u32 out[4];     /* EAX, EBX, ECX, EDX */
    u64 unused;
};

/* The sizes are in the assembly's shifts. */
static_assert(sizeof(struct segment_memo) == 64 && sizeof(struct int_memo) == 64 &&
                  sizeof(struct iret_memo) == 16 && sizeof(struct far_memo) == 16 &&
                  sizeof(struct cpuid_memo) == 32 && sizeof(struct segment) == 12 &&
                  sizeof(struct pe_memo) == 80,
              "indexed by shifts in memo.S, memo_far.S");

/* By the entry's address in assembly, too: JUMP_*. */
struct jump_cached {
    u64 minus_tag;  /* -(context << 32 | eip) */
    u32 number;     /* of the page: gla >> 12, plus SHADOW_EXEC */
    u32 page;       /* tc.page there */
    u64 minus_spte; /* -(the spte of that page when the TU was found) */
    const u8 *host; /* where to go */
};
static_assert(sizeof(struct jump_cached) == JUMP_SIZE, "indexed by shifts in enter.S");
#define JUMP_BYTES ((JUMP_ENTRIES + 2) * JUMP_SIZE) /* a multiple of 64 */

enum { SEG_CACHE = 16 };

struct tc {
    /* The code's own, by offsets of one byte. */
    void (*poll)(void), (*callout)(void), (*exit)(void), (*indirect)(void),
        (*fast_callout)(void), (*code_page_store)(void), (*load_segment)(void);
    u32 zero;
    u32 context; /* with the zero below it what the jump cache compares with */
    u64 rsp, c_rsp; /* stack of return addresses; stack of the C caller */
    u64 stack_top;  /* of the return addresses */
    u64 page;       /* the linear address of the page that code runs in, if KEY_PIC; else 0 */
    u64 fpu_page;   /* the same, where it used x87 last */
    /* The arithmetic flags as the code left them: AX as by LAHF and SETO AL. Loaded by as many
     * bytes as are stored, which the host needs to hand them on. */
    u32 host_flags;
    struct jump_cached *jump_cache; /* JUMP_ENTRIES of them */
    u32 polls;        /* r12 while no code runs */
    u32 budget;       /* the same, for the polls from one look at the clock to the next */
    u64 looked;       /* the TSC at the last one */
    u64 direct_at; /* the TSC from which on user code might rather run in a cage; ~0: never */
    const u8 *polled; /* the TU's head, if a poll left the code there */

    /* Of its routines. */
    void (*indirect_miss)(void), (*patched)(void), (*look)(void), (*arpl)(void),
        (*arpl_register)(void), (*sysenter)(void), (*sysexit)(void), (*iret)(void),
        (*int_n)(void), (*cpuid)(void), (*mov_cr0)(void), (*far[FAR_KINDS])(void),
        (*reuse)(void);
    u32 far_eip, far_selector, far_drop; /* operands of far transfers */
    u32 stack_context;    /* that the return addresses on the stack belong to */
    u64 fpu_live;         /* FPU_*: may code compute on the host's, and where its state is; */
    u32 fpu_cpl;          /* code of which CPL; FPU_NOBODY while it is off */
    u64 scratch[4];       /* of one translated instruction */
    u64 memo_hits[MEMO_KINDS]; /* times it did without C what MEMO_* names */
    u64 runs[RUNS_KINDS]; /* and, if it is asked to count, what RUNS_* name */
    const u64 *code_map;  /* which bytes of memory are code, a bit each */
    /* Last offset that may be read and written in ES to GS; negative: none, or C has to look.
     * Kept for FS and GS. */
    i64 reach[GS + 1][2];
    /* Of FS and GS: 0 if every offset may be read and written, else BEYOND. */
    u64 beyond[GS + 1];
    struct segment_memo seg_cache[SEG_CACHE];
    struct cpuid_memo cpuids[CPUID_ENTRIES]; /* by CPUID_BITS of the leaf */
    struct iret_memo irets[8];       /* by the RPL of CS, and whether the FPU is live for it */
    struct int_memo ints[8];         /* by the vector's low bits */
    struct far_memo fars[FAR_ENTRIES];
    struct pe_memo pes[2];             /* by PE as it is set */
    struct fxsave fpu_stored;          /* by enter.S, see fpu.c */
} __attribute__((aligned(64)));

static inline struct tc *tc_of(const struct vcpu *cpu)
{
    return (struct tc *)(cpu + 1);
}

#endif
