/*
 * The Am79C970A as drivers use it: address PROM, both widths of its ports, the initialization
 * block and rings in all layouts, filter, interrupts; and what no driver would write.
 */
#include "devices/am79c970.h"
#include "devices/am79c970_private.h"
#include "tests/devices/nic_rig.h"

#include <string.h>

enum {
    P = 0xc000, MEMORY = 0xe1000000, IRQ = 11, BLOCK = 0x8000, TX_RING = 0x10000,
    RX_RING = 0x11000, TX = 0x20000, RX = 0x30000,
};

static struct nic_rig wire;
static u32 layout; /* SWSTYLE */

static struct rig *card(void)
{
    struct rig *r = rig_new(NULL, NULL);

    nic_rig_init(&wire);
    wire.config.slot.bus = pci_rig_add(r)->slot.bus;
    rig_add(r, &am79c970_class, &wire.config);
    rig_out32(r, 0xcf8, 0x80000860); /* PIRQ C, where slot 3's pin A goes, to 11 */
    rig_out32(r, 0xcfc, 0x800b8080);
    nic_rig_config_write(r, 0x14, MEMORY);
    nic_rig_place(r, 0, P);
    return r;
}

static u16 csr(struct rig *r, u16 n)
{
    rig_out16(r, P + 0x12, n);
    return rig_in16(r, P + 0x10);
}

static void set(struct rig *r, u16 n, u16 val)
{
    rig_out16(r, P + 0x12, n);
    rig_out16(r, P + 0x10, val);
}

static void descriptor(struct rig *r, gpa_t ring, u32 i, u32 buffer, u16 flags, u32 size)
{
    u16 half[4] = { (u16)buffer, (u16)(flags | buffer >> 16), (u16)-size, 0 };
    u32 word[4] = { buffer, (u32)flags << 16 | (-size & 0xffff), 0, 0 };

    if (layout == 3) {
        word[2] = buffer;
        word[0] = 0;
    }
    if (layout)
        phys_write(r->m, ring + i * 16, word, 16);
    else
        phys_write(r->m, ring + i * 8, half, 8);
}

static u8 flags(struct rig *r, gpa_t ring, u32 i)
{
    u8 val;

    phys_read(r->m, ring + (layout ? i * 16 + 7 : i * 8 + 3), &val, 1);
    return val;
}

static u32 message(struct rig *r, u32 i)
{
    u32 val = 0;

    phys_read(r->m,
              RX_RING + (layout == 0   ? i * 8 + 6
                         : layout == 3 ? i * 16
                                       : i * 16 + 8),
              &val, 2);
    return val;
}

/* Four descriptors a ring; all addresses of a group whose hash is 3. */
static struct rig *running(u32 style, u16 mode)
{
    struct rig *r = card();
    u8 b[28] = { 0 };
    u32 rx = RX_RING, tx = TX_RING;

    layout = style;
    rig_out16(r, P + 0x12, BCR_SWS);
    rig_out16(r, P + 0x16, (u16)style);
    b[0] = (u8)mode;
    b[1] = (u8)(mode >> 8);
    if (style) {
        b[2] = b[3] = 2 << 4;
        memcpy(b + 4, nic_rig_mac, 6);
        memcpy(b + 20, &rx, 4);
        memcpy(b + 24, &tx, 4);
    } else {
        rx |= 2u << 29;
        tx |= 2u << 29;
        memcpy(b + 2, nic_rig_mac, 6);
        memcpy(b + 16, &rx, 4);
        memcpy(b + 20, &tx, 4);
    }
    phys_write(r->m, BLOCK, b, sizeof(b));
    for (u32 i = 0; i < 4; i++) {
        descriptor(r, RX_RING, i, RX + i * 2048, 0x8000, 1544);
        descriptor(r, TX_RING, i, TX, 0, 60);
    }
    set(r, 1, BLOCK);
    set(r, 2, 0);
    set(r, 0, CSR0_INIT);
    CHECK_EQ(csr(r, 0) & CSR0_IDON, CSR0_IDON);
    set(r, 0, CSR0_STRT | CSR0_IENA | CSR0_IDON);
    return r;
}

