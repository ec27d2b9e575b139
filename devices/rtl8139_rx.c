/*
 * The RTL8139C+'s receiver: address filter; the ring of bytes of the RTL8139, and the
 * descriptors of the C+ mode (RTL8139C 5.6 and 6.7, RTL8139C+ 6.2).
 */
#include "devices/rtl8139_private.h"

enum {
    RX_ROK = 0x0001, RX_BAR = 0x2000, RX_PAM = 0x4000, RX_MAR = 0x8000, HEADER = 4,
    RCR_ERROR = 0x20, PID_TCP = 1 << 16, PID_UDP = 2 << 16, PID_IP = 3 << 16, IPF = 1 << 15,
    UDPF = 1 << 14, TCPF = 1 << 13, CP_LAST = 1 << 28, CP_FIRST = 1 << 29, CP_EOR = 1 << 30,
    CP_SIZE = 0x1fff, CP_FLAGS = 11, /* MAR, PAM and BAR are RX_* so many bits higher */
    TAG_AVAILABLE = 1 << 16, VLAN_TYPE = 0x8100, VLAN_SIZE = 4, PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
};
#define CP_OWN (1u << 31)

/* ---- Address filter: RX_* of a frame; 0: not ours ---- */

static bool in_multicast_table(const struct rtl8139 *n, const u8 *to)
{
    u32 hash = ether_crc(to, 6) >> 26;

    return n->reg[MAR0 + (hash >> 3)] >> (hash & 7) & 1;
}

static u16 classify(const struct rtl8139 *n, const u8 *frame)
{
    u32 rcr = rtl_get32(n, RCR);
    bool ours = !memcmp(frame, n->reg + IDR0, 6);

    if (ether_broadcast(frame))
        return rcr & (RCR_AB | RCR_AAP) ? RX_ROK | RX_BAR : 0;
    if (ether_multicast(frame))
        return rcr & RCR_AAP || (rcr & RCR_AM && in_multicast_table(n, frame)) ? RX_ROK | RX_MAR
                                                                               : 0;
    if (ours && rcr & (RCR_APM | RCR_AAP))
        return RX_ROK | RX_PAM;
    return rcr & RCR_AAP ? RX_ROK : 0;
}

/* ---- The ring of bytes ---- */

static u32 ring_size(const struct rtl8139 *n)
{
    return 8192u << (rtl_get32(n, RCR) >> 11 & 3);
}

/* The guest has read up to here. */
static u32 read_at(const struct rtl8139 *n)
{
    return (rtl_get16(n, CAPR) + 16u) % ring_size(n);
}

bool rtl8139_rx_empty(const struct rtl8139 *n)
{
    return read_at(n) == rtl_get16(n, CBR) % ring_size(n);
}

static bool ring_has_room(const struct rtl8139 *n, u32 size)
{
    u32 ring = ring_size(n), used = (rtl_get16(n, CBR) + ring - read_at(n)) % ring;

    return used + HEADER + size + RTL_CRC + 8 < ring;
}

/* With WRAP what does not fit lies behind the ring, else it goes on at its start. */
static void ring_put(struct rtl8139 *n, u32 *at, const void *data, u32 size)
{
    u32 ring = ring_size(n), base = rtl_get32(n, RBSTART), part = ring - *at;
    bool wrap = rtl_get32(n, RCR) & RCR_WRAP && ring < 0x10000;

    if (wrap || part > size)
        part = size;
    phys_write(n->dev.machine, (gpa_t)base + *at, data, part);
    if (part < size)
        phys_write(n->dev.machine, base, (const u8 *)data + part, size - part);
    *at = wrap ? *at + size : (*at + size) % ring;
}

static void ring_store(struct rtl8139 *n, u16 status, const u8 *frame, u32 size)
{
    u16 header[2] = { status, (u16)(size + RTL_CRC) };
    u32 at = rtl_get16(n, CBR) % ring_size(n), fcs = ether_fcs(frame, size);

    ring_put(n, &at, header, HEADER);
    ring_put(n, &at, frame, size);
    ring_put(n, &at, &fcs, RTL_CRC);
    rtl_put16(n, CBR, ((at + 3) & ~3u) % ring_size(n));
}

/* ---- Descriptors ---- */

static gpa_t rx_descriptor(const struct rtl8139 *n)
{
    return ((u64)rtl_get32(n, RDSAR + 4) << 32 | rtl_get32(n, RDSAR)) +
           n->rx_next * RTL_DESCRIPTOR;
}

