/*
 * Contexts: the parts of the CPU's state that are constant inside a TU, numbered as they are met.
 */
#include "bt/tu.h"

static enum seg_class classify(const struct segment *s, bool code)
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

static u32 key_of(const struct vcpu *cpu)
{
    u32 key = (u32)cpu->cpl << KEY_CPL_SHIFT;

    key |= cpu_code32(cpu) ? KEY_CODE32 : 0;
    key |= cpu_stack_mask(cpu) == ~0u ? KEY_STACK32 : 0;
    key |= cpu_protected(cpu) ? KEY_PROT : 0;
    key |= cpu_v86(cpu) ? KEY_V86 : 0;
    key |= cpu->eflags & FLAG_DF ? KEY_DF : 0;
    key |= cpu->cpl <= cpu_iopl(cpu) ? KEY_IOPL_OK : 0;
    key |= cpu->tc.fpu_live ? KEY_FPU_LIVE | (cpu->cr4 & CR4_OSFXSR ? KEY_SSE : 0) : 0;
    for (u32 s = ES; s <= GS; s++)
        key |= (u32)classify(&cpu->seg[s], s == CS) << (KEY_SEG_SHIFT + 3 * s);
    return key;
}

static bool same(const struct context *a, const struct context *b)
{
    return a->key == b->key && a->cs_base == b->cs_base && a->cs_limit == b->cs_limit;
}

u32 bt_context(struct bt *bt)
{
    struct vcpu *cpu = bt->cpu;
    struct context c = { key_of(cpu), cpu->seg[CS].base, cpu->seg[CS].limit };
    u32 i = bt->context_now;

    if (!same(&bt->contexts[i], &c)) {
        for (i = 1; i < bt->context_count && !same(&bt->contexts[i], &c); i++)
            ;
        if (i == bt->context_count) {
            if (i == MAX_CONTEXTS) { /* a guest that keeps making segments */
                bt_flush(bt);
                i = bt->context_count = 1;
            }
            bt->contexts[i] = c;
            bt->context_count = i + 1;
        }
        bt->context_now = i;
    }
    cpu->tc.context_tag = (u64)i << 32;
    return i;
}
