/*
 * Values and states for the tests of x87, MMX and SSE: what goes wrong goes wrong at the edges,
 * so most numbers are zeros, denormals, infinities, NaNs or neighbours of limits, and most
 * others are of like magnitude, so that sums cancel and quotients are near one.
 */
#include "tests/insn/fpu_random.h"

#include <string.h>

/* xorshift64*: the run is a function of the seed */
static u64 rng_state = 1;

void fpu_seed(u64 seed)
{
    rng_state = seed * 2654435761u + 1;
}

u32 fpu_rand(u32 below)
{
    rng_state ^= rng_state >> 12;
    rng_state ^= rng_state << 25;
    rng_state ^= rng_state >> 27;
    return (u32)((rng_state * 2685821657736338717ull >> 32) % below);
}

static u64 rand64(void)
{
    return (u64)fpu_rand(~0u) << 32 | fpu_rand(~0u);
}

static void fill(u8 *p, u32 n)
{
    for (u32 i = 0; i < n; i++)
        p[i] = (u8)fpu_rand(256);
}

/* ---- Numbers ---- */

static u32 float32(void)
{
    static const u32 special[] = {
        0x00000000, 0x00000001, 0x007fffff, 0x00800000, 0x3f800000, 0x3f7fffff, 0x3f800001,
        0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fa00000, 0x7fc00000, 0x7fffffff, 0x4f000000,
        0x4effffff, 0x4f800000, 0x3f000000, 0x3effffff, 0x00400000, 0x34000000, 0x5f000000,
        0x5f7fffff, 0x1f000000, 0x20000000, 0x477fff00, 0x47000000, 0x477fefff, 0x477ff000,
        0x387fe000, 0x387fefff, 0x387ff000, 0x38000000, 0x33000000, 0x33800000, 0x4b800000,
    };
    u32 sign = fpu_rand(2) << 31;

    switch (fpu_rand(5)) {
    case 0:
    case 1:
        return special[fpu_rand(ARRAY_SIZE(special))] | sign;
    case 2:
        return (u32)rand64();
    default:
        return sign | (124 + fpu_rand(8)) << 23 | (fpu_rand(1u << 23) & ~0u << fpu_rand(23));
    }
}

static u16 float16(void)
{
    static const u16 special[] = { 0x0000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0x3bff, 0x7bff,
                                   0x7c00, 0x7c01, 0x7dff, 0x7e00, 0x7fff, 0x0200 };
    u32 sign = fpu_rand(2) << 15;

    return (u16)(sign | (fpu_rand(2) ? special[fpu_rand(ARRAY_SIZE(special))] : fpu_rand(0x8000)));
}

static u64 float64(void)
{
    static const u64 special[] = {
        0, 1, 0xfffffffffffff, 0x10000000000000, 0x3ff0000000000000, 0x3fefffffffffffff,
        0x3ff0000000000001, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001,
        0x7ff4000000000000, 0x7ff8000000000000, 0x7fffffffffffffff, 0x41e0000000000000,
        0x41dfffffffc00000, 0x43e0000000000000, 0x47efffffe0000000, 0x47efffffefffffff,
        0x47effffff0000000, 0x3810000000000000, 0x380fffffffffffff, 0x36a0000000000000,
        0x369fffffffffffff, 0x3690000000000000, 0x5fe0000000000000, 0x1ff0000000000000,
    };
    u64 sign = (u64)fpu_rand(2) << 63;

    switch (fpu_rand(5)) {
    case 0:
    case 1:
        return special[fpu_rand(ARRAY_SIZE(special))] | sign;
    case 2:
        return rand64();
    default:
        return sign | (u64)(1020 + fpu_rand(8)) << 52 |
               (rand64() >> 12 & ~0ull << fpu_rand(52));
    }
}

static void float80(u8 p[10])
{
    static const struct {
        u16 exponent;
        u64 mantissa;
    } special[] = {
        { 0, 0 }, { 0, 1 }, { 0, 0x7fffffffffffffff }, { 0, 0x8000000000000000 },
        { 0, 0xffffffffffffffff }, { 1, 0x8000000000000000 }, { 1, 1 }, { 0x3fff, 0 },
        { 0x3fff, 0x8000000000000000 }, { 0x3ffe, 0xffffffffffffffff },
        { 0x3fff, 0x8000000000000001 }, { 0x7ffe, 0xffffffffffffffff },
        { 0x7fff, 0x8000000000000000 }, { 0x7fff, 0x8000000000000001 },
        { 0x7fff, 0xbfffffffffffffff }, { 0x7fff, 0xc000000000000000 },
        { 0x7fff, 0xffffffffffffffff }, { 0x7fff, 0 }, { 0x7fff, 1 }, { 0x4000, 0x4000000000000000 },
        { 0x403e, 0x8000000000000000 }, { 0x403d, 0xffffffffffffffff }, { 0x401e, 0x8000000000000000 },
        { 0x400e, 0x8000000000000000 }, { 0x400d, 0xfffe000000000000 }, { 0x4000, 0xc90fdaa22168c235 },
        { 0x3ffd, 0xd413cccfe7799211 }, { 0x403a, 0xde0b6b3a76400000 }, { 0x4039, 0xde0b6b3a763fffff },
        { 0x43fe, 0xfffffffffffff800 }, { 0x43fe, 0xffffffffffffffff }, { 0x3c00, 0x8000000000000000 },
        { 0x407e, 0xffffff0000000000 }, { 0x3f6a, 0x8000000000000000 }, { 0x3f81, 0xffffffffffffffff },
        { 0x5ffe, 0x8000000000000000 }, { 0x1fff, 0x8000000000000000 }, { 0x403f, 0x8000000000000000 },
    };
    u16 sign = (u16)(fpu_rand(2) << 15), exponent;
    u32 pick = fpu_rand(ARRAY_SIZE(special));
    u64 mantissa;

    switch (fpu_rand(5)) {
    case 0:
    case 1:
        exponent = special[pick].exponent;
        mantissa = special[pick].mantissa;
        break;
    case 2:
        exponent = (u16)fpu_rand(0x8000);
        mantissa = rand64() | (u64)(fpu_rand(4) != 0) << 63;
        break;
    default:
        exponent = (u16)(0x3ffb + fpu_rand(fpu_rand(2) ? 10 : 80));
        mantissa = (rand64() & ~0ull << fpu_rand(63)) | 1ull << 63;
    }
    exponent |= sign;
    memcpy(p, &mantissa, 8);
    memcpy(p + 8, &exponent, 2);
}

