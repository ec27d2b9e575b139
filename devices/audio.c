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
    v->rate = rate < 1 ? 1 : rate > VOICE_MAX_RATE ? VOICE_MAX_RATE : rate;
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
    return (u32)((unsigned __int128)(now - v->began) * v->rate / SEC(1) - v->written);
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
    bool on = v->on;
    u32 rate = v->rate;

    v->on = false; /* the audio knows of none */
    if (on)
        voice_start(v, rate, v->channels);
}
