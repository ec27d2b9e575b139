/*
 * What the CL-GD5446 shows beyond a VGA: linear modes of 8 to 32 bits a pixel, whose size is
 * the CRT controller's, and the hardware cursor over them.
 *
 *   cursor, 64 by 64   16 bytes a line: 8 of plane 0, 8 of plane 1; at 1 KiB * SR13 of the last
 * 16 32 by 32   128 bytes of plane 0, 128 of plane 1; at 256 * SR13 planes 1, 0        00
 * nothing   01 inverts   10 colour 0   11 colour 15
 *
 * Technical Reference Manual, SR7, SR10 to SR13, CR1A to CR1D, hidden DAC register. The cursor
 * is shown in linear modes only. Invariant: the picture lies inside video memory, or the lines
 * that do not are left out (vga_draw.c).
 */
#include "devices/gd5446_private.h"

#include <string.h>

/* ---- Modes ---- */

static u32 depth(const struct gd5446 *g)
{
    switch (g->sr[SR_MODE] & 0x0e) {
    case 0x0:
        return 8;
    case 0x4:
        return 24;
    case 0x8:
        return 32;
    case 0x2: /* 16 bits at twice the clock, or at once */
    case 0x6:
        return (g->hidden & 0x0f) == 0 ? 15 : 16;
    default:
        return 8;
    }
}

bool gd5446_linear(const struct vga *v, struct vga_linear *mode)
{
    const struct gd5446 *g = gd5446_of(v);
    u8 scan = v->cr[CRTC_MAX_SCAN];

    if (!gd5446_packed(g) || !(v->gr[GC_MISC] & GC_MISC_GRAPHICS))
        return false;
    mode->bpp = depth(g);
    mode->width = (v->cr[CRTC_HDISP_END] + 1u) * 8;
    mode->height = (vga_vdisp_end(v) + 1) << (g->cr[CR_MISC] & CR_MISC_INTERLACE);
    mode->start = (vga_start(v) * 4 + (v->cr[CRTC_PRESET_ROW] >> 5 & 3)) & (GD5446_VRAM - 1);
    mode->pitch = vga_offset(v) * 8;
    mode->repeat = ((scan & 31) + 1u) << (scan >> 7);
    return true;
}

/* ---- Cursor ---- */

static bool cursor_is_large(const struct gd5446 *g)
{
    return g->sr[SR_CURSOR] & SR_CURSOR_64;
}

static const u8 *cursor_pattern(const struct gd5446 *g)
{
    u32 n = g->sr[SR_CURSOR_PATTERN] & (cursor_is_large(g) ? 0x3c : 0x3f);

    return g->vga.vram + GD5446_VRAM - 0x4000 + n * 256;
}

static u64 row_bits(const u8 *p, u32 bytes)
{
    u64 bits = 0;

    for (u32 i = 0; i < bytes; i++)
        bits |= (u64)p[i] << (56 - 8 * i);
    return bits;
}

static u32 cursor_rgb(const struct gd5446 *g, u32 n)
{
    u32 rgb = 0;

    for (u32 i = 0; i < 3; i++) {
        u32 c = g->cursor_rgb[n][i];

        rgb = rgb << 8 | c << 2 | (c & 1) * 3;
    }
    return rgb;
}

static void cursor_line(const struct gd5446 *g, u32 row, u32 *line, u32 width)
{
    bool large = cursor_is_large(g);
    const u8 *p = cursor_pattern(g) + row * (large ? 16 : 4);
    u64 plane0 = row_bits(p, large ? 8 : 4),
        plane1 = row_bits(p + (large ? 8 : 128), large ? 8 : 4);
    u32 back = cursor_rgb(g, 0), front = cursor_rgb(g, 15);

    for (u32 x = g->cursor_x; x < width && (plane0 | plane1); x++, plane0 <<= 1, plane1 <<= 1) {
        bool zero = plane0 >> 63, one = plane1 >> 63;

        if (one)
            line[x] = zero ? front : back;
        else if (zero)
            line[x] ^= 0xffffff;
    }
}

void gd5446_overlay(struct vga *v, u32 y, u32 *line)
{
    const struct gd5446 *g = gd5446_of(v);
    u32 row = y - g->cursor_y;

    if (g->sr[SR_CURSOR] & SR_CURSOR_ON && row < (cursor_is_large(g) ? 64u : 32u))
        cursor_line(g, row, line, v->mode.width);
}

/* The pattern may have been written like any memory. */
void gd5446_draw_begin(struct vga *v)
{
    struct gd5446 *g = gd5446_of(v);
    u32 size = cursor_is_large(g) ? 1024 : 256;

    if (!(g->sr[SR_CURSOR] & SR_CURSOR_ON) || !memcmp(g->cursor_seen, cursor_pattern(g), size))
        return;
    memcpy(g->cursor_seen, cursor_pattern(g), size);
    v->dirty = true;
}
