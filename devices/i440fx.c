/*
 * 82441FX host bridge: 00:00.0. What the guest needs of it is the map of the memory from A0000
 * to FFFFF: the PAM registers say for each segment whether reads come from RAM or from the ROM,
 * and whether writes reach RAM; SMRAM opens the RAM behind the video memory. (82441FX
 * datasheet, 3.2.17 to 3.2.21.) Invariant: the map follows the registers, also after RESET,
 * when all is ROM.
 */
#include "devices/i440fx.h"

#include <string.h>

enum {
    PAM0 = 0x59, PAMS = 7, DRB0 = 0x60, DRBS = 8, SMRAM = 0x72,
    PAM_READ = 1, PAM_WRITE = 2,
    SMRAM_OPEN = 0x40, SMRAM_CLOSED = 0x20, SMRAM_LOCK = 0x10, SMRAM_ENABLE = 8,
    ROM_BASE = 0xe0000, SEGMENTS = 13,
};

struct i440fx {
    struct device dev;
    struct pci_function pci;
    u8 *rom;      /* 128 KiB for E0000, NULL: none */
    bool smm_ram; /* RAM shows at A0000 */
};

/* Segment n: 0 is F0000 by the high half of PAM0; the others are 16 KiB each from C0000. */
static void i440fx_segment(u32 n, u32 *base, u32 *size, u32 *reg, u32 *shift)
{
    *base = n ? 0xc0000 + (n - 1) * 0x4000 : 0xf0000;
    *size = n ? 0x4000 : 0x10000;
    *reg = PAM0 + (n + 1) / 2;
    *shift = n % 2 ? 0 : 4;
}

static void i440fx_map_segment(struct i440fx *h, u32 n)
{
    u32 base, size, reg, shift;

    i440fx_segment(n, &base, &size, &reg, &shift);
    u32 pam = h->pci.config[reg] >> shift;
    u8 *ram = phys_ram(h->dev.machine) + base;
    u8 *rom = h->rom && base >= ROM_BASE ? h->rom + (base - ROM_BASE) : NULL;

    phys_map(h->dev.machine, base, size, pam & PAM_READ ? ram : rom,
             pam & PAM_WRITE ? ram : NULL);
}

static void i440fx_map_pam(struct i440fx *h)
{
    for (u32 n = 0; n < SEGMENTS; n++)
        i440fx_map_segment(h, n);
}

/* We have no SMM: only D_OPEN shows the RAM. */
static void i440fx_map_smram(struct i440fx *h)
{
    u8 smram = h->pci.config[SMRAM];
    bool open = (smram & SMRAM_ENABLE) && (smram & SMRAM_OPEN) && !(smram & SMRAM_CLOSED);

    if (open == h->smm_ram)
        return;
    h->smm_ram = open;
    if (open)
        bus_map_memory(&h->dev, 0xa0000, 0x20000, phys_ram(h->dev.machine) + 0xa0000, true);
    else
        bus_release_memory(&h->dev, 0xa0000, 0x20000);
}

static bool i440fx_touches(u32 off, u32 size, u32 first, u32 count)
{
    return off < first + count && off + size > first;
}

static void i440fx_written(struct pci_function *f, u32 off, u32 size)
{
    struct i440fx *h = container_of(f, struct i440fx, pci);

    if (i440fx_touches(off, size, PAM0, PAMS))
        i440fx_map_pam(h);
    if (!i440fx_touches(off, size, SMRAM, 1))
        return;
    if (f->config[SMRAM] & SMRAM_LOCK) { /* until RESET; D_OPEN is cleared with it */
        f->config[SMRAM] &= ~SMRAM_OPEN;
        f->writable[SMRAM] = SMRAM_CLOSED;
    }
    i440fx_map_smram(h);
}

void i440fx_set_rom(struct device *dev, u8 *rom)
{
    struct i440fx *h = (struct i440fx *)dev;

    h->rom = rom;
    i440fx_map_pam(h);
}

/* DRAM row boundaries, cumulative, in units of 8 MiB: rows of 256 MiB as far as RAM goes. */
static void i440fx_set_drb(struct i440fx *h)
{
    u64 units = (phys_ram_size(h->dev.machine) + MIB(8) - 1) / MIB(8);

    for (u32 i = 0; i < DRBS; i++) {
        u64 end = (i + 1) * 32;

        end = end < units ? end : units;
        h->pci.config[DRB0 + i] = end < 255 ? end : 255;
    }
}

static void i440fx_reset(struct device *dev)
{
    struct i440fx *h = (struct i440fx *)dev;

    pci_reset(&h->pci);
    h->pci.config[0x04] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER; /* always on */
    memset(h->pci.config + PAM0, 0, PAMS);
    h->pci.config[SMRAM] = 0x02;
    h->pci.writable[SMRAM] = SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
    i440fx_set_drb(h);
    i440fx_map_pam(h);
    i440fx_map_smram(h);
}

/* It keeps what it has (see piix3_woken()): the firmware wakes in its shadow RAM, by which it knows that
 * this is no power-on. */
static void i440fx_woken(struct device *dev)
{
}

static void i440fx_loaded(struct device *dev)
{
    struct i440fx *h = (struct i440fx *)dev;

    i440fx_map_pam(h);
    i440fx_map_smram(h);
}

static bool i440fx_attach(struct device *dev)
{
    struct i440fx *h = (struct i440fx *)dev;

    pci_init(&h->pci, dev, 0x8086, 0x1237, 0x060000, 2, 0);
    h->pci.config[0x07] = 0x02; /* medium DEVSEL */
    /* PMCCFG, DETURBO, DBC, DRAM control and timing: remembered only */
    h->pci.config[0x50] = 0x00;
    memset(h->pci.writable + 0x50, 0xff, PAM0 - 0x50);
    memset(h->pci.writable + PAM0, 0x33, PAMS);
    h->pci.writable[PAM0] = 0x30;
    memset(h->pci.writable + DRB0, 0xff, DRBS);
    h->pci.written = i440fx_written;
    pci_add(pci_slot_bus(dev), 0, &h->pci);
    return true;
}

static const struct field i440fx_fields[] = {
    FIELD_ARRAY(struct i440fx, pci.config), FIELD_ARRAY(struct i440fx, pci.writable), FIELD_END
};

const struct device_class i440fx_class = {
    .name = "i440fx",
    .size = sizeof(struct i440fx),
    .attach = i440fx_attach,
    .reset = i440fx_reset,
    .woken = i440fx_woken,
    .loaded = i440fx_loaded,
    .fields = i440fx_fields,
};
