/*
 * Port 61, system control port B (PIIX3, 290550, "NMI Status and Control"): the gate of timer
 * channel 2 and the speaker's data bit, the channel's output read back, and the toggle of the
 * memory refresh, which programs count to measure time. The speaker's cone is out where data
 * bit and channel output are both high.
 *
 * What it says is computed, not sampled: a frame is the share of its time in which the cone was
 * out, to 1/256 of a timer tick. So tones, clicks of the data bit and speech by pulse width (a
 * count for each sample, at 16 kHz and more) come out alike. Whatever changes the level is told
 * before it does; while the level stands the voice is off.
 */
#include "devices/pcspk.h"
#include "devices/i8254.h"

enum {
    GATE2 = 0x01,
    SPEAKER_DATA = 0x02,
    CONTROL = 0x0f, /* 2, 3: parity and channel check masks */
    REFRESH = 0x10,
    OUT2 = 0x20,
};
#define REFRESH_NS 15085 /* 18 ticks of the timer */
enum {
    RATE = 192000,     /* frames a second: the mixer's filter makes 48000 of them */
    OUT_LEVEL = 16384, /* of a sample */
    DC_SHIFT = 10,     /* the level's mean is taken off, over 1024 frames: 30 Hz */
    SILENCE = 8,       /* of a sample: not heard */
    REST = RATE / 10,  /* frames of silence until the voice goes off */
    PIECE = 256,
};

struct pcspk {
    struct device dev;
    u8 control;
    struct voice voice;
    u64 summed, begun; /* fine ticks: up to where `high` counts; where this frame began */
    u64 high;          /* fine ticks of this frame in which the cone was out */
    i32 mean;          /* of the level << DC_SHIFT */
    u32 silent;        /* frames in a row */
};

/* ---- The speaker ---- */

static u64 fine_now(struct pcspk *s)
{
    return i8254_fine_ticks(clock_now(s->dev.machine));
}

static u64 cone_out(struct pcspk *s, u64 from, u64 to)
{
    const struct pcspk_config *wires = s->dev.config;

    return s->control & SPEAKER_DATA ? i8254_high(wires->i8254, 2, from, to) : 0;
}

static void sum(struct pcspk *s, u64 to)
{
    if (to <= s->summed)
        return;
    s->high += cone_out(s, s->summed, to);
    s->summed = to;
}

static i16 frame(struct pcspk *s, u64 end)
{
    i32 level = s->mean >> DC_SHIFT, sample;

    sum(s, end);
    if (s->summed > s->begun)
        level = (i32)(s->high * OUT_LEVEL / (s->summed - s->begun));
    s->begun = s->summed;
    s->high = 0;
    sample = level - (s->mean >> DC_SHIFT);
    s->mean += sample;
    s->silent = sample < SILENCE && sample > -SILENCE ? s->silent + 1 : 0;
    return (i16)sample;
}

static void render(struct device *dev)
{
    struct pcspk *s = (struct pcspk *)dev;
    struct voice *v = &s->voice;
    i16 samples[PIECE];
    u32 n;

    while ((n = voice_due(v))) {
        n = n < PIECE ? n : PIECE;
        for (u32 i = 0; i < n; i++)
            samples[i] = frame(s, i8254_fine_ticks(voice_time(v, v->written + i + 1)));
        voice_write(v, samples, n);
    }
    if (s->silent > REST)
        voice_stop(v);
    sum(s, fine_now(s));
}

static void wake(struct pcspk *s)
{
    voice_start(&s->voice, RATE, 1);
    s->begun = s->summed = fine_now(s);
    s->high = 0;
    s->mean = cone_out(s, s->begun, s->begun + 1) ? OUT_LEVEL << DC_SHIFT : 0;
    s->silent = 0;
}

/* The level will be another from now on, if the data bit is or will be set. */
static void changing(struct pcspk *s, u8 control)
{
    const struct pcspk_config *wires = s->dev.config;

    if (!wires || !wires->audio)
        return;
    if (s->voice.on)
        render(&s->dev); /* may turn it off */
    if (!s->voice.on && ((s->control | control) & SPEAKER_DATA))
        wake(s);
}

void pcspk_changing(struct device *dev)
{
    struct pcspk *s = (struct pcspk *)dev;

    changing(s, s->control);
}

/* ---- The port ---- */

static u32 pcspk_read(struct device *dev, u32 off, enum io_size size)
{
    struct pcspk *s = (struct pcspk *)dev;
    const struct pcspk_config *wires = dev->config;
    u64 now = clock_now(dev->machine);
    u8 val = s->control;

    if (now / REFRESH_NS & 1)
        val |= REFRESH;
    if (wires && i8254_out_at(wires->i8254, 2, now))
        val |= OUT2;
    return val;
}

static void pcspk_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct pcspk *s = (struct pcspk *)dev;
    const struct pcspk_config *wires = dev->config;

    changing(s, (u8)val);
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
    struct pcspk *s = (struct pcspk *)dev;
    const struct pcspk_config *wires = dev->config;

    voice_init(&s->voice, dev, wires ? wires->audio : NULL, "pcspk", render);
    return bus_claim_ports(dev, 0x61, 1, &ops);
}

/* The tone goes on, from now. */
static void pcspk_loaded(struct device *dev)
{
    struct pcspk *s = (struct pcspk *)dev;

    s->control &= CONTROL;
    voice_stop(&s->voice);
    pcspk_changing(dev);
}

static const struct field pcspk_fields[] = { FIELD(struct pcspk, control), FIELD_END };

const struct device_class pcspk_class = {
    .name = "pcspk",
    .size = sizeof(struct pcspk),
    .attach = pcspk_attach,
    .reset = pcspk_reset,
    .loaded = pcspk_loaded,
    .fields = pcspk_fields,
};
