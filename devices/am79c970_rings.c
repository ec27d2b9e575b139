/*
 * The Am79C970A's initialization block and its rings of descriptors, in the layouts that
 * BCR20's SWSTYLE names (19436, "Software Access"):
 *
 *   0        LANCE: 16-bit words, 24 bits of address        2, 1     32-bit words        3 the
 * same in another order
 *
 * Ownership is a bit in memory, so the chip hears of returned buffers only by looking: when a
 * frame waits for one, it looks again every millisecond. The transmit ring is looked at when
 * TDMD asks for it, not by itself (DPOLL).
 */
#include "devices/am79c970_private.h"

#include <string.h>

enum { /* a descriptor's status, as in the LANCE's second word */
    OWN = 0x8000, ERR = 0x4000, ADD_FCS = 0x2000, LTINT = 0x1000, BUFF = 0x0400, STP = 0x0200,
    ENP = 0x0100, COUNT = 0xfff, RING_MOST = 512, SLICE = 128, ROOM_LOOK = 8, RLEN = 76,
    XMTRL = 78,
};

#define SLICE_TIME USEC(20)

struct descriptor {
    gpa_t at;
    u32 buffer;
    u16 status; /* the flags above */
    u32 size;   /* of the buffer */
};

/* ---- Layouts ---- */

static u32 style(const struct am79c970 *s)
{
    return s->bcr[BCR_SWS] & 3;
}

static u32 ring_size(const struct am79c970 *s, u32 csr)
{
    u32 n = (u16)-s->csr[csr];

    return n && n <= RING_MOST ? n : n ? RING_MOST : 1;
}

static u32 csr32(const struct am79c970 *s, u32 csr)
{
    return s->csr[csr] | (u32)s->csr[csr + 1] << 16;
}

static u32 high_address(const struct am79c970 *s)
{
    return (u32)(s->csr[2] & 0xff00) << 16;
}

static struct descriptor descriptor_read(struct am79c970 *s, u32 base_csr, u32 index)
{
    struct machine *m = s->dev.machine;
    struct descriptor d;
    u16 half[4];
    u32 word[4];

    if (style(s) == 0) {
        d.at = csr32(s, base_csr) + index * 8;
        phys_read(m, d.at, half, sizeof(half));
        d.buffer = half[0] | (u32)(half[1] & 0xff) << 16 | high_address(s);
        d.status = half[1] & 0xff00;
        d.size = (u32)-half[2] & COUNT;
    } else {
        d.at = csr32(s, base_csr) + index * 16;
        phys_read(m, d.at, word, sizeof(word));
        d.buffer = word[style(s) == 3 ? 2 : 0];
        d.status = word[1] >> 16 & 0xff00;
        d.size = (u32)-word[1] & COUNT;
    }
    if (!d.size)
        d.size = COUNT + 1;
    return d;
}

/* Message size or transmit flags first, the status with OWN last. */
static void descriptor_return(struct am79c970 *s, const struct descriptor *d, u32 message,
                              u16 status)
{
    struct machine *m = s->dev.machine;
    u8 byte = (u8)(status >> 8);

    if (style(s) == 0) {
        phys_write(m, d->at + 6, &(u16){ (u16)message }, 2);
        phys_write(m, d->at + 3, &byte, 1);
    } else {
        phys_write(m, d->at + (style(s) == 3 ? 0 : 8), &message, 4);
        phys_write(m, d->at + 7, &byte, 1);
    }
}

/* ---- The initialization block ---- */

void am79c970_init_block(struct am79c970 *s)
{
    u8 b[28] = { 0 };
    u32 at = csr32(s, 1), rx, tx, rlen, tlen, skip;

    if (style(s) == 0) {
        phys_read(s->dev.machine, (at & 0xffffff) | high_address(s), b, 24);
        memcpy(&rx, b + 16, 4);
        memcpy(&tx, b + 20, 4);
        rlen = rx >> 29;
        tlen = tx >> 29;
        rx = (rx & 0xffffff) | high_address(s);
        tx = (tx & 0xffffff) | high_address(s);
        skip = 2;
    } else {
        phys_read(s->dev.machine, at, b, 28);
        memcpy(&rx, b + 20, 4);
        memcpy(&tx, b + 24, 4);
        rlen = b[2] >> 4;
        tlen = b[3] >> 4;
        skip = 4;
    }
    s->csr[MODE] = (u16)(b[0] | b[1] << 8);
    memcpy(&s->csr[PADR], b + skip, 6);
    memcpy(&s->csr[LADRF], b + skip + (skip == 2 ? 6 : 8), 8);
    s->csr[RLEN] = (u16)-(1u << (rlen < 9 ? rlen : 9));
    s->csr[XMTRL] = (u16)-(1u << (tlen < 9 ? tlen : 9));
    s->csr[RDRA] = (u16)rx;
    s->csr[RDRA + 1] = (u16)(rx >> 16);
    s->csr[TDRA] = (u16)tx;
    s->csr[TDRA + 1] = (u16)(tx >> 16);
    s->rx_at = s->tx_at = 0;
}

/* ---- Receiving ---- */

static bool is_wanted(const struct am79c970 *s, const u8 *frame)
{
    u16 mode = s->csr[MODE];
    u32 hash = ~ether_fcs(frame, 6) >> 26;

    if (mode & MODE_PROM)
        return true;
    if (ether_broadcast(frame))
        return !(mode & MODE_DRCVBC);
    if (ether_multicast(frame))
        return s->csr[LADRF + (hash >> 4)] >> (hash & 15) & 1;
    return !(mode & MODE_DRCVPA) && !memcmp(frame, &s->csr[PADR], 6);
}

