/*
 * National DP8390D network interface controller (datasheet TL/F/8582; loopback: application
 * note 937).
 *
 * Received frames go into a ring of 256-byte pages, PSTART to PSTOP - 1, in the card's memory,
 * each led by four bytes: status, page of the next one, length with CRC. The chip fills from
 * CURR, the driver empties from BNRY. Sent ones lie at TPSR. The host reaches the memory by the
 * remote DMA through one port. A transmission is over as soon as it has begun; the network is
 * full duplex and without errors.
 *
 * Invariant: memory is only reached by memory_read() and memory_write(), so no register value
 * leads outside.
 */
#include "devices/dp8390.h"

#include <string.h>

enum { /* page 0: reading / writing */
    CR, CLDA0, CLDA1, BNRY, TSR, NCR, FIFO, ISR, CRDA0, CRDA1, ID0, ID1, RSR, CNTR0, CNTR1,
    CNTR2, PSTART = 1, PSTOP = 2, TPSR = 4, TBCR0 = 5, TBCR1 = 6, RSAR0 = 8, RSAR1 = 9,
    RBCR0 = 10, RBCR1 = 11, RCR = 12, TCR = 13, DCR = 14, IMR = 15,
    PAR0 = 1, PAR5 = 6, CURR = 7, MAR0 = 8, /* page 1 */
};
enum {
    CR_STP = 0x01, CR_STA = 0x02, CR_TXP = 0x04, CR_RD = 0x38, CR_RD_READ = 0x08,
    CR_RD_WRITE = 0x10, CR_RD_SEND = 0x18, CR_RD_ABORT = 0x20, ISR_PRX = 0x01, ISR_PTX = 0x02,
    ISR_RXE = 0x04, ISR_OVW = 0x10, ISR_CNT = 0x20, ISR_RDC = 0x40, ISR_RST = 0x80,
    DCR_WTS = 0x01, DCR_LS = 0x08, /* word transfers; normal operation, else loopback */
    TCR_CRC = 0x01, TCR_LB = 0x06, /* inhibit CRC; loopback mode */
    TSR_PTX = 0x01, TSR_CRS = 0x10, TSR_CDH = 0x40,
    RCR_AR = 0x02, RCR_AB = 0x04, RCR_AM = 0x08, RCR_PRO = 0x10, RCR_MON = 0x20,
    RSR_PRX = 0x01, RSR_CRC = 0x02, RSR_MPA = 0x10, RSR_PHY = 0x20, RSR_DIS = 0x40,
    PAGE = 256, HEADER = 4, CRC = 4,
    FRAME_PAGES = (HEADER + FRAME_MAX + CRC + PAGE - 1) / PAGE,
};

void dp8390_update_irq(struct dp8390 *d)
{
    d->irq(d->dev, d->isr & d->imr & 0x7f);
}

static void raise_isr(struct dp8390 *d, u8 bits)
{
    d->isr |= bits;
    dp8390_update_irq(d);
}

/* Below ram_base the difference wraps and is large. */
static u8 memory_read(const struct dp8390 *d, u16 address)
{
    u32 at = address - d->ram_base;

    if (at < d->ram_size)
        return d->ram[at];
    return address < d->prom_size ? d->prom[address] : 0xff;
}

static void memory_write(struct dp8390 *d, u16 address, u8 val)
{
    u32 at = address - d->ram_base;

    if (at < d->ram_size)
        d->ram[at] = val;
}

/* ---- Reception ---- */

static bool is_running(const struct dp8390 *d)
{
    return d->started;
}

static bool in_loopback(const struct dp8390 *d)
{
    return d->tcr & TCR_LB || !(d->dcr & DCR_LS);
}

static u8 next_page(const struct dp8390 *d, u8 page)
{
    page++;
    return page == d->pstop ? d->pstart : page;
}

/* Pages from CURR to before BNRY; both equal is an empty ring. 0: the registers make no
 * ring. */
static u32 free_pages(const struct dp8390 *d)
{
    u32 ring = d->pstop > d->pstart ? d->pstop - d->pstart : 0;

    if (d->bnry > d->curr)
        return d->bnry - d->curr;
    return ring > (u32)(d->curr - d->bnry) ? ring - (d->curr - d->bnry) : 0;
}

