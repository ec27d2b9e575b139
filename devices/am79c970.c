/*
 * AMD's Am79C970A, the PCnet-PCI II: an Ethernet card whose drivers may take it for a LANCE
 * (data sheet 19436).
 *
 *   BAR 0  32 ports        BAR 1  the same in memory
 *   00-0F  address PROM    then RDP, RAP, reset, BDP: words from 10 on (WIO), or doublewords
 * (DWIO), which a doubleword written to 10 turns on
 *
 * RAP names a control and status register (CSR) for RDP, a bus configuration register (BCR) for
 * BDP.
 *
 * While the chip is at its rings (`busy`), its registers take no writes: a descriptor may lead
 * there. BAR 1 has 4 KiB, in which the registers repeat; the card has 32 bytes. Not built:
 * Magic Packets, the EEPROM's serial side.
 */
#include "devices/am79c970_private.h"

#include <string.h>

enum {
    PORTS = 32,
    MEMORY_SIZE = 4096,
    APROM_END = 16,
    SSIZE32 = 0x100,
    CSRPCNET = 0x200,
    CSR0_CLEARED =
        CSR0_BABL | CSR0_CERR | CSR0_MISS | CSR0_MERR | CSR0_RINT | CSR0_TINT | CSR0_IDON,
    CSR0_ERRORS = CSR0_BABL | CSR0_CERR | CSR0_MISS | CSR0_MERR,
    CSR4_FLAGS = 0x022a, /* MFCO, RCVCCO, TXSTRT, JAB: cleared by 1; masked by the bit below */
    CSR4_UINT = 0x40,
    CSR4_UINTCMD = 0x80,
    CSR5_FLAGS = 0x0a94,
    LED_LIT = 0x8000,
};

/* ---- Interrupts ---- */

static void update_irq(struct am79c970 *s)
{
    u16 masks = s->csr[3] & 0x5f00, csr4 = s->csr[4];
    bool asks =
        s->csr[0] & ~masks & 0x5f00 || (csr4 & CSR4_FLAGS & ~(csr4 << 1)) || csr4 & CSR4_UINT;
    const struct pci_slot *slot = s->dev.config;

    s->csr[0] = (u16)(asks ? s->csr[0] | CSR0_INTR : s->csr[0] & ~CSR0_INTR);
    if (slot->bus)
        pci_plug_irq(&s->pci, asks && s->csr[0] & CSR0_IENA);
}

void am79c970_raise(struct am79c970 *s, u16 causes)
{
    s->csr[0] |= causes;
    update_irq(s);
}

static bool is_master(const struct am79c970 *s)
{
    return s->pci.config[4] & PCI_COMMAND_MASTER;
}

bool am79c970_runs(const struct am79c970 *s)
{
    return !(s->csr[0] & CSR0_STOP) && !(s->csr[5] & CSR5_SPND) && is_master(s);
}

/* ---- CSRs ---- */

static void stop(struct am79c970 *s)
{
    s->csr[0] = CSR0_STOP;
    s->csr[5] &= (u16)~CSR5_SPND;
    s->open = false;
    timer_cancel(&s->rx_poll);
    timer_cancel(&s->tx_more);
}

/* By reading the reset register; BCRs and addresses stay. */
static void soft_reset(struct am79c970 *s)
{
    u16 address[3];

    memcpy(address, &s->csr[PADR], 6);
    memset(s->csr, 0, sizeof(s->csr));
    memcpy(&s->csr[PADR], address, 6);
    s->csr[4] = 0x0115;
    s->csr[76] = s->csr[78] = (u16)-1;
    s->csr[80] = 0x1410;
    s->csr[88] = 0x1003; /* part 2621, version 0: the Am79C970A */
    s->csr[89] = 0x0262;
    s->rap = 0;
    s->rx_at = s->tx_at = 0;
    s->bcr[BCR_SWS] = CSRPCNET;
    stop(s);
    update_irq(s);
}