TEST(pcnet, has_an_address_and_both_widths_of_ports)
{
    struct rig *r = card();
    u32 sum = 0;

    CHECK_EQ(nic_rig_config_read(r, 0), 0x20001022);
    for (u32 i = 0; i < 16; i++)
        sum += i < 12 || i > 13 ? rig_in8(r, P + i) : 0;
    CHECK_EQ(rig_in16(r, P + 12), sum);
    CHECK_EQ(rig_in16(r, P + 14), 0x5757);
    CHECK_EQ(csr(r, 0), CSR0_STOP);
    CHECK_EQ(csr(r, 88), 0x1003);
    CHECK_EQ(csr(r, 89), 0x0262);
    CHECK_EQ(csr(r, 12), 0x5452);
    CHECK_EQ(rig_in32(r, P + 0x10), ~0u);
    rig_out32(r, P + 0x10, 0);
    rig_out32(r, P + 0x14, 88);
    CHECK_EQ(rig_in32(r, P + 0x14), 88);
    CHECK_EQ(rig_in32(r, P + 0x10), 0x1003);
    CHECK_EQ(bus_mmio_read(r->m, MEMORY + 0x10, 4), 0x1003);
    CHECK_EQ(rig_in16(r, P + 0x10), 0xffff);
    rig_in32(r, P + 0x18);
    CHECK_EQ(rig_in32(r, P + 0x14), 0);
}

TEST(pcnet, moves_frames_in_every_layout)
{
    static const u8 styles[] = { 0, 1, 2, 3 };
    u8 frame[300], in[300];

    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 9);
    for (u32 i = 0; i < ARRAY_SIZE(styles); i++) {
        struct rig *r = running(styles[i], 0);

        CHECK_EQ(csr(r, 0), CSR0_INIT | CSR0_STRT | CSR0_TXON | CSR0_RXON | CSR0_IENA);
        phys_write(r->m, TX, frame, 300);
        descriptor(r, TX_RING, 0, TX, 0x8200, 100);
        descriptor(r, TX_RING, 1, TX + 100, 0x8100, 200);
        set(r, 0, CSR0_TDMD | CSR0_IENA);
        CHECK_EQ(wire.sent, 1);
        CHECK_EQ(wire.size[0], 300);
        CHECK(!memcmp(wire.frame[0], frame, 300));
        CHECK_EQ(flags(r, TX_RING, 1), 0x01);
        CHECK(csr(r, 0) & CSR0_TINT);
        CHECK(rig_irq(r, IRQ));
        set(r, 0, CSR0_TINT | CSR0_IENA);
        set(r, 4, 0x0008 | csr(r, 4)); /* TXSTRT */
        CHECK(!rig_irq(r, IRQ));
        CHECK(nic_rig_give(&wire, nic_rig_mac, 300, 9));
        CHECK_EQ(flags(r, RX_RING, 0), 0x03);
        CHECK_EQ(message(r, 0), 304);
        phys_read(r->m, RX, in, 300);
        CHECK(!memcmp(in, frame, 300));
        CHECK(csr(r, 0) & CSR0_RINT);
        rig_free_all();
    }
}

TEST(pcnet, acknowledging_with_init_and_strt_set_goes_on_in_the_ring)
{
    struct rig *r = running(2, 0);

    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    set(r, 0, csr(r, 0));
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    CHECK_EQ(flags(r, RX_RING, 1), 0x03);
}

