/*
 * Pictures: text cells, fonts, cursor, planar, CGA, mode 13h and X, split screen, panning.
 * Single pixels are checked where the reason is plain; whole pictures by their hash, which was
 * taken after looking at them.
 */
#include "devices/vga.h"
#include "tests/devices/vga_rig.h"

#include <string.h>

/* The pixel of a colour that vga_set_mode() loaded. */
static u32 dac(u32 n)
{
    u32 c[3] = { n & 63, 63 - (n & 63), (n & 63) ^ 21 };

    for (u32 i = 0; i < 3; i++)
        c[i] = c[i] << 2 | (c[i] & 1) * 3;
    return c[0] << 16 | c[1] << 8 | c[2];
}

/* The colour of a text attribute's nibble under mode 3's palette. */
static u32 ink(u32 n)
{
    return dac(n < 8 ? (n == 6 ? 0x14 : n) : 0x30 | n);
}

/* Glyph c of font `base` gets rows row(c, y): a pattern of ours. */
static void load_font(struct rig *r, u32 base, u8 invert)
{
    vga_seq(r, 2, 4);
    vga_seq(r, 4, 6);
    vga_gc(r, 5, 0);
    vga_gc(r, 6, 4);
    for (u32 c = 0; c < 256; c++)
        for (u32 y = 0; y < 16; y++)
            vga_poke(r, 0xa0000 + base + c * 32 + y, (c + y * 17) ^ invert);
    vga_seq(r, 2, 3);
    vga_seq(r, 4, 2);
    vga_gc(r, 5, 0x10);
    vga_gc(r, 6, 0x0e);
}

static void cell(struct rig *r, u32 x, u32 y, u8 character, u8 attr)
{
    vga_poke(r, 0xb8000 + (y * 80 + x) * 2, character);
    vga_poke(r, 0xb8001 + (y * 80 + x) * 2, attr);
}

static struct rig *text_rig(void)
{
    struct rig *r = vga_rig(&vga_mode_03);

    load_font(r, 0, 0);
    for (u32 i = 0; i < 2000; i++)
        cell(r, i % 80, i / 80, i, i * 7);
    return r;
}

/* The nine dots of a cell's line, as bits: set where the pixel is `color`. */
static u32 dots(struct rig *r, u32 x, u32 line, u32 color)
{
    struct frame f = vga_frame(r);
    u32 bits = 0;

    for (u32 i = 0; i < 9; i++)
        bits = bits << 1 | (f.pixels[line * f.width + x * 9 + i] == color);
    return bits;
}

TEST(vga_draw, text_is_720x400_at_4_to_3)
{
    struct rig *r = text_rig();
    struct frame f = vga_frame(r);

    CHECK_EQ(f.width, 720);
    CHECK_EQ(f.height, 400);
    CHECK(f.text && f.changed);
    CHECK_EQ(f.aspect_x, 4);
    CHECK_EQ(f.aspect_y, 3);
    CHECK_EQ(vga_hash(r), 0xd4bb5c95);
}

TEST(vga_draw, a_cell_shows_its_glyph_in_its_colours)
{
    struct rig *r = text_rig();

    cell(r, 3, 2, 'A', 0x1e);
    for (u32 y = 0; y < 16; y++) {
        u32 row = ('A' + y * 17) & 0xff;

        CHECK_EQ(dots(r, 3, 32 + y, ink(14)), row << 1);
        CHECK_EQ(dots(r, 3, 32 + y, ink(1)), ~(row << 1) & 0x1ff);
    }
}

TEST(vga_draw, line_graphics_reach_the_ninth_dot)
{
    struct rig *r = text_rig();

    cell(r, 0, 5, 0xc3, 0x07); /* glyph rows 0 and on: c3, d4, … */
    CHECK_EQ(dots(r, 0, 80, ink(7)), 0xc3 << 1 | 1);
    CHECK_EQ(dots(r, 0, 81, ink(7)), 0xd4 << 1);
    vga_attr(r, 0x10, 0x08);
    CHECK_EQ(dots(r, 0, 80, ink(7)), 0xc3 << 1);
    cell(r, 0, 5, 0xe1, 0x07);
    vga_attr(r, 0x10, 0x0c);
    CHECK_EQ(dots(r, 0, 80, ink(7)), 0xe1 << 1);
}

