/*
 * Who answers in the CL-GD5446's windows: A0000-BFFFF beyond what a VGA does there, the frame
 * buffer (BAR 0) and the registers as memory (BAR 1).
 *
 *   BAR 0   0 to 4 MiB    video memory; while the blitter waits for its source, and in write
 *                         modes 4 and 5, not plain; its last 256 bytes may be registers (SR17)
 *           from 16 MiB   whatever is written is the blitter's source
 *   BAR 1   0 to FF       ports 3C0 and up      100 to 1FF   the blitter's registers
 *   A0000   in linear modes 64 KiB of video memory from an offset on, or twice 32 KiB
 *
 * Technical Reference Manual, chapter 6 (GR9 to GRB) and 9.4 (memory-mapped I/O).
 */
#include "devices/gd5446_private.h"

#include <string.h>

enum { REGISTERS_B8000 = 0x18000, REGISTERS = 256, HALF = 0x8000, WINDOW = 0x10000 };

/* ---- Write modes 4 and 5: a byte is eight pixels ---- */

static bool paints(const struct gd5446 *g)
{
    return g->gr[GR_EXTENSIONS] & GR_EXT_WRITE && (g->gr[GC_MODE] & 6) == 4;
}

static void paint(struct gd5446 *g, u32 at, u8 bits)
{
    bool wide = g->gr[GR_EXTENSIONS] & GR_EXT_16BIT, both = g->gr[GC_MODE] & 1;
    u8 *vram = g->vga.vram;

    for (u32 i = 0; i < 8; i++, bits <<= 1) {
        u32 color = bits >> 7, a = (at + (i << wide)) & (GD5446_VRAM - 1);

        if (!color && !both)
            continue;
        vram[a] = g->gr[color];
        if (wide)
            vram[(a + 1) & (GD5446_VRAM - 1)] = g->gr[0x10 + color];
    }
}

/* An address counts pixels, eight of them, or as many of two bytes. */
static u32 scaled(const struct gd5446 *g, u32 a)
{
    u8 ext = g->gr[GR_EXTENSIONS];

    if ((ext & (GR_EXT_16BIT | GR_EXT_WRITE)) == (GR_EXT_16BIT | GR_EXT_WRITE))
        a <<= 4;
    else if (ext & GR_EXT_BY_8)
        a <<= 3;
    return a & (GD5446_VRAM - 1);
}

static u8 pixel_read(const struct gd5446 *g, u32 a)
{
    return g->vga.vram[scaled(g, a)];
}

static void pixel_write(struct gd5446 *g, u32 a, u8 val)
{
    if (g->blt.pending)
        gd5446_blt_feed(g, &val, 1);
    else if (paints(g))
        paint(g, scaled(g, a), val);
    else
        g->vga.vram[scaled(g, a)] = val;
}

/* ---- A0000-BFFFF ---- */

static u32 offset_of(const struct gd5446 *g, u32 half)
{
    u8 ext = g->gr[GR_EXTENSIONS];
    u8 offset = g->gr[half && ext & GR_EXT_DUAL ? GR_OFFSET_1 : GR_OFFSET_0];

    return (u32)offset << (ext & GR_EXT_16K ? 14 : 12);
}

u32 gd5446_address(const struct vga *v, u32 a)
{
    const struct gd5446 *g = gd5446_of(v);
    u32 half = a >> 15 & 1;

    if (g->gr[GR_EXTENSIONS] & GR_EXT_DUAL)
        a &= ~(u32)HALF;
    return a + offset_of(g, half);
}

static bool registers_at_b8000(const struct gd5446 *g)
{
    return (g->sr[SR_CONFIG] & (SR_CONFIG_MMIO | SR_CONFIG_MMIO_LFB)) == SR_CONFIG_MMIO;
}

bool gd5446_extended(const struct vga *v)
{
    const struct gd5446 *g = gd5446_of(v);

    return gd5446_packed(g) || g->blt.pending || registers_at_b8000(g) || offset_of(g, 0) ||
           g->gr[GR_EXTENSIONS] & GR_EXT_DUAL;
}

static bool is_register(const struct gd5446 *g, u32 off)
{
    return registers_at_b8000(g) && off - REGISTERS_B8000 < REGISTERS;
}

static bool in_window(const struct gd5446 *g, u32 off)
{
    return gd5446_packed(g) && off < WINDOW && g->vga.misc & MISC_RAM;
}

bool gd5446_memory_read(struct vga *v, u32 off, u8 *val)
{
    struct gd5446 *g = gd5446_of(v);

    if (is_register(g, off))
        *val = gd5446_blt_register_read(g, off - REGISTERS_B8000);
    else if (in_window(g, off))
        *val = pixel_read(g, gd5446_address(v, off));
    else
        return false;
    return true;
}

