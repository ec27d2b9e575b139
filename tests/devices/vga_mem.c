/*
 * The window at A0000: write and read modes, latches, chain-4, odd/even, memory maps.
 */
#include "tests/devices/vga_rig.h"

/* The byte of one plane, by read mode 0. */
static u8 plane(struct rig *r, u32 n, u32 offset)
{
    vga_gc(r, 4, n);
    return vga_peek(r, 0xa0000 + offset);
}

static void check_planes(struct rig *r, u32 offset, u8 p0, u8 p1, u8 p2, u8 p3)
{
    CHECK_EQ(plane(r, 0, offset), p0);
    CHECK_EQ(plane(r, 1, offset), p1);
    CHECK_EQ(plane(r, 2, offset), p2);
    CHECK_EQ(plane(r, 3, offset), p3);
}

/* Planes at `offset` become the bytes given; the latches hold them afterwards. */
static void fill(struct rig *r, u32 offset, u8 p0, u8 p1, u8 p2, u8 p3)
{
    u8 bytes[4] = { p0, p1, p2, p3 };

    for (u32 i = 0; i < 4; i++) {
        vga_seq(r, 2, 1 << i);
        vga_poke(r, 0xa0000 + offset, bytes[i]);
    }
    vga_seq(r, 2, 15);
    vga_peek(r, 0xa0000 + offset);
}

TEST(vga_mem, map_mask_selects_planes)
{
    struct rig *r = vga_rig(&vga_mode_12);

    fill(r, 5, 0x11, 0x22, 0x33, 0x44);
    check_planes(r, 5, 0x11, 0x22, 0x33, 0x44);
    vga_seq(r, 2, 0x0a);
    vga_poke(r, 0xa0005, 0x99);
    check_planes(r, 5, 0x11, 0x99, 0x33, 0x99);
    check_planes(r, 4, 0, 0, 0, 0);
    check_planes(r, 6, 0, 0, 0, 0);
}

TEST(vga_mem, write_mode_0_rotates_sets_and_masks)
{
    struct rig *r = vga_rig(&vga_mode_12);

    fill(r, 0, 0xf0, 0xf0, 0xf0, 0xf0);
    vga_gc(r, 3, 4);    /* rotate right by 4 */
    vga_gc(r, 1, 0x3);  /* planes 0 and 1 from set/reset */
    vga_gc(r, 0, 0x2);  /* 0 clear, 1 set */
    vga_gc(r, 8, 0x3c); /* bits 2-5 only */
    vga_poke(r, 0xa0000, 0x5a); /* rotated: a5 */
    check_planes(r, 0, 0xc0, 0xfc, 0xe4, 0xe4);
}

TEST(vga_mem, logic_combines_with_the_latch)
{
    static const u8 want[4] = { 0x0f, 0x0f & 0x35, 0x0f | 0x35, 0x0f ^ 0x35 };
    struct rig *r = vga_rig(&vga_mode_12);

    for (u32 function = 0; function < 4; function++) {
        vga_gc(r, 3, 0);
        fill(r, 7, 0x35, 0x35, 0x35, 0x35);
        vga_gc(r, 3, function << 3);
        vga_poke(r, 0xa0007, 0x0f);
        CHECK_EQ(plane(r, 2, 7), want[function]);
    }
}

TEST(vga_mem, write_mode_1_copies_latches)
{
    struct rig *r = vga_rig(&vga_mode_12);

    fill(r, 100, 1, 2, 3, 4);
    vga_gc(r, 5, 1);
    vga_gc(r, 8, 0); /* the bit mask has no say */
    vga_peek(r, 0xa0000 + 100);
    vga_poke(r, 0xa0000 + 200, 0xee);
    vga_gc(r, 5, 0);
    check_planes(r, 200, 1, 2, 3, 4);
}

TEST(vga_mem, write_mode_2_spreads_a_colour)
{
    struct rig *r = vga_rig(&vga_mode_12);

    fill(r, 0, 0xff, 0, 0xff, 0);
    vga_gc(r, 5, 2);
    vga_gc(r, 8, 0x0f);
    vga_poke(r, 0xa0000, 0x06);
    vga_gc(r, 5, 0);
    check_planes(r, 0, 0xf0, 0x0f, 0xff, 0);
}

TEST(vga_mem, write_mode_3_masks_by_the_rotated_byte)
{
    struct rig *r = vga_rig(&vga_mode_12);

    fill(r, 0, 0, 0, 0xff, 0xff);
    vga_gc(r, 5, 3);
    vga_gc(r, 0, 0x5);
    vga_gc(r, 3, 1);
    vga_gc(r, 8, 0xf0);
    vga_poke(r, 0xa0000, 0x81); /* rotated c0, masked c0 */
    vga_gc(r, 5, 0);
    check_planes(r, 0, 0xc0, 0, 0xff, 0x3f);
}

