/*
 * FMA3's precision flag where the result over- or underflows unmasked: it then speaks of the sum
 * a * b + c rounded with an unbounded exponent (SDM vol. 1, 4.9.1.4, 4.9.1.5), and the x87 has no
 * room for the product of two doubles. The sum is worked out in integers: it is inexact if from
 * its highest bit to its lowest one there are more than a result has.
 */
#include "cpu/sse_post.h"

typedef unsigned __int128 u128;

enum { SUM_BITS = 120 }; /* what a sum is worked out in */

struct exact { /* bits * 2^exponent */
    u128 bits;
    i32 exponent;
    bool negative;
};

static u32 trailing_zeros(u128 v)
{
    return (u64)v ? (u32)__builtin_ctzll((u64)v) : 64 + (u32)__builtin_ctzll((u64)(v >> 64));
}

/* Of v, which is not 0, up to its highest bit set. */
static u32 bit_length(u128 v)
{
    u64 high = (u64)(v >> 64);

    return high ? 128 - (u32)__builtin_clzll(high) : 64 - (u32)__builtin_clzll((u64)v);
}

static struct exact unpack(u64 v, bool wide, bool daz)
{
    u32 fraction = wide ? 52 : 23, e = (u32)(v >> fraction) & (wide ? 0x7ff : 0xff);
    u64 m = v & ((1ull << fraction) - 1);

    if (e)
        m |= 1ull << fraction;
    else if (daz)
        m = 0;
    return (struct exact){ m, (i32)(e ? e : 1) - (i32)(wide ? 1023 : 127) - (i32)fraction,
                           v >> (wide ? 63 : 31) & 1 };
}

/* Odd, unless it is 0. */
static struct exact make_odd(struct exact v)
{
    u32 n = v.bits ? trailing_zeros(v.bits) : 0;

    v.bits >>= n;
    v.exponent += (i32)n;
    return v;
}

/* How many bits the sum of two has, from its highest to its lowest one set. */
static u32 sum_width(struct exact low, struct exact high)
{
    u32 apart;
    u128 sum;

    if (!low.bits || !high.bits)
        return low.bits | high.bits ? bit_length(low.bits | high.bits) : 0;
    if (low.exponent > high.exponent)
        return sum_width(high, low);
    apart = (u32)(high.exponent - low.exponent);
    if (apart + bit_length(high.bits) > SUM_BITS)
        return SUM_BITS - 1; /* at least: the other one has 106 at most, and the lowest set */
    high.bits <<= apart;
    if (low.negative == high.negative)
        sum = high.bits + low.bits;
    else
        sum = high.bits > low.bits ? high.bits - low.bits : low.bits - high.bits;
    return sum ? bit_length(sum) - trailing_zeros(sum) : 0;
}

bool fused_inexact(u64 a, u64 b, u64 c, bool wide, bool daz)
{
    struct exact x = unpack(a, wide, daz), y = unpack(b, wide, daz);
    struct exact product = { x.bits * y.bits, x.exponent + y.exponent, x.negative != y.negative };

    return sum_width(make_odd(product), make_odd(unpack(c, wide, daz))) > (wide ? 53 : 24);
}
