/*
 * Network cards: set up as a driver does, with numbers a driver would not use, while frames
 * come in.
 */
#include "devices/nic.h"
#include "runtime/network/network.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { CARD = 3 << 3, PORTS = 0xc000, MEMORY = 0xe1000000 };

/* Frames of any size to the card's address, to all, or to anybody; past its word on whether it
 * has room. */
static void give_frames(struct fuzz *f, u32 n)
{
    static const u8 to[][6] = { { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 },
                                { 255, 255, 255, 255, 255, 255 },
                                { 1 } };
    struct netdev *net = network_find(f->m, "n");
    u8 frame[FRAME_MAX];

    for (; n && net->dev; n--) {
        u32 size = fuzz_chance(f, 50) ? FRAME_MIN + fuzz_below(f, 100)
                                      : FRAME_MIN + fuzz_below(f, FRAME_MAX - FRAME_MIN + 1);

        memset(frame, (int)n, size);
        memcpy(frame, to[fuzz_below(f, ARRAY_SIZE(to))], 6);
        if (net->can_receive(net->dev) || fuzz_chance(f, 20))
            net->receive(net->dev, frame, size);
    }
    if (fuzz_chance(f, 5))
        network_set_link(f->m, "n", fuzz_chance(f, 70));
}

/* Where the card's first BAR is put. */
static void place_card(struct fuzz *f)
{
    fuzz_pci_write(f, CARD, 0x10, PORTS | 1);
    fuzz_pci_write(f, CARD, 0x04, fuzz_chance(f, 95) ? 7 : fuzz_u32(f));
}

void scene_ne2000(struct fuzz *f)
{
    static const u8 pages[] = { 0x00, 0x20, 0x3f, 0x40, 0x46, 0x4c, 0x7f, 0x80, 0xff };
    static const u8 commands[] = { 0x0a, 0x12, 0x1a, 0x22, 0x26, 0x21, 0x62, 0x61, 0xa2, 0xe2 };
    u16 base = f->target->ports[0].base;

    if (base == PORTS)
        place_card(f);
    fuzz_out8(f, base, 0x21);
    fuzz_out8(f, base + 14, fuzz_chance(f, 80) ? 0x48 | fuzz_below(f, 2) : fuzz_value(f));
    for (u32 i = 1; i <= 4; i++)
        fuzz_out8(f, base + i,
                  fuzz_chance(f, 80) ? pages[fuzz_below(f, sizeof(pages))] : fuzz_value(f));
    for (u32 i = 5; i < 12; i++)
        if (i != 7)
            fuzz_out8(f, base + i, fuzz_chance(f, 50) ? fuzz_below(f, 8) : fuzz_value(f));
    fuzz_out8(f, base + 12, fuzz_chance(f, 70) ? 0x1e : fuzz_value(f));
    fuzz_out8(f, base + 13, fuzz_chance(f, 70) ? 0 : fuzz_value(f));
    fuzz_out8(f, base + 15, fuzz_value(f));
    fuzz_out8(f, base, 0x61);
    fuzz_out8(f, base + 7,
              fuzz_chance(f, 80) ? pages[fuzz_below(f, sizeof(pages))] : fuzz_value(f));
    fuzz_out8(f, base, 0x22);
    give_frames(f, fuzz_below(f, 12));
    fuzz_out8(f, base,
              fuzz_chance(f, 90) ? commands[fuzz_below(f, sizeof(commands))] : fuzz_value(f));
    for (u32 i = fuzz_below(f, 600); i; i--) {
        if (fuzz_chance(f, 50))
            f->last = bus_in(f->m, base + 16, IO_16);
        else
            fuzz_out16(f, base + 16, fuzz_value(f));
    }
    fuzz_out8(f, base + 3, pages[fuzz_below(f, sizeof(pages))]);
    fuzz_wait(f);
    give_frames(f, fuzz_below(f, 12));
}

/* ---- Bus masters ---- */

static void put32(struct fuzz *f, gpa_t gpa, u32 val)
{
    phys_write(f->m, gpa, &val, 4);
}

/* Where a descriptor may lead: RAM, nowhere, or the card itself. */
static u32 anywhere(struct fuzz *f)
{
    return fuzz_chance(f, 10) ? MEMORY + fuzz_below(f, 0x6000) : fuzz_address(f);
}

