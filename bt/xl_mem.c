/*
 * Memory operands: from a guest offset to x->m, in the form the site is in.
 *
 *   mapped    op gs:[offset]      a load by the supervisor; a store goes by the table
 *
 *   table     lea  r9d, [offset]                 checked   lea  r9d, [offset]
 *             shrx r10d, r9d, r12d                         shrx r10d, r9d, r12d
 *             mov  r10, [r14+r10*8+table]                  mov  r10, [r14+r10*8+table]
 *             shlx r13, r9, r14                            r11 := misalignment or not direct
 *             lea  r9, [r9+r13]                            jump out of line unless r11 = 0
 *             op   [r10+r9]                                op   [r10+r9]
 *
 * Neither touches flags. A spte that is not direct leads to an address that faults. So does one
 * that is not aligned (the only kind that can cross a page, or a 64 KiB limit): SHLX, by 62,
 * puts the low bits of the address where they make it non-canonical. Table relies on both,
 * checked sends them out of line to C before the host sees them. Unaligned looks at the spte of
 * the last byte instead of the alignment; alone, or checked. EFLAGS.AC would see misaligned
 * operands without an instruction, but which it sees differs by vendor, it costs 20 to 140
 * cycles to clear for C, and C must not run with it.
 */
#include "bt/emit.h"

/* shrx r32, r32, r12d */
static void emit_page(struct xl *x, enum hreg dst, enum hreg src)
{
    emit_shrx(x, dst, src, R12);
}

/* mov r64, [r14+r64*8+disp32] */
static void emit_spte(struct xl *x, enum hreg reg, enum xl_access access)
{
    emit_mov_rm64_index8(x, reg, R14, reg,
                         (access == XL_WRITE ? SHADOW_WRITE * 8 : 0) - SHADOW_BIAS);
}

/* dst := the low bits of src that are 0 in an aligned address, on top. Uses nothing else. By
 * r14's low six bits for operands of 2 and 4 bytes. */
static void emit_low_bits_up(struct xl *x, enum hreg dst, enum hreg src, u32 size)
{
    if (size == 4) {
        emit_shlx64(x, dst, src, R14);
    } else if (size == 2) {
        emit_lea_sib(x, dst, src, src, 1, 0, true);
        emit_shlx64(x, dst, dst, R14);
    } else {
        emit_mov_ri(x, dst, size == 8 ? 61 : size == 16 ? 60 : 59);
        emit_shlx64(x, dst, src, dst);
    }
}

/* r9 := the address in reg, not canonical if it is no multiple of size. */
static void emit_align(struct xl *x, enum hreg reg, u32 size)
{
    enum hreg up = reg == R9 ? R13 : R9;

    emit_low_bits_up(x, up, reg, size);
    emit_lea_sib(x, R9, up, reg, 1, 0, true);
}

void xl_offset(struct xl *x, const struct insn *in, enum hreg dst)
{
    u8 base = in->base == NO_REG ? NO_REG : hreg_of(in->base);
    u8 index = in->index == NO_REG ? NO_REG : hreg_of(in->index);

    if (x->patched & FACT_PATCHED_DISP) {
        xl_patched_offset(x, in);
        if (dst != R9)
            emit_mov_rr(x, dst, R9);
    } else {
        emit_lea_sib(x, dst, base, index, in->scale, in->disp, false);
    }
    if (in->addrsize == 2)
        emit_movzx_rr16(x, dst, dst);
}

static void slow_add(struct xl *x, u8 *jump)
{
    check(x->slow_count < MAX_SLOW, "too many slow paths in one TU");
    x->slow[x->slow_count].jump = (u16)(jump - x->start);
    x->slow[x->slow_count].stored = 0;
    x->slow[x->slow_count++].site = (u8)(x->site - x->sites);
}

void xl_slow_unless_zero(struct xl *x, enum hreg reg, enum hreg save)
{
    slow_add(x, emit_unless_zero(x, reg, save));
}

void xl_slow_jcc(struct xl *x, enum branch condition)
{
    slow_add(x, emit_branch(x, condition));
}

/* reg := 0 if reg's upper 16 bits are 0. rorx reg, reg, 48;  movzx reg, reg16 */
void emit_top16(struct xl *x, enum hreg reg)
{
    emit_rorx64(x, reg, reg, 48);
    emit_movzx_rr16(x, reg, reg);
}

