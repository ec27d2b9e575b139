/*
 * The display adapter from inside: what vga.c (registers), vga_mem.c (the A0000 window), vbe.c
 * (linear modes, PCI) and vga_draw.c, vga_text.c, vga_lines.c (pixels) share. A chip that is a
 * VGA and more has a struct vga at its head and a struct vga_kind: gd5446.c.
 *
 * Video memory holds the four planes interleaved: byte p of plane n is vram[4 * p + n].
 *
 *   guest's view       byte of vram             who counts
 *   planar             4 * A + plane            sequencer 02, graphics 04 select planes
 *   odd/even (text)    4 * (A & ~1) + (A & 1)   even addresses: plane 0, 2; odd: 1, 3
 *   chain-4            A                        so mode 13h's window is plain memory
 *   VBE, 8 to 32 bpp   A                        as is the linear frame buffer
 *
 * In doubleword mode the CRTC's counter n shows bytes 4n to 4n+3: what chain-4 wrote.
 * Register names are IBM's ("PS/2 Hardware Interface Technical Reference: Video Subsystem").
 */
#ifndef RING3_VGA_PRIVATE_H
#define RING3_VGA_PRIVATE_H

#include "devices/edid.h"
#include "devices/vga.h"

enum {
    VGA_DEVFN = 2 << 3, /* the board's adapter is PCI 00:02.0 */
    VGA_VRAM = 16 << 20,
    VGA_PLANE = 64 << 10, /* of the standard VGA's 256 KiB */
    VGA_CELLS = 256,      /* at most in a line: register 01 has eight bits */
    VGA_LINES = 1024,     /* at most in a frame: vertical display end has ten bits */
    VGA_LINE = 2560,      /* dots of a line, a cell more to pan included */
};

enum {
    MISC_COLOR = 0x01,
    MISC_RAM = 0x02,
    SEQ_RESET = 0,
    SEQ_CLOCKING = 1,
    SEQ_MAP_MASK = 2,
    SEQ_CHAR_MAP = 3,
    SEQ_MEMORY = 4,
    CLOCKING_8DOT = 0x01,
    CLOCKING_HALF = 0x08,
    CLOCKING_OFF = 0x20,
    MEMORY_SEQUENTIAL = 0x04, /* clear: odd/even */
    MEMORY_CHAIN4 = 0x08,
    GC_SET_RESET = 0,
    GC_ENABLE_SET_RESET = 1,
    GC_COLOR_COMPARE = 2,
    GC_ROTATE = 3,
    GC_READ_MAP = 4,
    GC_MODE = 5,
    GC_MISC = 6,
    GC_COLOR_DONT_CARE = 7,
    GC_BIT_MASK = 8,
    GC_MODE_WRITE = 0x03,
    GC_MODE_COMPARE = 0x08,
    GC_MODE_ODD_EVEN = 0x10,
    GC_MODE_INTERLEAVE = 0x20,
    GC_MODE_256 = 0x40,
    GC_MISC_GRAPHICS = 0x01,
    CRTC_HDISP_END = 0x01,
    CRTC_OVERFLOW = 0x07,
    CRTC_PRESET_ROW = 0x08,
    CRTC_MAX_SCAN = 0x09,
    CRTC_CURSOR_START = 0x0a,
    CRTC_CURSOR_END = 0x0b,
    CRTC_START_HIGH = 0x0c,
    CRTC_CURSOR_HIGH = 0x0e,
    CRTC_VRETRACE_START = 0x10,
    CRTC_VRETRACE_END = 0x11,
    CRTC_VDISP_END = 0x12,
    CRTC_OFFSET = 0x13,
    CRTC_UNDERLINE = 0x14,
    CRTC_MODE = 0x17,
    CRTC_LINE_COMPARE = 0x18,
    CRTC_REGS = 0x19,
    VRETRACE_PROTECT = 0x80,
    UNDERLINE_DWORD = 0x40,
    CRTC_MODE_BYTE = 0x40,
    CRTC_MODE_WRAP = 0x20,
    CRTC_MODE_ROW1 = 0x02, /* clear: row scan bit 1 is address bit 14 */
    CRTC_MODE_ROW0 = 0x01, /* clear: row scan bit 0 is address bit 13 (CGA) */
    CRTC_MODE_RUN = 0x80,
    ATTR_MODE = 0x10,
    ATTR_OVERSCAN = 0x11,
    ATTR_PLANES = 0x12,
    ATTR_PAN = 0x13,
    ATTR_COLOR_SELECT = 0x14,
    ATTR_REGS = 0x15,
    ATTR_PAS = 0x20, /* in the index: the screen owns the palette */
    ATTR_MODE_LINE_GRAPHICS = 0x04,
    ATTR_MODE_BLINK = 0x08,
    ATTR_MODE_PAN_TOP = 0x20, /* panning stops at the split */
    ATTR_MODE_P54 = 0x80,
};

