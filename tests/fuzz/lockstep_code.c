/*
 * Random guest code: one-byte and two-byte opcodes with random operands, and, in between, short
 * sequences that change what the translator relies on: control registers, address spaces, page
 * tables, descriptor tables, flags, and the code itself.
 */
#include "tests/fuzz/lockstep.h"
#include <string.h>

/* One-byte opcodes worth running often; the rest comes by chance. */
static const u8 common[] = {
    0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x10, 0x11, 0x13, 0x19, 0x1b, 0x21, 0x23, 0x29,
    0x2b, 0x31, 0x33, 0x38, 0x39, 0x3b, 0x3c, 0x3d, 0x40, 0x44, 0x48, 0x50, 0x54, 0x57, 0x58,
    0x5c, 0x5f, 0x68, 0x6a, 0x69, 0x6b, 0x70, 0x72, 0x74, 0x75, 0x7c, 0x80, 0x81, 0x83, 0x84,
    0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0x8f, 0x90, 0x93, 0x98, 0x99, 0x9c, 0x9d,
    0x9e, 0x9f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac,
    0xad, 0xae, 0xaf, 0xb0, 0xb4, 0xb8, 0xbc, 0xc0, 0xc1, 0xc2, 0xc3, 0xc6, 0xc7, 0xc8, 0xc9,
    0xd0, 0xd1, 0xd2, 0xd3, 0xe0, 0xe2, 0xe3, 0xe8, 0xe9, 0xeb, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9,
    0xfa, 0xfb, 0xfc, 0xfe, 0xff,
};
static const u8 extended[] = {
    0x40, 0x44, 0x4f, 0x80, 0x84, 0x90, 0x95, 0xa3, 0xa4, 0xa5, 0xab, 0xac, 0xad, 0xaf, 0xb0,
    0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0xc0, 0xc1, 0xc7, 0xc8, 0xcc,
    0x1f, 0x0b, 0xa0, 0xa1, 0x02, 0x03, 0x00,
};
/* MMX, SSE, SSE2; with a prefix or none. */
static const u8 packed[] = {
    0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x28, 0x29, 0x2a, 0x2c, 0x2d, 0x2e, 0x51, 0x54, 0x57, 0x58,
    0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x60, 0x61, 0x63, 0x67, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x74,
    0x76, 0x77, 0x7e, 0x7f, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xd4, 0xd6, 0xd7, 0xda, 0xdb, 0xe0, 0xe7,
    0xeb, 0xef, 0xf4, 0xf5, 0xf6, 0xfc, 0xfe,
};
/* What only the system uses, or what leaves for another segment. */
static const u8 sensitive[] = {
    0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x37, 0x60, 0x61, 0x62, 0x63, 0x6c, 0x6d, 0x6e,
    0x6f, 0x8c, 0x8e, 0x9a, 0x9b, 0x9d, 0xc4, 0xc5, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd4, 0xd7,
    0xe4, 0xe5, 0xe6, 0xe7, 0xea, 0xec, 0xed, 0xee, 0xef, 0xfa, 0xfb, 0xfd,
};
static const u8 sensitive_extended[] = {
    0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x31, 0x34, 0x35, 0xa0,
    0xa1, 0xa2, 0xa8, 0xa9, 0xb2, 0xb4, 0xb5,
};

/* A ModRM byte and what may follow; small displacements keep the state near its memory. */
static u32 operands(u8 *p)
{
    for (u32 i = 0; i < 6; i++)
        p[i] = (u8)(i == 2 || i == 3 || pick(2) ? rnd() : pick(3) ? 0 : 0xff);
    p[0] = (u8)rnd();
    return 1 + pick(3) * pick(3);
}

#define ONE_OF(table) table[pick(sizeof(table))]

static u32 opcode(u8 *p, u32 kind)
{
    u32 n = 0;

    if (kind < 60) {
        p[n++] = ONE_OF(common);
    } else if (kind < 78) {
        p[n++] = 0x0f;
        p[n++] = ONE_OF(extended);
    } else if (kind < 84) {
        p[n++] = (u8)(0xd8 + pick(8));
    } else if (kind < 90) {
        if (pick(2))
            p[n++] = (const u8[]){ 0x66, 0xf2, 0xf3 }[pick(3)];
        p[n++] = 0x0f;
        p[n++] = ONE_OF(packed);
    } else if (kind < 93) {
        p[n++] = ONE_OF(sensitive);
    } else if (kind < 94) {
        p[n++] = 0x0f;
        p[n++] = ONE_OF(sensitive_extended);
    } else if (kind < 97) {
        p[n++] = 0xe6; /* out STOP_PORT, al: where chained runs are compared */
        p[n++] = STOP_PORT;
    } else {
        p[n++] = (u8)rnd();
    }
    return n;
}

