/*
 * The 82540EM's transmitter: the ring of descriptors between TDH and TDT (317453, 3.3 to 3.5).
 *
 * A packet is gathered from its descriptors; the last one sends it, with checksums and in
 * segments as the context says. The ring belongs to the guest, so it is gone through in slices:
 * a ring of the largest size does not hold the machine.
 */
#include "devices/e1000_private.h"

#include <string.h>

enum {
    CMD_EOP = 0x01, CMD_TSE = 0x04, CMD_IC = 0x04, CMD_RS = 0x08, CMD_RPS = 0x10,
    CMD_DEXT = 0x20, CMD_VLE = 0x40, CMD_IDE = 0x80, TUCMD_TCP = 0x01, TUCMD_IPV4 = 0x02,
    TUCMD_TSE = 0x04, TYPE_DATA = 1, POPTS_IXSM = 1, POPTS_TXSM = 2, STA_DD = 1,
    SLICE_BYTES = 256 * 1024, SLICE_DESCRIPTORS = 512,
};

#define SLICE_TIME USEC(20)

struct descriptor {
    u64 address;
    u32 low, high;
};

/* ---- Frames ---- */

static void frame_out(struct device *dev, const u8 *frame, u32 size)
{
    struct e1000 *s = (struct e1000 *)dev;
    u8 padded[FRAME_MIN] = { 0 };

    if (size < FRAME_MIN && *e1000_reg(s, TCTL) & TCTL_PSP) {
        memcpy(padded, frame, size);
        frame = padded;
        size = FRAME_MIN;
    }
    e1000_count(s, TPT, 1);
    e1000_count64(s, TOTL, size + CRC_SIZE);
    e1000_count(s, GPTC, 1);
    e1000_count64(s, GOTCL, size + CRC_SIZE);
    e1000_count_size(s, PTC64, size);
    if (size >= ETHER_HEADER && ether_multicast(frame))
        e1000_count(s, ether_broadcast(frame) ? BPTC : MPTC, 1);
    if (e1000_loops(s))
        e1000_receive(dev, frame, size);
    else
        nic_send(dev, frame, size);
}

/* With its packet's tag behind the addresses. */
static void frame_tagged(struct device *dev, const u8 *frame, u32 size)
{
    struct e1000 *s = (struct e1000 *)dev;
    u8 tagged[FRAME_MAX];

    if (size < ETHER_HEADER || size > FRAME_MAX - VLAN_SIZE)
        return;
    memcpy(tagged, frame, 12);
    put_be16(tagged + 12, *e1000_reg(s, VET));
    put_be16(tagged + 14, s->tx.tag);
    memcpy(tagged + 16, frame + 12, size - 12);
    frame_out(dev, tagged, size + VLAN_SIZE);
}

static void packet_out(struct e1000 *s)
{
    struct e1000_tx *t = &s->tx;
    bool extended = t->command & CMD_DEXT,
         tagged = t->command & CMD_VLE && *e1000_reg(s, CTRL) & CTRL_VME;
    struct nic_offload o = { 0 };

    if (extended) {
        o = t->command & CMD_TSE ? t->segmented : t->plain;
        if (!(t->command & CMD_TSE))
            o.mss = 0;
        else if (!o.mss)
            return;
        o.ip.on = t->options & POPTS_IXSM;
        o.l4.on = t->options & POPTS_TXSM;
        e1000_count(s, TSCTC, o.mss != 0);
    } else if (t->command & CMD_IC) {
        o.l4 = (struct nic_checksum){ true, t->sum_start, t->sum_at, 0 };
    }
    if (!t->long_packet)
        nic_offload_send(&s->dev, t->packet, t->size, &o, tagged ? frame_tagged : frame_out);
}

/* ---- Descriptors ---- */

static void take_context(struct e1000 *s, const struct descriptor *d)
{
    u32 ip = (u32)d->address, l4 = (u32)(d->address >> 32);
    u8 command = (u8)(d->low >> 24);
    struct nic_offload o = {
        .ip = { false, (u8)ip, (u8)(ip >> 8), (u16)(ip >> 16) },
        .l4 = { false, (u8)l4, (u8)(l4 >> 8), (u16)(l4 >> 16) },
        .mss = (u16)(d->high >> 16),
        .header = (u8)(d->high >> 8),
        .ipv4 = command & TUCMD_IPV4,
        .tcp = command & TUCMD_TCP,
    };

    if (command & TUCMD_TSE)
        s->tx.segmented = o;
    else
        s->tx.plain = o;
}

