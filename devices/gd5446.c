/*
 * Cirrus Logic CL-GD5446 ("Alpine"): registers and PCI. Sequencer, graphics controller and CRT
 * controller have registers beyond IBM's, at the same ports, once 12 has been written to SR6;
 * what is IBM's is vga.c's.
 *
 *   SR6-SR1F   unlock, pixel size, cursor, clocks
 *   GR0, 1, 5  eight bits; GR9-B banks, GR10-15 colours, GR20-39 the blitter
 *   CR19-3F    addresses beyond 16 bits
 *   3C6        read four times, then the hidden register: kind of 16-bit pixels
 *
 * Invariant: follow() or gd5446_windows_update() has been called after each write that can move
 * a window. CL-GD5446 Technical Reference Manual, chapters 4 to 9. Not built: the video window
 * (CR31-3F), DDC at SR8, interrupts. The clock of a mode is not followed: its retrace is at 60
 * Hz.
 */
#include "devices/gd5446_private.h"

#include <string.h>

static bool unlocked(const struct gd5446 *g)
{
    return g->sr[SR_UNLOCK] == UNLOCKED;
}

/* The VGA part's copies of what reaches beyond its registers. */
static void follow(struct gd5446 *g)
{
    struct vga *v = &g->vga;
    u8 display = g->cr[CR_EXT_DISPLAY];

    v->plane_size = display & CR_EXT_WRAP ? v->vram_size / 4 : VGA_PLANE;
    v->start_high = (display & 1) | (display >> 1 & 6) | (g->cr[CR_OVERLAY] >> 4 & 8);
    v->offset_high = display >> 4 & 1;
    v->dirty = true;
    gd5446_windows_update(g);
}

/* ---- Sequencer ---- */

static void unlock_write(struct gd5446 *g, u8 val)
{
    g->sr[SR_UNLOCK] = (val & 0x17) == UNLOCKED ? UNLOCKED : LOCKED;
}

static void sr_write(struct gd5446 *g, u8 val)
{
    u32 index = g->sr_index & 0x1f;

    if (index == SR_UNLOCK)
        unlock_write(g, val);
    if (index == SR_UNLOCK || !unlocked(g))
        return;
    if (index == SR_CURSOR_X)
        g->cursor_x = (u16)(val << 3 | g->sr_index >> 5);
    if (index == SR_CURSOR_Y)
        g->cursor_y = (u16)(val << 3 | g->sr_index >> 5);
    if (index == SR_CONFIG)
        val = (val & ~SR_CONFIG_BUS) | SR_CONFIG_PCI;
    g->sr[index] = val;
    follow(g);
}

static u8 sr_read(const struct gd5446 *g)
{
    u32 index = g->sr_index & 0x1f;

    if (index != SR_UNLOCK && !unlocked(g))
        return 0xff;
    return g->sr[index];
}

/* ---- Graphics controller ---- */

static void gr_write(struct gd5446 *g, u32 index, u8 val)
{
    static const u8 bits[] = {[0x21] = 0x1f, [0x23] = 0x07, [0x25] = 0x1f,
                              [0x27] = 0x1f, [0x2a] = 0x3f, [0x2e] = 0x3f};

    if (index == GR_BLT_START) {
        gd5446_blt_control(g, val);
        return;
    }
    g->gr[index] = index < sizeof(bits) && bits[index] ? val & bits[index] : val;
    if (index == GR_BLT_DST_HIGH)
        gd5446_blt_auto(g);
    if (index <= GR_EXTENSIONS)
        gd5446_windows_update(g);
}

/* GR0, 1 and 5 are the VGA's, and wider. True: it is none of the VGA's. */
static bool graphics_write(struct gd5446 *g, u8 val)
{
    bool extension = g->gr_index > 8;

    if (extension ? unlocked(g) : g->gr_index < 2 || g->gr_index == 5)
        gr_write(g, g->gr_index, val);
    return extension;
}

static bool graphics_read(const struct gd5446 *g, u8 *val)
{
    u32 index = g->gr_index;

    if (index > 1 && index != 5 && index < 9)
        return false;
    if (!unlocked(g) && index < 9)
        return false;
    *val = unlocked(g) ? g->gr[index] : 0xff;
    return true;
}

/* ---- CRT controller ---- */

static bool crtc_extension(const struct gd5446 *g)
{
    u32 index = g->vga.cr_index;

    return index >= CRTC_REGS && index < sizeof(g->cr) && (index < 0x20 || index >= CR_CHIP_ID);
}

static void crtc_write(struct gd5446 *g, u8 val)
{
    u32 index = g->vga.cr_index;

    if (!unlocked(g) || index == CR_CHIP_ID)
        return;
    if (index == CR_VIDEO_WINDOW && val & 1)
        device_nyi(&g->vga.dev, "the video window (CR3E)");
    g->cr[index] = val;
    follow(g);
}

/* ---- DAC ---- */

/* The fifth of five accesses to 3C6 in a row is the hidden register's. */
static bool hidden_read(struct gd5446 *g, u8 *val)
{
    if (g->hidden_reads < 4) {
        g->hidden_reads++;
        return false;
    }
    g->hidden_reads = 0;
    *val = g->hidden;
    return true;
}

