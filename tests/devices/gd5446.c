/*
 * The CL-GD5446: what 12 in SR6 unlocks, the hidden DAC register, linear modes of every depth,
 * the windows on its memory, the cursor, the blitter, and its field table.
 */
#include "devices/gd5446_private.h"
#include "devices/pci.h"
#include "tests/devices/vga_rig.h"

#include <string.h>

enum { LFB = 0xe0000000, BLT = LFB + (16 << 20), MMIO = 0xf0000000, PITCH = 1024 };

static void config_write(struct rig *r, u32 off, u32 val)
{
    rig_out32(r, 0xcf8, 0x80001000 | off);
    rig_out32(r, 0xcfc, val);
}

static u32 config_read(struct rig *r, u32 off)
{
    rig_out32(r, 0xcf8, 0x80001000 | off);
    return rig_in32(r, 0xcfc);
}

static u8 seq_read(struct rig *r, u8 index)
{
    rig_out8(r, 0x3c4, index);
    return rig_in8(r, 0x3c5);
}

static u8 gc_read(struct rig *r, u8 index)
{
    rig_out8(r, 0x3ce, index);
    return rig_in8(r, 0x3cf);
}

static struct rig *locked_rig(void)
{
    static struct vga_config config;
    struct rig *r = rig_new(&pci_class, NULL);

    config = (struct vga_config){{.bus = r->dev, .devfn = 2 << 3}, 4};
    r->m->vga = r->dev = rig_add(r, &gd5446_class, &config);
    config_write(r, 0x10, LFB);
    config_write(r, 0x14, MMIO);
    config_write(r, 0x04, 3);
    return r;
}

static u8 *vram(struct rig *r)
{
    return ((struct gd5446 *)r->dev)->vga.vram;
}

static void hidden_write(struct rig *r, u8 val)
{
    rig_in8(r, 0x3c8);
    for (u32 i = 0; i < 4; i++)
        rig_in8(r, 0x3c6);
    rig_out8(r, 0x3c6, val);
}

/* 640 by 480 with 1 KiB (or 4 KiB) from line to line; sr7 without bit 0. */
static struct rig *linear_rig(u8 sr7, u8 hidden)
{
    struct rig *r = locked_rig();

    vga_set_mode(r, &vga_mode_12);
    vga_seq(r, 6, 0x12);
    vga_seq(r, 7, sr7 | 1);
    vga_seq(r, 4, 0x0e);
    vga_gc(r, 5, 0x40);
    vga_crtc(r, 0x13, PITCH / 8 & 0xff);
    vga_crtc(r, 0x17, 0xc3);
    vga_crtc(r, 0x18, 0xff);
    hidden_write(r, hidden);
    return r;
}

TEST(gd5446, identifies_itself)
{
    struct rig *r = locked_rig();

    CHECK_EQ(config_read(r, 0), 0x00b81013);
    CHECK_EQ(config_read(r, 8) >> 8, 0x030000);
    config_write(r, 0x10, ~0u);
    CHECK_EQ(config_read(r, 0x10), 0xfe000008);
    vga_seq(r, 6, 0x12);
    rig_out8(r, 0x3c2, 0x67);
    rig_out8(r, 0x3d4, 0x27);
    CHECK_EQ(rig_in8(r, 0x3d5), 0xb8);
    vga_crtc(r, 0x27, 0);
    CHECK_EQ(rig_in8(r, 0x3d5), 0xb8);
}

TEST(gd5446, extensions_are_locked)
{
    struct rig *r = locked_rig();

    CHECK_EQ(seq_read(r, 6), 0x0f);
    vga_seq(r, 7, 0x01);
    vga_gc(r, 0x09, 0x20);
    CHECK_EQ(seq_read(r, 7), 0xff);
    vga_seq(r, 6, 0x12);
    CHECK_EQ(seq_read(r, 6), 0x12);
    CHECK_EQ(seq_read(r, 7), 0);
    CHECK_EQ(gc_read(r, 9), 0);
    vga_gc(r, 9, 0x21);
    CHECK_EQ(gc_read(r, 9), 0x21);
    vga_seq(r, 6, 0);
    CHECK_EQ(seq_read(r, 6), 0x0f);
    CHECK_EQ(gc_read(r, 9), 0xff);
}

