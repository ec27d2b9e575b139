/*
 * Sound Blaster 16: what its files share. The DSP's ports and commands are sb16_dsp.c's,
 * playing and recording sb16_play.c's, the mixer ct1745.c's.
 */
#ifndef RING3_SB16_PRIVATE_H
#define RING3_SB16_PRIVATE_H

#include "devices/sb16.h"
#include "devices/ymf262.h"

enum { DSP_OUT = 64, DSP_PARAMS = 3, DSP_ECHO = 4 };
/* Registers of the mixer that are not about volume, and the bits of the last. */
enum { MIXER_IRQ_SELECT = 0x80, MIXER_DMA_SELECT = 0x81, MIXER_IRQ_STATUS = 0x82 };
enum { SB16_IRQ_8 = 1, SB16_IRQ_16 = 2 };

/* A transfer: what the guest has set up. Units are bytes, or words for 16 bits. */
enum sb16_codec {
    CODEC_PCM8,
    CODEC_PCM16,
    CODEC_ADPCM4,
    CODEC_ADPCM26,
    CODEC_ADPCM2,
    CODEC_SILENCE
};
struct sb16_transfer {
    u8 running, paused;
    u8 codec;           /* enum sb16_codec */
    u8 input;           /* from the converter to memory: there is nothing to be heard */
    u8 auto_init, last; /* last: the running block is, of auto-init */
    u8 stereo, is_signed;
    u32 size, left; /* units of a block; not yet moved of the running one */
};
struct sb16_adpcm {
    u8 wants_reference; /* the next byte is one */
    u8 byte, samples;   /* what it still holds, from the top; how many */
    u8 step;
    i16 value;
};

struct sb16 {
    struct device dev;
    struct voice voice;
    struct irq *irq;
    struct timer timer; /* the end of a block, or a look on the way there */

    /* The DSP's conversation. */
    u8 reset, command, wanted, got,
        params[DSP_PARAMS];           /* command's parameters: wanted, got so far */
    u8 out[DSP_OUT], out_n, out_last; /* what the guest may read */
    u8 test, speaker;
    u8 time_constant, has_time_constant;
    u16 rate, input_rate, block; /* as commands 41, 42, 48 say; block is units - 1 */

    struct sb16_transfer transfer;
    struct sb16_adpcm adpcm;
    u8 direct, level; /* command 10: its last sample holds */
    u64 idle_since;   /* machine time of the end of the last block */

    u8 mixer[256], mixer_index;
    struct ymf262 fm;
};

/* ---- sb16.c ---- */
void sb16_raise(struct sb16 *s, u8 irq_bit);
void sb16_acknowledge(struct sb16 *s, u8 irq_bit);
u32 sb16_dma(const struct sb16 *s, bool wide); /* the channel */

/* ---- sb16_dsp.c ---- */
void sb16_dsp_reset(struct sb16 *s);
u8 sb16_dsp_read(struct sb16 *s, u32 off);
void sb16_dsp_write(struct sb16 *s, u32 off, u8 val);

/* ---- sb16_play.c ---- */
/* What time has come to; called before anything changes, too. */
void sb16_render(struct device *dev);
/* Begins a block with what is set in s->transfer. */
void sb16_begin(struct sb16 *s, u32 rate);
void sb16_pause(struct sb16 *s, bool on);
void sb16_halt(struct sb16 *s);
void sb16_direct(struct sb16 *s, u8 level);

/* ---- ct1745.c ---- */
void ct1745_reset(struct sb16 *s);
void ct1745_loaded(struct sb16 *s);
u8 ct1745_read(struct sb16 *s);
void ct1745_write(struct sb16 *s, u8 val);

#endif
