/*
 * A WAV file (RIFF, PCM) as it is written: by -audiodev wav and by the monitor's wavcapture.
 */
#ifndef RING3_WAV_FILE_H
#define RING3_WAV_FILE_H

#include "runtime/base/base.h"

struct wav_file {
    int fd;
    char *path;
    u32 rate, bits, channels; /* bits 8 or 16 a sample; channels 1 or 2 */
    u64 frames, told;         /* in the file; in its header */
    const char *stopped;      /* why nothing more is written; NULL: all is well */
};

/* Makes or empties the file; one that is none of a disk is refused. False: *error says why,
 * good until the next call. */
bool wav_file_open(struct wav_file *w, const char *path, u32 rate, u32 bits, u32 channels,
                   const char **error);
/* n frames, left and right, at a place counted in frames; what is left out before it is
 * silence. Of one channel: the mean. Does nothing once the file is full or the disk is. */
void wav_file_put(struct wav_file *w, u64 place, const i16 (*frames)[2], u32 n);
u64 wav_file_bytes(const struct wav_file *w); /* of samples */
void wav_file_close(struct wav_file *w);

#endif
