/*
 * Port 80, the POST card: holds the last code written and shows it in `--trace fw`. Guests also
 * write it to pass a microsecond. On a PC it is a spare page register of the DMA logic and
 * reads back.
 */
#include "devices/post.h"

struct post {
    struct device dev;
    u8 code;
};

static u32 post_read(struct device *dev, u32 off, enum io_size size)
{
    return ((struct post *)dev)->code;
}

static void post_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct post *s = (struct post *)dev;

    if (s->code != (u8)val)
        trace(TRACE_FW, "POST %02x", (u8)val);
    s->code = (u8)val;
}

static void post_reset(struct device *dev)
{
    ((struct post *)dev)->code = 0;
}

static bool post_attach(struct device *dev)
{
    static const struct io_ops ops = { post_read, post_write, IO_8 };

    return bus_claim_ports(dev, 0x80, 1, &ops);
}

static const struct field post_fields[] = { FIELD(struct post, code), FIELD_END };

const struct device_class post_class = {
    .name = "post",
    .size = sizeof(struct post),
    .attach = post_attach,
    .reset = post_reset,
    .fields = post_fields,
};
