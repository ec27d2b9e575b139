/*
 * The CPU's window on video memory, A0000-BFFFF: graphics controller and sequencer between the
 * bus and the planes (see vga.h for the layout).
 *
 *   write:  val ─ rotate ─ set/reset ─ logic with latch ─ bit mask ─▶ planes of the map mask
 *   read:   all planes ─▶ latch ─ plane select or colour compare ─▶ val
 *
 * Four planes are one u32 here, plane 0 lowest. Invariant: where none of that machinery would
 * alter a byte (chain-4 with all planes; linear VBE modes) A0000-AFFFF is mapped into the guest
 * as plain memory and v->window says where it leads; else accesses come here. IBM PS/2 Video
 * Subsystem, "Graphics Controller".
 */
#include "devices/vga_private.h"

#include <string.h>

enum { WINDOW_BASE = 0xa0000, WINDOW_SIZE = 0x20000, PLAIN_SIZE = 0x10000 };
#define ALL_PLANES(byte) ((byte)*0x01010101u)

/* Bit n of a nibble to byte n. */
static const u32 spread[16] = {
    0x00000000, 0x000000ff, 0x0000ff00, 0x0000ffff, 0x00ff0000, 0x00ff00ff,
    0x00ffff00, 0x00ffffff, 0xff000000, 0xff0000ff, 0xff00ff00, 0xff00ffff,
    0xffff0000, 0xffff00ff, 0xffffff00, 0xffffffff,
};

/* Memory maps of graphics register 6: 128 KiB, 64 KiB, MDA's, CGA's. */
static const struct {
    u32 base, size;
} maps[4] = {
    { 0x00000, 0x20000 },
    { 0x00000, 0x10000 },
    { 0x10000, 0x08000 },
    { 0x18000, 0x08000 },
};

/* A byte of the window: where it lies in each plane, and the planes a write reaches. */
struct place {
    u32 offset, mask, read_plane;
/* compilers move it by eight bytes: bt/callout.c, fast callouts */
} __attribute__((aligned(8)));

/* The bank moves the window by 64 KiB; in 4 bpp modes that is of each plane. */
static u32 bank_offset(const struct vga *v)
{
    return vbe_on(v) ? (u32)v->vbe[VBE_BANK] << 16 : 0;
}

/* false: the card does not answer there. */
static bool window_address(const struct vga *v, u32 off, u32 *address)
{
    u32 map = v->gr[GC_MISC] >> 2 & 3;

    *address = off - maps[map].base;
    return v->misc & MISC_RAM && *address < maps[map].size;
}

static struct place place_of(const struct vga *v, u32 a, bool writing)
{
    u32 planes = vbe_on(v) ? VGA_VRAM / 4 : VGA_PLANE;
    u32 map_mask = v->sr[SEQ_MAP_MASK];
    struct place p = { a, map_mask, v->gr[GC_READ_MAP] };
    bool odd_even = writing ? !(v->sr[SEQ_MEMORY] & MEMORY_SEQUENTIAL) :
                              v->gr[GC_MODE] & GC_MODE_ODD_EVEN;

    if (v->sr[SEQ_MEMORY] & MEMORY_CHAIN4)
        p = (struct place){ a >> 2, map_mask & 1 << (a & 3), a & 3 };
    else if (odd_even)
        p = (struct place){ a & ~1u, map_mask & (a & 1 ? 0xa : 0x5),
                            (p.read_plane & 2) | (a & 1) };
    p.offset = (p.offset + bank_offset(v)) & (planes - 1);
    return p;
}

static u32 planes_get(const struct vga *v, u32 offset)
{
    u32 val;

    memcpy(&val, v->vram + 4 * offset, 4);
    return val;
}

/* ---- Reading ---- */

static u8 compare_colors(const struct vga *v)
{
    u32 differ =
        (v->latch ^ spread[v->gr[GC_COLOR_COMPARE]]) & spread[v->gr[GC_COLOR_DONT_CARE]];

    differ |= differ >> 16;
    return ~(differ | differ >> 8);
}

static u8 window_read8(struct vga *v, u32 off)
{
    struct place p;
    u32 a;

    if (vbe_linear(v))
        return off < 0x10000 ? v->vram[(bank_offset(v) + off) & (VGA_VRAM - 1)] : 0xff;
    if (!window_address(v, off, &a))
        return 0xff;
    p = place_of(v, a, false);
    v->latch = planes_get(v, p.offset);
    if (v->gr[GC_MODE] & GC_MODE_COMPARE)
        return compare_colors(v);
    return v->latch >> 8 * p.read_plane;
}

