/*
 * The CT1745, mixer of the Sound Blaster 16 (Creative, Sound Blaster Series Hardware
 * Programming Guide, chapter 4). Voice and master volumes and the output gain are heard; the
 * rest is kept. The Sound Blaster Pro's registers of four bits a side lie over the new ones of
 * five.
 *
 * RESET leaves voice, MIDI and master at full volume, not at the guide's -14 dB each: what made
 * up for that were the card's amplifier and its drivers' set-up.
 */
#include "devices/sb16_private.h"

#include <math.h>

enum {
    MASTER = 0x30,
    VOICE = 0x32,
    MIDI = 0x34,
    CD = 0x36,
    LINE = 0x38,
    MIC = 0x3a,
    OUT_SWITCH = 0x3c,
    IN_LEFT = 0x3d,
    IN_RIGHT = 0x3e,
    OUT_GAIN = 0x41,
    TREBLE_BASS = 0x44,
    LAST_TONE = 0x47,
};

/* The Pro's registers: both sides in one, the upper half left. */
static u8 pro_pair(u8 index)
{
    switch (index) {
    case 0x04:
        return VOICE;
    case 0x22:
        return MASTER;
    case 0x26:
        return MIDI;
    case 0x28:
        return CD;
    case 0x2e:
        return LINE;
    default:
        return 0;
    }
}

/* Of 31: 2 dB a step. */
static double attenuation(u8 reg)
{
    return pow(10, -2.0 * (31 - (reg >> 3)) / 20);
}

/* A source's gain by its two registers and the master's. */
static void hear_voice(struct sb16 *s, struct voice *v, u8 source)
{
    for (u32 side = 0; side < 2; side++) {
        u32 boost = 1u << (s->mixer[OUT_GAIN + side] >> 6);
        double gain =
            attenuation(s->mixer[MASTER + side]) * attenuation(s->mixer[source + side]);

        v->gain[side] = (u16)lrint(VOICE_FULL * gain * boost);
    }
}

static void hear(struct sb16 *s)
{
    hear_voice(s, &s->voice, VOICE);
    hear_voice(s, &s->fm.voice, MIDI);
}

void ct1745_loaded(struct sb16 *s)
{
    hear(s);
}

void ct1745_reset(struct sb16 *s)
{
    const struct sb16_config *c = s->dev.config;
    u8 irq_status = s->mixer[MIXER_IRQ_STATUS];

    for (u32 i = 0; i < 256; i++)
        s->mixer[i] = i >= MASTER && i < CD                ? 0xf8
                      : i >= TREBLE_BASS && i <= LAST_TONE ? 0x80
                                                           : 0;
    s->mixer[OUT_SWITCH] = 0x1f;
    s->mixer[IN_LEFT] = 0x15;
    s->mixer[IN_RIGHT] = 0x0b;
    s->mixer[MIXER_IRQ_SELECT] = c->irq == 5 ? 2 : c->irq == 7 ? 4 : c->irq == 10 ? 8 : 1;
    s->mixer[MIXER_DMA_SELECT] = (u8)(1 << c->dma | 1 << c->dma16);
    s->mixer[MIXER_IRQ_STATUS] = irq_status;
    s->mixer_index = 0;
    hear(s);
}

u8 ct1745_read(struct sb16 *s)
{
    u8 pair = pro_pair(s->mixer_index);

    if (pair)
        return (s->mixer[pair] & 0xf0) | s->mixer[pair + 1] >> 4;
    if (s->mixer_index == 0x0a)
        return s->mixer[MIC] >> 5;
    return s->mixer[s->mixer_index];
}

/* Bits that a register has. */
static u8 bits(u8 index)
{
    if (index >= MASTER && index <= MIC)
        return 0xf8;
    if (index >= 0x3f && index < 0x43)
        return 0xc0;
    if (index >= TREBLE_BASS && index <= LAST_TONE)
        return 0xf0;
    return index == 0x3b ? 0xc0 : index == OUT_SWITCH ? 0x1f : index == 0x43 ? 0x01 : 0x7f;
}

static void set_side(struct sb16 *s, u8 index, u8 half)
{
    s->mixer[index] = (u8)(half << 4 | (half & 8));
}

void ct1745_write(struct sb16 *s, u8 val)
{
    u8 index = s->mixer_index, pair = pro_pair(index);

    sb16_render(&s->dev);
    ymf262_render(&s->fm);
    if (index == 0) {
        ct1745_reset(s);
    } else if (pair) {
        set_side(s, pair, val >> 4);
        set_side(s, pair + 1, val & 15);
    } else if (index == 0x0a) {
        s->mixer[MIC] = (u8)(val << 5);
    } else if (index == MIXER_IRQ_SELECT) {
        s->mixer[index] = val & 0x0f;
    } else if (index == MIXER_DMA_SELECT) {
        s->mixer[index] = val & 0xeb;
    } else if (index >= MASTER && index <= LAST_TONE) {
        s->mixer[index] = val & bits(index);
    }
    hear(s);
}
