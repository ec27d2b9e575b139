/*
 * Segment registers and descriptors (SDM vol. 3, chapters 3 and 5): reading and unpacking
 * descriptors, loading data and stack segments with all checks, and the instructions that only
 * look (LAR, LSL, VERR, VERW, ARPL). Code segments are loaded in far.c.
 *
 * Invariant: a segment register that may be used has P = 1 in its hidden part; accessed bits are
 * set in memory before the register holds the descriptor.
 */
#include "cpu/segment.h"
#include "cpu/debug.h"
#include "cpu/deliver.h"
#include "cpu/operand.h"

/* ---- Descriptors ---- */

bool segment_descriptor_gla(const struct vcpu *cpu, u16 selector, gla_t *gla)
{
    u32 off = selector & ~7u;

    if (selector & 4) {
        const struct segment *ldt = &cpu->seg[LDTR];

        *gla = ldt->base + off;
        return (ldt->attr & ATTR_P) && off + 7 <= ldt->limit;
    }
    *gla = cpu->gdtr.base + off;
    return off + 7 <= cpu->gdtr.limit;
}

bool cpu_read_descriptor(struct vcpu *cpu, u16 selector, enum exception exc, u32 desc[2])
{
    gla_t gla;
    u64 val;

    if (!segment_descriptor_gla(cpu, selector, &gla))
        return cpu_fault(cpu, exc, selector_error(selector));
    if (!mmu_load(&cpu->paging, gla, 8, MMU_READ | MMU_SYSTEM, &val))
        return false;
    desc[0] = (u32)val;
    desc[1] = (u32)(val >> 32);
    return true;
}

void cpu_unpack_descriptor(struct segment *seg, u16 selector, const u32 desc[2])
{
    seg->selector = selector;
    seg->base = desc[0] >> 16 | (desc[1] & 0xff) << 16 | (desc[1] & 0xff000000);
    seg->limit = desc_limit(desc);
    seg->attr = (u16)(desc[1] >> 8 & 0xf0ff);
}

/* Stores the type byte of a descriptor known to be inside its table. */
static bool store_type(struct vcpu *cpu, u16 selector, u32 high)
{
    gla_t gla;

    segment_descriptor_gla(cpu, selector, &gla);
    return mmu_store(&cpu->paging, gla + 5, 1, MMU_WRITE | MMU_SYSTEM, high >> 8 & 0xff);
}

bool segment_set_accessed(struct vcpu *cpu, u16 selector, u32 desc[2])
{
    if (desc[1] & SEG_A << 8)
        return true;
    desc[1] |= SEG_A << 8;
    return store_type(cpu, selector, desc[1]);
}

bool segment_set_busy(struct vcpu *cpu, u16 selector, bool busy)
{
    u32 desc[2];

    if (!cpu_read_descriptor(cpu, selector, EXC_GP, desc))
        return false;
    return store_type(cpu, selector, busy ? desc[1] | 2 << 8 : desc[1] & ~(2u << 8));
}

void segment_make_null(struct segment *seg, u16 selector)
{
    *seg = (struct segment){ .selector = selector };
}

void segment_make_v86(struct segment *seg, u16 selector)
{
    *seg = (struct segment){ (u32)selector << 4, 0xffff, selector,
                             SEG_S | SEG_W | SEG_A | ATTR_P | ATTR_DPL };
}

/* ---- Loads ---- */

void cpu_load_segment_real(struct vcpu *cpu, enum seg seg, u16 selector)
{
    struct segment *s = &cpu->seg[seg];

    if (cpu_v86(cpu)) {
        segment_make_v86(s, selector);
        return;
    }
    s->selector = selector;
    s->base = (u32)selector << 4;
    if (!(s->attr & ATTR_P)) { /* null since protected mode: usable again */
        s->attr = SEG_S | SEG_W | SEG_A | ATTR_P;
        s->limit = 0xffff;
    }
}

