/*
 * The 82540EM as drivers use it: EEPROM and transceiver, rings, checksums, segments, tags,
 * interrupts; and descriptors no driver would write.
 */
#include "devices/e1000.h"
#include "devices/e1000_private.h"
#include "tests/devices/nic_rig.h"

#include <string.h>

enum {
    BASE = 0xe1000000, PORTS = 0xc000, IRQ = 11, TX_RING = 0x10000, RX_RING = 0x11000, N = 8,
    TX_DATA = 0x20000, RX_DATA = 0x40000,
};

static struct nic_rig wire;

static u32 get(struct rig *r, u32 reg)
{
    return bus_mmio_read(r->m, BASE + reg, 4);
}

static void set(struct rig *r, u32 reg, u32 val)
{
    bus_mmio_write(r->m, BASE + reg, 4, val);
}

static struct rig *card(void)
{
    struct rig *r = rig_new(NULL, NULL);

    nic_rig_init(&wire);
    wire.config.slot.bus = pci_rig_add(r)->slot.bus;
    rig_add(r, &e1000_class, &wire.config);
    rig_out32(r, 0xcf8, 0x80000860); /* PIRQ C, where slot 3's pin A goes, to 11 */
    rig_out32(r, 0xcfc, 0x800b8080);
    nic_rig_config_write(r, 0x14, PORTS);
    nic_rig_place(r, 0, BASE);
    rig_advance(r, MSEC(100)); /* negotiation */
    return r;
}

static void rx_descriptor(struct rig *r, u32 i)
{
    struct {
        u64 address, rest;
    } d = { RX_DATA + i * 2048, 0 };

    phys_write(r->m, RX_RING + i * 16, &d, 16);
}

/* Both rings, all causes. */
static struct rig *running(void)
{
    struct rig *r = card();

    get(r, ICR);
    for (u32 i = 0; i < N; i++)
        rx_descriptor(r, i);
    set(r, RDBAL, RX_RING);
    set(r, RDLEN, N * 16);
    set(r, RDT, N - 1);
    set(r, RCTL, RCTL_EN | RCTL_BAM);
    set(r, TDBAL, TX_RING);
    set(r, TDLEN, N * 16);
    set(r, TCTL, TCTL_EN | TCTL_PSP);
    set(r, IMS, ICR_BITS);
    return r;
}

static void tx_descriptor(struct rig *r, u64 address, u32 low, u32 high)
{
    u32 tail = get(r, TDT), d[4] = { (u32)address, (u32)(address >> 32), low, high };

    phys_write(r->m, TX_RING + tail * 16, d, 16);
    set(r, TDT, (tail + 1) % N);
}

static u8 rx_status(struct rig *r, u32 i)
{
    u8 status;

    phys_read(r->m, RX_RING + i * 16 + 12, &status, 1);
    return status;
}

static u16 rx_length(struct rig *r, u32 i)
{
    u16 length;

    phys_read(r->m, RX_RING + i * 16 + 8, &length, 2);
    return length;
}

/* ---- The card ---- */

TEST(e1000, is_an_82540EM_with_registers_in_memory_and_behind_ports)
{
    struct rig *r = card();

    CHECK_EQ(nic_rig_config_read(r, 0), 0x100e8086);
    CHECK_EQ(nic_rig_config_read(r, 8) >> 8, 0x020000);
    CHECK_EQ(get(r, RAL0), 0x12005452);
    CHECK_EQ(get(r, RAH0), 0x80005634);
    rig_out32(r, PORTS, RAL0);
    CHECK_EQ(rig_in32(r, PORTS + 4), 0x12005452);
    rig_out32(r, PORTS, VET);
    rig_out32(r, PORTS + 4, 0x1234);
    CHECK_EQ(get(r, VET), 0x1234);
    CHECK_EQ(bus_mmio_read(r->m, BASE + RAL0 + 1, 1), 0x54);
    CHECK_EQ(get(r, REGISTERS_END), 0);
    set(r, CTRL, CTRL_RST);
    CHECK_EQ(get(r, VET), 0x8100);
}

