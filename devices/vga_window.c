/*
 * Who answers at A0000-BFFFF: the machinery of vga_mem.c, or memory that the guest reaches
 * without us.
 *
 *   plain    bytes lie in vram as the guest sees them: chain-4 with all planes, linear VBE modes
 *   packed   bytes are those of some planes, which lie in vram with others between them: text and
 *            CGA's modes. A copy without gaps, packed.bytes, is what counts while it is mapped;
 *            vram lags behind until vga_window_sync(), which comes before a picture is drawn and
 *            when the registers want something else
 *
 * Both only where nothing would alter a byte on its way. The latches are not loaded then: so
 * planar modes, whose programs use them, are not packed. Packing copies 32 KiB and changes the
 * memory map: it waits for some accesses in a row, more of them where it did not last.
 */
#include "devices/vga_private.h"

#include <string.h>

enum {
    WINDOW_BASE = 0xa0000, WINDOW_SIZE = 0x20000, PLAIN_SIZE = 0x10000, HALF = 0x8000,
    FIRST_PATIENCE = 256, MOST_PATIENCE = 1 << 16, /* bytes accessed before packing */
};
#define LASTING MSEC(5)

/* Memory maps of graphics register 6: 128 KiB, 64 KiB, MDA's, CGA's. */
const struct vga_map vga_maps[4] = {
    { 0x00000, 0x20000 },
    { 0x00000, 0x10000 },
    { 0x10000, 0x08000 },
    { 0x18000, 0x08000 },
};

/* The bank moves the window by 64 KiB; in 4 bpp modes that is of each plane. */
u32 vga_bank_offset(const struct vga *v)
{
    return vbe_on(v) ? (u32)v->vbe[VBE_BANK] << 16 : 0;
}

/* ---- What the registers allow ---- */

/* Bytes pass the graphics controller as they are, and the card answers. */
static bool passes(const struct vga *v)
{
    const u8 *gr = v->gr;

    return v->misc & MISC_RAM && !(gr[GC_MODE] & (GC_MODE_WRITE | GC_MODE_COMPARE)) &&
           !gr[GC_ROTATE] && !gr[GC_ENABLE_SET_RESET] && gr[GC_BIT_MASK] == 0xff;
}

/* The window's offset in vram if bytes written at A0000 (half 0) or A8000 land there as they
 * are, and read back. */
static u32 plain_window(const struct vga *v, u32 half)
{
    if (vga_extended(v))
        return v->kind->plain_window(v, half);
    if (vbe_linear(v))
        return (vga_bank_offset(v) & (VGA_VRAM - 1)) + half * HALF;
    if (!(v->sr[SEQ_MEMORY] & MEMORY_CHAIN4) || v->sr[SEQ_MAP_MASK] != 15 || vbe_on(v))
        return NO_WINDOW;
    return passes(v) && !vga_map(v)->base ? half * HALF : NO_WINDOW;
}

/* How the bytes of MDA's or CGA's window can be packed. */
static enum vga_packing packing_of(const struct vga *v)
{
    bool sequential = v->sr[SEQ_MEMORY] & MEMORY_SEQUENTIAL;
    bool odd_even = v->gr[GC_MODE] & GC_MODE_ODD_EVEN;
    u8 mask = v->sr[SEQ_MAP_MASK], read = v->gr[GC_READ_MAP];

    if (vbe_on(v) || vga_extended(v))
        return PACKED_NOT;
    if (v->sr[SEQ_MEMORY] & MEMORY_CHAIN4 || !vga_map(v)->base || !passes(v))
        return PACKED_NOT;
    if (!sequential && odd_even && mask == 3 && !(read & 2))
        return PACKED_ODD_EVEN;
    return sequential && !odd_even && mask == 1 && !read ? PACKED_PLANE_0 : PACKED_NOT;
}

/* ---- Packing ---- */

static const struct vga_map *packed_map(const struct vga *v)
{
    return &vga_maps[v->packed.map];
}

static void pack(struct vga *v)
{
    u8 *to = v->packed.bytes;

    if (v->packed.kind == PACKED_ODD_EVEN)
        for (u32 a = 0; a < packed_map(v)->size; a += 2)
            memcpy(to + a, v->vram + 4 * a, 2);
    else
        for (u32 a = 0; a < packed_map(v)->size; a++)
            to[a] = v->vram[4 * a];
    memcpy(v->packed.seen, to, packed_map(v)->size);
}

static void unpack(struct vga *v)
{
    const u8 *from = v->packed.bytes;

    if (v->packed.kind == PACKED_ODD_EVEN)
        for (u32 a = 0; a < packed_map(v)->size; a += 2)
            memcpy(v->vram + 4 * a, from + a, 2);
    else
        for (u32 a = 0; a < packed_map(v)->size; a++)
            v->vram[4 * a] = from[a];
}