/* Out of line if the offset r9d plus size - 1 is above the segment's limit. */
static void check_limit(struct xl *x, u8 seg, u32 size)
{
    emit_mov_rm(x, R11, R15,
                VCPU_SEG +
                    (i32)(seg * sizeof(struct segment) + offsetof(struct segment, limit)));
    emit_mov_rr(x, R10, R9);
    emit_not64(x, R10); /* r11 + ~r9 + 1 - (size - 1) = limit - last */
    emit_lea_sib(x, R11, R11, R10, 1, 2 - (i32)size, true);
    emit_top16(x, R11);
    xl_slow_unless_zero(x, R11, R10);
}

/* r11 := by how much the access falls short of the reach of FS or GS: negative where it is not
 * allowed. */
static void emit_short_of_reach(struct xl *x, u8 seg, u32 size, enum xl_access access)
{
    emit_mov_rm64(x, R11, R15, TC_REACH + 16 * seg + (access == XL_WRITE ? 8 : 0));
    emit_mov_rr(x, R10, R9);
    emit_not64(x, R10);
    emit_lea_sib(x, R11, R11, R10, 1, 2 - (i32)size, true);
}

static void check_reach(struct xl *x, u8 seg, u32 size, enum xl_access access)
{
    emit_short_of_reach(x, seg, size, access);
    emit_top16(x, R11);
    xl_slow_unless_zero(x, R11, R10);
}

static i32 segment_base_at(u8 seg)
{
    return VCPU_SEG + (i32)(seg * sizeof(struct segment) + offsetof(struct segment, base));
}

static void add_base(struct xl *x, u8 seg)
{
    emit_mov_rm(x, R10, R15, segment_base_at(seg));
    emit_lea_sib(x, R9, R9, R10, 1, 0, false);
}

/* r9 := the address of the offset in r9d, not canonical where the reach does not allow it: what
 * shows as a misaligned operand, and makes the site look first.
 * shrx r11, r11, r14;  rorx r11, r11, 7;  lea r9d, [r9+base];  lea r9, [r9+r11] */
static void add_base_in_reach(struct xl *x, u8 seg, u32 size, enum xl_access access)
{
    emit_short_of_reach(x, seg, size, access);
    emit_shrx64(x, R11, R11, R14);
    emit_rorx64(x, R11, R11, 7); /* below where low bits go, which must not make up for it */
    add_base(x, seg);
    emit_lea_sib(x, R9, R9, R11, 1, 0, true);
}

/* The offset is a number, and FS or GS reaches all now: kernels keep what is the processor's
 * there, and threads what is theirs. */
static bool fixed_in_reach(const struct xl *x, const struct insn *in, u32 size)
{
    return in->base == NO_REG && in->index == NO_REG && in->addrsize == 4 &&
           context_seg(x->context->key, in->seg) == SEG_ANY && !x->checked && !x->unaligned &&
           !x->span && (u32)in->disp <= 0u - size && !tc_of(x->bt->cpu)->beyond[in->seg];
}

/* Then nothing is to be compared: r9 := the address, not canonical should the reach be another.
 * mov r10d, [base];  lea r9d, [r10+offset];  mov r11, [beyond];  lea r9, [r9+r11] */
static void add_base_to_fixed(struct xl *x, u8 seg, i32 offset)
{
    emit_mov_rm(x, R10, R15, segment_base_at(seg));
    emit_lea_rm(x, R9, R10, offset);
    emit_mov_rm64(x, R11, R15, TC_BEYOND + 8 * seg);
    emit_lea_sib(x, R9, R9, R11, 1, 0, true);
}

/* The address is in reg; if it has to be looked at, in r9 then. */
static void table_access(struct xl *x, enum hreg reg, u32 size, enum xl_access access)
{
    emit_page(x, R10, reg);
    emit_spte(x, R10, access);
    x->m = (struct xl_place){ .base = R10, .index = reg };
    if (size == 1 || (size <= 4 && align_known(x, size)))
        return;
    emit_align(x, reg, size);
    align_learn(x, size);
    x->m.index = R9;
}

