/*
 * The picture: which mode the registers make, its size and shape, and the scan from top to
 * bottom with start address, row scan, double scan, split screen and panning.
 *
 * A frame is kept from call to call and changed line by line, so that "nothing changed" costs
 * little: without `dirty`, without mapped video memory and in the same phase of blinking it is
 * not even looked at; a linear mode compares its bytes with those last shown. Frames have every
 * dot and line of the beam (mode 13h: 640x400) and no border; legacy modes fill a 4:3 screen,
 * linear modes have square pixels. Where the registers show nothing, or the screen is off, the
 * picture is black in the size it last had. IBM PS/2 Video Subsystem, "CRT Controller".
 */
#include "devices/vga_private.h"

#include <string.h>

enum {
    PIXELS = VGA_CELLS * 18 * VGA_LINES, /* the largest legacy frame; linear ones are smaller */
    FIRST_WIDTH = 720, FIRST_HEIGHT = 400, /* before the guest set a mode */
    PHASE_CURSOR_OFF = 1, PHASE_BLINK_OFF = 2,
};
static_assert(VBE_MAX_XRES * VBE_MAX_YRES <= PIXELS, "linear frames fit");
static_assert((VGA_CELLS + 1) * 9 <= VGA_LINE && VBE_MAX_XRES <= (int)VGA_LINE, "lines fit");

void vga_draw_attach(struct vga *v)
{
    v->frame.pixels = machine_alloc(v->dev.machine, PIXELS * sizeof(u32));
    v->frame.width = FIRST_WIDTH;
    v->frame.height = FIRST_HEIGHT;
    v->frame.aspect_x = 4;
    v->frame.aspect_y = 3;
    v->seen = machine_alloc(v->dev.machine, VGA_VRAM);
    v->cells = machine_alloc(v->dev.machine, VGA_CELLS * VGA_LINES * sizeof(u16));
}

/* ---- What the registers make ---- */

static bool is_blank(const struct vga *v)
{
    if (!(v->ar_index & ATTR_PAS))
        return true;
    if (v->kind && v->linear) /* NOTE: SeaBIOS' VGA BIOS leaves CLOCKING_OFF set in all of them */
        return false;
    if (v->sr[SEQ_CLOCKING] & CLOCKING_OFF)
        return true;
    return !v->linear && ((v->sr[SEQ_RESET] & 3) != 3 || !(v->cr[CRTC_MODE] & CRTC_MODE_RUN));
}

static bool is_text(const struct vga *v)
{
    return !v->linear && !(v->gr[GC_MISC] & GC_MISC_GRAPHICS);
}

/* Width and height of the picture; true if either, or the kind of mode, is new. */
static bool reshape(struct vga *v)
{
    struct frame *f = &v->frame, old = *f;
    u32 dots = is_text(v) && !(v->sr[SEQ_CLOCKING] & CLOCKING_8DOT) ? 9 : 8;

    f->text = is_text(v);
    if (v->linear) {
        f->width = v->mode.width;
        f->height = v->mode.height;
        f->aspect_x = v->mode.repeat == 1 ? f->width : 4;
        f->aspect_y = v->mode.repeat == 1 ? f->height : 3;
    } else if (!is_blank(v)) { /* else in the midst of a mode change */
        f->width = (v->cr[CRTC_HDISP_END] + 1u) * dots
                   << !!(v->sr[SEQ_CLOCKING] & CLOCKING_HALF);
        f->height = vga_vdisp_end(v) + 1;
        f->aspect_x = 4;
        f->aspect_y = 3;
    }
    if (f->width == old.width && f->height == old.height && f->text == old.text)
        return false;
    trace(TRACE_VGA, "vga: %s %ux%u", f->text ? "text" : v->linear ? "linear" : "graphics",
          f->width, f->height);
    return true;
}

/* ---- Lines into the frame ---- */

static bool put_line(struct vga *v, u32 y, const u32 *line)
{
    u32 *to = v->frame.pixels + (size_t)y * v->frame.width;

    if (!memcmp(to, line, v->frame.width * sizeof(u32)))
        return false;
    memcpy(to, line, v->frame.width * sizeof(u32));
    if (y < v->frame.top)
        v->frame.top = y;
    v->frame.bottom = y + 1;
    return true;
}

static bool draw_blank(struct vga *v)
{
    bool changed = false;

    memset(v->wide, 0, sizeof(v->wide));
    for (u32 y = 0; y < v->frame.height; y++)
        changed |= put_line(v, y, v->wide);
    return changed;
}

static void render(struct vga *v, const struct vga_scan *s)
{
    if (v->frame.text)
        vga_line_text(v, s);
    else if (v->gr[GC_MODE] & GC_MODE_256)
        vga_line_256(v, s);
    else if (v->gr[GC_MODE] & GC_MODE_INTERLEAVE)
        vga_line_interleaved(v, s);
    else
        vga_line_planar(v, s);
}

/* The picture's dots: from the panned one on; each twice where the dot clock is halved. */
static const u32 *shown_dots(struct vga *v, u32 pan)
{
    if (!(v->sr[SEQ_CLOCKING] & CLOCKING_HALF))
        return v->line + pan;
    for (u32 x = 0; x < v->frame.width; x++)
        v->wide[x] = v->line[pan + x / 2];
    return v->wide;
}

/* Dots the picture moves left: nine-dot cells count 8, 0, 1, … 7. */
static u32 panning(const struct vga *v, u32 dots)
{
    u32 pan = v->ar[ATTR_PAN];

    if (dots == 9)
        return pan < 8 ? pan + 1 : 0;
    return pan < 8 ? pan : 0;
}

/* ---- The CRTC's scan ---- */

