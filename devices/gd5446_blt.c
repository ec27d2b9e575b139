/*
 * The CL-GD5446's blitter: lines of bytes from video memory, a pattern or the CPU, combined
 * with what is there.
 *
 *   source  ─ copied ───────────────────┐
 *   pattern ─ 8 by 8, repeated ─────────┼─▶ line, mask ─▶ ROP with the destination ─▶ key ─▶
 * memory bits    ─ expanded to two colours ──┘
 *
 * A line is read as a whole before it is written. A job ends in the access that starts it, or
 * that brings the last byte from the CPU. Technical Reference Manual, 9.4 "BitBLT engine", GR20
 * to GR39. Invariant: any addresses and pitches are good, since each byte's address wraps
 * inside video memory.
 */
#include "devices/gd5446_private.h"

#include <string.h>

enum {
    MODE_BACKWARDS = 0x01,
    MODE_TO_CPU = 0x02,
    MODE_FROM_CPU = 0x04,
    MODE_TRANSPARENT = 0x08,
    MODE_PATTERN = 0x40,
    MODE_EXPAND = 0x80,
    EXT_DWORD = 0x01,
    EXT_INVERT = 0x02,
    EXT_SOLID = 0x04,
    START_BUSY = 0x01,
    START = 0x02,
    START_RESET = 0x04,
    START_AUTO = 0x80,
    NOTHING = 0x0a, /* the truth table of "destination" */
};

/* GR32 to a truth table: bit 2 * source + destination is the result. */
static u8 rop_table(u8 rop)
{
    static const struct {
        u8 rop, table;
    } rops[] = {
        {0x00, 0x0}, {0x90, 0x1}, {0x50, 0x2}, {0xd0, 0x3}, {0x09, 0x4}, {0x0b, 0x5},
        {0x59, 0x6}, {0xda, 0x7}, {0x05, 0x8}, {0x95, 0x9}, {0x06, 0xa}, {0xd6, 0xb},
        {0x0d, 0xc}, {0xad, 0xd}, {0x6d, 0xe}, {0x0e, 0xf},
    };

    for (u32 i = 0; i < ARRAY_SIZE(rops); i++)
        if (rops[i].rop == rop)
            return rops[i].table;
    return NOTHING;
}

/* ---- Video memory ---- */

static void vram_get(const struct gd5446 *g, u32 at, u8 *to, u32 n)
{
    at &= GD5446_VRAM - 1;
    if (at + n <= GD5446_VRAM)
        memcpy(to, g->vga.vram + at, n);
    else
        for (u32 i = 0; i < n; i++)
            to[i] = g->vga.vram[(at + i) & (GD5446_VRAM - 1)];
}

static void vram_put(struct gd5446 *g, u32 at, const u8 *from, u32 n)
{
    at &= GD5446_VRAM - 1;
    if (at + n <= GD5446_VRAM)
        memcpy(g->vga.vram + at, from, n);
    else
        for (u32 i = 0; i < n; i++)
            g->vga.vram[(at + i) & (GD5446_VRAM - 1)] = from[i];
}

/* ---- A line's source ---- */

static u32 pixels_of(const struct blt *b)
{
    return (b->width + b->pixel - 1) / b->pixel;
}

/* Pixels at the left that stay: GR2F counts bytes where pixels have three. */
static u32 skipped(const struct blt *b)
{
    return b->pixel == 3 ? (b->skip & 31) / 3 : b->skip & 7;
}

static void put_pixel(struct gd5446 *g, u32 x, u32 color)
{
    memcpy(g->line + x * g->blt.pixel, &color,
           4); /* the next one overwrites what is too much */
}

/* Bit 7 of the first byte is the leftmost pixel. */
static void expand(struct gd5446 *g, const u8 *bits, u32 wrap)
{
    struct blt *b = &g->blt;
    u32 n = pixels_of(b);
    bool invert = b->ext & EXT_INVERT;

    for (u32 x = skipped(b); x < n; x++) {
        bool one = (bits[x / 8 & wrap] >> (7 - x % 8) & 1) != invert;

        put_pixel(g, x, one != invert ? b->fg : b->bg);
        if (!one && b->mode & MODE_TRANSPARENT)
            memset(g->mask + x * b->pixel, 0, b->pixel);
    }
}

static void fill(struct gd5446 *g)
{
    for (u32 x = 0; x < pixels_of(&g->blt); x++)
        put_pixel(g, x, g->blt.fg);
}

/* Rows of a coloured pattern take 8 pixels, but those of three bytes 32 bytes. The source's
 * lowest bits are the row it begins with. */
