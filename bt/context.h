/*
 * Contexts: what does not change inside a TU, and so is part of its name. Private to bt/.
 */
#ifndef RING3_BT_CONTEXT_H
#define RING3_BT_CONTEXT_H

#include "bt/tc.h"

struct bt;

/*
 * What does not change inside a TU, and so is part of its name. Segments whose base and limit
 * matter are read from the vcpu by the code; whether they matter is in the key.
 */
struct context {
    u32 key; /* KEY_* */
    u32 cs_base, cs_limit;
    u16 next; /* number of the next one in its list; 0: none. Of those without KEY_MAP */
};
enum {
    KEY_CODE32 = 1 << 0,
    KEY_STACK32 = 1 << 1,
    KEY_CPL_SHIFT = 2, /* two bits */
    KEY_PROT = 1 << 4, /* protected mode, not V86 */
    KEY_V86 = 1 << 5,
    KEY_DF = 1 << 6,
    KEY_IOPL_OK = 1 << 7,  /* CPL <= IOPL: CLI and STI need no look */
    KEY_FPU_LIVE = 1 << 8, /* the host's FPU holds the guest's state; CR0.EM and TS are clear */
    KEY_SSE = 1 << 9,      /* CR4.OSFXSR */
    KEY_AC = 1 << 10,      /* the guest wants #AC: CPL 3, EFLAGS.AC and CR0.AM */
    KEY_PIC = 1 << 11,     /* position-independent: see below */
    KEY_SEG_SHIFT = 12,    /* three bits per segment register, ES to DS: enum seg_class */
    /* gs leads to a map of this address space: the user map, for loads and stores, at CPL 3 and
     * with KEY_MAP_STORES; else the direct map, for loads */
    KEY_MAP = 1 << 24,
    KEY_MAP_STORES = 1 << 25, /* below CPL 3, without paging, where there is a user map */
    KEY_AVX =
        1 << 26, /* CR4.OSXSAVE, and XCR0 has XMM and YMM; whether the FPU is live or not */
};
/* Contexts that differ by KEY_MAP alone have numbers that differ by CONTEXT_MAP (regs.h), set
 * in that of the one with it: who enters user mode just adds paging.user_map. */
/*
 * Programs and libraries lie at another address in each process. So TUs of flat 32-bit user
 * code do not depend on theirs: EIP is tc.page, the linear page that code runs in, plus an
 * offset that the TU knows; one TU serves every page of linear memory that maps its physical
 * page. Elsewhere tc.page is 0 and TUs know EIP.
 */
enum seg_class {
    SEG_FLAT,  /* base 0, limit 4 GiB, readable and writable */
    SEG_BASE,  /* the same with a base */
    SEG_64K,   /* base, and a limit of at least FFFF: 16-bit offsets fit unless misaligned */
    SEG_LIMIT, /* readable and writable, not expand-down, with base and limit */
    SEG_OTHER, /* anything else: C looks */
    SEG_ANY,   /* FS and GS, which kernels reload often: the code looks, by vcpu.reach */
};

/* Type rights are not looked at in real mode and V86 (cpu/access.c): CS is still a code segment
 * after protected mode, and written to. */
static inline enum seg_class segment_class(const struct segment *s, bool code, bool protected)
{
    u32 type = s->attr & ATTR_TYPE;

    if (!(s->attr & ATTR_P) || !(s->attr & ATTR_S) || (type & (SEG_CODE | SEG_E)) == SEG_E)
        return SEG_OTHER;
    if (protected && (type & SEG_CODE ? !(code && type & SEG_R) || s->base || s->limit != ~0u
                                      : !(type & SEG_W)))
        return SEG_OTHER;
    if (s->base & 15)
        return SEG_LIMIT; /* an aligned address is no aligned offset */
    if (s->limit == ~0u)
        return s->base ? SEG_BASE : SEG_FLAT;
    return s->limit >= 0xffff ? SEG_64K : SEG_LIMIT;
}

u32 bt_context(struct bt *bt); /* number of the CPU's present context; also set in the vcpu */
/* Is the present context right, if only what the maps are may have changed? */
bool context_maps_stay(const struct bt *bt);
/* The number of any context; 0: there is no room for one more. */
u32 context_number(struct bt *bt, const struct context *c);
/* Sets or clears KEY_PIC by the rest of the context. */
void context_set_pic(const struct bt *bt, struct context *c);
static inline u32 context_cpl(u32 key)
{
    return key >> KEY_CPL_SHIFT & 3;
}
/* Do loads and stores go by the user map? */
static inline bool context_user_map(u32 key)
{
    return key & KEY_MAP && (context_cpl(key) == 3 || key & KEY_MAP_STORES);
}
static inline enum seg_class context_seg(u32 key, u32 seg)
{
    return seg >= FS ? SEG_ANY : (enum seg_class)(key >> (KEY_SEG_SHIFT + 3 * seg) & 7);
}

#endif
