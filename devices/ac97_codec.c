/*
 * The codec: a SigmaTel STAC9700 with variable rates, as Audio Codec '97 revision 2.1, chapter
 * 6, has its registers. PCM-out and master volumes are heard; the rest is kept.
 */
#include "devices/ac97_private.h"

#include <math.h>

enum {
    RESET = 0x00,
    MASTER = 0x02,
    PCM_OUT = 0x18,
    POWER = 0x26,
    EXTENDED_ID = 0x28,
    EXTENDED_CONTROL = 0x2a,
    RATE_OUT = 0x2c,
    RATE_IN = 0x32,
    RATE_MIC = 0x34,
    MUTE = 0x8000,
    VARIABLE_RATE = 0x0001,
    POWER_READY = 0x000f, /* of all parts */
    MIN_RATE = 4000,
    MAX_RATE = 48000,
};

/* What RESET leaves, and which bits the guest may write. */
/* clang-format off */
static const struct codec_register {
    u8 reg;
    u16 reset, writable;
} registers[] = {
    { MASTER, MUTE, 0xbf3f },         { 0x04, MUTE, 0xbf3f },   { 0x06, MUTE, 0x803f },
    { 0x0a, 0x0000, 0x801e },         { 0x0c, 0x8008, 0x801f }, { 0x0e, 0x8008, 0x805f },
    { 0x10, 0x8808, 0x9f1f },         { 0x12, 0x8808, 0x9f1f }, { 0x14, 0x8808, 0x9f1f },
    { 0x16, 0x8808, 0x9f1f },         { PCM_OUT, 0x8808, 0x9f1f },
    { 0x1a, 0x0000, 0x0707 },         { 0x1c, MUTE, 0x8f0f },   { 0x20, 0x0000, 0x8380 },
    { POWER, POWER_READY, 0xff00 },   { EXTENDED_ID, VARIABLE_RATE, 0 },
    { EXTENDED_CONTROL, 0, VARIABLE_RATE },
    { RATE_OUT, MAX_RATE, 0xffff },   { RATE_IN, MAX_RATE, 0xffff }, { RATE_MIC, MAX_RATE, 0xffff },
    { 0x7c, 0x8384, 0 },              { 0x7e, 0x7600, 0 },
};
/* clang-format on */

/* 1.5 dB a step; PCM out begins at +12 dB. */
static double gain(u16 reg, u32 side, u32 mask, double first)
{
    return reg & MUTE ? 0 : pow(10, (first - 1.5 * (reg >> (side ? 0 : 8) & mask)) / 20);
}

static void hear(struct ac97 *s)
{
    for (u32 side = 0; side < 2; side++)
        s->box[BOX_PCM_OUT].voice.gain[side] =
            (u16)lrint(VOICE_FULL * gain(s->codec[MASTER / 2], side, 0x3f, 0) *
                       gain(s->codec[PCM_OUT / 2], side, 0x1f, 12));
}

u32 ac97_codec_rate(const struct ac97 *s, enum ac97_box_id id)
{
    static const u8 rates[BOXES] = { RATE_IN, RATE_OUT, RATE_MIC };

    return s->codec[EXTENDED_CONTROL / 2] & VARIABLE_RATE ? s->codec[rates[id] / 2] : MAX_RATE;
}

void ac97_codec_reset(struct ac97 *s)
{
    for (u32 i = 0; i < ARRAY_SIZE(registers); i++)
        s->codec[registers[i].reg / 2] = registers[i].reset;
    hear(s);
}

void ac97_codec_loaded(struct ac97 *s)
{
    for (u32 reg = RATE_OUT; reg <= RATE_MIC; reg += 2)
        if (s->codec[reg / 2] < MIN_RATE || s->codec[reg / 2] > MAX_RATE)
            s->codec[reg / 2] = MAX_RATE;
    hear(s);
}

u16 ac97_codec_read(struct ac97 *s, u32 reg)
{
    return s->codec[reg / 2 & 63];
}

static void rate_write(struct ac97 *s, u32 reg, u16 val)
{
    if (!(s->codec[EXTENDED_CONTROL / 2] & VARIABLE_RATE))
        return;
    s->codec[reg / 2] = val < MIN_RATE ? MIN_RATE : val > MAX_RATE ? MAX_RATE : val;
    ac97_rates_changed(s);
}

void ac97_codec_write(struct ac97 *s, u32 reg, u16 val)
{
    const struct codec_register *r = registers;

    ac97_render(&s->dev);
    if (reg == RESET)
        ac97_codec_reset(s);
    while (r < registers + ARRAY_SIZE(registers) && r->reg != reg)
        r++;
    if (r == registers + ARRAY_SIZE(registers))
        return;
    if (reg == RATE_OUT || reg == RATE_IN || reg == RATE_MIC)
        rate_write(s, reg, val);
    else
        s->codec[reg / 2] = (s->codec[reg / 2] & ~r->writable) | (val & r->writable);
    if (reg == EXTENDED_CONTROL)
        ac97_rates_changed(s);
    hear(s);
}