static u32 random_insn(u8 *p)
{
    u32 n = 0;

    if (!pick(8))
        p[n++] = 0x66;
    if (!pick(12))
        p[n++] = 0x67;
    if (!pick(12))
        p[n++] = (const u8[]){ 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3 }[pick(9)];
    n += opcode(p + n, pick(100));
    return n + operands(p + n);
}

/* ---- Sequences ---- */

static u32 put(u8 *p, const void *bytes, u32 n)
{
    memcpy(p, bytes, n);
    return n;
}
#define PUT(p, ...) put(p, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static u32 put32(u8 *p, u32 val)
{
    return put(p, &val, 4);
}

/* mov eax, crN;  xor eax, one bit;  mov crN, eax */
static u32 flip_control(u8 *p)
{
    static const u32 cr0[] = { CR0_WP, CR0_TS, CR0_EM, CR0_MP, CR0_AM, CR0_NE },
                     cr4[] = { CR4_PGE, CR4_TSD, CR4_DE, CR4_PSE, CR4_OSFXSR, CR4_OSXMMEXCPT };
    bool four = pick(2);
    u8 reg = (u8)(four ? 0xe0 : 0xc0);
    u32 bit = four ? cr4[pick(ARRAY_SIZE(cr4))] : cr0[pick(ARRAY_SIZE(cr0))];
    u32 n = PUT(p, 0x0f, 0x20, reg, 0x35);

    n += put32(p + n, bit);
    return n + PUT(p + n, 0x0f, 0x22, reg);
}

/* mov eax, root;  mov cr3, eax */
static u32 switch_space(u8 *p, enum mode mode)
{
    u32 n = PUT(p, 0xb8);

    n += put32(p + n, space_root(mode, pick(2)));
    return n + PUT(p + n, 0x0f, 0x22, 0xd8);
}

/* An entry of one of the tables of code and data pages: xor, or, and, or mov with an immediate; by
 * the tables' own mapping or the large page that shows them again. */
static u32 write_table(u8 *p, enum mode mode)
{
    static const u32 bits[] = { 1, 2, 4, 0x20, 0x40, 0x80, 0x1000, 0x2000, 0x61, 0x67, 0x8, 0x100 };
    u32 page = (pick(2) ? CODE >> 12 : DATA >> 12) + pick(8), size = mode == PAE ? 8 : 4;
    u32 gla = TABLES + 0x1000 * (1 + 2 * pick(2)) + page * size + (pick(8) ? 0 : 0x400000);
    u32 n = 0, how = pick(8);

    if (!pick(16))
        gla = (gla & ~0x1fffu) | (mode == PAE && pick(2) ? 4 : 0); /* of a directory */
    n += how == 0 ? PUT(p, 0xc7, 0x05) : PUT(p, 0x81, (u8)(how < 3 ? 0x0d : how < 4 ? 0x25 : 0x35));
    n += put32(p + n, gla);
    if (how == 0)
        return n + put32(p + n, page << 12 | 7);
    return n + put32(p + n, how == 3 ? ~bits[pick(ARRAY_SIZE(bits))] : bits[pick(ARRAY_SIZE(bits))]);
}

/* invlpg [a page that is used] */
static u32 invalidate(u8 *p)
{
    u32 n = PUT(p, 0x0f, 0x01, 0x3d);

    return n + put32(p + n, (pick(2) ? CODE : DATA) + pick(8) * PAGE_SIZE);
}

/* pushf;  xor the pushed flags with one bit;  popf */
static u32 flip_flag(u8 *p, bool code32)
{
    static const u32 bits[] = { FLAG_IF, FLAG_DF, 1u << 12, 2u << 12, FLAG_NT, FLAG_AC, FLAG_ID,
                                FLAG_CF, FLAG_ZF, FLAG_TF };
    u32 bit = bits[pick(ARRAY_SIZE(bits) - (pick(8) != 0))], n;

    if (!code32) /* push bp; mov bp, sp; xor word [bp+2], bit; pop bp; popf */
        return PUT(p, 0x9c, 0x55, 0x89, 0xe5, 0x81, 0x76, 0x02, (u8)bit, (u8)(bit >> 8), 0x5d, 0x9d);
    n = PUT(p, 0x9c, 0x81, 0x34, 0x24);
    n += put32(p + n, bit);
    return n + PUT(p + n, 0x9d);
}

