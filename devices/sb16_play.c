/*
 * Playing and recording: blocks of units that DMA moves, frame by frame by the machine's clock.
 *
 *   sb16_begin() ─▶ running: frames as time comes to them ─▶ left = 0: the block's interrupt
 *                     ▲                                                      │
 *                     └── auto-init: the next block ─────────────────────────┴─▶ idle, then off
 *
 * A block's end waits for a starved guest (audio.h). A single block too begins where the one
 * before ended, if it comes soon.
 */
#include "devices/sb16_private.h"
#include "devices/i8237.h"

#define GRACE   MSEC(20)  /* from a single block's acknowledged interrupt to the next block */
#define HOLD    MSEC(100) /* of a direct sample */
#define LOOK    MSEC(100) /* while playing, somebody looks at least so often */
#define LEAST   USEC(100) /* between two looks */
#define STARVED MSEC(2)   /* to the next look at a DMA channel that is not ready */
enum { PIECE = 256, DIRECT_RATE = 192000 };

static u64 now(const struct sb16 *s)
{
    return clock_now(s->dev.machine);
}

static u8 irq_bit(const struct sb16_transfer *t)
{
    return t->codec == CODEC_PCM16 ? SB16_IRQ_16 : SB16_IRQ_8;
}

/* ---- Units ---- */

/* Moves units between buf and memory: how many. */
static u32 move(struct sb16 *s, void *buf, u32 units)
{
    const struct sb16_config *c = s->dev.config;
    bool wide = s->transfer.codec == CODEC_PCM16, terminal;
    u32 moved = 0;

    if (c->i8237)
        moved = i8237_transfer(c->i8237, sb16_dma(s, wide), buf, units << wide,
                               s->transfer.input, &terminal) >>
                wide;
    s->transfer.left -= moved;
    return moved;
}

static i16 sample(const struct sb16_transfer *t, const u16 *words, u32 i)
{
    u16 v = t->codec == CODEC_PCM16 ? words[i] : (u16)(((const u8 *)words)[i] << 8);

    return (i16)(t->is_signed ? v : v ^ 0x8000);
}

/* Up to n frames of 8 or 16 bits. Of a last frame with one side, both are that. */
static u32 pcm(struct sb16 *s, i16 (*frames)[2], u32 n)
{
    struct sb16_transfer *t = &s->transfer;
    u32 sides = 1u + t->stereo, units = n * sides < t->left ? n * sides : t->left, got, count;
    u16 words[PIECE * 2];

    got = move(s, words, units);
    count = (got + sides - 1) / sides;
    for (u32 i = 0; i < count; i++) {
        u32 right = i * sides + sides - 1;

        frames[i][0] = sample(t, words, i * sides);
        frames[i][1] = sample(t, words, right < got ? right : i * sides);
    }
    return count;
}

/* What is recorded: silence. */
static u32 record(struct sb16 *s, i16 (*frames)[2], u32 n)
{
    struct sb16_transfer *t = &s->transfer;
    u32 sides = 1u + t->stereo, units = n * sides < t->left ? n * sides : t->left, count;
    u16 words[PIECE * 2];

    for (u32 i = 0; i < PIECE * 2; i++)
        words[i] = t->is_signed ? 0 : t->codec == CODEC_PCM16 ? 0x8000 : 0x8080;
    count = (move(s, words, units) + sides - 1) / sides;
    for (u32 i = 0; i < count; i++)
        frames[i][0] = frames[i][1] = 0;
    return count;
}

/* ---- Creative's ADPCM: a sign and a difference, in steps that grow with large ones ---- */

static const struct adpcm_kind {
    u8 samples, bits; /* of a byte; of each */
    u8 shift;         /* of the difference */
} adpcm_kinds[] = {
    [CODEC_ADPCM4] = { 2, 4, 0 },
    [CODEC_ADPCM26] = { 3, 3, 0 },
    [CODEC_ADPCM2] = { 4, 2, 2 },
};

