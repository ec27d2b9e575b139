/*
 * The RTL8139C+'s transmitter: four slots of the RTL8139, and the two rings of descriptors of
 * the C+ mode (RTL8139C 5.3, RTL8139C+ 6.1).
 */
#include "devices/rtl8139_private.h"

enum {
    SIZE = 0x1fff, CP_LAST = 1 << 28, CP_FIRST = 1 << 29, CP_EOR = 1 << 30, CP_SIZE = 0xffff,
    CP_LARGE = 1 << 27, CP_IP = 1 << 18, CP_UDP = 1 << 17, CP_TCP = 1 << 16,
    CP_DONE = 0x0fff0000, TAG_INSERT = 1 << 17, VLAN_TYPE = 0x8100, VLAN_SIZE = 4,
    PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, TCP_SUM = 16, UDP_SUM = 6, IP_SUM = 10,
    TCP_HEADER = 20, UDP_HEADER = 8, SLICE = 128, SLICE_BYTES = 256 * 1024,
};
#define CP_OWN     (1u << 31)
#define SLICE_TIME USEC(20)

/* ---- Frames ---- */

static void frame_out(struct device *dev, const u8 *frame, u32 size)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;
    u8 padded[FRAME_MIN] = { 0 };

    if (size < FRAME_MIN) {
        memcpy(padded, frame, size);
        frame = padded;
        size = FRAME_MIN;
    }
    n->tally.tx_ok++;
    if ((rtl_get32(n, TCR) & TCR_LBK) == TCR_LBK)
        rtl8139_receive(dev, frame, size);
    else
        nic_send(dev, frame, size);
}

static void frame_tagged(struct device *dev, const u8 *frame, u32 size)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;
    u8 tagged[FRAME_MAX];

    if (size < ETHER_HEADER || size > FRAME_MAX - VLAN_SIZE)
        return;
    memcpy(tagged, frame, 12);
    put_be16(tagged + 12, VLAN_TYPE);
    tagged[14] = (u8)n->tag; /* the descriptor has it as the wire does */
    tagged[15] = (u8)(n->tag >> 8);
    memcpy(tagged + 16, frame + 12, size - 12);
    frame_out(dev, tagged, size + VLAN_SIZE);
}

/* ---- Slots ---- */

void rtl8139_tx_slot(struct rtl8139 *n, u32 slot)
{
    u32 reg = TSD0 + 4 * slot, status = rtl_get32(n, reg), size = status & SIZE;
    u8 frame[FRAME_MAX];
    bool was_busy = n->busy;

    if (status & TSD_OWN || !(n->reg[CR] & CR_TE) || !rtl8139_is_master(n))
        return;
    n->busy = true;
    if (size <= FRAME_MAX) {
        phys_read(n->dev.machine, rtl_get32(n, TSAD0 + 4 * slot), frame, size);
        frame_out(&n->dev, frame, size);
    }
    n->busy = was_busy;
    rtl_put32(n, reg, status | TSD_OWN | TSD_TOK);
    rtl8139_raise(n, ISR_TOK);
}

/* ---- Descriptors ---- */

/*
 * What the first descriptor asks for. The chip finds the headers itself, and makes the sum of
 * the pseudo header, which is put where insert expects it.
 */
static struct nic_offload offload(struct rtl8139 *n)
{
    struct nic_offload o = { 0 };
    struct nic_headers h;
    bool large = n->first & CP_LARGE, tcp;
    u32 sum;