/* pushf;  push cs;  push next;  iret */
static u32 iret_to_next(u8 *p, u32 at, bool code32)
{
    u32 n = PUT(p, 0x9c, 0x0e, 0x68);

    if (!code32) {
        u16 next = (u16)(at + n + 3);

        n += put(p + n, &next, 2);
    } else {
        n += put32(p + n, at + n + 5);
    }
    return n + PUT(p + n, 0xcf);
}

/* A store into the code just ahead, or a little behind: at is its offset in the code segment. */
static u32 modify_code(u8 *p, u32 at, bool code32, bool again)
{
    u32 to = at + 8 + pick(24) - (pick(8) ? 0 : 32) + (again ? 0x400000 : 0), n;
    u8 size = (u8)pick(3);

    n = size == 1 && code32 ? PUT(p, 0x66) : 0;
    n += code32 ? PUT(p + n, size ? 0xc7 : 0xc6, 0x05) : PUT(p + n, 0x2e, size ? 0xc7 : 0xc6, 0x06);
    if (code32)
        n += put32(p + n, to);
    else
        n += PUT(p + n, (u8)to, (u8)(to >> 8));
    for (u32 i = 0; i < (size == 0 ? 1u : size == 1 || !code32 ? 2u : 4u); i++)
        p[n++] = ONE_OF(common);
    return n;
}

/* int n to a gate that is open, sysenter, a call gate, a far call to the same segment */
static u32 change_ring(u8 *p)
{
    switch (pick(4)) {
    case 0:
        return PUT(p, 0xcd, (u8)(0x60 + pick(8)));
    case 1:
        return PUT(p, 0x9a, 0, 0, 0, 0, 0x5b, 0);
    case 2:
        return PUT(p, 0x0f, 0x34);
    default:
        return PUT(p, 0xcf);
    }
}

/* at: where it will lie in its code segment. */
static u32 sequence(u8 *p, u32 at, enum mode mode)
{
    bool code32 = mode_flat(mode), paged = mode_paged(mode);

    switch (pick(paged ? 8 : 4)) {
    case 0:
        return flip_flag(p, code32);
    case 1:
        return iret_to_next(p, at, code32);
    case 2:
        return mode == PROT16 ? random_insn(p) : modify_code(p, at, code32, paged && !pick(4));
    case 3:
        return code32 ? flip_control(p) : random_insn(p);
    case 4:
        return switch_space(p, mode);
    case 5:
        return write_table(p, mode);
    case 6:
        return invalidate(p);
    default:
        return change_ring(p);
    }
}

static void fill(u8 *ram, u32 base, u32 origin, enum mode mode)
{
    for (u32 at = 0; at < CODE_SIZE - 64;)
        at += pick(14) ? random_insn(ram + base + at)
                       : sequence(ram + base + at, origin + at, mode);
}

/*
 * A handler of the protected modes: sometimes something of its own, then it drops the error code,
 * moves the return address on, back into the code from wherever it is, and returns.
 *      [a sequence]  [add esp, 4]  add dword [esp], n;  and dword [esp], CODE_SIZE - 1;
 *      or dword [esp], CODE;  iret
 */
static void make_handler(u8 *p, u32 vector, enum mode mode)
{
    bool error = (vector >= 10 && vector <= 14) || vector == 8 || vector == 17;
    u32 n = 0;

    if (!pick(4) && mode_paged(mode))
        n += pick(2) ? switch_space(p, mode) : write_table(p, mode);
    else if (!pick(4))
        n += flip_flag(p, true);
    if (error)
        n += PUT(p + n, 0x83, 0xc4, 0x04);
    if (vector < 32) {
        n += PUT(p + n, 0x83, 0x04, 0x24, (u8)(1 + pick(4)), 0x81, 0x24, 0x24);
        n += put32(p + n, CODE_SIZE - 1);
    }
    if (vector < 32 && mode_flat(mode)) {
        n += PUT(p + n, 0x81, 0x0c, 0x24);
        n += put32(p + n, CODE);
    }
    n += PUT(p + n, 0xcf);
    check(n <= HANDLER_SIZE, "a handler of %u bytes", n);
}

void random_code(u8 *ram, enum mode mode)
{
    u32 origin = mode_flat(mode) ? CODE : 0;

    fill(ram, CODE, origin, mode);
    fill(ram, CODE2, origin, mode);
    for (u32 v = 0; v < 0x80; v++)
        make_handler(ram + handler_of(v), v, mode);
}