static bool hidden_write(struct gd5446 *g, u8 val)
{
    bool hidden = g->hidden_reads == 4;

    g->hidden_reads = 0;
    if (hidden)
        g->hidden = val;
    g->vga.dirty = true;
    return hidden;
}

/* The cursor's colours, by the DAC's ports: the lower four bits of the index count. */
static void cursor_color_write(struct gd5446 *g, u8 val)
{
    struct vga *v = &g->vga;

    v->dac_latch[v->dac_part++] = val & 0x3f;
    if (v->dac_part < 3)
        return;
    memcpy(g->cursor_rgb[v->dac_write++ & 15], v->dac_latch, 3);
    v->dac_part = 0;
    v->dirty = true;
}

static u8 cursor_color_read(struct gd5446 *g)
{
    struct vga *v = &g->vga;
    u8 val = g->cursor_rgb[v->dac_read & 15][v->dac_part];

    if (++v->dac_part == 3) {
        v->dac_part = 0;
        v->dac_read++;
    }
    return val;
}

/* ---- Ports ---- */

static bool port_read(struct vga *v, u32 port, u8 *val)
{
    struct gd5446 *g = gd5446_of(v);

    if (port == 0x3c6)
        return hidden_read(g, val);
    if (port >= 0x3c7 && port <= 0x3c9)
        g->hidden_reads = 0;
    switch (port) {
    case 0x3c4:
        *val = g->sr_index;
        return true;
    case 0x3c5:
        if ((g->sr_index & 0x1f) < SR_UNLOCK)
            return false;
        *val = sr_read(g);
        return true;
    case 0x3c9:
        if (!(g->sr[SR_CURSOR] & SR_CURSOR_DAC))
            return false;
        *val = cursor_color_read(g);
        return true;
    case 0x3ce:
        *val = g->gr_index;
        return true;
    case 0x3cf:
        return graphics_read(g, val);
    case 0x3d5:
        if (!crtc_extension(g))
            return false;
        *val = unlocked(g) ? g->cr[v->cr_index] : 0xff;
        return true;
    default:
        return false;
    }
}

static bool port_write(struct vga *v, u32 port, u8 val)
{
    struct gd5446 *g = gd5446_of(v);

    if (port == 0x3c6)
        return hidden_write(g, val);
    if (port >= 0x3c7 && port <= 0x3c9)
        g->hidden_reads = 0;
    switch (port) {
    case 0x3c4: /* the VGA's part sees an index of its own */
        g->sr_index = val;
        return false;
    case 0x3c5:
        if ((g->sr_index & 0x1f) < SR_UNLOCK)
            return false;
        sr_write(g, val);
        return true;
    case 0x3c9:
        if (!(g->sr[SR_CURSOR] & SR_CURSOR_DAC))
            return false;
        cursor_color_write(g, val);
        return true;
    case 0x3ce:
        g->gr_index = val & 0x3f;
        return false;
    case 0x3cf:
        return graphics_write(g, val);
    case 0x3d5:
        if (!crtc_extension(g))
            return false;
        crtc_write(g, val);
        return true;
    default:
        return false;
    }
}

/* ---- The blitter's registers as memory ---- */

/* Which graphics register, by offset; 0 where there is none but at offset 0. */
static u8 blt_index(u32 off)
{
    static const u8 index[] = {
        0x00, 0x10, 0x12, 0x14, 0x01, 0x11, 0x13, 0x15, /* colours */
        0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, /* width, height, pitches */
        0x28, 0x29, 0x2a, 0x00, 0x2c, 0x2d, 0x2e, 0x2f, /* destination, source, skip */
        0x30, 0x00, 0x32, 0x33, 0x34, 0x35, 0x00, 0x00, /* mode, ROP, key */
        0x38, 0x39,
    };

    return off == 0x40 ? GR_BLT_START : off < sizeof(index) ? index[off] : 0;
}

u8 gd5446_blt_register_read(struct gd5446 *g, u32 off)
{
    u8 index = blt_index(off);

    return index || !off ? g->gr[index] : 0xff;
}

void gd5446_blt_register_write(struct gd5446 *g, u32 off, u8 val)
{
    u8 index = blt_index(off);

    if (index || !off)
        gr_write(g, index, val);
}

/* ---- Life ---- */

static const struct vga_kind gd5446_kind = {
    .read = port_read,
    .write = port_write,
    .linear = gd5446_linear,
    .extended = gd5446_extended,
    .memory_read = gd5446_memory_read,
    .memory_write = gd5446_memory_write,
    .address = gd5446_address,
    .plain_window = gd5446_plain_window,
    .draw_begin = gd5446_draw_begin,
    .overlay = gd5446_overlay,
};

static void config_written(struct pci_function *f, u32 off, u32 size)
{
    gd5446_bars_update(gd5446_of(container_of(f, struct vga, pci)));
}

