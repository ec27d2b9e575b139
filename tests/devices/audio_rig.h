/*
 * Ears for a chip: what its voices write, kept, and asked for every 10 ms of the rig's clock.
 */
#ifndef RING3_AUDIO_RIG_H
#define RING3_AUDIO_RIG_H

#include "devices/audio.h"
#include "tests/harness/test.h"

enum { EARS_MOST = 4000000 };

struct ears {
    struct audiodev audio;
    struct voice *voice; /* the first one that was added: the one listened to */
    u32 starts, stops;
    u64 began;          /* machine time of the last start */
    u32 n;              /* samples heard since ears_clear() */
    u32 rate, channels; /* of them */
    i16 samples[EARS_MOST];
};
/* One for all tests; empty. */
struct ears *ears_new(void);
void ears_clear(struct ears *e);
/* Moves time on, rendering on the way. */
void ears_listen(struct rig *r, struct ears *e, u64 ns);
/* Rises through the middle of what was heard in samples from to to - 1 of a channel. */
u32 ears_rises(const struct ears *e, u32 from, u32 to);
/* Into memory: frames from, from + 1 … to the left, their negatives to the right. */
void ears_ramp(struct rig *r, u32 at, u32 frames, u32 from);
/* That is what was heard first: so many frames, from 0 on. */
void ears_check_ramp(const struct ears *e, u32 frames);

#endif
