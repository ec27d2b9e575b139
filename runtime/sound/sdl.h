/*
 * -audiodev sdl (and alsa, pa, pipewire, oss, as SDL's drivers): the host's sound.
 */
#ifndef RING3_SDL_SOUND_H
#define RING3_SDL_SOUND_H

#include "runtime/sound/sound.h"

struct sound *sdl_open(struct machine *m, const struct sound_backend *backend,
                       const struct audiodev_options *o);

#endif
