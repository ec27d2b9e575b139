/*
 * The RTL8139C+ as drivers use it: EEPROM, slots and the ring of bytes, descriptors with
 * checksums and segments, the timer; and what no driver would write.
 */
#include "devices/rtl8139.h"
#include "devices/rtl8139_private.h"
#include "tests/devices/nic_rig.h"

#include <string.h>

enum {
    P = 0xc000, MEMORY = 0xe1000000, IRQ = 11, RING = 0x10000, TX = 0x20000, TX_RING = 0x30000,
    RX_RING = 0x31000, RX = 0x40000,
};

static struct nic_rig wire;

static struct rig *card(void)
{
    struct rig *r = rig_new(NULL, NULL);

    nic_rig_init(&wire);
    wire.config.slot.bus = pci_rig_add(r)->slot.bus;
    rig_add(r, &rtl8139_class, &wire.config);
    rig_out32(r, 0xcf8, 0x80000860); /* PIRQ C, where slot 3's pin A goes, to 11 */
    rig_out32(r, 0xcfc, 0x800b8080);
    nic_rig_config_write(r, 0x14, MEMORY);
    nic_rig_place(r, 0, P);
    return r;
}

/* As a RTL8139: 8 KiB of ring. */
static struct rig *running(void)
{
    struct rig *r = card();

    rig_out8(r, P + CR, CR_RST);
    rig_out32(r, P + RBSTART, RING);
    rig_out8(r, P + CR, CR_RE | CR_TE);
    rig_out32(r, P + RCR, RCR_APM | RCR_AB | RCR_AM);
    rig_out16(r, P + IMR, 0xffff);
    return r;
}

static void put(struct rig *r, gpa_t at, u32 a, u32 b, u32 c)
{
    u32 d[4] = { a, b, c, 0 };

    phys_write(r->m, at, d, 16);
}

static u32 word(struct rig *r, gpa_t at)
{
    u32 val;

    phys_read(r->m, at, &val, 4);
    return val;
}

/* In C+ mode: two descriptors to receive into, and a ring to send from. */
static struct rig *cplus(u16 more)
{
    struct rig *r = card();

    rig_out16(r, P + CPCR, CPCR_TX | CPCR_RX | more);
    put(r, RX_RING, 0x80000000 | 1600, 0, RX);
    put(r, RX_RING + 16, 0xc0000000 | 1600, 0, RX + 2048);
    rig_out32(r, P + RDSAR, RX_RING);
    rig_out32(r, P + TNPDS, TX_RING);
    rig_out8(r, P + CR, CR_RE | CR_TE);
    rig_out32(r, P + RCR, RCR_APM | RCR_AB);
    rig_out16(r, P + IMR, 0xffff);
    return r;
}

static u16 eeprom(struct rig *r, u32 at)
{
    u32 command = 0x180 | at, val = 0;

    rig_out8(r, P + R9346CR, 0x80);
    for (u32 i = 9; i-- > 0;) {
        u8 in = 0x88 | (command >> i & 1 ? 2 : 0);

        rig_out8(r, P + R9346CR, in);
        rig_out8(r, P + R9346CR, in | 4);
    }
    for (u32 i = 0; i < 16; i++) {
        rig_out8(r, P + R9346CR, 0x88);
        rig_out8(r, P + R9346CR, 0x8c);
        val = val << 1 | (rig_in8(r, P + R9346CR) & 1);
    }
    rig_out8(r, P + R9346CR, 0);
    return (u16)val;
}

TEST(rtl8139, has_an_address_an_eeprom_and_registers_in_memory)
{
    struct rig *r = card();

    CHECK_EQ(nic_rig_config_read(r, 0), 0x813910ec);
    CHECK_EQ(nic_rig_config_read(r, 8), 0x02000020);
    CHECK_EQ(rig_in32(r, P), 0x12005452);
    CHECK_EQ(bus_mmio_read(r->m, MEMORY + 4, 2), 0x5634);
    CHECK_EQ(eeprom(r, 0), 0x8129);
    CHECK_EQ(eeprom(r, 7), 0x5452);
    CHECK_EQ(rig_in32(r, P + TCR) & 0x7cc00000, 0x74800000);
    rig_out8(r, P, 0); /* locked */
    CHECK_EQ(rig_in8(r, P), 0x52);
    rig_out8(r, P + R9346CR, 0xc0);
    rig_out8(r, P, 0);
    CHECK_EQ(rig_in8(r, P), 0);
}

