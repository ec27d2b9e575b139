/*
 * Finds the forms by decoding: every opcode with every prefix that selects an instruction,
 * every ModRM.reg, every register and [EBX]. What the table (cpu_ops) has a handler for is a
 * form; encodings that mean the same are one. So an instruction of the table cannot be left
 * out.
 */
#include "bench/prices/forms.h"
#include "cpu/cpuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 14, MEMORY = 8 };

static struct form *forms;
static u32 count;
static u16 slots[SLOTS]; /* index of a form + 1, by the hash of its name */
static ZydisDecoder long_mode;

/* ---- Names ---- */

static void operand_name(const struct insn *in, const struct operand *o, char *s)
{
    static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };

    switch (o->kind) {
    case OP_REG:
        sprintf(s, insn_high_byte(o) ? "h8" : "r%u", o->size * 8);
        break;
    case OP_SEG:
        strcpy(s, segs[o->reg]);
        break;
    case OP_CR:
    case OP_DR:
        sprintf(s, o->kind == OP_CR ? "cr%u" : "dr%u", o->reg);
        break;
    case OP_ST:
        strcpy(s, in->opcode == 0xdc || in->opcode == 0xde ? "sti,st0" : "sti");
        break;
    case OP_MMX:
    case OP_XMM:
        strcpy(s, o->kind == OP_MMX ? "mm" : "xmm");
        break;
    case OP_MEM:
        sprintf(s, in->has_modrm ? "m%u" : "moffs%u", o->size * 8);
        break;
    case OP_REL:
        sprintf(s, "rel%u", in->imm_size * 8);
        break;
    case OP_FAR:
        strcpy(s, "far");
        break;
    default:
        sprintf(s, "i%u", in->imm_size * 8);
    }
}

static void form_name(const struct insn *in, char *name)
{
    bool far_return = in->mnem == ZYDIS_MNEMONIC_RET && (in->opcode & 8);

    strcpy(name, far_return ? "retf" : insn_name(in->mnem));
    for (u32 i = 0; i < in->nops; i++) {
        strcat(name, i ? "," : " ");
        operand_name(in, &in->op[i], name + strlen(name));
    }
}

/* ---- The same bytes in 64-bit code ---- */

static u8 register_kind(ZydisRegisterClass c)
{
    return c == ZYDIS_REGCLASS_MMX   ? OP_MMX
           : c == ZYDIS_REGCLASS_XMM ? OP_XMM
           : c == ZYDIS_REGCLASS_X87 ? OP_ST
                                     : OP_REG;
}

static bool operand_same(const struct operand *o, const ZydisDecodedOperand *z, bool stack)
{
    if (!stack && o->size * 8 != z->size)
        return false;
    if (z->type == ZYDIS_OPERAND_TYPE_MEMORY)
        return o->kind == OP_MEM && z->mem.base == ZYDIS_REGISTER_RBX;
    if (z->type == ZYDIS_OPERAND_TYPE_REGISTER)
        return o->kind == register_kind(ZydisRegisterGetClass(z->reg.value));
    return z->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && (o->kind == OP_IMM || o->kind == OP_REL);
}

static ZydisMnemonic zydis_mnemonic(u32 mnem)
{
    return mnem == ZYDIS_MNEMONIC_SSE_MOVSD   ? ZYDIS_MNEMONIC_MOVSD
           : mnem == ZYDIS_MNEMONIC_SSE_CMPSD ? ZYDIS_MNEMONIC_CMPSD
                                              : (ZydisMnemonic)mnem;
}

static bool same_in_long_mode(const struct insn *in)
{
    bool stack = cpu_ops[in->mnem].attr & OP_STACK;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction z;
    u32 k = 0;

    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&long_mode, in->raw, in->len, &z, ops)) ||
        z.length != in->len || z.mnemonic != zydis_mnemonic(in->mnem))
        return false;
    for (u32 i = 0; i < z.operand_count && k < in->nops; i++)
        if (ops[i].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT &&
            !operand_same(&in->op[k++], &ops[i], stack))
            return false;
    return true;
}

/* ---- The list ---- */

static struct form *form_at(const char *name)
{
    u32 h = 5381;

