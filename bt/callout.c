/*
 * Callouts: an instruction in C, its exceptions included, and what comes behind it: the TU goes
 * on, or the code at EIP, or the run loop (AFTER_* in regs.h). Called by enter.S.
 */
#include "bt/memo.h"
#include "bt/variants.h"
#include "cpu/hostop.h"
#include "cpu/interp.h"
#include "cpu/operand.h"

#include <string.h>

HOST_BINARY(and, "and")
HOST_BINARY(or, "or")
HOST_BINARY(xor, "xor")

static u32 callout_eip(const struct vcpu *cpu, const struct callout *co)
{
    return (u32)tc_of(cpu)->page + co->eip;
}

/* Is what the TU was made for still so, after an instruction that may change it? */
static bool same_context(struct bt *bt, const struct callout *co)
{
    u32 context = co->tu->context; /* one context too many frees the TU */
    u64 flushes = bt->stats.flushes;

    bt_fpu_revalidate(bt->cpu);
    return bt_context(bt) == context && flushes == bt->stats.flushes && !bt_watched(bt->cpu);
}

/* May the TU go on behind the instruction that C has run? Sets *looked if it has put the
 * context right. */
static bool tu_goes_on(struct bt *bt, const struct callout *co, bool *looked)
{
    const struct vcpu *cpu = bt->cpu;

    if (co->ends || bt->dropped || cpu->eip != callout_eip(cpu, co) + co->insn.len)
        return false;
    *looked |= co->revalidate;
    return (!co->revalidate || same_context(bt, co)) &&
           bt->generation == cpu->mmu->fetch_generation;
}

/* On at EIP, in whatever context, without the run loop: bt_indirect finds the TU or leaves. */
static int jump_on(struct bt *bt, bool looked)
{
    if (!looked) {
        bt_user_map_follow(bt->cpu);
        bt_fpu_revalidate(bt->cpu);
        bt_context(bt);
    }
    if (bt_watched(bt->cpu))
        return AFTER_LEAVE;
    bt_revalidate_stack(bt);
    bt->dropped = false;
    bt->stats.exits_callout++;
    return AFTER_JUMP;
}

/* Before the instruction, which may load its own address. Bases of segments and the stack are
 * taken for aligned. */
static bool operand_is_aligned(const struct vcpu *cpu, const struct insn *in)
{
    const struct operand *m = insn_memory(in);

    if (cpu_ops[in->mnem].attr & OP_STRING)
        return !(in->opcode & 1) || !((cpu->gpr[ESI] | cpu->gpr[EDI]) & (in->opsize - 1u));
    return !m || m->size <= 1 || !(insn_offset(cpu, in) & (m->size - 1u));
}

/* Runs an instruction that became a callout by what its operand did, and notes what it does
 * now. */
static bool run_adapted(struct bt *bt, const struct callout *co)
{
    struct vcpu *cpu = bt->cpu;
    struct tu *tu = co->tu;
    u64 odd = cpu->mmu->odd_accesses;
    bool plain = operand_is_aligned(cpu, &co->insn), done = cpu_run_insn(cpu, &co->insn);

    plain &= done && odd == cpu->mmu->odd_accesses;
    if (site_served(bt, tu->gpa + (co->eip - tu->eip), plain))
        tu_drop(bt, tu);
    return done;
}

/* A checked operand that is misaligned now and again gets the form for such. */
static void learn_alignment(struct vcpu *cpu, struct callout *co)
{
    struct bt *bt = cpu->bt;

    if (!operand_misaligned(cpu, &co->insn) || bt->contexts[co->tu->context].key & KEY_AC ||
        ++co->misaligned < 8)
        return;
    site_learn(bt, co->tu->gpa + (co->eip - co->tu->eip), FACT_MISALIGNED);
    tu_drop(bt, co->tu);
}

