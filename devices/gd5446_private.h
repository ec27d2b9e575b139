/*
 * The CL-GD5446 from inside: what gd5446.c (registers), gd5446_mem.c (windows on its memory),
 * gd5446_blt.c (blitter) and gd5446_screen.c (modes, cursor) share. Register names and numbers
 * are those of Cirrus Logic's "CL-GD5446 Technical Reference Manual", November 1996.
 */
#ifndef RING3_GD5446_PRIVATE_H
#define RING3_GD5446_PRIVATE_H

#include "devices/gd5446.h"
#include "devices/vga_private.h"

enum {
    GD5446_VRAM = 4 << 20,
    GD5446_LFB = 32 << 20, /* BAR 0 */
    GD5446_BLT = 16 << 20, /* in BAR 0: from here on all writes are the blitter's source */
    GD5446_MMIO = 4096,    /* BAR 1 */
    BLT_LINE = 8192,       /* bytes of a line at most: 13 bits and one */
    BLT_LINES = 2048,

};

enum {
    SR_UNLOCK = 0x06,
    SR_MODE = 0x07,
    SR_MODE_PACKED = 0x01,
    SR_DRAM = 0x0f,
    SR_CURSOR_X = 0x10, /* bits 7 to 5 of the index are the lowest of the coordinate */
    SR_CURSOR_Y = 0x11,
    SR_CURSOR = 0x12,
    SR_CURSOR_ON = 0x01,
    SR_CURSOR_DAC = 0x02, /* the DAC's ports reach the cursor's colours */
    SR_CURSOR_64 = 0x04,
    SR_CURSOR_PATTERN = 0x13,
    SR_CONFIG = 0x17,
    SR_CONFIG_MMIO = 0x04,     /* the blitter's registers are memory: at B8000, or */
    SR_CONFIG_MMIO_LFB = 0x40, /* at the end of the frame buffer */
    SR_CONFIG_BUS = 0x38,
    SR_CONFIG_PCI = 0x20,
    UNLOCKED = 0x12,
    LOCKED = 0x0f, /* what SR6 reads as */
    GR_OFFSET_0 = 0x09,
    GR_OFFSET_1 = 0x0a,
    GR_EXTENSIONS = 0x0b,
    GR_EXT_DUAL = 0x01,  /* A8000 has an offset of its own */
    GR_EXT_BY_8 = 0x02,  /* an address is eight pixels */
    GR_EXT_WRITE = 0x04, /* write modes 4 and 5 */
    GR_EXT_16BIT = 0x10, /* they write pixels of two bytes */
    GR_EXT_16K = 0x20,   /* offsets count 16 KiB, not 4 */
    GR_BLT = 0x20,       /* the blitter's registers begin */
    GR_BLT_DST_HIGH = 0x2a,
    GR_BLT_MODE = 0x30,
    GR_BLT_START = 0x31,
    GR_BLT_ROP = 0x32,
    CR_MISC = 0x1a,
    CR_MISC_INTERLACE = 0x01,
    CR_EXT_DISPLAY = 0x1b,
    CR_EXT_WRAP = 0x02,
    CR_OVERLAY = 0x1d,
    CR_CHIP_ID = 0x27,
    CHIP_ID = 0x2e << 2,
    CR_VIDEO_WINDOW = 0x3e,
};

/* The blitter's job, as its registers said at the start. */
struct blt {
    u8 mode, ext, table, pixel; /* GR30, GR33; truth table of the ROP; bytes of a pixel */
    u8 skip;                    /* GR2F */
    u8 pending;                 /* waits for its source from the CPU */
    u32 width, height;          /* bytes, lines left */
    u32 dst, src, dst_pitch, src_pitch; /* addresses of the next line; pitches are signed */
    u32 row;                            /* lines done */
    u32 fg, bg, key, key_mask;
    u32 fill; /* bytes of the next line's source that have come */
};

struct gd5446 {
    struct vga vga;
    u8 sr_index, sr[0x20];   /* from SR6 on */
    u8 gr_index, gr[0x40];   /* 0, 1, 5 in full, and from 9 on */
    u8 cr[0x40];             /* from 19 on */
    u8 hidden, hidden_reads; /* the DAC's hidden register: behind four reads of 3C6 */
    u16 cursor_x, cursor_y;
    u8 cursor_rgb[16][3]; /* 0 and 15 are shown */
    struct blt blt;
    u8 source[BLT_LINE]; /* of blt.pending */

    /* Derived. */
    u32 lfb, mmio; /* bases claimed on the bus; 0: none */
    u32 lfb_plain; /* bytes of the frame buffer mapped as plain memory */
    u8 line[BLT_LINE + 64], mask[BLT_LINE + 64], old[BLT_LINE + 64]; /* the blitter's */
    u8 cursor_seen[1024]; /* the pattern, as drawn last */
};

static inline struct gd5446 *gd5446_of(const struct vga *v)
{
    return (struct gd5446 *)v;
}
static inline bool gd5446_packed(const struct gd5446 *g)
{
    return g->sr[SR_MODE] & SR_MODE_PACKED;
}

/* gd5446.c: the blitter's registers as memory; off 0 to FF. */
u8 gd5446_blt_register_read(struct gd5446 *g, u32 off);
void gd5446_blt_register_write(struct gd5446 *g, u32 off, u8 val);

/* gd5446_mem.c */
bool gd5446_extended(const struct vga *v);
bool gd5446_memory_read(struct vga *v, u32 off, u8 *val);
bool gd5446_memory_write(struct vga *v, u32 off, u8 val);
u32 gd5446_address(const struct vga *v, u32 a);
u32 gd5446_plain_window(const struct vga *v, u32 half);
void gd5446_bars_update(struct gd5446 *g);    /* PCI's registers changed */
void gd5446_windows_update(struct gd5446 *g); /* what answers in the windows changed */

/* gd5446_blt.c */
void gd5446_blt_control(struct gd5446 *g, u8 val); /* GR31 is written */
void gd5446_blt_auto(struct gd5446 *g);            /* GR2A was: starts it if GR31 says so */
void gd5446_blt_reset(struct gd5446 *g);
void gd5446_blt_loaded(struct gd5446 *g); /* makes a restored job a possible one */
void gd5446_blt_feed(struct gd5446 *g, const u8 *bytes,
                     u32 n); /* of the source, from the CPU */

/* gd5446_screen.c */
bool gd5446_linear(const struct vga *v, struct vga_linear *mode);
void gd5446_draw_begin(struct vga *v);
void gd5446_overlay(struct vga *v, u32 y, u32 *line);

#endif
