/*
 * What the RTL8139C+'s files share. Names and offsets are those of Realtek's data sheets for
 * the RTL8139C(L) and the RTL8139C(L)+ (rev. 1.6).
 */
#ifndef RING3_RTL8139_PRIVATE_H
#define RING3_RTL8139_PRIVATE_H

#include "devices/at93c46.h"
#include "devices/nic_offload.h"
#include "devices/rtl8139.h"

#include <string.h>

enum { /* registers */
    IDR0 = 0x00, MAR0 = 0x08, TSD0 = 0x10, TSAD0 = 0x20, RBSTART = 0x30, CR = 0x37, CAPR = 0x38,
    CBR = 0x3a, IMR = 0x3c, ISR = 0x3e, TCR = 0x40, RCR = 0x44, TCTR = 0x48, MPC = 0x4c,
    R9346CR = 0x50, CONFIG0 = 0x51, CONFIG1 = 0x52, TIMERINT = 0x54, MSR = 0x58, CONFIG3 = 0x59,
    CONFIG4 = 0x5a, MULINT = 0x5c, RERID = 0x5e, TSAD = 0x60, BMCR = 0x62, BMSR = 0x64,
    ANAR = 0x66, ANLPAR = 0x68, ANER = 0x6a, FCSC = 0x6e, NWAYTR = 0x70, CSCR = 0x74,
    PHY_END = 0x84, CONFIG5 = 0xd8, TPPOLL = 0xd9, CPCR = 0xe0, RDSAR = 0xe4, MTPS = 0xec,
    REGISTERS = 0x100, DTCCR = 0x10, TNPDS = 0x20, THPDS = 0x28, /* in C+ mode */
};
enum { /* bits */
    CR_RST = 0x10, CR_RE = 0x08, CR_TE = 0x04, CR_BUFE = 0x01, ISR_ROK = 0x01, ISR_TOK = 0x04,
    ISR_RXOVW = 0x10, ISR_LINK = 0x20, ISR_TDU = 0x80, ISR_SW = 0x100, ISR_TIMEOUT = 0x4000,
    TSD_OWN = 1 << 13, TSD_TOK = 1 << 15, TCR_CRC = 1 << 16, TCR_LBK = 3 << 17, RCR_AAP = 0x01,
    RCR_APM = 0x02, RCR_AM = 0x04, RCR_AB = 0x08, RCR_WRAP = 0x80, CPCR_TX = 0x01,
    CPCR_RX = 0x02, CPCR_SUMS = 0x20, CPCR_VLAN = 0x40, POLL_HIGH = 0x80, POLL_NORMAL = 0x40,
    POLL_INTERRUPT = 0x01,
};
enum { RTL_CRC = 4, RTL_DESCRIPTOR = 16, RTL_RING = 64, TX_QUEUES = 2 };

/* As DTCCR's command writes them to memory. */
struct rtl_tally {
    u64 tx_ok, rx_ok, tx_err;
    u32 rx_err;
    u16 missed, misaligned;
    u32 one_collision, more_collisions;
    u64 rx_ours, rx_broadcast;
    u32 rx_multicast;
    u16 tx_aborted, tx_underrun;
} __attribute__((packed));
static_assert(sizeof(struct rtl_tally) == 64, "RTL8139C+, 5.5");

struct rtl8139 {
    struct device dev;
    struct pci_function pci;
    u32 io_claim, memory_claim;
    u8 reg[REGISTERS];
    struct at93c46 eeprom;
    struct rtl_tally tally;
    u8 rx_next, tx_next[TX_QUEUES]; /* C+: descriptors, the normal queue's first */
    u8 polled;                      /* queues with something to send: POLL_* */
    bool busy; /* at its rings: deaf to writes, a descriptor may lead here */
    bool open, too_long;            /* C+: a packet has begun; and is longer than we take */
    u32 first;                      /* dword 0 of its first descriptor */
    u32 tag;                        /* dword 1 */
    u32 size;
    u8 packet[NIC_PACKET_MAX];
    u64 timer_base; /* when TCTR was 0 */
    struct timer tx_more, rx_poll, timeout;
};

/* Registers of more than a byte are little-endian, as the host is. */
static inline u16 rtl_get16(const struct rtl8139 *n, u32 reg)
{
    u16 val;

    memcpy(&val, n->reg + reg, 2);
    return val;
}
static inline u32 rtl_get32(const struct rtl8139 *n, u32 reg)
{
    u32 val;

    memcpy(&val, n->reg + reg, 4);
    return val;
}
static inline void rtl_put16(struct rtl8139 *n, u32 reg, u32 val)
{
    memcpy(n->reg + reg, &(u16){ (u16)val }, 2);
}
static inline void rtl_put32(struct rtl8139 *n, u32 reg, u32 val)
{
    memcpy(n->reg + reg, &val, 4);
}

/* rtl8139.c */
void rtl8139_raise(struct rtl8139 *n, u32 causes);
bool rtl8139_is_master(const struct rtl8139 *n);

/* rtl8139_rx.c */
bool rtl8139_can_receive(struct device *dev);
void rtl8139_receive(struct device *dev, const u8 *frame, u32 size);
void rtl8139_rx_poll(void *owner);
bool rtl8139_rx_empty(const struct rtl8139 *n);

/* rtl8139_tx.c */
void rtl8139_tx_slot(struct rtl8139 *n, u32 slot); /* TSD of that slot was written */
void rtl8139_tx_run(struct rtl8139 *n);            /* TPPOLL was */
void rtl8139_tx_more(void *owner);

#endif
