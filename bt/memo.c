/*
 * Segments as translated code sees them: the class of each in a context, the reach of FS and
 * GS, and the cache of segment loads, IRETs and INTs (memo.S does them again).
 *
 * A cached load is good while everything it looked at is the same: the key (selector, register,
 * CPL), the tables' bases and limits, and the descriptor's eight bytes in memory, which are
 * compared each time.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/segment.h"
#include <string.h>

/* None for expand-down segments: their accesses are callouts. */
static void segment_reach(const struct segment *s, bool protected, i64 reach[2])
{
    u32 type = s->attr & ATTR_TYPE;
    bool memory = s->attr & ATTR_P && s->attr & ATTR_S && (type & SEG_CODE || !(type & SEG_E));
    bool read = !protected || !(type & SEG_CODE) || type & SEG_R;
    bool write = !protected || (!(type & SEG_CODE) && type & SEG_W);

    reach[0] = memory && read ? (i64)s->limit : -1;
    reach[1] = memory && write ? (i64)s->limit : -1;
}

static void keep_reach(struct vcpu *cpu, enum seg seg)
{
    struct tc *tc = tc_of(cpu);

    segment_reach(&cpu->seg[seg], cpu_protected(cpu), tc->reach[seg]);
    tc->beyond[seg] = tc->reach[seg][0] == ~0u && tc->reach[seg][1] == ~0u ? 0 : BEYOND;
}

void memo_forget_transfers(struct vcpu *cpu)
{
    memset(tc_of(cpu)->fars, 0, sizeof(tc_of(cpu)->fars));
    memset(tc_of(cpu)->irets, 0, sizeof(tc_of(cpu)->irets));
    memset(tc_of(cpu)->ints, 0, sizeof(tc_of(cpu)->ints));
    memset(tc_of(cpu)->pes, 0, sizeof(tc_of(cpu)->pes));
}

static void forget_cpuids(struct bt *bt)
{
    bt->cpuid_version = bt->cpu->cpuid_version;
    memset(tc_of(bt->cpu)->cpuids, 0, sizeof(tc_of(bt->cpu)->cpuids));
}

/* No answer depends on ECX. */
void memo_learn_cpuid(struct bt *bt, u32 leaf)
{
    const struct vcpu *cpu = bt->cpu;

    if (bt->cpuid_version == cpu->cpuid_version && !cpu_cpuid_has_subleaves(cpu, leaf))
        tc_of(cpu)->cpuids[leaf >> 31 << 5 | (leaf & 31)] = (struct cpuid_memo){
            .minus_leaf = -((u64)leaf + 1),
            .out = { cpu->gpr[EAX], cpu->gpr[EBX], cpu->gpr[ECX], cpu->gpr[EDX] },
        };
}

static inline struct tables tables_now(const struct vcpu *cpu)
{
    const struct segment *ldt = &cpu->seg[LDTR], *tr = &cpu->seg[TR];

    return (struct tables){
        {cpu->gdtr.base, ldt->base, cpu->idtr.base, tr->base},
        {cpu->gdtr.limit, ldt->attr & ATTR_P ? ldt->limit : 0, cpu->idtr.limit, tr->limit},
        tr->attr | (cpu->cr4 & CR4_OSFXSR) << 16 | (cpu->cr0 & CR0_PG) |
            (cpu_avx_enabled(cpu) ? 1u << 30 : 0)};
}

static inline bool tables_equal(const struct tables *a, const struct tables *b)
{
    u32 differ = a->tss ^ b->tss;

    for (u32 i = 0; i < ARRAY_SIZE(a->base); i++)
        differ |= (a->base[i] ^ b->base[i]) | (a->limit[i] ^ b->limit[i]);
    return !differ;
}

void memo_revalidate(struct bt *bt)
{
    struct vcpu *cpu = bt->cpu;
    struct tables now = tables_now(cpu);

    keep_reach(cpu, FS);
    keep_reach(cpu, GS);
    if (unlikely(bt->cpuid_version != cpu->cpuid_version))
        forget_cpuids(bt);
    if (likely(tables_equal(&bt->tables, &now)))
        return;
    bt->tables = now;
    memset(tc_of(cpu)->seg_cache, 0, sizeof(tc_of(cpu)->seg_cache));
    memo_forget_transfers(cpu);
}

