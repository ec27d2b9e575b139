/*
 * The AK4531, mixer and converters of the AudioPCI (Asahi Kasei's data sheet of 1995). It is
 * written only. DAC2 is its voice, DAC1 its FM input; these and the master volume are heard,
 * the rest is kept.
 */
#include "devices/es1370_private.h"

#include <math.h>
#include <string.h>

enum {
    MASTER = 0x00,
    VOICE = 0x02,
    FM = 0x04, /* left; right is the next */
    MONO_OUT = 0x0f,
    OUT1 = 0x10,
    OUT2 = 0x11,
    POWER = 0x16,
    MIC_GAIN = 0x19,
    POWER_RUNS = 0x01,
    POWER_ON = 0x02, /* of POWER; cleared: reset, power down */
    MUTE = 0x80,
    STEPS = 0x1f,
    OUT1_FM = 0x40,
    OUT2_VOICE = 0x08, /* left; right is the bit below */
};

/* 2 dB a step, from `first` dB down. */
static double gain(u8 reg, double first)
{
    return reg & MUTE ? 0 : pow(10, (first - 2 * (reg & STEPS)) / 20);
}

static void hear(struct es1370 *s, enum es1370_id id, u32 volume, u8 switches)
{
    for (u32 side = 0; side < 2; side++) {
        bool on = switches >> side & 1 && s->codec[POWER] & POWER_ON;
        double loud = gain(s->codec[MASTER + side], 0) * gain(s->codec[volume + side], 12);

        s->channel[id].voice.gain[side] = on ? (u16)lrint(VOICE_FULL * loud) : 0;
    }
}

/* Bit 0 for the left side, bit 1 for the right one. */
static u8 both(u8 reg, u8 left)
{
    return (reg & left ? 1 : 0) | (reg & left >> 1 ? 2 : 0);
}

void ak4531_hear(struct es1370 *s)
{
    hear(s, DAC1, FM, both(s->codec[OUT1], OUT1_FM));
    hear(s, DAC2, VOICE, both(s->codec[OUT2], OUT2_VOICE));
}

void ak4531_reset(struct es1370 *s)
{
    memset(s->codec, 0, sizeof(s->codec));
    memset(s->codec + MASTER, MUTE, 2);
    memset(s->codec + VOICE, MUTE | 6, MONO_OUT - VOICE); /* 0 dB */
    s->codec[MONO_OUT] = MUTE;
    s->codec[POWER] = POWER_RUNS | POWER_ON;
    s->codec[MIC_GAIN] = 1;
    ak4531_hear(s);
}

void ak4531_write(struct es1370 *s, u8 reg, u8 val)
{
    if (reg >= AK4531_REGISTERS)
        return;
    if (reg == POWER && !(val & POWER_RUNS))
        ak4531_reset(s);
    s->codec[reg] = val;
    ak4531_hear(s);
}