/* As a driver's bit-banging does it. */
static u16 eeprom_serial(struct rig *r, u32 word)
{
    u32 command = 0x180 | word, val = 0;

    set(r, EECD, 2);
    for (u32 i = 9; i-- > 0;) {
        u32 in = command >> i & 1 ? 4 : 0;

        set(r, EECD, 2 | in);
        set(r, EECD, 3 | in);
        set(r, EECD, 2 | in);
    }
    for (u32 i = 0; i < 16; i++) {
        set(r, EECD, 3);
        val = val << 1 | (get(r, EECD) >> 3 & 1);
        set(r, EECD, 2);
    }
    set(r, EECD, 0);
    return (u16)val;
}

TEST(e1000, eeprom_reads_alike_both_ways_and_adds_up)
{
    struct rig *r = card();
    u16 sum = 0;

    CHECK(get(r, EECD) & 0x100);
    set(r, EECD, 0x40);
    CHECK(get(r, EECD) & 0x80);
    for (u32 i = 0; i < 64; i++) {
        set(r, EERD, i << 8 | 1);
        CHECK(get(r, EERD) & 0x10);
        CHECK_EQ(eeprom_serial(r, i), get(r, EERD) >> 16);
        sum += get(r, EERD) >> 16;
    }
    CHECK_EQ(sum, 0xbaba);
    CHECK_EQ(eeprom_serial(r, 0), 0x5452);
}

static u16 phy(struct rig *r, u32 reg)
{
    set(r, MDIC, 2 << 26 | 1 << 21 | reg << 16);
    CHECK(get(r, MDIC) & 1 << 28);
    return (u16)get(r, MDIC);
}

TEST(e1000, negotiation_brings_the_link_up_and_pulling_the_cable_down)
{
    struct rig *r = card();

    CHECK_EQ(phy(r, 2), 0x0141);
    CHECK_EQ(phy(r, 3), 0x0c20);
    CHECK(get(r, STATUS) & STATUS_LU);
    CHECK_EQ(phy(r, 1) & 0x24, 0x24);
    get(r, ICR);
    set(r, MDIC, 1 << 26 | 1 << 21 | 0x1200); /* restart */
    CHECK(!(get(r, STATUS) & STATUS_LU));
    rig_advance(r, MSEC(100));
    CHECK(get(r, STATUS) & STATUS_LU);
    CHECK(get(r, ICR) & ICR_LSC);
    wire.n.link = false;
    wire.n.link_changed(wire.n.dev);
    CHECK(!(get(r, STATUS) & STATUS_LU));
    CHECK_EQ(phy(r, 1) & 0x24, 0);
    set(r, MDIC, 2 << 26 | 2 << 21); /* nobody has address 2 */
    CHECK(get(r, MDIC) & 1 << 30);
}

/* ---- Sending ---- */

TEST(e1000, sends_a_frame_of_several_descriptors)
{
    struct rig *r = running();
    u8 frame[200], done;

    nic_rig_frame(frame, nic_rig_other, sizeof(frame), 3);
    phys_write(r->m, TX_DATA, frame, sizeof(frame));
    tx_descriptor(r, TX_DATA, 50 | 0x02000000, 0);
    CHECK_EQ(wire.sent, 0);
    tx_descriptor(r, TX_DATA + 50, 150 | 0x0b000000, 0);
    CHECK_EQ(wire.sent, 1);
    CHECK_EQ(wire.size[0], 200);
    CHECK(!memcmp(wire.frame[0], frame, 200));
    phys_read(r->m, TX_RING + 16 + 12, &done, 1);
    CHECK_EQ(done, 1);
    CHECK_EQ(get(r, TDH), 2);
    CHECK(rig_irq(r, IRQ));
    CHECK_EQ(get(r, ICR), ICR_TXDW | ICR_TXQE);
    CHECK(!rig_irq(r, IRQ));
    tx_descriptor(r, TX_DATA, 30 | 0x0b000000, 0);
    CHECK_EQ(wire.size[1], 60); /* PSP */
    CHECK_EQ(get(r, GPTC), 2);
    CHECK_EQ(get(r, GPTC), 0);
}

