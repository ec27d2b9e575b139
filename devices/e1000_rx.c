/*
 * The 82540EM's receiver: the address filter, and the ring of buffers between RDH and RDT
 * (317453, 3.2).
 */
#include "devices/e1000_private.h"

#include <string.h>

enum {
    STAT_DD = 0x01, STAT_EOP = 0x02, STAT_IXSM = 0x04, STAT_VP = 0x08, STAT_TCPCS = 0x20,
    STAT_IPCS = 0x40, STAT_PIF = 0x80, ERR_TCPE = 0x20, ERR_IPE = 0x40,
    RAH_VALID = 1u << 31 >> 16, /* in its upper half */
    CFI = 1 << 12,
};

/* What a descriptor says of a frame: csum, status, errors, special. */
struct verdict {
    u16 sum;
    u8 status, errors;
    u16 tag;
};
struct descriptor {
    u64 address;
    u16 length, sum;
    u8 status, errors;
    u16 special;
};
static_assert(sizeof(struct descriptor) == DESCRIPTOR, "317453, table 3-1");

/* ---- Room ---- */

static u32 buffer_size(const struct e1000 *s)
{
    u32 rctl = s->reg[RCTL / 4], size = 2048u >> (rctl >> 16 & 3);

    return rctl & RCTL_BSEX && size < 2048 ? size * 16 : size;
}

static bool is_on(const struct e1000 *s)
{
    return s->reg[RCTL / 4] & RCTL_EN && e1000_is_master(s);
}

static u32 free_descriptors(const struct e1000 *s)
{
    u32 n = s->reg[RDLEN / 4] / DESCRIPTOR, head = s->reg[RDH / 4], tail = s->reg[RDT / 4];

    if (head >= n || tail >= n)
        return 0;
    return tail >= head ? tail - head : tail + n - head;
}

static bool has_room(const struct e1000 *s, u32 size)
{
    return free_descriptors(s) * buffer_size(s) >= size;
}

bool e1000_can_receive(struct device *dev)
{
    struct e1000 *s = (struct e1000 *)dev;

    return !is_on(s) || has_room(s, FRAME_MAX + CRC_SIZE);
}

/* ---- The address filter (13.5) ---- */

static bool is_ours(const struct e1000 *s, const u8 *to)
{
    for (u32 i = RAL0 / 4; i < RA_END / 4; i += 2) {
        u32 low = s->reg[i], high = s->reg[i + 1];
        const u8 a[6] = { low, low >> 8, low >> 16, low >> 24, high, high >> 8 };

        if (high >> 16 & RAH_VALID && !memcmp(a, to, 6))
            return true;
    }
    return false;
}

static bool in_multicast_table(const struct e1000 *s, const u8 *to)
{
    static const u8 shift[4] = { 4, 3, 2, 0 };
    u32 hash = ((u32)to[5] << 8 | to[4]) >> shift[s->reg[RCTL / 4] >> 12 & 3] & 0xfff;

    return s->reg[MTA / 4 + (hash >> 5)] >> (hash & 31) & 1;
}

static bool in_vlan(const struct e1000 *s, const u8 *frame)
{
    u32 id = get_be16(frame + 14) & 0xfff;

    return s->reg[VFTA / 4 + (id >> 5)] >> (id & 31) & 1;
}

static bool is_tagged(const struct e1000 *s, const u8 *frame)
{
    return get_be16(frame + 12) == (u16)s->reg[VET / 4];
}

/* *inexact: by a hash or promiscuously, so that the driver has to look. */
static bool is_wanted(const struct e1000 *s, const u8 *frame, bool *inexact)
{
    u32 rctl = s->reg[RCTL / 4];

    *inexact = false;
    if (rctl & RCTL_VFE && is_tagged(s, frame) && !in_vlan(s, frame))
        return false;
    if (is_ours(s, frame) || (ether_broadcast(frame) && rctl & RCTL_BAM))
        return true;
    *inexact = true;
    if (!ether_multicast(frame))
        return rctl & RCTL_UPE;
    return rctl & RCTL_MPE || in_multicast_table(s, frame);
}

/* ---- Telling ---- */

void e1000_rx_told(void *owner)
{
    struct e1000 *s = owner;

    timer_cancel(&s->rx_delay);
    s->rx_first = 0;
    e1000_cause(s, ICR_RXT0);
}

/* A frame has come: now, or RDTR after the last and at most RADV after the first. */
static void tell(struct e1000 *s)
{
    u64 now = clock_now(s->dev.machine), end;
    u32 delay = *e1000_reg(s, RDTR) & 0xffff, limit = *e1000_reg(s, RADV);

    if (!delay) {
        e1000_rx_told(s);
        return;
    }
    if (!s->rx_first)
        s->rx_first = now;
    end = now + delay * E1000_TICK;
    if (limit && s->rx_first + limit * E1000_TICK < end)
        end = s->rx_first + limit * E1000_TICK;
    timer_set(&s->rx_delay, end);
}

/* ---- Frames ---- */

