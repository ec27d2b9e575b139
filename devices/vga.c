/*
 * VGA registers: miscellaneous output, sequencer, CRT controller, graphics controller,
 * attribute controller, DAC, and the input status registers whose retrace bits follow the CRT
 * controller's timing on the machine's clock.
 *
 * Owns ports 3B4-3BA or 3D4-3DA (by Misc bit 0) and 3C0-3CF; the adapter's other parts are in
 * vga_mem.c, vbe.c and vga_draw.c. Invariant: a write that can change the picture sets `dirty`,
 * one that reshapes the window at A0000 ends in vga_window_update(). IBM PS/2 Hardware
 * Interface Technical Reference, Video Subsystem.
 */
#include "devices/vga_private.h"

#include <string.h>

/* Bits that exist, by index. */
static const u8 sr_bits[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const u8 gr_bits[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const u8 ar_bits[ATTR_REGS] = {
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f,
};

/* ---- Timing ---- */

u32 vga_vdisp_end(const struct vga *v)
{
    u8 high = v->cr[CRTC_OVERFLOW];

    return v->cr[CRTC_VDISP_END] | (high & 0x02) << 7 | (high & 0x40) << 3;
}

u32 vga_line_compare(const struct vga *v)
{
    return v->cr[CRTC_LINE_COMPARE] | (v->cr[CRTC_OVERFLOW] & 0x10) << 4 |
           (v->cr[CRTC_MAX_SCAN] & 0x40) << 3;
}

struct vga_timing {
    u64 clock;                /* dots a second */
    u32 line, total;          /* dots in a line; lines in a frame */
    u32 shown_dots, shown;    /* visible dots of a line, lines of a frame */
    u32 retrace, retrace_end; /* lines of vertical retrace */
};

bool vga_linear(const struct vga *v, struct vga_linear *mode)
{
    return v->kind ? v->kind->linear(v, mode) : vbe_mode(v, mode);
}

/* Linear modes have no CRT registers of their own, or a clock we do not follow: 60 Hz, a tenth
 * of each direction blank. */
static void linear_timing(const struct vga_linear *mode, struct vga_timing *t)
{
    t->shown_dots = mode->width;
    t->shown = mode->height;
    t->line = t->shown_dots + t->shown_dots / 8 + 8;
    t->total = t->shown + t->shown / 20 + 4;
    t->retrace = t->shown + 1;
    t->retrace_end = t->shown + 3;
    t->clock = 60ull * t->line * t->total;
}

static void vga_timing(const struct vga *v, struct vga_timing *t)
{
    static const u32 clocks[4] = { 25175000, 28322000, 28322000, 28322000 };
    u8 high = v->cr[CRTC_OVERFLOW], clocking = v->sr[SEQ_CLOCKING];
    u32 cell = (clocking & CLOCKING_8DOT ? 8 : 9) << !!(clocking & CLOCKING_HALF);
    struct vga_linear mode;

    if (vga_linear(v, &mode)) {
        linear_timing(&mode, t);
        return;
    }
    t->clock = clocks[v->misc >> 2 & 3];
    t->line = (v->cr[0] + 5u) * cell;
    t->shown_dots = (v->cr[CRTC_HDISP_END] + 1u) * cell;
    t->total = (v->cr[6] | (high & 0x01) << 8 | (high & 0x20) << 4) + 2u;
    t->shown = vga_vdisp_end(v) + 1;
    t->retrace = v->cr[CRTC_VRETRACE_START] | (high & 0x04) << 6 | (high & 0x80) << 2;
    if (t->retrace >= t->total || !t->retrace) /* never, always: keep those who wait alive */
        t->retrace = t->total - 1;
    t->retrace_end = t->retrace + 1 + ((v->cr[CRTC_VRETRACE_END] - t->retrace - 1) & 15);
}

/* Dots drawn since the frame began. */
static u32 vga_beam(struct vga *v, const struct vga_timing *t)
{
    u64 frame = (u64)t->line * t->total * SEC(1) / t->clock;

    return clock_now(v->dev.machine) % (frame ? frame : 1) * t->clock / SEC(1);
}

u64 vga_frame_number(struct vga *v)
{
    struct vga_timing t;
    u64 frame;

    vga_timing(v, &t);
    frame = (u64)t.line * t.total * SEC(1) / t.clock;
    return clock_now(v->dev.machine) / (frame ? frame : 1);
}

/* Bit 0: no picture just now (either retrace); bit 3: vertical retrace. */
static u8 status1_read(struct vga *v)
{
    struct vga_timing t;
    u32 beam, y, x;

    v->ar_data_next = 0;
    vga_timing(v, &t);
    beam = vga_beam(v, &t);
    y = beam / t.line;
    x = beam % t.line;
    return (y >= t.shown || x >= t.shown_dots) |
           (y >= t.retrace && y < t.retrace_end ? 0x08 : 0);
}

/* ---- Attribute controller: 3C0 takes index and data in turn ---- */

static void attribute_write(struct vga *v, u8 val)
{
    u8 index = v->ar_index & 0x1f;

    v->dirty = true;
    v->ar_data_next ^= 1;
    if (v->ar_data_next)
        v->ar_index = val & 0x3f;
    else if (index < ATTR_REGS)
        v->ar[index] = val & ar_bits[index];
}

static u8 attribute_read(const struct vga *v)
{
    u8 index = v->ar_index & 0x1f;

    return index < ATTR_REGS ? v->ar[index] : 0;
}

/* ---- DAC: 256 colours of three bytes, moved through 3C9 one byte at a time ---- */

static void dac_data_write(struct vga *v, u8 val)
{
    u8 bits = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? 0xff : 0x3f;

    v->dac_latch[v->dac_part++] = val & bits;
    if (v->dac_part < 3)
        return;
    memcpy(v->dac + 3 * v->dac_write++, v->dac_latch, 3);
    v->dac_part = 0;
    v->dirty = true;
}

static u8 dac_data_read(struct vga *v)
{
    u8 val = v->dac[3 * v->dac_read + v->dac_part];

    if (++v->dac_part == 3) {
        v->dac_part = 0;
        v->dac_read++;
    }
    return val;
}

static void dac_seek(struct vga *v, u8 index, bool reading)
{
    v->dac_part = 0;
    v->dac_state = reading ? 3 : 0;
    if (reading)
        v->dac_read = index;
    else
        v->dac_write = index;
}

/* ---- Ports 3C0-3CF ---- */

static void sequencer_write(struct vga *v, u8 val)
{
    v->sr[v->sr_index] = val & sr_bits[v->sr_index];
    v->dirty = true;
    if (v->sr_index == SEQ_MAP_MASK)
        vga_mask_update(v);
    else
        vga_window_update(v);
}

static void graphics_write(struct vga *v, u8 val)
{
    u8 index = v->gr_index;
    u8 changed = v->gr[index] ^ (val & gr_bits[index]);

    v->gr[index] ^= changed;
    if (!changed)
        return;
    if (index == GC_MODE || index == GC_MISC)
        v->dirty = true;
    if (index == GC_BIT_MASK)
        vga_mask_update(v);
    else
        vga_window_update(v);
}

static u8 vga_port_read8(struct vga *v, u32 off)
{
    u8 val;

    if (v->kind && v->kind->read(v, 0x3c0 + off, &val))
        return val;
    switch (off) {
    case 0x0: return v->ar_index;
    case 0x1: return attribute_read(v);
    case 0x2: return 0x10; /* input status 0: a monitor is there, no interrupt */
    case 0x3: return 1;    /* video subsystem enabled */
    case 0x4: return v->sr_index;
    case 0x5: return v->sr[v->sr_index];
    case 0x6: return v->dac_mask;
    case 0x7: return v->dac_state;
    case 0x8: return v->dac_write;
    case 0x9: return dac_data_read(v);
    case 0xa: return v->feature;
    case 0xc: return v->misc;
    case 0xe: return v->gr_index;
    case 0xf: return v->gr[v->gr_index];
    default: return 0xff;
    }
}

u32 vga_port_read(struct device *dev, u32 off, enum io_size size)
{
    struct vga *v = (struct vga *)dev;
    u32 val = vga_port_read8(v, off);

    return size == IO_16 ? val | (u32)vga_port_read8(v, off + 1) << 8 : val;
}

static void vga_port_write8(struct vga *v, u32 off, u8 val)
{
    if (v->kind && v->kind->write(v, 0x3c0 + off, val))
        return;
    switch (off) {
    case 0x0: attribute_write(v, val); break;
    case 0x2:
        v->misc = val;
        vga_window_update(v);
        break;
    case 0x4: v->sr_index = val & 7; break;
    case 0x5: sequencer_write(v, val); break;
    case 0x6:
        v->dac_mask = val;
        v->dirty = true;
        break;
    case 0x7: dac_seek(v, val, true); break;
    case 0x8: dac_seek(v, val, false); break;
    case 0x9: dac_data_write(v, val); break;
    case 0xe: v->gr_index = val & 15; break;
    case 0xf: graphics_write(v, val); break;
    }
}

/* Programs write index and data at once. */
static void vga_port_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct vga *v = (struct vga *)dev;

    vga_port_write8(v, off, (u8)val);
    if (size == IO_16)
        vga_port_write8(v, off + 1, (u8)(val >> 8));
}

/* ---- CRT controller and input status 1: 3B4, 3B5, 3BA or 3D4, 3D5, 3DA ---- */

static void crtc_write(struct vga *v, u8 val)
{
    u8 index = v->cr_index;
    u8 bits = index < 8 && v->cr[CRTC_VRETRACE_END] & VRETRACE_PROTECT ? 0x00 : 0xff;

    if (index >= CRTC_REGS)
        return;
    if (index == CRTC_OVERFLOW && !bits)
        bits = 0x10; /* line compare stays writable */
    v->cr[index] = (v->cr[index] & ~bits) | (val & bits);
    v->dirty = true;
}

static u8 crtc_read(const struct vga *v)
{
    if (v->cr_index < CRTC_REGS)
        return v->cr[v->cr_index];
    if (v->cr_index == 0x22) /* graphics controller latch */
        return v->latch >> 8 * v->gr[GC_READ_MAP];
    if (v->cr_index == 0x24) /* attribute controller flip-flop */
        return v->ar_data_next << 7 | v->ar_index;
    return 0;
}

static u8 half_read(struct vga *v, u32 off)
{
    u8 val;

    if (v->kind && v->kind->read(v, 0x3d0 + off, &val))
        return val;
    switch (off) {
    case 0x4: return v->cr_index;
    case 0x5: return crtc_read(v);
    case 0xa: return status1_read(v);
    default: return 0xff;
    }
}

static void half_write(struct vga *v, u32 off, u8 val)
{
    if (v->kind && v->kind->write(v, 0x3d0 + off, val))
        return;
    switch (off) {
    case 0x4: v->cr_index = val; break;
    case 0x5: crtc_write(v, val); break;
    case 0xa: v->feature = val; break;
    }
}

static u32 mono_read(struct device *dev, u32 off, enum io_size size)
{
    struct vga *v = (struct vga *)dev;

    return v->misc & MISC_COLOR ? 0xff : half_read(v, off);
}

static void mono_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct vga *v = (struct vga *)dev;

    if (!(v->misc & MISC_COLOR))
        half_write(v, off, val);
}