/* 16-byte descriptors of which most could be a driver's. */
static void make_ring(struct fuzz *f, gpa_t ring, u32 n, const u8 *commands, u32 kinds)
{
    for (u32 i = 0; i < n; i++, ring += 16) {
        u32 size = fuzz_chance(f, 80) ? fuzz_below(f, 1600) : fuzz_value(f) & 0xfffff;

        put32(f, ring, fuzz_chance(f, 20) ? fuzz_u32(f) & 0xff3f1f1f : anywhere(f));
        put32(f, ring + 4, fuzz_chance(f, 90) ? 0 : fuzz_u32(f) & 0xff3f3f);
        put32(f, ring + 8,
              (u32)commands[fuzz_below(f, kinds)] << 24 | (size & 0xfffff) |
                  fuzz_below(f, 2) << 20);
        put32(f, ring + 12, fuzz_value(f) & (fuzz_chance(f, 50) ? 0x05ff3fff : 0xffffffff));
    }
}

static void e1000_set(struct fuzz *f, u32 reg, u32 val)
{
    bus_mmio_write(f->m, MEMORY + reg, 4, val);
}

static u32 mostly(struct fuzz *f, u32 val)
{
    return fuzz_chance(f, 90) ? val : fuzz_value(f);
}

void scene_e1000(struct fuzz *f)
{
    static const u8 commands[] = {0x0b, 0x09, 0x0d, 0x08, 0x00, 0x2f, 0x27,
                                  0x23, 0x2d, 0x2c, 0x29, 0x49, 0x6d, 0xa9};
    static const u32 rctl[] = {0x8002, 0x801a, 0x04008002, 0x800a, 0x0203801a, 0x80da, 0x4801a};
    u32 ring = fuzz_address(f) & ~15u, n = 8 + 8 * fuzz_below(f, 8);

    fuzz_pci_write(f, CARD, 0x10, MEMORY);
    fuzz_pci_write(f, CARD, 0x14, PORTS | 1);
    fuzz_pci_write(f, CARD, 0x04, mostly(f, 7));
    make_ring(f, ring, n, commands, sizeof(commands));
    e1000_set(f, 0x3800, mostly(f, ring));
    e1000_set(f, 0x3804, fuzz_chance(f, 97) ? 0 : fuzz_value(f));
    e1000_set(f, 0x3808, mostly(f, n * 16));
    e1000_set(f, 0x3810, fuzz_below(f, n + 1));
    e1000_set(f, 0x0400, mostly(f, 0x0a));
    ring = fuzz_address(f) & ~15u;
    make_ring(f, ring, n, commands, sizeof(commands));
    e1000_set(f, 0x2800, mostly(f, ring));
    e1000_set(f, 0x2808, mostly(f, n * 16));
    e1000_set(f, 0x2810, fuzz_below(f, n + 1));
    e1000_set(f, 0x2818, fuzz_below(f, n + 1));
    e1000_set(f, 0x5000, mostly(f, 0x300));
    e1000_set(f, 0x2820, fuzz_chance(f, 50) ? 0 : fuzz_value(f));
    e1000_set(f, 0x00c4, fuzz_chance(f, 50) ? 0 : fuzz_value(f));
    e1000_set(f, 0x0000, fuzz_chance(f, 80) ? 0x40000041 : fuzz_value(f));
    e1000_set(f, 0x0100, mostly(f, rctl[fuzz_below(f, ARRAY_SIZE(rctl))]));
    e1000_set(f, 0x00d0, fuzz_value(f));
    give_frames(f, fuzz_below(f, 12));
    e1000_set(f, 0x3818, fuzz_below(f, n + 1));
    fuzz_wait(f);
    give_frames(f, fuzz_below(f, 12));
    e1000_set(f, 0x0020, fuzz_u32(f) & 0x2c3fffff);
    f->last = bus_mmio_read(f->m, MEMORY + 0xc0, 4);
}

