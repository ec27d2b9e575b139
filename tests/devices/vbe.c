/*
 * Linear modes: the DISPI registers, their limits, the bank, the PCI frame buffer, every depth.
 */
#include "devices/pci.h"
#include "devices/vga.h"
#include "tests/devices/vga_rig.h"

#include <string.h>

enum { LFB = 0xe0000000, MMIO = 0xf0000000 };

static u16 dispi(struct rig *r, u16 index)
{
    rig_out16(r, 0x1ce, index);
    return rig_in16(r, 0x1cf);
}

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

static struct rig *pci_rig(void)
{
    static struct vga_config config;
    struct rig *r = rig_new(&pci_class, NULL);

    config = (struct vga_config){.slot = {.bus = r->dev, .devfn = 2 << 3}};
    r->m->vga = r->dev = rig_add(r, &vga_class, &config);
    vga_set_mode(r, &vga_mode_03);
    config_write(r, 0x10, LFB);
    config_write(r, 0x18, MMIO);
    config_write(r, 0x04, 3);
    return r;
}

TEST(vbe, identifies_itself)
{
    struct rig *r = vga_rig(&vga_mode_03);

    CHECK_EQ(dispi(r, 0), 0xb0c5);
    vga_dispi(r, 0, 0xb0c2);
    CHECK_EQ(dispi(r, 0), 0xb0c2);
    vga_dispi(r, 0, 0xb0c6);
    CHECK_EQ(dispi(r, 0), 0xb0c2);
    CHECK_EQ(dispi(r, 10), 256); /* 16 MiB */
    vga_dispi(r, 4, 2);
    CHECK(dispi(r, 1) >= 1920 && dispi(r, 2) >= 1200 && dispi(r, 3) == 32);
    vga_dispi(r, 4, 0);
    CHECK_EQ(dispi(r, 1), 0);
}

TEST(vbe, pci_function_and_frame_buffer)
{
    struct rig *r = pci_rig();
    u8 val = 0x42;

    CHECK_EQ(config_read(r, 0), 0x11111234);
    CHECK_EQ(config_read(r, 8) >> 8, 0x030000);
    config_write(r, 0x10, ~0u);
    CHECK_EQ(config_read(r, 0x10), 0xff000008);
    config_write(r, 0x10, LFB);
    phys_write(r->m, LFB + 0xffffff, &val, 1);
    CHECK_EQ(vga_peek(r, LFB + 0xffffff), 0x42);
    config_write(r, 0x10, LFB + 0x01000000);
    CHECK_EQ(vga_peek(r, LFB + 0xffffff), 0xff);
    CHECK_EQ(vga_peek(r, LFB + 0x1ffffff), 0x42);
    config_write(r, 0x04, 0);
    CHECK_EQ(vga_peek(r, LFB + 0x1ffffff), 0xff);
}

TEST(vbe, bar_2_reaches_the_registers)
{
    struct rig *r = pci_rig();

    CHECK_EQ(bus_mmio_read(r->m, MMIO + 0x500, 2), 0xb0c5);
    bus_mmio_write(r->m, MMIO + 0x502, 2, 800);
    CHECK_EQ(dispi(r, 1), 800);
    bus_mmio_write(r->m, MMIO + 0x404, 2, 0x0902); /* sequencer 2 */
    CHECK_EQ(rig_in8(r, 0x3c5), 9);
    CHECK_EQ(bus_mmio_read(r->m, MMIO + 0x40c, 1), 0x67);
    CHECK_EQ(bus_mmio_read(r->m, MMIO + 0x800, 4), 0xffffffff);
}

TEST(vbe, every_depth)
{
    static const struct {
        u16 bpp;
        u32 bytes, pixel, want;
    } depths[] = {
        { 8, 1, 9, 0 },
        { 15, 2, 31 << 10 | 16 << 5 | 1, 0xff8408 },
        { 16, 2, 31 << 11 | 33 << 5 | 1, 0xff8608 },
        { 24, 3, 0x123456, 0x123456 },
        { 32, 4, 0xff123456, 0x123456 },
    };
    struct rig *r = pci_rig();

    for (u32 i = 0; i < ARRAY_SIZE(depths); i++) {
        u32 at = (599 * 800 + 799) * depths[i].bytes;
        struct frame f;

        vga_set_linear(r, 800, 600, depths[i].bpp);
        vga_dac(r, 9, 63, 32, 0);
        phys_write(r->m, LFB + at, &depths[i].pixel, depths[i].bytes);
        f = vga_frame(r);
        CHECK(f.width == 800 && f.height == 600 && f.aspect_x == 800 && f.aspect_y == 600);
        CHECK_EQ(f.pixels[599 * 800 + 799], i ? depths[i].want : 0xff8000);
        CHECK_EQ(f.pixels[599 * 800 + 798], i ? 0 : vga_pixel(r, 0, 0));
    }
}

TEST(vbe, planar_depth_uses_the_graphics_controller)
{
    struct rig *r = vga_rig(&vga_mode_12);

    vga_set_linear(r, 1024, 768, 4);
    vga_seq(r, 2, 0x0b);
    vga_dispi(r, 5, 1); /* beyond 64 KiB of each plane */
    vga_poke(r, 0xa0000 + 767 * 128 + 127 - 0x10000, 0x01);
    CHECK(vga_pixel(r, 1023, 767) != vga_pixel(r, 0, 0));
    CHECK_EQ(vga_pixel(r, 1022, 767), vga_pixel(r, 0, 0));
    vga_seq(r, 2, 0x04);
    vga_poke(r, 0xa0000 + 767 * 128 + 127 - 0x10000, 0x02);
    CHECK(vga_pixel(r, 1022, 767) != vga_pixel(r, 0, 0));
}

