/*
 * Intel's 82540EM, the PRO/1000 MT desktop adapter: registers, interrupts, the card (317453,
 * chapter 13).
 *
 *   BAR 0  128 KiB of registers        BAR 1  the same behind IOADDR and IODATA
 *
 * Most registers are plain memory: `reg`, by their offset. e1000_tx.c and e1000_rx.c go through
 * the rings, e1000_phy.c is the transceiver and the EEPROM.
 *
 * An interrupt is a cause in ICR that IMS lets through, not sooner than ITR after the last;
 * reading ICR clears it. While the chip is at its rings (`busy`), its registers take no writes:
 * a descriptor may lead there. Not built: waking by frames, flow control (PAUSE frames are
 * never sent nor obeyed), jumbo frames.
 */
#include "devices/e1000_private.h"

#include <string.h>

enum { MMIO_SIZE = 0x20000, IO_SIZE = 0x40, IOADDR = 0, IODATA = 4, ITR_UNIT = 256 };

/* ---- Interrupts ---- */

static void update_irq(struct e1000 *s)
{
    bool pending = *e1000_reg(s, ICR) & *e1000_reg(s, IMS);
    u64 now = clock_now(s->dev.machine);
    u32 interval = *e1000_reg(s, ITR) & 0xffff;
    const struct pci_slot *slot = s->dev.config;

    if (!pending || s->asserted || !interval) {
        s->asserted = pending;
    } else if (now < s->throttle_end) {
        timer_set(&s->throttle, s->throttle_end);
    } else {
        s->asserted = true;
        s->throttle_end = now + interval * ITR_UNIT;
    }
    if (slot && slot->bus)
        pci_plug_irq(&s->pci, s->asserted);
}

static void throttle_over(void *owner)
{
    update_irq(owner);
}

void e1000_cause(struct e1000 *s, u32 causes)
{
    *e1000_reg(s, ICR) |= causes;
    update_irq(s);
}

bool e1000_is_master(const struct e1000 *s)
{
    return s->pci.config[4] & PCI_COMMAND_MASTER;
}

/* ---- Statistics: they stop at their end, reading clears them ---- */

void e1000_count(struct e1000 *s, u32 statistic, u32 n)
{
    u32 *r = e1000_reg(s, statistic);

    *r = *r > ~0u - n ? ~0u : *r + n;
}

void e1000_count64(struct e1000 *s, u32 low, u32 n)
{
    u32 *r = e1000_reg(s, low);
    u64 sum = ((u64)r[1] << 32 | r[0]) + n;

    r[0] = (u32)sum;
    r[1] = (u32)(sum >> 32);
}

void e1000_count_size(struct e1000 *s, u32 first, u32 size)
{
    static const u16 most[] = { 64, 127, 255, 511, 1023 };
    u32 i = 0;

    while (i < ARRAY_SIZE(most) && size + CRC_SIZE > most[i])
        i++;
    e1000_count(s, first + 4 * i, 1);
}

/* ---- Reset ---- */

static void set_address(struct e1000 *s)
{
    const u8 *mac = nic_config(&s->dev)->mac;

    *e1000_reg(s, RAL0) = mac[0] | mac[1] << 8 | mac[2] << 16 | (u32)mac[3] << 24;
    *e1000_reg(s, RAH0) = mac[4] | mac[5] << 8 | 1u << 31;
}

/* CTRL.RST: all but the transceiver, and the packet buffer's split. */
static void mac_reset(struct e1000 *s)
{
    u32 link = *e1000_reg(s, STATUS) & STATUS_LU;

    memset(s->reg, 0, sizeof(s->reg));
    *e1000_reg(s, CTRL) = CTRL_FD | CTRL_SLU;
    *e1000_reg(s, STATUS) = STATUS_FD | STATUS_1000 | link;
    *e1000_reg(s, PBA) = 0x00100030;
    *e1000_reg(s, LEDCTL) = 0x07068302;
    *e1000_reg(s, VET) = 0x8100;
    set_address(s);
    timer_cancel(&s->rx_delay);
    timer_cancel(&s->throttle);
    s->rx_first = s->throttle_end = 0;
    s->io_address = 0;
    e1000_tx_reset(s);
    update_irq(s);
}

/* ---- Registers ---- */