TEST(vga_draw, eight_dot_cells_make_640)
{
    struct rig *r = text_rig();
    struct frame f;

    vga_seq(r, 1, 1);
    f = vga_frame(r);
    CHECK_EQ(f.width, 640);
    CHECK_EQ(vga_hash(r), 0x82d9117d);
}

TEST(vga_draw, attribute_bit_3_picks_the_second_font)
{
    struct rig *r = text_rig();

    load_font(r, 0x2000, 0xff); /* map select 4 */
    cell(r, 1, 1, 'x', 0x0f);
    cell(r, 2, 1, 'x', 0x07);
    vga_seq(r, 3, 0x20); /* A: 4, B: 0 */
    CHECK_EQ(dots(r, 1, 16, ink(15)), ('x' ^ 0xff) << 1);
    CHECK_EQ(dots(r, 2, 16, ink(7)), 'x' << 1);
    vga_seq(r, 3, 0x10); /* A: 0, B: 4 */
    CHECK_EQ(dots(r, 1, 16, ink(15)), 'x' << 1);
    CHECK_EQ(dots(r, 2, 16, ink(7)), ('x' ^ 0xff) << 1);
}

static void cursor_at(struct rig *r, u32 address)
{
    vga_crtc(r, 0x0e, address >> 8);
    vga_crtc(r, 0x0f, address);
}

TEST(vga_draw, cursor_covers_its_rows_and_blinks)
{
    struct rig *r = text_rig();

    cell(r, 5, 3, 0, 0x0a);
    cell(r, 6, 3, 0, 0x0a);
    cursor_at(r, 3 * 80 + 5);
    CHECK_EQ(dots(r, 5, 48 + 0x0c, ink(10)), (0x0c * 17 & 0xff) << 1);
    CHECK_EQ(dots(r, 5, 48 + 0x0d, ink(10)), 0x1ff);
    CHECK_EQ(dots(r, 5, 48 + 0x0e, ink(10)), 0x1ff);
    CHECK_EQ(dots(r, 6, 48 + 0x0e, ink(10)), (0x0e * 17 & 0xff) << 1);
    rig_advance(r, MSEC(120)); /* 8 frames of 14.27 ms */
    CHECK_EQ(dots(r, 5, 48 + 0x0d, ink(10)), (0x0d * 17 & 0xff) << 1);
    rig_advance(r, MSEC(120));
    CHECK_EQ(dots(r, 5, 48 + 0x0d, ink(10)), 0x1ff);
    vga_crtc(r, 0x0b, 0x20 | 0x0e); /* skew: one to the right */
    CHECK_EQ(dots(r, 6, 48 + 0x0d, ink(10)), 0x1ff);
    CHECK(dots(r, 5, 48 + 0x0d, ink(10)) != 0x1ff);
    vga_crtc(r, 0x0a, 0x2d);
    vga_crtc(r, 0x0b, 0x0e);
    CHECK(dots(r, 5, 48 + 0x0d, ink(10)) != 0x1ff);
    vga_crtc(r, 0x0a, 0x0f); /* starts below its end: none */
    CHECK(dots(r, 5, 48 + 0x0e, ink(10)) != 0x1ff);
}

TEST(vga_draw, characters_blink_or_have_bright_paper)
{
    struct rig *r = text_rig();

    cell(r, 9, 9, 'Z', 0xc7);
    vga_attr(r, 0x10, 0x0c);
    CHECK_EQ(dots(r, 9, 144, ink(4)), ~('Z' << 1) & 0x1ff);
    rig_advance(r, MSEC(240)); /* 16 frames */
    CHECK_EQ(dots(r, 9, 144, ink(4)), 0x1ff);
    vga_attr(r, 0x10, 0x04);
    CHECK_EQ(dots(r, 9, 144, ink(12)), ~('Z' << 1) & 0x1ff);
}