TEST(rtl8139, sends_from_slots)
{
    struct rig *r = running();
    u8 frame[200];

    nic_rig_frame(frame, nic_rig_other, sizeof(frame), 9);
    phys_write(r->m, TX, frame, sizeof(frame));
    rig_out32(r, P + TSAD0 + 8, TX);
    rig_out32(r, P + TSD0 + 8, 200);
    CHECK_EQ(wire.size[0], 200);
    CHECK(!memcmp(wire.frame[0], frame, 200));
    CHECK_EQ(rig_in32(r, P + TSD0 + 8), 200 | TSD_OWN | TSD_TOK);
    CHECK_EQ(rig_in16(r, P + TSAD), 0x400f);
    CHECK(rig_irq(r, IRQ));
    rig_out16(r, P + ISR, ISR_TOK);
    CHECK(!rig_irq(r, IRQ));
}

TEST(rtl8139, receives_into_a_ring_that_wraps)
{
    struct rig *r = running();
    u8 frame[1500], in[1500];
    u32 at = 0, n;

    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 4);
    CHECK(rig_in8(r, P + CR) & CR_BUFE);
    for (n = 0; nic_rig_give(&wire, nic_rig_mac, 1500, 4); n++)
        ;
    CHECK_EQ(n, 5);
    CHECK(!(rig_in8(r, P + CR) & CR_BUFE));
    CHECK_EQ(word(r, RING), 0x4001 | 1504 << 16);
    wire.n.receive(wire.n.dev, frame, 1500); /* full */
    CHECK(rig_in16(r, P + ISR) & ISR_RXOVW);
    CHECK_EQ(rig_in32(r, P + MPC), 1);
    for (u32 i = 0; i < 5; i++)
        at += 1508;
    rig_out16(r, P + CAPR, at - 16);
    CHECK(rig_in8(r, P + CR) & CR_BUFE);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 1500, 4));
    phys_read(r->m, RING + at + 4, in, 8192 - at - 4);
    phys_read(r->m, RING, in + 8192 - at - 4, 1500 - (8192 - at - 4));
    CHECK(!memcmp(in, frame, 1500));
    CHECK_EQ(rig_in16(r, P + CBR), at + 1508 - 8192);
}

TEST(rtl8139, with_wrap_a_frame_goes_on_behind_the_ring)
{
    struct rig *r = running();
    u8 frame[1500], in[1500];

    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 4);
    rig_out32(r, P + RCR, RCR_APM | RCR_WRAP);
    for (u32 i = 0; i < 5; i++) {
        nic_rig_give(&wire, nic_rig_mac, 1500, 4);
        rig_out16(r, P + CAPR, rig_in16(r, P + CBR) - 16);
    }
    CHECK(nic_rig_give(&wire, nic_rig_mac, 1500, 4));
    phys_read(r->m, RING + 5 * 1508 + 4, in, 1500);
    CHECK(!memcmp(in, frame, 1500));
    CHECK_EQ(rig_in16(r, P + CBR), 6 * 1508 - 8192);
}

TEST(rtl8139, receives_into_descriptors)
{
    struct rig *r = cplus(0);
    u8 frame[100], in[100];

    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 6);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 100, 6));
    CHECK_EQ(word(r, RX_RING), 0x32000000 | 104); /* FS, LS, PAM */
    phys_read(r->m, RX, in, 100);
    CHECK(!memcmp(in, frame, 100));
    CHECK(nic_rig_give(&wire, nic_rig_broadcast, 100, 6));
    CHECK_EQ(word(r, RX_RING + 16), 0x71000000 | 104); /* EOR, FS, LS, BAR */
    CHECK(!nic_rig_give(&wire, nic_rig_mac, 100, 6));
    put(r, RX_RING, 0x80000000 | 1600, 0, RX);
    wire.asked = 0;
    rig_advance(r, MSEC(2)); /* it looks again */
    CHECK_EQ(wire.asked, 1);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 100, 6));
}

static const u8 tcp_head[54] = {
    0x52, 0x54, 0, 0xaa, 0xbb, 0xcc, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 0,
    0x45, 0, 0, 0, 0x12, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,
    0x10, 0, 0, 80, 0xff, 0xff, 0xff, 0x00, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
};

static bool sums_good(const u8 *frame, u32 size)
{
    struct nic_headers h;

    nic_parse(&h, frame, size);
    return h.ipv4 && nic_ip_sum_good(&h, frame) && nic_l4_has_sum(&h, frame) &&
           nic_l4_sum_good(&h, frame);
}

