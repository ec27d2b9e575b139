/*
 * isa-debug-exit, as QEMU has it: a write ends ring3 with status (value << 1) | 1. Test kernels
 * tell their result that way.
 */
#include "devices/debugexit.h"

struct debugexit {
    struct device dev;
};

static u32 debugexit_read(struct device *dev, u32 off, enum io_size size)
{
    return 0;
}

static void debugexit_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    machine_exit(dev->machine, (int)((val << 1 | 1) & 0xff));
}

static void debugexit_reset(struct device *dev)
{
}

static bool debugexit_attach(struct device *dev)
{
    static const struct io_ops ops = { debugexit_read, debugexit_write, IO_8 | IO_16 | IO_32 };
    const struct debugexit_config *config = dev->config;

    return bus_claim_ports(dev, config->port, config->size, &ops);
}

static const struct field debugexit_fields[] = { FIELD_END };

const struct device_class debugexit_class = {
    .name = "isa-debug-exit",
    .size = sizeof(struct debugexit),
    .attach = debugexit_attach,
    .reset = debugexit_reset,
    .fields = debugexit_fields,
};