static void integer(u8 *p, u32 size)
{
    static const i64 special[] = { 0,      1,          -1,
                                   127,    -128,       32767,
                                   -32768, 0x7fffffff, -0x7fffffff - 1 };
    i64 val =
        fpu_rand(2) ? special[fpu_rand(ARRAY_SIZE(special))] : (i64)rand64() >> fpu_rand(63);

    memcpy(p, &val, size < 8 ? size : 8);
}

static void decimal(u8 p[10])
{
    for (u32 i = 0; i < 9; i++)
        p[i] = (u8)(fpu_rand(10) << 4 | fpu_rand(10));
    p[9] = fpu_rand(2) ? 0x80 : 0;
}

static void vector(u8 p[16])
{
    u32 kind = fpu_rand(6);

    fill(p, 16);
    for (u32 i = 0; i < 4 && kind < 2; i++) {
        u32 val = float32();

        memcpy(p + 4 * i, &val, 4);
    }
    for (u32 i = 0; i < 2 && (kind == 2 || kind == 3); i++) {
        u64 val = float64();

        memcpy(p + 8 * i, &val, 8);
    }
    for (u32 i = 0; i < 8 && kind == 4; i++) {
        u16 val = float16();

        memcpy(p + 2 * i, &val, 2);
    }
}

void fpu_random_operand(u8 *p, u32 size)
{
    u32 f32 = float32();
    u64 f64 = float64();

    vector(p);
    if (size == 2 || fpu_rand(4) == 0)
        integer(p, size < 8 ? size : 8);
    else if (size == 4)
        memcpy(p, &f32, 4);
    else if (size == 8 && fpu_rand(4))
        memcpy(p, &f64, 8);
    else if (size == 10 && fpu_rand(3) == 0)
        decimal(p);
    else if (size == 10)
        float80(p);
}

/* Half of a limit is where a product reaches it; few bits, so that results are exact, or just
 * not. */
void fpu_random_factors(u8 p[16], bool wide)
{
    u32 fraction = wide ? 52 : 23, bias = wide ? 1023 : 127, half = bias / 2,
        size = wide ? 8 : 4;
    const u32 limits[] = { 0, 1, bias - half, bias, bias + half, 2 * bias - 1 };

    for (u32 at = 0; at < 16; at += size) {
        u32 e = limits[fpu_rand(ARRAY_SIZE(limits))];
        u64 val = fpu_rand(2) ? 1ull << fpu_rand(fraction) : 0;

        if (fpu_rand(2))
            val |= 1ull << (fraction / 2 + fpu_rand(4) - 2);
        if (e > 1)
            e += fpu_rand(4) - 2;
        val |= (u64)e << fraction;
        if (fpu_rand(6) == 0)
            val = 0;
        val |= (u64)fpu_rand(2) << (size * 8 - 1);
        memcpy(p + at, &val, size);
    }
}

/* ---- States ---- */

/* Half of all states have every exception masked, as nearly all software runs. */
static u32 random_masks(void)
{
    return fpu_rand(2) ? 0x3f : fpu_rand(64);
}

void fpu_random_state(struct fxsave *fx)
{
    u32 pending;

    memset(fx, 0, sizeof(*fx));
    fx->fcw = (u16)(0x40 | random_masks() | fpu_rand(16) << 8 | fpu_rand(2) << 12);
    if (fpu_rand(2))
        fx->fcw |= 0x300;
    fx->fsw = (u16)(fpu_rand(8) << 11 | (fpu_rand(16) << 8 & 0x700) | fpu_rand(2) << 14);
    if (fpu_rand(4) == 0)
        fx->fsw |= (u16)fpu_rand(128);
    if (fpu_rand(8)) /* rarely an error pending */
        fx->fsw &= fx->fcw | ~0x3f;
    pending = fx->fsw & ~fx->fcw & 0x3f;
    if (pending)
        fx->fsw |= 0x8080;
    fx->ftw = (u8)(fpu_rand(3) ? 0xff : fpu_rand(256));
    if (fpu_rand(4) == 0) { /* room to push */
        u32 below = ((fx->fsw >> 11 & 7) - 1) & 7;

        fx->ftw &= (u8)~(1u << below | 1u << ((below - 1) & 7));
    }
    fx->fip = fpu_rand(~0u);
    fx->mxcsr = random_masks() << 7 | fpu_rand(4) << 13;
    if (fpu_rand(4) == 0)
        fx->mxcsr |= fpu_rand(64);
    if (fpu_rand(4) == 0)
        fx->mxcsr |= (fpu_rand(2) << 6) | (fpu_rand(2) << 15);
    for (u32 i = 0; i < 8; i++) {
        float80(fx->st[i]);
        if (fpu_rand(8) == 0) { /* an MMX value */
            vector(fx->st[i]);
            memset(fx->st[i] + 8, 0xff, 2);
            memset(fx->st[i] + 10, 0, 6);
        }
        vector(fx->xmm[i]);
    }
}