u32 memo_segment_key(u16 selector, enum seg seg, u32 cpl, enum seg_class class, bool stack32)
{
    u32 key = SEG_KEY_VALID | cpl << 16 | selector;

    if (seg == CS)
        return key | SEG_KEY_CODE;
    if (seg == SS)
        key |= SEG_KEY_SS | (stack32 ? SEG_KEY_STACK32 : 0);
    return key | (u32)class << 19;
}

/* In protected mode. */
static enum seg_class context_class(const struct segment *s, enum seg seg)
{
    return seg >= FS ? SEG_ANY : segment_class(s, seg == CS, true);
}

static bool loads_segment(const struct insn *in, enum seg *seg)
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

/* A descriptor or gate in host memory; NULL: not plain memory, or not aligned. */
static const u64 *find_entry(const struct vcpu *cpu, gla_t gla, u32 *page, u64 *minus_spte)
{
    u64 spte = cpu->shadow_system[gla >> PAGE_SHIFT];

    if (gla & 7 || !spte_direct(spte))
        return NULL;
    *page = gla >> PAGE_SHIFT;
    *minus_spte = -spte;
    return (const u64 *)spte_hva(spte, gla);
}

static bool find_descriptor(const struct vcpu *cpu, u16 selector, struct segment_memo *c)
{
    gla_t gla = (selector & 4 ? cpu->seg[LDTR].base : cpu->gdtr.base) + (selector & ~7u);

    c->desc = find_entry(cpu, gla, &c->page, &c->minus_spte);
    if (!c->desc)
        return false;
    c->minus_desc = -*c->desc;
    return true;
}

/* Is the segment what its descriptor says? Not if the guest has written to that since, or by
 * the transfer's own pushes. */
static bool as_described(const struct segment *s, u64 desc)
{
    const u32 d[2] = { (u32)desc, (u32)(desc >> 32) };
    struct segment now;

    cpu_unpack_descriptor(&now, s->selector, d);
    return !memcmp(&now, s, sizeof(now));
}

/* What IRET, INT and far transfers rely on besides the context they came from: CS and SS.
 * Anything else there forgets them. False: nothing is stored. */
static bool memo_store(struct vcpu *cpu, u32 key, const struct segment *s)
{
    struct segment_memo *to = &tc_of(cpu)->seg_cache[memo_segment_place(key)];
    struct segment_memo c = { .minus_key = -(u64)key, .seg = *s };

    if (s->selector > 3 && !find_descriptor(cpu, s->selector, &c))
        return false;
    if (s->selector > 3 && !memo_key_looks(key) && !as_described(s, *c.desc))
        return false;
    segment_reach(s, true, c.reach);
    if (key & SEG_KEY_LOOK && !memo_key_looks(key) && memcmp(to, &c, sizeof(c))) /* CS, SS */
        memo_forget_transfers(cpu);
    *to = c;
    return true;
}

u32 memo_look(const struct insn *in)
{
    u32 wide = in->opsize == 4 ? LOOK_WIDE : 0;

    switch (in->mnem) {
    case ZYDIS_MNEMONIC_VERW:
        return LOOK_VERW;
    case ZYDIS_MNEMONIC_VERR:
        return LOOK_VERR;
    case ZYDIS_MNEMONIC_LAR:
        return LOOK_LAR | wide;
    case ZYDIS_MNEMONIC_LSL:
        return LOOK_LSL | wide;
    default:
        return 0;
    }
}

