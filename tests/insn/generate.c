/*
 * Random user-mode instructions: an opcode from the list, random prefixes, operands and registers;
 * then registers, displacement and stack are bent so that what it touches lies in the pages of the
 * case, or just outside where nothing is mapped. The oracle runs it with its own memory around it.
 */
#include "tests/insn/generate.h"

#include <string.h>

u32 dice_next(struct dice *d)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return (u32)(d->state * 0x2545f4914f6cdd1dull >> 32);
}

/* ---- Which opcodes ---- */

/* Not here: prefixes, far transfers and segment loads (tables differ from Linux's), IRET, x87. */
static bool opcode_one_byte(u8 op)
{
    static const u8 out[] = { 0x07, 0x17, 0x1f, 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66,
                              0x67, 0x8c, 0x8e, 0x9a, 0x9b, 0xc4, 0xc5, 0xca, 0xcb, 0xcf, 0xea,
                              0xf0, 0xf2, 0xf3 };

    return !memchr(out, op, sizeof(out)) && (op & 0xf8) != 0xd8;
}

/* Integer instructions of the P6; CLTS, INVD, MOV CRn, RDMSR for their #GP. */
static bool opcode_two_byte(u8 op)
{
    static const u8 in[] = { 0x06, 0x08, 0x09, 0x0b, 0x0d, 0x18, 0x1f, 0x20, 0x22, 0x23, 0x30,
                             0x32, 0xa3, 0xa4, 0xa5, 0xab, 0xac, 0xad, 0xaf, 0xb0, 0xb1, 0xb3,
                             0xb6, 0xb7, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0xc0, 0xc1,
                             0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xff };

    return memchr(in, op, sizeof(in)) || (op >= 0x40 && op < 0x50) || (op >= 0x80 && op < 0xa0);
}

/* Encodings that mean something newer, or something else, on the host. */
static bool encoding_differs(const struct insn *in)
{
    u32 reg = in->modrm >> 3 & 7;

    if (in->map == 1)
        return ((in->opcode == 0xbc || in->opcode == 0xbd) && in->prefixes & PFX_REP) || /* TZCNT */
               (in->opcode == 0xc7 && reg != 1);                               /* RDRAND, VMX */
    if (in->opcode == 0xc6 || in->opcode == 0xc7)
        return reg != 0; /* TSX */
    if (in->opcode == 0xff)
        return reg == 3 || reg == 5; /* far */
    if (in->opcode == 0xcd)
        return (u8)in->imm == 0x80; /* a system call */
    return in->opcode == 0x8f && reg != 0;
}

static u32 throw_prefixes(struct dice *d, u8 *code)
{
    static const u8 prefixes[] = { 0x66, 0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf3, 0xf0,
                                   0x26, 0x2e, 0x36, 0x3e, 0x64 };
    u32 n = 0;

    for (u32 chance = 3; dice_roll(d, chance) == 0 && n < 4; chance++)
        code[n++] = prefixes[dice_roll(d, sizeof(prefixes))];
    return n;
}

static void throw_code(struct dice *d, u8 code[15])
{
    u32 n = throw_prefixes(d, code);
    u8 op;

    if (dice_roll(d, 3) == 0) {
        code[n++] = 0x0f;
        do
            op = (u8)dice_next(d);
        while (!opcode_two_byte(op));
    } else {
        do
            op = (u8)dice_next(d);
        while (!opcode_one_byte(op));
    }
    code[n++] = op;
    while (n < 15)
        code[n++] = (u8)dice_next(d);
}

/* ---- Values ---- */

static u32 throw_value(struct dice *d)
{
    static const u32 edges[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
                                 0x7fffffff, 0x80000000, 0xffffffff, 0x99, 0x66, 0xfffe };
    u32 val = dice_next(d);

    switch (dice_roll(d, 6)) {
    case 0:
        return edges[val % ARRAY_SIZE(edges)];
    case 1:
        return edges[val % ARRAY_SIZE(edges)] ^ (edges[(val >> 8) % ARRAY_SIZE(edges)] << 8);
    case 2:
        return val & 0x3f;
    default:
        return val;
    }
}

