/*
 * Sound as a chip makes it: a voice, a stream of frames that is exact in the machine's time.
 *
 * Frame n of a voice belongs to the machine time began + n/rate. A chip writes the frames that
 * time has come to: when it is asked (render), and before the guest changes what sounds. It may
 * be late, as it is while it waits for a starved guest: nothing is lost, and no gap appears, up
 * to VOICE_LAG.
 *
 * Who hears is a struct audiodev, handed to the chip in its config; a voice without one keeps
 * time all the same, so that a chip's transfers and interrupts do not depend on who listens.
 */
#ifndef RING3_AUDIO_H
#define RING3_AUDIO_H

#include "devices/device.h"

#define VOICE_LAG      MSEC(500) /* further behind the machine's clock, a voice skips */
#define VOICE_MAX_RATE 200000u   /* frames a second */
enum { VOICE_FULL = 256 };       /* of voice.gain: as loud as it was made */

struct voice;

/* Who hears voices: runtime/sound/mixer.c, or a test. All of it on the machine's thread. */
struct audiodev {
    void (*add)(struct audiodev *a, struct voice *v); /* once, before all else */
    /* The next frame is that of voice_time(v, v->written): of a start, frame 0. */
    void (*start)(struct audiodev *a, struct voice *v);
    void (*stop)(struct audiodev *a, struct voice *v);
    /* n frames more: a sample a channel, interleaved. May not keep the pointer. */
    void (*write)(struct audiodev *a, struct voice *v, const i16 *samples, u32 n);
};

/* Embedded in the chip's struct. */
struct voice {
    struct device *dev;
    struct audiodev *audio; /* NULL: nobody hears */
    const char *name;       /* for `info audio` */
    /* Writes what is due; while the voice is on and heard, about a hundred times a second. */
    void (*render)(struct device *dev);
    void *track; /* the audio's own */
    u16 gain[2]; /* left, right; the chip may set them at any time */
    /* Guest-visible by the chip that it drives: VOICE_FIELDS. */
    u8 on, channels;    /* 1 or 2 */
    u32 rate;           /* frames a second, 1 to VOICE_MAX_RATE */
    u64 began, written; /* machine time of frame 0; frames written since */
    i16 last[2];        /* the last frame */
    u8 deaf;            /* the guest does not acknowledge: it is not waited for */
    u64 paced;          /* machine time from which catching up is counted */
};
#define VOICE_FIELDS(type, member)                                                             \
    FIELD(type, member.on), FIELD(type, member.channels), FIELD(type, member.rate),            \
        FIELD(type, member.began), FIELD(type, member.written), FIELD(type, member.deaf),      \
        FIELD_ARRAY(type, member.last), FIELD(type, member.paced)

/* In attach. */
void voice_init(struct voice *v, struct device *dev, struct audiodev *audio, const char *name,
                void (*render)(struct device *dev));
/* From now on; one that is on starts again where its last frame ended. */
void voice_start(struct voice *v, u32 rate, u8 channels);
void voice_stop(struct voice *v);
/* Frames that time has come to and that are not written. 0 while off. */
u32 voice_due(struct voice *v);
/* The machine time of a frame, counted as `written` is. */
u64 voice_time(const struct voice *v, u64 frame);
void voice_write(struct voice *v, const i16 *samples, u32 n);
/* Nothing new since a machine time: what is due fades to silence; after a tenth of a second,
 * the voice goes off. */
void voice_rest(struct voice *v, u64 since);

/*
 * For chips that play blocks by DMA and interrupt at a block's end.
 *
 * A guest that a busy host starves takes its interrupt late, and cannot have filled the next
 * block in time. So a block's end waits until the interrupt of the block before is
 * acknowledged: the voice falls behind the clock, and nothing is lost or played twice.
 * Afterwards it makes up for that, at twice its rate at most, since the guest fills a block
 * while it is played. Who does not acknowledge within VOICE_PATIENCE is not waited for.
 */
#define VOICE_PATIENCE MSEC(250)                 /* less than VOICE_LAG */
bool voice_waits(struct voice *v, bool pending); /* at a block's end: so stop here */
void voice_acknowledged(struct voice *v);
void voice_pace(struct voice *v);       /* a block begins: from now on */
u32 voice_ready(struct voice *v);       /* voice_due(), as far as pace allows */
u64 voice_when(struct voice *v, u32 n); /* when n frames more are over */

/* After a restore: the fields are what the guest left, or anything. */
void voice_loaded(struct voice *v);

#endif