TEST(gd5446, hidden_register_is_behind_four_reads)
{
    struct rig *r = locked_rig();

    hidden_write(r, 0xc5);
    for (u32 i = 0; i < 4; i++)
        CHECK_EQ(rig_in8(r, 0x3c6), 0xff);
    CHECK_EQ(rig_in8(r, 0x3c6), 0xc5);
    CHECK_EQ(rig_in8(r, 0x3c6), 0xff);
    rig_in8(r, 0x3c6);
    rig_in8(r, 0x3c9); /* another port: begin again */
    rig_in8(r, 0x3c6);
    rig_in8(r, 0x3c6);
    rig_out8(r, 0x3c6, 0x3f);
    CHECK_EQ(rig_in8(r, 0x3c6), 0x3f);
}

TEST(gd5446, every_depth)
{
    static const struct {
        u8 sr7, hidden;
        u32 bytes, pixel, want;
    } depths[] = {
        {0x00, 0x00, 1, 9, 0x27d870},
        {0x06, 0xf0, 2, 31 << 10 | 16 << 5 | 1, 0xff8408},
        {0x06, 0xe1, 2, 31 << 11 | 33 << 5 | 1, 0xff8608},
        {0x02, 0xe1, 2, 31 << 11 | 33 << 5 | 1, 0xff8608},
        {0x04, 0xe5, 3, 0x123456, 0x123456},
        {0x08, 0xe5, 4, 0xff123456, 0x123456},
    };

    for (u32 i = 0; i < ARRAY_SIZE(depths); i++) {
        struct rig *r = linear_rig(depths[i].sr7, depths[i].hidden);
        struct frame f;

        vga_crtc(r, 0x1b, 0x10); /* bit 8 of the offset */
        vga_crtc(r, 0x13, 0x00);
        phys_write(r->m, LFB + 479 * 2048 + 639 * depths[i].bytes, &depths[i].pixel,
                   depths[i].bytes);
        vga_crtc(r, 0x13, 0x00);
        f = vga_frame(r);
        CHECK(f.width == 640 && f.height == 480 && f.aspect_x == 640);
        CHECK_EQ(f.pixels[479 * 640 + 639], depths[i].want);
    }
}

TEST(gd5446, start_address_has_twenty_bits)
{
    struct rig *r = linear_rig(0, 0);

    vram(r)[4 * 0xfff12] = 5;
    vga_crtc(r, 0x0c, 0xff);
    vga_crtc(r, 0x0d, 0x12);
    vga_crtc(r, 0x1b, 0x0d);
    vga_crtc(r, 0x1d, 0x80);
    CHECK_EQ(vga_pixel(r, 0, 0), 5 << 18 | (5 & 1) * 3 << 16 | (58 << 2) << 8 | (16 << 2));
}

TEST(gd5446, banks)
{
    struct rig *r = linear_rig(0, 0);
    u32 before = bus_stats(r->m->bus)->mmio_accesses;

    vga_gc(r, 9, 0x10); /* of 4 KiB */
    vga_poke(r, 0xa8001, 0x11);
    CHECK_EQ(vram(r)[0x18001], 0x11);
    vga_gc(r, 0x0b, 0x21); /* two, of 16 KiB */
    vga_gc(r, 0x0a, 0x05);
    vga_poke(r, 0xa0002, 0x12);
    vga_poke(r, 0xa8003, 0x13);
    CHECK_EQ(vram(r)[0x40002], 0x12);
    CHECK_EQ(vram(r)[0x14003], 0x13);
    CHECK_EQ(vga_peek(r, 0xa8003), 0x13);
    CHECK_EQ(bus_stats(r->m->bus)->mmio_accesses, before); /* plain memory */
    vga_gc(r, 9, 0xff); /* half in memory, half beyond: wraps */
    vga_poke(r, 0xa7fff, 0x14);
    CHECK_EQ(vram(r)[0x3fffff & (0xff * 0x4000 + 0x7fff)], 0x14);
}