TEST(e1000, tells_of_sent_frames_after_tidv)
{
    struct rig *r = running();

    set(r, TIDV, 100);
    tx_descriptor(r, TX_DATA, 60 | 0x8b000000, 0);
    CHECK_EQ(get(r, ICR), ICR_TXQE);
    rig_advance(r, USEC(101));
    CHECK(!rig_irq(r, IRQ));
    rig_advance(r, USEC(2));
    CHECK(rig_irq(r, IRQ));
    CHECK_EQ(get(r, ICR), ICR_TXDW);
}

/* A TCP segment with `payload` bytes behind 54 of headers; flags FIN, PSH, ACK. */
static void make_tcp(u8 *p, u32 payload)
{
    static const u8 head[] = {
        0x52, 0x54, 0, 0xaa, 0xbb, 0xcc, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 0,
        0x45, 0, 0, 0, 0x12, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,
        0x10, 0, 0, 80, 0xff, 0xff, 0xff, 0x00, 0, 0, 0, 1, 0x50, 0x19, 1, 0, 0, 0, 0, 0,
    };

    memcpy(p, head, sizeof(head));
    put_be16(p + 16, payload + 40);
    for (u32 i = 0; i < payload; i++)
        p[54 + i] = (u8)(i * 7 + i / 256);
}

static bool sums_good(const u8 *frame, u32 size)
{
    struct nic_headers h;

    nic_parse(&h, frame, size);
    return h.ipv4 && nic_ip_sum_good(&h, frame) && nic_l4_has_sum(&h, frame) &&
           nic_l4_sum_good(&h, frame);
}

TEST(e1000, cuts_a_segment_and_inserts_checksums)
{
    struct rig *r = running();
    u8 p[54 + 2500];
    struct nic_headers h;

    make_tcp(p, 2500);
    nic_parse(&h, p, 54 + 40); /* the pseudo header without a length, as drivers leave it */
    put_be16(p + 50, inet_sum(6, p + 26, 8));
    phys_write(r->m, TX_DATA, p, sizeof(p));
    tx_descriptor(r, 14 | 24 << 8 | 33 << 16 | (u64)34 << 32 | (u64)50 << 40, 0x27000000 | 2500,
                  54 << 8 | 1000u << 16);
    tx_descriptor(r, TX_DATA, 0x24100000 | 54, 3 << 8);
    tx_descriptor(r, TX_DATA + 54, 0x2d100000 | 2500, 3 << 8);
    CHECK_EQ(wire.sent, 3);
    for (u32 i = 0; i < 3; i++) {
        const u8 *f = wire.frame[i];

        CHECK_EQ(wire.size[i], i < 2 ? 1054 : 554);
        CHECK(sums_good(f, wire.size[i]));
        CHECK_EQ(get_be16(f + 18), 0x12ff + i);
        CHECK_EQ((u32)(get_be16(f + 38) << 16 | get_be16(f + 40)), 0xffffff00u + 1000 * i);
        CHECK_EQ(f[47], i < 2 ? 0x10 : 0x19);
        CHECK(!memcmp(f + 54, p + 54 + 1000 * i, wire.size[i] - 54));
    }
}

TEST(e1000, tags_frames_and_takes_tags_off)
{
    struct rig *r = running();
    u8 frame[100], tagged[104], in[100];
    u16 special;

    set(r, CTRL, CTRL_VME);
    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 3);
    phys_write(r->m, TX_DATA, frame, sizeof(frame));
    tx_descriptor(r, TX_DATA, 100 | 0x4b000000, 0x0123u << 16);
    CHECK_EQ(wire.size[0], 104);
    CHECK_EQ(get_be16(wire.frame[0] + 12), 0x8100);
    CHECK_EQ(get_be16(wire.frame[0] + 14), 0x0123);
    memcpy(tagged, wire.frame[0], 104);
    wire.n.receive(wire.n.dev, tagged, 104);
    CHECK_EQ(rx_status(r, 0), 0x0f); /* DD, EOP, IXSM, VP */
    phys_read(r->m, RX_RING + 14, &special, 2);
    CHECK_EQ(special, 0x0123);
    phys_read(r->m, RX_DATA, in, 100);
    CHECK(!memcmp(in, frame, 100));
    set(r, RCTL, RCTL_EN | RCTL_VFE);
    wire.n.receive(wire.n.dev, tagged, 104); /* not a member */
    CHECK_EQ(rx_status(r, 1), 0);
    set(r, VFTA + 0x123 / 32 * 4, 1 << (0x123 & 31));
    wire.n.receive(wire.n.dev, tagged, 104);
    CHECK(rx_status(r, 1));
}

