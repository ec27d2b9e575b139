/*
 * From planes to pixels, one scan line at a time: the CRTC's address output, the graphics
 * controller's three shift modes, the attribute controller's palette and the DAC, and the
 * packed pixels of linear modes.
 *
 * Each line function reads one cell more than is shown, for panning. Any counter is good:
 * addresses wrap inside the planes. IBM PS/2 Video Subsystem, "CRT Controller: Underline
 * Location, Mode Control", "Graphics Mode".
 */
#include "devices/vga_private.h"

#include <string.h>

/* ---- Colours ---- */

/* Six bits to eight with the lowest bit repeated, as other machines' screen dumps have it. */
static u32 dac_rgb(const struct vga *v, u32 index)
{
    const u8 *c = v->dac + 3 * index;

    if (v->vbe[VBE_ENABLE] & VBE_8BIT_DAC)
        return (u32)c[0] << 16 | c[1] << 8 | c[2];
    return (c[0] << 2 | (c[0] & 1) * 3u) << 16 | (c[1] << 2 | (c[1] & 1) * 3u) << 8 |
           (c[2] << 2 | (c[2] & 1) * 3u);
}

void vga_palette(struct vga *v, u32 colors[16])
{
    u8 select = v->ar[ATTR_COLOR_SELECT];

    for (u32 i = 0; i < 256; i++)
        v->rgb[i] = dac_rgb(v, i & v->dac_mask);
    for (u32 i = 0; i < 16; i++) {
        u32 pixel = v->ar[i & v->ar[ATTR_PLANES]];

        if (v->ar[ATTR_MODE] & ATTR_MODE_P54)
            pixel = (pixel & 0x0f) | (select & 0x03) << 4;
        colors[i] = v->rgb[(pixel & 0x3f) | (select & 0x0c) << 4];
    }
}

/* ---- Addresses ---- */

u32 vga_crtc_address(const struct vga *v, u32 counter, u32 row)
{
    u8 mode = v->cr[CRTC_MODE];
    u32 a = counter;

    if (v->cr[CRTC_UNDERLINE] & UNDERLINE_DWORD)
        return a & (v->plane_size - 1); /* chain-4 counts in these units: see vga.h */
    if (!(mode & CRTC_MODE_BYTE))
        a = a << 1 | (a >> (mode & CRTC_MODE_WRAP ? 15 : 13) & 1);
    if (!(mode & CRTC_MODE_ROW0))
        a = (a & ~0x2000u) | (row & 1) << 13;
    if (!(mode & CRTC_MODE_ROW1))
        a = (a & ~0x4000u) | (row & 2) << 13;
    return a & (v->plane_size - 1);
}

static const u8 *planes_at(const struct vga *v, const struct vga_scan *s, u32 cell)
{
    if (vbe_on(v)) /* 4 bpp: byte mode, beyond 64 KiB */
        return v->vram + 4 * ((s->counter + cell) & (VGA_VRAM / 4 - 1));
    return v->vram + 4 * vga_crtc_address(v, s->counter + cell, s->row);
}

/* ---- Legacy graphics ---- */

/* Four dots of one plane, leftmost in the top bit, to bytes, leftmost in the lowest. */
static const u32 dots[16] = {
    0x00000000, 0x01000000, 0x00010000, 0x01010000,
    0x00000100, 0x01000100, 0x00010100, 0x01010100,
    0x00000001, 0x01000001, 0x00010001, 0x01010001,
    0x00000101, 0x01000101, 0x00010101, 0x01010101,
};

/* A byte of each plane is eight dots, and a colour is one bit of each. */
void vga_line_planar(struct vga *v, const struct vga_scan *s)
{
    u32 *out = v->line;

    for (u32 cell = 0; cell <= s->cells; cell++) {
        const u8 *p = planes_at(v, s, cell);

        for (int shift = 4; shift >= 0; shift -= 4) {
            u32 four = dots[p[0] >> shift & 15] | dots[p[1] >> shift & 15] << 1 |
                       dots[p[2] >> shift & 15] << 2 | dots[p[3] >> shift & 15] << 3;

            for (u32 i = 0; i < 4; i++, four >>= 8)
                *out++ = s->colors[four & 15];
        }
    }
}

/* CGA's four colours: planes 0 and 2 give the first four pixels of a cell, 1 and 3 the rest. */
void vga_line_interleaved(struct vga *v, const struct vga_scan *s)
{
    u32 *out = v->line;

    for (u32 cell = 0; cell <= s->cells; cell++) {
        const u8 *p = planes_at(v, s, cell);

        for (u32 half = 0; half < 2; half++)
            for (int bit = 6; bit >= 0; bit -= 2)
                *out++ = s->colors[(p[half] >> bit & 3) | (p[half + 2] >> bit & 3) << 2];
    }
}

/* Four pixels a cell, two dots wide each. */
void vga_line_256(struct vga *v, const struct vga_scan *s)
{
    u32 *out = v->line;

    for (u32 cell = 0; cell <= s->cells; cell++) {
        const u8 *p = planes_at(v, s, cell);

        for (u32 i = 0; i < 4; i++, out += 2)
            out[0] = out[1] = v->rgb[p[i]];
    }
}

/* ---- Linear modes ---- */

static u32 widen5(u32 c)
{
    return c << 3 | c >> 2;
}

static u32 rgb555(u32 p)
{
    return widen5(p >> 10 & 31) << 16 | widen5(p >> 5 & 31) << 8 | widen5(p & 31);
}

static u32 rgb565(u32 p)
{
    u32 green = p >> 5 & 63;

    return widen5(p >> 11) << 16 | (green << 2 | green >> 4) << 8 | widen5(p & 31);
}

void vga_line_linear(const struct vga *v, u32 *out, const u8 *in, u32 n, u32 bpp)
{
    if (bpp == 8)
        for (u32 i = 0; i < n; i++)
            out[i] = v->rgb[in[i]];
    else if (bpp == 15)
        for (u32 i = 0; i < n; i++, in += 2)
            out[i] = rgb555(in[0] | in[1] << 8);
    else if (bpp == 16)
        for (u32 i = 0; i < n; i++, in += 2)
            out[i] = rgb565(in[0] | in[1] << 8);
    else
        for (u32 i = 0; i < n; i++, in += bpp / 8)
            out[i] = in[0] | in[1] << 8 | (u32)in[2] << 16;
}
