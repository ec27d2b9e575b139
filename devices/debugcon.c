/*
 * The debug port of QEMU and Bochs: a byte written goes out as it is. A read answers E9, by
 * which firmware knows that somebody listens.
 */
#include "devices/debugcon.h"

#define READ_BACK 0xe9

struct debugcon {
    struct device dev;
    u8 last;
    char line[128]; /* --trace fw prints whole lines */
    u32 length;
};

static void debugcon_trace(struct debugcon *s, u8 c)
{
    if (c != '\n' && s->length < sizeof(s->line) - 1) {
        s->line[s->length++] = c >= ' ' && c < 0x7f ? (char)c : ' ';
        return;
    }
    trace(TRACE_FW, "%.*s", (int)s->length, s->line);
    s->length = 0;
}

static u32 debugcon_read(struct device *dev, u32 off, enum io_size size)
{
    return READ_BACK;
}

static void debugcon_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct debugcon *s = (struct debugcon *)dev;
    const struct debugcon_config *config = dev->config;

    s->last = (u8)val;
    if (config->chardev)
        config->chardev->write(config->chardev, &s->last, 1);
    if (trace_on(TRACE_FW))
        debugcon_trace(s, s->last);
}

static void debugcon_reset(struct device *dev)
{
    ((struct debugcon *)dev)->last = 0;
}

static bool debugcon_attach(struct device *dev)
{
    static const struct io_ops ops = { debugcon_read, debugcon_write, IO_8 };
    const struct debugcon_config *config = dev->config;

    return bus_claim_ports(dev, config->port, 1, &ops);
}

static const struct field debugcon_fields[] = { FIELD(struct debugcon, last), FIELD_END };

const struct device_class debugcon_class = {
    .name = "debugcon",
    .size = sizeof(struct debugcon),
    .attach = debugcon_attach,
    .reset = debugcon_reset,
    .fields = debugcon_fields,
};

static const struct debugcon_config debugcon_defaults = { .port = 0xe9 };
static const struct key_row debugcon_keys[] = {
    { "chardev", KEY_CHARDEV, offsetof(struct debugcon_config, chardev), .required = true },
    { "iobase", KEY_U16, offsetof(struct debugcon_config, port), .help = "the port" },
    { NULL },
};

const struct user_device debugcon_user_device = {
    .name = "isa-debugcon",
    .help = "debug console: what is written to a port",
    .category = MISC_DEVICE,
    .bus = BUS_ISA,
    .class = &debugcon_class,
    .config_size = sizeof(struct debugcon_config),
    .defaults = &debugcon_defaults,
    .properties = debugcon_keys,
};