/* A data or legacy descriptor's bytes join the packet; how many were read. */
static u32 take_data(struct e1000 *s, const struct descriptor *d)
{
    struct e1000_tx *t = &s->tx;
    u8 command = (u8)(d->low >> 24);
    bool extended = command & CMD_DEXT;
    u32 n = d->low & (extended ? 0xfffff : 0xffff);

    if (!t->open) {
        t->open = true;
        t->long_packet = false;
        t->size = 0;
        t->command = command;
        t->options = (u8)(d->high >> 8);
    }
    if (!extended) { /* the last one's count */
        t->command = command;
        t->sum_at = (u8)(d->low >> 16);
        t->sum_start = (u8)(d->high >> 8);
    }
    t->command = (u8)((t->command & ~CMD_VLE) | (command & CMD_VLE));
    t->tag = (u16)(d->high >> 16);
    if (n > NIC_PACKET_MAX - t->size) {
        t->long_packet = true;
        n = NIC_PACKET_MAX - t->size;
    }
    phys_read(s->dev.machine, d->address, t->packet + t->size, n);
    t->size += n;
    if (command & CMD_EOP) {
        packet_out(s);
        t->open = false;
    }
    return n;
}

static bool is_context(const struct descriptor *d)
{
    return d->low >> 24 & CMD_DEXT && (d->low >> 20 & 15) != TYPE_DATA;
}

/* ---- Telling ---- */

void e1000_tx_told(void *owner)
{
    struct e1000 *s = owner;

    timer_cancel(&s->tx_delay);
    timer_cancel(&s->tx_limit);
    e1000_cause(s, ICR_TXDW);
}

/* The descriptor is done, where the guest wants to know. */
static void write_back(struct e1000 *s, gpa_t at, const struct descriptor *d, u32 *causes)
{
    u64 now = clock_now(s->dev.machine);
    u8 command = (u8)(d->low >> 24), status = (u8)(d->high | STA_DD);
    u32 delay = *e1000_reg(s, TIDV), limit = *e1000_reg(s, TADV);

    if (!(command & (CMD_RS | CMD_RPS)))
        return;
    phys_write(s->dev.machine, at + 12, &status, 1);
    if (!(command & CMD_IDE) || !delay) {
        *causes |= ICR_TXDW;
        return;
    }
    timer_set(&s->tx_delay, now + delay * E1000_TICK);
    if (limit && !s->tx_limit.armed)
        timer_set(&s->tx_limit, now + limit * E1000_TICK);
}

/* ---- The ring ---- */

static bool can_send(struct e1000 *s)
{
    u32 n = *e1000_reg(s, TDLEN) / DESCRIPTOR, head = *e1000_reg(s, TDH),
        tail = *e1000_reg(s, TDT);

    return *e1000_reg(s, TCTL) & TCTL_EN && e1000_is_master(s) && head != tail && head < n &&
           tail < n;
}

static u32 one_descriptor(struct e1000 *s, u32 *causes)
{
    u32 *head = e1000_reg(s, TDH), bytes = 0;
    gpa_t base = (u64)*e1000_reg(s, TDBAH) << 32 | *e1000_reg(s, TDBAL),
          at = base + *head * DESCRIPTOR;
    struct descriptor d;

    phys_read(s->dev.machine, at, &d, sizeof(d));
    if (is_context(&d))
        take_context(s, &d);
    else
        bytes = take_data(s, &d);
    *head = *head + 1 < *e1000_reg(s, TDLEN) / DESCRIPTOR ? *head + 1 : 0;
    write_back(s, at, &d, causes);
    return bytes;
}

void e1000_tx_run(struct e1000 *s)
{
    u32 causes = 0, bytes = 0, n = 0;

    if (s->busy || !can_send(s))
        return;
    s->busy = true;
    while (can_send(s) && bytes < SLICE_BYTES && n++ < SLICE_DESCRIPTORS)
        bytes += one_descriptor(s, &causes);
    s->busy = false;
    if (can_send(s))
        timer_set(&s->tx_more, clock_now(s->dev.machine) + SLICE_TIME);
    else
        causes |= ICR_TXQE;
    e1000_cause(s, causes);
}

void e1000_tx_more(void *owner)
{
    e1000_tx_run(owner);
}

void e1000_tx_reset(struct e1000 *s)
{
    timer_cancel(&s->tx_more);
    timer_cancel(&s->tx_delay);
    timer_cancel(&s->tx_limit);
    s->tx.open = false;
    s->tx.plain = s->tx.segmented = (struct nic_offload){ 0 };
}
