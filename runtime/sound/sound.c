/*
 * The table of audio back ends, and those that are open: see sound.h.
 */
#include "runtime/sound/sound.h"
#include "runtime/machine/machine.h"
#include "runtime/sound/capture.h"
#include "runtime/sound/mixer.h"
#include "runtime/sound/sdl.h"
#include "runtime/sound/wav.h"

#include <stdlib.h>
#include <string.h>

/* The names of hosts' sound servers are SDL's drivers; what other systems' QEMU has is the
 * host's. */
/* clang-format off */
#define BACKENDS(ROW)                    \
    ROW("none",     NULL,         NULL)  \
    ROW("sdl",      NULL,         sdl_open)  \
    ROW("alsa",     "alsa",       sdl_open)  \
    ROW("pa",       "pulseaudio", sdl_open)  \
    ROW("pipewire", "pipewire",   sdl_open)  \
    ROW("oss",      "dsp",        sdl_open)  \
    ROW("jack",      "jack",      sdl_open)  \
    ROW("coreaudio", NULL,        sdl_open)  \
    ROW("dsound",    NULL,        sdl_open)  \
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
    struct sound ears; /* what the mixer has: the back end, and who captures */
    struct sound_device *next;
    const struct audiodev_options *options;
    const struct sound_backend *backend;
    struct machine *machine;
    struct sound *sound; /* NULL: none */
    struct audiodev *mixer;
};

/* By the monitor, in order: its number is its place. */
struct sound_capture {
    struct sound_capture *next;
    struct sound_device *of;
    struct capture *capture;
};

static void all_write(struct sound *s, u64 number, const i16 (*frames)[2], u32 n)
{
    struct sound_device *d = container_of(s, struct sound_device, ears);

    d->sound->write(d->sound, number, frames, n);
    for (struct sound_capture *c = d->machine->captures; c; c = c->next)
        if (c->of == d)
            capture_write(c->capture, number, frames, n);
}

static u32 rate_of(const struct sound_device *d)
{
    return d->options->rate ? d->options->rate : MIXER_RATE;
}

const char *sound_names(void)
{
    return names + 1;
}

static struct sound_device *sound_open(struct machine *m, const struct audiodev_options *o)
{
    struct sound_device *d = calloc(1, sizeof(*d)), **end = &m->sounds;

    check(d, "out of memory");
    d->machine = m;
    d->options = o;
    d->ears.write = all_write;
    d->backend = backends;
    while (strcmp(d->backend->name, o->backend)) /* there is one: the options have looked */
        d->backend++;
    if (d->backend->open) {
        d->sound = d->backend->open(m, d->backend, o);
        d->mixer = mixer_new(m, &d->ears, rate_of(d));
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

/* ---- Captures ---- */

/* One that a chip plays to. NULL: *error says why there is none. */
static struct sound_device *find_playing(struct machine *m, const char *id, const char **error)
{
    struct sound_device *d = m->sounds;

    while (d && strcmp(d->options->id, id))
        d = d->next;
    *error = !d          ? "no sound device plays to an audiodev of that name"
             : !d->sound ? "it is of the kind none: nothing is mixed there"
                         : NULL;
    return *error ? NULL : d;
}

const char *sound_capture_start(struct machine *m, const char *path, const char *id, u32 rate,
                                u32 bits, u32 channels)
{
    const char *error;
    struct sound_device *d = find_playing(m, id, &error);
    struct sound_capture **end = &m->captures, *c;
    struct capture *capture;
    u64 now = d ? (u64)((unsigned __int128)clock_now(m) * rate_of(d) / SEC(1)) : 0;

    capture = d ? capture_new(path, rate_of(d), now, rate, bits, channels, &error) : NULL;
    if (!capture)
        return error;
    c = calloc(1, sizeof(*c));
    check(c, "out of memory");
    c->of = d;
    c->capture = capture;
    while (*end)
        end = &(*end)->next;
    *end = c;
    return NULL;
}

bool sound_capture_stop(struct machine *m, u32 n)
{
    struct sound_capture **end = &m->captures, *c;

    while (*end && n--)
        end = &(*end)->next;
    c = *end;
    if (!c)
        return false;
    *end = c->next;
    capture_free(c->capture);
    free(c);
    return true;
}

void sound_capture_tell(struct machine *m, FILE *out)
{
    u32 n = 0;

    for (struct sound_capture *c = m->captures; c; c = c->next) {
        fprintf(out, "[%u]: ", n++);
        capture_tell(c->capture, out);
    }
}

/* ---- The end ---- */

void sound_free_all(struct machine *m)
{
    struct sound_device *next;

    for (struct sound_device *d = m->sounds; d; d = d->next)
        if (d->mixer)
            mixer_free(d->mixer);
    while (sound_capture_stop(m, 0))
        ;
    for (struct sound_device *d = m->sounds; d; d = next) {
        next = d->next;
        if (d->sound)
            d->sound->close(d->sound);
        free(d);
    }
    m->sounds = NULL;
}
