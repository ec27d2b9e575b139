/*
 * Creative Sound Blaster 16 (CT2230; Sound Blaster Series Hardware Programming Guide, 1996): a
 * DSP of version 4.05 at base + 6, A, C, E and F, the CT1745 mixer at base + 4 and 5. Its FM
 * part is the OPL3 (ymf262.c). The MPU-401, the wave effects processor (CSP) and the joystick
 * port are not there: nobody answers at 330 and 200.
 *
 * This file has the ports, the interrupt and the board's settings. 8-bit and 16-bit transfers
 * share one line, with a bit each in mixer register 82; a read of base + E or base + F
 * acknowledges one.
 */
#include "devices/sb16_private.h"
#include "devices/i8237.h"

enum {
    FIRST = 0x4, /* port of ours, from base on */
    MIXER_INDEX = 0x4,
    MIXER_DATA = 0x5,
};

/* ---- Interrupt and DMA, as the mixer's registers choose ---- */

static struct irq *line(struct sb16 *s)
{
    static const u8 lines[] = { 9, 5, 7, 10 }; /* 2 of the XT is 9 on an AT */

    for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
        if (s->mixer[MIXER_IRQ_SELECT] >> i & 1)
            return irq_isa(s->dev.machine, lines[i]);
    return NULL;
}

/* The level follows register 82; a line that is no longer chosen is let go. */
static void update_line(struct sb16 *s)
{
    struct irq *now = line(s);

    if (s->irq && s->irq != now)
        irq_set(s->irq, false);
    s->irq = now;
    if (now)
        irq_set(now, s->mixer[MIXER_IRQ_STATUS] != 0);
}

void sb16_raise(struct sb16 *s, u8 bit)
{
    trace(TRACE_AUDIO, "sb16: interrupt, %u bits", bit == SB16_IRQ_16 ? 16 : 8);
    s->mixer[MIXER_IRQ_STATUS] |= bit;
    update_line(s);
}

void sb16_acknowledge(struct sb16 *s, u8 bit)
{
    if (!(s->mixer[MIXER_IRQ_STATUS] & bit))
        return;
    s->mixer[MIXER_IRQ_STATUS] &= ~bit;
    update_line(s);
    voice_acknowledged(&s->voice);
    if (!s->transfer.running)
        s->idle_since = clock_now(s->dev.machine);
    sb16_render(&s->dev); /* may have waited for this */
}

/* Without a 16-bit channel, words go over the 8-bit one. */
u32 sb16_dma(const struct sb16 *s, bool wide)
{
    u8 select = s->mixer[MIXER_DMA_SELECT] & (wide && s->mixer[MIXER_DMA_SELECT] & 0xe0 ? 0xe0 : 0x0b);
    u32 channel = 0;

    while (channel < 7 && !(select >> channel & 1))
        channel++;
    return channel;
}

/* ---- Ports ---- */

static u32 sb16_read(struct device *dev, u32 off, enum io_size size)
{
    struct sb16 *s = (struct sb16 *)dev;

    off += FIRST;
    if (off == MIXER_INDEX)
        return s->mixer_index;
    if (off == MIXER_DATA)
        return ct1745_read(s);
    return sb16_dsp_read(s, off);
}

static void sb16_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct sb16 *s = (struct sb16 *)dev;

    off += FIRST;
    if (off == MIXER_INDEX) {
        s->mixer_index = (u8)val;
    } else if (off == MIXER_DATA) {
        ct1745_write(s, (u8)val);
        update_line(s);
    } else {
        sb16_dsp_write(s, off, (u8)val);
    }
}

static u32 fm_read(struct device *dev, u32 off, enum io_size size)
{
    return ymf262_read(&((struct sb16 *)dev)->fm, off);
}

static void fm_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    ymf262_write(&((struct sb16 *)dev)->fm, off, (u8)val);
}

static void fm_render(struct device *dev)
{
    ymf262_render(&((struct sb16 *)dev)->fm);
}

/* ---- The chip ---- */

static void timer_fire(void *owner)
{
    struct sb16 *s = owner;

    sb16_render(&s->dev);
}

static void sb16_reset(struct device *dev)
{
    struct sb16 *s = (struct sb16 *)dev;

    sb16_halt(s);
    voice_stop(&s->voice);
    sb16_dsp_reset(s);
    ymf262_reset(&s->fm);
    s->mixer[MIXER_IRQ_STATUS] = 0;
    ct1745_reset(s);
    update_line(s);
}