/* The same by gs: [r9]. */
static void direct_map_access(struct xl *x, enum seg_class class, u32 size)
{
    bool limited = !x->unaligned && !x->span && (class == SEG_64K || class == SEG_BASE);

    if (limited && size > 1 && !(size <= 4 && align_known(x, size)))
        emit_align(x, R9, size); /* only a misaligned operand passes the limit */
    x->m = (struct xl_place){ .direct_map = true, .base = R9, .index = NO_REG };
}

/* r11 := 0 if the operand's last byte has the same spte as its first, r10: it lies in one page,
 * or in two that are neighbours in the host's memory, too. (The first page of all never has the
 * last one's spte.)
 * lea r11d, [r9+size-1];  shrx r11d, r11d, r12d;  mov r11, [r14+r11*8+table];  not r11;
 * lea r11, [r11+r10+1] */
static void emit_crossing(struct xl *x, u32 size, enum xl_access access)
{
    emit_lea_rm(x, R11, R9, (i32)size - 1);
    emit_page(x, R11, R11);
    emit_spte(x, R11, access);
    emit_not64(x, R11);
    emit_lea_sib(x, R11, R11, R10, 1, 1, true);
}

/* A store by the spte in r10 goes on here, too, if bt_code_page_store() lets it, wherever in its
 * page: not what must be aligned, as MOVAPS. */
static void goes_on_beside_code(struct xl *x, u32 size)
{
    if (size > CODE_PAGE_STORE_MAX || (size > 10 && !x->span) || x->context->key & KEY_AC)
        return;
    x->slow[x->slow_count - 1].stored = ccf_here(x);
    x->slow[x->slow_count - 1].size = (u8)size;
}

/* What is known of the spte in r10 and the address in r9 must come to 0 in one register. */
static void checked_access(struct xl *x, u32 size, enum xl_access access)
{
    u32 span = x->span ? x->span : x->unaligned && size > 1 && size <= 10 ? size : 0;

    emit_page(x, R10, R9);
    emit_spte(x, R10, access);
    if (span)
        emit_crossing(x, span, access);
    else if (size > 1)
        emit_low_bits_up(x, R11, R9, size);
    if (!x->checked) {
        xl_slow_unless_zero(x, R11, R13);
        return;
    }
    emit_lea_sib(x, R13, R10, NO_REG, 1, -1, true); /* spte 0: all ones */
    emit_top16(x, R13);
    if (size > 1)
        emit_lea_sib(x, R13, R13, R11, 1, 0, true);
    xl_slow_unless_zero(x, R13, R11);
    if (access == XL_WRITE)
        goes_on_beside_code(x, span ? span : size);
}

bool xl_allowed(const struct xl *x, u8 seg, enum xl_access access)
{
    return seg != CS || access == XL_READ || context_seg(x->context->key, CS) != SEG_FLAT;
}

static bool by_direct_map(const struct xl *x, enum xl_access access)
{
    return x->direct_map && (access == XL_READ || x->user_map);
}

bool xl_mapped_flat(const struct xl *x, u8 seg, enum xl_access access)
{
    return by_direct_map(x, access) && !x->callout && !x->checked && !x->span &&
           context_seg(x->context->key, seg) == SEG_FLAT && xl_allowed(x, seg, access);
}

/* The low bits of an address are those of its offset where a base is a multiple of 16. */
static bool base_aligned(enum seg_class class)
{
    return class == SEG_FLAT || class == SEG_BASE || class == SEG_64K;
}

/* False: C runs the instruction. */
static bool by_code(struct xl *x, u8 seg, u32 size, enum xl_access access)
{
    x->m = (struct xl_place){.base = R10, .index = R9};
    return !x->callout && context_seg(x->context->key, seg) != SEG_OTHER &&
           xl_allowed(x, seg, access) &&
           (x->span || size == 1 || size == 2 || size == 4 || size == 8 || size == 10 ||
            size == 16 || size == 32);
}

/* The address is in r9. */
static void access_there(struct xl *x, enum seg_class class, u32 size, enum xl_access access)
{
    if (by_direct_map(x, access))
        direct_map_access(x, class, size);
    else if (x->checked || (x->unaligned && size > 1) || x->span)
        checked_access(x, size, access);
    else
        table_access(x, R9, size, access);
}

