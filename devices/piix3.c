/*
 * 82371SB (PIIX3): 00:01.0, the ISA bridge with PIRQ routing and reset control, and 00:01.1,
 * the IDE function, of which only the configuration space and the bus master's BAR 4 live here
 * (the channels are ata.c). Datasheet 82371FB/SB, 2.2 and 2.3.
 *
 * PIRQs A-D have been ORed by pci.c; here each is routed to an ISA interrupt by its PIRQRC
 * register, and PIRQs that share one are ORed again. An ISA interrupt reaches the 8259s and the
 * I/O APIC's pin of the same number; the board gives the PIRQs no pins of their own. Invariant:
 * `routed` has a bit for each ISA interrupt that a PIRQ now holds high.
 */
#include "devices/ata.h"
#include "devices/piix3.h"

#include <string.h>

enum {
    PIRQRC = 0x60, PIRQS = 4, PIRQRC_OFF = 0x80,
    PIRQ_VALID = 0xdef8, /* irqs 3-7, 9-12, 14, 15 */
    BMIBA = 4, BMIBA_SIZE = 16,
    RCR_SRST = 2, RCR_RCPU = 4,
};

struct piix3 {
    struct device dev;
    struct pci_function isa, ide;
    u8 pirq; /* levels of PIRQ A-D */
    u8 rcr;  /* CF9 */
    u16 routed;
    u16 busmaster; /* where BAR 4 is claimed now; 0: not */
};

/* ---- PIRQ routing ---- */

static void piix3_route(struct piix3 *p)
{
    u16 want = 0;

    for (u32 i = 0; i < PIRQS; i++) {
        u8 rc = p->isa.config[PIRQRC + i];

        if ((p->pirq >> i & 1) && !(rc & PIRQRC_OFF))
            want |= 1u << (rc & 15);
    }
    want &= PIRQ_VALID;
    u16 change = want ^ p->routed;
    p->routed = want;
    for (u32 n = 0; change >> n; n++)
        if (change >> n & 1)
            irq_set(irq_isa(p->dev.machine, n), want >> n & 1);
}

void piix3_set_pirq(struct device *dev, u32 pirq, bool level)
{
    struct piix3 *p = (struct piix3 *)dev;
    u8 old = p->pirq;

    p->pirq = level ? old | 1u << pirq : old & ~(1u << pirq);
    if (p->pirq != old)
        piix3_route(p);
}

static void piix3_isa_written(struct pci_function *f, u32 off, u32 size)
{
    if (off < PIRQRC + PIRQS && off + size > PIRQRC)
        piix3_route(container_of(f, struct piix3, isa));
}

/* ---- Reset control (CF9) ---- */

u8 piix3_rcr_read(struct device *dev)
{
    return ((struct piix3 *)dev)->rcr;
}

/* RCPU going high resets: hard if SRST, else the CPU alone. We reset the machine in both cases,
 * as software that uses either wants a fresh start; RCPU falls with the reset. */
void piix3_rcr_write(struct device *dev, u8 val)
{
    struct piix3 *p = (struct piix3 *)dev;

    if (val & RCR_RCPU)
        machine_request(dev->machine, MACHINE_RESET);
    p->rcr = val & RCR_SRST;
}

/* ---- Bus master IDE: BAR 4 of the IDE function ---- */

static u32 piix3_busmaster_read(struct device *dev, u32 off, enum io_size size)
{
    const struct piix3_config *wires = dev->config;

    return wires && wires->ata ? ata_busmaster_read(wires->ata, off, size) : ~0u;
}

static void piix3_busmaster_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    const struct piix3_config *wires = dev->config;

    if (wires && wires->ata)
        ata_busmaster_write(wires->ata, off, size, val);
}

static void piix3_ide_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops ops = {piix3_busmaster_read, piix3_busmaster_write,
                                      IO_8 | IO_16 | IO_32};
    struct piix3 *p = container_of(f, struct piix3, ide);
    u32 base;

    if (!pci_bar(f, BMIBA, &base))
        base = 0;
    if (base == p->busmaster)
        return;
    if (p->busmaster)
        bus_release_ports(&p->dev, p->busmaster, BMIBA_SIZE);
    p->busmaster = base;
    if (base)
        bus_claim_ports(&p->dev, base, BMIBA_SIZE, &ops);
}

/* ---- Reset values, datasheet 2.2 and 2.3: offset, count, value, writable bits ---- */

struct piix3_register {
    u8 off, count, reset, writable;
};