    nic_parse(&h, n->packet, n->size);
    if (!h.ipv4 || h.l4 > 255 - TCP_HEADER)
        return o;
    o.ipv4 = true;
    o.ip = (struct nic_checksum){large || n->first & CP_IP, (u8)h.ip, (u8)(h.ip + IP_SUM),
                                 h.l4 - 1};
    if (o.ip.on)
        put_be16(n->packet + o.ip.at, 0);
    tcp = h.protocol == PROTOCOL_TCP;
    if (h.fragment || h.l4_size < (tcp ? TCP_HEADER : UDP_HEADER) ||
        (!tcp && h.protocol != PROTOCOL_UDP))
        return o;
    sum = h.l4 + (tcp ? TCP_SUM : UDP_SUM);
    o.l4 = (struct nic_checksum){large || n->first & (tcp ? CP_TCP : CP_UDP), (u8)h.l4, (u8)sum,
                                 0};
    if (large && tcp) {
        o.tcp = true;
        o.mss = (u16)(n->first >> 16 & 0x7ff);
        o.header = (u8)(h.l4 + (n->packet[h.l4 + 12] >> 4) * 4);
    }
    if (o.l4.on)
        put_be16(n->packet + sum, nic_pseudo_sum(&h, n->packet, o.mss ? 0 : h.l4_size));
    return o;
}

static void packet_out(struct rtl8139 *n)
{
    struct nic_offload o = { 0 };

    n->open = false;
    if (n->too_long)
        return;
    if (n->first & (CP_LARGE | CP_IP | CP_UDP | CP_TCP))
        o = offload(n);
    nic_offload_send(&n->dev, n->packet, n->size, &o,
                     n->tag & TAG_INSERT ? frame_tagged : frame_out);
}

static void take_data(struct rtl8139 *n, const u32 d[4])
{
    u32 size = d[0] & CP_SIZE;

    if (d[0] & CP_FIRST) {
        n->open = true;
        n->too_long = false;
        n->size = 0;
        n->first = d[0];
        n->tag = d[1];
    }
    if (!n->open)
        return;
    if (size > NIC_PACKET_MAX - n->size) {
        n->too_long = true;
        size = NIC_PACKET_MAX - n->size;
    }
    phys_read(n->dev.machine, (u64)d[3] << 32 | d[2], n->packet + n->size, size);
    n->size += size;
    if (d[0] & CP_LAST)
        packet_out(n);
}

/* False: the next one is the guest's. *bytes counts what was read. */
static bool one_descriptor(struct rtl8139 *n, u32 queue, u32 *bytes)
{
    u32 base = queue ? THPDS : TNPDS, d[4];
    gpa_t at = ((u64)rtl_get32(n, base + 4) << 32 | rtl_get32(n, base)) +
               n->tx_next[queue] * RTL_DESCRIPTOR;

    phys_read(n->dev.machine, at, d, sizeof(d));
    if (!(d[0] & CP_OWN))
        return false;
    take_data(n, d);
    *bytes += d[0] & CP_SIZE;
    n->tx_next[queue] = d[0] & CP_EOR ? 0 : (n->tx_next[queue] + 1) % RTL_RING;
    d[0] &= ~(CP_OWN | CP_DONE) | CP_LAST | CP_FIRST;
    phys_write(n->dev.machine, at, d, 4);
    return true;
}

void rtl8139_tx_run(struct rtl8139 *n)
{
    u32 done = 0, sent = 0, bytes = 0, had = n->polled;

    if (n->busy || !n->polled || !(n->reg[CR] & CR_TE) || !(rtl_get16(n, CPCR) & CPCR_TX) ||
        !rtl8139_is_master(n))
        return;
    n->busy = true;
    for (; n->polled && done < SLICE && bytes < SLICE_BYTES; done++) {
        u32 queue = n->polled & POLL_HIGH ? 1 : 0;

        if (one_descriptor(n, queue, &bytes))
            sent++;
        else
            n->polled &= queue ? ~POLL_HIGH : ~POLL_NORMAL;
    }
    n->busy = false;
    if (n->polled)
        timer_set(&n->tx_more, clock_now(n->dev.machine) + SLICE_TIME);
    rtl8139_raise(n, (sent ? ISR_TOK : 0) | (had && !n->polled ? ISR_TDU : 0));
}

void rtl8139_tx_more(void *owner)
{
    rtl8139_tx_run(owner);
}
