/*
 * -audiodev wav,id=,path=: a WAV file (RIFF, 16-bit stereo) of what the machine says from
 * power-on, by its clock.
 */
#ifndef RING3_WAV_H
#define RING3_WAV_H

#include "runtime/sound/sound.h"

struct sound *wav_open(struct machine *m, const struct sound_backend *backend,
                       const struct audiodev_options *o);

#endif