static u32 color_read(struct device *dev, u32 off, enum io_size size)
{
    struct vga *v = (struct vga *)dev;

    return v->misc & MISC_COLOR ? half_read(v, off) : 0xff;
}

static void color_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct vga *v = (struct vga *)dev;

    if (v->misc & MISC_COLOR)
        half_write(v, off, val);
}

/* ---- The chip ---- */

bool vga_core_attach(struct vga *v, u32 vram_size)
{
    static const struct io_ops mono = { mono_read, mono_write, IO_8 };
    static const struct io_ops both = { vga_port_read, vga_port_write, IO_8 | IO_16 };
    static const struct io_ops color = { color_read, color_write, IO_8 };
    struct device *dev = &v->dev;

    v->vram = bus_alloc_memory(dev->machine, vram_size);
    v->vram_size = vram_size;
    v->plane_size = VGA_PLANE;
    vga_draw_attach(v);
    return v->vram && bus_claim_ports(dev, 0x3b0, 12, &mono) &&
           bus_claim_ports(dev, 0x3c0, 16, &both) && bus_claim_ports(dev, 0x3d0, 16, &color) &&
           vga_window_attach(v);
}

static bool vga_attach(struct device *dev)
{
    struct vga *v = (struct vga *)dev;

    return vga_core_attach(v, VGA_VRAM) && vbe_attach(v);
}