static struct verdict judge(const struct e1000 *s, const u8 *frame, u32 size)
{
    u32 rxcsum = s->reg[RXCSUM / 4], from = rxcsum & 0xff;
    struct verdict v = { 0 };
    struct nic_headers h;

    v.sum = from < size ? inet_sum(0, frame + from, size - from) : 0;
    v.sum = (u16)(v.sum << 8 | v.sum >> 8);
    nic_parse(&h, frame, size);
    if (!h.ipv4 || !(rxcsum & (RXCSUM_IPOFL | RXCSUM_TUOFL))) {
        v.status |= STAT_IXSM;
        return v;
    }
    if (rxcsum & RXCSUM_IPOFL) {
        v.status |= STAT_IPCS;
        v.errors |= nic_ip_sum_good(&h, frame) ? 0 : ERR_IPE;
    }
    if (rxcsum & RXCSUM_TUOFL && nic_l4_has_sum(&h, frame)) {
        v.status |= STAT_TCPCS;
        v.errors |= nic_l4_sum_good(&h, frame) ? 0 : ERR_TCPE;
    }
    return v;
}

static void count_frame(struct e1000 *s, const u8 *frame, u32 size)
{
    e1000_count(s, TPR, 1);
    e1000_count64(s, TORL, size + CRC_SIZE);
    e1000_count(s, GPRC, 1);
    e1000_count64(s, GORCL, size + CRC_SIZE);
    e1000_count_size(s, PRC64, size);
    if (ether_multicast(frame))
        e1000_count(s, ether_broadcast(frame) ? BPRC : MPRC, 1);
}

/* Into as many buffers as it takes; there are enough. */
static void store(struct e1000 *s, const u8 *data, u32 size, const struct verdict *v)
{
    gpa_t base = (u64)*e1000_reg(s, RDBAH) << 32 | *e1000_reg(s, RDBAL), at;
    u32 *head = e1000_reg(s, RDH), room = buffer_size(s), part;
    struct descriptor d;

    for (u32 done = 0; done < size; done += part) {
        at = base + *head * DESCRIPTOR;
        part = size - done < room ? size - done : room;
        phys_read(s->dev.machine, at, &d.address, sizeof(d.address));
        if (d.address)
            phys_write(s->dev.machine, d.address, data + done, part);
        d.length = (u16)part;
        d.sum = v->sum;
        d.errors = v->errors;
        d.special = v->tag;
        d.status = v->status | STAT_DD | (done + part == size ? STAT_EOP : 0);
        phys_write(s->dev.machine, at, &d, sizeof(d));
        *head = *head + 1 < *e1000_reg(s, RDLEN) / DESCRIPTOR ? *head + 1 : 0;
    }
}

static void miss_frame(struct e1000 *s)
{
    e1000_count(s, MPC, 1);
    e1000_count(s, RNBC, 1);
    e1000_cause(s, ICR_RXO);
}

/* The frame as it goes to memory: without a tag that is told apart, with its CRC unless that is
 * stripped. */
static u32 compose(struct e1000 *s, u8 *data, const u8 *frame, u32 size, struct verdict *v)
{
    u32 fcs = 0, skip = 0, n;

    if (!(*e1000_reg(s, RCTL) & RCTL_SECRC))
        fcs = ether_fcs(frame, size);
    if (*e1000_reg(s, CTRL) & CTRL_VME && is_tagged(s, frame)) {
        v->status |= STAT_VP;
        v->tag = get_be16(frame + 14);
        skip = VLAN_SIZE;
    }
    memcpy(data, frame, 12);
    memcpy(data + 12, frame + 12 + skip, size - 12 - skip);
    n = size - skip;
    if (*e1000_reg(s, RCTL) & RCTL_SECRC)
        return n;
    memcpy(data + n, (u8[CRC_SIZE]){ fcs, fcs >> 8, fcs >> 16, fcs >> 24 }, CRC_SIZE);
    return n + CRC_SIZE;
}

void e1000_receive(struct device *dev, const u8 *frame, u32 size)
{
    struct e1000 *s = (struct e1000 *)dev;
    u32 *rctl = e1000_reg(s, RCTL), before, threshold, n;
    bool inexact, was_busy = s->busy;
    u8 data[FRAME_MAX + CRC_SIZE];
    struct verdict v;

    if (!is_on(s) || size < ETHER_HEADER + VLAN_SIZE || size > FRAME_MAX ||
        !is_wanted(s, frame, &inexact))
        return;
    if (!has_room(s, size + CRC_SIZE)) {
        miss_frame(s);
        return;
    }
    count_frame(s, frame, size);
    v = judge(s, frame, size);
    v.status |= inexact ? STAT_PIF : 0;
    n = compose(s, data, frame, size, &v);
    before = free_descriptors(s);
    s->busy = true;
    store(s, data, n, &v);
    s->busy = was_busy;
    threshold = *e1000_reg(s, RDLEN) / DESCRIPTOR >> ((*rctl >> 8 & 3) + 1);
    if (before > threshold && free_descriptors(s) <= threshold)
        e1000_cause(s, ICR_RXDMT0);
    tell(s);
}
