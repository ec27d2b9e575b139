/*
 * Contexts: the parts of the CPU's state that are constant inside a TU, numbered as they are
 * met.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/fpu.h"
#include <string.h>

static u32 context_key(const struct vcpu *cpu)
{
    bool protected = cpu_protected(cpu);
    u32 key = (u32)cpu->cpl << KEY_CPL_SHIFT;

    key |= cpu_code32(cpu) ? KEY_CODE32 : 0;
    key |= cpu_stack_mask(cpu) == ~0u ? KEY_STACK32 : 0;
    key |= protected ? KEY_PROT : 0;
    key |= cpu_v86(cpu) ? KEY_V86 : 0;
    key |= cpu->eflags & FLAG_DF ? KEY_DF : 0;
    key |= cpu->cpl <= cpu_iopl(cpu) ? KEY_IOPL_OK : 0;
    if (bt_fpu_live_for(cpu, cpu->cpl))
        key |= KEY_FPU_LIVE | (cpu->cr4 & CR4_OSFXSR ? KEY_SSE : 0);
    key |= cpu_avx_enabled(cpu) ? KEY_AVX : 0;
    if (unlikely(cpu->eflags & FLAG_AC) && cpu->cpl == 3 && cpu->cr0 & CR0_AM)
        key |= KEY_AC;
    for (u32 s = ES; s <= DS; s++)
        key |= (u32)segment_class(&cpu->seg[s], s == CS, protected) << (KEY_SEG_SHIFT + 3 * s);
    return key;
}

void context_set_pic(const struct bt *bt, struct context *c)
{
    const u32 looked_at = KEY_CODE32 | KEY_PROT | 3 << KEY_CPL_SHIFT;
    u32 kernel = bt->config.pic == PIC_ALL ? 3 << KEY_CPL_SHIFT : 0;
    /* a debugger's breakpoint is of one linear page */
    bool pic = bt->config.pic != PIC_NONE && !bt->cpu->watch_code && !c->cs_base && c->cs_limit == ~0u &&
               ((c->key | kernel) & looked_at) == looked_at;

    c->key = pic ? c->key | KEY_PIC : c->key & ~(u32)KEY_PIC;
}

static bool contexts_equal(const struct context *a, const struct context *b)
{
    return a->key == b->key && a->cs_base == b->cs_base && a->cs_limit == b->cs_limit;
}

static u16 *list_of(struct bt *bt, const struct context *c)
{
    u32 hash = (c->key & ~(u32)KEY_MAP) * 0x9e3779b1u ^ c->cs_base * 0x85ebca6bu ^ c->cs_limit;

    return &bt->context_lists[hash * 0xc2b2ae35u >> (32 - CONTEXT_LISTS_LOG2)];
}

/* Two contexts, of which the second has KEY_MAP. 0: there is no room for them. */
static u32 add_pair(struct bt *bt, const struct context *c, u16 *list)
{
    u32 n = bt->context_count;
    struct context *pair = &bt->contexts[n];

    if (n == MAX_CONTEXTS)
        return 0;
    pair[0] = pair[1] = *c;
    pair[0].key &= ~(u32)KEY_MAP;
    pair[1].key |= KEY_MAP;
    pair[0].next = *list;
    *list = (u16)n;
    bt->context_count = n + 2;
    return n;
}

u32 context_number(struct bt *bt, const struct context *c)
{
    u32 map = c->key & KEY_MAP ? CONTEXT_MAP : 0, n;
    u16 *list = list_of(bt, c);

    for (n = *list; n && !contexts_equal(&bt->contexts[n + map], c); n = bt->contexts[n].next)
        ;
    if (!n)
        n = add_pair(bt, c, list);
    return n ? n + map : 0;
}

/* A guest that keeps making segments. */
static void forget_contexts(struct bt *bt)
{
    bt_flush(bt);
    memset(bt->context_lists, 0, sizeof(bt->context_lists));
    memo_forget_transfers(bt->cpu);
    bt->context_count = 2;
}

static u32 map_key(const struct vcpu *cpu, u32 key)
{
    if (cpu->cpl == 3)
        return cpu->paging.user_map && !(key & KEY_AC) ? KEY_MAP : 0;
    if (cpu->paging.user_map && bt_user_map_serves(cpu))
        return KEY_MAP | KEY_MAP_STORES;
    return mmu_direct_map_use(&cpu->paging) ? KEY_MAP : 0;
}

bool context_maps_stay(const struct bt *bt)
{
    u32 key = bt->contexts[tc_of(bt->cpu)->context].key;

    return map_key(bt->cpu, key) == (key & (KEY_MAP | KEY_MAP_STORES));
}

u32 bt_context(struct bt *bt)
{
    struct vcpu *cpu = bt->cpu;
    struct context c = { context_key(cpu), cpu->seg[CS].base, cpu->seg[CS].limit };

    if (c.key & KEY_PROT)
        context_set_pic(bt, &c);
    c.key |= map_key(cpu, c.key);
    memo_revalidate(bt);
    if (contexts_equal(&bt->contexts[tc_of(cpu)->context], &c))
        return tc_of(cpu)->context;
    tc_of(cpu)->context = context_number(bt, &c);
    if (!tc_of(cpu)->context) {
        forget_contexts(bt);
        tc_of(cpu)->context = context_number(bt, &c);
    }
    return tc_of(cpu)->context;
}
