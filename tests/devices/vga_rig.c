/*
 * See vga_rig.h. The DAC is loaded so that colour n is (n, 63 - n, n ^ 21) in six bits: every
 * index below 64 has its own pixel value.
 */
#include "tests/devices/vga_rig.h"
#include "devices/vga.h"

/* clang-format off */
#define PALETTE 0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f
#define STRAIGHT 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define CGA 0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
#define LINES_400 0xbf, 0x1f
#define RETRACE_400 0x9c, 0x8e, 0x8f

const struct vga_mode vga_mode_03 = {
    0x67, { 3, 0, 3, 0, 2 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, LINES_400, 0, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0,
      RETRACE_400, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff }, { PALETTE, 0x0c, 0, 0x0f, 8, 0 },
};
const struct vga_mode vga_mode_04 = {
    0x63, { 3, 9, 3, 0, 2 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, LINES_400, 0, 0xc1, 0, 0, 0, 0, 0, 0,
      RETRACE_400, 0x14, 0, 0x96, 0xb9, 0xa2, 0xff },
    { 0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff }, { CGA, 1, 0, 3, 0, 0 },
};
const struct vga_mode vga_mode_06 = {
    0x63, { 3, 1, 1, 0, 6 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, LINES_400, 0, 0xc1, 0, 0, 0, 0, 0, 0,
      RETRACE_400, 0x28, 0, 0x96, 0xb9, 0xc2, 0xff },
    { 0, 0, 0, 0, 0, 0, 0x0d, 0, 0xff },
    { 0, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17,
      1, 0, 1, 0, 0 },
};
const struct vga_mode vga_mode_0d = {
    0x63, { 3, 9, 0x0f, 0, 6 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, LINES_400, 0, 0xc0, 0, 0, 0, 0, 0, 0,
      RETRACE_400, 0x14, 0, 0x96, 0xb9, 0xe3, 0xff },
    { 0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff }, { STRAIGHT, 1, 0, 0x0f, 0, 0 },
};
const struct vga_mode vga_mode_12 = {
    0xe3, { 3, 1, 0x0f, 0, 6 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0, 0x40, 0, 0, 0, 0, 0, 0,
      0xea, 0x8c, 0xdf, 0x28, 0, 0xe7, 0x04, 0xe3, 0xff },
    { 0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff }, { STRAIGHT, 1, 0, 0x0f, 0, 0 },
};
const struct vga_mode vga_mode_13 = {
    0x63, { 3, 1, 0x0f, 0, 0x0e },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, LINES_400, 0, 0x41, 0, 0, 0, 0, 0, 0,
      RETRACE_400, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 0, 0, 0, 0, 0x40, 5, 0x0f, 0xff }, { STRAIGHT, 0x41, 0, 0x0f, 0, 0 },
};
const struct vga_mode vga_mode_x = {
    0xe3, { 3, 1, 0x0f, 0, 6 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0d, 0x3e, 0, 0x41, 0, 0, 0, 0, 0, 0,
      0xea, 0xac, 0xdf, 0x28, 0, 0xe7, 0x06, 0xe3, 0xff },
    { 0, 0, 0, 0, 0, 0x40, 5, 0x0f, 0xff }, { STRAIGHT, 0x41, 0, 0x0f, 0, 0 },
};
/* clang-format on */

void vga_seq(struct rig *r, u8 index, u8 val)
{
    rig_out8(r, 0x3c4, index);
    rig_out8(r, 0x3c5, val);
}

void vga_gc(struct rig *r, u8 index, u8 val)
{
    rig_out8(r, 0x3ce, index);
    rig_out8(r, 0x3cf, val);
}

void vga_crtc(struct rig *r, u8 index, u8 val)
{
    rig_out8(r, 0x3d4, index);
    rig_out8(r, 0x3d5, val);
}

void vga_attr(struct rig *r, u8 index, u8 val)
{
    rig_in8(r, 0x3da);
    rig_out8(r, 0x3c0, index);
    rig_out8(r, 0x3c0, val);
    rig_out8(r, 0x3c0, 0x20);
}

void vga_dac(struct rig *r, u8 index, u8 red, u8 green, u8 blue)
{
    rig_out8(r, 0x3c8, index);
    rig_out8(r, 0x3c9, red);
    rig_out8(r, 0x3c9, green);
    rig_out8(r, 0x3c9, blue);
}

void vga_dispi(struct rig *r, u16 index, u16 val)
{
    rig_out16(r, 0x1ce, index);
    rig_out16(r, 0x1cf, val);
}

void vga_set_linear(struct rig *r, u16 width, u16 height, u16 bpp)
{
    vga_dispi(r, 4, 0);
    vga_dispi(r, 1, width);
    vga_dispi(r, 2, height);
    vga_dispi(r, 3, bpp);
    vga_dispi(r, 4, 0x41);
}

void vga_set_mode(struct rig *r, const struct vga_mode *mode)
{
    rig_out8(r, 0x3c2, mode->misc);
    for (u32 i = 0; i < 5; i++)
        vga_seq(r, i, mode->sr[i]);
    vga_crtc(r, 0x11, 0);
    for (u32 i = 0; i < 25; i++)
        vga_crtc(r, i, mode->cr[i]);
    for (u32 i = 0; i < 9; i++)
        vga_gc(r, i, mode->gr[i]);
    for (u32 i = 0; i < 21; i++)
        vga_attr(r, i, mode->ar[i]);
    for (u32 i = 0; i < 256; i++)
        vga_dac(r, i, i & 63, 63 - (i & 63), (i & 63) ^ 21);
}

struct rig *vga_rig(const struct vga_mode *mode)
{
    struct rig *r = rig_new(&vga_class, NULL);

    if (mode)
        vga_set_mode(r, mode);
    return r;
}

void vga_poke(struct rig *r, u32 gpa, u8 val)
{
    phys_write(r->m, gpa, &val, 1);
}

u8 vga_peek(struct rig *r, u32 gpa)
{
    u8 val;

    phys_read(r->m, gpa, &val, 1);
    return val;
}

struct frame vga_frame(struct rig *r)
{
    struct frame f;

    vga_draw(r->dev, &f);
    return f;
}

u32 vga_pixel(struct rig *r, u32 x, u32 y)
{
    struct frame f = vga_frame(r);

    return x < f.width && y < f.height ? f.pixels[y * f.width + x] : ~0u;
}

u32 vga_hash(struct rig *r)
{
    struct frame f = vga_frame(r);
    u32 hash = 2166136261u;

    hash = (hash ^ f.width) * 16777619u;
    hash = (hash ^ f.height) * 16777619u;
    for (u32 i = 0; i < f.width * f.height; i++)
        hash = (hash ^ f.pixels[i]) * 16777619u;
    return hash;
}