static u32 pages_of(u32 size)
{
    return (HEADER + size + CRC + PAGE - 1) / PAGE;
}

bool dp8390_can_receive(const struct dp8390 *d)
{
    return !is_running(d) || free_pages(d) > FRAME_PAGES;
}

/* The address filter (datasheet 10, RCR). */
static bool accepts_frame(const struct dp8390 *d, const u8 *frame)
{
    u32 hash;

    if (d->rcr & RCR_PRO)
        return true;
    if (ether_broadcast(frame))
        return d->rcr & RCR_AB;
    if (!ether_multicast(frame))
        return !memcmp(frame, d->par, 6);
    hash = ether_crc(frame, 6) >> 26;
    return d->rcr & RCR_AM && d->mar[hash >> 3] >> (hash & 7) & 1;
}

static void count_tally(struct dp8390 *d, u32 n)
{
    if (d->tally[n] < 0xc0)
        d->tally[n]++;
    if (d->tally[n] & 0x80)
        raise_isr(d, ISR_CNT);
}

static void miss_frame(struct dp8390 *d, u8 isr)
{
    d->rsr |= RSR_MPA;
    count_tally(d, 2);
    raise_isr(d, isr);
}

/* A part of the frame; *address is the place in the ring. */
static void store_bytes(struct dp8390 *d, u16 *address, const u8 *data, u32 size)
{
    for (u32 i = 0; i < size; i++) {
        memory_write(d, *address, data[i]);
        *address = (*address & 0xff) == 0xff ? next_page(d, *address >> 8) << 8 : *address + 1;
    }
}

static void store_frame(struct dp8390 *d, const u8 *frame, u32 size)
{
    u32 fcs = ether_fcs(frame, size), length = size + CRC;
    u8 crc[CRC] = { fcs, fcs >> 8, fcs >> 16, fcs >> 24 }, next = d->curr;
    u16 address = d->curr << 8;

    for (u32 i = 0; i < pages_of(size); i++)
        next = next_page(d, next);
    store_bytes(d, &address, (u8[HEADER]){ d->rsr, next, length, length >> 8 }, HEADER);
    store_bytes(d, &address, frame, size);
    store_bytes(d, &address, crc, CRC);
    d->curr = next;
}

void dp8390_receive(struct dp8390 *d, const u8 *frame, u32 size)
{
    if (!is_running(d) || in_loopback(d) || size < ETHER_HEADER || size > FRAME_MAX)
        return;
    if ((size < FRAME_MIN && !(d->rcr & RCR_AR)) || !accepts_frame(d, frame))
        return;
    d->rsr = ether_multicast(frame) ? RSR_PHY : 0;
    if (d->rcr & RCR_MON) {
        d->rsr |= RSR_DIS;
        miss_frame(d, 0);
        return;
    }
    if (free_pages(d) <= pages_of(size)) {
        miss_frame(d, ISR_OVW);
        return;
    }
    d->rsr |= RSR_PRX;
    store_frame(d, frame, size);
    raise_isr(d, ISR_PRX);
}

/* ---- Transmission ---- */

/* The end of a looped frame stays in the FIFO: its last five bytes, CRC included, and its
 * length. */
static void fill_fifo(struct dp8390 *d, const u8 *frame, u32 size)
{
    for (u32 i = 0; i < 5; i++)
        d->fifo[i] = size + i >= 5 ? frame[size + i - 5] : 0;
    d->fifo[5] = size;
    d->fifo[6] = d->fifo[7] = size >> 8;
    d->fifo_at = 0;
}

/*
 * Loopback (application note 937): receiver and transmitter share the CRC logic, so a CRC made
 * here is always reported as wrong, and one made by software is checked. A frame for others is
 * only counted as received. Nothing is written to the ring.
 */
static void loop_frame(struct dp8390 *d, u8 *frame, u32 size)
{
    bool ours = size >= ETHER_HEADER && accepts_frame(d, frame), wrong = true;
    u32 fcs = ether_fcs(frame, size);

    if (d->tcr & TCR_CRC) {
        wrong = size < CRC;
        if (!wrong) {
            fcs = ether_fcs(frame, size - CRC);
            wrong = memcmp(frame + size - CRC, (u8[CRC]){ fcs, fcs >> 8, fcs >> 16, fcs >> 24 },
                           CRC);
        }
    } else {
        for (u32 i = 0; i < CRC; i++)
            frame[size++] = fcs >> 8 * i;
    }
    fill_fifo(d, frame, size);
    d->rsr = ours && wrong ? RSR_CRC : RSR_PRX;
    if (ours && wrong) {
        count_tally(d, 1);
        d->isr |= ISR_RXE;
    }
}