/* clang-format off */
static const struct piix3_register piix3_isa_registers[] = {
    {0x04, 1, 0x07, 0x00}, /* PCICMD: I/O, memory and master are always on */
    {0x05, 1, 0x00, 0x01}, /* SERR# enable */
    {0x4c, 1, 0x4d, 0xff}, /* IORT: ISA I/O recovery */
    {0x4e, 1, 0x03, 0xff}, /* XBCS: X-bus chip select */
    {0x4f, 1, 0x00, 0x01},
    {0x60, 4, 0x80, 0x8f}, /* PIRQRC A-D */
    {0x69, 1, 0x02, 0xfe}, /* TOM: top of memory */
    {0x6a, 2, 0x00, 0xff}, /* MSTAT */
    {0x70, 2, 0x80, 0xef}, /* MBIRQ */
    {0x76, 2, 0x0c, 0x8f}, /* MBDMA */
    {0x78, 2, 0x02, 0xff}, /* PCSC: programmable chip select */
    {0x80, 1, 0x00, 0x7f}, /* APICBASE */
    {0x82, 1, 0x00, 0x0f}, /* DLC: deterministic latency */
    {0xa0, 1, 0x08, 0x1f}, /* SMICNTL */
    {0xa2, 2, 0x00, 0xff}, /* SMIEN */
    {0xa4, 4, 0x00, 0xff}, /* SEE */
    {0xa8, 1, 0x0f, 0xff}, /* FTMR */
    {0xaa, 2, 0x00, 0x00}, /* SMIREQ */
    {0xac, 1, 0x00, 0xff}, /* CTLTMR */
    {0xae, 1, 0x00, 0xff}, /* CTHTMR */
};
static const struct piix3_register piix3_ide_registers[] = {
    {0x0d, 1, 0x00, 0xf0}, /* MLT: latency timer */
    {0x40, 4, 0x00, 0xff}, /* IDETIM; ata.c decodes its ports whatever IDE says */
    {0x44, 1, 0x00, 0xff}, /* SIDETIM */
};
/* clang-format on */

static void piix3_registers(struct pci_function *f, const struct piix3_register *r, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        memset(f->config + r[i].off, r[i].reset, r[i].count);
        memset(f->writable + r[i].off, r[i].writable, r[i].count);
    }
}

static void piix3_reset(struct device *dev)
{
    struct piix3 *p = (struct piix3 *)dev;

    pci_reset(&p->isa);
    pci_reset(&p->ide);
    piix3_registers(&p->isa, piix3_isa_registers, ARRAY_SIZE(piix3_isa_registers));
    piix3_registers(&p->ide, piix3_ide_registers, ARRAY_SIZE(piix3_ide_registers));
    p->rcr = 0;
    piix3_route(p);
}

static void piix3_keep(struct pci_function *f, const struct pci_function *was)
{
    memcpy(f->config + 0x40, was->config + 0x40, 0x100 - 0x40);
}

/* Waking firmware has to give the chip set the configuration that it had (ACPI 1.0b, 9.3.2); SeaBIOS
 * leaves it to QEMU's chips, which keep it. */
static void piix3_woken(struct device *dev)
{
    struct piix3 *p = (struct piix3 *)dev, was = *p;

    piix3_reset(dev);
    piix3_keep(&p->isa, &was.isa);
    piix3_keep(&p->ide, &was.ide);
    piix3_route(p);
}

static void piix3_loaded(struct device *dev)
{
    struct piix3 *p = (struct piix3 *)dev;

    piix3_ide_written(&p->ide, 0, 4);
    p->routed = 0;
    piix3_route(p);
}

static bool piix3_attach(struct device *dev)
{
    struct piix3 *p = (struct piix3 *)dev;

    pci_init(&p->isa, dev, 0x8086, 0x7000, 0x060100, 0, 0);
    p->isa.config[0x07] = 0x02; /* medium DEVSEL */
    p->isa.config[0x0e] = 0x80; /* several functions */
    p->isa.written = piix3_isa_written;
    pci_init(&p->ide, dev, 0x8086, 0x7010, 0x010180, 0, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    p->ide.config[0x06] = 0x80; /* fast back to back */
    p->ide.config[0x07] = 0x02;
    pci_init_bar(&p->ide, BMIBA, BMIBA_SIZE, true, false);
    p->ide.written = piix3_ide_written;
    pci_add(pci_slot_bus(dev), 0x08, &p->isa);
    pci_add(pci_slot_bus(dev), 0x09, &p->ide);
    return true;
}

static const struct field piix3_fields[] = {
    FIELD_ARRAY(struct piix3, isa.config), FIELD_ARRAY(struct piix3, ide.config),
    FIELD(struct piix3, pirq), FIELD(struct piix3, rcr), FIELD_END
};

const struct device_class piix3_class = {
    .name = "piix3",
    .size = sizeof(struct piix3),
    .attach = piix3_attach,
    .reset = piix3_reset,
    .woken = piix3_woken,
    .loaded = piix3_loaded,
    .fields = piix3_fields,
};
