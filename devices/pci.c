/*
 * The PCI bus: configuration space by mechanism #1 and interrupt pins (PCI 2.1, 3.7.4.1 and
 * 2.2.6).
 *
 * There is bus 0 only. CF8 latches an address, CFC-CFF reach the function it names; who is not
 * there reads as all ones. Bytes of a configuration space change as its masks say, then its
 * chip hears of it and moves its claims. Invariant: `asserted[p]` has a bit for each function
 * and pin that pulls PIRQ p, so a line falls when the last one lets go.
 */
#include "devices/pci.h"

#include <string.h>

enum { /* configuration header, PCI 2.1 figure 6-1 */
    PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
    PCI_REVISION = 0x08, PCI_CACHE_LINE = 0x0c, PCI_BAR0 = 0x10, PCI_SUBSYSTEM = 0x2c,
    PCI_ROM = 0x30, ROM_ENABLED = 1,
    PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d,
    STATUS_INTERRUPT = 8, /* in the low byte of the status: a pin is asserted (PCI 2.3) */
    COMMAND_INTX_OFF = 4, /* in the high byte of the command: pins are not driven (PCI 2.3) */
    CONFADD_ENABLE = 1u << 31,
    FUNCTIONS = 256, PIRQS = 4,
    FIRST_CARD = 3 << 3, /* the board's own chips sit below */
};

struct pci {
    struct device dev;
    u32 address;                          /* CF8, CONFADD */
    struct pci_function *function[FUNCTIONS]; /* by devfn */
    u8 pins[FUNCTIONS];                   /* bit n: the function wants pin n */
};

/* The ISA bridge, which routes PIRQs and has port CF9. NULL: there is none. */
static const struct pci_config *wires(const struct pci *p)
{
    const struct pci_config *config = p->dev.config;

    return config && config->bridge ? config : NULL;
}

struct device *pci_slot_bus(const struct device *dev)
{
    const struct pci_slot *slot = dev->config;

    return slot ? slot->bus : NULL;
}

static u32 get32(const u8 *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24;
}

static void put_bytes(u8 *p, u32 size, u32 val)
{
    for (u32 i = 0; i < size; i++)
        p[i] = val >> 8 * i;
}

/* ---- Interrupt pins ---- */

/* Slots take turns in which PIRQ their pin A reaches, as the board wires them. */
static u32 pci_route(u32 devfn, u32 pin)
{
    return ((devfn >> 3) - 1 + pin) % PIRQS;
}

static u32 pci_driven(const struct pci *p, u32 devfn)
{
    const struct pci_function *f = p->function[devfn];

    if (!f || (f->config[PCI_COMMAND + 1] & COMMAND_INTX_OFF))
        return 0;
    return p->pins[devfn];
}

static void pci_update_irqs(struct pci *p)
{
    bool level[PIRQS] = {false};

    for (u32 devfn = 0; devfn < FUNCTIONS; devfn++) {
        u32 pins = pci_driven(p, devfn);

        for (u32 pin = 0; pins >> pin; pin++)
            if (pins >> pin & 1)
                level[pci_route(devfn, pin)] = true;
    }
    for (u32 i = 0; wires(p) && i < PIRQS; i++)
        wires(p)->set_pirq(wires(p)->bridge, i, level[i]);
}

void pci_set_irq(struct device *bus, u32 devfn, u32 pin, bool level)
{
    struct pci *p = (struct pci *)bus;
    u8 old = p->pins[devfn];
    u8 *status = &p->function[devfn]->config[PCI_STATUS];

    p->pins[devfn] = level ? old | 1u << pin : old & ~(1u << pin);
    *status = p->pins[devfn] ? *status | STATUS_INTERRUPT : *status & ~STATUS_INTERRUPT;
    if (p->pins[devfn] != old)
        pci_update_irqs(p);
}

/* ---- Functions ---- */

const struct pci_function *pci_function_at(const struct device *bus, u8 devfn)
{
    return ((const struct pci *)bus)->function[devfn];
}

