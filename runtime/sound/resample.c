/*
 * See resample.h. The sinc's zeros lie a sample of the lower rate apart, a little wider (PASS),
 * so that what lies above half that rate is gone by the end of the filter's slope.
 */
#include "runtime/sound/resample.h"

#include <math.h>
#include <string.h>

#define PASS 0.92f

void sinc_init(struct sinc *s)
{
    const double width = SINC_CROSSINGS * SINC_STEPS;

    for (u32 i = 0; i < ARRAY_SIZE(s->half); i++) {
        double x = M_PI * i / SINC_STEPS, t = M_PI * i / width;
        double blackman = i < width ? 0.42 + 0.5 * cos(t) + 0.08 * cos(2 * t) : 0;

        s->half[i] = (float)((i ? sin(x) / x : 1) * blackman);
    }
}

void resampler_start(struct resampler *r, const struct sinc *sinc, u32 in, u32 out)
{
    memset(r, 0, sizeof(*r));
    r->sinc = sinc;
    r->in = in;
    r->out = out;
    r->scale = PASS * (in > out ? (float)out / (float)in : 1);
    r->reach = (u32)(SINC_CROSSINGS / r->scale) + 1;
    check(2 * r->reach < RESAMPLE_HISTORY, "resampling %u to %u Hz", in, out);
}

void resampler_feed(struct resampler *r, float left, float right)
{
    float *to = r->history[r->fed++ % RESAMPLE_HISTORY];

    to[0] = left;
    to[1] = right;
}

/* The filter at a distance of input frames. */
static float weight(const struct resampler *r, float distance)
{
    float x = fabsf(distance) * r->scale * SINC_STEPS;
    u32 i = (u32)x;

    if (i >= SINC_CROSSINGS * SINC_STEPS)
        return 0;
    return r->sinc->half[i] + (r->sinc->half[i + 1] - r->sinc->half[i]) * (x - (float)i);
}

bool resampler_take(struct resampler *r, float frame[2])
{
    u64 at = r->made * r->in / r->out;
    float part = (float)(r->made * r->in % r->out) / (float)r->out, left = 0, right = 0,
          sum = 0;

    if (r->fed <= at + r->reach)
        return false;
    /* Before frame 0, the history is the zeros it began with. */
    for (i64 i = (i64)at - r->reach + 1; i <= (i64)(at + r->reach); i++) {
        const float *from = r->history[(u64)i % RESAMPLE_HISTORY];
        float w = weight(r, (float)(i - (i64)at) - part);

        left += w * from[0];
        right += w * from[1];
        sum += w;
    }
    frame[0] = left / sum;
    frame[1] = right / sum;
    r->made++;
    return true;
}