struct beam {
    u32 row_start; /* counter at the start of the character row */
    u32 pitch;     /* from one row to the next */
    u32 max_scan, doubling, doubled, split, pan;
    bool pan_top_only;
};

static void beam_start(const struct vga *v, struct beam *b, struct vga_scan *s)
{
    u8 preset = v->cr[CRTC_PRESET_ROW], max = v->cr[CRTC_MAX_SCAN];

    s->cells = v->cr[CRTC_HDISP_END] + 1u;
    s->dots = v->frame.text && !(v->sr[SEQ_CLOCKING] & CLOCKING_8DOT) ? 9 : 8;
    s->row = preset & 31;
    s->counter = vga_start(v) + (preset >> 5 & 3);
    b->pitch = vga_offset(v) * 2;
    b->max_scan = max & 31;
    b->doubling = max >> 7;
    b->doubled = 0;
    b->split = vga_line_compare(v);
    b->pan = panning(v, s->dots);
    b->pan_top_only = v->ar[ATTR_MODE] & ATTR_MODE_PAN_TOP;
}

static void beam_next_line(struct beam *b, struct vga_scan *s, u32 y)
{
    if (y == b->split) {
        s->counter = s->row = b->doubled = 0;
        if (b->pan_top_only)
            b->pan = 0;
    } else if (b->doubled < b->doubling) {
        b->doubled++;
    } else {
        b->doubled = 0;
        if (s->row == b->max_scan)
            s->counter += b->pitch;
        s->row = s->row == b->max_scan ? 0 : (s->row + 1) & 31;
    }
}

/* Does the row scan counter alter what a line shows? */
static bool rows_differ(const struct vga *v)
{
    u8 both = CRTC_MODE_ROW0 | CRTC_MODE_ROW1;

    return v->frame.text || (v->cr[CRTC_MODE] & both) != both;
}

static bool draw_legacy(struct vga *v, struct vga_scan *s)
{
    bool changed = false, by_row = rows_differ(v);
    u32 old_counter = ~0u, old_row = 0, old_pan = 0;
    const u32 *line = NULL;
    struct beam b;

    beam_start(v, &b, s);
    for (u32 y = 0; y < v->frame.height; y++) {
        if (s->counter != old_counter || (by_row && s->row != old_row) || b.pan != old_pan) {
            render(v, s);
            line = shown_dots(v, b.pan);
            old_counter = s->counter;
            old_row = s->row;
            old_pan = b.pan;
        }
        changed |= put_line(v, y, line);
        beam_next_line(&b, s, y);
    }
    return changed;
}

/* ---- Linear modes ---- */

static bool draw_linear_line(struct vga *v, struct vga_scan *s, u32 y, bool all)
{
    u32 bpp = v->mode.bpp, planes = bpp == 4 ? 4 : 1;
    u32 bytes = bpp == 4 ? v->frame.width / 2 : v->frame.width * ((bpp + 7) / 8);
    u32 at = v->mode.start + y / v->mode.repeat * v->mode.pitch;
    u8 *seen = v->seen + y * bytes, *now = v->vram + planes * at;

    if (planes * at + bytes > v->vram_size || (!all && !memcmp(seen, now, bytes)))
        return false;
    memcpy(seen, now, bytes);
    if (bpp != 4) {
        vga_line_linear(v, v->wide, seen, v->frame.width, bpp);
        if (v->kind)
            v->kind->overlay(v, y, v->wide);
        return put_line(v, y, v->wide);
    }
    s->cells = v->frame.width / 8 - 1; /* no panning: no cell more */
    s->counter = at;
    vga_line_planar(v, s);
    return put_line(v, y, v->line);
}

static bool draw_linear(struct vga *v, struct vga_scan *s, bool all)
{
    bool changed = false;

    for (u32 y = 0; y < v->frame.height; y++)
        changed |= draw_linear_line(v, s, y, all);
    return changed;
}

/* ---- Frames ---- */

/* The cursor is shown for 8 frames of 16, blinking characters for 16 of 32. */
static u32 blink_phase(struct vga *v)
{
    u64 n;

    if (!is_text(v))
        return 0;
    n = vga_frame_number(v);
    return (n & 8 ? PHASE_CURSOR_OFF : 0) | (n & 16 ? PHASE_BLINK_OFF : 0);
}

static bool redraw(struct vga *v)
{
    bool reshaped = reshape(v), all = reshaped || v->dirty, changed;
    struct vga_scan s = { .cursor = !(v->phase & PHASE_CURSOR_OFF),
                          .blink = !(v->phase & PHASE_BLINK_OFF) };

    v->dirty = false;
    vga_palette(v, s.colors);
    changed = is_blank(v) ? draw_blank(v) :
              v->linear   ? draw_linear(v, &s, all) :
                            draw_legacy(v, &s);
    if (reshaped) {
        v->frame.top = 0;
        v->frame.bottom = v->frame.height;
    }
    return changed || reshaped;
}

void vga_draw(struct device *dev, struct frame *frame)
{
    struct vga *v = (struct vga *)dev;
    u32 phase, top = v->frame.top, bottom = v->frame.bottom;

    v->linear = vga_linear(v, &v->mode);
    phase = blink_phase(v);
    if (v->kind)
        v->kind->draw_begin(v);
    vga_window_sync(v);
    v->frame.changed = false;
    if (v->dirty || phase != v->phase || v->window[0] != NO_WINDOW || v->linear) {
        v->phase = phase;
        v->frame.top = ~0u;
        v->frame.changed = redraw(v);
    }
    if (!v->frame.changed) {
        v->frame.top = top;
        v->frame.bottom = bottom;
    }
    v->frame.generation += v->frame.changed;
    *frame = v->frame;
}