void pci_init(struct pci_function *f, struct device *dev, u16 vendor, u16 device,
              u32 class_code, u8 revision, u8 command)
{
    f->dev = dev;
    put_bytes(f->config + PCI_VENDOR, 2, vendor);
    put_bytes(f->config + PCI_DEVICE, 2, device);
    put_bytes(f->config + PCI_REVISION, 4, class_code << 8 | revision);
    put_bytes(f->config + PCI_SUBSYSTEM, 4, 0x11001af4);
    f->writable[PCI_COMMAND] = command;
    f->writable[PCI_COMMAND + 1] = COMMAND_INTX_OFF;
    f->writable[PCI_CACHE_LINE] = 0xff;
    f->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_init_bar(struct pci_function *f, u32 n, u32 size, bool io, bool prefetchable)
{
    u8 *bar = f->config + PCI_BAR0 + 4 * n;

    bar[0] = io ? 1 : prefetchable ? 8 : 0;
    put_bytes(f->writable + PCI_BAR0 + 4 * n, 4, ~(size - 1));
}

bool pci_bar(const struct pci_function *f, u32 n, u32 *base)
{
    u32 bar = get32(f->config + PCI_BAR0 + 4 * n), mask = get32(f->writable + PCI_BAR0 + 4 * n);
    bool io = f->config[PCI_BAR0 + 4 * n] & 1;

    *base = bar & mask;
    if (!(f->config[PCI_COMMAND] & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return false;
    if (io && *base + ~mask > 0xffff)
        return false;
    return *base && *base != mask; /* all ones: somebody measures the size */
}

void pci_add(struct device *bus, u32 devfn, struct pci_function *f)
{
    check(bus, "PCI function %02x.%x without a bus", devfn >> 3, devfn & 7);
    ((struct pci *)bus)->function[devfn] = f;
}

/* ---- Expansion ROMs (6.2.5.2): memory that the guest enables, and places ---- */

static void rom_follow(struct pci_function *f)
{
    u32 bar = get32(f->config + PCI_ROM), base = bar & ~(f->rom_size - 1);
    bool on = bar & ROM_ENABLED && f->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;

    if (!f->rom)
        return;
    if (!on || base == -f->rom_size) /* somebody measures the size */
        base = 0;
    if (base == f->rom_mapped)
        return;
    if (f->rom_mapped)
        bus_release_memory(f->dev, f->rom_mapped, f->rom_size);
    f->rom_mapped = base;
    if (base)
        bus_map_memory(f->dev, base, f->rom_size, f->rom, false);
}

/*
 * The image's PCI data structure must name the card, or firmware passes it over; one that
 * serves many cards may name none. Its sum stays 0 by a byte of the header that is nobody's
 * (6).
 */
static void rom_name_card(struct pci_function *f)
{
    u8 *rom = f->rom;
    u32 at = rom[0x18] | rom[0x19] << 8;

    if (rom[0] != 0x55 || rom[1] != 0xaa || at + 8 > f->rom_size || memcmp(rom + at, "PCIR", 4))
        return;
    for (u32 i = 0; i < 4; i++) {
        rom[6] += rom[at + 4 + i] - f->config[i];
        rom[at + 4 + i] = f->config[i];
    }
}

static void rom_add(struct pci_function *f, const u8 *image, u32 size)
{
    f->rom_size = PAGE_SIZE;
    while (f->rom_size < size)
        f->rom_size *= 2;
    f->rom = bus_alloc_memory(f->dev->machine, f->rom_size);
    memcpy(f->rom, image, size);
    rom_name_card(f);
    f->writable[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
    put_bytes(f->writable + PCI_ROM, 4, ~(f->rom_size - 1) | ROM_ENABLED);
}

void pci_plug(struct device *dev, struct pci_function *f)
{
    const struct pci_slot *slot = dev->config;

    if (slot->rom)
        rom_add(f, slot->rom, slot->rom_size);
    f->config[PCI_INTERRUPT_PIN] = 1;
    pci_add(slot->bus, slot->devfn, f);
}

void pci_plug_irq(struct pci_function *f, bool level)
{
    const struct pci_slot *slot = f->dev->config;

    pci_set_irq(slot->bus, slot->devfn, 0, level);
}

void pci_bar_claim(struct pci_function *f, u32 n, const struct io_ops *ops, u32 *claimed)
{
    bool io = f->config[PCI_BAR0 + 4 * n] & 1;
    u32 size = ~get32(f->writable + PCI_BAR0 + 4 * n) + 1, base;

    if (!pci_bar(f, n, &base))
        base = 0;
    if (*claimed == base)
        return;
    if (*claimed && io)
        bus_release_ports(f->dev, *claimed, size);
    else if (*claimed)
        bus_release_memory(f->dev, *claimed, size);
    *claimed = base;
    if (base && io)
        bus_claim_ports(f->dev, base, size, ops);
    else if (base)
        bus_claim_memory(f->dev, base, size, ops);
}

bool pci_find_slot(struct device *bus, u8 *devfn)
{
    struct pci *p = (struct pci *)bus;

    if (*devfn)
        return !p->function[*devfn];
    for (u32 i = FIRST_CARD; i < FUNCTIONS && !*devfn; i += 8)
        if (!p->function[i])
            *devfn = (u8)i;
    return *devfn;
}

void pci_reset(struct pci_function *f)
{
    f->config[PCI_COMMAND] = f->config[PCI_COMMAND + 1] = 0;
    f->config[PCI_INTERRUPT_LINE] = 0;
    for (u32 i = PCI_BAR0; i < PCI_BAR0 + 24; i++)
        f->config[i] &= ~f->writable[i];
    memset(f->config + PCI_ROM, 0, 4);
    rom_follow(f);
    if (f->written)
        f->written(f, PCI_COMMAND, 4);
}

/* ---- Configuration mechanism #1 ---- */

static struct pci_function *pci_addressed(struct pci *p)
{
    if (!(p->address & CONFADD_ENABLE) || (p->address >> 16 & 0xff))
        return NULL;
    return p->function[p->address >> 8 & 0xff];
}

static u32 pci_config_read(struct pci *p, u32 off, u32 size)
{
    struct pci_function *f = pci_addressed(p);
    u32 val = 0, at = (p->address & 0xfc) + off;

    for (u32 i = 0; i < size; i++)
        val |= (f && at + i < 256 ? f->config[at + i] : 0xffu) << 8 * i;
    trace(TRACE_PCI, "pci: %02x.%x [%02x] read %u: %x", p->address >> 11 & 31,
          p->address >> 8 & 7, at, size, val);
    return val;
}

static void pci_config_write(struct pci *p, u32 off, u32 size, u32 val)
{
    struct pci_function *f = pci_addressed(p);
    u32 at = (p->address & 0xfc) + off;

    trace(TRACE_PCI, "pci: %02x.%x [%02x] write %u: %x", p->address >> 11 & 31,
          p->address >> 8 & 7, at, size, val);
    if (!f)
        return;
    for (u32 i = 0; i < size && at + i < 256; i++) {
        u8 *byte = &f->config[at + i], mask = f->writable[at + i], v = val >> 8 * i;

        *byte = ((*byte & ~mask) | (v & mask)) & ~(v & f->w1c[at + i]);
    }
    rom_follow(f);
    if (f->written)
        f->written(f, at, size);
    if (at <= PCI_COMMAND + 1 && at + size > PCI_COMMAND + 1)
        pci_update_irqs(p);
}

/* CF8 is a register only for 32-bit accesses; a byte at CF9 is the ISA bridge's reset
 * control. */
static u32 pci_port_read(struct device *dev, u32 off, enum io_size size)
{
    struct pci *p = (struct pci *)dev;

    if (off >= 4)
        return pci_config_read(p, off - 4, size);
    if (off == 0 && size == IO_32)
        return p->address;
    if (off == 1 && size == IO_8 && wires(p))
        return wires(p)->rcr_read(wires(p)->bridge);
    return ~0u;
}

static void pci_port_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct pci *p = (struct pci *)dev;

    if (off >= 4)
        pci_config_write(p, off - 4, size, val);
    else if (off == 0 && size == IO_32)
        p->address = val & 0x80fffffc;
    else if (off == 1 && size == IO_8 && wires(p))
        wires(p)->rcr_write(wires(p)->bridge, val);
}

static bool pci_attach(struct device *dev)
{
    static const struct io_ops ops = {pci_port_read, pci_port_write, IO_8 | IO_16 | IO_32};

    return bus_claim_ports(dev, 0xcf8, 8, &ops);
}

static void pci_bus_reset(struct device *dev)
{
    ((struct pci *)dev)->address = 0;
}

static void pci_loaded(struct device *dev)
{
    pci_update_irqs((struct pci *)dev);
}

static const struct field pci_fields[] = {
    FIELD(struct pci, address), FIELD_ARRAY(struct pci, pins), FIELD_END
};

const struct device_class pci_class = {
    .name = "pci",
    .size = sizeof(struct pci),
    .attach = pci_attach,
    .reset = pci_bus_reset,
    .loaded = pci_loaded,
    .fields = pci_fields,
};

const char *pci_class_name(u16 class)
{
    static const struct {
        u16 class;
        const char *name;
    } names[] = {
        {0x0101, "IDE controller"}, {0x0200, "Ethernet controller"},
        {0x0300, "VGA controller"}, {0x0401, "Audio controller"},
        {0x0600, "Host bridge"},    {0x0601, "ISA bridge"},
        {0x0680, "Bridge"},
    };

    for (u32 i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].class == class)
            return names[i].name;
    return "Unknown";
}
