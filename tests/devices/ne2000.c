/*
 * NE2000 cards as drivers use them: remote DMA, the receive ring, overrun, address filter,
 * loopback; and registers no driver would write.
 */
#include "devices/ne2000.h"
#include "devices/i440fx.h"
#include "tests/devices/nic_rig.h"

#include <string.h>

enum { /* ports at 300 */
    CR = 0x300, PSTART = 0x301, PSTOP = 0x302, BNRY = 0x303, TSR = 0x304, TPSR = 0x304,
    TBCR0 = 0x305, TBCR1 = 0x306, FIFO = 0x306, ISR = 0x307, RSAR0 = 0x308, RSAR1 = 0x309,
    RBCR0 = 0x30a, RBCR1 = 0x30b, RCR = 0x30c, RSR = 0x30c, TCR = 0x30d, DCR = 0x30e,
    CNTR2 = 0x30f, IMR = 0x30f, PAR0 = 0x301, CURR = 0x307, MAR0 = 0x308, DATA = 0x310,
    RESET = 0x31f, PRX = 0x01, PTX = 0x02, RXE = 0x04, OVW = 0x10, RDC = 0x40, RST = 0x80,
    IRQ = 9, TX_PAGE = 0x40, RX_PAGE = 0x46, END_PAGE = 0x80,
};

static struct nic_rig wire;

/* Words, normal operation, ring 46 to 7F, broadcasts and our own. */
static struct rig *running(void)
{
    struct rig *r;

    nic_rig_init(&wire);
    r = rig_new(&ne2k_isa_class, &wire.config);
    rig_out8(r, CR, 0x21);
    rig_out8(r, DCR, 0x49);
    rig_out8(r, RCR, 0x04);
    rig_out8(r, TCR, 0x00);
    rig_out8(r, PSTART, RX_PAGE);
    rig_out8(r, PSTOP, END_PAGE);
    rig_out8(r, BNRY, RX_PAGE);
    rig_out8(r, ISR, 0xff);
    rig_out8(r, IMR, 0x3f);
    rig_out8(r, CR, 0x61);
    for (u32 i = 0; i < 6; i++)
        rig_out8(r, PAR0 + i, nic_rig_mac[i]);
    rig_out8(r, CURR, RX_PAGE + 1);
    rig_out8(r, CR, 0x22);
    return r;
}

static u8 curr(struct rig *r)
{
    u8 page;

    rig_out8(r, CR, 0x62);
    page = rig_in8(r, CURR);
    rig_out8(r, CR, 0x22);
    return page;
}

static void remote(struct rig *r, u16 address, u16 count, u8 command)
{
    rig_out8(r, RSAR0, address & 0xff);
    rig_out8(r, RSAR1, address >> 8);
    rig_out8(r, RBCR0, count & 0xff);
    rig_out8(r, RBCR1, count >> 8);
    rig_out8(r, CR, command);
}

static void remote_read(struct rig *r, u16 address, void *buf, u16 count)
{
    remote(r, address, count, 0x0a);
    for (u32 i = 0; i < count; i += 2) {
        u16 val = rig_in16(r, DATA);

        memcpy((u8 *)buf + i, &val, 2);
    }
}

static void remote_write(struct rig *r, u16 address, const void *buf, u16 count)
{
    remote(r, address, count, 0x12);
    for (u32 i = 0; i < count; i += 2) {
        u16 val;

        memcpy(&val, (const u8 *)buf + i, 2);
        rig_out16(r, DATA, val);
    }
}

static void transmit(struct rig *r, const u8 *frame, u16 size)
{
    remote_write(r, TX_PAGE << 8, frame, (size + 1) & ~1);
    rig_out8(r, TPSR, TX_PAGE);
    rig_out8(r, TBCR0, size & 0xff);
    rig_out8(r, TBCR1, size >> 8);
    rig_out8(r, CR, 0x26);
}

TEST(ne2000, prom_holds_the_address_twice_and_the_signature)
{
    struct rig *r = running();
    u8 prom[32];

    rig_out8(r, DCR, 0x48); /* bytes, as drivers probe */
    remote(r, 0, 32, 0x0a);
    for (u32 i = 0; i < 32; i++)
        prom[i] = rig_in8(r, DATA);
    for (u32 i = 0; i < 12; i++)
        CHECK_EQ(prom[i], nic_rig_mac[i / 2]);
    CHECK_EQ(prom[28], 0x57);
    CHECK_EQ(prom[31], 0x57);
    CHECK_EQ(rig_in8(r, ISR) & RDC, RDC);
}