TEST(rtl8139, cuts_segments_and_inserts_checksums_itself)
{
    struct rig *r = cplus(CPCR_SUMS);
    u8 p[2554] = { 0 };

    memcpy(p, tcp_head, sizeof(tcp_head));
    put_be16(p + 16, 2540);
    phys_write(r->m, TX, p, sizeof(p));
    put(r, TX_RING, 0xa0000000 | 1 << 27 | 1000 << 16 | 1000, 0, TX); /* OWN, FS, LGSEN */
    put(r, TX_RING + 16, 0xd0000000 | 1554, 0, TX + 1000);            /* OWN, EOR, LS */
    rig_out8(r, P + TPPOLL, POLL_NORMAL);
    CHECK_EQ(wire.sent, 3);
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(wire.size[i], i < 2 ? 1054 : 554);
        CHECK(sums_good(wire.frame[i], wire.size[i]));
    }
    CHECK(!(word(r, TX_RING) >> 31));
    CHECK_EQ(rig_in16(r, P + ISR), ISR_TOK | ISR_TDU);
    memcpy(p, nic_rig_mac, 6);
    memcpy(wire.frame[2], nic_rig_mac, 6);
    wire.n.receive(wire.n.dev, wire.frame[2], 554);
    CHECK_EQ(word(r, RX_RING), 0x32010000 | 558); /* TCP, good */
    wire.frame[2][100] ^= 1;
    wire.n.receive(wire.n.dev, wire.frame[2], 554);
    CHECK_EQ(word(r, RX_RING + 16), 0x72012000 | 558); /* TCPF */
}

TEST(rtl8139, tags)
{
    struct rig *r = cplus(CPCR_VLAN);
    u8 frame[100];

    nic_rig_frame(frame, nic_rig_mac, 100, 5);
    phys_write(r->m, TX, frame, 100);
    put(r, TX_RING, 0xf0000000 | 100, 1 << 17 | 0x2301, TX);
    rig_out8(r, P + TPPOLL, POLL_NORMAL);
    CHECK_EQ(wire.size[0], 104);
    CHECK_EQ(get_be16(wire.frame[0] + 14), 0x0123);
    wire.n.receive(wire.n.dev, wire.frame[0], 104);
    CHECK_EQ(word(r, RX_RING + 4), 1 << 16 | 0x2301);
    CHECK_EQ(word(r, RX_RING) & 0x1fff, 104);
}

TEST(rtl8139, timer_interrupts_after_33_million_counts_a_second)
{
    struct rig *r = running();

    rig_out32(r, P + TCTR, 0);
    rig_out32(r, P + TIMERINT, 33000);
    rig_advance(r, USEC(999));
    CHECK(!(rig_in16(r, P + ISR) & ISR_TIMEOUT));
    CHECK_EQ(rig_in32(r, P + TCTR), 32967);
    rig_advance(r, USEC(3));
    CHECK(rig_in16(r, P + ISR) & ISR_TIMEOUT);
}

TEST(rtl8139, link_and_counters)
{
    struct rig *r = cplus(0);
    struct rtl_tally t;

    CHECK_EQ(rig_in8(r, P + MSR) & 4, 0);
    wire.n.link = false;
    wire.n.link_changed(wire.n.dev);
    CHECK_EQ(rig_in8(r, P + MSR) & 4, 4);
    CHECK(rig_in16(r, P + ISR) & ISR_LINK);
    nic_rig_give(&wire, nic_rig_mac, 60, 1);
    rig_out32(r, P + DTCCR + 4, 0);
    rig_out32(r, P + DTCCR, 0x50000 | 8);
    CHECK_EQ(rig_in32(r, P + DTCCR), 0x50000);
    phys_read(r->m, 0x50000, &t, sizeof(t));
    CHECK_EQ(t.rx_ok, 1);
    CHECK_EQ(t.rx_ours, 1);
}

TEST(rtl8139, descriptors_that_lead_to_its_own_registers_find_them_deaf)
{
    struct rig *r = cplus(0);
    u8 poll[60];

    memset(poll, 0x40, sizeof(poll));
    phys_write(r->m, TX, poll, sizeof(poll));
    rig_out32(r, P + TCR, TCR_LBK); /* what is sent comes in */
    rig_out32(r, P + RCR, RCR_AAP);
    put(r, RX_RING, 0xc0000000 | 1600, 0, MEMORY + TPPOLL - 20);
    put(r, TX_RING, 0xf0000000 | 60, 0, TX);
    rig_out8(r, P + TPPOLL, POLL_NORMAL);
    CHECK_EQ(word(r, RX_RING) >> 28, 7);
    CHECK_EQ(rig_in8(r, P + CR), CR_RE | CR_TE | CR_BUFE);
    put(r, TX_RING, 0x80000000, 0, 0); /* a ring that does not end, and is given back at once */
    rig_out32(r, P + TNPDS, RX_RING - 0x40000000);
    rig_out8(r, P + TPPOLL, POLL_NORMAL | POLL_HIGH);
    rig_advance(r, MSEC(1));
    CHECK_EQ(wire.sent, 0);
}