TEST(vga_draw, underline_where_the_attribute_says)
{
    struct rig *r = text_rig();

    vga_crtc(r, 0x14, 0x0d);
    cell(r, 2, 0, 0, 0x01);
    cell(r, 3, 0, 0, 0x02);
    CHECK_EQ(dots(r, 2, 0x0d, ink(1)), 0x1ff);
    CHECK_EQ(dots(r, 3, 0x0d, ink(2)), (0x0d * 17 & 0xff) << 1);
}

TEST(vga_draw, start_address_row_scan_and_panning_scroll_text)
{
    struct rig *r = text_rig();

    cursor_at(r, 0xffff);
    vga_crtc(r, 0x0d, 80 + 7);
    vga_crtc(r, 0x08, 5);
    vga_attr(r, 0x13, 2); /* three dots */
    cell(r, 7, 1, 0x55, 0x0f); /* now first; its row 5 is the first line */
    CHECK_EQ(dots(r, 0, 0, ink(15)) >> 3, (((0x55 + 5 * 17) & 0xff) << 1 & 0x3f));
    CHECK_EQ(vga_hash(r), 0x8332723b);
}

TEST(vga_draw, text_cells_are_read_back)
{
    struct rig *r = text_rig();
    struct text_screen t;

    cursor_at(r, 81);
    CHECK(vga_text(r->dev, &t));
    CHECK_EQ(t.columns, 80);
    CHECK_EQ(t.rows, 25);
    for (u32 i = 0; i < 2000; i++)
        CHECK_EQ(t.cells[i], (i & 255) | (i * 7 & 255) << 8);
    CHECK(t.cursor_x == 1 && t.cursor_y == 1);
    vga_crtc(r, 0x0d, 80);
    CHECK(vga_text(r->dev, &t));
    CHECK_EQ(t.cells[0], 80 | (80 * 7 & 255) << 8);
    CHECK(t.cursor_x == 1 && t.cursor_y == 0);
    vga_crtc(r, 0x0a, 0x20);
    CHECK(vga_text(r->dev, &t) && t.cursor_x == -1);
    vga_set_mode(r, &vga_mode_13);
    CHECK(!vga_text(r->dev, &t));
}

TEST(vga_draw, planar_16_colours)
{
    struct rig *r = vga_rig(&vga_mode_12);
    struct frame f = vga_frame(r);

    CHECK(f.width == 640 && f.height == 480 && !f.text);
    for (u32 color = 0; color < 16; color++) {
        vga_seq(r, 2, color);
        vga_poke(r, 0xa0000 + 80 * 100 + color, 0x81);
    }
    for (u32 color = 0; color < 16; color++) {
        CHECK_EQ(vga_pixel(r, color * 8, 100), dac(color));
        CHECK_EQ(vga_pixel(r, color * 8 + 1, 100), dac(0));
        CHECK_EQ(vga_pixel(r, color * 8 + 7, 100), dac(color));
    }
    vga_attr(r, 0x12, 0x07); /* plane 3 off */
    CHECK_EQ(vga_pixel(r, 13 * 8, 100), dac(5));
    vga_attr(r, 0x12, 0x0f);
    vga_attr(r, 0x14, 0x06); /* bits 7-6 of every colour: 01; 5-4: 10 with P54S */
    vga_attr(r, 0x10, 0x81);
    CHECK_EQ(vga_pixel(r, 13 * 8, 100), dac(13 | 0x20)); /* dac() repeats every 64 */
    rig_out8(r, 0x3c6, 0x0f);
    CHECK_EQ(vga_pixel(r, 13 * 8, 100), dac(13));
}

