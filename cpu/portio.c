/*
 * IN, OUT, INS, OUTS, and who may (SDM vol. 1, chapter 18; the I/O bitmap: 18.5.2). A port is
 * touched only after all that can fault has been tested, since reading one may change it.
 *
 * Repeated forms commit each iteration, as cpu/string.c does, and give way to requests.
 */
#include "cpu/debug.h"
#include "cpu/debugger.h"
#include "cpu/deliver.h"
#include "cpu/operand.h"
#include "mmu/mmu.h"

/* The bits of `size` ports starting at `port` in the bitmap of a 32-bit TSS: all clear? */
static bool bitmap_allows(struct vcpu *cpu, u16 port, u32 size, bool *allowed)
{
    const struct segment *tr = &cpu->seg[TR];
    u64 base, bits;

    *allowed = false;
    if (!(tr->attr & ATTR_P) || !(tr->attr & 8) || tr->limit < 103)
        return true;
    if (!mmu_load(&cpu->paging, tr->base + 102, 2, MMU_READ | MMU_SYSTEM, &base))
        return false;
    base += port / 8;
    if (base + 1 > tr->limit) /* two bytes are always read */
        return true;
    if (!mmu_load(&cpu->paging, tr->base + (u32)base, 2, MMU_READ | MMU_SYSTEM, &bits))
        return false;
    *allowed = !(bits >> (port & 7) & ((1u << size) - 1));
    return true;
}

/* CPL against IOPL, then the bitmap of the TSS (vol. 1, 17.5). #GP(0). */
static bool check_io(struct vcpu *cpu, u16 port, u32 size)
{
    bool allowed;

    if (!(cpu->cr0 & CR0_PE) || (!cpu_v86(cpu) && cpu->cpl <= cpu_iopl(cpu)))
        return true;
    if (!bitmap_allows(cpu, port, size, &allowed))
        return false;
    return allowed || cpu_fault(cpu, EXC_GP, 0);
}

static void watch_port(struct vcpu *cpu, u16 port, u32 size)
{
    if (cpu_debug_armed(cpu))
        cpu_debug_io(cpu, port, size);
}

static u16 port_operand(const struct vcpu *cpu, const struct insn *in, u32 i)
{
    return in->op[i].kind == OP_IMM ? in->imm & 0xff : (u16)cpu->gpr[EDX];
}

bool ex_in(struct vcpu *cpu, const struct insn *in)
{
    u16 port = port_operand(cpu, in, 1);
    u32 size = in->op[0].size;

    if (!check_io(cpu, port, size))
        return false;
    reg_write(cpu, EAX, size, cpu->pins.in(cpu, port, size));
    watch_port(cpu, port, size);
    return true;
}

bool ex_out(struct vcpu *cpu, const struct insn *in)
{
    u16 port = port_operand(cpu, in, 0);
    u32 size = in->op[1].size;

    if (!check_io(cpu, port, size))
        return false;
    cpu->pins.out(cpu, port, size, reg_read(cpu, EAX, size));
    watch_port(cpu, port, size);
    return true;
}

/* ---- INS, OUTS ---- */

enum { STRING_BYTES = 512 }; /* moved at once where the port can: a sector */

static u32 address_mask(const struct insn *in)
{
    return in->addrsize == 2 ? 0xffff : 0xffffffff;
}

static void advance_register(struct vcpu *cpu, const struct insn *in, enum gpr reg, u32 by)
{
    u32 mask = address_mask(in), val = cpu->gpr[reg];

    val = cpu->eflags & FLAG_DF ? val - by : val + by;
    cpu->gpr[reg] = (cpu->gpr[reg] & ~mask) | (val & mask);
}

static bool step_ins(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u16 port = (u16)cpu->gpr[EDX];
    u32 off = cpu->gpr[EDI] & address_mask(in);

    if (!check_io(cpu, port, size) || !cpu_check_write(cpu, ES, off, size) ||
        !cpu_write(cpu, ES, off, size, cpu->pins.in(cpu, port, size)))
        return false;
    watch_port(cpu, port, size);
    advance_register(cpu, in, EDI, size);
    return true;
}

static bool step_outs(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u16 port = (u16)cpu->gpr[EDX];
    u64 val;

    if (!check_io(cpu, port, size) ||
        !cpu_read(cpu, in->seg, cpu->gpr[ESI] & address_mask(in), size, &val))
        return false;
    cpu->pins.out(cpu, port, size, (u32)val);
    watch_port(cpu, port, size);
    advance_register(cpu, in, ESI, size);
    return true;
}