TEST(ne2000, remote_dma_moves_words_and_says_when_it_is_done)
{
    struct rig *r = running();
    u8 in[64], out[64];

    for (u32 i = 0; i < sizeof(out); i++)
        out[i] = 3 * i;
    remote_write(r, 0x4100, out, sizeof(out));
    CHECK_EQ(rig_in8(r, ISR), RDC);
    CHECK(!rig_irq(r, IRQ)); /* masked */
    rig_out8(r, ISR, RDC);
    remote_read(r, 0x4100, in, sizeof(in));
    CHECK(!memcmp(in, out, sizeof(in)));
    CHECK_EQ(rig_in8(r, ISR), RDC);
    CHECK_EQ(rig_in16(r, DATA), 0xffff); /* nothing is left */
    rig_out8(r, IMR, RDC);
    CHECK(rig_irq(r, IRQ));
}

TEST(ne2000, strings_have_the_effect_of_single_accesses)
{
    struct rig *r = running();
    u8 out[96], in[96] = { 0 };

    for (u32 i = 0; i < sizeof(out); i++)
        out[i] = 7 * i;
    remote(r, 0x5000, sizeof(out), 0x12);
    CHECK(bus_has_strings(r->m, DATA, IO_16));
    CHECK_EQ(bus_out_string(r->m, DATA, IO_16, out, sizeof(out) / 2), sizeof(out) / 2);
    CHECK_EQ(rig_in8(r, ISR), RDC);
    remote(r, 0x5000, sizeof(in), 0x0a);
    CHECK_EQ(bus_in_string(r->m, DATA, IO_16, in, sizeof(in) / 2), sizeof(in) / 2);
    CHECK(!memcmp(in, out, sizeof(in)));
    CHECK_EQ(bus_in_string(r->m, CR, IO_16, in, 4), 0); /* registers are no data port */
}

TEST(ne2000, memory_ends_where_the_card_s_does)
{
    struct rig *r = running();
    u8 in[4], out[4] = { 1, 2, 3, 4 };

    remote_write(r, 0x8000, out, 4);
    remote_read(r, 0x8000, in, 4);
    CHECK_EQ(in[0], 0xff);
    remote_write(r, 0x3ffe, out, 4); /* half of it */
    remote_read(r, 0x3ffe, in, 4);
    CHECK_EQ(in[1], 0xff);
    CHECK_EQ(in[2], 3);
    remote_write(r, 0, out, 4); /* the PROM is read-only */
    remote_read(r, 0, in, 4);
    CHECK_EQ(in[0], nic_rig_mac[0]);
}

TEST(ne2000, sends_what_lies_at_tpsr)
{
    struct rig *r = running();
    u8 frame[200];

    nic_rig_frame(frame, nic_rig_other, sizeof(frame), 9);
    transmit(r, frame, sizeof(frame));
    CHECK_EQ(wire.sent, 1);
    CHECK_EQ(wire.size[0], sizeof(frame));
    CHECK(!memcmp(wire.frame[0], frame, sizeof(frame)));
    CHECK_EQ(rig_in8(r, ISR) & PTX, PTX);
    CHECK_EQ(rig_in8(r, TSR) & 1, 1);
    CHECK_EQ(rig_in8(r, CR) & 4, 0);
    CHECK(rig_irq(r, IRQ));
    rig_out8(r, ISR, PTX);
    CHECK(!rig_irq(r, IRQ));
}

TEST(ne2000, a_stopped_card_sends_and_receives_nothing)
{
    struct rig *r = running();

    rig_out8(r, CR, 0x21);
    rig_out8(r, CR, 0x25);
    CHECK_EQ(wire.sent, 0);
    CHECK(nic_rig_give(&wire, nic_rig_broadcast, 60, 0));
    CHECK_EQ(rig_in8(r, ISR), RST);
    CHECK_EQ(wire.asked, 2); /* when BNRY was written and when it was started */
}

/* Drivers change the page by writing nothing else: the receiver goes on. */
TEST(ne2000, a_command_without_start_and_stop_changes_neither)
{
    struct rig *r = running();

    rig_out8(r, CR, 0x40);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 60, 0));
    CHECK_EQ(rig_in8(r, CURR), RX_PAGE + 2);
    rig_out8(r, CR, 0x00);
    CHECK_EQ(rig_in8(r, ISR), PRX);
    rig_out8(r, CR, 0x01);
    rig_out8(r, CR, 0x40);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 60, 0));
    CHECK_EQ(rig_in8(r, CURR), RX_PAGE + 2);
}