TEST(gd5446, write_modes_4_and_5_paint_eight_pixels)
{
    struct rig *r = linear_rig(0, 0);

    vga_gc(r, 0x0b, 0x06); /* by eight, extended writes */
    vga_gc(r, 0, 0x7b);
    vga_gc(r, 1, 0xd3);
    vga_gc(r, 5, 0x44);
    memset(vram(r), 0x55, 64);
    vga_poke(r, 0xa0001, 0x81);
    CHECK(vram(r)[8] == 0xd3 && vram(r)[9] == 0x55 && vram(r)[15] == 0xd3);
    vga_gc(r, 5, 0x45);
    vga_poke(r, 0xa0001, 0x40);
    CHECK(vram(r)[8] == 0x7b && vram(r)[9] == 0xd3 && vram(r)[15] == 0x7b);
    CHECK_EQ(vram(r)[16], 0x55);
}

TEST(gd5446, cursor)
{
    struct rig *r = linear_rig(0, 0);
    u8 *pattern = vram(r) + (4 << 20) - 0x4000 + 4 * 1024;
    u32 paper = vga_pixel(r, 100, 50);

    vga_seq(r, 0x12, 0x07); /* on, 64 by 64, its colours */
    vga_dac(r, 0x00, 63, 0, 0);
    vga_dac(r, 0xff, 0, 63, 0); /* 15 */
    vga_seq(r, 0x12, 0x05);
    vga_seq(r, 0x13, 16);
    vga_seq(r, 0x10 | 4 << 5, 100 >> 3); /* 100 */
    vga_seq(r, 0x11 | 2 << 5, 50 >> 3);  /* 50 */
    pattern[0] = 0x50;                   /* planes 0 and 1 of the first line */
    pattern[8] = 0x30;
    CHECK_EQ(vga_pixel(r, 100, 50), paper);
    CHECK_EQ(vga_pixel(r, 101, 50), paper ^ 0xffffff);
    CHECK_EQ(vga_pixel(r, 102, 50), 0xff0000);
    CHECK_EQ(vga_pixel(r, 103, 50), 0x00ff00);
    CHECK_EQ(vga_pixel(r, 102, 51), paper);
    pattern[16 * 63 + 7] = 1; /* written like any memory */
    CHECK_EQ(vga_pixel(r, 163, 113), paper ^ 0xffffff);
    vga_seq(r, 0x10 | 7 << 5, 639 >> 3); /* nearly outside */
    CHECK_EQ(vga_pixel(r, 102, 50), paper);
    vga_seq(r, 0x12, 0);
    CHECK_EQ(vga_pixel(r, 639, 50), paper);
}

TEST(gd5446, doubled_lines)
{
    struct rig *r = linear_rig(0, 0);

    vga_crtc(r, 9, 0xc0); /* each line twice */
    vram(r)[PITCH] = 7;
    CHECK(vga_pixel(r, 0, 1) != vga_pixel(r, 0, 2));
    CHECK_EQ(vga_pixel(r, 0, 2), vga_pixel(r, 0, 3));
    CHECK_EQ(vga_frame(r).aspect_x, 4);
}

/* ---- Blitter ---- */

struct job {
    u32 width, height, dst_pitch, src_pitch, dst, src;
    u8 mode, rop, ext, skip;
    u16 key;
};

static void gc_number(struct rig *r, u8 index, u32 val, u32 bytes)
{
    for (u32 i = 0; i < bytes; i++)
        vga_gc(r, index + i, val >> 8 * i & 0xff);
}