TEST(vga_draw, mode_0d_doubles_dots_and_lines)
{
    struct rig *r = vga_rig(&vga_mode_0d);
    struct frame f = vga_frame(r);

    CHECK(f.width == 640 && f.height == 400);
    vga_poke(r, 0xa0000 + 40, 0x40);
    CHECK_EQ(vga_pixel(r, 1, 2), dac(0));
    CHECK_EQ(vga_pixel(r, 2, 2), dac(15));
    CHECK_EQ(vga_pixel(r, 3, 3), dac(15));
    CHECK_EQ(vga_pixel(r, 4, 3), dac(0));
    CHECK_EQ(vga_pixel(r, 2, 4), dac(0));
}

TEST(vga_draw, cga_4_colours_in_two_banks)
{
    struct rig *r = vga_rig(&vga_mode_04);
    struct frame f = vga_frame(r);

    CHECK(f.width == 640 && f.height == 400);
    vga_poke(r, 0xb8000, 0x1b);          /* 0 1 2 3 at the left of row 0 */
    vga_poke(r, 0xb8001, 0xe4);          /* 3 2 1 0 */
    vga_poke(r, 0xb8000 + 0x2000, 0xff); /* row 1 */
    vga_poke(r, 0xb8000 + 80, 0x55);     /* row 2 */
    CHECK_EQ(vga_pixel(r, 0, 0), dac(0));
    CHECK_EQ(vga_pixel(r, 3, 1), dac(0x13));
    CHECK_EQ(vga_pixel(r, 6, 1), dac(0x17));
    CHECK_EQ(vga_pixel(r, 8, 0), dac(0x17));
    CHECK_EQ(vga_pixel(r, 14, 0), dac(0));
    CHECK_EQ(vga_pixel(r, 0, 2), dac(0x17));
    CHECK_EQ(vga_pixel(r, 0, 4), dac(0x13));
    CHECK_EQ(vga_pixel(r, 0, 6), dac(0));
}

TEST(vga_draw, cga_2_colours)
{
    struct rig *r = vga_rig(&vga_mode_06);
    struct frame f = vga_frame(r);

    CHECK(f.width == 640 && f.height == 400);
    vga_poke(r, 0xb8000, 0xa0);
    vga_poke(r, 0xb8000 + 0x2000 + 79, 0x01);
    CHECK_EQ(vga_pixel(r, 0, 0), dac(0x17));
    CHECK_EQ(vga_pixel(r, 1, 0), dac(0));
    CHECK_EQ(vga_pixel(r, 2, 1), dac(0x17));
    CHECK_EQ(vga_pixel(r, 639, 1), dac(0));
    CHECK_EQ(vga_pixel(r, 639, 3), dac(0x17));
}

TEST(vga_draw, mode_13_shows_each_pixel_four_times)
{
    struct rig *r = vga_rig(&vga_mode_13);
    struct frame f = vga_frame(r);

    CHECK(f.width == 640 && f.height == 400);
    vga_poke(r, 0xa0000 + 320 * 199 + 319, 33);
    CHECK_EQ(vga_pixel(r, 638, 398), dac(33));
    CHECK_EQ(vga_pixel(r, 639, 399), dac(33));
    CHECK_EQ(vga_pixel(r, 637, 399), dac(0));
    for (u32 i = 0; i < 64000; i++)
        vga_poke(r, 0xa0000 + i, i % 320 ^ i / 320);
    CHECK_EQ(vga_hash(r), 0x668e8d9d);
}