TEST(ne2000, a_frame_lies_in_the_ring_behind_its_header)
{
    struct rig *r = running();
    u8 got[4 + 300 + 4], want[300];

    nic_rig_frame(want, nic_rig_mac, 300, 5);
    CHECK(nic_rig_give(&wire, nic_rig_mac, 300, 5));
    CHECK_EQ(rig_in8(r, ISR), PRX);
    CHECK(rig_irq(r, IRQ));
    CHECK_EQ(curr(r), RX_PAGE + 3);
    remote_read(r, (RX_PAGE + 1) << 8, got, sizeof(got));
    CHECK_EQ(got[0], 0x01);
    CHECK_EQ(got[1], RX_PAGE + 3);
    CHECK_EQ(got[2] | got[3] << 8, 304);
    CHECK(!memcmp(got + 4, want, 300));
    CHECK_EQ(got[304] | got[305] << 8 | got[306] << 16 | (u32)got[307] << 24,
             ether_fcs(want, 300));
}

/* Many times around: data wraps from the last page to the first, for the chip and for remote
 * reads. */
TEST(ne2000, the_ring_wraps)
{
    struct rig *r = running();
    u8 next = RX_PAGE + 1, got[4 + 700], want[700];

    for (u32 i = 0; i < 100; i++) {
        nic_rig_frame(want, nic_rig_mac, 700, i);
        CHECK(nic_rig_give(&wire, nic_rig_mac, 700, i));
        remote_read(r, next << 8, got, sizeof(got));
        CHECK(!memcmp(got + 4, want, 700));
        next = got[1];
        CHECK(next >= RX_PAGE && next < END_PAGE);
        CHECK_EQ(curr(r), next);
        rig_out8(r, BNRY, next == RX_PAGE ? END_PAGE - 1 : next - 1);
    }
}

TEST(ne2000, a_full_ring_makes_frames_wait_and_then_overruns)
{
    struct rig *r = running();
    u8 frame[1514], last;
    u32 n = 0, asked;

    while (nic_rig_give(&wire, nic_rig_mac, 1514, n))
        n++;
    CHECK_EQ(n, 9); /* 57 pages are free, six a frame */
    last = curr(r);
    CHECK_EQ(rig_in8(r, ISR), PRX);
    nic_rig_frame(frame, nic_rig_mac, 1514, 0);
    wire.n.receive(wire.n.dev, frame, 1514);
    CHECK_EQ(rig_in8(r, ISR), PRX | OVW);
    CHECK_EQ(rig_in8(r, CNTR2), 1);
    CHECK_EQ(rig_in8(r, CNTR2), 0); /* reading clears */
    CHECK_EQ(curr(r), last);
    rig_out8(r, ISR, PRX | OVW); /* the driver has had its share: there is more */
    CHECK_EQ(rig_in8(r, ISR), PRX);
    asked = wire.asked;
    rig_out8(r, BNRY, RX_PAGE + 7);
    CHECK_EQ(wire.asked, asked + 1);
    rig_out8(r, ISR, PRX);
    CHECK_EQ(rig_in8(r, ISR), 0);
}

TEST(ne2000, the_filter_knows_whom_a_frame_is_for)
{
    struct rig *r = running();
    u32 hash = ether_crc(nic_rig_group, 6) >> 26;

    rig_out8(r, RCR, 0x00);
    nic_rig_give(&wire, nic_rig_other, 60, 0);
    nic_rig_give(&wire, nic_rig_broadcast, 60, 0);
    nic_rig_give(&wire, nic_rig_group, 60, 0);
    CHECK_EQ(rig_in8(r, ISR), 0);
    rig_out8(r, RCR, 0x08); /* AM, with an empty table */
    nic_rig_give(&wire, nic_rig_group, 60, 0);
    CHECK_EQ(rig_in8(r, ISR), 0);
    rig_out8(r, CR, 0x62);
    rig_out8(r, MAR0 + hash / 8, 1 << (hash & 7));
    rig_out8(r, CR, 0x22);
    nic_rig_give(&wire, nic_rig_group, 60, 0);
    CHECK_EQ(rig_in8(r, ISR), PRX);
    CHECK_EQ(rig_in8(r, RSR), 0x21); /* PHY: a group address */
    rig_out8(r, ISR, PRX);
    rig_out8(r, RCR, 0x10); /* promiscuous */
    nic_rig_give(&wire, nic_rig_other, 60, 0);
    CHECK_EQ(rig_in8(r, ISR), PRX);
    CHECK_EQ(rig_in8(r, RSR), 0x01);
}

