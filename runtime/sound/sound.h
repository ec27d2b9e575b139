/*
 * Where voices go on the host: audio back ends, by the names of -audiodev, each with a mixer
 * before it.
 *
 * A kind of back end is one file and one row of sound.c's table. It gets the mixed frames in
 * order, each with its number: frames since power-on of the machine, by the machine's clock.
 * Where numbers are left out was silence. It must not block: what it cannot take, it drops.
 */
#ifndef RING3_SOUND_H
#define RING3_SOUND_H

#include "devices/audio.h"
#include "runtime/machine/options.h"

#include <stdio.h>

/* An open one; leads the back end's own struct. */
struct sound {
    /* n frames of two samples, left and right. */
    void (*write)(struct sound *s, u64 number, const i16 (*frames)[2], u32 n);
    /* What stands behind the name in `info audio`: latency, what was lost. */
    void (*tell)(struct sound *s, FILE *out);
    void (*close)(struct sound *s);
};
/* A kind. */
struct sound_backend {
    const char *name;   /* of -audiodev */
    const char *driver; /* SDL's name for it; NULL: SDL chooses */
    /* die()s with one line on the user's mistakes. NULL: nothing hears; chips get no audio. */
    struct sound *(*open)(struct machine *m, const struct sound_backend *backend,
                          const struct audiodev_options *o);
};

/* The audio of -audiodev ID. id NULL: of the first -audiodev; without one, the window's (sdl),
 * if there is a window. NULL: nobody hears. die()s with one line on the user's mistakes. */
struct audiodev *sound_audio(struct machine *m, const char *id);
void sound_tell(struct machine *m, FILE *out); /* `info audio` */
/*
 * What is heard of the -audiodev, into a file besides; see capture.h for the numbers. NULL, or
 * what is wrong, good until the next call.
 */
const char *sound_capture_start(struct machine *m, const char *path, const char *id, u32 rate,
                                u32 bits, u32 channels);
/* The nth of those that are at work, counted from 0. False: there is none. */
bool sound_capture_stop(struct machine *m, u32 n);
void sound_capture_tell(struct machine *m, FILE *out); /* `info capture` */
void sound_free_all(struct machine *m);
/* "none|sdl|…": the table's names, for the options. */
const char *sound_names(void);

#endif
