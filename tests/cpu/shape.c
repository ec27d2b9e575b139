/*
 * insn_decode() answers by example (cpu/shape.c): whatever it has seen before, it must say what
 * Zydis says of these bytes.
 */
#include "cpu/insn.h"
#include "tests/harness/test.h"

#include <string.h>

static u64 state;

static u32 draw(u32 n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (u32)(state >> 32) % n;
}

static bool same(const u8 *bytes, u32 n, bool code32)
{
    struct insn a, b;
    bool imm_signed;
    enum decode_result r = insn_decode(bytes, n, code32, &a);

    if (r != insn_decode_anew(bytes, n, code32, &b, &imm_signed))
        return false;
    if (r != DECODE_OK)
        return true;
    if (memcmp(a.raw, b.raw, b.len))
        return false;
    memcpy(a.raw, b.raw, sizeof(a.raw));
    return !memcmp(&a, &b, sizeof(a));
}

static void prefixes(u8 *bytes, u32 count)
{
    static const u8 all[] = { 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x64, 0xf0 };

    for (u32 i = 0; i < count; i++)
        bytes[i] = all[draw(sizeof(all))];
}

/* Every opcode with every ModRM, each twice with other bytes behind: the second is by
 * example. */
TEST(shape, every_opcode_and_modrm)
{
    u32 wrong = 0;

    state = 1;
    for (u32 i = 0; i < 2 * 4 * 256 * 256; i++) {
        u8 bytes[16], *p = bytes;
        u32 map = i >> 16 & 3;

        for (u32 k = 0; k < sizeof(bytes); k++)
            bytes[k] = (u8)draw(256);
        if (map)
            *p++ = 0x0f;
        if (map > 1)
            *p++ = map == 2 ? 0x38 : 0x3a;
        p[0] = (u8)(i >> 8);
        p[1] = (u8)i;
        wrong += !same(bytes, sizeof(bytes), i >> 18 & 1);
        for (u32 k = 2; k < 8; k++)
            p[k] = k == 2 ? p[k] : (u8)draw(256);
        wrong += !same(bytes, sizeof(bytes), i >> 18 & 1);
    }
    CHECK_EQ(wrong, 0);
}

/* Streams of bytes from a small alphabet, so that heads come again; cut short at times. */
TEST(shape, streams_with_prefixes)
{
    u32 wrong = 0;

    state = 2;
    for (u32 i = 0; i < 300000; i++) {
        u8 bytes[24];
        u32 few = draw(4);

        for (u32 k = 0; k < sizeof(bytes); k++)
            bytes[k] = (u8)(draw(4) ? draw(16) * 17 : draw(256));
        prefixes(bytes, few);
        if (!draw(3))
            bytes[few] = 0x0f;
        wrong += !same(bytes, draw(4) ? sizeof(bytes) : draw(16), i & 1);
    }
    CHECK_EQ(wrong, 0);
}
