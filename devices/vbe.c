/*
 * The Bochs "VBE display interface": sixteen-bit registers behind an index port that set linear
 * modes of 4 to 32 bits a pixel, and the PCI function 1234:1111 that carries the frame buffer.
 *
 *   ports 1CE index, 1CF (also 1D0) data
 *   BAR 0  video memory, plain          BAR 2  0: the monitor's EDID, 400: ports 3C0-3DF,
 *                                              500: the registers here
 *
 * Invariant: whatever the guest writes, vbe_fit() leaves registers whose picture lies inside
 * video memory. Bochs documentation "VBE Display API", version B0C5; PCI 2.1, 6.2.5.
 */
#include "devices/vga_private.h"

#include <string.h>

enum {
    MMIO_SIZE = 4096,
    VBE_ID_FIRST = 0xb0c0,
    VBE_ID_LAST = 0xb0c5,
};

/* ---- Registers ---- */

/* Bytes a pixel takes, by the BPP register; 0: half a byte, planar. */
static u32 pixel_bytes(const struct vga *v)
{
    return v->vbe[VBE_BPP] == 4 ? 0 : (v->vbe[VBE_BPP] + 7u) / 8;
}

u32 vbe_pitch(const struct vga *v)
{
    u32 bytes = pixel_bytes(v);

    return bytes ? v->vbe[VBE_VIRT_WIDTH] * bytes : v->vbe[VBE_VIRT_WIDTH] / 8u;
}

u32 vbe_start(const struct vga *v)
{
    u32 bytes = pixel_bytes(v), x = v->vbe[VBE_X_OFFSET];

    return v->vbe[VBE_Y_OFFSET] * vbe_pitch(v) + (bytes ? x * bytes : x / 8);
}

bool vbe_mode(const struct vga *v, struct vga_linear *mode)
{
    if (!vbe_on(v))
        return false;
    *mode = (struct vga_linear){ v->vbe[VBE_XRES], v->vbe[VBE_YRES], v->vbe[VBE_BPP],
                                 vbe_start(v),     vbe_pitch(v),     1 };
    return true;
}

static u16 clamp(u32 val, u32 low, u32 high)
{
    return val < low ? low : val > high ? high : val;
}

/* Memory one plane has: all of it, but a quarter at 4 bpp. */
static u32 vbe_memory(const struct vga *v)
{
    return pixel_bytes(v) ? VGA_VRAM : VGA_VRAM / 4;
}

static u16 valid_bpp(u16 bpp)
{
    return bpp == 4 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32 ? bpp : 8;
}

/* Brings the registers of an enabled mode into what the memory holds. */
static void vbe_fit(struct vga *v)
{
    u16 *r = v->vbe;
    u32 lines, start_lines;

    r[VBE_BPP] = valid_bpp(r[VBE_BPP]);
    r[VBE_XRES] = clamp(r[VBE_XRES] & ~7u, 8, VBE_MAX_XRES);
    r[VBE_YRES] = clamp(r[VBE_YRES], 1, VBE_MAX_YRES);
    r[VBE_VIRT_WIDTH] = clamp(r[VBE_VIRT_WIDTH] & ~7u, r[VBE_XRES], 0xfff8);
    lines = vbe_memory(v) / vbe_pitch(v);
    r[VBE_VIRT_HEIGHT] = clamp(lines, 1, 0xffff);
    r[VBE_YRES] = clamp(r[VBE_YRES], 1, lines);
    r[VBE_X_OFFSET] = clamp(r[VBE_X_OFFSET], 0, r[VBE_VIRT_WIDTH] - r[VBE_XRES]);
    start_lines = lines - r[VBE_YRES];
    r[VBE_Y_OFFSET] = clamp(r[VBE_Y_OFFSET], 0, start_lines);
}

static void vbe_clear(struct vga *v)
{
    u32 bytes = vbe_pitch(v) * v->vbe[VBE_YRES] * (pixel_bytes(v) ? 1 : 4);

    memset(v->vram, 0, bytes);
}

/* The DAC holds six or eight bits a colour; going from one to the other keeps the colours. */
static void dac_widen(struct vga *v, bool to8)
{
    for (u32 i = 0; i < sizeof(v->dac); i++)
        v->dac[i] = to8 ? v->dac[i] << 2 | v->dac[i] >> 4 : v->dac[i] >> 2;
}

static void vbe_enable(struct vga *v, u16 val)
{
    u16 was = v->vbe[VBE_ENABLE];

    if ((val ^ was) & VBE_8BIT_DAC)
        dac_widen(v, val & VBE_8BIT_DAC);
    v->vbe[VBE_ENABLE] = val;
    v->vbe[VBE_BANK] = 0;
    if (!(val & VBE_ENABLED))
        return;
    if (!(was & VBE_ENABLED)) {
        v->vbe[VBE_VIRT_WIDTH] = v->vbe[VBE_XRES];
        v->vbe[VBE_X_OFFSET] = v->vbe[VBE_Y_OFFSET] = 0;
    }
    vbe_fit(v);
    vga_window_sync(v);
    if (!(val & VBE_NOCLEAR))
        vbe_clear(v);
}

static void vbe_write(struct vga *v, u32 index, u16 val)
{
    if (index >= VBE_VIRT_HEIGHT && index != VBE_X_OFFSET && index != VBE_Y_OFFSET)
        return;
    if (index == VBE_ID) {
        if (val >= VBE_ID_FIRST && val <= VBE_ID_LAST)
            v->vbe[VBE_ID] = val;
        return;
    }
    if (index == VBE_BANK)
        val &= vbe_memory(v) / KIB(64) - 1;
    if (index == VBE_ENABLE)
        vbe_enable(v, val);
    else
        v->vbe[index] = val;
    if (vbe_on(v) && index != VBE_BANK)
        vbe_fit(v);
    v->dirty = true;
    vga_window_update(v);
}

