/*
 * Network cards: set up as a driver does, with numbers a driver would not use, while frames
 * come in.
 */
#include "devices/nic.h"
#include "runtime/network/network.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { CARD = 3 << 3, PORTS = 0xc000 };

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
