/*
 * Text modes: cells from planes 0 and 1 (character, attribute), glyphs from plane 2, and the
 * cursor; as pixels for vga_draw(), as characters for vga_text().
 *
 *   attribute   7 blink or bright background   6-4 background   3 bright, font select   2-0 ink
 *
 * IBM PS/2 Video Subsystem, "Alphanumeric Modes", "Character Map Select", "Cursor Start".
 */
#include "devices/vga_private.h"

enum { CURSOR_OFF = 0x20, GLYPH_ROWS = 32 };

/* Where in plane 2 the font of a 3-bit map select lies: 16 KiB steps, bit 2 adds 8 KiB. */
static u32 font_base(u32 low, u32 high)
{
    return low * 0x4000 + high * 0x2000;
}

/* Fonts for attribute bit 3 clear (map B) and set (map A). */
static void font_bases(const struct vga *v, u32 base[2])
{
    u8 map = v->sr[SEQ_CHAR_MAP];

    base[0] = font_base(map & 3, map >> 4 & 1);
    base[1] = font_base(map >> 2 & 3, map >> 5 & 1);
}

static u32 cursor_address(const struct vga *v)
{
    u32 skew = v->cr[CRTC_CURSOR_END] >> 5 & 3;

    return (v->cr[CRTC_CURSOR_HIGH] << 8 | v->cr[CRTC_CURSOR_HIGH + 1]) + skew;
}

static bool cursor_on_row(const struct vga *v, u32 row)
{
    u8 start = v->cr[CRTC_CURSOR_START];

    return !(start & CURSOR_OFF) && row >= (start & 31u) &&
           row <= (v->cr[CRTC_CURSOR_END] & 31u);
}

/* ---- Pixels ---- */

struct inks {
    u32 ink, paper;
};

static struct inks cell_inks(const struct vga *v, const struct vga_scan *s, u8 attr)
{
    bool blinks = v->ar[ATTR_MODE] & ATTR_MODE_BLINK;
    u32 paper = s->colors[attr >> 4 & (blinks ? 7 : 15)];

    if (blinks && attr & 0x80 && !s->blink)
        return (struct inks){ paper, paper };
    return (struct inks){ s->colors[attr & 15], paper };
}

/* The ninth dot is paper, but for box-drawing characters, which reach across it. */
static bool reaches_across(const struct vga *v, u8 character)
{
    return v->ar[ATTR_MODE] & ATTR_MODE_LINE_GRAPHICS && character >= 0xc0 && character <= 0xdf;
}

static u32 glyph_dots(const struct vga *v, const struct vga_scan *s, u32 font, const u8 *cell)
{
    u32 row = v->vram[4 * ((font + cell[0] * GLYPH_ROWS + s->row) & (VGA_PLANE - 1)) + 2];
    u32 underline = v->cr[CRTC_UNDERLINE] & 31;

    if ((cell[1] & 0x77) == 1 && s->row == underline)
        return ~0u;
    return row << 1 | (reaches_across(v, cell[0]) ? row & 1 : 0);
}

void vga_line_text(struct vga *v, const struct vga_scan *s)
{
    bool cursor_here = s->cursor && cursor_on_row(v, s->row);
    u32 cursor = cursor_address(v), fonts[2], *out = v->line;

    font_bases(v, fonts);
    for (u32 i = 0; i <= s->cells; i++) {
        const u8 *cell = v->vram + 4 * vga_crtc_address(v, s->counter + i, s->row);
        struct inks c = cell_inks(v, s, cell[1]);
        u32 dots = glyph_dots(v, s, fonts[cell[1] >> 3 & 1], cell);

        if (cursor_here && ((s->counter + i) & 0xffff) == (cursor & 0xffff)) {
            dots = ~0u;
            c.ink = s->colors[cell[1] & 15];
        }
        for (u32 dot = 0; dot < s->dots; dot++)
            *out++ = dots >> (8 - dot) & 1 ? c.ink : c.paper;
    }
}

/* ---- Characters ---- */

static void find_cursor(const struct vga *v, struct text_screen *text, u32 start, u32 pitch)
{
    u32 off = (cursor_address(v) - start) & 0xffff;

    text->cursor_x = text->cursor_y = -1;
    if (v->cr[CRTC_CURSOR_START] & CURSOR_OFF || !pitch)
        return;
    if ((v->cr[CRTC_CURSOR_START] & 31) > (v->cr[CRTC_CURSOR_END] & 31))
        return;
    if (off % pitch >= text->columns || off / pitch >= text->rows)
        return;
    text->cursor_x = off % pitch;
    text->cursor_y = off / pitch;
}

bool vga_text(struct device *dev, struct text_screen *text)
{
    struct vga *v = (struct vga *)dev;
    u32 start = vga_start(v), pitch = vga_offset(v) * 2, lines = (v->cr[CRTC_MAX_SCAN] & 31) + 1u;
    struct vga_linear mode;
    u16 *out = v->cells;

    if (vga_linear(v, &mode) || v->gr[GC_MISC] & GC_MISC_GRAPHICS)
        return false;
    vga_window_sync(v);
    lines <<= v->cr[CRTC_MAX_SCAN] >> 7;
    text->columns = v->cr[CRTC_HDISP_END] + 1u;
    text->rows = (vga_vdisp_end(v) + 1) / lines;
    text->cells = v->cells;
    text->blink = v->ar[ATTR_MODE] & ATTR_MODE_BLINK;
    for (u32 y = 0; y < text->rows; y++)
        for (u32 x = 0; x < text->columns; x++) {
            u32 a = 4 * vga_crtc_address(v, start + y * pitch + x, 0);

            *out++ = v->vram[a] | v->vram[a + 1] << 8;
        }
    find_cursor(v, text, start, pitch);
    return true;
}
