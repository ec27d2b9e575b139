/*
 * Debug registers (SDM vol. 3, chapter 17): MOV to and from them, and the three questions the
 * interpreter and the port instructions ask: does a breakpoint cover this fetch, this data access,
 * this port? The answers of the last two wait in vcpu.db_pending for the instruction's end.
 */
#include "cpu/debug.h"
#include "cpu/debugger.h"
#include "cpu/deliver.h"
#include "cpu/insn.h"

enum { RW_EXEC = 0, RW_WRITE = 1, RW_IO = 2, RW_ACCESS = 3 };
enum { DR6_ONES = 0xffff0ff0, DR6_BITS = 0xe00f, DR7_ONES = 0x400 };
static const u32 DR7_BITS = 0xffff23ff;

static bool breakpoint_enabled(const struct vcpu *cpu, u32 n)
{
    return cpu->dr[7] >> 2 * n & 3;
}

static u32 breakpoint_kind(const struct vcpu *cpu, u32 n)
{
    return cpu->dr[7] >> (16 + 4 * n) & 3;
}

/* Bytes covered: LEN 2 is undefined in 32-bit processors; one byte. */
static u32 breakpoint_length(const struct vcpu *cpu, u32 n)
{
    static const u8 lengths[] = { 1, 2, 1, 4 };

    return lengths[cpu->dr[7] >> (18 + 4 * n) & 3];
}

static bool breakpoint_covers(const struct vcpu *cpu, u32 n, u32 at, u32 size)
{
    u32 len = breakpoint_length(cpu, n), first = cpu->dr[n] & ~(len - 1);

    return at - first < len || first - at < size;
}

static void pend_debug_trap(struct vcpu *cpu, u32 bits)
{
    if (!bits)
        return;
    cpu->db_pending |= bits;
    request_set(cpu, REQ_TRAP);
}

bool cpu_debug_fetch(struct vcpu *cpu, gla_t gla)
{
    u32 hits = 0;

    for (u32 n = 0; n < 4; n++)
        if (breakpoint_enabled(cpu, n) && breakpoint_kind(cpu, n) == RW_EXEC && cpu->dr[n] == gla)
            hits |= 1u << n;
    if (!hits)
        return true;
    cpu->dr[6] |= hits;
    return cpu_fault(cpu, EXC_DB, 0);
}

void cpu_debug_access(struct vcpu *cpu, gla_t gla, u32 size, bool write)
{
    u32 hits = 0;

    if (cpu->watch_all)
        cpu_debugger_access(cpu, gla, size, write);
    for (u32 n = 0; n < 4; n++)
        if (breakpoint_enabled(cpu, n) && (breakpoint_kind(cpu, n) == RW_ACCESS || (write && breakpoint_kind(cpu, n) == RW_WRITE)) &&
            breakpoint_covers(cpu, n, gla, size))
            hits |= 1u << n;
    pend_debug_trap(cpu, hits);
}

void cpu_debug_io(struct vcpu *cpu, u16 port, u32 size)
{
    u32 hits = 0;

    if (!(cpu->cr4 & CR4_DE))
        return;
    for (u32 n = 0; n < 4; n++)
        if (breakpoint_enabled(cpu, n) && breakpoint_kind(cpu, n) == RW_IO && breakpoint_covers(cpu, n, port, size))
            hits |= 1u << n;
    pend_debug_trap(cpu, hits);
}

/* The P6's records hold offsets inside the code segment. */
void cpu_debug_branch(struct vcpu *cpu, u32 from)
{
    if (!(cpu->debugctl & DEBUGCTL_LBR))
        return;
    cpu->last_branch[0] = from;
    cpu->last_branch[1] = cpu->eip;
}

void cpu_debug_interrupted(struct vcpu *cpu, u32 vector, u32 from)
{
    if (cpu->debugctl & DEBUGCTL_LBR) {
        cpu->last_int[0] = cpu->last_branch[0];
        cpu->last_int[1] = cpu->last_branch[1];
        cpu_debug_branch(cpu, from);
    }
    if (vector == EXC_DB)
        cpu->debugctl &= ~(u32)(DEBUGCTL_LBR | DEBUGCTL_BTF);
}

static void write_dr(struct vcpu *cpu, u32 n, u32 val)
{
    if (n == 6)
        val = (val & DR6_BITS) | DR6_ONES;
    else if (n == 7)
        val = (val & DR7_BITS) | DR7_ONES;
    cpu->dr[n] = val;
}

bool ex_mov_dr(struct vcpu *cpu, const struct insn *in)
{
    bool write = in->op[0].kind == OP_DR;
    u32 n = in->op[write ? 0 : 1].reg, reg = in->op[write ? 1 : 0].reg;

    if (n > 7 || ((n == 4 || n == 5) && cpu->cr4 & CR4_DE))
        return cpu_fault(cpu, EXC_UD, 0);
    if (cpu->cpl != 0)
        return cpu_fault(cpu, EXC_GP, 0);
    if (cpu->dr[7] & DR7_GD) {
        cpu->dr[6] |= DR6_BD;
        return cpu_fault(cpu, EXC_DB, DR6_BD);
    }
    if (n == 4 || n == 5)
        n += 2; /* without CR4.DE: other names of DR6 and DR7 */
    if (write)
        write_dr(cpu, n, cpu->gpr[reg]);
    else
        cpu->gpr[reg] = cpu->dr[n];
    return true;
}
