/*
 * Segments as translated code sees them: the class of each in a context, the reach of FS and GS, and
 * the cache of segment loads (enter.S does them again: bt_load_segment).
 *
 * A cached load is good while everything it looked at is the same: the key (selector, register,
 * CPL), the tables' bases and limits, and the descriptor's eight bytes in memory, which are compared
 * each time.
 */
#include "bt/tu.h"
#include <string.h>

enum seg_class segment_class(const struct segment *s, bool code)
{
    u32 type = s->attr & ATTR_TYPE;

    if (!(s->attr & ATTR_P) || !(s->attr & ATTR_S))
        return SEG_OTHER;
    if (type & SEG_CODE ? !(code && type & SEG_R) || s->base || s->limit != ~0u
                        : !(type & SEG_W) || type & SEG_E)
        return SEG_OTHER;
    if (s->limit == ~0u)
        return s->base ? SEG_BASE : SEG_FLAT;
    return s->limit >= 0xffff ? SEG_64K : SEG_LIMIT;
}

/* Expand-down segments are C's. */
static void reach_of(const struct segment *s, i64 reach[2])
{
    u32 type = s->attr & ATTR_TYPE;
    bool memory = s->attr & ATTR_P && s->attr & ATTR_S && (type & SEG_CODE || !(type & SEG_E));

    reach[0] = memory && (!(type & SEG_CODE) || type & SEG_R) ? (i64)s->limit : INT64_MIN / 2;
    reach[1] = memory && !(type & SEG_CODE) && type & SEG_W ? (i64)s->limit : INT64_MIN / 2;
}

void segment_review(struct bt *bt)
{
    struct vcpu *cpu = bt->cpu;
    const struct segment *ldt = &cpu->seg[LDTR];
    u32 ldt_limit = ldt->attr & ATTR_P ? ldt->limit : 0;

    reach_of(&cpu->seg[FS], cpu->reach[FS]);
    reach_of(&cpu->seg[GS], cpu->reach[GS]);
    if (likely(bt->tables.base[0] == cpu->gdtr.base && bt->tables.limit[0] == cpu->gdtr.limit &&
               bt->tables.base[1] == ldt->base && bt->tables.limit[1] == ldt_limit))
        return;
    bt->tables.base[0] = cpu->gdtr.base;
    bt->tables.limit[0] = cpu->gdtr.limit;
    bt->tables.base[1] = ldt->base;
    bt->tables.limit[1] = ldt_limit;
    memset(cpu->seg_cache, 0, sizeof(cpu->seg_cache));
}

u32 segment_key(u16 selector, enum seg seg, u32 cpl, enum seg_class class, bool stack32)
{
    return 1u << 31 | (seg == SS ? 1u << 18 | (u32)stack32 << 22 : 0) | (u32)class << 19 |
           cpl << 16 | selector;
}

static bool loads(const struct insn *in, enum seg *seg)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_POP:
        *seg = (enum seg)in->op[0].reg;
        return in->op[0].kind == OP_SEG;
    case ZYDIS_MNEMONIC_LDS:
        *seg = DS;
        return true;
    case ZYDIS_MNEMONIC_LES:
        *seg = ES;
        return true;
    case ZYDIS_MNEMONIC_LSS:
        *seg = SS;
        return true;
    case ZYDIS_MNEMONIC_LFS:
        *seg = FS;
        return true;
    case ZYDIS_MNEMONIC_LGS:
        *seg = GS;
        return true;
    default:
        return false;
    }
}

/* The descriptor's place in host memory; false: not plain memory, or not aligned. */
static bool find_descriptor(const struct vcpu *cpu, u16 selector, struct seg_cached *c)
{
    gla_t gla = (selector & 4 ? cpu->seg[LDTR].base : cpu->gdtr.base) + (selector & ~7u);
    u64 slot = cpu->flat_system[gla >> PAGE_SHIFT];

    if (gla & 7 || !slot_direct(slot))
        return false;
    c->page = gla >> PAGE_SHIFT;
    c->minus_slot = -slot;
    c->desc = (const u64 *)slot_hva(slot, gla);
    c->minus_desc = -*c->desc;
    return true;
}

void segment_learn(struct bt *bt, const struct insn *in)
{
    struct vcpu *cpu = bt->cpu;
    struct seg_cached c = { 0 };
    const struct segment *s;
    enum seg seg;
    u32 key;

    if (!loads(in, &seg) || !cpu_protected(cpu))
        return;
    segment_review(bt);
    s = &cpu->seg[seg];
    key = segment_key(s->selector, seg, cpu->cpl, seg >= FS ? SEG_ANY : segment_class(s, false),
                      s->attr & ATTR_DB);
    if (s->selector > 3 && !find_descriptor(cpu, s->selector, &c))
        return;
    c.minus_key = -(u64)key;
    c.seg = *s;
    reach_of(s, c.reach);
    cpu->seg_cache[s->selector >> 3 & (SEG_CACHE - 1)] = c;
}
