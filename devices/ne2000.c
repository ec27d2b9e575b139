/*
 * NE2000 (Novell, 1988): a DP8390 with 16 KiB of memory and an address PROM behind its remote
 * DMA.
 *
 *   ports  00-0F  the DP8390's registers      10-17  data port of the remote DMA      18-1F  read: reset
 *   memory 0000-001F  PROM: each byte of the address twice, then 57 57      4000-7FFF  RAM
 *
 * Two cards: the ISA one, and Realtek's RTL8029AS on PCI (data sheet of 1997), which adds a
 * page 3.
 */
#include "devices/ne2000.h"
#include "devices/dp8390.h"

#include <string.h>

enum {
    DATA = 0x10, RESET = 0x18, PORTS = 0x20, PCI_PORTS = 0x100,
    PROM_SIZE = 32, RAM_BASE = 0x4000, RAM_SIZE = 0x4000,
    CONFIG0 = 3, CONFIG2 = 5, CONFIG3 = 6, /* page 3 of the RTL8029AS */
    CONFIG2_10BASET = 0x40, CONFIG3_FULL_DUPLEX = 0x40,
};

struct ne2000 {
    struct device dev;
    struct dp8390 chip;
    u8 prom[PROM_SIZE], ram[RAM_SIZE];
    struct pci_function pci; /* the PCI card's */
    u32 claimed;             /* where BAR 0's ports are claimed; 0: nowhere */
};

/* ---- Ports ---- */

static u32 data_read(struct ne2000 *n, enum io_size size)
{
    u32 val = dp8390_data_read(&n->chip);

    if (size == IO_16 && !dp8390_words(&n->chip))
        val = (val & 0xff) | dp8390_data_read(&n->chip) << 8; /* the bus makes two of it */
    return size == IO_8 ? val & 0xff : val & 0xffff;
}

static void data_write(struct ne2000 *n, enum io_size size, u32 val)
{
    dp8390_data_write(&n->chip, val);
    if (size == IO_16 && !dp8390_words(&n->chip))
        dp8390_data_write(&n->chip, val >> 8);
}

static u32 ne2000_read(struct device *dev, u32 off, enum io_size size)
{
    struct ne2000 *n = (struct ne2000 *)dev;
    u32 val;

    if (off >= PORTS)
        return ~0u;
    if (off >= RESET) {
        dp8390_reset(&n->chip);
        return 0xff;
    }
    if (off >= DATA)
        return data_read(n, size);
    val = dp8390_read(&n->chip, off);
    return size == IO_16 && off < DATA - 1 ? val | dp8390_read(&n->chip, off + 1) << 8 : val;
}

static void ne2000_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct ne2000 *n = (struct ne2000 *)dev;

    if (off >= RESET)
        return;
    if (off >= DATA) {
        data_write(n, size, val);
        return;
    }
    dp8390_write(&n->chip, off, val);
    if (size == IO_16 && off < DATA - 1)
        dp8390_write(&n->chip, off + 1, val >> 8);
}

static u32 ne2000_read_string(struct device *dev, u32 off, enum io_size size, void *buf, u32 n)
{
    u8 *p = buf;

    if (off < DATA || off >= RESET)
        return 0;
    for (u32 i = 0; i < n; i++, p += size) {
        u32 val = data_read((struct ne2000 *)dev, size);

        memcpy(p, &val, size);
    }
    return n;
}

static u32 ne2000_write_string(struct device *dev, u32 off, enum io_size size, const void *buf,
                               u32 n)
{
    const u8 *p = buf;

    if (off < DATA || off >= RESET)
        return 0;
    for (u32 i = 0; i < n; i++, p += size)
        data_write((struct ne2000 *)dev, size, size == IO_8 ? p[0] : p[0] | p[1] << 8);
    return n;
}

static const struct io_ops ne2000_ops = {
    .read = ne2000_read,
    .write = ne2000_write,
    .sizes = IO_8 | IO_16,
    .read_string = ne2000_read_string,
    .write_string = ne2000_write_string,
};

/* ---- The network's end ---- */

static bool ne2000_can_receive(struct device *dev)
{
    return dp8390_can_receive(&((struct ne2000 *)dev)->chip);
}

static void ne2000_receive(struct device *dev, const u8 *frame, u32 size)
{
    dp8390_receive(&((struct ne2000 *)dev)->chip, frame, size);
}

/* ---- Life ---- */

static u8 no_page3(struct device *dev, u32 reg)
{
    return 0xff;
}

static void fill_prom(struct ne2000 *n)
{
    for (u32 i = 0; i < 12; i++)
        n->prom[i] = nic_config(&n->dev)->mac[i / 2];
    memset(n->prom + 28, 0x57, 4);
}