/* A place in the data: anywhere, at an edge of its pages, or one in forty in the void beside. */
static u32 throw_address(struct dice *d)
{
    static const u32 edges[] = { 0, PAGE_SIZE, CASE_PAGES };
    u32 r = dice_roll(d, 40);

    if (r == 0)
        return CASE_DATA + (dice_roll(d, 2) ? CASE_PAGES + 64 : (u32)-64);
    if (r < 10)
        return CASE_DATA + edges[dice_roll(d, 3)] + dice_roll(d, 32) - 16;
    return CASE_DATA + dice_roll(d, CASE_PAGES - 64);
}

static u32 throw_flags(struct dice *d)
{
    u32 flags = (dice_next(d) & (FLAGS_ARITH | FLAG_DF)) | FLAG_1 | FLAG_IF;

    if (dice_roll(d, 16) == 0)
        flags |= FLAG_TF;
    if (dice_roll(d, 16) == 0)
        flags |= FLAG_AC;
    return flags;
}

/* ---- Bending ---- */

static bool touches_memory(const struct insn *in)
{
    return (in->op[0].kind == OP_MEM || in->op[1].kind == OP_MEM) && in->mnem != ZYDIS_MNEMONIC_LEA;
}

/* insn_offset() of a case's registers */
static u32 offset_of(const struct insn_case *c, const struct insn *in)
{
    static struct vcpu cpu;

    memcpy(cpu.gpr, c->before.gpr, sizeof(cpu.gpr));
    return insn_offset(&cpu, in);
}

/* Makes the memory operand lie at `aim`, by its base, its index, or its displacement. */
static bool aim_at(struct insn_case *c, struct insn *in, u32 aim)
{
    u32 missing;

    if (in->addrsize == 2)
        return true; /* the low 64 KiB are mapped nowhere */
    missing = aim - offset_of(c, in);
    if (in->base != NO_REG && in->base != in->index)
        c->before.gpr[in->base] += missing;
    else if (in->index != NO_REG && in->index != in->base && in->scale == 1)
        c->before.gpr[in->index] += missing;
    else if (in->disp_size == 4)
        for (u32 i = 0; i + 4 <= in->len; i++)
            if (!memcmp(c->code + i, &in->disp, 4)) {
                in->disp += (i32)missing;
                memcpy(c->code + i, &in->disp, 4);
                break;
            }
    return offset_of(c, in) == aim;
}

/* Split locks may be forbidden on the host: align what is locked. */
static u32 align_locked(const struct insn *in, u32 aim)
{
    if (in->prefixes & PFX_LOCK || in->mnem == ZYDIS_MNEMONIC_XCHG)
        return aim & ~7u;
    return aim;
}

static void poke(struct insn_case *c, u32 at, u32 val)
{
    if (at - CASE_DATA > CASE_PAGES - 4)
        return;
    c->poke_at = at - CASE_DATA;
    c->poke = val;
}

static u32 data_at(const struct insn_case *c, const u8 *data, u32 at)
{
    u32 val = 0;

    if (at - CASE_DATA <= CASE_PAGES - 4)
        memcpy(&val, data + (at - CASE_DATA), 4);
    return val;
}

/* Branch displacements stay within the code pages, mostly. */
static void bend_branch(struct dice *d, struct insn_case *c, const struct insn *in)
{
    u32 size = in->op[0].size;
    i32 rel = (i32)dice_roll(d, 1024) - 512;

    if (size > 1)
        memcpy(c->code + in->len - size, &rel, size);
}

/* A branch into its own bytes could go on for ever. */
static bool branches_to_itself(const struct insn_case *c, const struct insn *in)
{
    struct insn bent;

    if (in->op[0].kind != OP_REL || insn_decode(c->code, 15, true, &bent) != DECODE_OK)
        return false;
    return bent.imm + bent.len < bent.len; /* relative to the instruction's start */
}