static void transmit_frame(struct dp8390 *d)
{
    u8 frame[FRAME_MAX + CRC];
    u32 size = d->tbcr > FRAME_MAX ? FRAME_MAX : d->tbcr;
    u16 address = d->tpsr << 8;

    for (u32 i = 0; i < size; i++)
        frame[i] = memory_read(d, address + i);
    d->tsr = TSR_PTX;
    d->ncr = 0;
    if (in_loopback(d)) {
        d->tsr |= (d->tcr & TCR_LB) == 2   ? TSR_CRS | TSR_CDH
                  : (d->tcr & TCR_LB) == 4 ? TSR_CDH
                                           : 0;
        loop_frame(d, frame, size);
    } else {
        nic_send(d->dev, frame, size);
    }
    raise_isr(d, ISR_PTX);
}

/* ---- The remote DMA ---- */

bool dp8390_words(const struct dp8390 *d)
{
    return d->dcr & DCR_WTS;
}

/* The ring is seen as one piece. */
static void remote_advance(struct dp8390 *d)
{
    u32 n = dp8390_words(d) ? 2 : 1;

    d->rsar += n;
    if (d->rsar == d->pstop << 8)
        d->rsar = d->pstart << 8;
    d->rbcr = d->rbcr > n ? d->rbcr - n : 0;
    if (d->rbcr)
        return;
    if ((d->cr & CR_RD) == CR_RD_SEND) { /* the packet has been read: its pages are free */
        d->bnry = d->rsar >> 8;
        nic_accept_input(d->dev);
    }
    d->cr = (d->cr & ~CR_RD) | CR_RD_ABORT;
    raise_isr(d, ISR_RDC);
}

u16 dp8390_data_read(struct dp8390 *d)
{
    u16 val = 0xffff;
    u8 rd = d->cr & CR_RD;

    if ((rd != CR_RD_READ && rd != CR_RD_SEND) || !d->rbcr)
        return val;
    if (dp8390_words(d))
        val = memory_read(d, d->rsar & ~1u) | memory_read(d, d->rsar | 1) << 8;
    else
        val = memory_read(d, d->rsar);
    remote_advance(d);
    return val;
}

void dp8390_data_write(struct dp8390 *d, u16 val)
{
    if ((d->cr & CR_RD) != CR_RD_WRITE || !d->rbcr)
        return;
    if (dp8390_words(d)) {
        memory_write(d, d->rsar & ~1u, val);
        memory_write(d, d->rsar | 1, val >> 8);
    } else {
        memory_write(d, d->rsar, val);
    }
    remote_advance(d);
}

/* "Send packet": reads the packet at BNRY, whose header says how long it is. */
static void remote_send_packet(struct dp8390 *d)
{
    d->rsar = d->bnry << 8;
    d->rbcr = memory_read(d, d->rsar + 2) | memory_read(d, d->rsar + 3) << 8;
}

/* ---- Registers ---- */

static void write_command(struct dp8390 *d, u8 val)
{
    u8 old = d->cr;
    bool was_started = d->started;

    d->cr = val & ~CR_TXP;
    if (val & (CR_STP | CR_STA)) {
        d->started = !(val & CR_STP);
        d->isr = d->started ? d->isr & ~ISR_RST : d->isr | ISR_RST;
    }
    if ((val & CR_RD) == CR_RD_SEND && (old & CR_RD) != CR_RD_SEND)
        remote_send_packet(d);
    if (!(val & CR_RD_ABORT) && (val & CR_RD) && !d->rbcr)
        d->isr |= ISR_RDC;
    if (val & CR_TXP && is_running(d))
        transmit_frame(d);
    dp8390_update_irq(d);
    if (!was_started && is_running(d))
        nic_accept_input(d->dev);
}

