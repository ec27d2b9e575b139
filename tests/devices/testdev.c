/*
 * pc-testdev and pci-testdev, driven as kvm-unit-tests drive them.
 */
#include "devices/pc_testdev.h"
#include "devices/pci_testdev.h"
#include "tests/devices/nic_rig.h"

enum { FF = 0xff000000, BAR0 = 0xe1000000, BAR1 = 0xc000 };

TEST(testdev, keeps_a_word_in_all_sizes)
{
    struct rig *r = rig_new(&pc_testdev_class, NULL);

    rig_out32(r, 0xe0, 0x12345678);
    CHECK_EQ(rig_in8(r, 0xe1), 0x56);
    CHECK_EQ(rig_in16(r, 0xe2), 0x1234);
    rig_out16(r, 0xe1, 0xabcd);
    CHECK_EQ(rig_in32(r, 0xe0), 0x12abcd78);
    rig_out32(r, 0xe8, 0x01020304);
    CHECK_EQ(rig_in32(r, 0xe8), 0x01020304);
    rig_out32(r, 0xe4, 0x1000);
    CHECK_EQ(rig_in32(r, 0xe0), 0x01020304);
}

TEST(testdev, raises_interrupt_lines)
{
    struct rig *r = rig_new(&pc_testdev_class, NULL);

    rig_out32(r, 0x2000 + 14, 1);
    CHECK(rig_irq(r, 14));
    rig_out32(r, 0x2000 + 14, 0);
    CHECK(!rig_irq(r, 14));
    rig_out32(r, 0x2000 + 20, 1); /* told by --trace nyi */
}

TEST(testdev, has_memory_at_the_top)
{
    struct rig *r = rig_new(&pc_testdev_class, NULL);

    bus_mmio_write(r->m, FF + 8, 4, 0xcafe1234);
    CHECK_EQ(bus_mmio_read(r->m, FF + 9, 1), 0x12);
    CHECK_EQ(bus_mmio_read(r->m, FF + 10, 2), 0xcafe);
    bus_mmio_write(r->m, FF + 0xffff, 1, 0x5a);
    CHECK_EQ(bus_mmio_read(r->m, FF + 0xfffc, 4), 0x5a000000);
}

/* A BAR as bytes: memory or ports. */
static u32 get(struct rig *r, bool ports, u32 off, u32 size)
{
    return ports ? bus_in(r->m, (u16)(BAR1 + off), size)
                 : bus_mmio_read(r->m, BAR0 + off, size);
}

static void put(struct rig *r, bool ports, u32 off, u32 size, u32 val)
{
    if (ports)
        bus_out(r->m, (u16)(BAR1 + off), size, val);
    else
        bus_mmio_write(r->m, BAR0 + off, size, val);
}

TEST(testdev, counts_accesses_to_its_bars)
{
    static struct pci_slot slot;
    struct rig *r = rig_new(NULL, NULL);

    slot = (struct pci_slot){ pci_rig_add(r)->slot.bus, NIC_RIG_DEVFN, NULL, 0 };
    rig_add(r, &pci_testdev_class, &slot);
    CHECK_EQ(nic_rig_config_read(r, 0), 0x00051b36);
    nic_rig_config_write(r, 0x14, BAR1);
    nic_rig_place(r, 0, BAR0);
    for (u32 i = 0; i < 8; i++) {
        bool ports = i & 1;
        u32 at, data;

        put(r, ports, 0, 4, 0xabcdef00 | i / 2);
        if (i / 2 == 3) { /* no such test */
            CHECK_EQ(get(r, ports, 1, 1), 0);
            continue;
        }
        CHECK_EQ(get(r, ports, 0, 1), i / 2 + 3 * ports);
        CHECK_EQ(get(r, ports, 1, 1), 1);
        CHECK_EQ(get(r, ports, 16, 1), ports ? 'p' : 'm');
        at = get(r, ports, 4, 4);
        data = get(r, ports, 8, 1);
        for (u32 n = 0; n < 5; n++)
            put(r, ports, at, 1, data);
        CHECK_EQ(get(r, ports, 12, 4), 5);
        CHECK_EQ(data, i / 2 == 1 ? 0xce : 0xfa);
        put(r, ports, at, 1, data ^ 1);
        CHECK_EQ(get(r, ports, 12, 4), i / 2 == 1 ? 6 : 5);
        put(r, ports, at + 6, 1, data);
        CHECK_EQ(get(r, ports, 12, 4), i / 2 == 1 ? 6 : 5);
        CHECK_EQ(get(r, !ports, 12, 4), i / 2 == 1 ? 6 : 5);
    }
}