/* 01:00:5e:00:00:01 has its bit in the first word of every driver's table for "all hosts". */
TEST(ne2000, the_hash_is_ethernet_s)
{
    CHECK_EQ(ether_crc(nic_rig_group, 6) >> 26, 31);
    /* CBF43926 complemented and mirrored */
    CHECK_EQ(ether_crc((const u8 *)"123456789", 9), 0x9b63d02c);
    CHECK_EQ(ether_fcs((const u8 *)"123456789", 9), 0xcbf43926);
}

TEST(ne2000, runts_and_giants_are_dropped)
{
    struct rig *r = running();

    nic_rig_give(&wire, nic_rig_mac, 59, 0);
    CHECK_EQ(rig_in8(r, ISR), 0);
    rig_out8(r, RCR, 0x06); /* accept runts */
    nic_rig_give(&wire, nic_rig_mac, 59, 0);
    CHECK_EQ(rig_in8(r, ISR), PRX);
    rig_out8(r, ISR, PRX);
    wire.n.receive(wire.n.dev, (const u8[4000]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 4000);
    wire.n.receive(wire.n.dev, nic_rig_mac, 6);
    CHECK_EQ(rig_in8(r, ISR), 0);
}

TEST(ne2000, monitor_mode_counts_and_keeps_nothing)
{
    struct rig *r = running();
    u8 page = curr(r);

    rig_out8(r, RCR, 0x24);
    nic_rig_give(&wire, nic_rig_mac, 60, 0);
    CHECK_EQ(rig_in8(r, ISR), 0);
    CHECK_EQ(curr(r), page);
    CHECK_EQ(rig_in8(r, RSR) & 0x41, 0x40);
    CHECK_EQ(rig_in8(r, CNTR2), 1);
}

/* Application note 937, table of results of mode 1. */
TEST(ne2000, loopback_gives_the_results_of_the_application_note)
{
    struct rig *r = running();
    u8 frame[64];
    u32 fcs;

    rig_out8(r, DCR, 0x41);
    rig_out8(r, TCR, 0x02);
    rig_out8(r, RCR, 0x00);
    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 1);
    fcs = ether_fcs(frame, sizeof(frame));
    transmit(r, frame, sizeof(frame));
    CHECK_EQ(wire.sent, 0);
    CHECK_EQ(rig_in8(r, TSR), 0x51);
    CHECK_EQ(rig_in8(r, RSR), 0x02);
    CHECK_EQ(rig_in8(r, ISR) & ~RDC, PTX | RXE);
    CHECK_EQ(rig_in8(r, FIFO), frame[63]);
    for (u32 i = 0; i < 4; i++)
        CHECK_EQ(rig_in8(r, FIFO), fcs >> 8 * i & 0xff);
    CHECK_EQ(rig_in8(r, FIFO), 68);
    CHECK_EQ(rig_in8(r, FIFO), 0);
    rig_out8(r, ISR, 0x7f);
    nic_rig_frame(frame, nic_rig_other, sizeof(frame), 1);
    transmit(r, frame, sizeof(frame));
    CHECK_EQ(rig_in8(r, RSR), 0x01);
    CHECK_EQ(rig_in8(r, ISR) & ~RDC, PTX);
}

TEST(ne2000, loopback_checks_a_crc_of_the_software_s)
{
    struct rig *r = running();
    u8 frame[64];
    u32 fcs;

    rig_out8(r, DCR, 0x41);
    rig_out8(r, TCR, 0x03);
    nic_rig_frame(frame, nic_rig_mac, sizeof(frame), 1);
    fcs = ether_fcs(frame, 60);
    memcpy(frame + 60, &fcs, 4);
    transmit(r, frame, sizeof(frame));
    CHECK_EQ(rig_in8(r, RSR), 0x01);
    frame[30] ^= 1;
    transmit(r, frame, sizeof(frame));
    CHECK_EQ(rig_in8(r, RSR), 0x02);
}

TEST(ne2000, send_packet_reads_the_ring_s_next_and_frees_it)
{
    struct rig *r = running();
    u8 got[304];

    rig_out8(r, BNRY, RX_PAGE + 1); /* as who uses the command has it */
    nic_rig_give(&wire, nic_rig_mac, 300, 77);
    rig_out8(r, CR, 0x1a);
    for (u32 i = 0; i < sizeof(got); i += 2) {
        u16 val = rig_in16(r, DATA);

        memcpy(got + i, &val, 2);
    }
    CHECK_EQ(got[2] | got[3] << 8, 304);
    CHECK_EQ(got[4 + 20], 77 + 20);
    CHECK_EQ(rig_in8(r, ISR) & RDC, RDC);
    CHECK_EQ(rig_in8(r, CR) & 0x38, 0x20);
}

