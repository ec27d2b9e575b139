/*
 * Instruction fetch: CS limit, code page, decoding, and filling the cache of decoded instructions
 * (cpu/fetch.h). What crosses a page, reaches the segment's end or comes from device memory is
 * fetched byte by byte and decoded each time.
 */
#include "cpu/fetch.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include <stdlib.h>
#include <string.h>

void cpu_fetch_free(struct vcpu *cpu)
{
    free(cpu->fetch);
    cpu->fetch = NULL;
}

static struct fetch *fetch_new(void)
{
    struct fetch *f = aligned_alloc(64, sizeof(*f));

    check(f, "no memory for decoded instructions");
    memset(f, 0, sizeof(*f));
    f->page = PAGE_MASK;
    return f;
}

/* Host address of the byte at gla, through the kept translation of its page. */
static const u8 *code_host(struct vcpu *cpu, gla_t gla, bool *fault)
{
    struct fetch *f = cpu->fetch;
    const u8 *hva;

    *fault = false;
    if (likely(f->page == (gla & ~PAGE_MASK) && f->generation == cpu->mmu->fetch_generation))
        return (const u8 *)(f->bias + gla);
    hva = mmu_host(&cpu->paging, gla, MMU_EXEC, fault);
    f->page = hva ? gla & ~PAGE_MASK : PAGE_MASK;
    f->generation = cpu->mmu->fetch_generation;
    f->bias = (uintptr_t)hva - gla;
    return hva;
}

/* Completes an entry whose insn is decoded. */
static const struct decoded *decoded_fill(const struct vcpu *cpu, struct decoded *d, bool code32)
{
    const struct insn *in = &d->insn;
    const struct op_row *row = &cpu_ops[in->mnem];
    u8 bytes[16] = { 0 };

    memcpy(bytes, in->raw, in->len);
    memcpy(&d->bytes, bytes, sizeof(bytes));
    d->mask = (1u << in->len) - 1;
    d->exec = row->exec;
    d->attr = row->attr;
    d->len = in->len;
    d->code32 = code32;
    d->admit = row->attr & OP_ADMIT || !row->exec || !cpu_has(cpu, row->feature) ||
               in->prefixes & PFX_LOCK;
    return d;
}

/* Byte by byte, as the CPU would see it. */
static const struct decoded *fetch_slow(struct vcpu *cpu, bool code32)
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
        else if (mmu_load(&cpu->paging, cs->base + off, 1, MMU_READ, &val))
            bytes[n] = (u8)val;
        else
            return NULL;
        r = insn_decode(bytes, n + 1, code32, &f->slow.insn);
    }
    if (r == DECODE_OK)
        return decoded_fill(cpu, &f->slow, code32);
    return cpu_fault(cpu, r == DECODE_INVALID ? EXC_UD : EXC_GP, 0), NULL;
}

const struct decoded *fetch_decoded(struct vcpu *cpu)
{
    const struct segment *cs = &cpu->seg[CS];
    gla_t gla = cs->base + cpu->eip;
    bool code32 = cpu_code32(cpu), fault;
    struct decoded *d;
    const u8 *p;
    u32 left;

    if (unlikely(!cpu->fetch))
        cpu->fetch = fetch_new();
    if (unlikely(cpu->eip > cs->limit))
        return cpu_fault(cpu, EXC_GP, 0), NULL;
    p = code_host(cpu, gla, &fault);
    if (unlikely(!p))
        return fault ? NULL : fetch_slow(cpu, code32);
    d = &((struct fetch *)cpu->fetch)->cache[decoded_index(p)];
    left = PAGE_SIZE - (gla & PAGE_MASK);
    if (cs->limit - cpu->eip < left - 1)
        left = cs->limit - cpu->eip + 1;
    if (d->hva == p && d->code32 == code32 && d->len <= left && !memcmp(p, d->insn.raw, d->len))
        return d;
    d->hva = NULL;
    if (insn_decode(p, left, code32, &d->insn) != DECODE_OK)
        return fetch_slow(cpu, code32);
    d->hva = p;
    return decoded_fill(cpu, d, code32);
}