static void blit(struct rig *r, const struct job *j)
{
    gc_number(r, 0x20, j->width - 1, 2);
    gc_number(r, 0x22, j->height - 1, 2);
    gc_number(r, 0x24, j->dst_pitch, 2);
    gc_number(r, 0x26, j->src_pitch, 2);
    gc_number(r, 0x28, j->dst, 3);
    gc_number(r, 0x2c, j->src, 3);
    gc_number(r, 0x34, j->key, 2);
    vga_gc(r, 0x2f, j->skip);
    vga_gc(r, 0x30, j->mode);
    vga_gc(r, 0x32, j->rop);
    vga_gc(r, 0x33, j->ext);
    vga_gc(r, 0x31, 0x02);
}

static void colors(struct rig *r, u32 back, u32 front)
{
    for (u32 i = 0; i < 4; i++) {
        vga_gc(r, i ? 0x0e + 2 * i : 0, back >> 8 * i & 0xff);
        vga_gc(r, i ? 0x0f + 2 * i : 1, front >> 8 * i & 0xff);
    }
}

TEST(gd5446, every_rop)
{
    static const struct {
        u8 rop, result; /* of source 1100, destination 1010 */
    } rops[] = {
        {0x00, 0x0}, {0x05, 0x8}, {0x06, 0xa}, {0x09, 0x4}, {0x0b, 0x5}, {0x0d, 0xc},
        {0x0e, 0xf}, {0x50, 0x2}, {0x59, 0x6}, {0x6d, 0xe}, {0x90, 0x1}, {0x95, 0x9},
        {0xad, 0xd}, {0xd0, 0x3}, {0xd6, 0xb}, {0xda, 0x7}, {0x77, 0xa},
    };
    struct rig *r = linear_rig(0, 0);

    for (u32 i = 0; i < ARRAY_SIZE(rops); i++) {
        memset(vram(r), 0xaa, 64);
        memset(vram(r) + 0x1000, 0xcc, 64);
        blit(r, &(struct job){11, 1, PITCH, PITCH, 5, 0x1000, 0, rops[i].rop});
        CHECK_EQ(vram(r)[5], rops[i].result * 0x11);
        CHECK_EQ(vram(r)[15], rops[i].result * 0x11);
        CHECK(vram(r)[4] == 0xaa && vram(r)[16] == 0xaa);
    }
}

TEST(gd5446, copies_overlapping_rectangles_backwards)
{
    struct rig *r = linear_rig(0, 0);

    for (u32 y = 0; y < 3; y++)
        for (u32 x = 0; x < 16; x++)
            vram(r)[y * PITCH + x] = y * 16 + x;
    blit(r, &(struct job){16, 3, PITCH, PITCH, 3 * PITCH + 15 + 4, 2 * PITCH + 15, 1, 0x0d});
    for (u32 y = 0; y < 3; y++)
        CHECK(vram(r)[(y + 1) * PITCH + 4] == y * 16 &&
              vram(r)[(y + 1) * PITCH + 19] == y * 16 + 15);
    CHECK_EQ(vram(r)[0], 0);
}

TEST(gd5446, solid_fill_in_three_bytes)
{
    struct rig *r = linear_rig(4, 0xe5);

    colors(r, 0, 0x112233);
    blit(r, &(struct job){9, 2, PITCH, 0, 3, 0, 0xe0, 0x0d, 4});
    CHECK(vram(r)[2] == 0 && vram(r)[3] == 0x33 && vram(r)[4] == 0x22 && vram(r)[5] == 0x11);
    CHECK(vram(r)[PITCH + 11] == 0x11 && vram(r)[PITCH + 12] == 0 &&
          vram(r)[2 * PITCH + 3] == 0);
}

