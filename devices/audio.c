/*
 * A voice's time: see audio.h.
 */
#include "devices/audio.h"

enum { PIECE = 256, CATCH_UP = 2 };
#define REST MSEC(100) /* idle until the voice goes off */

void voice_init(struct voice *v, struct device *dev, struct audiodev *audio, const char *name,
                void (*render)(struct device *dev))
{
    *v = (struct voice){ .dev = dev,
                         .audio = audio,
                         .name = name,
                         .render = render,
                         .gain = { VOICE_FULL, VOICE_FULL },
                         .channels = 1,
                         .rate = 1 };
    if (audio)
        audio->add(audio, v);
}

static u32 clamped(u32 rate)
{
    return rate < 1 ? 1 : rate > VOICE_MAX_RATE ? VOICE_MAX_RATE : rate;
}

/* Frames that are over by then. */
static u64 frames_at(const struct voice *v, u64 when)
{
    return (u64)((unsigned __int128)(when - v->began) * v->rate / SEC(1));
}

u64 voice_time(const struct voice *v, u64 frame)
{
    return v->began + (u64)(((unsigned __int128)frame * SEC(1) + v->rate - 1) / v->rate);
}

/* Turns on at a machine time, which may be past. */
static void start_at(struct voice *v, u64 when)
{
    v->began = when;
    v->written = 0;
    if (v->audio)
        v->audio->start(v->audio, v);
    v->on = true;
}

void voice_start(struct voice *v, u32 rate, u8 channels)
{
    u64 when = v->on ? voice_time(v, v->written) : clock_now(v->dev->machine);

    voice_stop(v);
    v->rate = clamped(rate);
    v->channels = channels == 2 ? 2 : 1;
    start_at(v, when);
}

void voice_stop(struct voice *v)
{
    if (v->on && v->audio)
        v->audio->stop(v->audio, v);
    v->on = false;
}

/* The voice was left behind: its frames up to VOICE_LAG ago are given up. */
static void voice_skip(struct voice *v, u64 now)
{
    trace(TRACE_AUDIO, "%s: %llu ms behind, skipped", v->name,
          (unsigned long long)((now - voice_time(v, v->written)) / MSEC(1)));
    voice_stop(v);
    start_at(v, now - VOICE_LAG);
}

u32 voice_due(struct voice *v)
{
    u64 now = clock_now(v->dev->machine);

    if (!v->on || now < voice_time(v, v->written))
        return 0;
    if (now - voice_time(v, v->written) > VOICE_LAG)
        voice_skip(v, now);
    return (u32)(frames_at(v, now) - v->written);
}

void voice_write(struct voice *v, const i16 *samples, u32 n)
{
    const i16 *last = samples + (n - 1) * v->channels;

    if (!v->on || !n)
        return;
    if (v->audio)
        v->audio->write(v->audio, v, samples, n);
    v->written += n;
    v->paced += (u64)n * SEC(1) / (v->rate * CATCH_UP);
    v->last[0] = last[0];
    v->last[1] = last[v->channels - 1];
}

/* Frames from the last one towards the middle. */
static void fade(struct voice *v, u32 n)
{
    i16 samples[PIECE * 2], *to = samples;

    for (u32 i = 0; i < n; i++)
        for (u32 side = 0; side < v->channels; side++)
            *to++ = v->last[side] -= v->last[side] / 32;
    voice_write(v, samples, n);
}

void voice_rest(struct voice *v, u64 since)
{
    u32 n;

    if (clock_now(v->dev->machine) - since > REST) {
        voice_stop(v);
        return;
    }
    while ((n = voice_due(v)))
        fade(v, n < PIECE ? n : PIECE);
}

/* ---- Blocks ---- */

static u64 behind(const struct voice *v, u64 now)
{
    u64 at = voice_time(v, v->written);

    return now > at ? now - at : 0;
}

bool voice_waits(struct voice *v, bool pending)
{
    if (!pending || v->deaf)
        return false;
    if (behind(v, clock_now(v->dev->machine)) < VOICE_PATIENCE)
        return true;
    trace(TRACE_AUDIO, "%s: interrupt not acknowledged, not waited for any more", v->name);
    v->deaf = true;
    return false;
}

void voice_pace(struct voice *v)
{
    v->paced = clock_now(v->dev->machine);
}

void voice_acknowledged(struct voice *v)
{
    v->deaf = false;
    voice_pace(v);
}

u32 voice_ready(struct voice *v)
{
    u32 due = voice_due(v);
    u64 passed = clock_now(v->dev->machine) - v->paced, quick;

    if (passed > VOICE_LAG)
        return due;
    quick = passed * v->rate * CATCH_UP / SEC(1);
    return due < quick ? due : (u32)quick;
}

u64 voice_when(struct voice *v, u32 n)
{
    u64 at = voice_time(v, v->written + n),
        paced = v->paced + (u64)n * SEC(1) / (v->rate * CATCH_UP);

    return at > paced ? at : paced;
}

void voice_loaded(struct voice *v)
{
    u64 now = clock_now(v->dev->machine);
    bool on = v->on;

    v->on = false; /* the audio knows of none */
    v->channels = v->channels == 2 ? 2 : 1;
    v->rate = clamped(v->rate);
    if (v->began > now || v->written > frames_at(v, now)) {
        v->began = now;
        v->written = 0;
    }
    if (on && v->audio)
        v->audio->start(v->audio, v);
    v->on = on;
    v->paced = v->paced > now ? now : v->paced;
}
