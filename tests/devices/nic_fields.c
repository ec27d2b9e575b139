/*
 * Network cards whose fields a broken file fills: they run on, whatever it brings. Run it with
 * the address sanitizer.
 */
#include "devices/am79c970.h"
#include "devices/e1000.h"
#include "devices/rtl8139.h"
#include "tests/devices/nic_rig.h"

#include <string.h>

static const struct device_class *const cards[] = {&e1000_class, &rtl8139_class,
                                                   &am79c970_class};

static u32 noise(u32 *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void fill(struct device *dev, u32 *state)
{
    for (const struct field *f = dev->class->fields; f->name; f++)
        for (u32 n = 0; n < f->size * f->count; n++)
            ((u8 *)dev)[f->offset + n] =
                f->size == 1 && f->count == 1 ? noise(state) & 1 : noise(state);
    dev->class->loaded(dev);
}

TEST(nic_fields, take_garbage)
{
    static struct nic_rig wire;
    u8 frame[FRAME_MAX];

    for (u32 seed = 0; seed < 60; seed++) {
        u32 state = seed;
        struct rig *r = rig_new(NULL, NULL);
        struct device *dev;

        nic_rig_init(&wire);
        wire.config.slot.bus = pci_rig_add(r)->slot.bus;
        dev = rig_add(r, cards[seed % ARRAY_SIZE(cards)], &wire.config);
        fill(dev, &state);
        nic_rig_config_write(r, 0x14, seed % ARRAY_SIZE(cards) ? 0xe1000000 : 0xc000);
        nic_rig_place(r, 0, seed % ARRAY_SIZE(cards) ? 0xc000 : 0xe1000000);
        for (u32 i = 0; i < 200; i++) {
            if (seed % ARRAY_SIZE(cards))
                rig_out32(r, 0xc000 + (noise(&state) & 0xfc), noise(&state));
            else
                bus_mmio_write(r->m, 0xe1000000 + (noise(&state) & 0x3ffc), 4, noise(&state));
            rig_advance(r, noise(&state) % USEC(100));
            nic_rig_frame(frame, nic_rig_broadcast, FRAME_MAX, i);
            wire.n.receive(wire.n.dev, frame, 60 + noise(&state) % (FRAME_MAX - 59));
        }
        dev->class->reset(dev);
        CHECK(wire.n.can_receive(dev));
        rig_free_all();
    }
}