TEST(gd5446, patterns_begin_with_the_row_the_address_says)
{
    struct rig *r = linear_rig(0, 0);
    u8 *p = vram(r) + 0x8000;

    for (u32 i = 0; i < 64; i++)
        p[i] = i;
    blit(r, &(struct job){12, 9, PITCH, 0, 0, 0x8003, 0x40, 0x0d, 0, 1});
    CHECK(vram(r)[0] == 0 && vram(r)[1] == 3 * 8 + 1 && vram(r)[9] == 3 * 8 + 1);
    CHECK(vram(r)[5 * PITCH + 7] == 7 && vram(r)[8 * PITCH + 11] == 3 * 8 + 3);
    colors(r, 0x21, 0x43);
    memset(vram(r), 0, 0x1000);
    p[2] = 0x81;
    blit(r, &(struct job){16, 1, PITCH, 0, 0, 0x8002, 0xc0, 0x0d});
    CHECK(vram(r)[0] == 0x43 && vram(r)[1] == 0x21 && vram(r)[7] == 0x43 && vram(r)[8] == 0x43);
}

TEST(gd5446, expands_bits_from_memory)
{
    struct rig *r = linear_rig(6, 0xe1);

    colors(r, 0x1111, 0xabcd);
    vram(r)[0x1000] = 0xc0;
    vram(r)[0x1001] = 0x40;
    memset(vram(r), 0x77, 64);
    blit(r, &(struct job){8, 2, 32, 0, 0, 0x1000, 0x98, 0x0d}); /* 4 pixels, transparent */
    CHECK(vram(r)[0] == 0xcd && vram(r)[3] == 0xab && vram(r)[4] == 0x77);
    CHECK(vram(r)[32] == 0x77 && vram(r)[34] == 0xcd && vram(r)[36] == 0x77);
    blit(r, &(struct job){8, 1, 32, 0, 0, 0x1000, 0x90, 0x0d, 0, 1}); /* the first one stays */
    CHECK(vram(r)[0] == 0xcd && vram(r)[2] == 0xcd && vram(r)[4] == 0x11 && vram(r)[8] == 0x77);
    blit(r,
         &(struct job){8, 1, 32, 0, 0, 0x1000, 0x98, 0x0d, 2}); /* zeros, by the other colour */
    CHECK(vram(r)[0] == 0xcd && vram(r)[4] == 0x11 && vram(r)[6] == 0x11);
}

TEST(gd5446, key_color_is_not_written)
{
    struct rig *r = linear_rig(6, 0xe1);
    static const u16 pixels[4] = {0x1234, 0x1235, 0x1234, 0x5678};

    memcpy(vram(r) + 0x1000, pixels, 8);
    blit(r, &(struct job){8, 1, PITCH, PITCH, 0, 0x1000, 0x18, 0x0d, .key = 0x1234});
    CHECK(vram(r)[0] == 0 && vram(r)[2] == 0x35 && vram(r)[4] == 0 && vram(r)[7] == 0x56);
}

TEST(gd5446, source_from_the_cpu)
{
    struct rig *r = linear_rig(0, 0);

    blit(r, &(struct job){5, 2, PITCH, 0, 8, 0, 0x04, 0x0d});
    CHECK_EQ(gc_read(r, 0x31) & 1, 1);            /* busy */
    bus_mmio_write(r->m, LFB, 4, 0x04030201);     /* anywhere in the frame buffer */
    bus_mmio_write(r->m, LFB + 4, 4, 0xffffff05); /* lines end with a doubleword */
    bus_mmio_write(r->m, BLT, 4, 0x14131211);
    CHECK_EQ(gc_read(r, 0x31) & 1, 1);
    bus_mmio_write(r->m, 0xa0000, 4, 0x15);
    CHECK_EQ(gc_read(r, 0x31) & 3, 0);
    CHECK(vram(r)[7] == 0 && vram(r)[8] == 1 && vram(r)[12] == 5 && vram(r)[13] == 0);
    CHECK(vram(r)[PITCH + 8] == 0x11 && vram(r)[PITCH + 12] == 0x15);
    vga_poke(r, LFB, 0x99); /* memory again */
    CHECK_EQ(vram(r)[0], 0x99);
}