TEST(pcnet, a_frame_spans_descriptors_and_waits_for_returned_ones)
{
    struct rig *r = running(2, 0);

    for (u32 i = 0; i < 4; i++)
        descriptor(r, RX_RING, i, RX + i * 2048, 0x8000, 512);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 1400, 1));
    CHECK_EQ(flags(r, RX_RING, 0), 0x02);
    CHECK_EQ(flags(r, RX_RING, 1), 0x00);
    CHECK_EQ(flags(r, RX_RING, 2), 0x01);
    CHECK_EQ(message(r, 2), 1404);
    CHECK(!nic_rig_give(&wire, nic_rig_mac, 1400, 1));
    for (u32 i = 0; i < 3; i++)
        descriptor(r, RX_RING, i, RX + i * 2048, 0x8000, 512);
    wire.asked = 0;
    rig_advance(r, MSEC(2));
    CHECK_EQ(wire.asked, 1);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 1400, 1));
}

TEST(pcnet, filters)
{
    struct rig *r = running(2, 0);

    nic_rig_give(&wire, nic_rig_other, 60, 1);
    nic_rig_give(&wire, nic_rig_group, 60, 1);
    CHECK(!(csr(r, 0) & CSR0_RINT));
    nic_rig_give(&wire, nic_rig_broadcast, 60, 1);
    CHECK(csr(r, 0) & CSR0_RINT);
    rig_free_all();
    r = running(2, MODE_DRCVBC);
    nic_rig_give(&wire, nic_rig_broadcast, 60, 1);
    CHECK(!(csr(r, 0) & CSR0_RINT));
    rig_free_all();
    r = running(2, MODE_PROM);
    nic_rig_give(&wire, nic_rig_other, 60, 1);
    CHECK(csr(r, 0) & CSR0_RINT);
}

TEST(pcnet, stop_suspend_and_loopback)
{
    struct rig *r = running(2, MODE_LOOP);

    descriptor(r, TX_RING, 0, TX, 0x8300, 60);
    phys_write(r->m, TX, nic_rig_mac, 6);
    set(r, 0, CSR0_TDMD);
    CHECK_EQ(wire.sent, 0);
    CHECK_EQ(flags(r, RX_RING, 0), 0x03);
    set(r, 5, 1);
    CHECK_EQ(csr(r, 5) & 1, 1);
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    CHECK_EQ(flags(r, RX_RING, 1), 0x80);
    set(r, 5, 0);
    set(r, 0, CSR0_STOP);
    CHECK_EQ(csr(r, 0), CSR0_STOP);
    CHECK(!rig_irq(r, IRQ));
}

TEST(pcnet, the_cable_lights_a_lamp)
{
    struct rig *r = card();

    rig_out16(r, P + 0x12, BCR_LNKST);
    CHECK_EQ(rig_in16(r, P + 0x16), 0x80c0);
    wire.n.link = false;
    wire.n.link_changed(wire.n.dev);
    CHECK_EQ(rig_in16(r, P + 0x16), 0x00c0);
}

TEST(pcnet, descriptors_that_lead_to_its_own_registers_find_them_deaf)
{
    struct rig *r = running(2, MODE_LOOP | MODE_PROM);
    u8 stop[60];

    memset(stop, 4, sizeof(stop));
    phys_write(r->m, TX, stop, sizeof(stop));
    for (u32 i = 0; i < 4; i++)
        descriptor(r, RX_RING, i, MEMORY, 0x8000, 1544);
    descriptor(r, TX_RING, 0, TX, 0x8300, 60);
    set(r, 0, CSR0_TDMD);
    CHECK(!(csr(r, 0) & CSR0_STOP));
    set(r, 0, CSR0_STOP);
    set(r, 30,
        0); /* a transmit ring in the card itself, whose ownership cannot be given back */
    set(r, 31, MEMORY >> 16);
    set(r, 78, 0);
    set(r, 0, CSR0_STRT | CSR0_TDMD);
    rig_advance(r, 0);
    set(r, 0, CSR0_STOP);
    rig_advance(r, MSEC(1));
    CHECK_EQ(csr(r, 0), CSR0_STOP);
}