static void ne2000_make(struct ne2000 *n, void (*irq)(struct device *dev, bool level),
                        u8 (*page3_read)(struct device *dev, u32 reg))
{
    n->chip.dev = &n->dev;
    n->chip.ram = n->ram;
    n->chip.ram_base = RAM_BASE;
    n->chip.ram_size = RAM_SIZE;
    n->chip.prom = n->prom;
    n->chip.prom_size = PROM_SIZE;
    n->chip.irq = irq;
    n->chip.page3_read = page3_read;
    fill_prom(n);
    nic_attach(&n->dev, ne2000_can_receive, ne2000_receive, NULL);
}

/* ---- The ISA card ---- */

static void isa_irq(struct device *dev, bool level)
{
    irq_set(irq_isa(dev->machine, nic_config(dev)->irq), level);
}

static bool isa_attach(struct device *dev)
{
    ne2000_make((struct ne2000 *)dev, isa_irq, no_page3);
    return bus_claim_ports(dev, nic_config(dev)->iobase, PORTS, &ne2000_ops);
}

static void isa_reset(struct device *dev)
{
    dp8390_reset(&((struct ne2000 *)dev)->chip);
}

static void isa_loaded(struct device *dev)
{
    dp8390_update_irq(&((struct ne2000 *)dev)->chip);
}

static const struct field isa_fields[] = {
    DP8390_FIELDS(struct ne2000, chip), FIELD_ARRAY(struct ne2000, ram), FIELD_END
};

const struct device_class ne2k_isa_class = {
    .name = "ne2k_isa",
    .size = sizeof(struct ne2000),
    .attach = isa_attach,
    .reset = isa_reset,
    .loaded = isa_loaded,
    .fields = isa_fields,
};

/* ---- The PCI card ---- */

static void pci_irq(struct device *dev, bool level)
{
    pci_plug_irq(&((struct ne2000 *)dev)->pci, level);
}

static u8 pci_page3(struct device *dev, u32 reg)
{
    return reg == CONFIG2 ? CONFIG2_10BASET : reg == CONFIG3 ? CONFIG3_FULL_DUPLEX : 0;
}

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    struct ne2000 *n = container_of(f, struct ne2000, pci);

    pci_bar_claim(f, 0, &ne2000_ops, &n->claimed);
}

static bool pci_attach(struct device *dev)
{
    struct ne2000 *n = (struct ne2000 *)dev;

    pci_init(&n->pci, dev, 0x10ec, 0x8029, 0x020000, 0, PCI_COMMAND_IO);
    pci_init_bar(&n->pci, 0, PCI_PORTS, true, false);
    n->pci.written = pci_written;
    ne2000_make(n, pci_irq, pci_page3);
    pci_plug(dev, &n->pci);
    return true;
}

static void pci_card_reset(struct device *dev)
{
    struct ne2000 *n = (struct ne2000 *)dev;

    pci_reset(&n->pci);
    dp8390_reset(&n->chip);
}

static void pci_loaded(struct device *dev)
{
    struct ne2000 *n = (struct ne2000 *)dev;

    pci_written(&n->pci, 0, 0);
    dp8390_update_irq(&n->chip);
}

static const struct field pci_fields[] = {
    DP8390_FIELDS(struct ne2000, chip), FIELD_ARRAY(struct ne2000, ram),
    FIELD_ARRAY(struct ne2000, pci.config), FIELD_END
};

const struct device_class ne2k_pci_class = {
    .name = "ne2k_pci",
    .size = sizeof(struct ne2000),
    .attach = pci_attach,
    .reset = pci_card_reset,
    .loaded = pci_loaded,
    .fields = pci_fields,
};

/* ---- For -device ---- */

static const char *isa_complete(struct machine *m, void *config)
{
    const struct nic_config *c = config;

    if (c->iobase < 0x100 || c->iobase > 0x10000 - PORTS)
        return "iobase= leaves no room for 32 ports above 0x100";
    return nic_complete(m, config);
}

static const struct nic_config isa_defaults = { .iobase = 0x300, .irq = 9 };
static const struct key_row isa_keys[] = {
    { "iobase", KEY_U16, offsetof(struct nic_config, iobase) },
    { "irq", KEY_U8, offsetof(struct nic_config, irq), .max = 15 },
    NIC_KEYS,
    { NULL },
};
static const struct key_row pci_keys[] = { NIC_KEYS, NIC_PCI_KEYS, { NULL } };

const struct user_device ne2k_isa_user_device = {
    .name = "ne2k_isa",
    .help = "NE2000 network card",
    .category = NETWORK_DEVICE,
    .bus = BUS_ISA,
    .class = &ne2k_isa_class,
    .config_size = sizeof(struct nic_config),
    .defaults = &isa_defaults,
    .properties = isa_keys,
    .complete = isa_complete,
};
const struct user_device ne2k_pci_user_device = {
    .name = "ne2k_pci",
    .help = "NE2000 network card with a RTL8029",
    .category = NETWORK_DEVICE,
    .bus = BUS_PCI,
    .class = &ne2k_pci_class,
    .config_size = sizeof(struct nic_config),
    .properties = pci_keys,
    .complete = nic_complete,
    .boot_rom = "pxe-ne2k_pci.rom",
};