static void start(struct am79c970 *s)
{
    s->csr[0] &= (u16)~(CSR0_STOP | CSR0_RXON | CSR0_TXON);
    s->csr[0] |= s->csr[MODE] & MODE_DTX ? 0 : CSR0_TXON;
    s->csr[0] |= s->csr[MODE] & MODE_DRX ? 0 : CSR0_RXON;
    s->csr[0] |= CSR0_STRT;
    nic_accept_input(&s->dev);
}

static void csr0_write(struct am79c970 *s, u16 val)
{
    u16 old = s->csr[0];

    s->csr[0] &= (u16)~(val & CSR0_CLEARED);
    if (val & CSR0_STOP) {
        stop(s);
        update_irq(s);
        return;
    }
    if (!(old & CSR0_STOP) || val & (CSR0_INIT | CSR0_STRT))
        s->csr[0] = (u16)((s->csr[0] & ~CSR0_IENA) | (val & CSR0_IENA));
    if (val & CSR0_INIT && !(old & CSR0_INIT) &&
        is_master(s)) { /* drivers write back what they read */
        s->busy = true;
        am79c970_init_block(s);
        s->busy = false;
        s->csr[0] = (u16)((s->csr[0] & ~CSR0_STOP) | CSR0_INIT | CSR0_IDON);
    }
    if (val & CSR0_STRT && !(old & CSR0_STRT))
        start(s);
    if (val & CSR0_TDMD || val & CSR0_STRT)
        am79c970_transmit(s);
    if (val & CSR0_RINT)
        nic_accept_input(&s->dev);
    update_irq(s);
}

static void csr4_write(struct am79c970 *s, u16 val)
{
    u16 flags = s->csr[4] & CSR4_FLAGS & ~val;
    bool user = s->csr[4] & CSR4_UINT && !(val & CSR4_UINT);

    s->csr[4] = (u16)((val & ~(CSR4_FLAGS | CSR4_UINT | CSR4_UINTCMD)) | flags);
    if (user || val & CSR4_UINTCMD)
        s->csr[4] |= CSR4_UINT;
    update_irq(s);
}

static void csr5_write(struct am79c970 *s, u16 val)
{
    s->csr[5] = (u16)((val & ~CSR5_FLAGS) | (s->csr[5] & CSR5_FLAGS & ~val));
    if (!(val & CSR5_SPND)) {
        nic_accept_input(&s->dev);
        am79c970_transmit(s);
    }
    update_irq(s);
}

static void bcr_write(struct am79c970 *s, u32 n, u16 val);

static void csr_write(struct am79c970 *s, u32 n, u16 val)
{
    bool rests = s->csr[0] & CSR0_STOP || s->csr[5] & CSR5_SPND;

    trace(TRACE_NET, "pcnet: CSR%u = %04x", n, val);
    switch (n) {
    case 0:
        csr0_write(s, val);
        break;
    case 3:
        s->csr[3] = val & 0x5f7c;
        update_irq(s);
        break;
    case 4:
        csr4_write(s, val);
        break;
    case 5:
        csr5_write(s, val);
        break;
    case 58:
        bcr_write(s, BCR_SWS, val);
        break;
    case 16: /* IADR again */
    case 17:
        n -= 15;
        /* fall through */
    case 1 ... 2:
    case 8 ... 15:
    case 18 ... 57:
    case 60 ... 71:
    case 84 ... 86:
        if (rests)
            s->csr[n] = val;
        break;
    case 76: /* the rings' lengths, negative */
    case 78:
        if (rests)
            s->csr[n] = val;
        s->rx_at = s->tx_at = 0;
        break;
    case 80:
    case 82:
    case 112:
    case 114:
    case 124:
        s->csr[n] = val;
        break;
    default:
        break;
    }
}