/* Has the instruction stayed as it was when it ran last? */
static bool unchanged(const struct vcpu *cpu, struct callout *co)
{
    gla_t gla = cpu->seg[CS].base + cpu->eip;
    u32 left = PAGE_SIZE - (gla & PAGE_MASK), n = co->insn.len < left ? co->insn.len : left;
    const u8 *now = tu_code(cpu->bt, co->tu, gla);
    bool same = !memcmp(now, co->insn.raw, n);

    memcpy(co->insn.raw, now, n);
    return same;
}

/* Runs what stands there now. False: what it was is not known, so nothing is learnt from it. */
static bool run_patched(struct vcpu *cpu, struct callout *co)
{
    struct bt *bt = cpu->bt;
    struct tu *tu = co->tu;

    if (variants_settled(bt, tu)) {
        site_settled(bt, tu->gpa);
        tu_drop(bt, tu);
    } else if (site_stayed(bt, tu->gpa, unchanged(cpu, co)))
        tu_drop(bt, tu);
    else
        variants_add(bt, tu);
    cpu_run_one(cpu);
    return false;
}

/* The instruction as it stands now. All but its fields is as it was. */
static void read_fields(const struct vcpu *cpu, struct callout *co)
{
    const u8 *now = tu_code(cpu->bt, co->tu, cpu->seg[CS].base + cpu->eip);
    enum decode_result r = insn_decode(now, co->insn.len, cpu_code32(cpu), &co->insn);

    check(r == DECODE_OK, "a patched field has made another instruction of one");
}

static bool run_callout(struct vcpu *cpu, struct callout *co)
{
    const struct bt *bt = cpu->bt;

    if (tu_dispatches(co->tu))
        return run_patched(cpu, co);
    if (co->patched)
        read_fields(cpu, co);
    if (co->form == FORM_CHECKED && !bt->config.no_adapt)
        learn_alignment(cpu, co);
    if (co->adapted)
        return run_adapted(cpu->bt, co);
    return co->admitted ? cpu_run_admitted(cpu, &co->insn) : cpu_run_insn(cpu, &co->insn);
}

/* Contexts keep their numbers up to a flush. */
static void learn_switch(struct bt *bt, const struct insn *in, u32 from)
{
    bool real = !(bt->contexts[from].key & KEY_PROT);

    switch (in->mnem) {
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
        memo_learn_far(bt, from);
        if (!real && in->mnem == ZYDIS_MNEMONIC_IRETD)
            memo_learn_iret(bt, from);
        break;
    case ZYDIS_MNEMONIC_INT:
        if (real)
            memo_learn_far(bt, from);
        else
            memo_learn_int(bt, from, (u8)in->imm);
        break;
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_RET:
        if (insn_far(in))
            memo_learn_far(bt, from);
        break;
    case ZYDIS_MNEMONIC_MOV:
        if (insn_writes_cr0(in))
            memo_learn_pe(bt, from);
        break;
    default:
        break;
    }
}

/* AFTER_*, when C has run the instruction, or delivered its exception instead. `looked`: the
 * context is right. */
static int what_follows(struct bt *bt, const struct callout *co, bool done, bool looked)
{
    if (done && co->revalidate)
        memo_learn_segment(bt, &co->insn); /* of SS, too, which asks for its shadow */
    if (unlikely(bt->cpu->requests))
        return AFTER_LEAVE;
    if (done && !bt_user_map_stale(bt->cpu) && tu_goes_on(bt, co, &looked))
        return AFTER_ON;
    return jump_on(bt, looked);
}

