/*
 * A translation unit and what belongs to it; private to bt/.
 *
 * A TU is found by context and EIP, and holds only while the page of EIP maps the physical page
 * it was made from: whoever jumps to it from elsewhere compares that page's execute spte
 * (mmu/spte.h) with the one noted. One of KEY_PIC (context.h) holds in any linear page that
 * maps the physical one: it is found by the host's address of its page and the offset in it,
 * and its EIPs, and those of its exits, are relative to the linear page.
 *
 * Its host code is a compiled code fragment (CCF):
 *
 *   head     mov r9,[r15+poll]; mov r9b,[r9]              the interrupt poll
 *   insn 0   …                                            per instruction: one of the forms
 *   insn n-1 …
 *   exits    jmp rel32 → exit stub, or the next CCF once chained
 *   stubs    exit stubs, link checks, slow paths
 */
#ifndef RING3_BT_TU_H
#define RING3_BT_TU_H

#include "bt/translator.h"

/* One guest instruction in a TU. Its bytes are in the guest's memory, which cannot change while
 * the TU lives, but for holes. */
struct site {
    u16 host_off; /* from the CCF's start to its first host instruction */
    u8 eip_off;   /* from the TU's EIP */
    u8 form;      /* of its memory operands */
};

/* Bytes of a TU that are read when it runs, so that they are no code; from its first on. They
 * follow the sites. */
struct hole {
    u8 at, n;
};
enum { MAX_HOLES = 2 * MAX_INSNS };

/* What bt_fast_callout knows: IN and OUT that may not fault; where memory is a device's or
 * write-protected, in a segment without a limit, MOV, AND, OR and XOR with a memory
 * destination, XCHG, and single LODS, STOS and MOVS. */
enum fast_kind {
    FAST_NONE, FAST_IN, FAST_OUT, FAST_LOAD, FAST_LOAD_BYTE, FAST_STORE, FAST_STORE_BYTE,
    FAST_AND, FAST_OR, FAST_XOR, FAST_XCHG, FAST_LODS, FAST_STOS, FAST_MOVS
};

/* What C needs of an instruction that it runs, always or in a slow path. */
/* FPU_IMAGE_LOADED: nothing of the old one is looked at. */
enum fpu_image { FPU_IMAGE_NONE, FPU_IMAGE_STORED, FPU_IMAGE_CHANGED, FPU_IMAGE_LOADED };
struct callout {
    struct tu *tu;
    u32 eip;
    bool fpu;    /* first tries to make the FPU live */
    bool needs_fpu; /* C works on the guest's FPU state */
    u8 fpu_image;   /* enum fpu_image: it moves it to or from memory as a whole */
    bool revalidate; /* the context may be another behind it */
    bool ends;   /* never goes on in this TU */
    bool adapted; /* C runs it because of what its operand did: see adapt.c */
    bool patched; /* of its site: insn's immediate or displacement may be another by now */
    u8 form;       /* of its site */
    u8 misaligned; /* times it was here for that */
    u8 fast;       /* enum fast_kind: may go by bt_fast_callout */
    bool admitted; /* the context says that privilege and mode allow it */
    struct insn insn;
};

/* A way out of a TU by a direct branch. Places are offsets in the CCF. */
struct exit {
    struct exit *next_in; /* of those chained to the same TU */
    u32 tu;               /* number of the one that leaves */
    u32 to;               /* chained to; 0: not */
    u32 target;           /* EIP; of KEY_PIC relative to the page */
    u16 jump;             /* the branch's rel32; 0: this exit is unused */
    u16 stub;             /* where it points while not chained */
    u16 check;            /* another page: the link check; 0: none needed */
    /* the target may cross into the next page: the check is for that page */
    bool second;
    u8 thunk;             /* the call may lead to a get-PC thunk: for this register, + 1 */
    u16 context;          /* of the target: the TU's, but behind CLD and STD */
    /* an indirect branch: the disp32 of its guess, `target`, or of KEY_PIC any; 0: direct */
    u16 guess;
};
enum { EXIT_STUB_SIZE = 4 };
/* In a link check: the place of the execute spte, the imm64 that is compared, and the rel32 at
 * its end. */
enum { CHECK_PAGE = 3, CHECK_SPTE = 9, CHECK_JUMP = 38, CHECK_SIZE = 42 };
enum { GUESS_MISS = 10 }; /* from a guess to the rel32 of the jump for another target */
/* The same of KEY_PIC, where the check begins with the target's EIP in r10d, of an indirect
 * branch in r9d: how long it takes to get it into r10d; the place of the imm64, of the disp32
 * by which the target lies in its page, and of the rel32. */
