/*
 * Sound on the command line: which back ends there are, and QEMU's old way to name sound chips.
 */
#include "runtime/options/option_audio.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_devices.h"
#include "runtime/sound/mixer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct audiodev_keys {
    const char *driver, *id, *path;
    u32 rate;
};

/* What QEMU takes for a direction and has no effect here. */
/* clang-format off */
#define DIRECTION_KEYS(d)                                                                      \
    { d ".mixing-engine", KEY_IGNORE, 0, NULL }, { d ".fixed-settings", KEY_IGNORE, 0, NULL }, \
    { d ".channels", KEY_IGNORE, 0, NULL },      { d ".voices", KEY_IGNORE, 0, NULL },         \
    { d ".format", KEY_IGNORE, 0, NULL },        { d ".buffer-length", KEY_IGNORE, 0, NULL },  \
    { d ".buffer-count", KEY_IGNORE, 0, NULL },  { d ".period-length", KEY_IGNORE, 0, NULL },  \
    { d ".latency", KEY_IGNORE, 0, NULL },       { d ".try-poll", KEY_IGNORE, 0, NULL },       \
    { d ".dev", KEY_IGNORE, 0, NULL },           { d ".name", KEY_IGNORE, 0, NULL }
/* clang-format on */

static const struct key_row audiodev_keys[] = {
    KEY(struct audiodev_keys, driver, KEY_TEXT),
    KEY(struct audiodev_keys, id, KEY_TEXT),
    KEY(struct audiodev_keys, path, KEY_TEXT),
    { "out.frequency", KEY_U32, offsetof(struct audiodev_keys, rate), NULL },
    { "in.frequency", KEY_IGNORE, 0, NULL },
    { "timer-period", KEY_IGNORE, 0, NULL },
    { "server", KEY_IGNORE, 0, NULL },
    DIRECTION_KEYS("out"),
    DIRECTION_KEYS("in"),
};

static void list_choices(const char *choices)
{
    for (; *choices; choices++)
        putchar(*choices == '|' ? '\n' : *choices);
    putchar('\n');
}

static void check_audiodev(const char *option, const struct audiodev_keys *k)
{
    if (!k->driver || !k->id)
        die("%s: wants TYPE,id=ID: sdl, wav or none", option);
    if (!in_choices(k->driver, sound_names()))
        refuse_choice(option, k->driver, sound_names());
    if (k->path && strcmp(k->driver, "wav"))
        die("%s: path= is for wav", option);
    if (k->rate && (k->rate < MIXER_MIN_RATE || k->rate > MIXER_MAX_RATE))
        die("%s: out.frequency=%u: from %d to %d", option, k->rate, MIXER_MIN_RATE,
            MIXER_MAX_RATE);
}

SETTER(set_audiodev)
{
    struct audiodev_keys k = { NULL };
    u32 n = 0;

    if (in_choices(arg, "help|?")) {
        list_choices(sound_names());
        exit(0);
    }
    keyval_read(option, arg, "driver", audiodev_keys, ARRAY_SIZE(audiodev_keys), &k);
    check_audiodev(option, &k);
    while (n < MAX_AUDIODEVS && o->audiodev[n].id && strcmp(o->audiodev[n].id, k.id))
        n++;
    if (n == MAX_AUDIODEVS || o->audiodev[n].id)
        die("%s: id=%s: %s", option, k.id, n == MAX_AUDIODEVS ? "too many" : "used twice");
    o->audiodev[n] = (struct audiodev_options){ k.id, k.driver, k.path, k.rate };
}

/* The chips that QEMU 7.1 and before knew by this option. The speaker is on every board. */
#define CHIPS "pcspk|sb16|adlib|ac97|es1370"

SETTER(set_soundhw)
{
    char *list = keep_format("%s", strcmp(arg, "all") ? arg : "sb16,ac97,es1370"), *next;

    if (in_choices(arg, "help|?")) {
        printf("pcspk   the PC's speaker\n"
               "sb16    Sound Blaster 16\n"
               "adlib   AdLib\n"
               "ac97    82801AA's AC'97\n"
               "es1370  AudioPCI\n");
        exit(0);
    }
    for (char *name = strtok_r(list, ",", &next); name; name = strtok_r(NULL, ",", &next)) {
        if (!in_choices(name, CHIPS "|hda|gus|cs4231a"))
            refuse_choice(option, name, CHIPS "|all");
        if (strcmp(name, "pcspk"))
            set_device(o, option,
                       !strcmp(name, "ac97")     ? "AC97"
                       : !strcmp(name, "es1370") ? "ES1370"
                                                 : name);
    }
}