/* The offset is in r9d. */
static bool bytes_at(struct xl *x, u8 seg, u8 addrsize, u32 size, enum xl_access access)
{
    enum seg_class class = context_seg(x->context->key, seg);

    if (!by_code(x, seg, size, access))
        return false;
    if (class == SEG_LIMIT ||
        (class == SEG_64K && (addrsize == 4 || x->checked || x->unaligned || x->span)) ||
        (class == SEG_BASE && (x->unaligned || x->span))) /* only these can wrap at 4 GiB */
        check_limit(x, seg, size);
    if (!base_aligned(class))
        align_nowhere(x);
    if (class == SEG_ANY && !x->checked && !x->unaligned && !x->span) {
        add_base_in_reach(x, seg, size, access);
    } else {
        if (class == SEG_ANY)
            check_reach(x, seg, size, access);
        if (class != SEG_FLAT)
            add_base(x, seg);
    }
    access_there(x, class, size, access);
    return true;
}

static bool fixed_operand(struct xl *x, const struct insn *in, u32 size, enum xl_access access)
{
    if (!by_code(x, in->seg, size, access))
        return false;
    align_nowhere(x);
    add_base_to_fixed(x, in->seg, in->disp);
    access_there(x, SEG_ANY, size, access);
    return true;
}

bool xl_bytes(struct xl *x, u8 seg, u8 addrsize, u32 size, enum xl_access access)
{
    align_nowhere(x);
    return bytes_at(x, seg, addrsize, size, access);
}

bool xl_near(struct xl *x, u8 seg, u8 gpr, i32 disp, u8 addrsize, u32 size,
             enum xl_access access)
{
    align_address(x, gpr, NO_REG, 0, disp);
    return bytes_at(x, seg, addrsize, size, access);
}

bool xl_region_starts(struct xl *x, u8 size)
{
    if (x->context->key & KEY_AC)
        return false;
    x->span = size;
    x->direct_map = false; /* the second page would be seen too late */
    return true;
}

bool xl_region(struct xl *x, const struct insn *in, u8 size, enum xl_access access)
{
    bool done;

    if (!xl_region_starts(x, size))
        return false;
    done = xl_operand(x, in, size, access);
    x->span = 0;
    return done;
}

/* The offset is the address, and nothing else is done with it. */
bool xl_at(struct xl *x, u8 seg, u8 gpr, u32 size, enum xl_access access)
{
    enum hreg reg = hreg_of(gpr);

    align_address(x, gpr, NO_REG, 0, 0);
    if (x->checked || x->unaligned || x->span ||
        context_seg(x->context->key, seg) != SEG_FLAT || !xl_allowed(x, seg, access)) {
        emit_mov_rr(x, R9, reg);
        return bytes_at(x, seg, 4, size, access);
    }
    if (by_direct_map(x, access))
        x->m = (struct xl_place){ .direct_map = true, .base = reg, .index = NO_REG };
    else
        table_access(x, reg, size, access);
    return true;
}

/* In a segment of class flat, the host adds up the address. */
static struct xl_place place_in_direct_map(const struct insn *in)
{
    return (struct xl_place){ .direct_map = true,
                              .wraps = true,
                              .base = in->base == NO_REG ? NO_REG : hreg_of(in->base),
                              .index = in->index == NO_REG ? NO_REG : hreg_of(in->index),
                              .scale = in->scale,
                              .disp = in->disp };
}

bool xl_operand(struct xl *x, const struct insn *in, u32 size, enum xl_access access)
{
    if (x->patched & FACT_PATCHED_DISP) {
        xl_offset(x, in, R9);
        align_nowhere(x);
        return bytes_at(x, in->seg, in->addrsize, size, access);
    }
    if (!in->disp && in->index == NO_REG && in->base != NO_REG && in->addrsize == 4)
        return xl_at(x, in->seg, in->base, size, access);
    if (in->addrsize == 4 && xl_mapped_flat(x, in->seg, access)) {
        x->m = place_in_direct_map(in);
        return true;
    }
    if (fixed_in_reach(x, in, size))
        return fixed_operand(x, in, size, access);
    xl_offset(x, in, R9);
    align_address(x, in->base, in->index, in->scale, in->disp);
    return bytes_at(x, in->seg, in->addrsize, size, access);
}
