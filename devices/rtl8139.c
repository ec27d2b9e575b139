/*
 * Realtek's RTL8139C+: a 10/100 Mb/s network card on PCI, whose drivers know it as a RTL8139 or
 * by the descriptors of its C+ mode (data sheets of the RTL8139C(L) and the RTL8139C(L)+).
 *
 *   BAR 0  256 ports of registers        BAR 1  the same in memory
 *
 * Registers are bytes in `reg`; a write changes those its masks let through, then what the
 * bytes lead to happens. rtl8139_rx.c and rtl8139_tx.c are the two ways to move frames.
 *
 * While the chip is at its rings (`busy`), its registers take no writes: a descriptor may lead
 * there. BAR 1 has 4 KiB, in which the registers repeat; the card has 256 bytes. Not built:
 * waking by frames, the multiple early interrupt.
 */
#include "devices/rtl8139_private.h"

enum {
    PORTS = 256, MEMORY_SIZE = 4096, EE_DO = 1, EE_DI = 2, EE_SK = 4, EE_CS = 8, EE_MODE = 0xc0,
    EE_CONFIG = 0xc0, /* the configuration registers may be written */
    TSD_BYTES = 16, BMCR_RESET = 0x8000, BMCR_RESTART = 0x0200, BMSR_LINK = 0x04,
    BMSR_DONE = 0x20, MSR_NO_LINK = 0x04, TALLY_DUMP = 0x08, CAPR_RESET = 0xfff0,
};
#define TCR_VERSION 0x74800000u /* HWVERID of the C+ */
#define PCI_HZ      33000000ull

/* ---- Interrupts ---- */

static void update_irq(struct rtl8139 *n)
{
    const struct pci_slot *slot = n->dev.config;

    if (slot->bus)
        pci_plug_irq(&n->pci, rtl_get16(n, ISR) & rtl_get16(n, IMR));
}

void rtl8139_raise(struct rtl8139 *n, u32 causes)
{
    rtl_put16(n, ISR, rtl_get16(n, ISR) | causes);
    update_irq(n);
}

bool rtl8139_is_master(const struct rtl8139 *n)
{
    return n->pci.config[4] & PCI_COMMAND_MASTER;
}

/* ---- The timer: TCTR counts the PCI clock, and interrupts at TIMERINT ---- */

static u32 timer_count(const struct rtl8139 *n)
{
    u64 ns = clock_now(n->dev.machine) - n->timer_base;

    return (u32)((unsigned __int128)ns * PCI_HZ / SEC(1));
}

static void timer_plan(struct rtl8139 *n)
{
    u32 at = rtl_get32(n, TIMERINT);

    timer_cancel(&n->timeout);
    if (at)
        timer_set(&n->timeout, clock_now(n->dev.machine) + USEC(1) +
                                   (u64)(u32)(at - timer_count(n)) * SEC(1) / PCI_HZ);
}

static void timer_fires(void *owner)
{
    struct rtl8139 *n = owner;

    rtl8139_raise(n, ISR_TIMEOUT);
    timer_plan(n);
}

/* ---- The transceiver ---- */

static void set_link(struct rtl8139 *n)
{
    bool up = nic_link(&n->dev);

    n->reg[MSR] = (u8)((n->reg[MSR] & ~MSR_NO_LINK) | (up ? 0 : MSR_NO_LINK));
    rtl_put16(n, BMSR, 0x7809 | (up ? BMSR_LINK | BMSR_DONE : 0));
    rtl_put16(n, ANLPAR, up ? 0x45e1 : 0);
    rtl_put16(n, ANER, up ? 1 : 0);
    rtl_put16(n, CSCR, 0x0400 | (up ? 0x08 : 0));
}

static void link_changed(struct device *dev)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;

    set_link(n);
    rtl8139_raise(n, ISR_LINK);
}

static void phy_reset(struct rtl8139 *n)
{
    memset(n->reg + BMCR, 0, PHY_END - BMCR);
    rtl_put16(n, BMCR, 0x1100);
    rtl_put16(n, ANAR, 0x05e1);
    set_link(n);
}

/* ---- The EEPROM: 9346CR ---- */