/* A RTL8139 or, by half, its C+ mode; registers behind both BARs. */
void scene_rtl8139(struct fuzz *f)
{
    static const u8 commands[] = { 0xa0, 0xb0, 0x90, 0xf0, 0x80, 0x30, 0xa8, 0xa4, 0xb7 };
    static const u32 tcr[] = { 0x03000700, 0x03060700, 0x03010700 };
    u32 ring = fuzz_address(f) & ~255u, queue = fuzz_below(f, 2) * 8;

    place_card(f);
    fuzz_pci_write(f, CARD, 0x14, MEMORY);
    fuzz_out8(f, PORTS + 0x37, mostly(f, 0x0c));
    fuzz_out16(f, PORTS + 0xe0, fuzz_chance(f, 50) ? 0 : mostly(f, 0x63));
    make_ring(f, ring, 64, commands, sizeof(commands));
    for (u32 i = 0; i < 64; i++) /* their command is in the first word */
        put32(f, ring + 16 * i,
              (u32)commands[fuzz_below(f, sizeof(commands))] << 24 | (fuzz_value(f) & 0x7ffff));
    for (u32 i = 0; i < 64; i++)
        put32(f, ring + 16 * i + 8, anywhere(f));
    for (u32 i = 0; i < 64; i++)
        put32(f, ring + 16 * i + 12, 0);
    fuzz_out32(f, PORTS + 0x20 + queue, mostly(f, ring));
    fuzz_out32(f, PORTS + 0x24 + queue, fuzz_chance(f, 97) ? 0 : fuzz_value(f));
    fuzz_out32(f, PORTS + 0xe4, mostly(f, ring + 16 * fuzz_below(f, 32)));
    fuzz_out32(f, PORTS + 0x30, anywhere(f));
    fuzz_out32(f, PORTS + 0x44,
               mostly(f, 0x0f | fuzz_below(f, 4) << 11 | fuzz_below(f, 2) << 7));
    fuzz_out32(f, PORTS + 0x40, mostly(f, tcr[fuzz_below(f, ARRAY_SIZE(tcr))]));
    fuzz_out16(f, PORTS + 0x3c, fuzz_value(f));
    give_frames(f, fuzz_below(f, 12));
    for (u32 i = 0; i < 4; i++) {
        fuzz_out32(f, PORTS + 0x20 + 4 * i, anywhere(f));
        fuzz_out32(f, PORTS + 0x10 + 4 * i, mostly(f, fuzz_below(f, 1800)));
    }
    fuzz_out8(f, PORTS + 0xd9, mostly(f, 0x40));
    fuzz_out16(f, PORTS + 0x38, fuzz_value(f));
    fuzz_out32(f, PORTS + 0x54, fuzz_chance(f, 70) ? 0 : fuzz_value(f));
    fuzz_wait(f);
    give_frames(f, fuzz_below(f, 12));
    fuzz_out16(f, PORTS + 0x3e, fuzz_value(f));
}

static void pcnet_set(struct fuzz *f, u16 reg, u32 val)
{
    fuzz_out16(f, PORTS + 0x12, reg);
    fuzz_out16(f, PORTS + 0x10, val);
}

void scene_pcnet(struct fuzz *f)
{
    static const u8 commands[] = { 0x83, 0x82, 0x81, 0x80, 0x03, 0x93, 0xa3 };
    static const u16 modes[] = { 0, 0, 4, 0x8000, 0x8004, 0x4008 };
    u32 ring = fuzz_address(f) & ~15u, block = fuzz_address(f) & ~3u;

    place_card(f);
    fuzz_pci_write(f, CARD, 0x14, MEMORY);
    pcnet_set(f, 0, 4);
    fuzz_out16(f, PORTS + 0x12, 20);
    fuzz_out16(f, PORTS + 0x16, mostly(f, fuzz_below(f, 4)));
    make_ring(f, ring, 64, commands, sizeof(commands));
    for (u32 i = 0; i < 128; i++) /* so that some fit each layout */
        put32(f, ring + 8 * i + 4,
              (u32)commands[fuzz_below(f, sizeof(commands))] << 24 | (fuzz_value(f) & 0xffff));
    for (u32 i = 0; i < 64; i++)
        put32(f, ring + 16 * i + fuzz_below(f, 2) * 8, anywhere(f));
    put32(f, block, modes[fuzz_below(f, ARRAY_SIZE(modes))] | (fuzz_u32(f) & 0xf0f00000));
    put32(f, block + 20, mostly(f, ring));
    put32(f, block + 24, mostly(f, ring + 16 * fuzz_below(f, 64)));
    if (fuzz_chance(f, 30))
        put32(f, block + 16, ring | fuzz_u32(f) << 29);
    pcnet_set(f, 1, block);
    pcnet_set(f, 2, mostly(f, block >> 16));
    pcnet_set(f, 4, mostly(f, 0x0915));
    pcnet_set(f, 0, mostly(f, 1));
    pcnet_set(f, 0, mostly(f, 0x42));
    give_frames(f, fuzz_below(f, 12));
    pcnet_set(f, 0, mostly(f, 0x48));
    fuzz_wait(f);
    give_frames(f, fuzz_below(f, 12));
    pcnet_set(f, fuzz_below(f, 128), fuzz_value(f));
    if (fuzz_chance(f, 5))
        fuzz_out32(f, PORTS + 0x10, 0);
}
