/*
 * A guest instruction, decoded: what the interpreter's handlers and the translator's rows read.
 * Zydis decodes; this form is a quarter of the size, and holds only what our CPU has.
 *
 * Operands are the explicit ones of the manual's Intel syntax, in its order (destination first),
 * e.g. SHLD r/m32, r32, CL has three. Implicit operands (MUL's EAX, string instructions' ESI) are
 * not listed; handlers know them.
 */
#ifndef RING3_INSN_H
#define RING3_INSN_H

#include "cpu/vcpu.h"
#include <Zydis/Zydis.h>

enum operand_kind {
    OP_NONE,
    OP_REG, /* general register; reg is its number, 4-7 of size 1 are AH CH DH BH */
    OP_SEG, /* reg: enum seg */
    OP_CR, OP_DR,
    OP_ST,  /* reg: 0-7 */
    OP_MMX, OP_XMM, OP_YMM,
    OP_MEM, /* insn.seg, base, index, scale, disp; size 0 for LEA, INVLPG… */
    OP_IMM, /* insn.imm: sign-extended as the manual says, then cut to 32 bits; a second: imm2 */
    OP_REL, /* insn.imm: displacement from the next instruction */
    OP_FAR, /* ptr16:16 or ptr16:32: selector in imm2, offset in imm */
};
struct operand {
    u8 kind, reg;
    u16 size; /* bytes */
};
enum { NO_REG = 0xff };
enum { PFX_LOCK = 1, PFX_REP = 2 /* F3 */, PFX_REPNE = 4 /* F2 */, PFX_SEG = 8, PFX_OPSIZE = 16,
       PFX_ADDRSIZE = 32 };

enum { GPR_REG = 1 /* ModRM.reg */, GPR_RM = 2 /* ModRM.rm, mod 3 */, GPR_OPCODE = 4,
       GPR_VVVV = 8 /* VEX.vvvv */ };

/* SSE2's MOVSD and CMPSD, which for Zydis are one with the string instructions, are mnemonics of their own. */
enum {
    ZYDIS_MNEMONIC_SSE_MOVSD = ZYDIS_MNEMONIC_MAX_VALUE + 1,
    ZYDIS_MNEMONIC_SSE_CMPSD,
    INSN_MNEMONICS,
};
const char *insn_name(u32 mnem); /* in small letters */

struct insn {
    u16 mnem;      /* ZydisMnemonic, or one of the twins */
    u8 len;        /* 1 to 15 */
    u8 opsize;     /* effective operand size: 2 or 4 (bytes; also for byte instructions) */
    u8 addrsize;   /* 2 or 4 */
    u8 prefixes;   /* PFX_* */
    u8 seg;        /* of the memory operand (or of the string source), override applied */
    u8 nops;       /* explicit operands */
    u8 base, index, scale; /* of the memory operand; NO_REG; scale 1, 2, 4, 8 */
    u8 map;        /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
    u8 opcode;     /* last opcode byte */
    u8 modrm;      /* 0 if none */
    u8 has_modrm;
    u8 disp_size;  /* bytes of the displacement as encoded: 0, 1, 2, 4 */
    i32 disp;
    u32 imm, imm2;
    struct operand op[3];
    u8 raw[15];    /* len of them, then anything */
    u8 gpr_fields; /* GPR_*: which fields of the encoding name a 16- or 32-bit register */
    u8 imm_size;   /* bytes of the immediates as encoded, at the end of raw */
    u8 vex;        /* one more than where the VEX prefix stands in raw; 0: none */
    u8 form;       /* enum cpu_feature that this form with VEX came with; else FEAT_ALWAYS */
};

/* Decodes up to `n` bytes (at most 15 are looked at) of 32-bit or 16-bit code. */
enum decode_result {
    DECODE_OK,
    DECODE_SHORT,   /* more bytes needed */
    DECODE_TOO_LONG, /* over 15 bytes: #GP(0) */
    DECODE_INVALID, /* #UD; len is a guess */
};
enum decode_result insn_decode(const u8 *bytes, u32 n, bool code32, struct insn *in);
/* The same by Zydis alone: some 150 ns. *imm_signed: is the immediate sign-extended? Only if OK. */
enum decode_result insn_decode_anew(const u8 *bytes, u32 n, bool code32, struct insn *in,
                                    bool *imm_signed);