static bool is_on(const struct am79c970 *s)
{
    return s->csr[0] & CSR0_RXON && am79c970_runs(s);
}

static bool has_room(struct am79c970 *s, u32 size)
{
    u32 n = ring_size(s, RLEN), room = 0;

    for (u32 i = 0; i < ROOM_LOOK && i < n && room < size; i++) {
        struct descriptor d = descriptor_read(s, RDRA, (s->rx_at + i) % n);

        if (!(d.status & OWN))
            break;
        room += d.size;
    }
    return room >= size;
}

bool am79c970_can_receive(struct device *dev)
{
    struct am79c970 *s = (struct am79c970 *)dev;
    bool can = !is_on(s) || has_room(s, FRAME_MAX + PCNET_CRC);

    if (!can && !s->rx_poll.armed)
        timer_set_eager(&s->rx_poll, clock_now(dev->machine) + MSEC(1));
    return can;
}

void am79c970_rx_poll(void *owner)
{
    nic_accept_input(&((struct am79c970 *)owner)->dev);
}

/* With its CRC; without, and without padding, where the guest wants that and the frame has a
 * length. */
static u32 compose(const struct am79c970 *s, u8 *data, const u8 *frame, u32 size)
{
    u32 fcs, length = frame[12] << 8 | frame[13];

    memcpy(data, frame, size);
    if (s->csr[4] & CSR4_ASTRP_RCV && length < FRAME_MIN - ETHER_HEADER)
        return ETHER_HEADER + length;
    fcs = ether_fcs(frame, size);
    memcpy(data + size, &fcs, PCNET_CRC);
    return size + PCNET_CRC;
}

static void store(struct am79c970 *s, const u8 *data, u32 size)
{
    u32 n = ring_size(s, RLEN), done = 0, part;

    do {
        struct descriptor d = descriptor_read(s, RDRA, s->rx_at % n);
        bool last;

        part = size - done < d.size ? size - done : d.size;
        last = done + part == size;
        phys_write(s->dev.machine, d.buffer, data + done, part);
        descriptor_return(s, &d, last ? size : 0, (u16)((done ? 0 : STP) | (last ? ENP : 0)));
        s->rx_at = (u16)((s->rx_at + 1u) % n);
        done += part;
    } while (done < size);
}

void am79c970_receive(struct device *dev, const u8 *frame, u32 size)
{
    struct am79c970 *s = (struct am79c970 *)dev;
    u8 data[FRAME_MAX + PCNET_CRC];
    bool was_busy = s->busy;

    if (!is_on(s) || size < ETHER_HEADER || size > FRAME_MAX || !is_wanted(s, frame))
        return;
    if (!has_room(s, size + PCNET_CRC)) {
        s->csr[112]++; /* missed frames */
        am79c970_raise(s, CSR0_MISS);
        return;
    }
    size = compose(s, data, frame, size);
    s->busy = true;
    store(s, data, size);
    s->busy = was_busy;
    am79c970_raise(s, CSR0_RINT);
}

/* ---- Sending ---- */

static void frame_out(struct am79c970 *s, u16 status)
{
    u32 size = s->size;

    if (s->csr[MODE] & MODE_DXMTFCS && !(status & ADD_FCS) && size >= PCNET_CRC)
        size -= PCNET_CRC; /* it has brought its own */
    if (size < FRAME_MIN && s->csr[4] & CSR4_APAD_XMT) {
        memset(s->frame + size, 0, FRAME_MIN - size);
        size = FRAME_MIN;
    }
    if (s->csr[MODE] & MODE_LOOP)
        am79c970_receive(&s->dev, s->frame, size);
    else
        nic_send(&s->dev, s->frame, size);
}

/* False: the ring's next one is the guest's. */
static bool one_descriptor(struct am79c970 *s)
{
    u32 n = ring_size(s, XMTRL), size;
    struct descriptor d = descriptor_read(s, TDRA, s->tx_at % n);

    if (!(d.status & OWN))
        return false;
    if (d.status & STP) {
        s->open = true;
        s->size = 0;
    }
    size = d.size < sizeof(s->frame) - s->size ? d.size : sizeof(s->frame) - s->size;
    if (s->open) {
        phys_read(s->dev.machine, d.buffer, s->frame + s->size, size);
        s->size += size;
    }
    if (s->open && d.status & ENP)
        frame_out(s, d.status);
    descriptor_return(s, &d, 0, d.status & (u16)~(OWN | ERR));
    s->tx_at = (u16)((s->tx_at + 1u) % n);
    if (!(d.status & ENP))
        return true;
    s->open = false;
    if (!(s->csr[5] & CSR5_TOKINTD) && (!(s->csr[5] & CSR5_LTINTEN) || d.status & LTINT))
        s->csr[0] |= CSR0_TINT;
    return true;
}

void am79c970_transmit(struct am79c970 *s)
{
    u32 n = 0;

    if (s->busy || !(s->csr[0] & CSR0_TXON) || !am79c970_runs(s))
        return;
    s->busy = true;
    while (n < SLICE && one_descriptor(s))
        n++;
    s->busy = false;
    s->csr[4] |= n ? CSR4_TXSTRT : 0;
    if (n == SLICE)
        timer_set(&s->tx_more, clock_now(s->dev.machine) + SLICE_TIME);
    am79c970_raise(s, 0);
}

void am79c970_tx_more(void *owner)
{
    am79c970_transmit(owner);
}
