/*
 * pci-testdev, as QEMU's docs/specs/pci-testdev describes it: BAR 0 is memory, BAR 1 ports. A
 * byte written to offset 0 of one chooses a test; then the BAR begins with what the guest is to
 * do, and the count of those writes that it did:
 *
 *   0 test  1 width of the access in bytes  4 offset of the accesses  8 data to write  C count
 * 10 name, ends with 0
 *
 * Tests differ in QEMU by how the host hears of the access. Here all are the same, but for that
 * the third counts only the right data.
 */
#include "devices/pci_testdev.h"
#include "devices/user_device.h"

#include <string.h>

enum {
    MEMORY, PORTS, BARS, MEMORY_SIZE = 4096, PORTS_SIZE = 256, MEMORY_AT = 2048, PORTS_AT = 128,
    TESTS = 3, NONE = 0xff, NAME = 16, HEADER = 48, DATA = 0xfa,
};

struct side {
    u8 test;   /* NONE: none is chosen */
    u32 count;
};
struct pci_testdev {
    struct device dev;
    struct pci_function pci;
    u32 claimed[BARS];
    struct side side[BARS];
};

/* Each test has an offset of its own. */
static u32 test_offset(u32 bar, u32 test)
{
    return (bar == MEMORY ? MEMORY_AT : PORTS_AT) + test;
}

static void make_header(u32 bar, const struct side *s, u8 header[HEADER])
{
    static const char *const names[BARS][TESTS] = {
        { "mmio-no-eventfd", "mmio-wildcard-eventfd", "mmio-datamatch-eventfd" },
        { "portio-no-eventfd", "portio-wildcard-eventfd", "portio-datamatch-eventfd" },
    };
    u32 words[3] = { test_offset(bar, s->test), DATA, s->count };

    memset(header, 0, HEADER);
    header[0] = s->test;
    header[1] = 1;
    memcpy(header + 4, words, sizeof(words));
    strcpy((char *)header + NAME, names[bar][s->test]);
}

static u32 side_read(struct pci_testdev *t, u32 bar, u32 off, enum io_size size)
{
    u8 header[HEADER];
    u32 val = 0;

    if (t->side[bar].test >= TESTS || off + size > HEADER)
        return 0;
    make_header(bar, &t->side[bar], header);
    memcpy(&val, header + off, size);
    return val;
}

static void side_write(struct pci_testdev *t, u32 bar, u32 off, enum io_size size, u32 val)
{
    struct side *s = &t->side[bar];

    if (off == 0) {
        s->test = (val & 0xff) < TESTS ? (u8)val : NONE;
        s->count = 0;
        return;
    }
    if (s->test >= TESTS || off != test_offset(bar, s->test))
        return;
    if (s->test < TESTS - 1 || (size == IO_8 && val == DATA))
        s->count++;
}

static u32 memory_read(struct device *dev, u32 off, enum io_size size)
{
    return side_read((struct pci_testdev *)dev, MEMORY, off, size);
}

static void memory_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    side_write((struct pci_testdev *)dev, MEMORY, off, size, val);
}

static u32 ports_read(struct device *dev, u32 off, enum io_size size)
{
    return side_read((struct pci_testdev *)dev, PORTS, off, size);
}

static void ports_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    side_write((struct pci_testdev *)dev, PORTS, off, size, val);
}

/* ---- Life ---- */

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops memory = { memory_read, memory_write, IO_8 | IO_16 | IO_32 };
    static const struct io_ops ports = { ports_read, ports_write, IO_8 | IO_16 | IO_32 };
    struct pci_testdev *t = container_of(f, struct pci_testdev, pci);

    pci_bar_claim(f, MEMORY, &memory, &t->claimed[MEMORY]);
    pci_bar_claim(f, PORTS, &ports, &t->claimed[PORTS]);
}

static bool pci_testdev_attach(struct device *dev)
{
    struct pci_testdev *t = (struct pci_testdev *)dev;

    pci_init(&t->pci, dev, 0x1b36, 0x0005, 0x00ff00, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    pci_init_bar(&t->pci, MEMORY, MEMORY_SIZE, false, false);
    pci_init_bar(&t->pci, PORTS, PORTS_SIZE, true, false);
    t->pci.written = pci_written;
    pci_plug(dev, &t->pci);
    return true;
}

static void pci_testdev_reset(struct device *dev)
{
    struct pci_testdev *t = (struct pci_testdev *)dev;

    pci_reset(&t->pci);
    for (u32 i = 0; i < BARS; i++)
        t->side[i] = (struct side){ NONE, 0 };
}

static void pci_testdev_loaded(struct device *dev)
{
    pci_written(&((struct pci_testdev *)dev)->pci, 0, 0);
}

static const struct field pci_testdev_fields[] = {
    FIELD_ARRAY(struct pci_testdev, pci.config),
    FIELD(struct pci_testdev, side[0].test),
    FIELD(struct pci_testdev, side[0].count),
    FIELD(struct pci_testdev, side[1].test),
    FIELD(struct pci_testdev, side[1].count),
    FIELD_END,
};

const struct device_class pci_testdev_class = {
    .name = "pci-testdev",
    .size = sizeof(struct pci_testdev),
    .attach = pci_testdev_attach,
    .reset = pci_testdev_reset,
    .loaded = pci_testdev_loaded,
    .fields = pci_testdev_fields,
};

static const struct key_row no_keys[] = { { NULL } };

const struct user_device pci_testdev_user_device = {
    .name = "pci-testdev",
    .help = "QEMU's PCI test device: its BARs count accesses",
    .category = MISC_DEVICE,
    .bus = BUS_PCI,
    .class = &pci_testdev_class,
    .config_size = sizeof(struct pci_slot),
    .properties = no_keys,
};