static bool descriptor_has_room(struct rtl8139 *n, u32 size)
{
    u32 d;

    phys_read(n->dev.machine, rx_descriptor(n), &d, 4);
    return d & CP_OWN && (d & CP_SIZE) >= size + RTL_CRC;
}

static u32 judge(const u8 *frame, u32 size)
{
    struct nic_headers h;
    u32 flags;

    nic_parse(&h, frame, size);
    if (!h.ipv4)
        return 0;
    flags = h.fragment                   ? PID_IP
            : h.protocol == PROTOCOL_TCP ? PID_TCP
            : h.protocol == PROTOCOL_UDP ? PID_UDP
                                         : PID_IP;
    if (!nic_ip_sum_good(&h, frame))
        flags |= IPF;
    if (nic_l4_has_sum(&h, frame) && !nic_l4_sum_good(&h, frame))
        flags |= h.protocol == PROTOCOL_TCP ? TCPF : UDPF;
    return flags;
}

static void descriptor_store(struct rtl8139 *n, u16 status, const u8 *frame, u32 size)
{
    struct machine *m = n->dev.machine;
    u32 d[4], fcs = ether_fcs(frame, size), cpcr = rtl_get16(n, CPCR), skip = 0, vlan = 0;
    gpa_t at = rx_descriptor(n), to;

    phys_read(m, at, d, sizeof(d));
    to = (u64)d[3] << 32 | d[2];
    if (cpcr & CPCR_VLAN && get_be16(frame + 12) == VLAN_TYPE) {
        vlan = TAG_AVAILABLE | frame[15] << 8 | frame[14];
        skip = VLAN_SIZE;
    }
    phys_write(m, to, frame, 12);
    phys_write(m, to + 12, frame + 12 + skip, size - 12 - skip);
    phys_write(m, to + size - skip, &fcs, RTL_CRC);
    n->rx_next = d[0] & CP_EOR ? 0 : (n->rx_next + 1) % RTL_RING;
    d[0] = (d[0] & CP_EOR) | CP_FIRST | CP_LAST | (u32)(status & ~RX_ROK) << CP_FLAGS |
           (size - skip + RTL_CRC);
    d[0] |= cpcr & CPCR_SUMS ? judge(frame, size) : 0;
    d[1] = vlan;
    phys_write(m, at + 4, &d[1], 4);
    phys_write(m, at, &d[0], 4);
}

/* ---- Both ---- */

static bool is_on(const struct rtl8139 *n)
{
    return n->reg[CR] & CR_RE && rtl8139_is_master(n);
}

static bool has_room(struct rtl8139 *n, u32 size)
{
    return rtl_get16(n, CPCR) & CPCR_RX ? descriptor_has_room(n, size) : ring_has_room(n, size);
}

bool rtl8139_can_receive(struct device *dev)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;
    bool can = !is_on(n) || has_room(n, FRAME_MAX);

    if (!can && rtl_get16(n, CPCR) & CPCR_RX && !n->rx_poll.armed)
        timer_set_eager(&n->rx_poll, clock_now(dev->machine) + MSEC(1));
    return can;
}

/* A descriptor may have been returned: that is a bit in memory, of which the chip hears
 * nothing. */
void rtl8139_rx_poll(void *owner)
{
    nic_accept_input(&((struct rtl8139 *)owner)->dev);
}

static void count_frame(struct rtl8139 *n, u16 status)
{
    n->tally.rx_ok++;
    n->tally.rx_ours += status & RX_PAM ? 1 : 0;
    n->tally.rx_broadcast += status & RX_BAR ? 1 : 0;
    n->tally.rx_multicast += status & RX_MAR ? 1 : 0;
}

static void miss_frame(struct rtl8139 *n)
{
    rtl_put32(n, MPC, (rtl_get32(n, MPC) & 0xff000000) | ((rtl_get32(n, MPC) + 1) & 0xffffff));
    n->tally.missed++;
    rtl8139_raise(n, ISR_RXOVW);
}

void rtl8139_receive(struct device *dev, const u8 *frame, u32 size)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;
    bool was_busy = n->busy;
    u16 status;

    if (!is_on(n) || size < ETHER_HEADER + VLAN_SIZE || size > FRAME_MAX)
        return;
    status = classify(n, frame);
    if (!status)
        return;
    if (!has_room(n, size)) {
        miss_frame(n);
        return;
    }
    n->busy = true;
    if (rtl_get16(n, CPCR) & CPCR_RX)
        descriptor_store(n, status, frame, size);
    else
        ring_store(n, status, frame, size);
    n->busy = was_busy;
    count_frame(n, status);
    rtl8139_raise(n, ISR_ROK);
}