TEST(vga_draw, mode_x_pans_and_splits)
{
    struct rig *r = vga_rig(&vga_mode_x);
    struct frame f = vga_frame(r);

    CHECK(f.width == 640 && f.height == 480);
    for (u32 p = 0; p < 4; p++) {
        vga_seq(r, 2, 1 << p);
        for (u32 i = 0; i < 80 * 480; i++)
            vga_poke(r, 0xa0000 + i, (i % 80 * 4 + p) + i / 80 * 3);
    }
    CHECK_EQ(vga_pixel(r, 2 * 17, 2 * 11), dac(17 + 33));
    CHECK_EQ(vga_hash(r), 0xca1968ed);
    vga_crtc(r, 0x0c, 80 * 100 >> 8); /* page flip: 100 rows down, */
    vga_crtc(r, 0x0d, 80 * 100 & 0xff);
    vga_attr(r, 0x13, 4); /* two pixels left, */
    vga_attr(r, 0x10, 0x61);
    vga_crtc(r, 0x18, 399 & 0xff); /* and the last 80 lines from address 0, unpanned */
    vga_crtc(r, 0x07, 0x3e);
    vga_crtc(r, 0x09, 0x01);
    CHECK_EQ(vga_pixel(r, 0, 0), dac((2 + 300) & 255));
    CHECK_EQ(vga_pixel(r, 0, 399), dac((2 + 897) & 255));
    CHECK_EQ(vga_pixel(r, 0, 400), dac(0));
    CHECK_EQ(vga_pixel(r, 2, 402), dac(4));
    CHECK_EQ(vga_hash(r), 0x1f65f6ed);
    vga_attr(r, 0x10, 0x41); /* the split screen pans too */
    CHECK_EQ(vga_pixel(r, 0, 400), dac(2));
}

TEST(vga_draw, blank_is_black_in_the_same_size)
{
    struct rig *r = vga_rig(&vga_mode_12);
    struct frame f;

    CHECK_EQ(vga_pixel(r, 0, 0), dac(0));
    vga_seq(r, 1, 0x21);
    f = vga_frame(r);
    CHECK(f.changed && f.width == 640 && f.height == 480);
    CHECK_EQ(f.pixels[0], 0);
    vga_seq(r, 1, 0x01);
    CHECK_EQ(vga_pixel(r, 0, 0), dac(0));
    rig_in8(r, 0x3da);
    rig_out8(r, 0x3c0, 0x00); /* the palette is the CPU's */
    CHECK_EQ(vga_pixel(r, 0, 0), 0);
}

TEST(vga_draw, says_whether_anything_changed)
{
    struct rig *r = text_rig();

    CHECK(vga_frame(r).changed);
    CHECK(!vga_frame(r).changed);
    cell(r, 0, 0, 0, 0);
    CHECK(!vga_frame(r).changed); /* as it was */
    cell(r, 0, 0, 1, 0x70);
    CHECK(vga_frame(r).changed);
    vga_set_mode(r, &vga_mode_13);
    for (u32 i = 0; i < 64000; i++)
        vga_poke(r, 0xa0000 + i, 0);
    CHECK(vga_frame(r).changed);
    CHECK(!vga_frame(r).changed);
    vga_poke(r, 0xa0000, 5); /* through mapped memory */
    CHECK(vga_frame(r).changed);
    vga_dac(r, 200, 1, 2, 3); /* a colour nobody uses */
    CHECK(!vga_frame(r).changed);
    vga_dac(r, 5, 9, 9, 9);
    CHECK(vga_frame(r).changed);
}

TEST(vga_draw, extreme_registers_stay_inside)
{
    struct rig *r = vga_rig(&vga_mode_03);
    struct frame f;

    vga_crtc(r, 0x11, 0); /* no protection */
    for (u32 i = 0; i < 25; i++)
        vga_crtc(r, i, i == 0x11 ? 0x0f : 0xff);
    for (u32 mode = 0; mode < 4; mode++) { /* text, planar, CGA, 256 */
        vga_gc(r, 6, mode ? 5 : 4);
        vga_gc(r, 5, mode ? (mode - 1) << 5 : 0);
        for (u32 clocking = 0; clocking < 16; clocking++) {
            vga_seq(r, 1, clocking);
            vga_attr(r, 0x13, clocking);
            f = vga_frame(r);
            CHECK(f.width <= 256 * 18 && f.height == 1024);
        }
    }
    for (u32 i = 0; i < 25; i++)
        vga_crtc(r, i, i == 0x17 ? 0x80 : 0);
    f = vga_frame(r);
    CHECK(f.width && f.height == 1);
}
