/*
 * Random user-mode instructions: an opcode from the list, random prefixes, operands, registers
 * and segments; then registers, displacement and stack are bent so that what it touches lies in
 * the pages of the case, or just outside where nothing is mapped: the oracle has its own memory
 * around it.
 */
#include "tests/insn/generate.h"
#include "cpu/cpuid.h"

#include <string.h>

u32 dice_next(struct dice *d)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return (u32)(d->state * 0x2545f4914f6cdd1dull >> 32);
}

/* ---- Which opcodes ---- */

/* Not here: prefixes and x87. */
static bool opcode_one_byte(u8 op)
{
    static const u8 out[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66,
                              0x67, 0x9b, 0xf0, 0xf2, 0xf3 };

    return !memchr(out, op, sizeof(out)) && (op & 0xf8) != 0xd8;
}

/* Integer instructions of the P6; CLTS, INVD, MOV CRn, RDMSR for their #GP. */
static bool opcode_two_byte(u8 op)
{
    static const u8 in[] = { 0x00, 0x02, 0x03, 0x06, 0x08, 0x09, 0x0b, 0x0d, 0x18, 0x1f, 0x20,
                             0x22, 0x23, 0x30, 0x32, 0xa0, 0xa1, 0xa3, 0xa4, 0xa5, 0xab, 0xac,
                             0xad, 0xaf, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb6, 0xb7, 0xb9, 0xba,
                             0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0xc0, 0xc1, 0xc7, 0xc8, 0xc9, 0xca,
                             0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xff };

    return memchr(in, op, sizeof(in)) || (op >= 0x40 && op < 0x50) || (op >= 0x80 && op < 0xa0);
}

/* Encodings that mean something newer, or something else, on the host; GS is the C
 * library's. */