static void eeprom_make(struct rtl8139 *n)
{
    const u8 *mac = nic_config(&n->dev)->mac;
    u16 *w = n->eeprom.words;

    w[0] = 0x8129; /* the signature */
    w[1] = 0x10ec;
    w[2] = 0x8139;
    w[3] = 0x1af4;
    w[4] = 0x1100;
    w[5] = 0x4020; /* latencies */
    w[6] = 0xe112;
    for (u32 i = 0; i < 3; i++)
        w[7 + i] = (u16)(mac[2 * i] | mac[2 * i + 1] << 8);
}

static void eeprom_write(struct rtl8139 *n, u8 val)
{
    n->reg[R9346CR] = val & (EE_MODE | EE_CS | EE_SK | EE_DI);
    at93c46_set(&n->eeprom, &n->dev, val & EE_CS && (val & EE_MODE) == 0x80, val & EE_SK,
                val & EE_DI);
    if ((val & EE_MODE) == 0x40) { /* auto-load */
        memcpy(n->reg + IDR0, nic_config(&n->dev)->mac, 6);
        n->reg[R9346CR] = 0;
    }
}

static u8 eeprom_read(const struct rtl8139 *n)
{
    return n->reg[R9346CR] |
           ((n->reg[R9346CR] & EE_MODE) == 0x80 && at93c46_get(&n->eeprom) ? EE_DO : 0);
}

/* ---- Reset ---- */

/* CR.RST: addresses and configuration stay. */
static void chip_reset(struct rtl8139 *n)
{
    u8 keep[IDR0 + 16], config[CONFIG4 + 1 - R9346CR];

    memcpy(keep, n->reg, sizeof(keep));
    memcpy(config, n->reg + R9346CR, sizeof(config));
    memset(n->reg, 0, BMCR);
    memset(n->reg + TPPOLL, 0, REGISTERS - TPPOLL);
    memcpy(n->reg, keep, sizeof(keep));
    memcpy(n->reg + R9346CR, config, sizeof(config));
    for (u32 i = 0; i < 4; i++)
        rtl_put32(n, TSD0 + 4 * i, TSD_OWN);
    rtl_put32(n, TIMERINT, 0);
    rtl_put16(n, CAPR, CAPR_RESET);
    rtl_put32(n, TCR, TCR_VERSION | 3 << 24);
    n->rx_next = n->tx_next[0] = n->tx_next[1] = 0;
    n->polled = 0;
    n->open = false;
    n->timer_base = clock_now(n->dev.machine);
    timer_cancel(&n->tx_more);
    timer_cancel(&n->rx_poll);
    timer_cancel(&n->timeout);
    update_irq(n);
}

/* ---- Writes ---- */

/* Which bits of a byte the guest may write just so. */
static u8 writable(const struct rtl8139 *n, u32 off)
{
    bool config = (n->reg[R9346CR] & EE_MODE) == EE_CONFIG;

    switch (off) {
    case IDR0 ... IDR0 + 5:
    case CONFIG0 ... CONFIG1 + 1:
    case CONFIG3:
    case CONFIG4:
    case CONFIG5:
        return config ? 0xff : 0;
    case MAR0 ... MAR0 + 7:
    case TSD0 ... RBSTART + 3:
    case CAPR ... CAPR + 1:
    case IMR ... IMR + 1:
    case RCR ... RCR + 3:
    case TIMERINT ... TIMERINT + 3:
    case MULINT ... MULINT + 1:
    case BMCR ... BMCR + 1:
    case ANAR ... ANAR + 1:
    case NWAYTR ... PHY_END - 1:
    case CPCR ... CPCR + 1:
    case RDSAR ... RDSAR + 7:
    case MTPS:
        return 0xff;
    case TCR:
    case TCR + 1:
        return 0xff;
    case TCR + 2:
        return 0x07;
    case TCR + 3:
        return 0x03;
    case MSR:
        return 0xc0;
    default:
        return 0;
    }
}

static void command_write(struct rtl8139 *n, u8 val)
{
    u8 old = n->reg[CR];

    if (val & CR_RST) {
        chip_reset(n);
        return;
    }
    n->reg[CR] = val & (CR_RE | CR_TE);
    if (val & ~old & CR_RE) {
        n->rx_next = 0;
        nic_accept_input(&n->dev);
    }
    if (val & ~old & CR_TE) {
        n->tx_next[0] = n->tx_next[1] = 0;
        n->open = false;
    }
}

static void tally_dump(struct rtl8139 *n)
{
    gpa_t to = ((u64)rtl_get32(n, DTCCR + 4) << 32 | rtl_get32(n, DTCCR)) & ~63ull;

    n->busy = true;
    if (rtl8139_is_master(n))
        phys_write(n->dev.machine, to, &n->tally, sizeof(n->tally));
    n->busy = false;
    n->reg[DTCCR] &= (u8)~TALLY_DUMP;
}

