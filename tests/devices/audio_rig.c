/*
 * See audio_rig.h.
 */
#include "tests/devices/audio_rig.h"

#include <string.h>

static void rig_add_voice(struct audiodev *a, struct voice *v)
{
    struct ears *e = (struct ears *)a;

    e->voice = e->voice ? e->voice : v;
}

static void rig_start(struct audiodev *a, struct voice *v)
{
    struct ears *e = (struct ears *)a;

    CHECK(!v->on);
    if (v != e->voice)
        return;
    e->starts++;
    e->began = v->began;
    e->rate = v->rate;
    e->channels = v->channels;
}

static void rig_stop(struct audiodev *a, struct voice *v)
{
    struct ears *e = (struct ears *)a;

    CHECK(v->on);
    e->stops += v == e->voice;
}

static void rig_write(struct audiodev *a, struct voice *v, const i16 *samples, u32 n)
{
    struct ears *e = (struct ears *)a;

    n *= v->channels * (v == e->voice);
    for (u32 i = 0; i < n && e->n < EARS_MOST; i++)
        e->samples[e->n++] = samples[i];
}

struct ears *ears_new(void)
{
    static struct ears e;

    memset(&e, 0, offsetof(struct ears, samples));
    e.audio = (struct audiodev){ rig_add_voice, rig_start, rig_stop, rig_write };
    return &e;
}

void ears_clear(struct ears *e)
{
    e->n = e->starts = e->stops = 0;
}

void ears_listen(struct rig *r, struct ears *e, u64 ns)
{
    while (ns) {
        u64 step = ns < MSEC(10) ? ns : MSEC(10);

        rig_advance(r, step);
        if (e->voice->on)
            e->voice->render(e->voice->dev);
        ns -= step;
    }
}

/* With some hysteresis, so that ripple around the middle does not count. */
u32 ears_rises(const struct ears *e, u32 from, u32 to)
{
    int low = 32767, high = -32768, middle, slack;
    bool up = true;
    u32 rises = 0;

    for (u32 i = from; i < to && i < e->n; i++) {
        low = e->samples[i] < low ? e->samples[i] : low;
        high = e->samples[i] > high ? e->samples[i] : high;
    }
    middle = (low + high) / 2;
    slack = (high - low) / 8;
    for (u32 i = from; i < to && i < e->n; i++) {
        if (!up && e->samples[i] > middle + slack) {
            up = true;
            rises++;
        } else if (e->samples[i] < middle - slack) {
            up = false;
        }
    }
    return rises;
}

void ears_ramp(struct rig *r, u32 at, u32 frames, u32 from)
{
    i16 *to = (i16 *)(phys_ram(r->m) + at);

    for (u32 i = 0; i < frames; i++) {
        to[2 * i] = (i16)(from + i);
        to[2 * i + 1] = (i16) - (from + i);
    }
}

void ears_check_ramp(const struct ears *e, u32 frames)
{
    CHECK(e->n >= 2 * frames);
    for (u32 i = 0; i < frames && !test_failed(); i++)
        CHECK(e->samples[2 * i] == (i16)i && e->samples[2 * i + 1] == (i16)-i);
}