TEST(ne2000, reading_the_reset_port_stops_the_card)
{
    struct rig *r = running();

    nic_rig_give(&wire, nic_rig_mac, 60, 0);
    CHECK(rig_irq(r, IRQ));
    rig_in8(r, RESET);
    CHECK_EQ(rig_in8(r, CR), 0x21);
    CHECK_EQ(rig_in8(r, ISR) & RST, RST);
    CHECK(!rig_irq(r, IRQ));
    rig_out8(r, ISR, 0xff);
    CHECK_EQ(rig_in8(r, ISR) & RST, RST); /* only starting clears it */
    rig_out8(r, CR, 0x22);
    CHECK_EQ(rig_in8(r, ISR) & RST, 0);
}

/* Rings that are none, beyond the memory, or upside down. */
TEST(ne2000, takes_rings_no_driver_would_make)
{
    static const u8 pages[] = { 0x00, 0x01, 0x3f, 0x40, 0x46, 0x7f, 0x80, 0x81, 0xc0, 0xff };
    struct rig *r = running();
    u8 frame[FRAME_MAX];
    u32 n = ARRAY_SIZE(pages), rounds = 0;

    nic_rig_frame(frame, nic_rig_broadcast, FRAME_MAX, 1);
    for (u32 i = 0; i < n * n * n * n; i++, rounds++) {
        rig_out8(r, PSTART, pages[i % n]);
        rig_out8(r, PSTOP, pages[i / n % n]);
        rig_out8(r, BNRY, pages[i / n / n % n]);
        rig_out8(r, CR, 0x62);
        rig_out8(r, CURR, pages[i / n / n / n]);
        rig_out8(r, CR, 0x22);
        wire.n.receive(wire.n.dev, frame, FRAME_MAX);
        rig_out8(r, CR, 0x1a);
        rig_in16(r, DATA);
    }
    remote(r, 0xffff, 0xffff, 0x0a);
    for (u32 i = 0; i < 0x8000; i++)
        rig_in16(r, DATA);
    CHECK_EQ(rig_in8(r, ISR) & RDC, RDC);
    CHECK_EQ(rounds, 10000);
    transmit(r, frame, 60);
    rig_out8(r, TPSR, 0xff);
    rig_out8(r, TBCR1, 0xff);
    rig_out8(r, CR, 0x26);
    CHECK_EQ(wire.size[1], FRAME_MAX);
}

/* ---- PCI ---- */

static struct rig *pci_running(void)
{
    struct rig *r = rig_new(NULL, NULL);

    nic_rig_init(&wire);
    wire.config.slot.bus = pci_rig_add(r)->slot.bus;
    rig_add(r, &ne2k_pci_class, &wire.config);
    return r;
}

TEST(ne2000, the_pci_card_answers_where_its_bar_says)
{
    struct rig *r = pci_running();

    CHECK_EQ(nic_rig_config_read(r, 0), 0x802910ec);
    CHECK_EQ(nic_rig_config_read(r, 8) >> 8, 0x020000);
    CHECK_EQ(nic_rig_config_read(r, 0x3c) >> 8 & 0xff, 1);
    CHECK_EQ(rig_in8(r, 0xc000), 0xff);
    nic_rig_place(r, 0, 0xc000);
    CHECK_EQ(rig_in8(r, 0xc000), 0x21);
    CHECK_EQ(rig_in8(r, 0xc00a), 'P');
    CHECK_EQ(rig_in8(r, 0xc00b), 'C');
    nic_rig_config_write(r, 0x10, 0xd000);
    CHECK_EQ(rig_in8(r, 0xc000), 0xff);
    CHECK_EQ(rig_in8(r, 0xd000), 0x21);
}

TEST(ne2000, the_pci_card_interrupts_by_its_pin)
{
    struct rig *r = pci_running();

    rig_out32(r, 0xcf8, 0x80000860); /* PIRQ C, where slot 3's pin A goes, to 11 */
    rig_out32(r, 0xcfc, 0x800b8080);
    nic_rig_place(r, 0, 0xc000);
    rig_out8(r, 0xc00f, 0x40);
    rig_out8(r, 0xc000, 0x0a); /* a remote read of nothing is done at once */
    CHECK(rig_irq(r, 11));
    rig_out8(r, 0xc007, 0x40);
    CHECK(!rig_irq(r, 11));
}
