/*
 * The cache of decoded instructions, as the interpreter's loop looks into it. Private to fetch.c and
 * interp.c.
 *
 * Direct-mapped by host address and never invalidated: an entry serves only if the bytes in memory
 * still equal those it was decoded from, so self-modifying code is exact by construction. The
 * translation of the current code page is kept until the MMU's generation moves.
 */
#ifndef RING3_FETCH_H
#define RING3_FETCH_H

#include "cpu/insn.h"
#include "mmu/state.h"
#include <emmintrin.h>

enum { DECODED_SIZE = 1 << 13 };

struct decoded {
    const u8 *hva;      /* of the first byte; NULL: nothing here */
    insn_handler *exec; /* the row's; NULL: #UD */
    __m128i bytes;      /* it was decoded from… */
    u32 mask;           /* …of which these count: a bit each */
    u16 attr;           /* the row's, as far as the interpreter asks */
    u8 len;
    bool code32;
    bool admit;         /* something is to be tested before it runs */
    struct insn insn;
} __attribute__((aligned(64)));
static_assert(sizeof(struct decoded) == 128, "two cache lines, what each fetch reads in the first");

struct fetch {
    gla_t page;         /* of the code page below; PAGE_MASK: none */
    u32 generation;     /* mmu->fetch_generation it was found in */
    uintptr_t bias;     /* host address of a byte in the page, less its gla */
    struct decoded slow; /* an instruction that is not cached */
    struct decoded cache[DECODED_SIZE];
};

static inline u32 decoded_index(const u8 *p)
{
    return ((uintptr_t)p ^ (uintptr_t)p >> 13) % DECODED_SIZE;
}

/* 16 bytes may be read at p. */
static inline bool decoded_matches(const struct decoded *d, const u8 *p)
{
    __m128i now = _mm_loadu_si128((const __m128i *)p);

    return !(~(u32)_mm_movemask_epi8(_mm_cmpeq_epi8(now, d->bytes)) & d->mask);
}

/* The instruction at CS:EIP if it is in the cache and nothing is to be checked. NULL: ask
 * fetch_decoded(). */
static inline const struct decoded *fetch_quick(const struct vcpu *cpu)
{
    const struct fetch *f = cpu->fetch;
    gla_t gla = cpu->seg[CS].base + cpu->eip;
    const struct decoded *d;
    const u8 *p;

    if (unlikely(!f))
        return NULL;
    p = (const u8 *)(f->bias + gla); /* an address only, until the page is known to match */
    d = &f->cache[decoded_index(p)];
    if (likely(d->hva == p && (gla & ~PAGE_MASK) == f->page &&
               f->generation == cpu->mmu->fetch_generation && d->code32 == !!cpu_code32(cpu) &&
               (gla & PAGE_MASK) <= PAGE_SIZE - 16 &&
               (u64)cpu->eip + d->len <= (u64)cpu->seg[CS].limit + 1 && decoded_matches(d, p)))
        return d;
    return NULL;
}

/* The same with all checks (#GP beyond the limit or 15 bytes, #PF, #UD). NULL: exception recorded. Valid until the
 * next call. */
const struct decoded *fetch_decoded(struct vcpu *cpu);
void cpu_fetch_free(struct vcpu *cpu); /* by cpu_free() */

#endif