static void adpcm_step(struct sb16_adpcm *a, const struct adpcm_kind *k, u32 code)
{
    u32 sign = code >> (k->bits - 1), size = code & ((1u << (k->bits - 1)) - 1);
    i32 change = (i32)(size << (7 + a->step + k->shift)),
        v = a->value + (sign ? -change : change);

    a->value = (i16)(v < -16384 ? -16384 : v > 16256 ? 16256 : v);
    if (size >= 2u * k->bits - 3 && a->step < 3)
        a->step++;
    else if (!size && a->step)
        a->step--;
}

/* From the top of the byte; the third of 2.6 bits has two, the lower ones of three. */
static u32 adpcm_code(struct sb16_adpcm *a, const struct adpcm_kind *k)
{
    u32 code = a->byte >> (8 - k->bits);

    a->byte = (u8)(a->byte << k->bits);
    a->samples--;
    return code;
}

static bool adpcm_byte(struct sb16 *s, const struct adpcm_kind *k)
{
    struct sb16_adpcm *a = &s->adpcm;

    if (!s->transfer.left || !move(s, &a->byte, 1))
        return false;
    if (a->wants_reference)
        a->value = (i16)((a->byte - 128) << 7);
    else
        a->samples = k->samples;
    a->wants_reference = false;
    return true;
}

static u32 adpcm(struct sb16 *s, i16 (*frames)[2], u32 n)
{
    const struct adpcm_kind *k = &adpcm_kinds[s->transfer.codec];
    struct sb16_adpcm *a = &s->adpcm;
    u32 count = 0;

    while (count < n) {
        if (!a->samples) {
            if (!adpcm_byte(s, k))
                break;
            continue;
        }
        adpcm_step(a, k, adpcm_code(a, k));
        frames[count][0] = frames[count][1] = (i16)(a->value * 2);
        count++;
    }
    return count;
}

/* ---- Frames ---- */

static void hear(struct sb16 *s, i16 (*frames)[2], u32 n)
{
    i16 mono[PIECE];

    for (u32 i = 0; i < n; i++)
        mono[i] = frames[i][0];
    voice_write(&s->voice, s->voice.channels == 2 ? frames[0] : mono, n);
}

/* Up to n frames of the running block: how many, 0 if the DMA channel is not ready. */
static u32 block_frames(struct sb16 *s, i16 (*frames)[2], u32 n)
{
    switch (s->transfer.codec) {
    case CODEC_PCM8:
    case CODEC_PCM16:
        return s->transfer.input ? record(s, frames, n) : pcm(s, frames, n);
    case CODEC_SILENCE:
        n = n < s->transfer.left ? n : s->transfer.left;
        s->transfer.left -= n;
        for (u32 i = 0; i < n; i++)
            frames[i][0] = frames[i][1] = 0;
        return n;
    default:
        return adpcm(s, frames, n);
    }
}

static bool block_over(const struct sb16 *s)
{
    return !s->transfer.left && !s->adpcm.samples;
}

/* Frames until the block is over, or somewhat more. */
static u32 frames_left(const struct sb16 *s)
{
    const struct sb16_transfer *t = &s->transfer;

    if (t->codec >= CODEC_ADPCM4 && t->codec <= CODEC_ADPCM2)
        return t->left * adpcm_kinds[t->codec].samples + s->adpcm.samples;
    return t->stereo ? (t->left + 1) / 2 : t->left;
}

/* ---- Time ---- */

/* False: it waits for the interrupt of the block before to be acknowledged. */
static bool block_end(struct sb16 *s)
{
    struct sb16_transfer *t = &s->transfer;

    if (voice_waits(&s->voice, s->mixer[MIXER_IRQ_STATUS] & irq_bit(t)))
        return false;
    t->running = t->auto_init && !t->last;
    t->left = t->running ? t->size : 0;
    s->idle_since = now(s);
    sb16_raise(s, irq_bit(t));
    return true;
}