TEST(vga_mem, read_mode_1_compares_colours)
{
    struct rig *r = vga_rig(&vga_mode_12);

    fill(r, 0, 0xaa, 0xcc, 0xf0, 0x00);
    vga_gc(r, 5, 8);
    vga_gc(r, 2, 0x5); /* planes 0 and 2 set */
    vga_gc(r, 7, 0xf);
    CHECK_EQ(vga_peek(r, 0xa0000), 0xaa & ~0xcc & 0xf0);
    vga_gc(r, 7, 0x1); /* plane 0 alone matters */
    CHECK_EQ(vga_peek(r, 0xa0000), 0xaa);
    vga_gc(r, 7, 0);
    CHECK_EQ(vga_peek(r, 0xa0000), 0xff);
}

TEST(vga_mem, wide_accesses_are_bytes_in_order)
{
    struct rig *r = vga_rig(&vga_mode_12);

    bus_mmio_write(r->m, 0xa0010, 4, 0x44332211);
    check_planes(r, 0x12, 0x33, 0x33, 0x33, 0x33);
    CHECK_EQ(bus_mmio_read(r->m, 0xa0010, 4), 0x44332211);
    CHECK_EQ(bus_mmio_read(r->m, 0xa0011, 2), 0x3322);
}

TEST(vga_mem, chain4_spreads_bytes_over_planes)
{
    struct rig *r = vga_rig(&vga_mode_13);
    u32 val = 0x40302010;

    phys_write(r->m, 0xa0000 + 400, &val, 4); /* mapped: no handler */
    CHECK_EQ(bus_stats(r->m->bus)->mmio_accesses, 0);
    vga_seq(r, 4, 0x06);
    check_planes(r, 100, 0x10, 0x20, 0x30, 0x40);
    vga_seq(r, 4, 0x0e);
    vga_seq(r, 2, 0x05); /* no plain memory any more */
    vga_poke(r, 0xa0000 + 400, 0x99);
    vga_poke(r, 0xa0000 + 401, 0x99);
    CHECK_EQ(vga_peek(r, 0xa0000 + 400), 0x99);
    CHECK_EQ(vga_peek(r, 0xa0000 + 401), 0x20);
    CHECK(bus_stats(r->m->bus)->mmio_accesses > 0);
}

TEST(vga_mem, odd_even_separates_text_and_attributes)
{
    struct rig *r = vga_rig(&vga_mode_03);

    vga_poke(r, 0xb8000, 'A');
    vga_poke(r, 0xb8001, 0x1e);
    CHECK_EQ(vga_peek(r, 0xb8000), 'A');
    CHECK_EQ(vga_peek(r, 0xb8001), 0x1e);
    vga_gc(r, 5, 0);
    vga_gc(r, 6, 5);
    vga_seq(r, 4, 6);
    CHECK_EQ(plane(r, 0, 0), 'A');
    CHECK_EQ(plane(r, 1, 0), 0x1e);
}

TEST(vga_mem, memory_maps_answer_where_they_lie)
{
    static const struct {
        u32 first, last;
    } maps[4] = { { 0xa0000, 0xbffff }, { 0xa0000, 0xaffff }, { 0xb0000, 0xb7fff },
                  { 0xb8000, 0xbffff } };
    static const u32 probes[] = { 0xa0000, 0xaffff, 0xb0000, 0xb7fff, 0xb8000, 0xbffff };
    struct rig *r = vga_rig(&vga_mode_12);

    for (u32 map = 0; map < 4; map++) {
        vga_gc(r, 6, 1 | map << 2);
        for (u32 i = 0; i < ARRAY_SIZE(probes); i++) {
            bool inside = probes[i] >= maps[map].first && probes[i] <= maps[map].last;

            vga_poke(r, probes[i], 0x42);
            CHECK_EQ(vga_peek(r, probes[i]), inside ? 0x42 : 0xff);
        }
    }
}

TEST(vga_mem, ram_below_never_shows)
{
    struct rig *r = vga_rig(&vga_mode_13);

    vga_set_mode(r, &vga_mode_12);
    vga_poke(r, 0xa0000, 0x77);
    CHECK_EQ(mmu_ram(r->m->mmu)[0xa0000], 0);
    CHECK_EQ(vga_peek(r, 0xb8000), 0xff);
}
