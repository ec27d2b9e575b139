/*
 * Zydis' decoding, reduced to struct insn. The decoder modes are set so that encodings newer
 * than any of our models decode as they did then: the MPX and CET spaces are NOPs. LZCNT and
 * TZCNT, which are BSR and BSF to most models, are told apart by their handlers.
 */
#include "cpu/cpuid.h"
#include "cpu/insn.h"
#include <string.h>

static ZydisDecoder decoders[2]; /* 16-bit, 32-bit code */

__attribute__((constructor)) static void decoders_init(void)
{
    static const ZydisDecoderMode off[] = {
        ZYDIS_DECODER_MODE_MPX,
        ZYDIS_DECODER_MODE_CET,
        ZYDIS_DECODER_MODE_WBNOINVD,
        ZYDIS_DECODER_MODE_CLDEMOTE,
    };

    ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    for (u32 i = 0; i < 2; i++)
        for (u32 k = 0; k < ARRAY_SIZE(off); k++)
            ZydisDecoderEnableMode(&decoders[i], off[k], ZYAN_FALSE);
}

/* Our number of a Zydis register; AH-BH are 4-7 as encoded. */
static u8 reg_number(ZydisRegister r)
{
    static const u8 segs[] = { ES, CS, SS, DS, FS, GS };

    if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL)
        return (u8)(r - ZYDIS_REGISTER_AL);
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
        return (u8)(4 + r - ZYDIS_REGISTER_AH);
    if (r >= ZYDIS_REGISTER_ES && r <= ZYDIS_REGISTER_GS)
        return segs[r - ZYDIS_REGISTER_ES];
    return (u8)ZydisRegisterGetId(r);
}

static u8 reg_kind(ZydisRegister r)
{
    switch (ZydisRegisterGetClass(r)) {
    case ZYDIS_REGCLASS_SEGMENT:
        return OP_SEG;
    case ZYDIS_REGCLASS_CONTROL:
        return OP_CR;
    case ZYDIS_REGCLASS_DEBUG:
        return OP_DR;
    case ZYDIS_REGCLASS_X87:
        return OP_ST;
    case ZYDIS_REGCLASS_MMX:
        return OP_MMX;
    case ZYDIS_REGCLASS_XMM:
        return OP_XMM;
    case ZYDIS_REGCLASS_YMM:
        return OP_YMM;
    default:
        return OP_REG;
    }
}

static void take_memory(struct insn *in, const ZydisDecodedInstruction *z,
                        const ZydisDecodedOperand *o)
{
    in->base = o->mem.base == ZYDIS_REGISTER_NONE ? NO_REG : reg_number(o->mem.base);
    in->index = o->mem.index == ZYDIS_REGISTER_NONE ? NO_REG : reg_number(o->mem.index);
    in->scale = o->mem.scale ? o->mem.scale : 1;
    in->disp = o->mem.disp.has_displacement ? (i32)o->mem.disp.value : 0;
    in->disp_size = z->raw.disp.size / 8;
    in->seg = reg_number(o->mem.segment);
}

static void take_immediate(struct insn *in, const ZydisDecodedOperand *o, u32 nth)
{
    u32 val = (u32)o->imm.value.u;

    if (nth)
        in->imm2 = val;
    else
        in->imm = val;
}

static u8 gpr_field(ZydisOperandEncoding encoding)
{
    return encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG  ? GPR_REG
           : encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ? GPR_RM
           : encoding == ZYDIS_OPERAND_ENCODING_OPCODE   ? GPR_OPCODE
           : encoding == ZYDIS_OPERAND_ENCODING_NDSNDD   ? GPR_VVVV
                                                         : 0;
}

static void take_operand(struct insn *in, const ZydisDecodedInstruction *z,
                         const ZydisDecodedOperand *o, u32 *immediates)
{
    struct operand *op = &in->op[in->nops++];

    op->size = (u16)(o->size / 8);
    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        op->kind = reg_kind(o->reg.value);
        op->reg = reg_number(o->reg.value);
        if (op->kind == OP_REG && op->size > 1)
            in->gpr_fields |= gpr_field(o->encoding);
        break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        op->kind = OP_MEM;
        take_memory(in, z, o);
        break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        op->kind = OP_FAR;
        in->imm = o->ptr.offset;
        in->imm2 = o->ptr.segment;
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        op->kind = o->imm.is_relative ? OP_REL : OP_IMM;
        take_immediate(in, o, (*immediates)++);
        break;
    default:
        in->nops--;
    }
}

static u8 take_prefixes(const ZydisDecodedInstruction *z)
{
    u8 p = 0;

    for (u32 i = 0; i < z->raw.prefix_count; i++)
        switch (z->raw.prefixes[i].value) {
        case 0xf0:
            p |= PFX_LOCK;
            break;
        case 0xf2:
            p = (u8)((p & ~PFX_REP) | PFX_REPNE); /* the last one counts */
            break;
        case 0xf3:
            p = (u8)((p & ~PFX_REPNE) | PFX_REP);
            break;
        case 0x66:
            p |= PFX_OPSIZE;
            break;
        case 0x67:
            p |= PFX_ADDRSIZE;
            break;
        default:
            p |= PFX_SEG;
        }
    return p;
}

/* The segment an instruction without a listed memory operand uses: the string source, XLAT. */
static u8 default_segment(const ZydisDecodedInstruction *z)
{
    u8 seg = DS;

    for (u32 i = 0; i < z->raw.prefix_count; i++)
        switch (z->raw.prefixes[i].value) {
        case 0x26:
            seg = ES;
            break;
        case 0x2e:
            seg = CS;
            break;
        case 0x36:
            seg = SS;
            break;
        case 0x3e:
            seg = DS;
            break;
        case 0x64:
            seg = FS;
            break;
        case 0x65:
            seg = GS;
            break;
        }
    return seg;
}