int bt_callout_c(struct vcpu *cpu, struct callout *co)
{
    u32 from = tc_of(cpu)->context, leaf = cpu->gpr[EAX];
    struct bt *bt = cpu->bt;
    u64 flushes = bt->stats.flushes;
    int after;
    bool done;

    bt->stats.callouts++;
    bt->stats.callout_by[co->insn.mnem]++;
    bt_flags_from_host(cpu);
    cpu->eip = callout_eip(cpu, co);
    if (co->fpu_image == FPU_IMAGE_STORED || co->fpu_image == FPU_IMAGE_CHANGED)
        bt_fpu_look(cpu);
    else if (co->fpu_image == FPU_IMAGE_NONE && co->needs_fpu)
        bt_fpu_exact(cpu);
    done = run_callout(cpu, co);
    if (done && co->fpu && bt_fpu_may_live(cpu))
        /* behind it: it may be in the shadow of STI, where nothing comes between */
        bt_fpu_start(cpu);
    if (done && co->insn.mnem == ZYDIS_MNEMONIC_CPUID)
        memo_learn_cpuid(bt, leaf);
    after = what_follows(bt, co, done, false);
    if (done && co->fpu_image >= FPU_IMAGE_CHANGED)
        bt_fpu_changed(cpu, &co->insn, after == AFTER_LEAVE);
    if (done && after != AFTER_ON && !cpu->requests && flushes == bt->stats.flushes)
        learn_switch(bt, &co->insn, from);
    bt_flags_to_host(cpu);
    return after;
}

/* ---- Fast callouts ---- */

/* The instruction has changed no register that a context depends on. */
int bt_after_c(struct vcpu *cpu, struct callout *co)
{
    int after;

    bt_flags_from_host(cpu);
    after =
        what_follows(cpu->bt, co, true, !bt_user_map_stale(cpu) && context_maps_stay(cpu->bt));
    bt_flags_to_host(cpu);
    return after;
}

/* Where an operand lies. */
struct spot {
    u64 spte;
    gla_t gla;
    u32 size;
};

static inline struct spot spot_at(const struct vcpu *cpu, u8 seg, u32 offset, u32 size,
                                  bool write)
{
    gla_t gla = cpu->seg[seg].base + offset;

    return (struct spot){cpu->shadow[(write ? SHADOW_WRITE : 0) + (gla >> PAGE_SHIFT)], gla,
                         size};
}

/* Aligned, so that it lies in one page, and inside the segment. */
static inline bool spot_allowed(const struct vcpu *cpu, const struct spot *s, u8 seg,
                                u32 offset, bool write)
{
    return !((s->gla | offset) & (s->size - 1u)) &&
           likely(seg < FS ||
                  tc_of(cpu)->reach[seg][write] >= (i64)(offset + (u64)s->size - 1));
}

/* A store that C has to make, and that cannot fault: device memory, where the bus knows nobody
 * behind ROM, or a write-protected page. */
static inline bool spot_stores(const struct spot *s)
{
    return likely(spte_device(s->spte)) || spte_protected(s->spte);
}

/* The same, and it is read before. */
static inline bool spot_modifies(const struct vcpu *cpu, const struct spot *s)
{
    u64 page = spte_gpa(s->spte, s->gla) >> PAGE_SHIFT;

    if (spte_device(s->spte))
        return page < PHYS_PAGES && !cpu->mmu->page_read[page]; /* else ROM */
    return spte_protected(s->spte);
}

static inline u32 spot_load(const struct vcpu *cpu, const struct spot *s)
{
    u32 val = 0;

    if (likely(spte_device(s->spte)))
        return mmu_bus_read(cpu->mmu, spte_gpa(s->spte, s->gla), s->size);
    memcpy(&val, spte_hva(s->spte, s->gla), s->size);
    return val;
}

static inline void spot_store(struct vcpu *cpu, const struct spot *s, u32 val)
{
    if (likely(spte_device(s->spte)))
        mmu_bus_write(cpu->mmu, spte_gpa(s->spte, s->gla), s->size, val);
    else if (spte_protected(s->spte))
        mmu_store(&cpu->paging, s->gla, s->size, MMU_WRITE, val);
    else
        memcpy(spte_hva(s->spte, s->gla), &val, s->size);
}

/* The memory operand, if it is in its segment. */
static inline bool operand_spot(const struct vcpu *cpu, const struct insn *in, u32 size,
                                bool write, struct spot *s)
{
    u32 offset = insn_offset(cpu, in);

    *s = spot_at(cpu, in->seg, offset, size, write);
    return spot_allowed(cpu, s, in->seg, offset, write);
}

