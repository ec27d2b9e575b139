/*
 * pci-testdev, as QEMU's docs/specs/pci-testdev describes it: BAR 0 is memory, BAR 1 ports. A
 * byte written to offset 0 of one chooses a test; then the BAR begins with what the guest is to
 * do, and the count of those writes that it did:
 *
 *   0 test  1 width of the access in bytes  4 offset of the accesses  8 data to write  C count
 * 10 name, ends with 0
 *
 * Tests differ in QEMU by how the host hears of the access; here they all just count. The
 * second one takes any data. The BARs share one test: what is chosen last is what both tell of.
 */
#include "devices/pci_testdev.h"
#include "devices/user_device.h"

#include <string.h>

enum {
    MEMORY,
    PORTS,
    BARS,
    MEMORY_SIZE = 4096,
    PORTS_SIZE = 256,
    MEMORY_AT = 2048,
    PORTS_AT = 128,
    TESTS = 3,
    ANY_DATA = 1,
    NONE = 0xff,
    NAME = 16,
    HEADER = 48,
    DATA = 0xfa,
    OTHER_DATA = 0xce,
};

struct pci_testdev {
    struct device dev;
    struct pci_function pci;
    u32 claimed[BARS];
    u8 test; /* 0 to 2 those of memory, 3 to 5 of ports; NONE: none is chosen */
    u32 count;
};

/* Each test has an offset of its own. */
static u32 test_offset(u32 test)
{
    return (test < TESTS ? MEMORY_AT : PORTS_AT) + test;
}

static u8 test_data(u32 test)
{
    return test % TESTS == ANY_DATA ? OTHER_DATA : DATA;
}

static void make_header(const struct pci_testdev *t, u8 header[HEADER])
{
    static const char *const names[BARS * TESTS] = {
        "mmio-no-eventfd",   "mmio-wildcard-eventfd",   "mmio-datamatch-eventfd",
        "portio-no-eventfd", "portio-wildcard-eventfd", "portio-datamatch-eventfd",
    };
    u32 words[3] = {test_offset(t->test), test_data(t->test), t->count};

    memset(header, 0, HEADER);
    header[0] = t->test;
    header[1] = 1;
    memcpy(header + 4, words, sizeof(words));
    strcpy((char *)header + NAME, names[t->test]);
}

static u32 header_read(struct device *dev, u32 off, enum io_size size)
{
    struct pci_testdev *t = (struct pci_testdev *)dev;
    u8 header[HEADER];
    u32 val = 0;

    if (t->test >= BARS * TESTS || off + size > HEADER)
        return 0;
    make_header(t, header);
    memcpy(&val, header + off, size);
    return val;
}

/* A byte to BAR `bar`. */
static void bar_write(struct device *dev, u32 bar, u32 off, u8 val)
{
    struct pci_testdev *t = (struct pci_testdev *)dev;

    if (off == 0) {
        t->test = val < TESTS ? (u8)(bar * TESTS + val) : NONE;
        t->count = 0;
    } else if (t->test < BARS * TESTS && off == test_offset(t->test)) {
        t->count += t->test % TESTS == ANY_DATA || val == DATA;
    }
}

static void memory_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    for (u32 i = 0; i < size; i++)
        bar_write(dev, MEMORY, off + i, (u8)(val >> 8 * i));
}

static void ports_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    bar_write(dev, PORTS, off, (u8)val);
}

/* ---- Life ---- */

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops memory = {header_read, memory_write, IO_8 | IO_16 | IO_32};
    static const struct io_ops ports = {header_read, ports_write, IO_8};
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
    t->test = NONE;
    t->count = 0;
}

static void pci_testdev_loaded(struct device *dev)
{
    pci_written(&((struct pci_testdev *)dev)->pci, 0, 0);
}

static const struct field pci_testdev_fields[] = {
    FIELD_ARRAY(struct pci_testdev, pci.config),
    FIELD(struct pci_testdev, test),
    FIELD(struct pci_testdev, count),
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