/* Its operand, looked at once more. False: the instruction has changed what it depends on. */
static bool looked_at(struct vcpu *cpu, const struct insn *in, u16 *selector)
{
    bool answers = in->op[1].kind != OP_NONE;
    const struct operand *from = &in->op[answers];
    u8 reg = answers ? in->op[0].reg : NO_REG;
    gla_t gla;
    u64 spte;

    if (from->kind == OP_REG) {
        *selector = (u16)cpu->gpr[from->reg];
        return from->reg != reg;
    }
    gla = cpu->seg[in->seg].base + insn_offset(cpu, in);
    spte = cpu->shadow[gla >> PAGE_SHIFT];
    if ((answers && (in->base == reg || in->index == reg)) || !spte_direct(spte) || gla & 1)
        return false;
    memcpy(selector, spte_hva(spte, gla), 2);
    return true;
}

/* The answer is in the memo's base, as ZF lies in AX, and its limit. */
static void learn_look(struct vcpu *cpu, const struct insn *in)
{
    u32 look = memo_look(in);
    struct segment s = {.base = (cpu->eflags & FLAG_ZF) << 8};

    if (in->op[1].kind != OP_NONE)
        s.limit = cpu->gpr[in->op[0].reg];
    if (looked_at(cpu, in, &s.selector))
        memo_store(cpu,
                   memo_segment_key(s.selector, ES, cpu->cpl, SEG_FLAT, false) | SEG_KEY_LOOK |
                       look << LOOK_SHIFT,
                   &s);
}

static bool memo_learn(struct bt *bt, enum seg seg)
{
    struct vcpu *cpu = bt->cpu;
    const struct segment *s = &cpu->seg[seg];
    u32 key = memo_segment_key(s->selector, seg, cpu->cpl, context_class(s, seg),
                               s->attr & ATTR_DB);

    return memo_store(cpu, key, s);
}

void memo_learn_segment(struct bt *bt, const struct insn *in)
{
    u32 look = memo_look(in);
    enum seg seg;

    if (!cpu_protected(bt->cpu) || !(look || loads_segment(in, &seg)))
        return;
    memo_revalidate(bt);
    if (look)
        learn_look(bt->cpu, in);
    else
        memo_learn(bt, seg);
}

/* What IRET and INT may change of a context: the rest is as it was, and CS and SS are flat. */
static bool plain_switch(struct bt *bt, u32 from)
{
    const u32 same =
        KEY_DF | KEY_PROT | 7 << (KEY_SEG_SHIFT + 3 * ES) | 7 << (KEY_SEG_SHIFT + 3 * DS);
    const struct vcpu *cpu = bt->cpu;
    u32 key = bt->contexts[from].key;

    return !((key ^ bt->contexts[tc_of(cpu)->context].key) & same) && key & KEY_PROT &&
           context_class(&cpu->seg[SS], SS) == SEG_FLAT && cpu->seg[SS].attr & ATTR_DB &&
           cpu->seg[CS].limit == ~0u;
}

/* Only returns from CPL 0. The code looks itself at the data segments and the flags. */
void memo_learn_iret(struct bt *bt, u32 from)
{
    struct vcpu *cpu = bt->cpu;
    u32 key = bt->contexts[from].key;

    if (cpu->eflags & FLAG_AC || !plain_switch(bt, from) || context_cpl(key) ||
        context_seg(key, SS) != SEG_FLAT)
        return;
    /* to the same level SS is not loaded */
    if (!memo_learn(bt, CS) || (cpu->cpl && !memo_learn(bt, SS)))
        return;
    tc_of(cpu)->irets[cpu->cpl + (bt_fpu_live_for(cpu, cpu->cpl) ? 4 : 0)] = (struct iret_memo){
        from, cpu->seg[CS].selector, cpu->seg[SS].selector, cpu->eflags & FLAG_IOPL,
        tc_of(cpu)->context & ~(u32)(cpu->cpl == 3 ? CONTEXT_MAP : 0)};
}

/* Where a transfer to CS led that changed nothing else of the context. Its selector may have
 * been asked for with another RPL, which memo_far.S does not find. */
