/*
 * Port 61, system control port B (PIIX3, 290550, "NMI Status and Control"): the gate of timer
 * channel 2 and the speaker's data bit, the channel's output read back, and the toggle of the
 * memory refresh, which programs count to measure time. The speaker makes no sound; what it would
 * say is what a guest reads.
 */
#include "devices/i8254.h"
#include "devices/pcspk.h"

enum {
    GATE2 = 0x01, SPEAKER_DATA = 0x02, CONTROL = 0x0f, /* 2, 3: parity and channel check masks */
    REFRESH = 0x10, OUT2 = 0x20,
};
#define REFRESH_NS 15085 /* 18 ticks of the timer */

struct pcspk {
    struct device dev;
    u8 control;
};

static u32 pcspk_read(struct device *dev, u32 off, enum io_size size)
{
    struct pcspk *s = (struct pcspk *)dev;
    const struct pcspk_config *wires = dev->config;
    u8 val = s->control;

    if (clock_now(dev->machine) / REFRESH_NS & 1)
        val |= REFRESH;
    if (wires && i8254_out(wires->i8254, 2))
        val |= OUT2;
    return val;
}

static void pcspk_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct pcspk *s = (struct pcspk *)dev;
    const struct pcspk_config *wires = dev->config;

    s->control = val & CONTROL;
    if (wires)
        i8254_gate(wires->i8254, 2, val & GATE2);
}

static void pcspk_reset(struct device *dev)
{
    pcspk_write(dev, 0, IO_8, 0);
}

static bool pcspk_attach(struct device *dev)
{
    static const struct io_ops ops = { pcspk_read, pcspk_write, IO_8 };

    return bus_claim_ports(dev, 0x61, 1, &ops);
}

static const struct field pcspk_fields[] = { FIELD(struct pcspk, control), FIELD_END };

const struct device_class pcspk_class = {
    .name = "pcspk",
    .size = sizeof(struct pcspk),
    .attach = pcspk_attach,
    .reset = pcspk_reset,
    .fields = pcspk_fields,
};
