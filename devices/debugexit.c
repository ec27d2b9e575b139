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

static const char *debugexit_complete(struct machine *m, void *config)
{
    const struct debugexit_config *c = config;

    if (!c->size || c->port + c->size > 0x10000)
        return "iobase up to 0xffff, iosize 1 to 4";
    return NULL;
}

static const struct debugexit_config debugexit_defaults = { .port = 0x501, .size = 2 };
static const struct key_row debugexit_keys[] = {
    { "iobase", KEY_U16, offsetof(struct debugexit_config, port), .help = "the port" },
    { "iosize", KEY_U16, offsetof(struct debugexit_config, size), .max = 4,
      .help = "how many ports" },
    { NULL },
};

const struct user_device debugexit_user_device = {
    .name = "isa-debug-exit",
    .help = "a write to its port ends ring3 with status value * 2 + 1",
    .category = MISC_DEVICE,
    .bus = BUS_ISA,
    .class = &debugexit_class,
    .config_size = sizeof(struct debugexit_config),
    .defaults = &debugexit_defaults,
    .properties = debugexit_keys,
    .complete = debugexit_complete,
};