static u8 opcode_map(ZydisOpcodeMap map)
{
    return map == ZYDIS_OPCODE_MAP_0F     ? 1
           : map == ZYDIS_OPCODE_MAP_0F38 ? 2
           : map == ZYDIS_OPCODE_MAP_0F3A ? 3
                                          : 0;
}

/* Sizes by prefix: Zydis' own follow the instruction (a byte operation has width 8 there). */
static void take_sizes(struct insn *in, bool code32)
{
    in->opsize = code32 != !!(in->prefixes & PFX_OPSIZE) ? 4 : 2;
    in->addrsize = code32 != !!(in->prefixes & PFX_ADDRSIZE) ? 4 : 2;
}

static enum decode_result failure(ZyanStatus status, u32 n)
{
    if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
        return DECODE_TOO_LONG;
    if (status == ZYDIS_STATUS_NO_MORE_DATA)
        return n >= 15 ? DECODE_TOO_LONG : DECODE_SHORT;
    return DECODE_INVALID;
}

/*
 * Does the manual's syntax show this operand? Zydis calls fixed registers (EAX of 05, CL of D3,
 * ES of 06) implicit, which is shown, unlike hidden; x87's ST(0) and the 1 of D1 are left out.
 */
static bool operand_shown(const ZydisDecodedOperand *o)
{
    if (o->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
        return true;
    if (o->visibility != ZYDIS_OPERAND_VISIBILITY_IMPLICIT ||
        o->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    return reg_kind(o->reg.value) == OP_REG || reg_kind(o->reg.value) == OP_SEG;
}

static u16 mnemonic_of(const ZydisDecodedInstruction *z)
{
    bool string = z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;

    if (z->mnemonic == ZYDIS_MNEMONIC_MOVSD && !string)
        return ZYDIS_MNEMONIC_SSE_MOVSD;
    if (z->mnemonic == ZYDIS_MNEMONIC_CMPSD && !string)
        return ZYDIS_MNEMONIC_SSE_CMPSD;
    return (u16)z->mnemonic;
}

/*
 * What a form with VEX came with; FEAT_ALWAYS: it is undefined, as what is newer (masks,
 * VNNI…). Of AES and PCLMULQDQ those with YMM have features of their own.
 */
static enum cpu_feature vex_feature(const ZydisDecodedInstruction *z)
{
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return FEAT_ALWAYS;
    switch (z->meta.isa_ext) {
    case ZYDIS_ISA_EXT_AVX:
        return z->mnemonic == ZYDIS_MNEMONIC_VPCLMULQDQ ? FEAT_PCLMUL : FEAT_AVX;
    case ZYDIS_ISA_EXT_AVX2:
    case ZYDIS_ISA_EXT_AVX2GATHER:
        return FEAT_AVX2;
    case ZYDIS_ISA_EXT_AVXAES:
        return FEAT_AES;
    case ZYDIS_ISA_EXT_FMA:
        return FEAT_FMA;
    case ZYDIS_ISA_EXT_F16C:
        return FEAT_F16C;
    case ZYDIS_ISA_EXT_VAES:
        return FEAT_VAES;
    case ZYDIS_ISA_EXT_VPCLMULQDQ:
        return FEAT_VPCLMUL;
    case ZYDIS_ISA_EXT_BMI1:
        return FEAT_BMI1;
    case ZYDIS_ISA_EXT_BMI2:
        return FEAT_BMI2;
    default:
        return FEAT_ALWAYS;
    }
}

enum decode_result insn_decode_anew(const u8 *bytes, u32 n, bool code32, struct insn *in,
                                    bool *imm_signed)
{
    const ZydisDecoder *d = &decoders[code32];
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderContext context;
    enum cpu_feature form;
    u32 immediates = 0;
    ZyanStatus status;

    if (n > 15)
        n = 15;
    status = ZydisDecoderDecodeInstruction(d, &context, bytes, n, &z);
    if (!ZYAN_SUCCESS(status))
        return failure(status, n);
    form = vex_feature(&z);
    if (z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && form == FEAT_ALWAYS)
        return DECODE_INVALID;
    status = ZydisDecoderDecodeOperands(d, &context, &z, ops, z.operand_count);
    if (!ZYAN_SUCCESS(status))
        return failure(status, n);
    *in = (struct insn){ .mnem = mnemonic_of(&z), .len = z.length, .base = NO_REG,
                         .index = NO_REG, .scale = 1, .map = opcode_map(z.opcode_map),
                         .opcode = z.opcode, .prefixes = take_prefixes(&z) };
    take_sizes(in, code32);
    in->has_modrm = !!(z.attributes & ZYDIS_ATTRIB_HAS_MODRM);
    if (in->has_modrm)
        in->modrm = (u8)(z.raw.modrm.mod << 6 | z.raw.modrm.reg << 3 | z.raw.modrm.rm);
    if (z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
        in->vex = (u8)(z.raw.vex.offset + 1);
    in->form = (u8)form;
    in->seg = default_segment(&z);
    in->imm_size = (u8)((z.raw.imm[0].size + z.raw.imm[1].size) / 8);
    for (u32 i = 0; i < z.operand_count && in->nops < ARRAY_SIZE(in->op); i++)
        if (operand_shown(&ops[i]))
            take_operand(in, &z, &ops[i], &immediates);
    memcpy(in->raw, bytes, in->len);
    *imm_signed = z.raw.imm[0].is_signed;
    return DECODE_OK;
}
