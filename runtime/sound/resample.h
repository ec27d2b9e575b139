/*
 * A voice's frames at the rate of who hears: a windowed sinc, evaluated at each frame's exact
 * place. The result does not depend on how the frames come in pieces, which SDL_AudioStream's
 * of SDL 2 does: it begins each piece at a whole frame, so that 11025 Hz in pieces of 10 ms
 * would be out of tune.
 */
#ifndef RING3_RESAMPLE_H
#define RING3_RESAMPLE_H

#include "runtime/base/base.h"

#include <math.h>

enum {
    SINC_CROSSINGS = 8, /* zeros of the sinc on each side */
    SINC_STEPS = 256,   /* table entries from one to the next */
    RESAMPLE_HISTORY = 512 /* frames; a power of two, more than twice the widest reach */
};

/* The filter's right half. Built by sinc_init(); shared by all resamplers of a mixer. */
struct sinc {
    float half[SINC_CROSSINGS * SINC_STEPS + 2];
};
void sinc_init(struct sinc *s);

struct resampler {
    const struct sinc *sinc;
    u32 in, out;   /* rates */
    u32 reach;     /* frames of input on each side that an output frame needs */
    float scale;   /* zeros of the sinc per input frame */
    u64 fed, made; /* frames since the start */
    float history[RESAMPLE_HISTORY][2];
};
/* in/out up to 25. */
void resampler_start(struct resampler *r, const struct sinc *sinc, u32 in, u32 out);
void resampler_feed(struct resampler *r, float left, float right);
/* Output frame `made`, whose place is that of input frame made * in / out. False: it takes more
 * input. */
bool resampler_take(struct resampler *r, float frame[2]);
/* What comes out of it as a sample of 16 bits. */
static inline i16 clipped(float v)
{
    return (i16)(v > 32767 ? 32767 : v < -32768 ? -32768 : lrintf(v));
}

#endif
