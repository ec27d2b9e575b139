/*
 * National DP8390D network interface controller: see dp8390.c. Part of a card's struct, which
 * gives it its buffer memory and its interrupt wire.
 */
#ifndef RING3_DP8390_H
#define RING3_DP8390_H

#include "devices/nic.h"

struct dp8390 {
    struct device *dev;   /* the card */
    /* What the local and remote DMA reach; elsewhere is nothing. */
    u8 *ram;
    u32 ram_base, ram_size; /* bytes; whole pages of 256 */
    const u8 *prom;         /* at 0; only read */
    u32 prom_size;
    void (*irq)(struct device *dev, bool level);
    /* Page 3 is the card maker's. */
    u8 (*page3_read)(struct device *dev, u32 reg);

    u8 started;           /* by STA, until STP: commands without either leave it */
    u8 cr, isr, imr, rcr, tcr, dcr, tsr, rsr, ncr;
    u8 pstart, pstop, bnry, curr, tpsr; /* pages of 256 bytes */
    u8 par[6], mar[8];                  /* physical address; multicast hash */
    u8 tally[3];                        /* frame alignment, CRC, missed packets */
    u8 fifo[8], fifo_at;                /* after a loopback */
    u16 tbcr, rsar, rbcr;               /* transmit bytes; remote DMA: address, bytes left */
};
/* Guest-visible state, for the card's table. */
#define DP8390_FIELDS(type, member)                                                            \
    FIELD(type, member.started), FIELD(type, member.cr), FIELD(type, member.isr), FIELD(type, member.imr),                  \
        FIELD(type, member.rcr), FIELD(type, member.tcr), FIELD(type, member.dcr),             \
        FIELD(type, member.tsr), FIELD(type, member.rsr), FIELD(type, member.ncr),             \
        FIELD(type, member.pstart), FIELD(type, member.pstop), FIELD(type, member.bnry),       \
        FIELD(type, member.curr), FIELD(type, member.tpsr), FIELD_ARRAY(type, member.par),     \
        FIELD_ARRAY(type, member.mar), FIELD_ARRAY(type, member.tally),                        \
        FIELD_ARRAY(type, member.fifo), FIELD(type, member.fifo_at), FIELD(type, member.tbcr), \
        FIELD(type, member.rsar), FIELD(type, member.rbcr)

void dp8390_reset(struct dp8390 *d);
u8 dp8390_read(struct dp8390 *d, u32 reg); /* 0 to 15 */
void dp8390_write(struct dp8390 *d, u32 reg, u8 val);
/* The remote DMA's port: one transfer, a byte, or a word if DCR says so. */
bool dp8390_words(const struct dp8390 *d);
u16 dp8390_data_read(struct dp8390 *d);
void dp8390_data_write(struct dp8390 *d, u16 val);
/* From the network. */
bool dp8390_can_receive(const struct dp8390 *d);
void dp8390_receive(struct dp8390 *d, const u8 *frame, u32 size);
void dp8390_update_irq(struct dp8390 *d);

#endif
