/*
 * Trap-and-emulate: what is sensitive traps on the host, and C emulates it (fault.c).
 *
 * A privileged instruction without a memory operand is copied: in the host's ring 3 it is #GP
 * by itself. The others, and those that x86 lets pass in silence, become HLT, which is #GP as
 * well: as if this were an architecture of Popek and Goldberg's theorem (CACM 1974), where each
 * sensitive instruction is privileged.
 *
 * Sensitive is what depends on the privilege that the guest believes to have. Its user code has
 * none to believe in; its code in real mode is run as in virtual-8086 mode with IOPL 0.
 */
#include "bt/memo.h"
#include "bt/encode.h"
#include "bt/emit.h"

enum { OPCODE_HLT = 0xf4 };

static bool has_operand(const struct insn *in, enum operand_kind kind)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == kind)
            return true;
    return false;
}

/* Traps in virtual-8086 mode with IOPL 0 (SDM vol. 3, 20.2.7), whatever else the guest does. */
static bool traps_in_v86(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
        return true;
    default:
        return false;
    }
}

/* Leaves user code for the kernel, or is nothing that user code may do. */
static bool traps_in_ring3(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT:
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
    case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT:
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
        return true;
    default:
        return cpu_ops[in->mnem].attr & (OP_CPL0 | OP_IOPL) || has_operand(in, OP_CR) ||
               has_operand(in, OP_DR);
    }
}

/* Reads or writes privileged state, and x86 says nothing (Robin and Irvine, USENIX Security
 * 2000); or asks what the processor is. */
static bool silent(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_SGDT:
    case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_CPUID:
        return true;
    default:
        break;
    }
    return has_operand(in, OP_SEG) || cpu_ops[in->mnem].attr & OP_PROT || insn_far(in);
}

bool xl_sensitive(const struct xl *x, const struct insn *in)
{
    u32 key = x->context->key;

    if (traps_in_ring3(in))
        return true;
    if (!(key & KEY_PROT))
        return traps_in_v86(in);
    return context_cpl(key) != 3 && silent(in);
}

/* Is it #GP by itself at the host's CPL 3, before it looks at anything else? */
static bool traps_by_itself(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT:
    case ZYDIS_MNEMONIC_CLTS:
    case ZYDIS_MNEMONIC_INVD:
    case ZYDIS_MNEMONIC_WBINVD:
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_WRMSR:
        return !(in->prefixes & PFX_LOCK);
    default:
        return false;
    }
}

void xl_trap(struct xl *x, const struct insn *in)
{
    x->site->form = FORM_TRAP;
    if (traps_by_itself(in))
        emit_bytes(x, in->raw, in->len);
    else
        emit8(x, OPCODE_HLT);
    x->ended = true;
}
