/*
 * The DSP's conversation (Hardware Programming Guide, chapters 2 and 6): reset, command bytes
 * with parameters, answers, status. A command is a row: how many parameter bytes follow, and
 * what it does then.
 */
#include "devices/sb16_private.h"

#include <string.h>

enum {
    RESET = 0x6,
    READ = 0xa,
    WRITE = 0xc,
    READ_STATUS = 0xe,
    ACK_16 = 0xf,
    READY = 0x80,
    MODE_STEREO = 0x20,
    MODE_SIGNED = 0x10, /* of commands B0 to CF */
    COMMAND_INPUT = 0x08,
    COMMAND_AUTO = 0x04,
    MIN_RATE = 3906,
    MAX_RATE = 45454,
    SILENCE_8 = 0x80,
};

static void answer(struct sb16 *s, u8 val)
{
    if (s->out_n < DSP_OUT)
        s->out[s->out_n++] = val;
}

/* ---- Rates ---- */

static u32 clamped(u32 rate)
{
    return rate < MIN_RATE ? MIN_RATE : rate > MAX_RATE ? MAX_RATE : rate;
}

/* A time constant counts the samples of both sides. */
static u32 rate(const struct sb16 *s, bool input, bool stereo)
{
    if (s->has_time_constant)
        return clamped(1000000 / (256u - s->time_constant) >> stereo);
    return clamped(input ? s->input_rate : s->rate);
}

/* ---- Transfers ---- */

static void transfer(struct sb16 *s, struct sb16_transfer t)
{
    t.left = t.size;
    s->transfer = t;
    sb16_begin(s, rate(s, t.input, t.stereo));
}

static u32 length(const u8 *p)
{
    return (p[0] | (u32)p[1] << 8) + 1;
}

static void single_8(struct sb16 *s, const u8 *p)
{
    transfer(s, (struct sb16_transfer){
                    .codec = CODEC_PCM8, .size = length(p), .input = s->command == 0x24 });
}

/* The block's size is that of command 48. 91 and 99 are single blocks of that size. */
static void block_8(struct sb16 *s, const u8 *p)
{
    transfer(s,
             (struct sb16_transfer){ .codec = CODEC_PCM8,
                                     .size = s->block + 1u,
                                     .input = s->command == 0x2c || s->command >= 0x98,
                                     .auto_init = s->command != 0x91 && s->command != 0x99 });
}

static void adpcm(struct sb16 *s, const u8 *p)
{
    u8 kind = s->command & 0x7e;

    s->adpcm.samples = 0;
    s->adpcm.wants_reference = s->command & 1;
    s->adpcm.step = 0;
    transfer(s, (struct sb16_transfer){ .codec = kind < 0x70                    ? CODEC_ADPCM2
                                                 : kind == 0x74 || kind == 0x7c ? CODEC_ADPCM4
                                                                                : CODEC_ADPCM26,
                                        .size = s->command & 8 ? s->block + 1u : length(p),
                                        .auto_init = (s->command & 8) != 0 });
}

/* Commands B0 to CF: a mode, then units - 1. */
static void transfer_4(struct sb16 *s, const u8 *p)
{
    bool wide = s->command < 0xc0;

    transfer(s, (struct sb16_transfer){ .codec = wide ? CODEC_PCM16 : CODEC_PCM8,
                                        .size = length(p + 1),
                                        .input = (s->command & COMMAND_INPUT) != 0,
                                        .auto_init = (s->command & COMMAND_AUTO) != 0,
                                        .stereo = (p[0] & MODE_STEREO) != 0,
                                        .is_signed = (p[0] & MODE_SIGNED) != 0 });
}

static void silence(struct sb16 *s, const u8 *p)
{
    transfer(s, (struct sb16_transfer){ .codec = CODEC_SILENCE, .size = length(p) });
}

static void pause(struct sb16 *s, const u8 *p)
{
    sb16_pause(s, true);
}

static void go_on(struct sb16 *s, const u8 *p)
{
    sb16_pause(s, false);
}