/* The planes keep their contents; the registers come up as the BIOS will find and set them. */
void vga_core_reset(struct vga *v)
{
    v->misc = v->feature = 0;
    v->sr_index = v->gr_index = v->cr_index = v->ar_index = v->ar_data_next = 0;
    memset(v->sr, 0, sizeof(v->sr));
    memset(v->gr, 0, sizeof(v->gr));
    memset(v->cr, 0, sizeof(v->cr));
    memset(v->ar, 0, sizeof(v->ar));
    memset(v->dac, 0, sizeof(v->dac));
    v->dac_state = v->dac_read = v->dac_write = v->dac_part = 0;
    v->dac_mask = 0xff;
    v->latch = 0;
    v->dirty = true;
    pci_reset(&v->pci);
}

static void vga_reset(struct device *dev)
{
    struct vga *v = (struct vga *)dev;

    vga_core_reset(v);
    vbe_reset(v);
    vga_window_update(v);
}

void vga_core_loaded(struct vga *v)
{
    for (u32 i = 0; i < ARRAY_SIZE(v->sr); i++)
        v->sr[i] &= sr_bits[i];
    for (u32 i = 0; i < ARRAY_SIZE(v->gr); i++)
        v->gr[i] &= gr_bits[i];
    v->dirty = true;
}