/* Which bits of a register without a case of its own the guest may write. */
static u32 plain_bits(u32 off)
{
    switch (off) {
    case VET:
    case FCT:
    case FCAH:
    case FCTTV:
    case TDH:
    case RDH:
    case TIDV:
    case TADV:
    case RADV:
    case ITR:
        return 0xffff;
    case RDLEN:
    case TDLEN:
        return 0xfff80;
    case RDBAL:
    case TDBAL:
        return 0xfffffff0;
    case CTRL_EXT:
    case FCAL:
    case TXCW:
    case TIPG:
    case AIFS:
    case LEDCTL:
    case PBA:
    case FCRTL:
    case FCRTH:
    case RDBAH:
    case TDBAH:
    case RXDCTL:
    case TXDCTL:
    case RSRPD:
    case TXDMAC:
    case TSPMT:
    case RXCSUM:
    case WUC:
    case WUFC:
    case WUS:
    case MANC:
    case IPAV:
    case MTA ... RA_END - 4:
    case VFTA ... VFTA_END - 4:
        return ~0u;
    default:
        return 0;
    }
}

static void ctrl_write(struct e1000 *s, u32 val)
{
    if (val & CTRL_RST) {
        mac_reset(s);
        return;
    }
    *e1000_reg(s, CTRL) = val & ~CTRL_PHY_RST;
    if (val & CTRL_PHY_RST)
        e1000_phy_reset(s);
}

/* The registers that do something. */
static bool active_write(struct e1000 *s, u32 off, u32 val)
{
    switch (off) {
    case CTRL:
        ctrl_write(s, val);
        return true;
    case EECD:
        e1000_eecd_write(s, val);
        return true;
    case EERD:
        e1000_eerd_write(s, val);
        return true;
    case MDIC:
        e1000_mdic_write(s, val);
        return true;
    case ICR:
        *e1000_reg(s, ICR) &= ~val;
        update_irq(s);
        return true;
    case ICS:
        e1000_cause(s, val & ICR_BITS);
        return true;
    case IMS:
        *e1000_reg(s, IMS) |= val & ICR_BITS;
        update_irq(s);
        return true;
    case IMC:
        *e1000_reg(s, IMS) &= ~val;
        update_irq(s);
        return true;
    case RCTL:
        *e1000_reg(s, RCTL) = val;
        nic_accept_input(&s->dev);
        return true;
    case RDT:
        *e1000_reg(s, RDT) = val & 0xffff;
        nic_accept_input(&s->dev);
        return true;
    case RDTR:
        *e1000_reg(s, RDTR) = val & 0xffff;
        if (val & DELAY_NOW && s->rx_first)
            e1000_rx_told(s);
        return true;
    case TDT:
        *e1000_reg(s, TDT) = val & 0xffff;
        e1000_tx_run(s);
        return true;
    case TCTL:
        *e1000_reg(s, TCTL) = val;
        e1000_tx_run(s);
        return true;
    default:
        return false;
    }
}

static void register_write(struct e1000 *s, u32 off, u32 val)
{
    u32 bits;

    if (off >= REGISTERS_END || s->busy || active_write(s, off, val))
        return;
    bits = plain_bits(off);
    *e1000_reg(s, off) = (*e1000_reg(s, off) & ~bits) | (val & bits);
    if (off == TIDV && val & DELAY_NOW && s->tx_delay.armed)
        e1000_tx_told(s);
}

static u32 register_read(struct e1000 *s, u32 off)
{
    u32 val;

    if (off >= REGISTERS_END)
        return 0;
    val = *e1000_reg(s, off);
    switch (off) {
    case ICR:
        *e1000_reg(s, ICR) = 0;
        update_irq(s);
        return val;
    case EECD:
        return e1000_eecd_read(s);
    case STATISTICS ... STATISTICS_END - 4:
        *e1000_reg(s, off) = 0;
        return val;
    default:
        return val;
    }
}

/* ---- BARs ---- */

static u32 mmio_read(struct device *dev, u32 off, enum io_size size)
{
    return register_read((struct e1000 *)dev, off & ~3u) >> 8 * (off & 3);
}

/* Registers are written as doublewords. */
static void mmio_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    if (size == IO_32 && !(off & 3))
        register_write((struct e1000 *)dev, off, val);
}

static u32 io_read(struct device *dev, u32 off, enum io_size size)
{
    struct e1000 *s = (struct e1000 *)dev;

    if (size != IO_32)
        return ~0u;
    return off == IOADDR   ? s->io_address
           : off == IODATA ? register_read(s, s->io_address & ~3u)
                           : 0;
}

static void io_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct e1000 *s = (struct e1000 *)dev;

    if (size == IO_32 && off == IOADDR)
        s->io_address = val;
    else if (size == IO_32 && off == IODATA)
        register_write(s, s->io_address & ~3u, val);
}