/* 45, 47: the running auto-init transfer goes on after its block, whatever D9 and DA said. */
static void go_on_auto(struct sb16 *s, const u8 *p)
{
    s->transfer.last = false;
}

static void last_block(struct sb16 *s, const u8 *p)
{
    s->transfer.last = true;
}

static void direct(struct sb16 *s, const u8 *p)
{
    sb16_direct(s, p[0]);
}

/* ---- The rest ---- */

static void direct_input(struct sb16 *s, const u8 *p)
{
    answer(s, SILENCE_8);
}

static void set_time_constant(struct sb16 *s, const u8 *p)
{
    s->time_constant = p[0];
    s->has_time_constant = true;
}

/* High byte first. 41 is for both directions where 42 was not given. */
static void set_rate(struct sb16 *s, const u8 *p)
{
    u16 hz = (u16)(p[0] << 8 | p[1]);

    s->has_time_constant = false;
    s->input_rate = hz;
    if (s->command == 0x41)
        s->rate = hz;
}

static void set_block(struct sb16 *s, const u8 *p)
{
    s->block = (u16)(length(p) - 1);
}

static void speaker(struct sb16 *s, const u8 *p)
{
    s->speaker =
        s->command == 0xd1; /* a status only: output is not cut off from version 4 on */
}

static void speaker_status(struct sb16 *s, const u8 *p)
{
    answer(s, s->speaker ? 0xff : 0);
}

static void identify(struct sb16 *s, const u8 *p)
{
    answer(s, (u8)~p[0]);
}

static void version(struct sb16 *s, const u8 *p)
{
    const struct sb16_config *c = s->dev.config;

    answer(s, (u8)(c->version >> 8));
    answer(s, (u8)c->version);
}

static void copyright(struct sb16 *s, const u8 *p)
{
    for (const char *c = "COPYRIGHT (C) CREATIVE TECHNOLOGY LTD, 1992."; *c; c++)
        answer(s, (u8)*c);
    answer(s, 0);
}

static void write_test(struct sb16 *s, const u8 *p)
{
    s->test = p[0];
}

static void read_test(struct sb16 *s, const u8 *p)
{
    answer(s, s->test);
}

static void raise_irq(struct sb16 *s, const u8 *p)
{
    sb16_raise(s, s->command == 0xf3 ? SB16_IRQ_16 : SB16_IRQ_8);
}

static void answer_zero(struct sb16 *s, const u8 *p)
{
    answer(s, 0);
}

/* Taken, with its parameters, and without effect. */
static void nothing(struct sb16 *s, const u8 *p)
{
}

static void not_there(struct sb16 *s, const u8 *p)
{
    char what[] = "DSP command 00";

    snprintf(what, sizeof(what), "DSP command %02X", s->command);
    device_nyi(&s->dev, what);
}