void memo_learn_far(struct bt *bt, u32 from)
{
    const u32 code = KEY_CODE32 | 7 << (KEY_SEG_SHIFT + 3 * CS);
    struct vcpu *cpu = bt->cpu;
    u32 selector = cpu->seg[CS].selector;
    const struct context *a = &bt->contexts[from], *b = &bt->contexts[tc_of(cpu)->context];

    if ((a->key ^ b->key) & ~code)
        return;
    if (a->key & KEY_PROT ? !memo_learn(bt, CS)
                          : b->cs_base != selector << 4 || a->cs_limit != b->cs_limit)
        return;
    tc_of(cpu)->fars[(from << 15 | selector) * FAR_HASH >> FAR_HASH_SHIFT] =
        (struct far_memo){from, selector | FAR_VALID, tc_of(cpu)->context, 0};
}

/* Do the segments' classes before say what they are now, given limits and attributes? Loads of
 * real mode do not look at the base, and a class may be of one before it. What is C's in
 * protected mode alone has any. CS's base is the context's. */
static bool classes_follow(const struct vcpu *cpu, u32 from, u32 to)
{
    for (u32 seg = ES; seg <= DS; seg++) {
        enum seg_class class = segment_class(&cpu->seg[seg], seg == CS, from & KEY_PROT);

        if (seg != CS && (context_seg(from, seg) != class ||
                          (class == SEG_OTHER && context_seg(to, seg) != SEG_OTHER)))
            return false;
    }
    return true;
}

void memo_learn_pe(struct bt *bt, u32 from)
{
    const u32 same = ~(KEY_PROT | 0xfffu << KEY_SEG_SHIFT);
    const struct vcpu *cpu = bt->cpu;
    u32 to = tc_of(cpu)->context;
    const struct context *a = &bt->contexts[from], *b = &bt->contexts[to];
    struct pe_memo *c = &tc_of(cpu)->pes[cpu->cr0 & CR0_PE];

    static_assert(CR0_PE == 1 && ES == 0 && DS == 3, "bt_mov_cr0");
    if (cpu->cr0 & CR0_PG || !((a->key ^ b->key) & KEY_PROT) || (a->key ^ b->key) & same ||
        a->cs_base != b->cs_base || a->cs_limit != b->cs_limit ||
        !classes_follow(cpu, a->key, b->key))
        return;
    *c = (struct pe_memo){.from = from, .to = to};
    for (u32 seg = ES; seg <= GS; seg++) {
        c->limit[seg] = cpu->seg[seg].limit;
        c->attr[seg] = cpu->seg[seg].attr;
    }
    memcpy(c->reach, tc_of(cpu)->reach[FS], sizeof(c->reach));
}

static bool find_gate(const struct vcpu *cpu, u8 vector, struct int_memo *c)
{
    c->gate = find_entry(cpu, cpu->idtr.base + vector * 8u, &c->page, &c->minus_spte);
    if (!c->gate)
        return false;
    c->minus_gate = -*c->gate;
    return true;
}

/* To CPL 0 through a 32-bit interrupt or trap gate, from there or from CPL 3. */
void memo_learn_int(struct bt *bt, u32 from, u8 vector)
{
    struct vcpu *cpu = bt->cpu;
    struct int_memo c = {.from = from | CONTEXT_MAP,
                         .to = tc_of(cpu)->context,
                         .vector = vector,
                         .eip = cpu->eip};
    u32 key = bt->contexts[from].key, cpl = context_cpl(key);
    u32 gate[2];

    if (cpu->cpl || (cpl != 0 && cpl != 3) || !plain_switch(bt, from) ||
        (cpl && bt_fpu_live_for(cpu, 0)) || !find_gate(cpu, vector, &c) ||
        (!cpl && context_seg(key, SS) != SEG_FLAT))
        return;
    memcpy(gate, c.gate, 8);
    if ((gate[1] >> 8 & 0x1e) != TYPE_INT32 ||
        (gate[0] & 0xffff) + (gate[1] & 0xffff0000) != c.eip ||
        (gate[0] >> 16 & 0xfffc) != cpu->seg[CS].selector)
        return;
    if (!memo_learn(bt, CS) || (cpl && !memo_learn(bt, SS)))
        return;
    c.cs = cpu->seg[CS].selector;
    c.ss = cpu->seg[SS].selector;
    c.trap = gate[1] >> 8 & 1;
    tc_of(cpu)->ints[vector & 7] = c;
}