/*
 * Many elements at once: as long as they stay in one page and inside the segment, what held for
 * the first holds for all. Returns the bytes one may move from `off` on; 0: one by one.
 */
static u32 string_span(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u32 count, u32 mask)
{
    const struct segment *s = &cpu->seg[seg];
    u32 page = PAGE_SIZE - ((s->base + off) & PAGE_MASK), n = STRING_BYTES;

    if (cpu->eflags & FLAG_DF || cpu_debug_armed(cpu) || (s->attr & (SEG_CODE | SEG_E)) == SEG_E)
        return 0;
    n = page < n ? page : n;
    if (count < n / size)
        n = count * size;
    n -= n % size;
    if (!n || off > s->limit || s->limit - off < n - 1 || off + n - 1 > mask)
        return 0;
    return n;
}

/* *n elements were moved, 0 if the port takes single ones now; false: the first one faults. */
static bool bulk_ins(struct vcpu *cpu, const struct insn *in, u32 size, u32 count, u32 *n)
{
    u32 mask = address_mask(in), off = cpu->gpr[EDI] & mask;
    u32 span = string_span(cpu, ES, off, size, count, mask);
    u8 buf[STRING_BYTES];

    *n = 0;
    if (!span)
        return true;
    if (!cpu_check_write(cpu, ES, off, size))
        return false;
    *n = cpu->pins.in_string(cpu, (u16)cpu->gpr[EDX], size, buf, span / size);
    if (*n && !cpu_write_bytes(cpu, ES, off, buf, *n * size))
        return false;
    advance_register(cpu, in, EDI, *n * size);
    return true;
}

/* From plain memory only: reading a device's may change it, and not all may be wanted. */
static bool bulk_outs(struct vcpu *cpu, const struct insn *in, u32 size, u32 count, u32 *n)
{
    u32 mask = address_mask(in), off = cpu->gpr[ESI] & mask;
    u32 span = string_span(cpu, in->seg, off, size, count, mask);
    bool fault;
    u8 *hva;

    *n = 0;
    if (!span)
        return true;
    if (!cpu_check_read(cpu, in->seg, off, size))
        return false;
    hva = mmu_host(&cpu->paging, cpu->seg[in->seg].base + off, MMU_READ, &fault);
    if (!hva)
        return !fault;
    *n = cpu->pins.out_string(cpu, (u16)cpu->gpr[EDX], size, hva, span / size);
    advance_register(cpu, in, ESI, *n * size);
    return true;
}

static bool must_pause(struct vcpu *cpu)
{
    return cpu_asked(cpu, 16) || cpu->eflags & FLAG_TF || cpu_debugger_stepping(cpu);
}

static bool repeat_port_string(struct vcpu *cpu, const struct insn *in,
                   bool (*step)(struct vcpu *, const struct insn *, u32),
                   bool (*bulk)(struct vcpu *, const struct insn *, u32, u32, u32 *))
{
    u32 mask = address_mask(in), size = in->opcode & 1 ? in->opsize : 1, count, n;
    bool strings;

    cpu->mid_rep = 0;
    if (!(in->prefixes & (PFX_REP | PFX_REPNE)))
        return step(cpu, in, size);
    if (!check_io(cpu, (u16)cpu->gpr[EDX], size)) /* even if the count is 0 */
        return false;
    strings = cpu->pins.has_strings && cpu->pins.has_strings(cpu, (u16)cpu->gpr[EDX], size);
    while ((count = cpu->gpr[ECX] & mask)) {
        n = 0;
        if (strings && !bulk(cpu, in, size, count, &n))
            return false;
        if (!n && !step(cpu, in, size))
            return false;
        n += !n;
        cpu->gpr[ECX] = (cpu->gpr[ECX] & ~mask) | (count - n);
        if (count > n && must_pause(cpu)) {
            cpu->mid_rep = 1;
            return true;
        }
    }
    return true;
}

bool ex_ins(struct vcpu *cpu, const struct insn *in)
{
    return repeat_port_string(cpu, in, step_ins, bulk_ins);
}

bool ex_outs(struct vcpu *cpu, const struct insn *in)
{
    return repeat_port_string(cpu, in, step_outs, bulk_outs);
}