static u32 window_read(struct device *dev, u32 off, enum io_size size)
{
    struct vga *v = (struct vga *)dev;
    u32 val = 0;

    for (u32 i = 0; i < (u32)size; i++)
        val |= (u32)window_read8(v, off + i) << 8 * i;
    return val;
}

/* ---- Writing ---- */

static u8 rotate_right(u8 val, u32 n)
{
    return val >> n | val << (8 - n);
}

static u32 logic(const struct vga *v, u32 val)
{
    switch (v->gr[GC_ROTATE] >> 3) {
    case 1: return val & v->latch;
    case 2: return val | v->latch;
    case 3: return val ^ v->latch;
    default: return val;
    }
}

/* What the four planes would take, before the map mask. */
static u32 write_value(const struct vga *v, u8 val)
{
    u32 set_reset = spread[v->gr[GC_SET_RESET]], enable = spread[v->gr[GC_ENABLE_SET_RESET]];
    u32 mask = ALL_PLANES(v->gr[GC_BIT_MASK]), planes;
    u8 rotated = rotate_right(val, v->gr[GC_ROTATE] & 7);

    switch (v->gr[GC_MODE] & GC_MODE_WRITE) {
    case 0: planes = (ALL_PLANES(rotated) & ~enable) | (set_reset & enable); break;
    case 1: return v->latch;
    case 2: planes = spread[val & 15]; break;
    default:
        planes = set_reset;
        mask &= ALL_PLANES(rotated);
    }
    return (logic(v, planes) & mask) | (v->latch & ~mask);
}

static void window_write8(struct vga *v, u32 off, u8 val)
{
    struct place p;
    u32 a, mask, planes;

    if (vbe_linear(v)) {
        if (off < 0x10000)
            v->vram[(bank_offset(v) + off) & (VGA_VRAM - 1)] = val;
        return;
    }
    if (!window_address(v, off, &a))
        return;
    p = place_of(v, a, true);
    mask = spread[p.mask];
    planes = (planes_get(v, p.offset) & ~mask) | (write_value(v, val) & mask);
    memcpy(v->vram + 4 * p.offset, &planes, 4);
    v->dirty = true;
}

static void window_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    for (u32 i = 0; i < (u32)size; i++)
        window_write8((struct vga *)dev, off + i, val >> 8 * i);
}

/* ---- Plain memory ---- */

/* The window's offset in vram if bytes written at A0000 land there as they are, and read
 * back. */
static u32 plain_window(const struct vga *v)
{
    const u8 *gr = v->gr;

    if (vbe_linear(v))
        return bank_offset(v) & (VGA_VRAM - 1);
    if (!(v->sr[SEQ_MEMORY] & MEMORY_CHAIN4) || v->sr[SEQ_MAP_MASK] != 15 || vbe_on(v))
        return NO_WINDOW;
    if (!(v->misc & MISC_RAM) || gr[GC_MISC] >> 2 > 1)
        return NO_WINDOW;
    if (gr[GC_MODE] & (GC_MODE_WRITE | GC_MODE_COMPARE) || gr[GC_ROTATE] ||
        gr[GC_ENABLE_SET_RESET] || gr[GC_BIT_MASK] != 0xff)
        return NO_WINDOW;
    return 0;
}

static const struct io_ops window_ops = { window_read, window_write, IO_8 | IO_16 | IO_32 };

/* After a release the bus shows RAM there, so the memory is claimed again. */
static void window_unmap(struct vga *v)
{
    bus_release_memory(&v->dev, WINDOW_BASE, PLAIN_SIZE);
    bus_release_memory(&v->dev, WINDOW_BASE, WINDOW_SIZE);
    bus_claim_memory(&v->dev, WINDOW_BASE, WINDOW_SIZE, &window_ops);
}

void vga_window_update(struct vga *v)
{
    u32 window = plain_window(v);

    if (window == v->window)
        return;
    v->dirty = true;
    if (v->window != NO_WINDOW)
        window_unmap(v);
    v->window = window;
    if (window != NO_WINDOW)
        bus_map_memory(&v->dev, WINDOW_BASE, PLAIN_SIZE, v->vram + window, true);
}

bool vga_mem_attach(struct vga *v)
{
    v->window = NO_WINDOW;
    return bus_claim_memory(&v->dev, WINDOW_BASE, WINDOW_SIZE, &window_ops);
}