/* Writable data, RPL and DPL equal to the level (vol. 2, "MOV"). */
bool segment_read_stack(struct vcpu *cpu, u16 selector, u32 level, enum exception exc,
                        struct segment *ss)
{
    u32 desc[2];

    if (selector_null(selector))
        return cpu_fault(cpu, exc, 0);
    if (!cpu_read_descriptor(cpu, selector, exc, desc))
        return false;
    if ((selector & 3u) != level || !desc_is_writable(desc) || desc_dpl(desc) != level)
        return cpu_fault(cpu, exc, selector_error(selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_SS, selector_error(selector));
    if (!segment_set_accessed(cpu, selector, desc))
        return false;
    cpu_unpack_descriptor(ss, selector, desc);
    return true;
}

/* May CPL and RPL read through this descriptor? Data, or readable code; conforming code for all. */
static bool readable_at(const u32 desc[2], u32 rpl, u32 cpl)
{
    u32 type = desc_type(desc);

    if (!(type & SEG_S) || (type & (SEG_CODE | SEG_R)) == SEG_CODE)
        return false;
    return desc_is_conforming(desc) || (rpl <= desc_dpl(desc) && cpl <= desc_dpl(desc));
}

static bool load_data_segment(struct vcpu *cpu, enum seg seg, u16 selector)
{
    u32 desc[2];

    if (selector_null(selector)) {
        segment_make_null(&cpu->seg[seg], selector);
        return true;
    }
    if (!cpu_read_descriptor(cpu, selector, EXC_GP, desc))
        return false;
    if (!readable_at(desc, selector & 3, cpu->cpl))
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    if (!segment_set_accessed(cpu, selector, desc))
        return false;
    cpu_unpack_descriptor(&cpu->seg[seg], selector, desc);
    return true;
}

bool cpu_load_segment(struct vcpu *cpu, enum seg seg, u16 selector)
{
    if (!cpu_protected(cpu)) {
        cpu_load_segment_real(cpu, seg, selector);
        return true;
    }
    if (seg == SS)
        return segment_read_stack(cpu, selector, cpu->cpl, EXC_GP, &cpu->seg[SS]);
    return load_data_segment(cpu, seg, selector);
}

/* Vol. 2, "RET": data and nonconforming code with DPL < CPL become null. */
void segment_drop_inner(struct vcpu *cpu)
{
    static const u8 which[] = { ES, FS, GS, DS };

    for (u32 i = 0; i < ARRAY_SIZE(which); i++) {
        struct segment *s = &cpu->seg[which[i]];
        bool conforming = (s->attr & (SEG_S | SEG_CODE | SEG_C)) == (SEG_S | SEG_CODE | SEG_C);

        if ((s->attr & ATTR_P) && !conforming &&
            (u32)(s->attr >> ATTR_DPL_SHIFT & 3) < cpu->cpl)
            segment_make_null(s, 0);
    }
}

/* ---- Stacks ---- */

void stack_current(struct vcpu *cpu, struct stack *s)
{
    *s = (struct stack){ cpu->seg[SS], cpu->gpr[ESP], cpu_stack_mask(cpu), 0, 0 };
}

/* Where the TSS keeps SS:ESP of a level, in either format; #TS(TR) beyond its limit. */
static bool read_tss_stack(struct vcpu *cpu, u32 dpl, u16 *ss, u32 *esp)
{
    const struct segment *tr = &cpu->seg[TR];
    bool wide = tr->attr & 8;
    u32 off = wide ? dpl * 8 + 4 : dpl * 4 + 2;
    u64 sp, sel;

    if (!(tr->attr & ATTR_P) || off + (wide ? 5 : 3) > tr->limit)
        return cpu_fault(cpu, EXC_TS, selector_error(tr->selector));
    if (!mmu_load(&cpu->paging, tr->base + off, wide ? 4 : 2, MMU_READ | MMU_SYSTEM, &sp) ||
        !mmu_load(&cpu->paging, tr->base + off + (wide ? 4 : 2), 2, MMU_READ | MMU_SYSTEM, &sel))
        return false;
    *ss = (u16)sel;
    *esp = (u32)sp;
    return true;
}

bool stack_from_tss(struct vcpu *cpu, u32 dpl, struct stack *s)
{
    u16 ss = 0;

    if (!read_tss_stack(cpu, dpl, &ss, &s->esp) ||
        !segment_read_stack(cpu, ss, dpl, EXC_TS, &s->ss))
        return false;
    s->mask = segment_stack_mask(&s->ss);
    s->access = MMU_SYSTEM; /* inner levels are supervisor's */
    s->error = selector_error(ss);
    return true;
}

/* Is [off, off + size) inside the stack segment? Offsets wrap at 32 bits only. */
static bool stack_inside(const struct stack *s, u32 off, u32 size)
{
    u32 last = off + size - 1;
    u32 top = segment_stack_mask(&s->ss);

    if (last < off)
        return false;
    if ((s->ss.attr & (SEG_S | SEG_CODE | SEG_E)) == (SEG_S | SEG_E))
        return off > s->ss.limit && last <= top;
    return last <= s->ss.limit;
}

static bool stack_access(struct vcpu *cpu, const struct stack *s, u32 off, u32 size)
{
    if (!(s->ss.attr & ATTR_P) || !stack_inside(s, off, size))
        return cpu_fault(cpu, EXC_SS, s->error);
    return true;
}

/* Ring 3's own pushes are subject to alignment checks. */
static bool misaligned(const struct vcpu *cpu, const struct stack *s, gla_t gla, u32 size)
{
    return gla & (size - 1) && cpu->eflags & FLAG_AC && cpu->cr0 & CR0_AM && cpu->cpl == 3 &&
           !(s->access & MMU_SYSTEM);
}

bool stack_reserve(struct vcpu *cpu, const struct stack *s, u32 slots, u32 size)
{
    for (u32 i = 1; i <= slots; i++) {
        u32 off = (s->esp - i * size) & s->mask;
        gla_t gla = s->ss.base + off;

        if (!stack_access(cpu, s, off, size))
            return false;
        if (misaligned(cpu, s, gla, size))
            return cpu_fault(cpu, EXC_AC, 0);
        if (!mmu_probe(&cpu->paging, gla, size, MMU_WRITE | s->access))
            return false;
    }
    return true;
}

bool stack_push(struct vcpu *cpu, struct stack *s, u32 size, u32 val)
{
    u32 off = (s->esp - size) & s->mask;
    gla_t gla = s->ss.base + off;

    if (!stack_access(cpu, s, off, size))
        return false;
    if (misaligned(cpu, s, gla, size))
        return cpu_fault(cpu, EXC_AC, 0);
    if (!mmu_store(&cpu->paging, gla, size, MMU_WRITE | s->access, val))
        return false;
    if (cpu_debug_armed(cpu))
        cpu_debug_access(cpu, gla, size, true);
    s->esp = (s->esp & ~s->mask) | off;
    return true;
}

u8 *stack_span(struct vcpu *cpu, const struct stack *s, u32 n, u32 size)
{
    u32 off = (s->esp - n) & s->mask;
    gla_t gla = s->ss.base + off;

    if (!(s->ss.attr & ATTR_P) || (s->esp & s->mask) < n || !stack_inside(s, off, n) ||
        misaligned(cpu, s, gla, size) || cpu_debug_armed(cpu))
        return NULL;
    return mmu_span(&cpu->paging, gla, n, MMU_WRITE | s->access);
}

void stack_commit(struct vcpu *cpu, const struct stack *s)
{
    cpu->seg[SS] = s->ss;
    cpu->gpr[ESP] = (cpu->gpr[ESP] & ~s->mask) | (s->esp & s->mask);
}

/* ---- Instructions that look at descriptors without loading them ---- */

static void set_zf(struct vcpu *cpu, bool on)
{
    cpu->eflags = on ? cpu->eflags | FLAG_ZF : cpu->eflags & ~(u32)FLAG_ZF;
}

/* Reads a descriptor for LAR and friends: *found false if null or beyond the table. */
static bool peek_descriptor(struct vcpu *cpu, u16 selector, u32 desc[2], bool *found)
{
    gla_t gla;

    *found = !selector_null(selector) && segment_descriptor_gla(cpu, selector, &gla);
    return !*found || cpu_read_descriptor(cpu, selector, EXC_GP, desc);
}

/* Visible to LAR (vol. 2, table 3-51) or LSL (table 3-66): bit n is system type n. */
static bool visible_at(const u32 desc[2], u32 rpl, u32 cpl, u32 system_types)
{
    if (!(desc_type(desc) & SEG_S) && !(system_types >> desc_type(desc) & 1))
        return false;
    return desc_is_conforming(desc) || (rpl <= desc_dpl(desc) && cpl <= desc_dpl(desc));
}

static bool look_at_descriptor(struct vcpu *cpu, const struct insn *in, u32 system_types, bool limit)
{
    u16 selector;
    u32 desc[2] = { 0 };
    bool ok;

    if (!op_read_word(cpu, in, 1, &selector) || !peek_descriptor(cpu, selector, desc, &ok))
        return false;
    ok = ok && visible_at(desc, selector & 3, cpu->cpl, system_types);
    if (ok)
        reg_write(cpu, in->op[0].reg, in->opsize, limit ? desc_limit(desc) : desc[1] & 0x00ffff00);
    set_zf(cpu, ok);
    return true;
}

bool ex_lar(struct vcpu *cpu, const struct insn *in)
{
    /* TSS16, LDT, busy TSS16, call gate 16, task gate; TSS32, busy TSS32, call gate 32. */
    return look_at_descriptor(cpu, in, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 12,
                false);
}

bool ex_lsl(struct vcpu *cpu, const struct insn *in)
{
    return look_at_descriptor(cpu, in, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11, true);
}

bool ex_verr(struct vcpu *cpu, const struct insn *in)
{
    u16 selector;
    u32 desc[2] = { 0 };
    bool ok;

    if (!op_read_word(cpu, in, 0, &selector) || !peek_descriptor(cpu, selector, desc, &ok))
        return false;
    set_zf(cpu, ok && readable_at(desc, selector & 3, cpu->cpl));
    return true;
}

bool ex_verw(struct vcpu *cpu, const struct insn *in)
{
    u16 selector;
    u32 desc[2] = { 0 };
    bool ok;

    if (!op_read_word(cpu, in, 0, &selector) || !peek_descriptor(cpu, selector, desc, &ok))
        return false;
    set_zf(cpu, ok && desc_is_writable(desc) && readable_at(desc, selector & 3, cpu->cpl));
    return true;
}

/* ARPL r/m16, r16: the destination's RPL is raised to the source's. */
bool ex_arpl(struct vcpu *cpu, const struct insn *in)
{
    u32 off = insn_offset(cpu, in);
    bool mem = in->op[0].kind == OP_MEM, lower;
    u16 src = (u16)cpu->gpr[in->op[1].reg];
    u64 dest = cpu->gpr[in->op[0].reg & 7] & 0xffff;

    if (mem && !cpu_read(cpu, in->seg, off, 2, &dest)) /* read-only memory will do if it is not lower */
        return false;
    lower = (dest & 3) < (src & 3u);
    if (lower) {
        dest = (dest & ~3ull) | (src & 3u);
        if (mem && !cpu_write(cpu, in->seg, off, 2, dest))
            return false;
        if (!mem)
            reg_write(cpu, in->op[0].reg, 2, (u32)dest);
    }
    set_zf(cpu, lower);
    return true;
}