static inline u32 source_value(const struct vcpu *cpu, const struct insn *in, u32 size)
{
    return in->op[1].kind == OP_IMM ? in->imm : reg_read(cpu, in->op[1].reg, size);
}

ALWAYS_INLINE bool load_sized(struct vcpu *cpu, const struct insn *in, u32 size)
{
    struct spot s;

    if (!operand_spot(cpu, in, size, false, &s) || !spte_device(s.spte))
        return false;
    reg_write(cpu, in->op[0].reg, size, spot_load(cpu, &s));
    return true;
}

ALWAYS_INLINE bool store_sized(struct vcpu *cpu, const struct insn *in, u32 size)
{
    struct spot s;

    if (!operand_spot(cpu, in, size, true, &s) || !spot_stores(&s))
        return false;
    spot_store(cpu, &s, source_value(cpu, in, size));
    return true;
}

static bool fast_load(struct vcpu *cpu, const struct insn *in)
{
    return load_sized(cpu, in, in->op[0].size);
}

static bool fast_load_byte(struct vcpu *cpu, const struct insn *in)
{
    return load_sized(cpu, in, 1);
}

static bool fast_store(struct vcpu *cpu, const struct insn *in)
{
    return store_sized(cpu, in, in->op[0].size);
}

static bool fast_store_byte(struct vcpu *cpu, const struct insn *in)
{
    return store_sized(cpu, in, 1);
}

typedef u32 host_fn(u32 size, u32 a, u32 b, u32 *ax);

/* The guest's flags are in tc.host_flags meanwhile, as those of hostop.h. */
ALWAYS_INLINE bool modify(struct vcpu *cpu, const struct insn *in, host_fn *fn)
{
    u32 size = in->op[0].size, b = source_value(cpu, in, size), a;
    u32 flags = tc_of(cpu)->host_flags;
    struct spot s;

    if (!operand_spot(cpu, in, size, true, &s) || !spot_modifies(cpu, &s))
        return false;
    a = fn(size, spot_load(cpu, &s), b, &flags);
    spot_store(cpu, &s, a);
    tc_of(cpu)->host_flags = flags;
    return true;
}

static bool fast_and(struct vcpu *cpu, const struct insn *in)
{
    return modify(cpu, in, host_and);
}

static bool fast_or(struct vcpu *cpu, const struct insn *in)
{
    return modify(cpu, in, host_or);
}

static bool fast_xor(struct vcpu *cpu, const struct insn *in)
{
    return modify(cpu, in, host_xor);
}

static bool fast_xchg(struct vcpu *cpu, const struct insn *in)
{
    const struct operand *r = &in->op[in->op[0].kind == OP_MEM];
    u32 val = reg_read(cpu, r->reg, r->size);
    struct spot s;

    if (!operand_spot(cpu, in, r->size, true, &s) || !spot_modifies(cpu, &s))
        return false;
    reg_write(cpu, r->reg, r->size, spot_load(cpu, &s));
    spot_store(cpu, &s, val);
    return true;
}

static inline void advance(struct vcpu *cpu, const struct insn *in, enum gpr reg, u32 size)
{
    u32 val = cpu->gpr[reg];

    reg_write_masked(cpu, reg, addr_mask(in), cpu->eflags & FLAG_DF ? val - size : val + size);
}

static inline u32 string_size(const struct insn *in)
{
    return in->opcode & 1 ? in->opsize : 1;
}

/* [ESI], ES:[EDI]: where a string instruction loads and stores. False: C may not just access
 * it. */
static inline bool source_spot(const struct vcpu *cpu, const struct insn *in, struct spot *s)
{
    u32 offset = cpu->gpr[ESI] & addr_mask(in);

    *s = spot_at(cpu, in->seg, offset, string_size(in), false);
    return spot_allowed(cpu, s, in->seg, offset, false) &&
           (spte_device(s->spte) || spte_direct(s->spte));
}

