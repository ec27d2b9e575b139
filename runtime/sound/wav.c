/*
 * See wav.h.
 */
#include "runtime/sound/wav.h"
#include "runtime/sound/mixer.h"
#include "runtime/sound/wav_file.h"

#include <stdlib.h>

struct wav {
    struct sound sound;
    struct wav_file file;
};

static void wav_write(struct sound *s, u64 number, const i16 (*frames)[2], u32 n)
{
    wav_file_put(&((struct wav *)s)->file, number, frames, n);
}

static void wav_tell(struct sound *s, FILE *out)
{
    const struct wav_file *w = &((struct wav *)s)->file;

    fprintf(out, " to %s, %.1f s", w->path, (double)w->frames / w->rate);
    if (w->stopped)
        fprintf(out, " (%s)", w->stopped);
}

static void wav_close(struct sound *s)
{
    wav_file_close(&((struct wav *)s)->file);
    free(s);
}

struct sound *wav_open(struct machine *m, const struct sound_backend *backend,
                       const struct audiodev_options *o)
{
    const char *path = o->path ? o->path : "ring3.wav", *error;
    struct wav_file file;
    struct wav *w;

    if (!wav_file_open(&file, path, o->rate ? o->rate : MIXER_RATE, 16, 2, &error))
        die("-audiodev wav: %s: %s", path, error);
    w = calloc(1, sizeof(*w));
    check(w, "out of memory");
    w->sound = (struct sound){ wav_write, wav_tell, wav_close };
    w->file = file;
    return &w->sound;
}