void vga_window_sync(struct vga *v)
{
    u32 size = packed_map(v)->size;

    if (!v->packed.kind || !memcmp(v->packed.seen, v->packed.bytes, size))
        return;
    memcpy(v->packed.seen, v->packed.bytes, size);
    unpack(v);
    v->dirty = true;
}

static void packed_enter(void *owner)
{
    struct vga *v = owner;
    enum vga_packing kind = packing_of(v);

    if (v->packed.kind || !kind)
        return;
    v->packed.kind = kind;
    v->packed.map = vga_map(v) - vga_maps;
    pack(v);
    v->packed.since = clock_now(v->dev.machine);
    bus_map_memory(&v->dev, WINDOW_BASE + packed_map(v)->base, packed_map(v)->size,
                   v->packed.bytes, true);
}

static void packed_unmap(struct vga *v)
{
    bus_release_memory(&v->dev, WINDOW_BASE + packed_map(v)->base, packed_map(v)->size);
    v->packed.kind = PACKED_NOT;
}

static void packed_leave(struct vga *v)
{
    bool lasted = clock_now(v->dev.machine) - v->packed.since >= LASTING;

    vga_window_sync(v);
    packed_unmap(v);
    if (lasted)
        v->packed.patience = FIRST_PATIENCE;
    else if (v->packed.patience < MOST_PATIENCE)
        v->packed.patience *= 2;
}

/* Not at once: an access must not change who answers it. */
void vga_window_used(struct vga *v)
{
    v->packed.left = v->packed.patience;
    if (!v->packed.kind && packing_of(v) && !v->packed.timer.armed)
        timer_set(&v->packed.timer, clock_now(v->dev.machine));
}

/* ---- The window ---- */

/* After a release the bus shows RAM there, so the memory is claimed again. */
static void window_unmap(struct vga *v)
{
    for (u32 half = 0; half < 2; half++)
        bus_release_memory(&v->dev, WINDOW_BASE + half * HALF, HALF);
    bus_release_memory(&v->dev, WINDOW_BASE, PLAIN_SIZE);
    bus_release_memory(&v->dev, WINDOW_BASE, WINDOW_SIZE);
    bus_claim_memory(&v->dev, WINDOW_BASE, WINDOW_SIZE, &vga_window_ops);
}

static void window_map(struct vga *v)
{
    const u32 *w = v->window;

    if (w[0] == NO_WINDOW && w[1] == NO_WINDOW)
        return;
    if (w[1] == w[0] + HALF) {
        bus_map_memory(&v->dev, WINDOW_BASE, PLAIN_SIZE, v->vram + w[0], true);
        return;
    }
    for (u32 half = 0; half < 2; half++)
        if (w[half] != NO_WINDOW)
            bus_map_memory(&v->dev, WINDOW_BASE + half * HALF, HALF, v->vram + w[half], true);
}

static bool is_mapped(const struct vga *v)
{
    return v->window[0] != NO_WINDOW || v->window[1] != NO_WINDOW;
}

void vga_window_update(struct vga *v)
{
    u32 window[2] = { plain_window(v, 0), plain_window(v, 1) };

    vga_mem_update(v);
    if (v->packed.kind && (packing_of(v) != v->packed.kind || vga_map(v) != packed_map(v)))
        packed_leave(v);
    v->packed.left = v->packed.patience;
    if (!memcmp(window, v->window, sizeof(window)))
        return;
    v->dirty = true;
    if (is_mapped(v))
        window_unmap(v);
    memcpy(v->window, window, sizeof(window));
    window_map(v);
}

void vga_mask_update(struct vga *v)
{
    if (v->packed.kind || is_mapped(v) || v->sr[SEQ_MEMORY] & MEMORY_CHAIN4) {
        vga_window_update(v);
        return;
    }
    v->packed.left = v->packed.patience;
    vga_pen_update(v);
}

void vga_window_loaded(struct vga *v)
{
    if (v->packed.kind)
        packed_unmap(v);
    vga_window_update(v);
}

bool vga_window_attach(struct vga *v)
{
    v->window[0] = v->window[1] = NO_WINDOW;
    v->packed.bytes = bus_alloc_memory(v->dev.machine, PLAIN_SIZE);
    v->packed.seen = machine_alloc(v->dev.machine, PLAIN_SIZE);
    v->packed.left = v->packed.patience = FIRST_PATIENCE;
    timer_init(&v->packed.timer, v->dev.machine, packed_enter, v);
    return v->packed.bytes && v->packed.seen &&
           bus_claim_memory(&v->dev, WINDOW_BASE, WINDOW_SIZE, &vga_window_ops);
}