/* Bochs "VBE display interface" registers. */
enum {
    VBE_ID,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRT_WIDTH,
    VBE_VIRT_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_MEMORY_64K,
    VBE_REGS,
    VBE_ENABLED = 0x01,
    VBE_GETCAPS = 0x02,
    VBE_8BIT_DAC = 0x20,
    VBE_LFB = 0x40,
    VBE_NOCLEAR = 0x80,
    VBE_MAX_XRES = 2560,
    VBE_MAX_YRES = 1600,
    VBE_MAX_BPP = 32,
};

/* A mode whose pixels lie one after the other in video memory. */
struct vga_linear {
    u32 width, height; /* of the picture, in pixels */
    u32 bpp;           /* 4 (planar), 8, 15, 16, 24, 32 */
    u32 start, pitch;  /* bytes; of one plane at 4 bpp */
    u32 repeat;        /* lines of the picture that show one of memory; not 0 */
};

struct vga;

/* What a chip that is a VGA and more does its own way; all functions are there. */
struct vga_kind {
    /* Ports 3C0-3CF, 3D4, 3D5, 3DA (3B4, 3B5, 3BA in monochrome, too). False: the VGA's. */
    bool (*read)(struct vga *v, u32 port, u8 *val);
    bool (*write)(struct vga *v, u32 port, u8 val);
    /* False: the VGA's registers make the mode. */
    bool (*linear)(const struct vga *v, struct vga_linear *mode);
    /* Does memory at A0000 answer otherwise than a VGA's? Then the next three are asked. */
    bool (*extended)(const struct vga *v);
    bool (*memory_read)(struct vga *v, u32 off, u8 *val); /* off from A0000; false: as planes */
    bool (*memory_write)(struct vga *v, u32 off, u8 val);
    u32 (*address)(const struct vga *v, u32 address); /* planes' addresses, by the offset registers */
    /* Where 32 KiB of A0000 (half 0) or A8000 lie in vram as plain memory, or NO_WINDOW. Asked
     * where `extended`. */
    u32 (*plain_window)(const struct vga *v, u32 half);
    void (*draw_begin)(struct vga *v);                 /* sets `dirty` if it has to */
    void (*overlay)(struct vga *v, u32 y, u32 *line); /* a linear mode's line before it is shown */
};

struct vga {
    struct device dev;
    struct pci_function pci;
    const struct vga_kind *kind; /* NULL: a VGA with VBE */
    u8 *vram;
    u32 vram_size;              /* at most VGA_VRAM, a power of two */
    u32 plane_size;             /* that CRTC and CPU reach, of each plane: VGA_PLANE, or a kind's */
    u32 start_high, offset_high; /* a kind's: start address from bit 16 on, CRTC offset from bit 8 on */

    u8 misc, feature;
    u8 sr_index, sr[8];
    u8 gr_index, gr[16];
    u8 cr_index, cr[CRTC_REGS];
    u8 ar_index, ar[ATTR_REGS], ar_data_next; /* the flip-flop: next write to 3C0 is data */
    u8 dac_mask, dac_state, dac_read, dac_write, dac_part, dac_latch[3], dac[768];
    u32 latch; /* four planes' bytes, plane 0 lowest */
    u16 vbe_index, vbe[VBE_REGS];

    /* Derived: where the guest's windows lead now. */
    u32 window[2]; /* vram offsets that A0000 and A8000 map as plain memory, or NO_WINDOW */
    struct vga_pen {       /* what becomes of a byte that is written: vga_mem.c */
        u32 fixed, enable; /* set/reset, and where it is taken */
        u32 mask, map_mask;
        u32 of_byte, of_latch, set; /* of enum vga_pen_kind but PEN_OTHER */
        u8 mode, function, rotate, kind;
    } pen;
    /* Bytes from map_base on, of the window, that lie at their own offset in all planes. */
    u32 map_base, planar_read, planar_write;
    struct { /* see vga_window.c */
        u8 kind, map;     /* enum vga_packing; graphics register 6's memory map, then */
        u8 *bytes, *seen; /* as the guest has them; as vram does */
        i32 left;         /* bytes to be accessed until then, if no register is written */
        i32 patience;     /* what `left` begins with */
        u64 since;        /* machine time */
        struct timer timer;
    } packed;
    u32 lfb, mmio; /* bases claimed on the bus; 0: none */
    u8 edid[EDID_SIZE];

    /* What was drawn last: see vga_draw.c. */
    bool dirty; /* something visible may have changed, other than through mapped memory */
    bool linear; /* `mode` is what is shown */
    struct vga_linear mode;
    u32 phase;  /* of blinking */
    struct frame frame;
    u32 line[VGA_LINE]; /* as the CRTC reads it */
    u32 wide[2 * VGA_LINE];
    u32 rgb[256]; /* the DAC as pixels */
    u8 *seen;     /* linear modes: the bytes that frame.pixels shows */
    u16 *cells;   /* of vga_text() */
};

#define NO_WINDOW ~0u

/* vga.c */
/* The chip without PCI and VBE: ports, A0000. */
bool vga_core_attach(struct vga *v, u32 vram_size);
void vga_core_reset(struct vga *v);
void vga_core_loaded(struct vga *v);
/* Is a linear mode on, and which? */
bool vga_linear(const struct vga *v, struct vga_linear *mode);
u64 vga_frame_number(struct vga *v); /* frames since power-on, for blinking */
u32 vga_vdisp_end(const struct vga *v);
u32 vga_line_compare(const struct vga *v);
u32 vga_port_read(struct device *dev, u32 off, enum io_size size); /* 3C0 + off */

