/*
 * Numeric errors the PC/AT's way: the CPU's FERR# output sets a latch that is IRQ 13; a write
 * to port F0 clears the latch and asserts IGNNE# until FERR# goes away, so that the handler may
 * run x87 instructions. SDM vol. 1, appendix D.2; PIIX3 datasheet, "Coprocessor Error
 * Register".
 */
#include "devices/ferr.h"

struct ferr {
    struct device dev;
    u8 ferr, irq, ignne;
};

static void drive_irq(struct ferr *f)
{
    const struct ferr_config *config = f->dev.config;

    irq_set(irq_isa(f->dev.machine, 13), f->irq);
    if (config && config->ignne)
        config->ignne(f->dev.machine, f->ignne);
}

void ferr_set(struct device *dev, bool level)
{
    struct ferr *f = (struct ferr *)dev;

    if (level && !f->ferr)
        f->irq = true;
    if (!level)
        f->ignne = false;
    f->ferr = level;
    drive_irq(f);
}

static void ferr_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct ferr *f = (struct ferr *)dev;

    f->irq = false;
    f->ignne = f->ferr;
    drive_irq(f);
}

static u32 ferr_read(struct device *dev, u32 off, enum io_size size)
{
    return 0xff;
}

static bool ferr_attach(struct device *dev)
{
    static const struct io_ops ops = { ferr_read, ferr_write, IO_8 };

    return bus_claim_ports(dev, 0xf0, 1, &ops);
}

static void ferr_reset(struct device *dev)
{
    struct ferr *f = (struct ferr *)dev;

    f->ferr = f->irq = f->ignne = false;
    drive_irq(f);
}

static void ferr_loaded(struct device *dev)
{
    drive_irq((struct ferr *)dev);
}

static const struct field ferr_fields[] = {
    FIELD(struct ferr, ferr), FIELD(struct ferr, irq), FIELD(struct ferr, ignne), FIELD_END,
};

const struct device_class ferr_class = {
    .name = "ferr",
    .size = sizeof(struct ferr),
    .attach = ferr_attach,
    .reset = ferr_reset,
    .loaded = ferr_loaded,
    .fields = ferr_fields,
};