TEST(gd5446, reset_ends_a_job_that_waits)
{
    struct rig *r = linear_rig(0, 0);

    blit(r, &(struct job){5, 2, PITCH, 0, 8, 0, 0x04, 0x0d});
    vga_gc(r, 0x31, 0x04);
    CHECK_EQ(gc_read(r, 0x31) & 3, 0);
    vga_poke(r, LFB + 8, 0x42);
    CHECK_EQ(vram(r)[8], 0x42);
}

TEST(gd5446, registers_as_memory)
{
    struct rig *r = linear_rig(0, 0);

    vga_seq(r, 0x17, 0x04);
    bus_mmio_write(r->m, 0xb8008, 2, 3);               /* width 4 */
    bus_mmio_write(r->m, 0xb8004, 1, 0x66);            /* foreground */
    bus_mmio_write(r->m, MMIO + 0x118, 4, 0x040d00c0); /* mode, ROP, fill */
    CHECK_EQ(bus_mmio_read(r->m, 0xb8018, 4), 0x040dffc0);
    bus_mmio_write(r->m, 0xb8040, 1, 0x80); /* starts when the destination is written */
    bus_mmio_write(r->m, 0xb8010, 4, 0x000020);
    CHECK(vram(r)[0x1f] == 0 && vram(r)[0x20] == 0x66 && vram(r)[0x23] == 0x66 &&
          vram(r)[0x24] == 0);
    vga_seq(r, 0x17, 0x44);
    CHECK_EQ(vga_peek(r, LFB + (4 << 20) - 256 + 4), 0x66);
    CHECK_EQ(vga_peek(r, MMIO + 0x0c), 0xe3); /* 3CC */
}

TEST(gd5446, any_job_stays_inside_memory)
{
    static const u32 numbers[] = {0, 1, 7, 0xff, 0x1fff, 0x3fffff};
    struct rig *r = linear_rig(0, 0);

    for (u32 i = 0; i < 600; i++) {
        u32 n = i * 2654435761u;
        struct job j = {numbers[n >> 8 & 3] + 1,
                        (n & 63) + 1,
                        numbers[i % 5],
                        numbers[i % 4],
                        numbers[n >> 12 & 3] | numbers[i % 6],
                        numbers[n >> 20 & 3] | 0x3fff00,
                        (u8)(n >> 13) & ~0x06,
                        (u8)(n >> 7),
                        (u8)(n >> 3) & 7,
                        (u8)(n >> 9)};

        blit(r, &j);
        CHECK_EQ(gc_read(r, 0x31) & 1, 0);
    }
}

/* The field table is all that a restore needs, in the midst of a job. */
TEST(gd5446, fields)
{
    struct rig *a = linear_rig(0, 0), *b = locked_rig();

    vga_seq(a, 0x12, 0x02);
    vga_dac(a, 0x0f, 1, 2, 3);
    vga_gc(a, 9, 0x10);
    blit(a, &(struct job){8, 2, PITCH, 0, 8, 0, 0x04, 0x0d});
    bus_mmio_write(a->m, BLT, 4, 0x04030201);
    for (const struct field *f = gd5446_class.fields; f->name; f++)
        memcpy((u8 *)b->dev + f->offset, (u8 *)a->dev + f->offset, (size_t)f->size * f->count);
    gd5446_class.loaded(b->dev);
    for (u32 i = 0; i < 3; i++)
        bus_mmio_write(b->m, LFB, 4, 0x08070605);
    CHECK_EQ(gc_read(b, 0x31) & 3, 0);
    CHECK(vram(b)[8] == 1 && vram(b)[12] == 5 && vram(b)[15] == 8 && vram(b)[PITCH + 8] == 5);
    vga_poke(b, 0xa0000, 0x31);
    CHECK_EQ(vram(b)[0x10000], 0x31);
    CHECK_EQ(vga_frame(b).width, 640);
    rig_out8(b, 0x3c7, 15);
    CHECK_EQ(rig_in8(b, 0x3c9), 1);
}
