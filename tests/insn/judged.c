/*
 * Which instructions this host can judge. It may be AMD's, where a few are not as Intel's; it
 * may have no local descriptor tables; or run no 32-bit code. In 64-bit mode most instructions
 * without a REX prefix do the same (SDM vol. 2, 2.2.1 and the "64-bit mode" column of each
 * page), given flat segments and the prefix 67, by which addresses have 32 bits. Not so: what
 * pushes or pops, what loads or asks for a selector, what is a prefix or nothing there.
 */
#include "tests/insn/generate.h"

#include <string.h>

#define LISTED(list, opcode) (memchr(list, opcode, sizeof(list)) != NULL)

static bool uses_selector(const struct insn *in)
{
    static const u8 one_byte[] = { 0x9a, 0xc4, 0xc5, 0xca, 0xcb, 0xcf, 0xea };
    static const u8 two_byte[] = { 0x00, 0x02, 0x03, 0xb2, 0xb4, 0xb5 };
    u32 reg = in->modrm >> 3 & 7;

    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_SEG)
            return true;
    if (in->map == 1)
        return LISTED(two_byte, in->opcode);
    return LISTED(one_byte, in->opcode) || (in->opcode == 0xff && (reg == 3 || reg == 5));
}

/* Opcodes that are gone, are prefixes, or use the stack or a pointer of 64 bits. */
static bool opcode_differs(const struct insn *in)
{
    static const u8 one_byte[] = {
        0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x62, 0x63, 0x68, 0x6a, 0x82, 0x8f, 0x9c, 0x9d,
        0xc2, 0xc3, 0xc8, 0xc9, 0xce, 0xd4, 0xd5, 0xd6, 0xe8,
    };
    u32 reg = in->modrm >> 3 & 7;

    if (in->map == 1)
        return in->opcode == 0xa0 || in->opcode == 0xa1;
    return LISTED(one_byte, in->opcode) || (in->opcode >= 0x40 && in->opcode < 0x60) ||
           (in->opcode == 0xff && reg >= 2 && reg <= 6);
}

/* Of the overriding prefixes only that for FS counts there, whichever comes last. */
static bool overrides_segment(const struct insn *in)
{
    return in->seg == CS || (in->prefixes & PFX_SEG && LISTED(in->raw, 0x64));
}

/* A bare disp32 is RIP's there; branches have no form with 16 bits of EIP. */
static bool operand_differs(const struct insn *in)
{
    if (in->addrsize == 2 || overrides_segment(in))
        return true;
    return (in->has_modrm && (in->modrm & 0xc7) == 5) ||
           (in->op[0].kind == OP_REL && in->opsize == 2);
}

/* A hypervisor may have calls of its own among INT 10 to 1F, all closed to a program
 * otherwise. */
static bool calls_hypervisor(const struct insn *in)
{
    return in->map == 0 && in->opcode == 0xcd && (in->imm & 0xf0) == 0x10;
}

/* What AMD's processors do otherwise: REP inverts LOOPE and LOOPNE, PREFETCH has no register
 * form. */
static bool differs_on_amd(const struct insn *in)
{
    if (in->map == 1)
        return in->opcode == 0x0d && in->modrm >= 0xc0;
    return (in->opcode == 0xe0 || in->opcode == 0xe1) && in->prefixes & (PFX_REP | PFX_REPNE);
}

static bool same_in_64_bits(const struct insn *in)
{
    return in->len < 15 && !opcode_differs(in) && !operand_differs(in) && !calls_hypervisor(in);
}

bool judged_by(const struct case_host *host, const struct insn *in)
{
    if (host->amd && differs_on_amd(in))
        return false;
    return (host->ldt || !uses_selector(in)) && (host->code32 || same_in_64_bits(in));
}