static void vga_loaded(struct device *dev)
{
    struct vga *v = (struct vga *)dev;

    vga_core_loaded(v);
    vbe_loaded(v);
    vga_window_loaded(v);
}

static const struct field vga_fields[] = {
    VGA_FIELDS,
    FIELD(struct vga, vbe_index),
    FIELD_ARRAY(struct vga, vbe),
    FIELD_END,
};

const struct device_class vga_class = {
    .name = "vga",
    .size = sizeof(struct vga),
    .attach = vga_attach,
    .reset = vga_reset,
    .loaded = vga_loaded,
    .fields = vga_fields,
};

static const char *vga_complete(struct machine *m, void *config)
{
    const struct vga_config *c = config;

    return c->megabytes == VGA_VRAM >> 20 ? NULL : "vgamem_mb=: the chip has 16";
}

static const struct vga_config vga_defaults = {
    .slot = { .devfn = VGA_DEVFN },
    .megabytes = VGA_VRAM >> 20,
};
static const struct key_row vga_keys[] = {
    {"vgamem_mb", KEY_U32, offsetof(struct vga_config, megabytes),
     .help = "video memory in MiB: 16"},
    {"xres", KEY_U32, offsetof(struct vga_config, width),
     .help = "points that the monitor prefers"},
    {"yres", KEY_U32, offsetof(struct vga_config, height), .help = "the same"},
    {"xmax", KEY_IGNORE},
    {"ymax", KEY_IGNORE},
    {"edid", KEY_IGNORE}, /* it is there anyway */
    {"refresh_rate", KEY_IGNORE},
    {NULL},
};

const struct user_device vga_user_device = {
    .name = "VGA",
    .help = "VGA with Bochs' linear modes",
    .category = DISPLAY_DEVICE,
    .bus = BUS_PCI,
    .class = &vga_class,
    .config_size = sizeof(struct vga_config),
    .defaults = &vga_defaults,
    .properties = vga_keys,
    .complete = vga_complete,
};

/* What Bochs has before PCI: its VGA BIOS looks for the frame buffer there. */
static const struct vga_config isa_vga_defaults = {
    .megabytes = VGA_VRAM >> 20,
    .linear = 0xe0000000,
};

const struct user_device isa_vga_user_device = {
    .name = "isa-vga",
    .help = "the same as an ISA card",
    .category = DISPLAY_DEVICE,
    .bus = BUS_ISA,
    .class = &vga_class,
    .config_size = sizeof(struct vga_config),
    .defaults = &isa_vga_defaults,
    .properties = vga_keys,
    .complete = vga_complete,
};
