/*
 * The table of audio back ends, and those that are open: see sound.h.
 */
#include "runtime/sound/sound.h"
#include "runtime/machine/machine.h"
#include "runtime/sound/mixer.h"
#include "runtime/sound/sdl.h"
#include "runtime/sound/wav.h"

#include <stdlib.h>
#include <string.h>

/* The names of hosts' sound servers are SDL's drivers. */
/* clang-format off */
#define BACKENDS(ROW)                    \
    ROW("none",     NULL,         NULL)  \
    ROW("sdl",      NULL,         sdl_open)  \
    ROW("alsa",     "alsa",       sdl_open)  \
    ROW("pa",       "pulseaudio", sdl_open)  \
    ROW("pipewire", "pipewire",   sdl_open)  \
    ROW("oss",      "dsp",        sdl_open)  \
    ROW("wav",      NULL,         wav_open)
/* clang-format on */

#define ROW(name, driver, open) { name, driver, open },
static const struct sound_backend backends[] = { BACKENDS(ROW) };
#undef ROW
#define ROW(name, driver, open) "|" name
static const char names[] = BACKENDS(ROW);
#undef ROW

/* One that is open. */
struct sound_device {
    struct sound_device *next;
    const struct audiodev_options *options;
    const struct sound_backend *backend;
    struct sound *sound; /* NULL: none */
    struct audiodev *mixer;
};

const char *sound_names(void)
{
    return names + 1;
}

static struct sound_device *sound_open(struct machine *m, const struct audiodev_options *o)
{
    struct sound_device *d = calloc(1, sizeof(*d)), **end = &m->sounds;

    check(d, "out of memory");
    d->options = o;
    d->backend = backends;
    while (strcmp(d->backend->name, o->backend)) /* there is one: the options have looked */
        d->backend++;
    if (d->backend->open) {
        d->sound = d->backend->open(m, d->backend, o);
        d->mixer = mixer_new(m, d->sound, o->rate ? o->rate : MIXER_RATE);
    }
    while (*end)
        end = &(*end)->next;
    return *end = d;
}

/* What -audiodev ID says, or what there is without it. */
static const struct audiodev_options *find_audiodev(const struct options *o, const char *id)
{
    static const struct audiodev_options window = { .id = "window", .backend = "sdl" };

    for (u32 i = 0; i < MAX_AUDIODEVS && o->audiodev[i].id; i++)
        if (!id || !strcmp(o->audiodev[i].id, id))
            return &o->audiodev[i];
    if (id)
        die("audiodev=%s: no -audiodev has id=%s", id, id);
    return o->windowed ? &window : NULL;
}

struct audiodev *sound_audio(struct machine *m, const char *id)
{
    const struct audiodev_options *o = find_audiodev(m->options, id);
    struct sound_device *d = m->sounds;

    if (!o)
        return NULL;
    while (d && d->options != o)
        d = d->next;
    return (d ? d : sound_open(m, o))->mixer;
}

void sound_tell(struct machine *m, FILE *out)
{
    if (!m->sounds)
        fprintf(out, "nothing hears: no window, and no -audiodev\n");
    for (struct sound_device *d = m->sounds; d; d = d->next) {
        fprintf(out, "%s: %s", d->options->id, d->backend->name);
        if (d->sound)
            d->sound->tell(d->sound, out);
        fprintf(out, "\n");
        if (d->mixer)
            mixer_tell(d->mixer, out);
    }
}

void sound_free_all(struct machine *m)
{
    struct sound_device *next;

    for (struct sound_device *d = m->sounds; d; d = next) {
        next = d->next;
        if (d->mixer)
            mixer_free(d->mixer);
        if (d->sound)
            d->sound->close(d->sound);
        free(d);
    }
    m->sounds = NULL;
}