static u16 vbe_read(const struct vga *v, u32 index)
{
    if (v->vbe[VBE_ENABLE] & VBE_GETCAPS) {
        if (index == VBE_XRES)
            return VBE_MAX_XRES;
        if (index == VBE_YRES)
            return VBE_MAX_YRES;
        if (index == VBE_BPP)
            return VBE_MAX_BPP;
    }
    return index < VBE_REGS ? v->vbe[index] : 0;
}

/* ---- Ports ---- */

/* An 8-bit access reaches the low byte only. */
static u32 port_read(struct device *dev, u32 off, enum io_size size)
{
    struct vga *v = (struct vga *)dev;
    u16 val = off ? vbe_read(v, v->vbe_index) : v->vbe_index;

    return size == IO_8 ? val & 0xff : val;
}

static void port_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct vga *v = (struct vga *)dev;

    if (off)
        vbe_write(v, v->vbe_index, val);
    else
        v->vbe_index = val;
}

/* ---- BAR 2 ---- */

static u32 mmio_read8(struct vga *v, u32 off)
{
    if (off >= 0x400 && off < 0x420)
        return off < 0x410 ? vga_port_read(&v->dev, off - 0x400, IO_8) :
                             bus_in(v->dev.machine, 0x3c0 + off - 0x400, IO_8);
    if (off >= 0x500 && off < 0x500 + 2 * VBE_REGS)
        return vbe_read(v, (off - 0x500) / 2) >> 8 * (off & 1) & 0xff;
    if (off < 0x400)
        return off < EDID_SIZE ? v->edid[off] : 0;
    return 0xff;
}

static u32 mmio_read(struct device *dev, u32 off, enum io_size size)
{
    struct vga *v = (struct vga *)dev;
    u32 val = 0;

    for (u32 i = 0; i < (u32)size; i++)
        val |= mmio_read8(v, off + i) << 8 * i;
    return val;
}

static void mmio_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct vga *v = (struct vga *)dev;

    for (u32 i = 0; i < (u32)size && off + i >= 0x400 && off + i < 0x420; i++)
        bus_out(dev->machine, 0x3c0 + off + i - 0x400, IO_8, val >> 8 * i & 0xff);
    if (off >= 0x500 && off < 0x500 + 2 * VBE_REGS && !(off & 1) && size != IO_8)
        vbe_write(v, (off - 0x500) / 2, val);
}

/* ---- The monitor ---- */

void vga_prefer(struct device *dev, u32 width, u32 height)
{
    struct vga *v = (struct vga *)dev;

    edid_make(v->edid, clamp(width & ~7u, 320, VBE_MAX_XRES), clamp(height, 200, VBE_MAX_YRES));
}

/* ---- PCI ---- */

/* Moves a BAR's claim to where it answers now; BAR 2 has handlers, BAR 0 is memory. */
static void bar_update(struct vga *v, u32 n, u32 *claimed, u32 size, u8 *memory)
{
    static const struct io_ops ops = { mmio_read, mmio_write, IO_8 | IO_16 | IO_32 };
    u32 base;

    if (!pci_bar(&v->pci, n, &base))
        base = 0;
    if (*claimed == base)
        return;
    if (*claimed)
        bus_release_memory(&v->dev, *claimed, size);
    *claimed = base;
    if (base && memory)
        bus_map_memory(&v->dev, base, size, memory, true);
    else if (base)
        bus_claim_memory(&v->dev, base, size, &ops);
}

static void bars_update(struct vga *v)
{
    bar_update(v, 0, &v->lfb, VGA_VRAM, v->vram);
    bar_update(v, 2, &v->mmio, MMIO_SIZE, NULL);
}

static void config_written(struct pci_function *f, u32 off, u32 size)
{
    bars_update(container_of(f, struct vga, pci));
}

/* ---- Life ---- */

bool vbe_attach(struct vga *v)
{
    static const struct io_ops ops = { port_read, port_write, IO_8 | IO_16 };
    const struct vga_config *c = v->dev.config;

    if (!bus_claim_ports(&v->dev, 0x1ce, 3, &ops))
        return false;
    vga_prefer(&v->dev, c && c->width ? c->width : 1024, c && c->height ? c->height : 768);
    pci_init(&v->pci, &v->dev, 0x1234, 0x1111, 0x030000, 2,
             PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    pci_init_bar(&v->pci, 0, VGA_VRAM, false, true);
    pci_init_bar(&v->pci, 2, MMIO_SIZE, false, false);
    v->pci.written = config_written;
    if (pci_slot_bus(&v->dev)) /* a bare test machine has no bus */
        pci_add(c->slot.bus, c->slot.devfn, &v->pci);
    return !c || !c->linear || bus_map_memory(&v->dev, c->linear, VGA_VRAM, v->vram, true);
}

void vbe_reset(struct vga *v)
{
    v->vbe_index = 0;
    memset(v->vbe, 0, sizeof(v->vbe));
    v->vbe[VBE_ID] = VBE_ID_LAST;
    v->vbe[VBE_BPP] = 8;
    v->vbe[VBE_MEMORY_64K] = VGA_VRAM / KIB(64);
}

void vbe_loaded(struct vga *v)
{
    if (vbe_on(v))
        vbe_fit(v);
    bars_update(v);
}