/* What the instruction finds where it looks for an address, or for what it compares with. */
static void bend_contents(struct dice *d, const u8 *data, struct insn_case *c,
                          const struct insn *in, u32 aim)
{
    u32 target = CASE_CODE + PAGE_SIZE + dice_roll(d, 2048);

    switch (in->mnem) {
    case ZYDIS_MNEMONIC_RET:
        poke(c, c->before.gpr[ESP], target);
        break;
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPF:
        if (c->before.gpr[ESP] - CASE_DATA > CASE_PAGES - 4)
            c->before.gpr[ESP] = CASE_DATA + CASE_PAGES;
        poke(c, c->before.gpr[ESP], dice_next(d) & ~(u32)(FLAG_NT | FLAG_ID)); /* they stick */
        break;
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
        if (in->op[0].kind == OP_REG)
            c->before.gpr[in->op[0].reg] = target;
        else if (in->op[0].kind == OP_MEM)
            poke(c, aim, target);
        break;
    case ZYDIS_MNEMONIC_CMPXCHG:
        if (dice_roll(d, 2))
            c->before.gpr[EAX] = data_at(c, data, aim);
        break;
    case ZYDIS_MNEMONIC_CMPXCHG8B:
        if (dice_roll(d, 2))
            c->before.gpr[EDX] = data_at(c, data, aim + 4);
        if (dice_roll(d, 2))
            c->before.gpr[EAX] = data_at(c, data, aim);
        break;
    default:
        break;
    }
}

static void throw_registers(struct dice *d, struct insn_case *c, const struct insn *in)
{
    u32 *gpr = c->before.gpr;

    for (u32 i = 0; i < 8; i++)
        gpr[i] = throw_value(d);
    for (u32 i = ESP; i <= EDI; i++)
        if (i == ESP || dice_roll(d, 3))
            gpr[i] = throw_address(d);
    if (dice_roll(d, 2))
        gpr[ESP] &= ~3u;
    if (cpu_ops[in->mnem].attr & OP_STRING) {
        gpr[ESI] = throw_address(d);
        gpr[EDI] = throw_address(d);
        gpr[ECX] = dice_roll(d, 8) ? dice_roll(d, 64) : gpr[ECX];
        if (dice_roll(d, 2))
            gpr[EAX] = 0; /* a run of equal bytes is of zeroes */
    }
    if (in->mnem == ZYDIS_MNEMONIC_ENTER || in->mnem == ZYDIS_MNEMONIC_LEAVE)
        gpr[EBP] = throw_address(d);
    if (in->mnem == ZYDIS_MNEMONIC_XLAT)
        gpr[EBX] = throw_address(d) - (u8)gpr[EAX];
}

/* BT and its kin with a register reach beyond their operand: keep that short. */
static bool bend_bit_offset(struct dice *d, struct insn_case *c, const struct insn *in, u32 *aim)
{
    if (in->map != 1 || in->opcode >= 0xbc || (in->opcode & 7) != 3 || in->opcode < 0xa3)
        return true;
    if (in->op[1].reg == in->base || in->op[1].reg == in->index)
        return false;
    c->before.gpr[in->op[1].reg] = dice_roll(d, 1024) - 512;
    if (in->opsize == 2 && dice_roll(d, 2))
        c->before.gpr[in->op[1].reg] ^= 0x55550000; /* ignored */
    *aim = CASE_DATA + 512 + dice_roll(d, CASE_PAGES - 1024);
    *aim = align_locked(in, *aim);
    return true;
}

bool generate(struct dice *d, const u8 *data, struct insn_case *c, struct insn *in)
{
    u32 aim = throw_address(d);

    memset(&c->before, 0, sizeof(c->before));
    throw_code(d, c->code);
    if (insn_decode(c->code, 15, true, in) != DECODE_OK || encoding_differs(in))
        return false;
    c->len = in->len;
    c->poke_at = 0;
    memcpy(&c->poke, data, 4);
    if ((in->mnem == ZYDIS_MNEMONIC_JMP || in->mnem == ZYDIS_MNEMONIC_CALL) &&
        in->op[0].kind == OP_REG && in->op[0].reg == ESP)
        return false; /* would run the data */
    throw_registers(d, c, in);
    aim = align_locked(in, aim);
    if (touches_memory(in) &&
        (!bend_bit_offset(d, c, in, &aim) || !aim_at(c, in, aim)))
        return false;
    if (in->op[0].kind == OP_REL)
        bend_branch(d, c, in);
    if (branches_to_itself(c, in))
        return false;
    bend_contents(d, data, c, in, aim);
    if (touches_memory(in) && in->addrsize == 4 && offset_of(c, in) != aim)
        return false; /* a comparand that is also the address */
    c->before.eflags = throw_flags(d);
    c->before.eip = CASE_CODE + PAGE_SIZE - dice_roll(d, 512);
    return true;
}
