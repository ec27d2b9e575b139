/*
 * Instruction fetch: CS limit, code page, decoding, and a cache of decoded instructions.
 *
 * The cache is direct-mapped by host address and never invalidated: an entry serves only if the
 * bytes in memory still equal those it was decoded from, so self-modifying code is exact by
 * construction. The translation of the current code page is kept until the MMU's generation moves.
 */
#include "cpu/insn.h"
#include "mmu/shadow.h"
#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_SIZE = 1 << 14 };

struct cached {
    const u8 *hva;
    bool code32;
    struct insn insn;
};
struct fetch {
    gla_t page;      /* of the code page below */
    u32 generation;  /* mmu->fetch_generation it was found in; 0: none */
    const u8 *host;  /* its first byte */
    struct insn slow; /* an instruction that is not cached */
    struct cached cache[CACHE_SIZE];
};

void cpu_fetch_free(struct vcpu *cpu)
{
    free(cpu->fetch);
    cpu->fetch = NULL;
}

/* `left` bytes may be read at p. */
static bool same_bytes(const u8 *p, const struct insn *in, u32 left)
{
    if (unlikely(left < 16))
        return !memcmp(p, in->raw, in->len);
    __m128i a = _mm_loadu_si128((const __m128i *)p);
    __m128i b = _mm_loadu_si128((const __m128i *)in->raw);

    return !(~_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) & ((1 << in->len) - 1));
}

/* Host address of the byte at gla, through the kept translation of its page. */
static const u8 *code_host(struct vcpu *cpu, gla_t gla, bool *fault)
{
    struct fetch *f = cpu->fetch;
    u32 generation = cpu->mmu->fetch_generation;
    const u8 *hva;

    *fault = false;
    if (likely(f->page == (gla & ~PAGE_MASK) && f->generation == generation && f->host))
        return f->host + (gla & PAGE_MASK);
    hva = mmu_host(cpu, gla, MMU_EXEC, fault);
    f->page = gla & ~PAGE_MASK;
    f->generation = cpu->mmu->fetch_generation;
    f->host = hva ? hva - (gla & PAGE_MASK) : NULL;
    return hva;
}

/* Byte by byte: what crosses a page, the segment's end, or comes from device memory. */
static const struct insn *fetch_slow(struct vcpu *cpu, bool code32)
{
    const struct segment *cs = &cpu->seg[CS];
    struct fetch *f = cpu->fetch;
    u8 bytes[15];
    enum decode_result r = DECODE_SHORT;

    for (u32 n = 0; n < sizeof(bytes) && r == DECODE_SHORT; n++) {
        u32 off = cpu->eip + n;
        const u8 *hva;
        bool fault;
        u64 val;

        if (off > cs->limit || off < n)
            return cpu_fault(cpu, EXC_GP, 0), NULL;
        hva = code_host(cpu, cs->base + off, &fault);
        if (fault)
            return NULL;
        if (hva)
            bytes[n] = *hva;
        else if (mmu_load(cpu, cs->base + off, 1, MMU_READ, &val))
            bytes[n] = (u8)val;
        else
            return NULL;
        r = insn_decode(bytes, n + 1, code32, &f->slow);
    }
    if (r == DECODE_OK)
        return &f->slow;
    return cpu_fault(cpu, r == DECODE_INVALID ? EXC_UD : EXC_GP, 0), NULL;
}

const struct insn *cpu_fetch(struct vcpu *cpu)
{
    const struct segment *cs = &cpu->seg[CS];
    gla_t gla = cs->base + cpu->eip;
    bool code32 = cpu_code32(cpu), fault;
    struct cached *c;
    const u8 *p;
    u32 left;

    if (unlikely(!cpu->fetch))
        cpu->fetch = calloc(1, sizeof(struct fetch));
    if (unlikely(cpu->eip > cs->limit))
        return cpu_fault(cpu, EXC_GP, 0), NULL;
    p = code_host(cpu, gla, &fault);
    if (unlikely(!p))
        return fault ? NULL : fetch_slow(cpu, code32);
    c = &((struct fetch *)cpu->fetch)->cache[((uintptr_t)p ^ (uintptr_t)p >> 14) % CACHE_SIZE];
    left = PAGE_SIZE - (gla & PAGE_MASK);
    if (cs->limit - cpu->eip < left - 1)
        left = cs->limit - cpu->eip + 1;
    if (likely(c->hva == p && c->code32 == code32 && c->insn.len <= left &&
               same_bytes(p, &c->insn, left)))
        return &c->insn;
    c->hva = NULL;
    if (insn_decode(p, left, code32, &c->insn) != DECODE_OK)
        return fetch_slow(cpu, code32);
    c->hva = p;
    c->code32 = code32;
    return &c->insn;
}