static u16 csr_read(struct am79c970 *s, u32 n)
{
    switch (n) {
    case 0:
        return s->csr[0] | (s->csr[0] & CSR0_ERRORS ? CSR0_ERR : 0);
    case 16:
    case 17:
        return s->csr[n - 15];
    case 58:
        return s->bcr[BCR_SWS];
    case 72: /* descriptors to the ring's end */
        return (u16)(s->csr[76] + s->rx_at);
    case 74:
        return (u16)(s->csr[78] + s->tx_at);
    default:
        return n < CSRS ? s->csr[n] : 0;
    }
}

/* ---- BCRs ---- */

static void bcr_write(struct am79c970 *s, u32 n, u16 val)
{
    trace(TRACE_NET, "pcnet: BCR%u = %04x", n, val);
    switch (n) {
    case BCR_SWS:
        if (!(s->csr[0] & CSR0_STOP) && !(s->csr[5] & CSR5_SPND))
            break;
        val &= 0xff;
        s->bcr[BCR_SWS] = (u16)(val | (val ? SSIZE32 : 0) | (val == 1 ? 0 : CSRPCNET));
        break;
    case BCR_LNKST ... 7: /* lamps: lit or not is ours to say */
        s->bcr[n] = (u16)((s->bcr[n] & LED_LIT) | (val & ~LED_LIT));
        break;
    case BCR_BSBC:
        s->bcr[n] = (u16)((val & ~BSBC_DWIO) | (s->bcr[n] & BSBC_DWIO));
        break;
    case 2:
    case 9:
    case 16 ... 17:
    case 21 ... 22:
        s->bcr[n] = val;
        break;
    default:
        break;
    }
}

static void link_changed(struct device *dev)
{
    struct am79c970 *s = (struct am79c970 *)dev;

    s->bcr[BCR_LNKST] = (u16)((s->bcr[BCR_LNKST] & ~LED_LIT) | (nic_link(dev) ? LED_LIT : 0));
}

/* ---- Ports ---- */

static bool is_dwio(const struct am79c970 *s)
{
    return s->bcr[BCR_BSBC] & BSBC_DWIO;
}

/* RDP, RAP, reset, BDP are 0 to 3; -1: none of them. */
static int port_of(const struct am79c970 *s, u32 off, enum io_size size)
{
    u32 step = is_dwio(s) ? 4 : 2;

    if (off < APROM_END || size != step || off % step)
        return -1;
    off = (off - APROM_END) / step;
    return off < 4 ? (int)off : -1;
}

static u32 pcnet_read(struct device *dev, u32 off, enum io_size size)
{
    struct am79c970 *s = (struct am79c970 *)dev;
    u32 val = 0;

    off %= PORTS;
    if (off < APROM_END) {
        for (u32 i = 0; i < size && off + i < APROM_END; i++)
            val |= (u32)s->aprom[off + i] << 8 * i;
        return val;
    }
    switch (port_of(s, off, size)) {
    case 0:
        return csr_read(s, s->rap);
    case 1:
        return s->rap;
    case 2:
        if (!s->busy)
            soft_reset(s);
        return 0;
    case 3:
        return s->rap < BCRS ? s->bcr[s->rap] : 0;
    default:
        return ~0u;
    }
}

static void pcnet_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct am79c970 *s = (struct am79c970 *)dev;

    off %= PORTS;
    if (s->busy)
        return;
    if (size == IO_32 && off == APROM_END)
        s->bcr[BCR_BSBC] |= BSBC_DWIO;
    switch (port_of(s, off, size)) {
    case 0:
        csr_write(s, s->rap, (u16)val);
        break;
    case 1:
        s->rap = val & 0x7f;
        break;
    case 3:
        bcr_write(s, s->rap, (u16)val);
        break;
    default:
        break;
    }
}