static void pattern_line(struct gd5446 *g, const u8 *pattern)
{
    struct blt *b = &g->blt;
    u32 row = (b->src + b->row) & 7, pitch = b->pixel == 3 ? 32 : 8u * b->pixel;

    if (b->mode & MODE_EXPAND) {
        expand(g, pattern + row, 0);
        return;
    }
    for (u32 x = skipped(b); x < pixels_of(b); x++) {
        u32 color = 0;

        memcpy(&color, pattern + row * pitch + (x & 7) * b->pixel, b->pixel);
        put_pixel(g, x, color);
    }
}

static void source_line(struct gd5446 *g, const u8 *from_cpu)
{
    struct blt *b = &g->blt;
    u8 bytes[BLT_LINE];
    u32 n = b->width;

    if (b->mode & MODE_PATTERN) {
        if (!from_cpu)
            vram_get(g, b->src & ~7u, bytes, 256);
        pattern_line(g, from_cpu ? from_cpu : bytes);
    } else if (b->mode & MODE_EXPAND) {
        if (!from_cpu)
            vram_get(g, b->src, bytes, (pixels_of(b) + 7) / 8);
        expand(g, from_cpu ? from_cpu : bytes, ~0u);
    } else if (from_cpu) {
        memcpy(g->line, from_cpu, n);
    } else {
        vram_get(g, b->mode & MODE_BACKWARDS ? b->src - n + 1 : b->src, g->line, n);
    }
}

/* ---- Into memory ---- */

static u64 ones(u32 table, u32 bit)
{
    return table >> bit & 1 ? ~0ull : 0;
}

/* g->line becomes the ROP of itself and g->old. */
static void combine(struct gd5446 *g, u32 n)
{
    u64 t0 = ones(g->blt.table, 0), t1 = ones(g->blt.table, 1);
    u64 t2 = ones(g->blt.table, 2), t3 = ones(g->blt.table, 3);

    for (u32 i = 0; i < n; i += 8) {
        u64 s, d;

        memcpy(&s, g->line + i, 8);
        memcpy(&d, g->old + i, 8);
        s = (~s & ~d & t0) | (~s & d & t1) | (s & ~d & t2) | (s & d & t3);
        memcpy(g->line + i, &s, 8);
    }
}

/* Pixels of the key's colour are not written (8 and 16 bits a pixel). */
static void apply_key(struct gd5446 *g, u32 n)
{
    const struct blt *b = &g->blt;

    for (u32 i = 0; i + b->pixel <= n; i += b->pixel) {
        u32 color = 0;

        memcpy(&color, g->line + i, b->pixel);
        if (!((color ^ b->key) & ~b->key_mask & (b->pixel == 1 ? 0xffu : 0xffffu)))
            memset(g->mask + i, 0, b->pixel);
    }
}

static void apply_mask(struct gd5446 *g, u32 n)
{
    for (u32 i = 0; i < n; i += 8) {
        u64 s, d, m;

        memcpy(&s, g->line + i, 8);
        memcpy(&d, g->old + i, 8);
        memcpy(&m, g->mask + i, 8);
        s = (s & m) | (d & ~m);
        memcpy(g->line + i, &s, 8);
    }
}

static bool made_of_pixels(const struct blt *b)
{
    return b->mode & (MODE_PATTERN | MODE_EXPAND);
}

static void draw_line(struct gd5446 *g, const u8 *from_cpu)
{
    struct blt *b = &g->blt;
    u32 n = b->width, dst = b->mode & MODE_BACKWARDS ? b->dst - n + 1 : b->dst;
    bool solid = b->ext & EXT_SOLID &&
                 (b->mode & (MODE_PATTERN | MODE_EXPAND)) == (MODE_PATTERN | MODE_EXPAND);

    memset(g->mask, 0xff, n);
    if (solid)
        fill(g);
    else
        source_line(g, from_cpu);
    if (made_of_pixels(b) && !solid)
        memset(g->mask, 0, b->pixel == 3 ? b->skip & 31 : (b->skip & 7u) * b->pixel);
    vram_get(g, dst, g->old, n);
    combine(g, n);
    if (b->mode & MODE_TRANSPARENT && !(b->mode & MODE_EXPAND))
        apply_key(g, n);
    apply_mask(g, n);
    vram_put(g, dst, g->line, n);
    b->dst += b->dst_pitch;
    b->src +=
        made_of_pixels(b) ? b->mode & MODE_PATTERN ? 0 : (pixels_of(b) + 7) / 8 : b->src_pitch;
    b->row++;
    b->height--;
}

/* ---- Jobs ---- */