/* ---- The card ---- */

static void link_changed(struct device *dev)
{
    e1000_phy_link((struct e1000 *)dev);
}

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops mmio = { mmio_read, mmio_write, IO_8 | IO_16 | IO_32 };
    static const struct io_ops io = { io_read, io_write, IO_8 | IO_16 | IO_32 };
    struct e1000 *s = container_of(f, struct e1000, pci);

    pci_bar_claim(f, 0, &mmio, &s->mmio_claim);
    pci_bar_claim(f, 1, &io, &s->io_claim);
    if (off <= 4 && e1000_is_master(s))
        nic_accept_input(f->dev);
}

static bool e1000_attach(struct device *dev)
{
    struct e1000 *s = (struct e1000 *)dev;

    pci_init(&s->pci, dev, 0x8086, 0x100e, 0x020000, 3,
             PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_init_bar(&s->pci, 0, MMIO_SIZE, false, false);
    pci_init_bar(&s->pci, 1, IO_SIZE, true, false);
    s->pci.written = pci_written;
    timer_init(&s->negotiate, dev->machine, e1000_negotiated, s);
    timer_init(&s->tx_more, dev->machine, e1000_tx_more, s);
    timer_init(&s->tx_delay, dev->machine, e1000_tx_told, s);
    timer_init(&s->tx_limit, dev->machine, e1000_tx_told, s);
    timer_init(&s->rx_delay, dev->machine, e1000_rx_told, s);
    timer_init(&s->throttle, dev->machine, throttle_over, s);
    e1000_eeprom_make(s);
    nic_attach(dev, e1000_can_receive, e1000_receive, link_changed);
    pci_plug(dev, &s->pci);
    return true;
}

static void e1000_reset(struct device *dev)
{
    struct e1000 *s = (struct e1000 *)dev;

    pci_reset(&s->pci);
    mac_reset(s);
    e1000_phy_reset(s);
}

/* Delays that ran are over. */
static void e1000_loaded(struct device *dev)
{
    struct e1000 *s = (struct e1000 *)dev;
    u32 ring = *e1000_reg(s, TDLEN);

    pci_written(&s->pci, 0, 0);
    at93c46_loaded(&s->eeprom);
    s->tx.size = s->tx.size < NIC_PACKET_MAX ? s->tx.size : 0;
    s->rx_first = s->throttle_end = 0;
    s->asserted = false;
    if (!(*e1000_reg(s, STATUS) & STATUS_LU) && nic_link(dev))
        e1000_phy_link(s);
    if (ring)
        timer_set(&s->tx_more, clock_now(dev->machine));
    update_irq(s);
}

#define F(member) FIELD(struct e1000, member)
#define OFFLOAD_FIELDS(o)                                                                      \
    F(tx.o.ip.start), F(tx.o.ip.at), F(tx.o.ip.end), F(tx.o.l4.start), F(tx.o.l4.at),          \
        F(tx.o.l4.end), F(tx.o.mss), F(tx.o.header), F(tx.o.ipv4), F(tx.o.tcp)
static const struct field e1000_fields[] = {
    FIELD_ARRAY(struct e1000, pci.config),
    F(io_address),
    FIELD_ARRAY(struct e1000, reg),
    FIELD_ARRAY(struct e1000, phy),
    AT93C46_FIELDS(struct e1000, eeprom),
    OFFLOAD_FIELDS(plain),
    OFFLOAD_FIELDS(segmented),
    F(tx.open),
    F(tx.long_packet),
    F(tx.command),
    F(tx.options),
    F(tx.tag),
    F(tx.sum_start),
    F(tx.sum_at),
    F(tx.size),
    FIELD_ARRAY(struct e1000, tx.packet),
    FIELD_END,
};

const struct device_class e1000_class = {
    .name = "e1000",
    .size = sizeof(struct e1000),
    .attach = e1000_attach,
    .reset = e1000_reset,
    .loaded = e1000_loaded,
    .fields = e1000_fields,
};

/* ---- For -device ---- */

static const struct key_row e1000_keys[] = { NIC_KEYS, NIC_PCI_KEYS, { NULL } };

const struct user_device e1000_user_device = {
    .name = "e1000",
    .help = "Intel PRO/1000 MT network card (82540EM)",
    .category = NETWORK_DEVICE,
    .bus = BUS_PCI,
    .class = &e1000_class,
    .config_size = sizeof(struct nic_config),
    .properties = e1000_keys,
    .complete = nic_complete,
    .boot_rom = "pxe-e1000.rom",
};