static void phy_write(struct rtl8139 *n)
{
    u16 bmcr = rtl_get16(n, BMCR);

    if (bmcr & BMCR_RESET)
        phy_reset(n);
    else if (bmcr & BMCR_RESTART)
        link_changed(&n->dev);
    rtl_put16(n, BMCR, rtl_get16(n, BMCR) & ~(BMCR_RESET | BMCR_RESTART));
}

/* A byte that does more than to be kept. */
static void byte_write(struct rtl8139 *n, u32 off, u8 val)
{
    u8 mask = writable(n, off);

    switch (off) {
    case CR:
        command_write(n, val);
        break;
    case ISR:
    case ISR + 1:
        n->reg[off] &= (u8)~val;
        break;
    case MPC ... MPC + 3:
        rtl_put32(n, MPC, 0);
        break;
    case R9346CR:
        eeprom_write(n, val);
        break;
    case TCTR ... TCTR + 3:
        n->timer_base = clock_now(n->dev.machine);
        timer_plan(n);
        break;
    case TPPOLL:
        n->polled |= val & (POLL_HIGH | POLL_NORMAL);
        if (val & POLL_INTERRUPT)
            rtl8139_raise(n, ISR_SW);
        break;
    default:
        n->reg[off] = (u8)((n->reg[off] & ~mask) | (val & mask));
    }
}

static bool is_cplus(const struct rtl8139 *n)
{
    return rtl_get16(n, CPCR) & (CPCR_TX | CPCR_RX);
}

/* After an access has written [off, end): what happens once its bytes are there. */
static void act(struct rtl8139 *n, u32 off, u32 end)
{
#define WROTE(reg) (off <= (reg) && (reg) < end)
    for (u32 i = 0; i < 4; i++)
        if (WROTE(TSD0 + 4 * i + 1) && !is_cplus(n))
            rtl8139_tx_slot(n, i);
    if (WROTE(DTCCR) && is_cplus(n) && n->reg[DTCCR] & TALLY_DUMP)
        tally_dump(n);
    if (WROTE(CAPR) || WROTE(RCR) || WROTE(ISR) || WROTE(IMR) || WROTE(CPCR))
        nic_accept_input(&n->dev);
    if (WROTE(ISR) || WROTE(ISR + 1) || WROTE(IMR) || WROTE(IMR + 1))
        update_irq(n);
    if (WROTE(TNPDS) && is_cplus(n))
        n->tx_next[0] = 0;
    if (WROTE(THPDS) && is_cplus(n))
        n->tx_next[1] = 0;
    if (WROTE(RDSAR))
        n->rx_next = 0;
    if (WROTE(TPPOLL))
        rtl8139_tx_run(n);
    if (WROTE(TIMERINT + 3))
        timer_plan(n);
    if (WROTE(BMCR + 1))
        phy_write(n);
#undef WROTE
}

static void rtl8139_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;
    u32 end;

    if (n->busy)
        return;
    off %= REGISTERS;
    end = off + size < REGISTERS ? off + size : REGISTERS;
    trace(TRACE_NET, "rtl8139: [%02x] write %u: %x", off, size, val);
    for (u32 i = off; i < end; i++)
        byte_write(n, i, (u8)(val >> 8 * (i - off)));
    act(n, off, end);
}

/* ---- Reads ---- */

/* The four slots' states side by side: TOK, TUN, TABT, OWN. */
static u16 slots_summary(const struct rtl8139 *n)
{
    u32 sum = 0;

    for (u32 i = 0; i < 4; i++) {
        u32 status = rtl_get32(n, TSD0 + 4 * i);

        sum |= (status & TSD_OWN ? 1u : 0) << i | (status & TSD_TOK ? 0x1000u : 0) << i;
    }
    return (u16)sum;
}

static u8 byte_read(struct rtl8139 *n, u32 off)
{
    switch (off) {
    case CR:
        return n->reg[CR] | (rtl8139_rx_empty(n) ? CR_BUFE : 0);
    case R9346CR:
        return eeprom_read(n);
    case TCTR ... TCTR + 3:
        return (u8)(timer_count(n) >> 8 * (off - TCTR));
    case TSAD ... TSAD + 1:
        return (u8)(slots_summary(n) >> 8 * (off - TSAD));
    default:
        return n->reg[off];
    }
}