/*
 * Drivers acknowledge PRX when they have found the ring empty, or have read their share of it. On a real
 * network another frame follows and interrupts again; here it may be waiting for room in the ring.
 */
static void acknowledge(struct dp8390 *d, u8 bits)
{
    d->isr &= ~(bits & 0x7f);
    if (bits & ISR_PRX && !dp8390_can_receive(d) && d->curr != next_page(d, d->bnry))
        d->isr |= ISR_PRX;
}

static void write_page0(struct dp8390 *d, u32 reg, u8 val)
{
    u8 *const plain[16] = {
        [PSTART] = &d->pstart, [PSTOP] = &d->pstop, [BNRY] = &d->bnry, [TPSR] = &d->tpsr,
        [TBCR0] = (u8 *)&d->tbcr, [TBCR1] = (u8 *)&d->tbcr + 1, [RSAR0] = (u8 *)&d->rsar,
        [RSAR1] = (u8 *)&d->rsar + 1, [RBCR0] = (u8 *)&d->rbcr, [RBCR1] = (u8 *)&d->rbcr + 1,
        [RCR] = &d->rcr, [TCR] = &d->tcr, [DCR] = &d->dcr, [IMR] = &d->imr,
    };

    if (reg == ISR)
        acknowledge(d, val);
    else if (plain[reg])
        *plain[reg] = val;
    if (reg == ISR || reg == IMR)
        dp8390_update_irq(d);
    if (reg == BNRY)
        nic_accept_input(d->dev);
}

void dp8390_write(struct dp8390 *d, u32 reg, u8 val)
{
    u32 page = d->cr >> 6;

    if (reg == CR)
        write_command(d, val);
    else if (page == 0)
        write_page0(d, reg, val);
    else if (page == 1 && reg <= PAR5)
        d->par[reg - PAR0] = val;
    else if (page == 1 && reg == CURR)
        d->curr = val;
    else if (page == 1)
        d->mar[reg - MAR0] = val;
}

/* A tally is cleared by reading it, a FIFO byte is taken. */
static u8 read_page0(struct dp8390 *d, u32 reg)
{
    const u8 plain[16] = {
        [CLDA0] = 0,           [CLDA1] = d->curr,     [BNRY] = d->bnry,
        [TSR] = d->tsr,        [NCR] = d->ncr,        [FIFO] = d->fifo[d->fifo_at & 7],
        [ISR] = d->isr,        [CRDA0] = d->rsar,     [CRDA1] = d->rsar >> 8,
        [ID0] = 'P',           [ID1] = 'C', /* reserved in the DP8390; Realtek's signature */
        [RSR] = d->rsr,        [CNTR0] = d->tally[0], [CNTR1] = d->tally[1],
        [CNTR2] = d->tally[2],
    };

    if (reg >= CNTR0)
        d->tally[reg - CNTR0] = 0;
    if (reg == FIFO)
        d->fifo_at = (d->fifo_at + 1) & 7;
    return plain[reg];
}

static u8 read_page2(const struct dp8390 *d, u32 reg)
{
    const u8 plain[16] = {
        [PSTART] = d->pstart,  [PSTOP] = d->pstop,    [3] = d->bnry,
        [TPSR] = d->tpsr,      [5] = d->curr,         [RCR] = d->rcr | 0xc0,
        [TCR] = d->tcr | 0xe0, [DCR] = d->dcr | 0x80, [IMR] = d->imr | 0x80,
    };

    return plain[reg];
}

u8 dp8390_read(struct dp8390 *d, u32 reg)
{
    u32 page = d->cr >> 6;

    if (reg == CR)
        return d->cr;
    if (page == 0)
        return read_page0(d, reg);
    if (page == 1)
        return reg <= PAR5 ? d->par[reg - PAR0] : reg == CURR ? d->curr : d->mar[reg - MAR0];
    return page == 2 ? read_page2(d, reg) : d->page3_read(d->dev, reg);
}

/* RESET (datasheet 11): stopped, interrupts masked. Other registers keep what they had. */
void dp8390_reset(struct dp8390 *d)
{
    d->cr = CR_STP | CR_RD_ABORT;
    d->started = false;
    d->isr = ISR_RST;
    d->imr = 0;
    d->tcr = 0;
    d->dcr &= ~DCR_LS;
    dp8390_update_irq(d);
}