static bool gd5446_attach(struct device *dev)
{
    struct gd5446 *g = (struct gd5446 *)dev;
    const struct vga_config *c = dev->config;
    struct pci_function *f = &g->vga.pci;

    g->vga.kind = &gd5446_kind;
    if (!vga_core_attach(&g->vga, GD5446_VRAM))
        return false;
    pci_init(f, dev, 0x1013, 0x00b8, 0x030000, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    pci_init_bar(f, 0, GD5446_LFB, false, true);
    pci_init_bar(f, 1, GD5446_MMIO, false, false);
    f->written = config_written;
    if (c && c->slot.bus) /* a bare test machine has no bus */
        pci_add(c->slot.bus, c->slot.devfn, f);
    return true;
}

static void gd5446_reset(struct device *dev)
{
    struct gd5446 *g = (struct gd5446 *)dev;

    memset(g->sr, 0, sizeof(g->sr));
    memset(g->gr, 0, sizeof(g->gr));
    memset(g->cr, 0, sizeof(g->cr));
    g->sr_index = g->gr_index = g->hidden = g->hidden_reads = 0;
    g->cursor_x = g->cursor_y = 0;
    g->sr[SR_UNLOCK] = LOCKED;
    g->sr[SR_DRAM] = 0x98; /* 64 bits wide, two banks: 4 MiB */
    g->sr[SR_CONFIG] = SR_CONFIG_PCI;
    g->sr[0x15] = 0x04; /* 4 MiB, for drivers that look here */
    g->sr[0x1f] = 0x2d; /* the memory's clock */
    g->cr[CR_CHIP_ID] = CHIP_ID;
    gd5446_blt_reset(g);
    vga_core_reset(&g->vga);
    follow(g);
}

static void gd5446_loaded(struct device *dev)
{
    struct gd5446 *g = (struct gd5446 *)dev;

    g->gr_index &= 0x3f;
    g->hidden_reads = g->hidden_reads > 4 ? 0 : g->hidden_reads;
    gd5446_blt_loaded(g);
    vga_core_loaded(&g->vga);
    vga_window_loaded(&g->vga);
    gd5446_bars_update(g);
    follow(g);
}

#define BLT_FIELD(member) FIELD(struct gd5446, blt.member)
static const struct field gd5446_fields[] = {
    VGA_FIELDS,
    FIELD(struct gd5446, sr_index),
    FIELD_ARRAY(struct gd5446, sr),
    FIELD(struct gd5446, gr_index),
    FIELD_ARRAY(struct gd5446, gr),
    FIELD_ARRAY(struct gd5446, cr),
    FIELD(struct gd5446, hidden),
    FIELD(struct gd5446, hidden_reads),
    FIELD(struct gd5446, cursor_x),
    FIELD(struct gd5446, cursor_y),
    FIELD_ARRAY(struct gd5446, cursor_rgb[0]),
    FIELD_ARRAY(struct gd5446, cursor_rgb[15]),
    BLT_FIELD(mode),
    BLT_FIELD(ext),
    BLT_FIELD(table),
    BLT_FIELD(pixel),
    BLT_FIELD(skip),
    BLT_FIELD(pending),
    BLT_FIELD(width),
    BLT_FIELD(height),
    BLT_FIELD(dst),
    BLT_FIELD(src),
    BLT_FIELD(dst_pitch),
    BLT_FIELD(src_pitch),
    BLT_FIELD(row),
    BLT_FIELD(fg),
    BLT_FIELD(bg),
    BLT_FIELD(key),
    BLT_FIELD(key_mask),
    BLT_FIELD(fill),
    FIELD_ARRAY(struct gd5446, source),
    FIELD_END,
};

const struct device_class gd5446_class = {
    .name = "gd5446",
    .size = sizeof(struct gd5446),
    .attach = gd5446_attach,
    .reset = gd5446_reset,
    .loaded = gd5446_loaded,
    .fields = gd5446_fields,
};

static const char *gd5446_complete(struct machine *m, void *config)
{
    const struct vga_config *c = config;

    return c->megabytes == GD5446_VRAM >> 20 ? NULL : "vgamem_mb=: the chip has 4";
}

static const struct vga_config gd5446_defaults = {
    .slot = {.devfn = VGA_DEVFN},
    .megabytes = GD5446_VRAM >> 20,
};
static const struct key_row gd5446_keys[] = {
    {"vgamem_mb", KEY_U32, offsetof(struct vga_config, megabytes),
     .help = "video memory in MiB: 4"},
    {NULL},
};

const struct user_device isa_gd5446_user_device = {
    .name = "isa-cirrus-vga",
    .help = "the same as an ISA card",
    .category = DISPLAY_DEVICE,
    .bus = BUS_ISA,
    .class = &gd5446_class,
    .config_size = sizeof(struct vga_config),
    .defaults = &gd5446_defaults,
    .properties = gd5446_keys,
    .complete = gd5446_complete,
};

const struct user_device gd5446_user_device = {
    .name = "cirrus-vga",
    .help = "Cirrus CLGD 54xx VGA",
    .category = DISPLAY_DEVICE,
    .bus = BUS_PCI,
    .class = &gd5446_class,
    .config_size = sizeof(struct vga_config),
    .defaults = &gd5446_defaults,
    .properties = gd5446_keys,
    .complete = gd5446_complete,
};