static bool encoding_differs(const struct insn *in)
{
    u32 reg = in->modrm >> 3 & 7;

    if (in->op[0].kind == OP_SEG && in->op[0].reg == GS)
        return true;
    if (in->op[1].kind == OP_SEG && in->op[1].reg == GS)
        return true;
    if (in->vex)
        return cpu_ops[in->mnem].feature != FEAT_BMI1 && cpu_ops[in->mnem].feature != FEAT_BMI2;
    if (in->map == 1 && in->opcode == 0x00)
        return reg != 4 && reg != 5; /* VERR, VERW; not SLDT, STR */
    if (in->map == 1)
        return in->opcode == 0xc7 && reg != 1; /* RDRAND, VMX */
    if (in->map)
        return false;
    if (in->opcode == 0xc6 || in->opcode == 0xc7)
        return reg != 0; /* TSX */
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

/* BMI1, BMI2: VEX with map, opcode and pp. Bits that 64-bit mode would take for more registers
 * are as there. */
static u32 throw_bmi(struct dice *d, u8 *code)
{
    static const u8 rows[][3] = {
        { 2, 0xf2, 0 }, { 2, 0xf3, 0 }, { 2, 0xf5, 0 }, { 2, 0xf5, 2 }, { 2, 0xf5, 3 },
        { 2, 0xf6, 3 }, { 2, 0xf7, 0 }, { 2, 0xf7, 1 }, { 2, 0xf7, 2 }, { 2, 0xf7, 3 },
        { 3, 0xf0, 3 },
    };
    const u8 *row = rows[dice_roll(d, ARRAY_SIZE(rows))];
    u8 vvvv = row[0] == 3 ? 15 : (u8)(8 | dice_roll(d, 8)), l = dice_roll(d, 24) == 0;

    code[0] = 0xc4;
    code[1] = 0xe0 | row[0];
    code[2] = (u8)(vvvv << 3 | l << 2 | row[2]);
    code[3] = row[1];
    return 4;
}

/* Counting bits, MOVBE, CRC32: what is newer than the P6. */
static u32 throw_newer(struct dice *d, u8 *code)
{
    static const struct {
        u8 bytes[4], len;
    } rows[] = {
        { { 0xf3, 0x0f, 0xb8 }, 3 }, { { 0xf3, 0x0f, 0xbc }, 3 }, { { 0xf3, 0x0f, 0xbd }, 3 },
        { { 0x0f, 0x38, 0xf0 }, 3 }, { { 0x0f, 0x38, 0xf1 }, 3 },
        { { 0xf2, 0x0f, 0x38, 0xf0 }, 4 }, { { 0xf2, 0x0f, 0x38, 0xf1 }, 4 },
    };
    u32 i = dice_roll(d, ARRAY_SIZE(rows));

    if (dice_roll(d, 2))
        return throw_bmi(d, code);
    memcpy(code, rows[i].bytes, rows[i].len);
    return rows[i].len;
}

static void throw_code(struct dice *d, u8 code[15])
{
    u32 n = throw_prefixes(d, code);
    u8 op;

    if (dice_roll(d, 20) == 0) {
        n += throw_newer(d, code + n);
        while (n < 15)
            code[n++] = (u8)dice_next(d);
        return;
    }
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
    static const u32 edges[] = { 0,          1,          2,      0x7f,   0x80,    0xff,
                                 0x100,      0x7fff,     0x8000, 0xffff, 0x10000, 0x7fffffff,
                                 0x80000000, 0xffffffff, 0x99,   0x66,   0xfffe };
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

/* ---- Segments ---- */

const struct case_segment *case_segment(u32 selector)
{
    static const struct case_segment flat = { 0, 0xfffff, CASE_RW, 1, 0, 1, 0 };

    if (selector == CASE_USER_CS || selector == CASE_USER_DS)
        return &flat;
    if (!(selector & 4) || selector >> 3 >= CASE_LDT_SIZE || !case_ldt[selector >> 3].base)
        return NULL;
    return &case_ldt[selector >> 3];
}

/* What a case starts with: half of them flat, as most code is. */
static void throw_segments(struct dice *d, bool ldt, u16 selector[6])
{
    static const u16 code[] = { 0x0f, 0x0f, 0x17, 0x1f, 0x27 };
    static const u16 stack[] = { 0x37, 0x37, 0x3f, 0x47, 0x4f, 0x57, CASE_USER_DS };
    static const u16 data[] = { 0x37, 0x37, 0x3f, 0x47, 0x4f, 0x57, 0x5f, 0x6f, 0x0f, 0x17,
                                0x27, CASE_USER_DS, 0 };
    bool flat = dice_roll(d, 2) || !ldt;

    selector[CS] = flat ? CASE_USER_CS : code[dice_roll(d, ARRAY_SIZE(code))];
    selector[SS] = flat ? CASE_USER_DS : stack[dice_roll(d, ARRAY_SIZE(stack))];
    selector[DS] = flat ? CASE_USER_DS : data[dice_roll(d, ARRAY_SIZE(data))];
    selector[ES] = flat ? CASE_USER_DS : data[dice_roll(d, ARRAY_SIZE(data))];
    selector[FS] = flat ? 0 : data[dice_roll(d, ARRAY_SIZE(data))];
    selector[GS] = 0;
}

/* To load: any of the LDT, beyond it, with any RPL; or null. Linux's GDT is not ours. */
static u32 throw_selector(struct dice *d)
{
    if (dice_roll(d, 10) == 0)
        return dice_roll(d, 4);
    return dice_roll(d, CASE_LDT_SIZE + 2) << 3 | 4 | (dice_roll(d, 5) ? 3 : dice_roll(d, 4));
}

static u32 throw_code_selector(struct dice *d)
{
    return dice_roll(d, 4) ? (1 + dice_roll(d, 4)) << 3 | 7 : throw_selector(d);
}

/*
 * An offset in a segment: in the data, at an edge of its pages or of the limit, or one in forty
 * in the void around.
 */
static u32 throw_offset(struct dice *d, u32 selector)
{
    static const u32 edges[] = { 0, PAGE_SIZE, CASE_PAGES, 0xffff, 0x1ff0 };
    const struct case_segment *s = case_segment(selector);
    u32 origin = s && s->base ? 0 : CASE_DATA, r = dice_roll(d, 40);

    if (r == 0)
        return origin + (dice_roll(d, 2) ? CASE_PAGES + 64 : (u32)-64);
    if (r < 10)
        return origin + edges[dice_roll(d, origin ? 3 : 5)] + dice_roll(d, 32) - 16;
    return origin + dice_roll(d, CASE_PAGES - 64);
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
    return insn_memory(in) && in->mnem != ZYDIS_MNEMONIC_LEA;
}

/* insn_offset() of a case's registers */
static u32 offset_of(const struct insn_case *c, const struct insn *in)
{
    static struct vcpu cpu;

    memcpy(cpu.gpr, c->before.gpr, sizeof(cpu.gpr));
    return insn_offset(&cpu, in);
}

static void add_to_register(struct insn_case *c, const struct insn *in, u32 reg, u32 missing)
{
    u32 mask = in->addrsize == 2 ? 0xffff : 0xffffffff;

    c->before.gpr[reg] = (c->before.gpr[reg] & ~mask) | ((c->before.gpr[reg] + missing) & mask);
}

static void patch_displacement(struct insn_case *c, struct insn *in, u32 missing)
{
    for (u32 i = 0; i + in->disp_size <= in->len; i++)
        if (!memcmp(c->code + i, &in->disp, in->disp_size)) {
            in->disp += (i32)missing;
            memcpy(c->code + i, &in->disp, in->disp_size);
            return;
        }
}

/* Gives the memory operand the offset `aim`, by its base, its index, or its displacement. */
static bool aim_at(struct insn_case *c, struct insn *in, u32 aim)
{
    u32 missing;

    if (in->addrsize == 2)
        aim &= 0xffff;
    missing = aim - offset_of(c, in);
    if (in->base != NO_REG && in->base != in->index)
        add_to_register(c, in, in->base, missing);
    else if (in->index != NO_REG && in->index != in->base && in->scale == 1)
        add_to_register(c, in, in->index, missing);
    else if (in->disp_size >= 2)
        patch_displacement(c, in, missing);
    return offset_of(c, in) == aim;
}

/* Split locks may be forbidden on the host: align what is locked. */
static u32 align_locked(const struct insn *in, u32 aim)
{
    if (in->prefixes & PFX_LOCK || in->mnem == ZYDIS_MNEMONIC_XCHG)
        return aim & ~7u;
    return aim;
}

/* Linear address of an offset: what the stack pointer or a memory operand leads to. */
static u32 linear(const struct insn_case *c, enum seg seg, u32 off)
{
    return case_segment_base(c->before.selector[seg]) + off;
}

u32 stack_linear(const struct insn_case *c)
{
    u32 esp = c->before.gpr[ESP];

    return linear(c, SS, case_segment_big(c->before.selector[SS]) ? esp : esp & 0xffff);
}

/* Sets words of `size` bytes in memory before the case. False: not in the data. */
static bool poke(struct insn_case *c, u32 at, u32 size, u32 a, u32 b, u32 e)
{
    if (at - CASE_DATA > CASE_PAGES - sizeof(c->poke))
        return false;
    c->poke_at = at - CASE_DATA;
    if (size == 2) {
        c->poke[0] = (a & 0xffff) | b << 16;
        c->poke[1] = (c->poke[1] & 0xffff0000) | (e & 0xffff);
    } else {
        c->poke[0] = a;
        c->poke[1] = b;
        c->poke[2] = e;
    }
    return true;
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

/* A branch into its own bytes could go on for ever. In 64-bit mode a prefix stands before
 * them. */
static bool branches_to_itself(const struct insn_case *c, const struct insn *in, u32 prefix)
{
    struct insn bent;

    if (in->op[0].kind != OP_REL ||
        insn_decode(c->code, 15, case_segment_big(c->before.selector[CS]), &bent) != DECODE_OK)
        return false;
    return bent.imm + bent.len + prefix < bent.len + prefix; /* relative to the start */
}

/* Offset in the code segment `selector` of some INT3. */
static u32 throw_target(struct dice *d, u32 selector)
{
    return CASE_CODE + PAGE_SIZE + 16 + dice_roll(d, 2048) - case_segment_base(selector);
}

/* What popped flags may be: NT and ID would stick to the oracle. */
static u32 throw_popped_flags(struct dice *d)
{
    return dice_next(d) & ~(u32)(FLAG_NT | FLAG_ID);
}

/* The instruction pops: what, depends. False: it might pop what is not ours to give. */
static bool bend_popped(struct dice *d, struct insn_case *c, const struct insn *in)
{
    u32 at = stack_linear(c), near = throw_target(d, c->before.selector[CS]);
    u32 selector = throw_code_selector(d), far = throw_target(d, selector);

    switch (in->mnem) {
    case ZYDIS_MNEMONIC_RET:
        if (in->opcode < 0xca)
            return poke(c, at, in->opsize, near, 0, 0);
        return poke(c, at, in->opsize, far, selector, 0);
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
        return poke(c, at, in->opsize, far, selector, throw_popped_flags(d));
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPF:
        return poke(c, at, in->opsize, throw_popped_flags(d), 0, 0);
    default:
        if (in->mnem == ZYDIS_MNEMONIC_POP && in->op[0].kind == OP_SEG)
            return poke(c, at, in->opsize, throw_selector(d), 0, 0);
        return true;
    }
}

/* A branch through a register or memory, near or far. */
static bool bend_indirect(struct dice *d, struct insn_case *c, const struct insn *in, u32 at)
{
    u32 near = throw_target(d, c->before.selector[CS]);
    u32 selector = throw_code_selector(d), far = throw_target(d, selector);

    if (in->op[0].kind == OP_REG)
        c->before.gpr[in->op[0].reg] = near;
    else if (in->op[0].kind == OP_MEM && in->modrm & 8)
        return poke(c, at, in->opsize, far, selector, 0);
    else if (in->op[0].kind == OP_MEM)
        return poke(c, at, in->opsize, near, 0, 0);
    else if (in->op[0].kind == OP_FAR) {
        memcpy(c->code + in->len - 2 - in->opsize, &far, in->opsize);
        memcpy(c->code + in->len - 2, &selector, 2);
    }
    return true;
}

/* The source of a load of a segment register, or of a question about a selector. */
static bool bend_selector(struct dice *d, struct insn_case *c, const struct insn *in, u32 at)
{
    u32 i = in->op[0].kind == OP_SEG || in->nops == 2, selector = throw_selector(d);

    if (in->op[i].kind == OP_REG)
        c->before.gpr[in->op[i].reg] = (c->before.gpr[in->op[i].reg] & 0xffff0000) | selector;
    else if (in->op[i].kind == OP_MEM)
        return poke(c, at, 4, selector | dice_next(d) << 16, dice_next(d), 0);
    return true;
}

/* What the instruction finds where it looks for an address, or for what it compares with. */
static bool bend_contents(struct dice *d, const u8 *data, struct insn_case *c,
                          const struct insn *in, u32 at)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
        return bend_indirect(d, c, in, at);
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_LFS:
        return poke(c, at, in->opsize, dice_next(d), throw_selector(d), 0);
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
        return bend_selector(d, c, in, at);
    case ZYDIS_MNEMONIC_MOV:
        return in->op[0].kind != OP_SEG || bend_selector(d, c, in, at);
    case ZYDIS_MNEMONIC_CMPXCHG:
        if (dice_roll(d, 2))
            c->before.gpr[EAX] = data_at(c, data, at);
        return true;
    case ZYDIS_MNEMONIC_CMPXCHG8B:
        if (dice_roll(d, 2))
            c->before.gpr[EDX] = data_at(c, data, at + 4);
        if (dice_roll(d, 2))
            c->before.gpr[EAX] = data_at(c, data, at);
        return true;
    default:
        return bend_popped(d, c, in);
    }
}

/* An offset of 16 bits may have anything above it. */
static void throw_pointer(struct dice *d, struct insn_case *c, enum gpr reg, u32 selector,
                          u32 size)
{
    u32 off = throw_offset(d, selector);

    c->before.gpr[reg] = size == 2 ? (off & 0xffff) | (dice_next(d) & 0xffff0000) : off;
}

static void throw_registers(struct dice *d, struct insn_case *c, const struct insn *in)
{
    const u16 *selector = c->before.selector;
    u32 *gpr = c->before.gpr, size = in->addrsize;

    for (u32 i = 0; i < 8; i++)
        gpr[i] = throw_value(d);
    throw_pointer(d, c, ESP, selector[SS], 4);
    if (!case_segment_big(selector[SS]))
        gpr[ESP] &= 0xffff;
    if (dice_roll(d, 2))
        gpr[ESP] &= ~3u;
    if (dice_roll(d, 3) || in->mnem == ZYDIS_MNEMONIC_ENTER || in->mnem == ZYDIS_MNEMONIC_LEAVE)
        throw_pointer(d, c, EBP, selector[SS], case_segment_big(selector[SS]) ? 4 : 2);
    if (dice_roll(d, 3) || cpu_ops[in->mnem].attr & OP_STRING) {
        throw_pointer(d, c, ESI, selector[in->seg], size);
        throw_pointer(d, c, EDI, selector[ES], size);
    }
    if (cpu_ops[in->mnem].attr & OP_STRING) {
        gpr[ECX] = dice_roll(d, 8) ? dice_roll(d, 64) : gpr[ECX];
        if (dice_roll(d, 2))
            gpr[EAX] = 0; /* a run of equal bytes is of zeroes */
    }
    if (in->mnem == ZYDIS_MNEMONIC_XLAT)
        gpr[EBX] = throw_offset(d, selector[in->seg]) - (u8)gpr[EAX];
}

/* BT and its kin with a register reach beyond their operand: keep that short. */
static bool bend_bit_offset(struct dice *d, struct insn_case *c, const struct insn *in)
{
    if (in->map != 1 || in->opcode >= 0xbc || (in->opcode & 7) != 3 || in->opcode < 0xa3)
        return true;
    if (in->op[1].reg == in->base || in->op[1].reg == in->index)
        return false;
    c->before.gpr[in->op[1].reg] = dice_roll(d, 1024) - 512;
    if (in->opsize == 2 && dice_roll(d, 2))
        c->before.gpr[in->op[1].reg] ^= 0x55550000; /* ignored */
    return true;
}

/*
 * With a 16-bit stack the host's IRET leaves rubbish in the upper half of ESP (Linux calls it
 * espfix): nothing may look at it.
 */
static bool looks_at_esp(const struct insn *in)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_REG && in->op[i].reg == ESP && in->op[i].size == 4)
            return true;
    return in->base == ESP || in->mnem == ZYDIS_MNEMONIC_PUSHAD ||
           (in->mnem == ZYDIS_MNEMONIC_ENTER && in->opsize == 4);
}

