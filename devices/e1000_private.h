/*
 * What the 82540EM's files share. Names and offsets are those of Intel's "PCI/PCI-X Family of
 * Gigabit Ethernet Controllers Software Developer's Manual" (317453), chapter 13.
 */
#ifndef RING3_E1000_PRIVATE_H
#define RING3_E1000_PRIVATE_H

#include "devices/at93c46.h"
#include "devices/e1000.h"
#include "devices/nic_offload.h"

enum { /* registers, by their offset in BAR 0 */
    CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018,
    MDIC = 0x0020, FCAL = 0x0028, FCAH = 0x002c, FCT = 0x0030, VET = 0x0038, ICR = 0x00c0,
    ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8, RCTL = 0x0100, FCTTV = 0x0170,
    TXCW = 0x0178, RXCW = 0x0180, TCTL = 0x0400, TIPG = 0x0410, AIFS = 0x0458, LEDCTL = 0x0e00,
    PBA = 0x1000, FCRTL = 0x2160, FCRTH = 0x2168, RDBAL = 0x2800, RDBAH = 0x2804,
    RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RXDCTL = 0x2828, RADV = 0x282c,
    RSRPD = 0x2c00, TXDMAC = 0x3000, TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808,
    TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TXDCTL = 0x3828, TADV = 0x382c, TSPMT = 0x3830,
    STATISTICS = 0x4000, STATISTICS_END = 0x4100, RXCSUM = 0x5000, MTA = 0x5200, RAL0 = 0x5400,
    RAH0 = 0x5404, RA_END = 0x5480, VFTA = 0x5600, VFTA_END = 0x5800, WUC = 0x5800,
    WUFC = 0x5808, WUS = 0x5810, MANC = 0x5820, IPAV = 0x5838, REGISTERS_END = 0x6000,
};
enum { /* statistics */
    MPC = 0x4010, PRC64 = 0x405c, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407c, GPTC = 0x4080,
    GORCL = 0x4088, GOTCL = 0x4090, RNBC = 0x40a0, RUC = 0x40a4, ROC = 0x40ac, TORL = 0x40c0,
    TOTL = 0x40c8, TPR = 0x40d0, TPT = 0x40d4, PTC64 = 0x40d8, MPTC = 0x40f0, BPTC = 0x40f4,
    TSCTC = 0x40f8,
};
enum { /* bits */
    CTRL_FD = 0x1, CTRL_SLU = 0x40, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30, STATUS_FD = 0x1,
    STATUS_LU = 0x2, STATUS_1000 = 0x80, ICR_TXDW = 0x1, ICR_TXQE = 0x2, ICR_LSC = 0x4,
    ICR_RXDMT0 = 0x10, ICR_RXO = 0x40, ICR_RXT0 = 0x80, ICR_MDAC = 0x200, ICR_TXD_LOW = 0x8000,
    ICR_BITS = 0x1ffff, RCTL_EN = 0x2, RCTL_UPE = 0x8, RCTL_MPE = 0x10, RCTL_LPE = 0x20,
    RCTL_LBM = 0xc0, RCTL_BAM = 0x8000, RCTL_VFE = 1 << 18, RCTL_BSEX = 1 << 25,
    RCTL_SECRC = 1 << 26, TCTL_EN = 0x2, TCTL_PSP = 0x8, RXCSUM_IPOFL = 0x100,
    RXCSUM_TUOFL = 0x200, DELAY_NOW = 1u << 31, /* RDTR and TIDV: FPD */
};
#define CTRL_PHY_RST (1u << 31)

enum { DESCRIPTOR = 16, CRC_SIZE = 4, VLAN_SIZE = 4, PHY_REGS = 32 };
#define E1000_TICK 1024 /* RDTR, RADV, TIDV, TADV: ns */

/* A packet on its way from memory to the wire, descriptor by descriptor. */
struct e1000_tx {
    struct nic_offload plain, segmented; /* the last context descriptors'; sums off */
    bool open, long_packet;              /* a packet has begun; it is longer than we take */
    u8 command, options;                 /* DCMD and POPTS of its first descriptor */
    u16 tag;                             /* with CMD_VLE, CTRL.VME: its VLAN tag */
    u8 sum_start, sum_at;                /* a legacy descriptor's CSS and CSO */
    u32 size;
    u8 packet[NIC_PACKET_MAX];
};

struct e1000 {
    struct device dev;
    struct pci_function pci;
    u32 mmio_claim, io_claim; /* where BARs 0 and 1 are claimed; 0: nowhere */
    u32 io_address;
    u32 reg[REGISTERS_END / 4];
    u16 phy[PHY_REGS];
    struct at93c46 eeprom;
    /* the chip is at its rings: descriptors that lead to its own registers find them deaf */
    bool busy;
    bool asserted; /* the interrupt pin */
    struct e1000_tx tx;
    struct timer negotiate, tx_more, tx_delay, tx_limit, rx_delay, throttle;
    u64 throttle_end; /* no interrupt before */
    u64 rx_first;     /* when the first of the frames that RDTR delays came; 0: none */
};

static inline u32 *e1000_reg(struct e1000 *s, u32 off)
{
    return &s->reg[off / 4];
}

/* e1000.c */
void e1000_cause(struct e1000 *s, u32 causes);
void e1000_count(struct e1000 *s, u32 statistic, u32 n);
void e1000_count64(struct e1000 *s, u32 low, u32 n);
/* A frame's size class, from PRC64 or PTC64 on; size without CRC. */
void e1000_count_size(struct e1000 *s, u32 first, u32 size);
bool e1000_is_master(const struct e1000 *s);

/* e1000_phy.c */
void e1000_phy_reset(struct e1000 *s);
void e1000_phy_link(struct e1000 *s); /* the cable's state has changed */
void e1000_negotiated(void *owner);
bool e1000_loops(const struct e1000 *s);
void e1000_mdic_write(struct e1000 *s, u32 val);
void e1000_eeprom_make(struct e1000 *s);
void e1000_eecd_write(struct e1000 *s, u32 val);
u32 e1000_eecd_read(const struct e1000 *s);
void e1000_eerd_write(struct e1000 *s, u32 val);

/* e1000_tx.c */
void e1000_tx_run(struct e1000 *s); /* TDT, TCTL written, or the next slice */
void e1000_tx_more(void *owner);
void e1000_tx_told(void *owner); /* TIDV or TADV have passed */
void e1000_tx_reset(struct e1000 *s);

/* e1000_rx.c */
bool e1000_can_receive(struct device *dev);
void e1000_receive(struct device *dev, const u8 *frame, u32 size);
void e1000_rx_told(void *owner); /* RDTR or RADV have passed */

#endif
