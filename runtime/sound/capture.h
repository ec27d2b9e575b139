/*
 * The monitor's wavcapture: what an audio back end hears, into a WAV file besides, from now on
 * until it is stopped. Time passes in the file as it does for the machine, silence and all.
 */
#ifndef RING3_CAPTURE_H
#define RING3_CAPTURE_H

#include "runtime/sound/sound.h"

struct capture;

/* Of frames numbered as struct sound's, `in` a second, from `first` on. rate: frames a second
 * in the file, MIXER_MIN_RATE to MIXER_MAX_RATE; bits 8 or 16; channels 1 or 2. NULL: *error
 * says why, good until the next call. */
struct capture *capture_new(const char *path, u32 in, u64 first, u32 rate, u32 bits,
                            u32 channels, const char **error);
void capture_write(struct capture *c, u64 number, const i16 (*frames)[2], u32 n);
void capture_tell(const struct capture *c, FILE *out); /* a line in QEMU's words */
void capture_free(struct capture *c);                  /* the file is complete then */

#endif
