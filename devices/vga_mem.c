/*
 * The CPU's window on video memory, A0000-BFFFF: graphics controller and sequencer between the
 * bus and the planes (see vga.h for the layout).
 *
 *   write:  val ─ rotate ─ set/reset ─ logic with latch ─ bit mask ─▶ planes of the map mask
 *   read:   all planes ─▶ latch ─ plane select or colour compare ─▶ val
 *
 * Four planes are one u32 here, plane 0 lowest. An access of n bytes is n accesses of a byte,
 * upwards; general_...() take all kinds. What vga_window.c maps into the guest does not come
 * here. IBM PS/2 Video Subsystem, "Graphics Controller".
 */
#include "devices/vga_private.h"

#include <string.h>

#define ALL_PLANES(byte) ((byte)*0x01010101u)

enum vga_pen_kind { PEN_BYTE, PEN_COLOR, PEN_MASK, PEN_OTHER };

/* Bit n of a nibble to byte n. */
static const u32 spread[16] = {
    0x00000000, 0x000000ff, 0x0000ff00, 0x0000ffff, 0x00ff0000, 0x00ff00ff,
    0x00ffff00, 0x00ffffff, 0xff000000, 0xff0000ff, 0xff00ff00, 0xff00ffff,
    0xffff0000, 0xffff00ff, 0xffffff00, 0xffffffff,
};

/* A byte of the window: where it lies in each plane, and the planes a write reaches. */
struct place {
    u32 offset, mask, read_plane;
/* compilers move it by eight bytes: bt/callout.c, fast callouts */
} __attribute__((aligned(8)));

/* false: the card does not answer there. */
static bool window_address(const struct vga *v, u32 off, u32 *address)
{
    *address = off - v->map_base;
    if (!(v->misc & MISC_RAM) || *address >= vga_map(v)->size)
        return false;
    if (vga_extended(v))
        *address = v->kind->address(v, *address);
    return true;
}

static struct place place_of(const struct vga *v, u32 a, bool writing)
{
    u32 planes = vbe_on(v) ? VGA_VRAM / 4 : v->plane_size;
    u32 map_mask = v->sr[SEQ_MAP_MASK];
    struct place p = { a, map_mask, v->gr[GC_READ_MAP] };
    bool odd_even = writing ? !(v->sr[SEQ_MEMORY] & MEMORY_SEQUENTIAL) :
                              v->gr[GC_MODE] & GC_MODE_ODD_EVEN;

