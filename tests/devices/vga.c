/*
 * VGA registers: indexing, protection, the flip-flop, the DAC, retrace timing.
 */
#include "tests/devices/vga_rig.h"

TEST(vga, index_and_data_take_one_16_bit_write)
{
    struct rig *r = vga_rig(&vga_mode_03);

    rig_out16(r, 0x3ce, 0x5a08);
    CHECK_EQ(rig_in8(r, 0x3ce), 8);
    CHECK_EQ(rig_in8(r, 0x3cf), 0x5a);
    rig_out16(r, 0x3c4, 0xff02);
    CHECK_EQ(rig_in8(r, 0x3c5), 0x0f); /* only bits that exist */
}

TEST(vga, crtc_answers_at_the_ports_misc_selects)
{
    struct rig *r = vga_rig(&vga_mode_03);

    vga_crtc(r, 0x0f, 0x42);
    CHECK_EQ(rig_in8(r, 0x3d5), 0x42);
    CHECK_EQ(rig_in8(r, 0x3b5), 0xff);
    rig_out8(r, 0x3c2, 0x66);
    CHECK_EQ(rig_in8(r, 0x3d5), 0xff);
    CHECK_EQ(rig_in8(r, 0x3b5), 0x42);
    CHECK_EQ(rig_in8(r, 0x3cc), 0x66);
}

TEST(vga, crtc_protects_registers_0_to_7_but_for_line_compare)
{
    struct rig *r = vga_rig(&vga_mode_03);

    vga_crtc(r, 0x11, 0x8e);
    vga_crtc(r, 0x00, 0x11);
    vga_crtc(r, 0x07, 0x00);
    CHECK_EQ((vga_crtc(r, 0x08, 3), rig_in8(r, 0x3d5)), 3);
    rig_out8(r, 0x3d4, 0x00);
    CHECK_EQ(rig_in8(r, 0x3d5), 0x5f);
    rig_out8(r, 0x3d4, 0x07);
    CHECK_EQ(rig_in8(r, 0x3d5), 0x0f); /* was 1f */
}

TEST(vga, attribute_index_and_data_alternate)
{
    struct rig *r = vga_rig(&vga_mode_03);

    rig_in8(r, 0x3da);
    rig_out8(r, 0x3c0, 0x01);
    rig_out8(r, 0x3c0, 0x2a);
    rig_out8(r, 0x3c0, 0x02);
    rig_in8(r, 0x3da); /* the next is an index again */
    rig_out8(r, 0x3c0, 0x21);
    CHECK_EQ(rig_in8(r, 0x3c1), 0x2a);
    CHECK_EQ(rig_in8(r, 0x3c0), 0x21);
}

TEST(vga, dac_advances_after_three_bytes)
{
    struct rig *r = vga_rig(&vga_mode_03);

    rig_out8(r, 0x3c8, 254);
    for (u32 i = 0; i < 9; i++) /* 254, 255, 0 */
        rig_out8(r, 0x3c9, 0xc0 | i);
    CHECK_EQ(rig_in8(r, 0x3c7), 0);
    rig_out8(r, 0x3c7, 255);
    CHECK_EQ(rig_in8(r, 0x3c7), 3);
    for (u32 i = 3; i < 9; i++)
        CHECK_EQ(rig_in8(r, 0x3c9), i); /* six bits */
}

TEST(vga, dac_takes_a_colour_only_when_complete)
{
    struct rig *r = vga_rig(&vga_mode_03);

    vga_dac(r, 9, 1, 2, 3);
    rig_out8(r, 0x3c8, 9);
    rig_out8(r, 0x3c9, 40);
    rig_out8(r, 0x3c9, 41);
    rig_out8(r, 0x3c7, 9);
    CHECK_EQ(rig_in8(r, 0x3c9), 1);
}

TEST(vga, dac_has_eight_bits_in_that_mode)
{
    struct rig *r = vga_rig(&vga_mode_03);

    vga_dac(r, 5, 63, 32, 1);
    vga_dispi(r, 4, 0x20);
    rig_out8(r, 0x3c7, 5);
    CHECK_EQ(rig_in8(r, 0x3c9), 0xff);
    CHECK_EQ(rig_in8(r, 0x3c9), 0x82);
    vga_dac(r, 5, 0xab, 0xcd, 0xef);
    rig_out8(r, 0x3c7, 5);
    CHECK_EQ(rig_in8(r, 0x3c9), 0xab);
    vga_dispi(r, 4, 0);
    rig_out8(r, 0x3c7, 5);
    CHECK_EQ(rig_in8(r, 0x3c9), 0xab >> 2);
}

/* Turns the clock in small steps through one second and counts what status 1 shows. */
static void count_retraces(struct rig *r, u32 *frames, u32 *vertical, u32 *blank)
{
    bool was = true;

    *frames = *vertical = *blank = 0;
    for (u32 i = 0; i < 100000; i++) {
        u8 status = rig_in8(r, 0x3da);

        *frames += !was && status & 8;
        *vertical += !!(status & 8);
        *blank += status & 1;
        was = status & 8;
        rig_advance(r, USEC(10) + i % 7); /* not in step with lines */
    }
}

TEST(vga, retrace_follows_the_crtc)
{
    struct rig *r = vga_rig(&vga_mode_03);
    u32 frames, vertical, blank;

    count_retraces(r, &frames, &vertical, &blank);
    CHECK(frames == 70 || frames == 71); /* 70.09: 900 dots, 449 lines, 28.322 MHz */
    CHECK(vertical > 350 && vertical < 550); /* 2 of 449 lines */
    CHECK(blank > 27000 && blank < 31000);   /* shown: 720/900 by 400/449 */
    vga_set_mode(r, &vga_mode_12);
    count_retraces(r, &frames, &vertical, &blank);
    CHECK(frames == 59 || frames == 60); /* 59.94 */
}

TEST(vga, retrace_comes_whatever_the_totals)
{
    struct rig *r = vga_rig(NULL); /* all zero */
    u32 frames, vertical, blank;

    rig_out8(r, 0x3c2, 0x01); /* but for the ports */
    count_retraces(r, &frames, &vertical, &blank);
    CHECK(vertical > 0 && vertical < 100000);
    vga_crtc(r, 0x10, 0xff); /* retrace far below the frame */
    count_retraces(r, &frames, &vertical, &blank);
    CHECK(vertical > 0 && vertical < 100000);
    vga_set_linear(r, 8, 1, 8);
    count_retraces(r, &frames, &vertical, &blank);
    CHECK(frames >= 59 && frames <= 61);
}

TEST(vga, reset_leaves_registers_as_power_on)
{
    struct rig *r = vga_rig(&vga_mode_12);

    vga_set_linear(r, 640, 480, 32);
    r->dev->class->reset(r->dev);
    CHECK_EQ(rig_in8(r, 0x3cc), 0);
    rig_out16(r, 0x1ce, 4);
    CHECK_EQ(rig_in16(r, 0x1cf), 0);
    CHECK_EQ(vga_peek(r, 0xa0000), 0xff); /* Misc bit 1: memory does not answer */
}
