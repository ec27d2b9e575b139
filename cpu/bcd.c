/*
 * Decimal adjustment: DAA DAS AAA AAS AAM AAD, and SALC, which exist only outside 64-bit mode, so
 * the host's 64-bit code cannot run them. SDM vol. 2, by mnemonic; flags the manual leaves
 * undefined are as 32-bit code on a host shows them (tests/insn compares them).
 */
#include "cpu/deliver.h"
#include "cpu/hostop.h"
#include "cpu/operand.h"

HOST_BINARY(add, "add")

static u32 flags_szp(u8 val)
{
    return (val & 0x80 ? FLAG_SF : 0) | (val ? 0 : FLAG_ZF) |
           (__builtin_parity(val) ? 0 : FLAG_PF);
}

static void flags_set(struct vcpu *cpu, u32 flags)
{
    cpu->eflags = (cpu->eflags & ~FLAGS_ARITH) | flags;
}

/* DAA adds 06, 60 or 66; DAS subtracts them. */
static bool decimal_adjust(struct vcpu *cpu, bool subtract)
{
    u8 old = (u8)cpu->gpr[EAX], al = old;
    bool af = (old & 0xf) > 9 || cpu->eflags & FLAG_AF;
    bool cf = old > 0x99 || cpu->eflags & FLAG_CF;
    u8 adjust = (af ? 0x06 : 0) + (cf ? 0x60 : 0);

    al = subtract ? al - adjust : al + adjust;
    if (subtract && af && old < 6)
        cf = true;
    reg_write(cpu, EAX, 1, al);
    flags_set(cpu, flags_szp(al) | (af ? FLAG_AF : 0) | (cf ? FLAG_CF : 0));
    return true;
}

bool ex_daa(struct vcpu *cpu, const struct insn *in)
{
    return decimal_adjust(cpu, false);
}

bool ex_das(struct vcpu *cpu, const struct insn *in)
{
    return decimal_adjust(cpu, true);
}

/* AAA adds 0106 to AX, AAS subtracts it; AL keeps four bits. */
static bool ascii_adjust(struct vcpu *cpu, u16 adjust)
{
    u16 ax = (u16)cpu->gpr[EAX];
    bool carry = (ax & 0xf) > 9 || cpu->eflags & FLAG_AF;

    if (carry)
        ax += adjust;
    ax &= 0xff0f;
    reg_write(cpu, EAX, 2, ax);
    flags_set(cpu, flags_szp((u8)ax) | (carry ? FLAG_AF | FLAG_CF : 0));
    return true;
}

bool ex_aaa(struct vcpu *cpu, const struct insn *in)
{
    return ascii_adjust(cpu, 0x106);
}

bool ex_aas(struct vcpu *cpu, const struct insn *in)
{
    return ascii_adjust(cpu, (u16)-0x106);
}

bool ex_aam(struct vcpu *cpu, const struct insn *in)
{
    u8 al = (u8)cpu->gpr[EAX], base = (u8)in->imm;

    if (!base)
        return cpu_fault(cpu, EXC_DE, 0);
    reg_write(cpu, EAX, 2, (u32)(al / base) << 8 | al % base);
    flags_set(cpu, flags_szp(al % base));
    return true;
}

/* All flags are those of the addition. */
bool ex_aad(struct vcpu *cpu, const struct insn *in)
{
    u32 ax = flags_to_ax(cpu->eflags);
    u8 al = (u8)host_add(1, (u8)cpu->gpr[EAX], (u8)((cpu->gpr[EAX] >> 8) * in->imm), &ax);

    reg_write(cpu, EAX, 2, al);
    flags_commit(cpu, ax);
    return true;
}

/* D6, in no manual: AL := CF ? FF : 00 */
bool ex_salc(struct vcpu *cpu, const struct insn *in)
{
    reg_write(cpu, EAX, 1, cpu->eflags & FLAG_CF ? 0xff : 0);
    return true;
}
