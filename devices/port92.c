/*
 * System control port A of the PS/2, kept by the PIIX3 (290550): port 92 bit 0 pulses the
 * processor's reset when it rises, bit 1 opens the A20 gate.
 */
#include "devices/a20.h"
#include "devices/port92.h"

enum { FAST_INIT = 0x01, FAST_A20 = 0x02, WRITABLE = 0x0b }; /* bit 3: CMOS password lock */

struct port92 {
    struct device dev;
    u8 control;
};

void a20_tell(struct device *dev, bool on)
{
    const struct a20_config *wire = dev->config;

    if (wire)
        wire->follow(wire->other, on);
}

void port92_a20_follow(struct device *dev, bool on)
{
    struct port92 *s = (struct port92 *)dev;

    s->control = on ? s->control | FAST_A20 : s->control & ~FAST_A20;
}

static u32 port92_read(struct device *dev, u32 off, enum io_size size)
{
    return ((struct port92 *)dev)->control;
}

static void port92_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct port92 *s = (struct port92 *)dev;
    u8 rising = val & ~s->control;
    bool a20 = val & FAST_A20;

    s->control = val & WRITABLE;
    machine_set_a20(dev->machine, a20);
    a20_tell(dev, a20);
    if (rising & FAST_INIT)
        machine_request(dev->machine, MACHINE_RESET);
}

/* A20 is open after a reset: the first fetch is from FFFFFFF0. */
static void port92_reset(struct device *dev)
{
    ((struct port92 *)dev)->control = FAST_A20;
    machine_set_a20(dev->machine, true);
}

static bool port92_attach(struct device *dev)
{
    static const struct io_ops ops = { port92_read, port92_write, IO_8 };

    return bus_claim_ports(dev, 0x92, 1, &ops);
}

static void port92_loaded(struct device *dev)
{
    machine_set_a20(dev->machine, ((struct port92 *)dev)->control & FAST_A20);
}

static const struct field port92_fields[] = { FIELD(struct port92, control), FIELD_END };

const struct device_class port92_class = {
    .name = "port92",
    .size = sizeof(struct port92),
    .attach = port92_attach,
    .reset = port92_reset,
    .loaded = port92_loaded,
    .fields = port92_fields,
};
