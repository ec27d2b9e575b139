/*
 * insn_decode(): by example. The bytes before an instruction's displacement and immediate
 * (prefixes, opcode, ModRM, SIB: its head) decide all of its decoded form but these two values.
 * So what Zydis once decoded serves for every later instruction with the same head; kernels use
 * some two thousand.
 *
 * How long a head is, is worked out here, by the two opcode maps' ModRM columns (SDM vol. 2,
 * appendix A.3). A form is kept only if Zydis agrees with the length, so a mistake there costs
 * time alone.
 */
#include "cpu/insn.h"
#include <string.h>

enum {
    SHAPES = 1 << 11,
    MAX_PREFIXES = 3, /* with 0F 38, opcode, ModRM and SIB: */
    MAX_HEAD = 8,
    ROOM = MAX_HEAD + 4 + 4, /* bytes that may be read: more than the longest instruction has */
};

struct shape {
    struct insn insn;
    u8 head; /* bytes; 0: nothing here */
    bool code32, imm_signed;
};
static_assert(sizeof(struct shape) == 64, "one cache line");

static _Thread_local struct shape shapes[SHAPES] __attribute__((aligned(64)));

/* A bit per opcode: does ModRM follow? One row of the manual's map, 16 opcodes, in 4 digits. */
static const u16 modrm_one_byte[16] = { 0x0f0f, 0x0f0f, 0x0f0f, 0x0f0f, 0, 0,
                                        0x0a0c, 0,      0xffff, 0,      0, 0,
                                        0x00f3, 0xff0f, 0,      0xc0c0 };
static const u16 modrm_0f[16] = { 0xa00f, 0xffff, 0xffff, 0,      0xffff, 0xffff,
                                  0xffff, 0xff7f, 0,      0xffff, 0xf838, 0xffff,
                                  0x00ff, 0xffff, 0xffff, 0x7fff };

static bool in_opcode_map(const u16 *map, u8 opcode)
{
    return map[opcode >> 4] >> (opcode & 15) & 1;
}

static bool is_prefix(u8 b)
{
    switch (b) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
    case 0xf0: case 0xf2: case 0xf3:
        return true;
    }
    return false;
}

/* Of the head at p. One with many prefixes comes out too short, and is not kept. */
static u32 head_length(const u8 *p, bool code32)
{
    const u16 *map = modrm_one_byte;
    bool addr32 = code32;
    u32 i = 0;

    for (; i < MAX_PREFIXES && is_prefix(p[i]); i++)
        if (p[i] == 0x67)
            addr32 = !code32;
    if (p[i] == 0x0f) {
        map = modrm_0f;
        i++;
    }
    if (map == modrm_0f && (p[i] & 0xfd) == 0x38) /* 0F 38 and 0F 3A: ModRM always */
        i++;
    else if (!in_opcode_map(map, p[i]))
        return i + 1;
    i++;
    return i + 1 + (addr32 && p[i] >> 6 != 3 && (p[i] & 7) == 4);
}

static u64 head_bytes(const u8 *p, u32 head)
{
    u64 b;

    memcpy(&b, p, MAX_HEAD);
    return b & ~0ull >> (64 - 8 * head);
}

static struct shape *shape_at(u64 bytes, bool code32)
{
    return &shapes[((bytes ^ code32) * 0x9e3779b97f4a7c15) >> 53];
}

/* The value of n bytes at p. */
static u32 little_endian(const u8 *p, u32 n, bool sign)
{
    u32 v;

    memcpy(&v, p, 4);
    if (n == 1)
        return sign ? (u32)(i8)v : (u8)v;
    if (n == 2)
        return sign ? (u32)(i16)v : (u16)v;
    return v;
}

static void fill_in(const struct shape *s, const u8 *bytes, struct insn *in)
{
    *in = s->insn;
    if (in->disp_size)
        in->disp = (i32)little_endian(bytes + s->head, in->disp_size, true);
    if (in->imm_size)
        in->imm = little_endian(bytes + s->head + in->disp_size, in->imm_size, s->imm_signed);
    memcpy(in->raw, bytes, sizeof(in->raw));
}

/* One value at most of each kind, and both as long as the encoding says: not ENTER, far
 * pointers and the absolute addresses of A0 to A3. */
static bool has_simple_shape(const struct insn *in, u32 head)
{
    u32 values = 0;

    for (u32 i = 0; i < in->nops; i++) {
        values += in->op[i].kind == OP_IMM || in->op[i].kind == OP_REL;
        if (in->op[i].kind == OP_FAR)
            return false;
    }
    return in->len == head + in->disp_size + in->imm_size &&
           (in->has_modrm || !in->disp_size) && values == !!in->imm_size;
}

enum decode_result insn_decode(const u8 *bytes, u32 n, bool code32, struct insn *in)
{
    u32 head = n >= ROOM ? head_length(bytes, code32) : 0;
    u64 b = head ? head_bytes(bytes, head) : 0;
    struct shape *s = shape_at(b, code32);
    enum decode_result r;
    bool imm_signed;

    if (head && s->head == head && s->code32 == code32 && head_bytes(s->insn.raw, head) == b) {
        fill_in(s, bytes, in);
        return DECODE_OK;
    }
    r = insn_decode_anew(bytes, n, code32, in, &imm_signed);
    if (r == DECODE_OK && head && has_simple_shape(in, head))
        *s = (struct shape){ *in, (u8)head, code32, imm_signed };
    return r;
}