/* Offset of the memory operand inside its segment, truncated to the address size. */
static inline u32 insn_offset(const struct vcpu *cpu, const struct insn *in)
{
    u32 off = (u32)in->disp;

    if (in->base != NO_REG)
        off += cpu->gpr[in->base];
    if (in->index != NO_REG)
        off += cpu->gpr[in->index] * in->scale;
    return in->addrsize == 2 ? off & 0xffff : off;
}

/* The explicit memory operand; NULL: none. */
static inline const struct operand *insn_memory(const struct insn *in)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_MEM)
            return &in->op[i];
    return NULL;
}

/* The last byte of the VEX prefix: W or R, vvvv inverted, L, pp (SDM vol. 2, 2.3.5). */
static inline u8 insn_vex_last(const struct insn *in)
{
    return in->raw[in->vex - 1] == 0xc4 ? in->raw[in->vex + 1] : in->raw[in->vex];
}
static inline bool insn_vex_256(const struct insn *in) /* L */
{
    return insn_vex_last(in) & 4;
}
static inline bool insn_vex_w(const struct insn *in)
{
    return in->raw[in->vex - 1] == 0xc4 && in->raw[in->vex + 1] & 0x80;
}

/* AH, CH, DH or BH */
static inline bool insn_high_byte(const struct operand *o)
{
    return o->kind == OP_REG && o->size == 1 && o->reg >= 4;
}

/* ---- The table of instructions: cpu/ops.c, from ops_int.def, ops_sys.def and ops_fpu.def ---- */

/*
 * A handler runs one instruction: true when done, false when cpu_fault() was called. cpu->eip
 * still points at the instruction; after success the interpreter adds in->len, unless the row says
 * OP_FLOW, where the handler has set EIP itself (not taken: in->len added by the handler too).
 */
typedef bool insn_handler(struct vcpu *cpu, const struct insn *in);

enum { /* attributes of a row; tested before the handler, in the manual's order of priority */
    OP_FLOW = 1,    /* sets EIP */
    OP_CPL0 = 2,    /* #GP(0) unless CPL is 0 */
    OP_IOPL = 4,    /* #GP(0) if CPL > IOPL (outside real mode); not for V86 with VME: handler's */
    OP_PROT = 8,    /* #UD in real mode and V86 */
    OP_LOCK = 16,   /* LOCK allowed with a memory destination, else #UD */
    OP_STRING = 32, /* REP prefixes mean repetition */
    OP_CONTEXT = 64, /* mode, segments or EFLAGS may be such behind it that other translations hold */
    OP_FPU = 128,   /* #NM if CR0.EM or TS (WAIT: handler's); then pending #MF unless OP_NOWAIT */
    OP_NOWAIT = 256,
    OP_MMXREG = 512, /* #UD if CR0.EM; #NM if TS; pending #MF */
    OP_SSE = 1024,  /* #UD if CR0.EM or !CR4.OSFXSR; #NM if TS */
    OP_INT = 2048,  /* software interrupt: no single-step trap once its handler is entered */
    OP_STANDS = 4096,  /* EIP stays where it is, for who knows how long: HLT */
    OP_STACK = 8192,   /* accesses the top of the stack, with its operand size */
    OP_STORES = 1 << 14, /* writes memory that is no operand of it */
    OP_DIVIDES = 1 << 15, /* #DE, on the host too */
    OP_SHADOW = 1 << 16, /* no interrupt comes between it and the next instruction (MOV and POP to SS likewise) */
};
/* What every branch is: it may lead to code with other translations. */
enum { OP_BRANCH = OP_FLOW | OP_CONTEXT };
/* Rows with one of these are looked at before their handler runs. */
enum { OP_ADMIT = OP_CPL0 | OP_IOPL | OP_PROT | OP_FPU | OP_MMXREG | OP_SSE };
struct op_row {
    insn_handler *exec;
    u32 attr;
    u8 feature; /* enum cpu_feature: #UD on a model without it */
};
/* By ZydisMnemonic; exec NULL: #UD. */
extern const struct op_row cpu_ops[INSN_MNEMONICS];

/* X for each condition of CMOVcc, SETcc and Jcc, by the name its mnemonic has in Zydis. */
#define CONDITIONS(X)                                                                          \
    X(B) X(BE) X(L) X(LE) X(NB) X(NBE) X(NL) X(NLE) X(NO) X(NP) X(NS) X(NZ) X(O) X(P) X(S) X(Z)

#endif
