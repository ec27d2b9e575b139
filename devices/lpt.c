/*
 * A standard parallel port with a printer that is always ready (IBM PC AT Technical Reference,
 * "Printer Adapter"; IEEE 1284, compatibility mode).
 *
 *   378  data      what the strobe hands over
 *   379  status    bit 7 not busy, 6 not acknowledging, 5 out of paper, 4 selected, 3 no error
 *   37A  control   bit 0 strobe, 1 auto feed, 2 not initialise, 3 select, 4 IRQ 7 on, 5 input
 *
 * A byte goes out when the strobe rises. It is taken at once, so BUSY is never seen; the
 * acknowledge that follows is IRQ 7's edge, where it is enabled. Nothing ever comes in.
 */
#include "devices/lpt.h"

enum { DATA = 0, STATUS = 1, CONTROL = 2, PORT = 0x378, PORTS = 3, IRQ = 7 };
enum { STATUS_READY = 0xd8, STATUS_RESERVED = 7 };
enum {
    STROBE = 0x01,
    IRQ_ENABLE = 0x10,
    INPUT = 0x20,
    CONTROL_BITS = 0x3f,
    CONTROL_READ = 0xc0
};
enum { CONTROL_RESET = 0x0c }; /* selected, not initialising: as BIOSes of the AT leave it */

struct lpt {
    struct device dev;
    u8 data, control;
    struct irq *irq;
};

static void print(struct lpt *s)
{
    const struct lpt_config *config = s->dev.config;

    if (config && config->chardev)
        config->chardev->write(config->chardev, &s->data, 1);
    if (s->control & IRQ_ENABLE) { /* ACK falls and rises */
        irq_set(s->irq, true);
        irq_set(s->irq, false);
    }
}

static u32 lpt_read(struct device *dev, u32 off, enum io_size size)
{
    struct lpt *s = (struct lpt *)dev;

    switch (off) {
    case DATA:
        return s->control & INPUT ? 0xff : s->data; /* nobody drives the lines */
    case STATUS:
        return STATUS_READY | STATUS_RESERVED;
    default:
        return s->control | CONTROL_READ;
    }
}

static void lpt_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct lpt *s = (struct lpt *)dev;
    u8 before = s->control;

    if (off == DATA)
        s->data = (u8)val;
    if (off != CONTROL)
        return;
    s->control = val & CONTROL_BITS;
    if (s->control & ~before & STROBE)
        print(s);
}

static void lpt_reset(struct device *dev)
{
    struct lpt *s = (struct lpt *)dev;

    s->data = 0;
    s->control = CONTROL_RESET;
}

static bool lpt_attach(struct device *dev)
{
    static const struct io_ops ops = {lpt_read, lpt_write, IO_8};
    struct lpt *s = (struct lpt *)dev;

    s->irq = irq_isa(dev->machine, IRQ);
    lpt_reset(dev);
    return bus_claim_ports(dev, PORT, PORTS, &ops);
}

static const struct field lpt_fields[] = {FIELD(struct lpt, data), FIELD(struct lpt, control),
                                          FIELD_END};

static const char *lpt_complete(struct machine *m, void *config)
{
    return device_find(m, &lpt_class, 0) ? "there is one parallel port, and -parallel has it"
                                         : NULL;
}

static const struct key_row lpt_keys[] = {
    {"chardev", KEY_CHARDEV, offsetof(struct lpt_config, chardev), .required = true},
    {NULL},
};

const struct user_device lpt_user_device = {
    .name = "isa-parallel",
    .help = "parallel port",
    .category = INPUT_DEVICE,
    .bus = BUS_ISA,
    .class = &lpt_class,
    .config_size = sizeof(struct lpt_config),
    .properties = lpt_keys,
    .complete = lpt_complete,
};

const struct device_class lpt_class = {
    .name = "lpt",
    .size = sizeof(struct lpt),
    .attach = lpt_attach,
    .reset = lpt_reset,
    .fields = lpt_fields,
};
