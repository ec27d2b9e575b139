/*
 * A voice's time: see audio.h.
 */
#include "devices/audio.h"

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
    if (!v->on)
        return;
    if (v->audio && n)
        v->audio->write(v->audio, v, samples, n);
    v->written += n;
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
}