static u32 register24(const struct gd5446 *g, u32 index)
{
    return g->gr[index] | g->gr[index + 1] << 8 | g->gr[index + 2] << 16;
}

static u32 register16(const struct gd5446 *g, u32 index)
{
    return g->gr[index] | g->gr[index + 1] << 8;
}

static u32 color(const struct gd5446 *g, u32 which)
{
    return g->gr[which] | g->gr[0x10 + which] << 8 | g->gr[0x12 + which] << 16 |
           (u32)g->gr[0x14 + which] << 24;
}

/* Bytes the CPU sends for a line, or for the whole pattern. */
static u32 source_bytes(const struct blt *b)
{
    if (b->mode & MODE_PATTERN)
        return b->mode & MODE_EXPAND ? 8 : b->pixel == 3 ? 256 : 64u * b->pixel;
    if (!(b->mode & MODE_EXPAND))
        return (b->width + 3) & ~3u;
    return b->ext & EXT_DWORD ? (pixels_of(b) + 31) / 32 * 4 : (pixels_of(b) + 7) / 8;
}

static void take_registers(struct gd5446 *g)
{
    struct blt *b = &g->blt;

    *b = (struct blt){
        .mode = g->gr[GR_BLT_MODE],
        .ext = g->gr[0x33],
        .table = rop_table(g->gr[GR_BLT_ROP]),
        .skip = g->gr[0x2f],
        .width = (register16(g, 0x20) & (BLT_LINE - 1)) + 1,
        .height = (register16(g, 0x22) & (BLT_LINES - 1)) + 1,
        .dst_pitch = register16(g, 0x24),
        .src_pitch = register16(g, 0x26),
        .dst = register24(g, 0x28),
        .src = register24(g, 0x2c),
        .fg = color(g, 1),
        .bg = color(g, 0),
        .key = register16(g, 0x34),
        .key_mask = register16(g, 0x38),
    };
    b->pixel = (b->mode >> 4 & 3) + 1;
    if (made_of_pixels(b))
        b->mode &= ~MODE_BACKWARDS; /* these go forwards only */
    if (b->mode & MODE_BACKWARDS) {
        b->dst_pitch = -b->dst_pitch;
        b->src_pitch = -b->src_pitch;
    }
}

static void blt_end(struct gd5446 *g)
{
    bool waited = g->blt.pending;

    g->gr[GR_BLT_START] &= ~(START | START_BUSY);
    g->blt.pending = g->blt.height = g->blt.fill = 0;
    if (waited)
        gd5446_windows_update(g);
}

static void blt_start(struct gd5446 *g)
{
    struct blt *b = &g->blt;

    if (b->pending)
        return;
    take_registers(g);
    if (b->mode & MODE_TO_CPU) {
        device_nyi(&g->vga.dev, "a blit from video memory to the CPU");
        blt_end(g);
        return;
    }
    g->gr[GR_BLT_START] |= START | START_BUSY;
    if (b->mode & MODE_FROM_CPU) {
        b->pending = true;
        gd5446_windows_update(g);
        return;
    }
    while (b->height)
        draw_line(g, NULL);
    blt_end(g);
}

void gd5446_blt_feed(struct gd5446 *g, const u8 *bytes, u32 n)
{
    struct blt *b = &g->blt;

    for (; n && b->pending; n--) {
        g->source[b->fill++] = *bytes++;
        if (b->fill < source_bytes(b))
            continue;
        b->fill = 0;
        do
            draw_line(g, g->source);
        while (b->height && b->mode & MODE_PATTERN);
        if (!b->height)
            blt_end(g);
    }
}

void gd5446_blt_control(struct gd5446 *g, u8 val)
{
    u8 old = g->gr[GR_BLT_START];

    g->gr[GR_BLT_START] = (val & ~START_BUSY) | (old & START_BUSY);
    if (val & START_RESET)
        blt_end(g);
    else if (val & START && !(old & START))
        blt_start(g);
}

void gd5446_blt_auto(struct gd5446 *g)
{
    if (g->gr[GR_BLT_START] & START_AUTO)
        blt_start(g);
}

void gd5446_blt_reset(struct gd5446 *g)
{
    memset(&g->blt, 0, sizeof(g->blt));
}

void gd5446_blt_loaded(struct gd5446 *g)
{
    struct blt *b = &g->blt;

    b->pixel = (b->mode >> 4 & 3) + 1;
    if (!b->pending || !b->width || b->width > BLT_LINE || !b->height || b->height > BLT_LINES ||
        b->fill >= source_bytes(b))
        gd5446_blt_reset(g);
}
