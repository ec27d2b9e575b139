/*
 * The mixer: voices of any rate become one stream of stereo frames, each at its place in the
 * machine's time.
 *
 * Every MIXER_PERIOD of machine time, while a voice is on, it asks the voices to render and
 * passes on what all of them have written. A voice that is late is waited for, up to VOICE_LAG;
 * so a guest that gets too little of the host makes no gap. While no voice is on, the mixer
 * costs nothing.
 */
#ifndef RING3_MIXER_H
#define RING3_MIXER_H

#include "runtime/sound/sound.h"

#define MIXER_PERIOD MSEC(10)
enum { MIXER_RATE = 48000, MIXER_MIN_RATE = 8000, MIXER_MAX_RATE = 96000 };

/* Mixes into `sound`, which it does not own, at `rate` frames a second. */
struct audiodev *mixer_new(struct machine *m, struct sound *sound, u32 rate);
void mixer_tell(struct audiodev *a, FILE *out); /* which voices there are */
void mixer_free(struct audiodev *a);            /* passes on what is left */

#endif