static inline bool target_spot(const struct vcpu *cpu, const struct insn *in, struct spot *s)
{
    u32 offset = cpu->gpr[EDI] & addr_mask(in);

    *s = spot_at(cpu, ES, offset, string_size(in), true);
    return spot_allowed(cpu, s, ES, offset, true) && (spot_stores(s) || spte_direct(s->spte));
}

static bool fast_lods(struct vcpu *cpu, const struct insn *in)
{
    struct spot s;

    if (!source_spot(cpu, in, &s) || spte_direct(s.spte))
        return false;
    reg_write(cpu, EAX, s.size, spot_load(cpu, &s));
    advance(cpu, in, ESI, s.size);
    return true;
}

static bool fast_stos(struct vcpu *cpu, const struct insn *in)
{
    struct spot s;

    if (!target_spot(cpu, in, &s) || spte_direct(s.spte))
        return false;
    spot_store(cpu, &s, reg_read(cpu, EAX, s.size));
    advance(cpu, in, EDI, s.size);
    return true;
}

static bool fast_movs(struct vcpu *cpu, const struct insn *in)
{
    struct spot from, to;

    if (!source_spot(cpu, in, &from) || !target_spot(cpu, in, &to) ||
        (spte_direct(from.spte) && spte_direct(to.spte)))
        return false;
    spot_store(cpu, &to, spot_load(cpu, &from));
    advance(cpu, in, ESI, from.size);
    advance(cpu, in, EDI, from.size);
    return true;
}

static u16 port_number(const struct vcpu *cpu, const struct operand *o, const struct insn *in)
{
    return o->kind == OP_IMM ? (u8)in->imm : (u16)cpu->gpr[EDX];
}

static bool fast_in(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->op[0].size;

    reg_write(cpu, EAX, size, cpu->pins.in(cpu, port_number(cpu, &in->op[1], in), size));
    return true;
}

static bool fast_out(struct vcpu *cpu, const struct insn *in)
{
    u32 size = in->op[1].size;

    cpu->pins.out(cpu, port_number(cpu, &in->op[0], in), size, reg_read(cpu, EAX, size));
    return true;
}

static bool fast_none(struct vcpu *cpu, const struct insn *in)
{
    return false;
}

/* False: nothing has happened. */
static bool (*const fast_run[])(struct vcpu *, const struct insn *) = {
    [FAST_NONE] = fast_none,
    [FAST_IN] = fast_in,
    [FAST_OUT] = fast_out,
    [FAST_LOAD] = fast_load,
    [FAST_LOAD_BYTE] = fast_load_byte,
    [FAST_STORE] = fast_store,
    [FAST_STORE_BYTE] = fast_store_byte,
    [FAST_AND] = fast_and,
    [FAST_OR] = fast_or,
    [FAST_XOR] = fast_xor,
    [FAST_XCHG] = fast_xchg,
    [FAST_LODS] = fast_lods,
    [FAST_STOS] = fast_stos,
    [FAST_MOVS] = fast_movs,
};

/*
 * Device accesses and stores to page tables are what guests do most. They know neither EIP nor
 * flags: the guest's arithmetic flags are not in the vcpu.
 */
int bt_fast_callout_c(struct vcpu *cpu, struct callout *co)
{
    struct bt *bt = cpu->bt;

    cpu->eip = callout_eip(cpu, co);
    if (!fast_run[co->fast](cpu, &co->insn))
        return FAST_NOT;
    cpu->eip += co->insn.len;
    cpu->insns++;
    bt->stats.callouts++;
    bt->stats.callout_by[co->insn.mnem]++;
    return cpu->requests || bt->dropped || bt_user_map_stale(cpu) ||
                   bt->generation != cpu->mmu->fetch_generation
               ? FAST_AFTER
               : FAST_ON;
}