/* ---- Receiving ---- */

TEST(e1000, receives_with_the_crc_unless_it_is_stripped)
{
    struct rig *r = running();
    u8 frame[300], in[304];

    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 5);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 300, 5));
    CHECK(rig_irq(r, IRQ));
    CHECK_EQ(get(r, ICR), ICR_RXT0);
    CHECK_EQ(get(r, RDH), 1);
    CHECK_EQ(rx_length(r, 0), 304);
    phys_read(r->m, RX_DATA, in, 304);
    CHECK(!memcmp(in, frame, 300));
    CHECK_EQ(ether_fcs(frame, 300),
             in[300] | in[301] << 8 | in[302] << 16 | (u32)in[303] << 24);
    set(r, RCTL, RCTL_EN | RCTL_SECRC | 3 << 16); /* buffers of 256 */
    CHECK(!nic_rig_give(&wire, nic_rig_mac, 300, 5) || rx_status(r, 1));
    wire.n.receive(wire.n.dev, frame, 300);
    CHECK_EQ(rx_length(r, 1), 256);
    CHECK_EQ(rx_status(r, 1) & 3, 1);
    CHECK_EQ(rx_length(r, 2), 44);
    CHECK_EQ(rx_status(r, 2) & 3, 3);
}

TEST(e1000, filters_addresses)
{
    struct rig *r = running();
    u8 group[6] = { 0x01, 0, 0x5e, 0, 0x12, 0x34 };

    nic_rig_give(&wire, nic_rig_other, 60, 1);
    nic_rig_give(&wire, group, 60, 1);
    CHECK_EQ(get(r, RDH), 0);
    nic_rig_give(&wire, nic_rig_broadcast, 60, 1);
    CHECK_EQ(get(r, RDH), 1);
    set(r, MTA + (0x341 >> 5) * 4, 1 << (0x341 & 31));
    nic_rig_give(&wire, group, 60, 1);
    CHECK_EQ(get(r, RDH), 2);
    CHECK(rx_status(r, 1) & 0x80); /* a hash: the driver has to look */
    set(r, RCTL, RCTL_EN | RCTL_UPE);
    nic_rig_give(&wire, nic_rig_other, 60, 1);
    CHECK_EQ(get(r, RDH), 3);
    CHECK_EQ(get(r, GPRC), 3);
}

TEST(e1000, full_ring_waits_then_misses)
{
    struct rig *r = running();
    u8 frame[60];

    nic_rig_frame(frame, nic_rig_mac, 60, 1);
    for (u32 i = 0; i < N - 1; i++)
        CHECK(nic_rig_give(&wire, nic_rig_mac, 60, 1));
    CHECK(get(r, ICR) & ICR_RXDMT0);
    CHECK(!nic_rig_give(&wire, nic_rig_mac, 60, 1));
    wire.n.receive(wire.n.dev, frame, 60);
    CHECK(get(r, ICR) & ICR_RXO);
    CHECK_EQ(get(r, MPC), 1);
    wire.asked = 0;
    set(r, RDT, 2);
    CHECK_EQ(wire.asked, 1);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 60, 1));
    nic_rig_config_write(r, 4, PCI_COMMAND_MEMORY); /* no bus master: off */
    CHECK(wire.n.can_receive(wire.n.dev));
}

