/*
 * Scaling by area: repetition, blending at edges, averages, partial redraws.
 */
#include "runtime/screen/scale.h"
#include "tests/harness/test.h"

#include <string.h>

static void scale(const u32 *from, u32 w, u32 h, u32 *to, u32 to_w, u32 to_h)
{
    struct scaler s = {.rows = NULL};

    scaler_set(&s, w, h, to_w, to_h);
    scaler_draw(&s, from, to, to_w, 0, to_h);
    scaler_free(&s);
}

TEST(scale, whole_factors_repeat_pixels)
{
    static const u32 from[4] = {1, 2, 3, 0xffffff};
    u32 to[24];

    scale(from, 2, 2, to, 6, 4);
    for (u32 y = 0; y < 4; y++)
        for (u32 x = 0; x < 6; x++)
            CHECK_EQ(to[y * 6 + x], from[y / 2 * 2 + x / 3]);
}

TEST(scale, other_factors_blend_at_edges_only)
{
    static const u32 from[2] = {0x000000, 0xff8040};
    u32 to[3];

    scale(from, 2, 1, to, 3, 1);
    CHECK_EQ(to[0], 0);
    CHECK_EQ(to[1], 0x7f4020); /* half and half */
    CHECK_EQ(to[2], 0xff8040);
}

TEST(scale, smaller_is_an_average)
{
    u32 from[16], to[1];

    for (u32 i = 0; i < 16; i++)
        from[i] = i < 8 ? 0xffffff : 0;
    scale(from, 4, 4, to, 1, 1);
    CHECK_EQ(to[0], 0x7f7f7f);
}

/* Rounding must not darken or tint a plain picture, whatever the factor. */
TEST(scale, a_plain_colour_stays)
{
    static const u32 sizes[][4] = {{720, 400, 720, 540},
                                   {640, 480, 1000, 700},
                                   {1920, 1200, 333, 207},
                                   {8, 1600, 1, 1},
                                   {4608, 3, 160, 120}};
    static u32 from[1920 * 1200], to[1000 * 700];

    for (u32 i = 0; i < ARRAY_SIZE(from); i++)
        from[i] = 0xfe80a9;
    for (u32 n = 0; n < ARRAY_SIZE(sizes); n++) {
        const u32 *z = sizes[n];
        u32 wrong = 0;

        scale(from, z[0], z[1], to, z[2], z[3]);
        for (u32 i = 0; i < z[2] * z[3]; i++)
            wrong += to[i] != 0xfe80a9;
        CHECK_EQ(wrong, 0);
    }
}

TEST(scale, changed_lines_reach_the_whole_change)
{
    enum { W = 5, H = 40, TO_W = 7, TO_H = 54 };
    u32 from[W * H] = {0}, all[TO_W * TO_H], part[TO_W * TO_H];
    struct scaler s = {.rows = NULL};

    scaler_set(&s, W, H, TO_W, TO_H);
    for (u32 line = 0; line < H; line++) {
        u32 first, last;

        scaler_draw(&s, from, part, TO_W, 0, TO_H);
        for (u32 x = 0; x < W; x++)
            from[line * W + x] = 0x123456 * (line + x + 1) & 0xffffff;
        scaler_reach(&s, line, line + 1, &first, &last);
        CHECK(last - first <= 3);
        scaler_draw(&s, from, part, TO_W, first, last);
        scaler_draw(&s, from, all, TO_W, 0, TO_H);
        CHECK(!memcmp(all, part, sizeof(all)));
    }
    scaler_free(&s);
}

static void scale_how(enum scale_how how, const u32 *from, u32 w, u32 h, u32 *to, u32 to_w, u32 to_h)
{
    struct scaler s = { .how = how };

    scaler_set(&s, w, h, to_w, to_h);
    scaler_draw(&s, from, to, to_w, 0, to_h);
    scaler_free(&s);
}

TEST(scale, nearest_has_no_other_colours)
{
    static const u32 from[2] = { 0x000000, 0xff8040 };
    u32 to[5];

    scale_how(SCALE_NEAREST, from, 2, 1, to, 5, 1);
    CHECK(to[0] == 0 && to[1] == 0 && to[2] == from[1] && to[3] == from[1] && to[4] == from[1]);
}

TEST(scale, linear_goes_from_middle_to_middle)
{
    static const u32 from[2] = { 0x000000, 0x804020 };
    u32 to[16];

    scale_how(SCALE_LINEAR, from, 2, 1, to, 4, 1);
    CHECK_EQ(to[0], 0);
    CHECK_EQ(to[1], 0x201008);
    CHECK_EQ(to[2], 0x603018);
    CHECK_EQ(to[3], from[1]);
    scale_how(SCALE_LINEAR, from, 1, 2, to, 1, 8);
    CHECK_EQ(to[0], 0);
    CHECK_EQ(to[7], from[1]);
    CHECK_EQ(to[4], 0x502814);
}

TEST(scale, a_line_reaches_its_neighbours_when_it_is_linear)
{
    struct scaler s = { .how = SCALE_LINEAR };
    u32 first, last;

    scaler_set(&s, 4, 4, 16, 16);
    scaler_reach(&s, 2, 3, &first, &last);
    CHECK(first <= 6 && last >= 14);
    scaler_reach(&s, 0, 4, &first, &last);
    CHECK(first == 0 && last == 16);
    scaler_free(&s);
}
