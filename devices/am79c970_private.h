/*
 * What the Am79C970A's files share. Names are those of AMD's data sheet 19436.
 */
#ifndef RING3_AM79C970_PRIVATE_H
#define RING3_AM79C970_PRIVATE_H

#include "devices/am79c970.h"

enum { /* CSR0 */
    CSR0_INIT = 0x0001, CSR0_STRT = 0x0002, CSR0_STOP = 0x0004, CSR0_TDMD = 0x0008,
    CSR0_TXON = 0x0010, CSR0_RXON = 0x0020, CSR0_IENA = 0x0040, CSR0_INTR = 0x0080,
    CSR0_IDON = 0x0100, CSR0_TINT = 0x0200, CSR0_RINT = 0x0400, CSR0_MERR = 0x0800,
    CSR0_MISS = 0x1000, CSR0_CERR = 0x2000, CSR0_BABL = 0x4000, CSR0_ERR = 0x8000,
};
enum { /* other bits */
    CSR4_APAD_XMT = 0x0800, CSR4_ASTRP_RCV = 0x0400, CSR4_TXSTRT = 0x0008, CSR5_SPND = 0x0001,
    CSR5_LTINTEN = 0x4000, CSR5_TOKINTD = 0x8000, MODE_DRX = 0x0001, MODE_DTX = 0x0002,
    MODE_LOOP = 0x0004, MODE_DXMTFCS = 0x0008, MODE_DRCVPA = 0x2000, MODE_DRCVBC = 0x4000,
    MODE_PROM = 0x8000,
};
enum {
    CSRS = 128, BCRS = 32, MODE = 15, LADRF = 8, PADR = 12, RDRA = 24, TDRA = 30, /* CSRs */
    BCR_LNKST = 4, BCR_BSBC = 18, BCR_SWS = 20, BSBC_DWIO = 0x80, PCNET_CRC = 4,
    PCNET_FRAME = 4096,
};

struct am79c970 {
    struct device dev;
    struct pci_function pci;
    u32 io_claim, memory_claim;
    u8 aprom[16];
    u16 rap, csr[CSRS], bcr[BCRS];
    u16 rx_at, tx_at; /* the descriptors that are next */
    bool busy;        /* at its rings: deaf to writes, a descriptor may lead here */
    u32 size;         /* of the frame that is being gathered */
    bool open;
    u8 frame[PCNET_FRAME];
    struct timer rx_poll, tx_more;
};

/* am79c970.c */
void am79c970_raise(struct am79c970 *s, u16 causes); /* CSR0 */
bool am79c970_runs(const struct am79c970 *s); /* neither stopped nor suspended, and master */

/* am79c970_rings.c */
void am79c970_init_block(struct am79c970 *s);
bool am79c970_can_receive(struct device *dev);
void am79c970_receive(struct device *dev, const u8 *frame, u32 size);
void am79c970_transmit(struct am79c970 *s);
void am79c970_tx_more(void *owner);
void am79c970_rx_poll(void *owner);

#endif