static void place_code(struct dice *d, struct insn_case *c)
{
    u32 room = CASE_PAGES;

    c->code_at = CASE_CODE + PAGE_SIZE - dice_roll(d, 512);
    if (dice_roll(d, 20) == 0) /* near the end of the pages and of segments */
        c->code_at = CASE_CODE + CASE_PAGES - 1 - dice_roll(d, 15);
    c->before.eip = c->code_at - case_segment_base(c->before.selector[CS]);
    room -= c->code_at - CASE_CODE;
    if (c->len > room)
        c->len = (u8)room;
}

/* May this be run at all? */
static bool acceptable(const struct insn_case *c, const struct insn *in)
{
    if (encoding_differs(in))
        return false;
    if (!case_segment_big(c->before.selector[SS]) && looks_at_esp(in))
        return false;
    return !((in->mnem == ZYDIS_MNEMONIC_JMP || in->mnem == ZYDIS_MNEMONIC_CALL) &&
             in->op[0].kind == OP_REG && in->op[0].reg == ESP); /* would run the data */
}

bool generate(struct dice *d, const struct case_host *host, const u8 *data, struct insn_case *c,
              struct insn *in)
{
    bool memory;
    u32 aim;

    memset(&c->before, 0, sizeof(c->before));
    throw_segments(d, host->ldt, c->before.selector);
    throw_code(d, c->code);
    if (insn_decode(c->code, 15, case_segment_big(c->before.selector[CS]), in) != DECODE_OK ||
        !acceptable(c, in) || !judged_by(host, in))
        return false;
    c->len = in->len;
    c->poke_at = 0;
    memcpy(c->poke, data, sizeof(c->poke));
    throw_registers(d, c, in);
    memory = touches_memory(in);
    aim = align_locked(in, throw_offset(d, c->before.selector[in->seg]));
    if (memory && (!bend_bit_offset(d, c, in) || !aim_at(c, in, aim)))
        return false;
    if (in->op[0].kind == OP_REL)
        bend_branch(d, c, in);
    if (branches_to_itself(c, in, !host->code32) ||
        !bend_contents(d, data, c, in, linear(c, in->seg, aim)))
        return false;
    if (stack_linear(c) - (CASE_DATA - 0x10000) > 0x20000)
        return false; /* ESP is the base and has been bent away */
    if (memory && offset_of(c, in) != (in->addrsize == 2 ? aim & 0xffff : aim))
        return false; /* a comparand that is also the address */
    c->before.eflags = throw_flags(d);
    place_code(d, c);
    return true;
}