    for (const char *s = name; *s; s++)
        h = h * 33 + (u8)*s;
    for (h %= SLOTS; slots[h]; h = (h + 1) % SLOTS)
        if (!strcmp(forms[slots[h] - 1].name, name))
            return &forms[slots[h] - 1];
    check(count < MAX_FORMS, "more than %u forms", MAX_FORMS);
    slots[h] = (u16)++count;
    strcpy(forms[count - 1].name, name);
    return &forms[count - 1];
}

static void take(const struct insn *in)
{
    char name[FORM_NAME];
    struct form *f;

    form_name(in, name);
    f = form_at(name);
    if (!f->in.len)
        f->in = *in;
    if (!f->alt_len && same_in_long_mode(in)) {
        f->alt_len = in->len;
        memcpy(f->alt, in->raw, in->len);
    }
}

bool form_there(u32 mnemonic)
{
    const struct op_row *row = &cpu_ops[mnemonic];

    return row->exec && cpu_models[0].features & FEATURE_BIT(row->feature);
}

/* Is that a form, not a repetition or an operand size that nobody uses with it? */
static bool wanted(const struct insn *in, bool code32)
{
    const struct op_row *row = &cpu_ops[in->mnem];

    if (!form_there(in->mnem))
        return false;
    if (row->attr & OP_STRING)
        return !(in->prefixes & (PFX_REP | PFX_REPNE));
    if ((row->attr & OP_FLOW) && in->mnem != ZYDIS_MNEMONIC_IRET &&
        in->mnem != ZYDIS_MNEMONIC_IRETD)
        return in->opsize == (code32 ? 4 : 2);
    return true;
}

/* Tries prefix, map and opcode with one ModRM; false: it has none. */
static bool try_modrm(bool code32, u8 prefix, u32 map, u32 opcode, u8 modrm)
{
    u8 bytes[32] = { 0 };
    struct insn in;
    bool sign;
    u32 n = 0;

    if (prefix)
        bytes[n++] = prefix;
    if (map)
        bytes[n++] = 0x0f;
    bytes[n++] = (u8)opcode;
    bytes[n++] = modrm;
    bytes[n] = 1; /* an immediate of any size */
    if (insn_decode_anew(bytes, 15, code32, &in, &sign) != DECODE_OK)
        return true;
    if (!in.has_modrm) {
        bytes[n - 1] = 1;
        bytes[n] = 0;
        insn_decode_anew(bytes, 15, code32, &in, &sign);
    }
    if (wanted(&in, code32))
        take(&in);
    return in.has_modrm;
}

static void try_opcode(bool code32, u8 prefix, u32 map, u32 opcode)
{
    /* The first of each kind is what a form gets: EDX for reg, ECX for rm, DH and CH. */
    static const u8 regs[] = { 2, 0, 1, 3, 6, 4, 5, 7 },
                    rms[] = { MEMORY, 1, 0, 2, 3, 5, 4, 6, 7 };
    u8 memory = code32 ? 3 : 7; /* [EBX], [BX] */

    for (u32 i = 0; i < sizeof(regs); i++)
        for (u32 k = 0; k < sizeof(rms); k++) {
            u8 rm = rms[k] == MEMORY ? memory : (u8)(0xc0 | rms[k]);

            if (!try_modrm(code32, prefix, map, opcode, (u8)(rm | regs[i] << 3)))
                return;
        }
}

static bool is_prefix(u32 opcode)
{
    return (opcode & 0xe7) == 0x26 || (opcode >= 0x64 && opcode <= 0x67) || opcode == 0xf0 ||
           opcode == 0xf2 || opcode == 0xf3 || opcode == 0x0f;
}

u32 forms_list(bool code32, struct form out[MAX_FORMS])
{
    static const u8 prefixes[] = { 0, 0x66, 0xf3, 0xf2 };

    ZydisDecoderInit(&long_mode, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    forms = out;
    count = 0;
    memset(slots, 0, sizeof(slots));
    memset(forms, 0, sizeof(*forms) * MAX_FORMS);
    for (u32 p = 0; p < sizeof(prefixes); p++)
        for (u32 map = 0; map < 2; map++)
            for (u32 opcode = 0; opcode < 256; opcode++)
                if (map || !is_prefix(opcode))
                    try_opcode(code32, prefixes[p], map, opcode);
    return count;
}