/* vga_mem.c */
extern const struct io_ops vga_window_ops;
void vga_mem_update(struct vga *v); /* by vga_window_update() */
void vga_pen_update(struct vga *v); /* by vga_mask_update() */

/* vga_window.c */
struct vga_map {
    u32 base, size; /* from A0000 */
};
extern const struct vga_map vga_maps[4]; /* by bits 2 and 3 of graphics register 6 */
/* The guest's bytes are those of planes 0 and 1 in turn, at even offsets; those of plane 0. */
enum vga_packing { PACKED_NOT, PACKED_ODD_EVEN, PACKED_PLANE_0 };
bool vga_window_attach(struct vga *v);
/* A register that shapes the A0000 window changed. */
void vga_window_update(struct vga *v);
/* The same of the map mask or the bit mask alone, which programs write before each pixel. */
void vga_mask_update(struct vga *v);
/* The same after a restore, of vram too. */
void vga_window_loaded(struct vga *v);
/* Much of it has been accessed in vga_mem.c. */
void vga_window_used(struct vga *v);
/* vram becomes as the guest sees it: before it is drawn from, or written by others. */
void vga_window_sync(struct vga *v);
u32 vga_bank_offset(const struct vga *v);
static inline bool vga_extended(const struct vga *v)
{
    return v->kind && v->kind->extended(v);
}
static inline const struct vga_map *vga_map(const struct vga *v)
{
    return &vga_maps[v->gr[GC_MISC] >> 2 & 3];
}

/* vbe.c */
bool vbe_attach(struct vga *v);
void vbe_reset(struct vga *v);
void vbe_loaded(struct vga *v);
static inline bool vbe_on(const struct vga *v)
{
    return v->vbe[VBE_ENABLE] & VBE_ENABLED;
}
static inline bool vbe_linear(const struct vga *v)
{
    return vbe_on(v) && v->vbe[VBE_BPP] != 4;
}
bool vbe_mode(const struct vga *v, struct vga_linear *mode); /* false: off */
u32 vbe_pitch(const struct vga *v); /* bytes from line to line (of one plane at 4 bpp) */
u32 vbe_start(const struct vga *v); /* byte of the first pixel (of one plane at 4 bpp) */

/* vga_draw.c */
void vga_draw_attach(struct vga *v);
static inline u32 vga_start(const struct vga *v) /* the CRTC's start address */
{
    return v->start_high << 16 | v->cr[CRTC_START_HIGH] << 8 | v->cr[CRTC_START_HIGH + 1];
}
static inline u32 vga_offset(const struct vga *v) /* the CRTC's, in units of two addresses */
{
    return v->offset_high << 8 | v->cr[CRTC_OFFSET];
}

/* vga_lines.c, vga_text.c: one scan line, `cells` + 1 character cells of it, into v->line. */
struct vga_scan {
    u32 counter, row;   /* CRTC address counter at the line's start; row scan counter */
    u32 cells, dots;    /* shown in a line; dots in a cell */
    bool cursor, blink; /* phases: shown now */
    u32 colors[16];     /* the attribute controller's palette through the DAC */
};
void vga_line_text(struct vga *v, const struct vga_scan *s);
void vga_line_planar(struct vga *v, const struct vga_scan *s);
void vga_line_interleaved(struct vga *v, const struct vga_scan *s);
void vga_line_256(struct vga *v, const struct vga_scan *s);
/* n pixels of a linear mode; bpp 8, 15, 16, 24 or 32. */
void vga_line_linear(const struct vga *v, u32 *out, const u8 *in, u32 n, u32 bpp);
/* What the CRTC puts out for a counter and row: the address inside each plane. */
u32 vga_crtc_address(const struct vga *v, u32 counter, u32 row);
/* DAC and attribute palette, as they are now. */
void vga_palette(struct vga *v, u32 colors[16]);

/* For the field table of a chip with a struct vga at its head. */
#define VGA_FIELDS                                                                             \
    FIELD(struct vga, misc), FIELD(struct vga, feature), FIELD(struct vga, sr_index),          \
        FIELD_ARRAY(struct vga, sr), FIELD(struct vga, gr_index), FIELD_ARRAY(struct vga, gr), \
        FIELD(struct vga, cr_index), FIELD_ARRAY(struct vga, cr), FIELD(struct vga, ar_index), \
        FIELD_ARRAY(struct vga, ar), FIELD(struct vga, ar_data_next),                          \
        FIELD(struct vga, dac_mask), FIELD(struct vga, dac_state),                             \
        FIELD(struct vga, dac_read), FIELD(struct vga, dac_write),                             \
        FIELD(struct vga, dac_part), FIELD_ARRAY(struct vga, dac_latch),                       \
        FIELD_ARRAY(struct vga, dac), FIELD(struct vga, latch),                                \
        FIELD_ARRAY(struct vga, pci.config)

#endif