TEST(vbe, bank_moves_the_window)
{
    struct rig *r = pci_rig();
    u32 before;

    vga_set_linear(r, 640, 480, 32);
    vga_dispi(r, 5, 17);
    before = bus_stats(r->m->bus)->mmio_accesses;
    vga_poke(r, 0xa1234, 0x99);
    CHECK_EQ(bus_stats(r->m->bus)->mmio_accesses, before); /* plain memory */
    CHECK_EQ(vga_peek(r, LFB + 17 * 65536 + 0x1234), 0x99);
    vga_dispi(r, 5, 0x1011); /* wraps at the memory's size */
    CHECK_EQ(dispi(r, 5), 0x11);
    CHECK_EQ(vga_peek(r, 0xa1234), 0x99);
    vga_dispi(r, 4, 0);
    CHECK_EQ(dispi(r, 5), 0);
}

TEST(vbe, virtual_width_and_offsets_scroll)
{
    struct rig *r = pci_rig();
    u32 pixel = 0xabcdef;

    vga_set_linear(r, 640, 480, 32);
    vga_dispi(r, 6, 1024);
    CHECK_EQ(dispi(r, 7), 4096);
    vga_dispi(r, 8, 100);
    vga_dispi(r, 9, 1000);
    phys_write(r->m, LFB + (1001 * 1024 + 102) * 4, &pixel, 4);
    CHECK_EQ(vga_pixel(r, 2, 1), pixel);
    vga_dispi(r, 9, 0xffff);
    CHECK_EQ(dispi(r, 9), 4096 - 480);
    vga_dispi(r, 8, 0xffff);
    CHECK_EQ(dispi(r, 8), 1024 - 640);
    vga_dispi(r, 6, 0); /* narrower than the screen: the screen's */
    CHECK_EQ(dispi(r, 6), 640);
    CHECK_EQ(dispi(r, 8), 0);
}

TEST(vbe, enabling_clears_unless_asked_not_to)
{
    struct rig *r = pci_rig();

    vga_set_linear(r, 640, 480, 8);
    vga_poke(r, LFB + 1000, 7);
    vga_dispi(r, 4, 0);
    vga_dispi(r, 4, 0xc1);
    CHECK_EQ(vga_peek(r, LFB + 1000), 7);
    vga_dispi(r, 4, 0);
    vga_dispi(r, 4, 0x41);
    CHECK_EQ(vga_peek(r, LFB + 1000), 0);
}

TEST(vbe, only_changed_lines_are_drawn_again)
{
    struct rig *r = pci_rig();
    struct frame f;

    vga_set_linear(r, 320, 200, 16);
    CHECK(vga_frame(r).changed);
    CHECK(!vga_frame(r).changed);
    vga_poke(r, LFB + 2, 0x1f);
    f = vga_frame(r);
    CHECK(f.changed);
    CHECK_EQ(f.pixels[1], 0x0000ff);
    CHECK(!vga_frame(r).changed);
}

TEST(vbe, any_size_and_depth_stays_inside_memory)
{
    static const u16 sizes[] = { 0, 1, 7, 8, 640, 1920, 2560, 2561, 0x7fff, 0xffff };
    static const u16 depths[] = { 0, 1, 4, 8, 15, 16, 17, 24, 32, 0xffff };
    struct rig *r = vga_rig(&vga_mode_03);

    for (u32 w = 0; w < ARRAY_SIZE(sizes); w++)
        for (u32 h = 0; h < ARRAY_SIZE(sizes); h++)
            for (u32 d = 0; d < ARRAY_SIZE(depths); d++) {
                struct frame f;

                vga_set_linear(r, sizes[w], sizes[h], depths[d]);
                vga_dispi(r, 6, sizes[h]);
                vga_dispi(r, 8, sizes[w]);
                vga_dispi(r, 9, sizes[h]);
                f = vga_frame(r);
                CHECK(f.width >= 8 && f.width <= 2560 && f.height >= 1 && f.height <= 1600);
            }
}

TEST(vbe, the_largest_promised_mode)
{
    struct rig *r = pci_rig();
    u32 pixel = 0x00facade;

    vga_set_linear(r, 1920, 1200, 32);
    phys_write(r->m, LFB + (1920 * 1200 - 1) * 4, &pixel, 4);
    CHECK_EQ(vga_pixel(r, 1919, 1199), pixel);
}

TEST(vbe, monitor_says_which_mode_it_prefers)
{
    struct rig *r = pci_rig();
    u8 edid[128], sum = 0;

    for (u32 round = 0; round < 2; round++) {
        phys_read(r->m, MMIO, edid, sizeof(edid));
        for (u32 i = 0; i < sizeof(edid); i++)
            sum += edid[i];
        CHECK_EQ(sum, 0);
        CHECK_EQ(bus_mmio_read(r->m, MMIO, 4), 0xffffff00);
        CHECK_EQ(edid[54 + 2] | edid[54 + 4] >> 4 << 8, round ? 1600 : 1024);
        CHECK_EQ(edid[54 + 5] | edid[54 + 7] >> 4 << 8, round ? 901 : 768);
        vga_prefer(r->dev, 1607, 901);
    }
    CHECK_EQ(bus_mmio_read(r->m, MMIO + 0x80, 4), 0);
    vga_prefer(r->dev, 100000, 0); /* clamped */
    CHECK_EQ(bus_mmio_read(r->m, MMIO + 54 + 5, 1), 200);
}