/* ---- The card ---- */

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops ops = { pcnet_read, pcnet_write, IO_8 | IO_16 | IO_32 };
    struct am79c970 *s = container_of(f, struct am79c970, pci);

    pci_bar_claim(f, 0, &ops, &s->io_claim);
    pci_bar_claim(f, 1, &ops, &s->memory_claim);
    if (off <= 4 && is_master(s))
        nic_accept_input(f->dev);
}

/* The address, a hardware id, a checksum, and "WW". */
static void fill_aprom(struct am79c970 *s)
{
    u32 sum = 0;

    memcpy(s->aprom, nic_config(&s->dev)->mac, 6);
    s->aprom[9] = 0x11;
    s->aprom[14] = s->aprom[15] = 0x57;
    for (u32 i = 0; i < 16; i++)
        sum += s->aprom[i];
    s->aprom[12] = (u8)sum;
    s->aprom[13] = (u8)(sum >> 8);
}

static bool am79c970_attach(struct device *dev)
{
    struct am79c970 *s = (struct am79c970 *)dev;

    pci_init(&s->pci, dev, 0x1022, 0x2000, 0x020000, 0x10,
             PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_init_bar(&s->pci, 0, PORTS, true, false);
    pci_init_bar(&s->pci, 1, MEMORY_SIZE, false, false);
    s->pci.written = pci_written;
    timer_init(&s->rx_poll, dev->machine, am79c970_rx_poll, s);
    timer_init(&s->tx_more, dev->machine, am79c970_tx_more, s);
    fill_aprom(s);
    nic_attach(dev, am79c970_can_receive, am79c970_receive, link_changed);
    pci_plug(dev, &s->pci);
    return true;
}

static void am79c970_reset(struct device *dev)
{
    static const u16 bcr[BCRS] = {
        [0] = 0x0005, [1] = 0x0005, [2] = 0x0002, [4] = 0x00c0, [5] = 0x0084, [6] = 0x0088,
        [7] = 0x0090, [18] = 0x9001, [19] = 0x8002, [22] = 0xff06,
    };
    struct am79c970 *s = (struct am79c970 *)dev;

    pci_reset(&s->pci);
    memcpy(s->bcr, bcr, sizeof(bcr));
    link_changed(dev);
    memcpy(&s->csr[PADR], nic_config(dev)->mac, 6);
    soft_reset(s);
}

static void am79c970_loaded(struct device *dev)
{
    struct am79c970 *s = (struct am79c970 *)dev;

    pci_written(&s->pci, 0, 0);
    s->rap &= 0x7f;
    s->size = s->size < PCNET_FRAME ? s->size : 0;
    link_changed(dev);
    timer_set(&s->tx_more, clock_now(dev->machine));
    update_irq(s);
}

#define F(member) FIELD(struct am79c970, member)
static const struct field am79c970_fields[] = {
    FIELD_ARRAY(struct am79c970, pci.config),
    F(rap),
    FIELD_ARRAY(struct am79c970, csr),
    FIELD_ARRAY(struct am79c970, bcr),
    F(rx_at),
    F(tx_at),
    F(size),
    F(open),
    FIELD_ARRAY(struct am79c970, frame),
    FIELD_END,
};

const struct device_class am79c970_class = {
    .name = "pcnet",
    .size = sizeof(struct am79c970),
    .attach = am79c970_attach,
    .reset = am79c970_reset,
    .loaded = am79c970_loaded,
    .fields = am79c970_fields,
};

/* ---- For -device ---- */

static const struct key_row am79c970_keys[] = { NIC_KEYS, NIC_PCI_KEYS, { NULL } };

const struct user_device am79c970_user_device = {
    .name = "pcnet",
    .help = "AMD PCnet-PCI II network card (Am79C970A)",
    .category = NETWORK_DEVICE,
    .bus = BUS_PCI,
    .class = &am79c970_class,
    .config_size = sizeof(struct nic_config),
    .properties = am79c970_keys,
    .complete = nic_complete,
    .boot_rom = "pxe-pcnet.rom",
};