static u32 rtl8139_read(struct device *dev, u32 off, enum io_size size)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;
    u32 val = 0;

    off %= REGISTERS;
    for (u32 i = 0; i < size && off + i < REGISTERS; i++)
        val |= (u32)byte_read(n, off + i) << 8 * i;
    return val;
}

/* ---- The card ---- */

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops ops = { rtl8139_read, rtl8139_write, IO_8 | IO_16 | IO_32 };
    struct rtl8139 *n = container_of(f, struct rtl8139, pci);

    pci_bar_claim(f, 0, &ops, &n->io_claim);
    pci_bar_claim(f, 1, &ops, &n->memory_claim);
    if (off <= 4 && rtl8139_is_master(n))
        nic_accept_input(f->dev);
}

static bool rtl8139_attach(struct device *dev)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;

    pci_init(&n->pci, dev, 0x10ec, 0x8139, 0x020000, 0x20,
             PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_init_bar(&n->pci, 0, PORTS, true, false);
    pci_init_bar(&n->pci, 1, MEMORY_SIZE, false, false);
    n->pci.written = pci_written;
    timer_init(&n->tx_more, dev->machine, rtl8139_tx_more, n);
    timer_init(&n->rx_poll, dev->machine, rtl8139_rx_poll, n);
    timer_init(&n->timeout, dev->machine, timer_fires, n);
    eeprom_make(n);
    nic_attach(dev, rtl8139_can_receive, rtl8139_receive, link_changed);
    pci_plug(dev, &n->pci);
    return true;
}

static void rtl8139_reset(struct device *dev)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;

    pci_reset(&n->pci);
    memset(n->reg, 0, sizeof(n->reg));
    memset(&n->tally, 0, sizeof(n->tally));
    memcpy(n->reg + IDR0, nic_config(dev)->mac, 6);
    n->reg[CONFIG1] = 0x0c; /* registers in ports and memory */
    n->reg[CONFIG3] = 0x01;
    at93c46_set(&n->eeprom, dev, false, false, false);
    chip_reset(n);
    phy_reset(n);
}

static void rtl8139_loaded(struct device *dev)
{
    struct rtl8139 *n = (struct rtl8139 *)dev;

    pci_written(&n->pci, 0, 0);
    at93c46_loaded(&n->eeprom);
    n->rx_next %= RTL_RING;
    n->tx_next[0] %= RTL_RING;
    n->tx_next[1] %= RTL_RING;
    n->size = n->size < NIC_PACKET_MAX ? n->size : 0;
    timer_plan(n);
    if (n->polled)
        timer_set(&n->tx_more, clock_now(dev->machine));
    update_irq(n);
}

#define F(member) FIELD(struct rtl8139, member)
static const struct field rtl8139_fields[] = {
    FIELD_ARRAY(struct rtl8139, pci.config),
    FIELD_ARRAY(struct rtl8139, reg),
    AT93C46_FIELDS(struct rtl8139, eeprom),
    F(tally.tx_ok),
    F(tally.rx_ok),
    F(tally.missed),
    F(tally.rx_ours),
    F(tally.rx_broadcast),
    F(tally.rx_multicast),
    F(rx_next),
    FIELD_ARRAY(struct rtl8139, tx_next),
    F(polled),
    F(open),
    F(too_long),
    F(first),
    F(tag),
    F(size),
    FIELD_ARRAY(struct rtl8139, packet),
    F(timer_base),
    FIELD_END,
};

const struct device_class rtl8139_class = {
    .name = "rtl8139",
    .size = sizeof(struct rtl8139),
    .attach = rtl8139_attach,
    .reset = rtl8139_reset,
    .loaded = rtl8139_loaded,
    .fields = rtl8139_fields,
};

/* ---- For -device ---- */

static const struct key_row rtl8139_keys[] = { NIC_KEYS, NIC_PCI_KEYS, { NULL } };

const struct user_device rtl8139_user_device = {
    .name = "rtl8139",
    .help = "Realtek RTL8139C+ network card",
    .category = NETWORK_DEVICE,
    .bus = BUS_PCI,
    .class = &rtl8139_class,
    .config_size = sizeof(struct nic_config),
    .properties = rtl8139_keys,
    .complete = nic_complete,
    .boot_rom = "pxe-rtl8139.rom",
};
