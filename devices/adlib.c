/*
 * An AdLib card with an OPL3 (ymf262.c) at 388 to 38B, and where the Sound Blaster has it.
 */
#include "devices/adlib.h"
#include "devices/ymf262.h"

struct adlib {
    struct device dev;
    struct ymf262 fm;
};

static u32 adlib_read(struct device *dev, u32 off, enum io_size size)
{
    return ymf262_read(&((struct adlib *)dev)->fm, off);
}

static void adlib_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    ymf262_write(&((struct adlib *)dev)->fm, off, (u8)val);
}

static void adlib_render(struct device *dev)
{
    ymf262_render(&((struct adlib *)dev)->fm);
}

static void adlib_reset(struct device *dev)
{
    ymf262_reset(&((struct adlib *)dev)->fm);
}

static void adlib_loaded(struct device *dev)
{
    ymf262_loaded(&((struct adlib *)dev)->fm);
}

static bool adlib_attach(struct device *dev)
{
    static const struct io_ops ops = { adlib_read, adlib_write, IO_8 };
    const struct adlib_config *c = dev->config;

    return ymf262_attach(&((struct adlib *)dev)->fm, dev, c->audio, c->iobase, &ops,
                         adlib_render);
}

static const struct field adlib_fields[] = { YMF262_FIELDS(struct adlib, fm), FIELD_END };

const struct device_class adlib_class = {
    .name = "adlib",
    .size = sizeof(struct adlib),
    .attach = adlib_attach,
    .reset = adlib_reset,
    .loaded = adlib_loaded,
    .fields = adlib_fields,
};

static const char *adlib_complete(struct machine *m, void *config)
{
    struct adlib_config *c = config;

    return c->iobase & 0xf || c->iobase > 0x3f0 ? "iobase is a multiple of 16 up to 0x3f0"
                                                : NULL;
}

static const struct adlib_config adlib_defaults = { .iobase = 0x220 };
static const struct key_row adlib_keys[] = {
    { "audiodev", KEY_AUDIODEV, offsetof(struct adlib_config, audio),
      .help = "who hears: an -audiodev" },
    { "iobase", KEY_U16, offsetof(struct adlib_config, iobase), .help = "ports beside 0x388" },
    { NULL },
};

const struct user_device adlib_user_device = {
    .name = "adlib",
    .help = "Yamaha YMF262 (OPL3)",
    .category = SOUND_DEVICE,
    .bus = BUS_ISA,
    .class = &adlib_class,
    .config_size = sizeof(struct adlib_config),
    .defaults = &adlib_defaults,
    .properties = adlib_keys,
    .complete = adlib_complete,
};