/* A direct sample holds. */
static void hold(struct sb16 *s)
{
    i16 samples[PIECE];
    u32 n;

    for (u32 i = 0; i < PIECE; i++)
        samples[i] = (i16)((s->level - 128) * 256);
    while ((n = voice_due(&s->voice)))
        voice_write(&s->voice, samples, n < PIECE ? n : PIECE);
}

/* No block runs. One that was single may have just ended, and the guest may be about to begin
 * the next: that is waited for. */
static void idle(struct sb16 *s)
{
    bool pending = s->mixer[MIXER_IRQ_STATUS] & (SB16_IRQ_8 | SB16_IRQ_16) && !s->voice.deaf;
    u64 since = now(s) - s->idle_since;

    if (s->direct) {
        hold(s);
        s->direct = since < HOLD;
    } else if (s->transfer.paused || since >= (pending ? VOICE_PATIENCE : GRACE)) {
        voice_rest(&s->voice, s->idle_since);
    }
}

/* A piece of the running block. False: its DMA channel is not ready, the converter waits. */
static bool play(struct sb16 *s, u32 n)
{
    i16 frames[PIECE][2];
    u32 got = block_frames(s, frames, n < PIECE ? n : PIECE);

    if (got)
        hear(s, frames, got);
    else if (!block_over(s))
        voice_rest(&s->voice, now(s));
    return got || block_over(s);
}

/* When to look again: at the end of the block, when nobody else would. */
static void plan(struct sb16 *s, bool starved)
{
    u64 most = now(s) + (starved ? STARVED : LOOK), least = now(s) + LEAST, at = most;

    if (!s->transfer.running || s->transfer.paused) {
        timer_cancel(&s->timer);
        return;
    }
    if (!block_over(s))
        at = voice_when(&s->voice, frames_left(s));
    at = at < most ? at : most;
    timer_set(&s->timer, at > least ? at : least);
}

void sb16_render(struct device *dev)
{
    struct sb16 *s = (struct sb16 *)dev;
    struct sb16_transfer *t = &s->transfer;
    bool starved = false;
    u32 n;

    while (t->running && !t->paused && !starved) {
        if (block_over(s)) {
            if (!block_end(s))
                break;
        } else if ((n = voice_ready(&s->voice))) {
            starved = !play(s, n);
        } else {
            break;
        }
    }
    if (!t->running || t->paused)
        idle(s);
    plan(s, starved);
}

/* ---- What commands do ---- */

void sb16_begin(struct sb16 *s, u32 rate)
{
    struct sb16_transfer *t = &s->transfer;
    u8 channels = t->stereo ? 2 : 1;

    s->direct = false;
    t->running = true;
    if (!s->voice.on || s->voice.rate != rate || s->voice.channels != channels)
        voice_start(&s->voice, rate, channels);
    voice_pace(&s->voice);
    plan(s, false);
}

void sb16_pause(struct sb16 *s, bool on)
{
    s->transfer.paused = on;
    s->idle_since = now(s);
    if (!on && s->transfer.running && !s->voice.on)
        voice_start(&s->voice, s->voice.rate, s->voice.channels);
    voice_pace(&s->voice);
    plan(s, false);
}

void sb16_halt(struct sb16 *s)
{
    s->transfer.running = s->transfer.paused = false;
    s->transfer.left = 0;
    s->adpcm.samples = 0;
    s->idle_since = now(s);
    timer_cancel(&s->timer);
}

void sb16_direct(struct sb16 *s, u8 level)
{
    if (s->transfer.running && !s->transfer.paused)
        return;
    if (!s->voice.on || s->voice.rate != DIRECT_RATE)
        voice_start(&s->voice, DIRECT_RATE, 1);
    s->direct = true;
    s->level = level;
    s->idle_since = now(s);
}