static bool sb16_attach(struct device *dev)
{
    static const struct io_ops ops = { sb16_read, sb16_write, IO_8 };
    static const struct io_ops fm = { fm_read, fm_write, IO_8 };
    struct sb16 *s = (struct sb16 *)dev;
    const struct sb16_config *c = dev->config;

    voice_init(&s->voice, dev, c->audio, "sb16", sb16_render);
    timer_init(&s->timer, dev->machine, timer_fire, s);
    for (u32 n = 0; n < 8 && c->i8237; n++)
        if (n == c->dma || n == c->dma16)
            i8237_follow(c->i8237, n, sb16_render, dev);
    return bus_claim_ports(dev, c->iobase + FIRST, 16 - FIRST, &ops) &&
           ymf262_attach(&s->fm, dev, c->audio, c->iobase, &fm, fm_render);
}

static void sb16_loaded(struct device *dev)
{
    struct sb16 *s = (struct sb16 *)dev;

    s->out_n %= DSP_OUT;
    s->wanted %= DSP_PARAMS + 1;
    s->got %= DSP_PARAMS + 1;
    s->transfer.codec %= CODEC_SILENCE + 1;
    s->transfer.size %= 0x10001;
    s->transfer.left %= 0x10001;
    s->adpcm.samples %= 5;
    s->adpcm.step %= 4;
    s->idle_since = clock_now(dev->machine);
    s->mixer[MIXER_IRQ_STATUS] &= SB16_IRQ_8 | SB16_IRQ_16;
    ct1745_loaded(s);
    voice_loaded(&s->voice);
    ymf262_loaded(&s->fm);
    update_line(s);
    sb16_render(dev);
}

#define F(member) FIELD(struct sb16, member)
static const struct field sb16_fields[] = {
    VOICE_FIELDS(struct sb16, voice),
    F(reset),
    F(command),
    F(wanted),
    F(got),
    FIELD_ARRAY(struct sb16, params),
    FIELD_ARRAY(struct sb16, out),
    F(out_n),
    F(out_last),
    F(test),
    F(speaker),
    F(time_constant),
    F(has_time_constant),
    F(rate),
    F(input_rate),
    F(block),
    F(transfer.running),
    F(transfer.paused),
    F(transfer.codec),
    F(transfer.input),
    F(transfer.auto_init),
    F(transfer.last),
    F(transfer.stereo),
    F(transfer.is_signed),
    F(transfer.size),
    F(transfer.left),
    F(adpcm.wants_reference),
    F(adpcm.byte),
    F(adpcm.samples),
    F(adpcm.step),
    F(adpcm.value),
    F(direct),
    F(level),
    FIELD_ARRAY(struct sb16, mixer),
    F(mixer_index),
    YMF262_FIELDS(struct sb16, fm),
    FIELD_END,
};

const struct device_class sb16_class = {
    .name = "sb16",
    .size = sizeof(struct sb16),
    .attach = sb16_attach,
    .reset = sb16_reset,
    .loaded = sb16_loaded,
    .fields = sb16_fields,
};

/* ---- -device sb16 ---- */

static const char *sb16_complete(struct machine *m, void *config)
{
    struct sb16_config *c = config;

    if (c->iobase < 0x220 || c->iobase > 0x280 || c->iobase & 0x1f)
        return "iobase is 0x220, 0x240, 0x260 or 0x280";
    if (c->irq != 2 && c->irq != 5 && c->irq != 7 && c->irq != 9 && c->irq != 10)
        return "irq is 2, 5, 7, 9 or 10";
    if (c->dma > 3 || c->dma == 2)
        return "dma is 0, 1 or 3";
    if (c->dma16 < 5 || c->dma16 > 7)
        return "dma16 is 5, 6 or 7";
    c->i8237 = isa_dma(m);
    return NULL;
}

static const struct sb16_config sb16_defaults = {
    .iobase = 0x220,
    .irq = 5,
    .dma = 1,
    .dma16 = 5,
    .version = 0x405,
};
#define KEY_OF(member, kind, text)                                                             \
    {                                                                                          \
#member, kind, offsetof(struct sb16_config, member), .help = text                      \
    }
static const struct key_row sb16_keys[] = {
    { "audiodev", KEY_AUDIODEV, offsetof(struct sb16_config, audio),
      .help = "who hears: an -audiodev" },
    KEY_OF(iobase, KEY_U16, "the ports: 0x220, 0x240, 0x260, 0x280"),
    KEY_OF(irq, KEY_U8, "2, 5, 7 or 10"),
    KEY_OF(dma, KEY_U8, "the 8-bit channel: 0, 1 or 3"),
    KEY_OF(dma16, KEY_U8, "the 16-bit channel: 5, 6 or 7"),
    KEY_OF(version, KEY_U16, "of the DSP"),
    { NULL },
};

const struct user_device sb16_user_device = {
    .name = "sb16",
    .help = "Creative Sound Blaster 16",
    .category = SOUND_DEVICE,
    .bus = BUS_ISA,
    .class = &sb16_class,
    .config_size = sizeof(struct sb16_config),
    .defaults = &sb16_defaults,
    .properties = sb16_keys,
    .complete = sb16_complete,
};