TEST(e1000, checks_checksums)
{
    struct rig *r = running();
    u8 p[54 + 100], errors;

    make_tcp(p, 100);
    put_be16(p + 24, (u16)~inet_sum(0, p + 14, 20));
    put_be16(p + 50, (u16)~inet_sum(inet_sum(6 + 120, p + 26, 8), p + 34, 120));
    memcpy(p, nic_rig_mac, 6);
    CHECK(sums_good(p, sizeof(p)));
    set(r, RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
    wire.n.receive(wire.n.dev, p, sizeof(p));
    CHECK_EQ(rx_status(r, 0), 0x63);
    phys_read(r->m, RX_RING + 13, &errors, 1);
    CHECK_EQ(errors, 0);
    p[60] ^= 1;
    wire.n.receive(wire.n.dev, p, sizeof(p));
    phys_read(r->m, RX_RING + 16 + 13, &errors, 1);
    CHECK_EQ(errors, 0x20);
    p[22] ^= 1;
    wire.n.receive(wire.n.dev, p, sizeof(p));
    phys_read(r->m, RX_RING + 32 + 13, &errors, 1);
    CHECK_EQ(errors, 0x60);
}

/* ---- Interrupts ---- */

TEST(e1000, interrupts_not_more_often_than_itr_says)
{
    struct rig *r = running();

    set(r, ITR, 4000); /* 1.024 ms */
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    CHECK(rig_irq(r, IRQ));
    get(r, ICR);
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    CHECK(!rig_irq(r, IRQ));
    rig_advance(r, USEC(1000));
    CHECK(!rig_irq(r, IRQ));
    rig_advance(r, USEC(30));
    CHECK(rig_irq(r, IRQ));
    set(r, IMC, ~0u);
    CHECK(!rig_irq(r, IRQ));
    set(r, ITR, 0);
    set(r, ICS, ICR_LSC);
    CHECK(!rig_irq(r, IRQ));
    set(r, IMS, ICR_LSC);
    CHECK(rig_irq(r, IRQ));
}

TEST(e1000, tells_of_received_frames_after_rdtr_or_radv)
{
    struct rig *r = running();

    set(r, RDTR, 100);
    set(r, RADV, 150);
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    rig_advance(r, USEC(90));
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    rig_advance(r, USEC(60));
    CHECK(!rig_irq(r, IRQ));
    rig_advance(r, USEC(5));
    CHECK(rig_irq(r, IRQ));
    get(r, ICR);
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    set(r, RDTR, 100 | DELAY_NOW);
    CHECK(rig_irq(r, IRQ));
}

/* ---- Hostile guests ---- */

TEST(e1000, descriptors_that_lead_to_its_own_registers_find_them_deaf)
{
    struct rig *r = running();
    u32 kick[15] = { 0 };

    set(r, RCTL, RCTL_EN | RCTL_MPE | RCTL_LBM); /* what is sent comes in */
    for (u32 i = 0; i < N; i++) {
        u64 own = BASE + TDT - 12;

        phys_write(r->m, RX_RING + i * 16, &own, 8);
    }
    for (u32 i = 0; i < ARRAY_SIZE(kick); i++)
        kick[i] = 5;
    phys_write(r->m, TX_DATA, kick, sizeof(kick));
    tx_descriptor(r, TX_DATA, 60 | 0x0b000000, 0);
    CHECK_EQ(get(r, TDT), 1);
    CHECK_EQ(get(r, RDH), 1);
}

TEST(e1000, a_ring_of_the_largest_size_goes_in_slices)
{
    struct rig *r = running();
    u32 d[4] = { TX_DATA, 0, 0x0b000000 | 0xffff, 0 };

    for (u32 i = 0; i < 0x10000 - 16; i++)
        phys_write(r->m, 0x100000 + i * 16, d, 16);
    set(r, TDBAL, 0x100000);
    set(r, TDLEN, 0xfff80);
    set(r, TDT, 0xffff - 16);
    CHECK(get(r, TDH) < 100);
    CHECK_EQ(wire.sent, 0); /* longer than a frame */
    rig_advance(r, 0);
    set(r, TDH, 0xffff); /* outside: nothing more */
    rig_advance(r, 1);
    CHECK_EQ(get(r, TDH), 0xffff);
}