enum {
    PIC_DIRECT = 11,
    PIC_PLACE = 15,
    PIC_OFFSET = 50,
    PIC_JUMP = 59,
    PIC_SIZE = 63
};
/* From the imm64 that a call compares, if it may lead to a get-PC thunk, to its rel32; and what
 * it is while there is none: nothing lies at -1. */
enum { THUNK_PLACE = 46, NO_THUNK = 1 };

/* Of a TU of one instruction that crosses into another page: its second part. Who has looked at
 * one page of the two enters by what looks at the second (xl_second_check()). */
struct crossing {
    u32 line_next;
    u32 gpa;
    u64 place; /* as the TU's */
    u16 check; /* offset in the CCF */
};

/* TUs have numbers, in order of their host code's address; 0 is none. */
struct tu {
    union {
        u32 hash_next;  /* same bucket; */
        u32 patched_tu; /* of a variant: number of the TU that finds it */
    };
    union {
        u32 line_next; /* same list by physical address; */
        u32 variants;  /* of a patched TU: its record, bytes from the records' end; 0: none */
    };
    u32 context;   /* number of its struct context */
    u32 eip;
    u64 place; /* its page's execute spte when it was made; of KEY_PIC its host address */
    u32 gpa;       /* of its first byte */
    u32 host;      /* offset of its CCF in the code memory */
    u16 host_size;
    u16 body_size; /* up to what is out of line */
    u8 guest_size;
    bool patched;  /* FACT_PATCHED: one instruction, whose bytes are no code */
    u8 count;      /* instructions */
    u8 exit_count;
    u8 hole_count;
    bool dead;
    bool jumped_to;            /* the jump cache has had it */
    u16 ident;                 /* a bit for each instruction: it is IDENT */
    bool variant;              /* patched, as it was at one time (variants.c) */
    struct crossing *crossing; /* NULL: it lies in one page */
    struct exit *in;           /* chained to us */
    struct exit *exits; /* exit_count of them, and behind them the sites, and the holes */
};
static_assert(sizeof(struct site) == 4 && sizeof(struct exit) == 32 && sizeof(struct tu) <= 72,
              "there are a hundred thousand of them");

/* ---- tu.c ---- */
struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip); /* NULL: none, or its page moved */
void tu_insert(struct bt *bt, struct tu *tu); /* the one with the next number */
void tu_drop(struct bt *bt, struct tu *tu);
static inline u32 tu_number(const struct bt *bt, const struct tu *tu)
{
    return (u32)(tu - bt->tus);
}
static inline struct tu *tu_at(const struct bt *bt, u32 number)
{
    return number ? &bt->tus[number] : NULL;
}
static inline const u8 *tu_host(const struct bt *bt, const struct tu *tu) /* execute address */
{
    return bt->exec + tu->host;
}
static inline bool tu_pic(const struct bt *bt, const struct tu *tu)
{
    return bt->contexts[tu->context].key & KEY_PIC;
}
/* Its bytes from gla on, an address in the page that it runs in. */
static inline const u8 *tu_code(const struct bt *bt, const struct tu *tu, gla_t gla)
{
    return (const u8 *)(tu->place + (tu_pic(bt, tu) ? gla & PAGE_MASK : gla));
}
static inline struct site *tu_sites(const struct tu *tu) /* tu->count of them */
{
    return (struct site *)(tu->exits + tu->exit_count);
}
static inline const struct hole *tu_holes(const struct tu *tu)
{
    return (const struct hole *)(tu_sites(tu) + tu->count);
}
/* The register, + 1, that such code as `mov reg, [esp]; ret` makes the return address; 0: it is
 * something else (xl_flow.c). */
u8 tu_is_thunk(const struct bt *bt, const struct tu *tu);
/* As a TU of that context has it for the page of gla. */
u64 tu_place(const struct bt *bt, u32 context, gla_t gla);
struct tu *tu_by_host(struct bt *bt, const u8 *pc); /* NULL: none */
/* NULL: the head */
struct site *tu_site(const struct bt *bt, const struct tu *tu, const u8 *pc);
/* EIP is that of `to`; tc.page still that of the exit. */
void tu_link(struct bt *bt, struct exit *e, struct tu *to);
/* Chained to a TU whose page has moved: back to the look-up. */
void tu_unlink(struct bt *bt, struct exit *e);
void tu_jump_cache_add(struct bt *bt, struct tu *tu); /* at EIP, where it lies now */
void tu_forget_all(struct bt *bt);

/* ---- smc.c ---- */
void smc_insert(struct bt *bt, struct tu *tu); /* its bytes are code from now on */
void smc_remove(struct bt *bt, struct tu *tu);
void smc_forget(struct bt *bt, const struct tu *tu); /* all TUs of its pages go */
void bt_code_written(void *owner, gpa_t gpa, u32 n);

#endif
