/*
 * See mixer.h. A track is the mixer's half of a voice: its resampler, and a ring of frames made
 * and not yet mixed. Frames are numbered from power-on; the mixer has passed on all before
 * `at`.
 */
#include "runtime/sound/mixer.h"
#include "runtime/machine/stolen.h"
#include "runtime/sound/resample.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 512 };

struct track {
    struct track *next;
    struct voice *voice;
    u64 first, tail; /* the ring holds frames first to tail - 1 */
    i16 (*ring)[2];
    struct resampler resampler;
};
struct mixer {
    struct audiodev audio;
    struct machine *machine;
    struct sound *sound;
    u32 rate, ring; /* frames in a track's ring: a power of two */
    u64 at;
    struct track *tracks;
    struct timer timer;
    struct sinc sinc;
};

static u64 number_at(const struct mixer *x, u64 ns)
{
    return (u64)((unsigned __int128)ns * x->rate / SEC(1));
}

/* ---- Mixing ---- */

static void add_track(const struct mixer *x, const struct track *t, u64 from, u32 n,
                      i32 (*sum)[2])
{
    for (u32 i = 0; i < n; i++) {
        const i16 *frame = t->ring[(from + i) & (x->ring - 1)];

        if (from + i < t->first || from + i >= t->tail)
            continue;
        sum[i][0] += frame[0];
        sum[i][1] += frame[1];
    }
}

/* Passes on n frames, at most CHUNK. */
static void mix_chunk(struct mixer *x, u32 n)
{
    i32 sum[CHUNK][2] = { 0 };
    i16 frames[CHUNK][2];

    for (struct track *t = x->tracks; t; t = t->next)
        add_track(x, t, x->at, n, sum);
    for (u32 i = 0; i < n; i++) {
        frames[i][0] = clipped((float)sum[i][0]);
        frames[i][1] = clipped((float)sum[i][1]);
    }
    x->sound->write(x->sound, x->at, (const i16(*)[2])frames, n);
    x->at += n;
}

/* A machine that stood still for long (SIGSTOP) gets no silence made for it. */
static void mix_until(struct mixer *x, u64 end)
{
    if (end > x->at + 2 * x->ring)
        x->at = end - x->ring;
    while (x->at < end)
        mix_chunk(x, end - x->at < CHUNK ? (u32)(end - x->at) : CHUNK);
}

/* The first frame that cannot be mixed yet: a voice that is on has not written it. */
static u64 mixable(const struct mixer *x)
{
    u64 now = number_at(x, clock_now(x->machine)), lag = number_at(x, VOICE_LAG), end = now;

    for (const struct track *t = x->tracks; t; t = t->next)
        if (t->voice->on && t->tail < end)
            end = t->tail;
    return end + lag < now ? now - lag : end;
}

static bool idle(const struct mixer *x)
{
    for (const struct track *t = x->tracks; t; t = t->next)
        if (t->voice->on || t->tail > x->at)
            return false;
    return true;
}

static void mixer_tick(void *owner)
{
    struct mixer *x = owner;

    for (struct track *t = x->tracks; t; t = t->next)
        if (t->voice->on)
            t->voice->render(t->voice->dev);
    mix_until(x, mixable(x));
    if (!idle(x)) {
        timer_set(&x->timer, clock_now(x->machine) + MIXER_PERIOD);
        stolen_heard(x->machine);
    }
}

/* ---- Voices ---- */

static void mixer_add(struct audiodev *a, struct voice *v)
{
    struct mixer *x = (struct mixer *)a;
    struct track *t = calloc(1, sizeof(*t)), **end = &x->tracks;

    check(t, "out of memory");
    t->ring = calloc(x->ring, sizeof(*t->ring));
    check(t->ring, "out of memory");
    t->voice = v;
    v->track = t;
    while (*end)
        end = &(*end)->next;
    *end = t;
}

/* A frame more; one that is late, or finds no room, is dropped. */
static void append(struct mixer *x, struct track *t, const float frame[2])
{
    i16 *to = t->ring[t->tail & (x->ring - 1)];

    if (t->tail - x->at >= x->ring && t->tail >= x->at)
        mix_until(x, t->tail + 1 - x->ring);
    to[0] = clipped(frame[0] * t->voice->gain[0] / VOICE_FULL);
    to[1] = clipped(frame[1] * t->voice->gain[1] / VOICE_FULL);
    t->tail++;
    if (t->tail - t->first > x->ring)
        t->first = t->tail - x->ring;
}

static void mixer_start(struct audiodev *a, struct voice *v)
{
    static const float silence[2];
    struct mixer *x = (struct mixer *)a;
    struct track *t = v->track;
    u64 start = number_at(x, voice_time(v, v->written));

    resampler_start(&t->resampler, &x->sinc, v->rate, x->rate);
    if (!x->timer.armed) {
        if (idle(x) && start > x->at)
            x->at = start;
        timer_set(&x->timer, clock_now(x->machine) + MIXER_PERIOD);
    }
    if (start < x->at)
        start = x->at;
    if (t->tail <= x->at || start > t->tail + x->ring)
        t->first = t->tail = start;
    while (t->tail < start)
        append(x, t, silence);
}

static void feed(struct mixer *x, struct track *t, float left, float right)
{
    float frame[2];

    resampler_feed(&t->resampler, left, right);
    while (resampler_take(&t->resampler, frame))
        append(x, t, frame);
}

static void mixer_write(struct audiodev *a, struct voice *v, const i16 *samples, u32 n)
{
    u32 step = v->channels;

    for (u32 i = 0; i < n; i++, samples += step)
        feed((struct mixer *)a, v->track, samples[0], samples[step - 1]);
}

/* What is still in the filter, up to the place of the last frame written. */
static void mixer_stop(struct audiodev *a, struct voice *v)
{
    struct track *t = v->track;

    for (u32 i = 0; i < t->resampler.reach; i++)
        feed((struct mixer *)a, t, 0, 0);
}

/* ---- Making and ending ---- */

struct audiodev *mixer_new(struct machine *m, struct sound *sound, u32 rate)
{
    static const struct audiodev ops = { mixer_add, mixer_start, mixer_stop, mixer_write };
    struct mixer *x = calloc(1, sizeof(*x));

    check(x, "out of memory");
    x->audio = ops;
    x->machine = m;
    x->sound = sound;
    x->rate = rate;
    x->ring = 1;
    while (x->ring < number_at(x, VOICE_LAG + 10 * MIXER_PERIOD))
        x->ring *= 2;
    sinc_init(&x->sinc);
    timer_init(&x->timer, m, mixer_tick, x);
    return &x->audio;
}

void mixer_tell(struct audiodev *a, FILE *out)
{
    struct mixer *x = (struct mixer *)a;

    fprintf(out, "  %u Hz, mixed every %u ms; voices:", x->rate, (u32)(MIXER_PERIOD / MSEC(1)));
    for (const struct track *t = x->tracks; t; t = t->next)
        fprintf(out, " %s (%s)", t->voice->name, t->voice->on ? "on" : "off");
    fprintf(out, "%s\n", x->tracks ? "" : " none");
}

void mixer_free(struct audiodev *a)
{
    struct mixer *x = (struct mixer *)a;
    struct track *next;
    u64 end = x->at;

    timer_cancel(&x->timer);
    for (struct track *t = x->tracks; t; t = t->next)
        if (t->tail > end)
            end = t->tail;
    mix_until(x, end);
    for (struct track *t = x->tracks; t; t = next) {
        next = t->next;
        free(t->ring);
        free(t);
    }
    free(x);
}