/* clang-format off */
static const struct command {
    u8 params;
    void (*run)(struct sb16 *s, const u8 *params);
} commands[256] = {
    [0x04] = { 1, nothing },            [0x05] = { 2, nothing },        /* the CSP, which is not there */
    [0x0e] = { 2, nothing },            [0x0f] = { 1, answer_zero },
    [0x10] = { 1, direct },             [0x14] = { 2, single_8 },
    [0x16] = { 2, adpcm },              [0x17] = { 2, adpcm },
    [0x1c] = { 0, block_8 },            [0x1f] = { 0, adpcm },
    [0x20] = { 0, direct_input },       [0x24] = { 2, single_8 },
    [0x2c] = { 0, block_8 },            [0x38] = { 1, nothing },        /* a byte for MIDI */
    [0x40] = { 1, set_time_constant },  [0x41] = { 2, set_rate },
    [0x42] = { 2, set_rate },           [0x45] = { 0, go_on_auto },
    [0x47] = { 0, go_on_auto },         [0x48] = { 2, set_block },
    [0x74] = { 2, adpcm },              [0x75] = { 2, adpcm },
    [0x76] = { 2, adpcm },              [0x77] = { 2, adpcm },
    [0x7d] = { 0, adpcm },              [0x7f] = { 0, adpcm },
    [0x80] = { 2, silence },            [0x90] = { 0, block_8 },
    [0x91] = { 0, block_8 },            [0x98] = { 0, block_8 },
    [0x99] = { 0, block_8 },            [0xa0] = { 0, nothing },        /* the Pro's: input mono, stereo */
    [0xa8] = { 0, nothing },
    [0xb0 ... 0xcf] = { 3, transfer_4 },
    [0xd0] = { 0, pause },              [0xd1] = { 0, speaker },
    [0xd3] = { 0, speaker },            [0xd4] = { 0, go_on },
    [0xd5] = { 0, pause },              [0xd6] = { 0, go_on },
    [0xd8] = { 0, speaker_status },     [0xd9] = { 0, last_block },
    [0xda] = { 0, last_block },         [0xe0] = { 1, identify },
    [0xe1] = { 0, version },            [0xe2] = { 1, not_there },      /* DMA identification */
    [0xe3] = { 0, copyright },          [0xe4] = { 1, write_test },
    [0xe8] = { 0, read_test },          [0xf2] = { 0, raise_irq },
    [0xf3] = { 0, raise_irq },          [0xf8] = { 0, answer_zero },
    [0xf9] = { 1, answer_zero },        [0xfb] = { 0, answer_zero },
};
/* clang-format on */

/* ---- Ports ---- */

static void command_byte(struct sb16 *s, u8 val)
{
    const struct command *c;

    if (s->wanted > s->got) {
        s->params[s->got++] = val;
    } else {
        s->command = val;
        s->wanted = commands[val].params;
        s->got = 0;
    }
    if (s->wanted > s->got)
        return;
    s->wanted = s->got = 0;
    c = &commands[s->command];
    trace(TRACE_AUDIO, "sb16: command %02X (%02X %02X %02X)", s->command, s->params[0],
          s->params[1], s->params[2]);
    sb16_render(&s->dev);
    if (c->run)
        c->run(s, s->params);
    else
        not_there(s, s->params);
}

/* What RESET of the chip and a reset by port 6 leave. */
void sb16_dsp_reset(struct sb16 *s)
{
    s->wanted = s->got = s->out_n = 0;
    s->speaker = false;
    s->has_time_constant = false;
    s->rate = s->input_rate = 22050;
    s->block = 0x7ff;
    s->transfer = (struct sb16_transfer){ 0 };
    s->adpcm = (struct sb16_adpcm){ 0 };
    s->direct = false;
    s->voice.deaf = false;
}

/* 1, then 0: the DSP says AA. */
static void reset_write(struct sb16 *s, u8 val)
{
    if (s->reset && !(val & 1)) {
        sb16_halt(s);
        sb16_acknowledge(s, SB16_IRQ_8 | SB16_IRQ_16);
        sb16_dsp_reset(s);
        answer(s, 0xaa);
    }
    s->reset = val & 1;
}

static u8 read_data(struct sb16 *s)
{
    if (s->out_n) {
        s->out_last = s->out[0];
        memmove(s->out, s->out + 1, --s->out_n);
    }
    return s->out_last;
}

u8 sb16_dsp_read(struct sb16 *s, u32 off)
{
    switch (off) {
    case READ:
        return read_data(s);
    case WRITE: /* never busy */
        return (u8)~READY;
    case READ_STATUS:
        sb16_acknowledge(s, SB16_IRQ_8);
        return s->out_n ? 0xff : (u8)~READY;
    case ACK_16:
        sb16_acknowledge(s, SB16_IRQ_16);
        return 0xff;
    default:
        return 0xff;
    }
}

void sb16_dsp_write(struct sb16 *s, u32 off, u8 val)
{
    if (off == RESET)
        reset_write(s, val);
    else if (off == WRITE)
        command_byte(s, val);
}