    if (v->sr[SEQ_MEMORY] & MEMORY_CHAIN4)
        p = (struct place){ a >> 2, map_mask & 1 << (a & 3), a & 3 };
    else if (odd_even)
        p = (struct place){ a & ~1u, map_mask & (a & 1 ? 0xa : 0x5),
                            (p.read_plane & 2) | (a & 1) };
    p.offset = (p.offset + vga_bank_offset(v)) & (planes - 1);
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

static u8 latched(const struct vga *v, u32 plane)
{
    return v->gr[GC_MODE] & GC_MODE_COMPARE ? compare_colors(v) : v->latch >> 8 * plane;
}

static __attribute__((noinline)) u8 general_read8(struct vga *v, u32 off)
{
    struct place p;
    u32 a;
    u8 val;

    if (vga_extended(v) && v->kind->memory_read(v, off, &val))
        return val;
    if (vbe_linear(v))
        return off < 0x10000 ? v->vram[(vga_bank_offset(v) + off) & (VGA_VRAM - 1)] : 0xff;
    if (!window_address(v, off, &a))
        return 0xff;
    p = place_of(v, a, false);
    v->latch = planes_get(v, p.offset);
    return latched(v, p.read_plane);
}

static inline u8 window_read8(struct vga *v, u32 off)
{
    u32 a = off - v->map_base;

    if (a >= v->planar_read)
        return general_read8(v, off);
    v->latch = planes_get(v, a);
    return latched(v, v->gr[GC_READ_MAP]);
}

static inline void window_accessed(struct vga *v, u32 bytes)
{
    if (unlikely((v->packed.left -= (i32)bytes) <= 0))
        vga_window_used(v);
}

static void window_read_run(struct device *dev, u32 off, u8 *buf, u32 n)
{
    struct vga *v = (struct vga *)dev;

    window_accessed(v, n);
    for (u32 i = 0; i < n; i++)
        buf[i] = window_read8(v, off + i);
}

static __attribute__((noinline)) u32 general_read(struct vga *v, u32 off, u32 size)
{
    u32 val = 0;

    window_accessed(v, size);
    for (u32 i = 0; i < size; i++)
        val |= (u32)window_read8(v, off + i) << 8 * i;
    return val;
}

static u32 window_read(struct device *dev, u32 off, enum io_size size)
{
    struct vga *v = (struct vga *)dev;
    u32 a = off - v->map_base;

    if (unlikely(size != IO_8 || a >= v->planar_read || v->packed.left <= 1))
        return general_read(v, off, size);
    v->packed.left--;
    v->latch = planes_get(v, a);
    return latched(v, v->gr[GC_READ_MAP]);
}

/* ---- Writing ---- */

static u32 planar_bytes(const struct vga *v, bool odd_even)
{
    u32 size = vga_map(v)->size;

    if (odd_even || v->sr[SEQ_MEMORY] & MEMORY_CHAIN4 || vbe_on(v) || !(v->misc & MISC_RAM))
        return 0;
    if (vga_extended(v))
        return 0;
    return size < VGA_PLANE ? size : VGA_PLANE;
}

/* Most writes are (byte & of_byte) | (latch & of_latch) | set, where byte is the byte in each
 * plane or, in mode 2, a colour. */
static void pen_shorten(struct vga_pen *p)
{
    p->kind = p->function    ? PEN_OTHER
              : p->mode == 3 ? PEN_MASK
              : p->mode == 2 ? PEN_COLOR
                             : PEN_BYTE;
    p->of_latch = p->mode == 1 ? ~0u : ~p->mask;
    p->of_byte = p->mode ? p->mask : p->mask & ~p->enable;
    p->set = p->mode ? 0 : p->mask & p->enable & p->fixed;
    if (p->mode == 1) {
        p->kind = PEN_BYTE;
        p->of_byte = 0;
    } else if (p->rotate && p->mode != 2) {
        p->kind = PEN_OTHER;
    }
}

void vga_pen_update(struct vga *v)
{
    struct vga_pen *p = &v->pen;

    p->fixed = spread[v->gr[GC_SET_RESET]];
    p->enable = spread[v->gr[GC_ENABLE_SET_RESET]];
    p->mask = ALL_PLANES(v->gr[GC_BIT_MASK]);
    p->map_mask = spread[v->sr[SEQ_MAP_MASK]];
    p->mode = v->gr[GC_MODE] & GC_MODE_WRITE;
    p->function = v->gr[GC_ROTATE] >> 3;
    p->rotate = v->gr[GC_ROTATE] & 7;
    pen_shorten(p);
}

void vga_mem_update(struct vga *v)
{
    vga_pen_update(v);
    v->map_base = vga_map(v)->base;
    v->planar_write = planar_bytes(v, !(v->sr[SEQ_MEMORY] & MEMORY_SEQUENTIAL));
    v->planar_read = planar_bytes(v, v->gr[GC_MODE] & GC_MODE_ODD_EVEN);
}

static u8 rotate_right(u8 val, u32 n)
{
    return val >> n | val << (8 - n);
}

static u32 combine(const struct vga_pen *p, u32 val, u32 latch)
{
    switch (p->function) {
    case 1: return val & latch;
    case 2: return val | latch;
    case 3: return val ^ latch;
    default: return val;
    }
}

/* What the four planes would take, before the map mask. */
static __attribute__((noinline)) u32 pen_value(const struct vga_pen *p, u32 latch, u8 val)
{
    u32 mask = p->mask, planes;
    u8 rotated = rotate_right(val, p->rotate);

    switch (p->mode) {
    case 0: planes = (ALL_PLANES(rotated) & ~p->enable) | (p->fixed & p->enable); break;
    case 1: return latch;
    case 2: planes = spread[val & 15]; break;
    default:
        planes = p->fixed;
        mask &= ALL_PLANES(rotated);
    }
    return (combine(p, planes, latch) & mask) | (latch & ~mask);
}

/* The same, but of PEN_OTHER. */
static inline u32 pen_quick(const struct vga_pen *p, u32 latch, u8 val)
{
    u32 byte = ALL_PLANES(val);

    if (p->kind == PEN_MASK)
        return latch ^ ((p->fixed ^ latch) & p->mask & byte);
    if (p->kind == PEN_COLOR)
        byte = spread[val & 15];
    return (byte & p->of_byte) | (latch & p->of_latch) | p->set;
}

static inline u32 drawn(const struct vga *v, u8 val)
{
    return v->pen.kind == PEN_OTHER ? pen_value(&v->pen, v->latch, val)
                                    : pen_quick(&v->pen, v->latch, val);
}

static void planes_put(struct vga *v, u32 offset, u32 val, u32 mask)
{
    val = (planes_get(v, offset) & ~mask) | (val & mask);
    memcpy(v->vram + 4 * offset, &val, 4);
}

static __attribute__((noinline)) void general_write8(struct vga *v, u32 off, u8 val)
{
    struct place p;
    u32 a;

    if (vga_extended(v) && v->kind->memory_write(v, off, val))
        return;
    if (vbe_linear(v)) {
        if (off < 0x10000)
            v->vram[(vga_bank_offset(v) + off) & (VGA_VRAM - 1)] = val;
    } else if (window_address(v, off, &a)) {
        p = place_of(v, a, true);
        planes_put(v, p.offset, drawn(v, val), spread[p.mask]);
    }
}

static inline void window_write8(struct vga *v, u32 off, u8 val)
{
    u32 a = off - v->map_base;

    if (a < v->planar_write)
        planes_put(v, a, drawn(v, val), v->pen.map_mask);
    else
        general_write8(v, off, val);
}

static void window_write_run(struct device *dev, u32 off, const u8 *buf, u32 n)
{
    struct vga *v = (struct vga *)dev;

    window_accessed(v, n);
    v->dirty = true;
    for (u32 i = 0; i < n; i++)
        window_write8(v, off + i, buf[i]);
}

static __attribute__((noinline)) void general_write(struct vga *v, u32 off, u32 size, u32 val)
{
    window_accessed(v, size);
    v->dirty = true;
    for (u32 i = 0; i < size; i++)
        window_write8(v, off + i, val >> 8 * i);
}

/* A byte of planar modes comes here most, and finds its way without a call. */
static void window_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct vga *v = (struct vga *)dev;
    u32 a = off - v->map_base;

    if (unlikely(size != IO_8 || a >= v->planar_write || v->pen.kind == PEN_OTHER ||
                 v->packed.left <= 1)) {
        general_write(v, off, size, val);
        return;
    }
    v->packed.left--;
    v->dirty = true;
    planes_put(v, a, pen_quick(&v->pen, v->latch, (u8)val), v->pen.map_mask);
}

const struct io_ops vga_window_ops = {
    .read = window_read,
    .write = window_write,
    .sizes = IO_8 | IO_16 | IO_32,
    .read_run = window_read_run,
    .write_run = window_write_run,
};
