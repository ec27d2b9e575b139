/* When a * b + c is inexact, the exponent unbounded (fused_post.c); insn-fpu has the rest. */
#include "cpu/sse_post.h"
#include "tests/harness/test.h"

#include <string.h>

static u64 bits(double v)
{
    u64 b;

    memcpy(&b, &v, sizeof(b));
    return b;
}

static bool of_doubles(double a, double b, double c)
{
    return fused_inexact(bits(a), bits(b), bits(c), true, false);
}

static bool of_floats(float a, float b, float c)
{
    u32 x, y, z;

    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    memcpy(&z, &c, 4);
    return fused_inexact(x, y, z, false, false);
}

TEST(fused, sums_are_exact_up_to_their_width)
{
    CHECK(!of_doubles(0, 0, 0) && !of_doubles(3, 5, -15));
    CHECK(!of_doubles(0x1p51, 1, 0.5) && of_doubles(0x1p52, 1, 0.5));
    CHECK(!of_doubles(0.5, 1, 0x1p51) && of_doubles(0.5, 1, 0x1p52));
    CHECK(!of_floats(0x1p22f, 1, 0.5f) && of_floats(0x1p23f, 1, 0.25f));
    CHECK(of_doubles(0x1.0000001p0, 0x1.0000001p0, 0)); /* 57 bits */
}

TEST(fused, what_cancels_does_not_count)
{
    CHECK(!of_doubles(0x1.0000001p0, 0x1.0000001p0, -0x1p0)); /* 2^-27 + 2^-56 */
    CHECK(!of_doubles(0x1.fffffffffffffp0, 0x1.fffffffffffffp0, -0x1.ffffffffffffep1));
    CHECK(of_doubles(0x1.fffffffffffffp0, 0x1.fffffffffffffp0, 0x1.ffffffffffffep1));
}

TEST(fused, range_is_unbounded)
{
    CHECK(!of_doubles(0x1p1023, 0x1p1023, 0));
    CHECK(!of_doubles(0x1p-1074, 0x1p-1074, 0));
    CHECK(of_doubles(0x1p1023, 0x1p1023, 0x1p-1074));
    CHECK(of_doubles(0x1p-1074, -0x1p-1074, 0x1p1023));
    CHECK(!of_doubles(0x1p1023, 2, -0x1p1023));
    CHECK(!of_doubles(0x1.8p1023, 0x1p1, 0x1.8p1023));
}

TEST(fused, denormals_count_as_zero_if_asked)
{
    CHECK(fused_inexact(bits(1), bits(1), bits(0x1p-1074), true, false));
    CHECK(!fused_inexact(bits(1), bits(1), bits(0x1p-1074), true, true));
}