bool gd5446_memory_write(struct vga *v, u32 off, u8 val)
{
    struct gd5446 *g = gd5446_of(v);

    if (is_register(g, off))
        gd5446_blt_register_write(g, off - REGISTERS_B8000, val);
    else if (g->blt.pending && off < WINDOW)
        gd5446_blt_feed(g, &val, 1);
    else if (in_window(g, off))
        pixel_write(g, gd5446_address(v, off), val);
    else
        return false;
    return true;
}

u32 gd5446_plain_window(const struct vga *v, u32 half)
{
    const struct gd5446 *g = gd5446_of(v);
    u32 at = gd5446_address(v, half * HALF);

    if (!gd5446_packed(g) || g->blt.pending || paints(g) || !(v->misc & MISC_RAM) ||
        g->gr[GR_EXTENSIONS] & GR_EXT_BY_8)
        return NO_WINDOW;
    return at + HALF <= GD5446_VRAM ? at : NO_WINDOW;
}

/* ---- BAR 0 ---- */

static bool registers_in_lfb(const struct gd5446 *g, u32 off)
{
    u8 both = SR_CONFIG_MMIO | SR_CONFIG_MMIO_LFB;

    return (g->sr[SR_CONFIG] & both) == both && off - (GD5446_VRAM - REGISTERS) < REGISTERS;
}

static u8 lfb_read8(struct gd5446 *g, u32 off)
{
    if (registers_in_lfb(g, off))
        return gd5446_blt_register_read(g, off & (REGISTERS - 1));
    return off < GD5446_VRAM ? pixel_read(g, off) : 0xff;
}

static void lfb_write8(struct gd5446 *g, u32 off, u8 val)
{
    if (registers_in_lfb(g, off))
        gd5446_blt_register_write(g, off & (REGISTERS - 1), val);
    else if (off >= GD5446_BLT && g->blt.pending)
        gd5446_blt_feed(g, &val, 1);
    else if (off < GD5446_VRAM)
        pixel_write(g, off, val);
}

static u32 lfb_read(struct device *dev, u32 off, enum io_size size)
{
    u32 val = 0;

    for (u32 i = 0; i < (u32)size; i++)
        val |= (u32)lfb_read8((struct gd5446 *)dev, off + i) << 8 * i;
    return val;
}

static void lfb_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    for (u32 i = 0; i < (u32)size; i++)
        lfb_write8((struct gd5446 *)dev, off + i, val >> 8 * i & 0xff);
}

/* Bytes from the start that need nobody. */
static u32 lfb_plain(const struct gd5446 *g)
{
    if (!g->lfb || g->blt.pending || paints(g) || scaled(g, 1) != 1)
        return 0;
    return registers_in_lfb(g, GD5446_VRAM - 1) ? GD5446_VRAM - PAGE_SIZE : GD5446_VRAM;
}

static void lfb_map(struct gd5446 *g, u32 plain)
{
    if (plain == g->lfb_plain)
        return;
    if (g->lfb_plain)
        bus_release_memory(&g->vga.dev, g->lfb, g->lfb_plain);
    g->lfb_plain = plain;
    if (plain)
        bus_map_memory(&g->vga.dev, g->lfb, plain, g->vga.vram, true);
}

void gd5446_windows_update(struct gd5446 *g)
{
    lfb_map(g, lfb_plain(g));
    vga_window_update(&g->vga);
}

/* ---- BAR 1 ---- */

static u32 mmio_read(struct device *dev, u32 off, enum io_size size)
{
    if (off < 0x20)
        return bus_in(dev->machine, (u16)(0x3c0 + off), IO_8);
    return off - 0x100 < REGISTERS ? gd5446_blt_register_read((struct gd5446 *)dev, off - 0x100)
                                   : 0xff;
}

static void mmio_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    if (off < 0x20)
        bus_out(dev->machine, (u16)(0x3c0 + off), IO_8, val);
    else if (off - 0x100 < REGISTERS)
        gd5446_blt_register_write((struct gd5446 *)dev, off - 0x100, (u8)val);
}

/* ---- PCI ---- */

void gd5446_bars_update(struct gd5446 *g)
{
    static const struct io_ops lfb = {lfb_read, lfb_write, IO_8 | IO_16 | IO_32};
    static const struct io_ops mmio = {mmio_read, mmio_write, IO_8};
    u32 base;

    if (!pci_bar(&g->vga.pci, 0, &base) || base != g->lfb)
        lfb_map(g, 0);
    pci_bar_claim(&g->vga.pci, 0, &lfb, &g->lfb);
    pci_bar_claim(&g->vga.pci, 1, &mmio, &g->mmio);
    gd5446_windows_update(g);
}
