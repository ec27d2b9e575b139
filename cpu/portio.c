/*
 * IN, OUT, INS, OUTS, and who may (SDM vol. 1, chapter 18; the I/O bitmap: 18.5.2). A port is
 * touched only after all that can fault has been tested, since reading one may change it.
 *
 * Repeated forms commit each iteration, as cpu/string.c does, and give way to attention.
 */
#include "cpu/debug.h"
#include "cpu/system.h"
#include "devices/device.h"

/* The bits of `size` ports starting at `port` in the bitmap of a 32-bit TSS: all clear? */
static bool bitmap_allows(struct vcpu *cpu, u16 port, u32 size, bool *allowed)
{
    const struct segment *tr = &cpu->seg[TR];
    u64 base, bits;

    *allowed = false;
    if (!(tr->attr & ATTR_P) || !(tr->attr & 8) || tr->limit < 103)
        return true;
    if (!mmu_load(cpu, tr->base + 102, 2, MMU_READ | MMU_SYSTEM, &base))
        return false;
    base += port / 8;
    if (base + 1 > tr->limit) /* two bytes are always read */
        return true;
    if (!mmu_load(cpu, tr->base + (u32)base, 2, MMU_READ | MMU_SYSTEM, &bits))
        return false;
    *allowed = !(bits >> (port & 7) & ((1u << size) - 1));
    return true;
}

bool cpu_check_io(struct vcpu *cpu, u16 port, u32 size)
{
    bool allowed;

    if (!(cpu->cr0 & CR0_PE) || (!cpu_v86(cpu) && cpu->cpl <= cpu_iopl(cpu)))
        return true;
    if (!bitmap_allows(cpu, port, size, &allowed))
        return false;
    return allowed || cpu_fault(cpu, EXC_GP, 0);
}

static void watch(struct vcpu *cpu, u16 port, u32 size)
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

    if (!cpu_check_io(cpu, port, size))
        return false;
    gpr_set(cpu, EAX, size, bus_in(cpu->machine, port, (enum io_size)size));
    watch(cpu, port, size);
    return true;
}

bool ex_out(struct vcpu *cpu, const struct insn *in)
{
    u16 port = port_operand(cpu, in, 0);
    u32 size = in->op[1].size;

    if (!cpu_check_io(cpu, port, size))
        return false;
    bus_out(cpu->machine, port, (enum io_size)size, gpr_get(cpu, EAX, size));
    watch(cpu, port, size);
    return true;
}

/* ---- INS, OUTS ---- */

static u32 address_mask(const struct insn *in)
{
    return in->addrsize == 2 ? 0xffff : 0xffffffff;
}

static void advance(struct vcpu *cpu, const struct insn *in, enum gpr reg, u32 by)
{
    u32 mask = address_mask(in), val = cpu->gpr[reg];

    val = cpu->eflags & FLAG_DF ? val - by : val + by;
    cpu->gpr[reg] = (cpu->gpr[reg] & ~mask) | (val & mask);
}

static bool step_ins(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u16 port = (u16)cpu->gpr[EDX];
    u32 off = cpu->gpr[EDI] & address_mask(in);

    if (!cpu_check_io(cpu, port, size) || !cpu_check_write(cpu, ES, off, size) ||
        !cpu_write(cpu, ES, off, size, bus_in(cpu->machine, port, (enum io_size)size)))
        return false;
    watch(cpu, port, size);
    advance(cpu, in, EDI, size);
    return true;
}

static bool step_outs(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u16 port = (u16)cpu->gpr[EDX];
    u64 val;

    if (!cpu_check_io(cpu, port, size) ||
        !cpu_read(cpu, in->seg, cpu->gpr[ESI] & address_mask(in), size, &val))
        return false;
    bus_out(cpu->machine, port, (enum io_size)size, (u32)val);
    watch(cpu, port, size);
    advance(cpu, in, ESI, size);
    return true;
}

static bool must_pause(const struct vcpu *cpu)
{
    return __atomic_load_n(&cpu->attention, __ATOMIC_RELAXED) || cpu->eflags & FLAG_TF;
}

static bool repeat(struct vcpu *cpu, const struct insn *in,
                   bool (*step)(struct vcpu *, const struct insn *, u32))
{
    u32 mask = address_mask(in), size = in->opcode & 1 ? in->opsize : 1, count;

    cpu->mid_rep = 0;
    if (!(in->prefixes & (PFX_REP | PFX_REPNE)))
        return step(cpu, in, size);
    if (!cpu_check_io(cpu, (u16)cpu->gpr[EDX], size)) /* even if the count is 0 */
        return false;
    while ((count = cpu->gpr[ECX] & mask)) {
        if (!step(cpu, in, size))
            return false;
        cpu->gpr[ECX] = (cpu->gpr[ECX] & ~mask) | (count - 1);
        if (count > 1 && must_pause(cpu)) {
            cpu->mid_rep = 1;
            return true;
        }
    }
    return true;
}

bool ex_ins(struct vcpu *cpu, const struct insn *in)
{
    return repeat(cpu, in, step_ins);
}

bool ex_outs(struct vcpu *cpu, const struct insn *in)
{
    return repeat(cpu, in, step_outs);
}
