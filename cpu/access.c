/*
 * Memory through segments: presence, type, limit and alignment, then the MMU. SDM vol. 3, 5.3 (limit
 * checking), 5.4 (type checking), 6.15 (#AC); in real mode and V86 vol. 3, 20.1.1.
 *
 * The usual segment (present, writable data that expands up) is recognised by one comparison; all
 * others go through segment_allows(). Nothing here changes registers except the stack functions.
 */
#include "cpu/access.h"
#include "cpu/debug.h"
#include "cpu/debugger.h"
#include "cpu/deliver.h"
#include "cpu/operand.h"
#include "mmu/mmu.h"

#include <string.h>

enum { /* present read-write data, expanding up */
    USUAL_MASK = ATTR_P | ATTR_S | SEG_CODE | SEG_E | SEG_W,
    USUAL = ATTR_P | ATTR_S | SEG_W,
};

/* Type rights; they are not looked at in real mode and V86. */
static bool segment_allows(const struct vcpu *cpu, const struct segment *s, bool write)
{
    if (!cpu_protected(cpu))
        return true;
    if (!(s->attr & ATTR_P))
        return false;
    if (s->attr & SEG_CODE)
        return !write && (s->attr & SEG_R);
    return !write || (s->attr & SEG_W);
}

static bool segment_covers(const struct segment *s, u32 off, u32 size)
{
    u32 last = off + size - 1;

    if ((s->attr & (SEG_CODE | SEG_E)) == SEG_E) /* expand down: valid above the limit */
        return off > s->limit && last >= off && (s->attr & ATTR_DB || last <= 0xffff);
    return last >= off && last <= s->limit;
}

/* Misaligned user accesses fault when CR0.AM and EFLAGS.AC are set. */
static bool misaligned(const struct vcpu *cpu, gla_t gla, u32 size)
{
    return (gla & (size - 1)) && (cpu->eflags & FLAG_AC) && (cpu->cr0 & CR0_AM) && cpu->cpl == 3;
}

bool cpu_linear(struct vcpu *cpu, enum seg seg, u32 off, u32 size, bool write, gla_t *gla)
{
    const struct segment *s = &cpu->seg[seg];

    *gla = s->base + off;
    if (likely((s->attr & USUAL_MASK) == USUAL && off <= s->limit && s->limit - off >= size - 1))
        return true;
    if (!segment_allows(cpu, s, write) || !segment_covers(s, off, size))
        return cpu_fault(cpu, seg == SS ? EXC_SS : EXC_GP, 0);
    return true;
}

static inline bool locate_in_segment(struct vcpu *cpu, enum seg seg, u32 off, u32 size, bool write, gla_t *gla)
{
    if (!cpu_linear(cpu, seg, off, size, write, gla))
        return false;
    if (unlikely(misaligned(cpu, *gla, size)))
        return cpu_fault(cpu, EXC_AC, 0);
    return true;
}

static inline void watch_data(struct vcpu *cpu, gla_t gla, u32 size, bool write)
{
    if (unlikely(cpu_debug_armed(cpu)))
        cpu_debug_access(cpu, gla, size, write);
}

bool cpu_read(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 *val)
{
    gla_t gla;

    if (!locate_in_segment(cpu, seg, off, size, false, &gla) || !mmu_load(&cpu->paging, gla, size, MMU_READ, val))
        return false;
    watch_data(cpu, gla, size, false);
    return true;
}

bool cpu_write(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 val)
{
    gla_t gla;

    if (!locate_in_segment(cpu, seg, off, size, true, &gla) || !mmu_store(&cpu->paging, gla, size, MMU_WRITE, val))
        return false;
    watch_data(cpu, gla, size, true);
    return true;
}

bool cpu_read_rmw(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 *val)
{
    gla_t gla;

    if (!locate_in_segment(cpu, seg, off, size, true, &gla) ||
        !mmu_load(&cpu->paging, gla, size, MMU_WRITE, val))
        return false;
    if (unlikely(cpu->watch_all)) /* to the guest's breakpoints the write that follows is all */
        cpu_debugger_access(cpu, gla, size, false);
    return true;
}

bool cpu_check_read(struct vcpu *cpu, enum seg seg, u32 off, u32 size)
{
    gla_t gla;

    return locate_in_segment(cpu, seg, off, size, false, &gla) && mmu_probe(&cpu->paging, gla, size, MMU_READ);
}

bool cpu_check_write(struct vcpu *cpu, enum seg seg, u32 off, u32 size)
{
    gla_t gla;

    return locate_in_segment(cpu, seg, off, size, true, &gla) && mmu_probe(&cpu->paging, gla, size, MMU_WRITE);
}

bool cpu_read_bytes(struct vcpu *cpu, enum seg seg, u32 off, void *buf, u32 n)
{
    gla_t gla;

    if (!cpu_linear(cpu, seg, off, n, false, &gla) ||
        !mmu_load_bytes(&cpu->paging, gla, buf, n, MMU_READ))
        return false;
    watch_data(cpu, gla, n, false);
    return true;
}

bool cpu_write_bytes(struct vcpu *cpu, enum seg seg, u32 off, const void *buf, u32 n)
{
    gla_t gla;

    if (!cpu_linear(cpu, seg, off, n, true, &gla) ||
        !mmu_store_bytes(&cpu->paging, gla, buf, n, MMU_WRITE))
        return false;
    watch_data(cpu, gla, n, true);
    return true;
}

bool cpu_check_write_bytes(struct vcpu *cpu, enum seg seg, u32 off, u32 n)
{
    gla_t gla;

    return cpu_linear(cpu, seg, off, n, true, &gla) &&
           mmu_probe(&cpu->paging, gla, n, MMU_WRITE);
}

/* ---- The stack: ESP or SP by SS.B, wrapping inside 16 bits for SP ---- */

bool cpu_push(struct vcpu *cpu, u32 size, u32 val)
{
    u32 mask = cpu_stack_mask(cpu);
    u32 esp = cpu->gpr[ESP] - size;

    if (!cpu_write(cpu, SS, esp & mask, size, val & size_mask(size)))
        return false;
    reg_write_masked(cpu, ESP, mask, esp);
    return true;
}

bool cpu_pop(struct vcpu *cpu, u32 size, u32 *skip, u32 *val)
{
    u64 wide;

    if (!cpu_read(cpu, SS, (cpu->gpr[ESP] + *skip) & cpu_stack_mask(cpu), size, &wide))
        return false;
    *val = (u32)wide;
    *skip += size;
    return true;
}

bool cpu_pop_words(struct vcpu *cpu, u32 count, u32 *skip, u32 *vals)
{
    u32 off = (cpu->gpr[ESP] + *skip) & cpu_stack_mask(cpu), n = 4 * count;
    const struct segment *s = &cpu->seg[SS];
    const u8 *from;

    if ((s->attr & USUAL_MASK) != USUAL || off > s->limit || s->limit - off < n - 1 ||
        (off + n - 1) > cpu_stack_mask(cpu) || cpu_debug_armed(cpu) ||
        misaligned(cpu, s->base + off, 4))
        return false;
    from = mmu_span(&cpu->paging, s->base + off, n, MMU_READ);
    if (!from)
        return false;
    memcpy(vals, from, n);
    *skip += n;
    return true;
}

void cpu_pop_commit(struct vcpu *cpu, u32 skip)
{
    reg_write_masked(cpu, ESP, cpu_stack_mask(cpu), cpu->gpr[ESP] + skip);
}
