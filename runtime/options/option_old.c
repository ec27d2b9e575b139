/*
 * Spellings of QEMU's that later ones have replaced, and short ones for what others say at
 * length. Each says it the long way.
 */
#include "runtime/options/option_old.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_audio.h"
#include "runtime/options/option_devices.h"
#include "runtime/options/option_drives.h"

#include <stdlib.h>
#include <string.h>

SETTER(set_sdl)
{
    set_display(o, option, "sdl");
}

SETTER(set_std_vga)
{
    o->vga = "std";
}

SETTER(set_cirrusvga)
{
    o->vga = "cirrus";
}

SETTER(set_uuid)
{
    set_smbios(o, option, keep_format("type=1,uuid=%s", arg));
}

SETTER(set_pflash)
{
    set_drive(o, option, keep_format("if=pflash,file=%s", keyval_value(arg)));
}

/* CYLINDERS,HEADS,SECTORS of the first hard disk; a fourth word, how the BIOS translates it, is
 * SeaBIOS's own affair. */
SETTER(set_hdachs)
{
    struct drive_options *d = &o->ide[0][0];
    char rest[16] = "";

    if (sscanf(arg, "%u,%u,%u,%15s", &d->cylinders, &d->heads, &d->sectors, rest) < 3 ||
        !d->cylinders || d->cylinders > 65535 || !d->heads || d->heads > 16 || !d->sectors ||
        d->sectors > 255)
        die("%s: '%s': CYLINDERS,HEADS,SECTORS, at most 65535,16,255", option, arg);
}

SETTER(set_action)
{
    struct action_keys {
        const char *reboot, *shutdown, *other;
    } k = {NULL};
    static const struct key_row rows[] = {
        {"reboot", KEY_CHOICE, offsetof(struct action_keys, reboot), "reset|shutdown"},
        {"shutdown", KEY_CHOICE, offsetof(struct action_keys, shutdown), "poweroff|pause"},
        {"panic", KEY_CHOICE, offsetof(struct action_keys, other),
         "pause|shutdown|exit-failure|none"},
        {"watchdog", KEY_CHOICE, offsetof(struct action_keys, other),
         "reset|shutdown|poweroff|inject-nmi|pause|debug|none"},
    };

    keyval_read(option, arg, NULL, rows, ARRAY_SIZE(rows), &k);
    if (k.reboot)
        o->no_reboot = !strcmp(k.reboot, "shutdown");
    if (k.shutdown)
        o->no_shutdown = !strcmp(k.shutdown, "pause");
}

/* DRIVER,model=CARD: an -audiodev and the card that it hears. */
SETTER(set_audio)
{
    const char *driver, *model, *id,
        *list = keyval_take(keyval_take(arg, "model", &model), "id", &id);
    size_t n = strcspn(list, ",");

    list = keyval_take(list, "driver", &driver);
    if (!driver) {
        driver = keep_format("%.*s", (int)n, list);
        list += n + (list[n] == ',');
    }
    id = id ? id : "audio0";
    set_audiodev(o, option, keep_format("%s,id=%s%s%s", driver, id, *list ? "," : "", list));
    if (!model)
        return;
    if (!strcmp(model, "pcspk"))
        o->pcspk_audiodev = id;
    else if (!in_choices(model, "sb16|adlib|ac97|es1370|AC97|ES1370"))
        refuse_choice(keep_format("%s model=", option), model, "sb16|adlib|ac97|es1370|pcspk");
    else
        set_device(o, option, keep_format("%s,audiodev=%s", model, id));
}

/* ---- The user network ---- */

static void add_user_key(struct options *o, const char *key, const char *value)
{
    const char *before = o->user_network;

    o->user_network = keep_format("%s%s%s=%s", before ? before : "", before ? "," : "", key,
                                  keyval_value(value));
}

/* [tcp|udp]:HOST-PORT:[GUEST]:GUEST-PORT */
SETTER(set_redir)
{
    char kind[4] = "tcp", guest[64] = "";
    unsigned from, to;
    const char *p = strchr(arg, ':');

    if (!p || p - arg > 3 ||
        (p > arg && !in_choices(keep_format("%.*s", (int)(p - arg), arg), "tcp|udp")) ||
        (sscanf(p, ":%u::%u", &from, &to) != 2 &&
         sscanf(p, ":%u:%63[^:]:%u", &from, guest, &to) != 3))
        die("%s: '%s': [tcp|udp]:HOST-PORT:[GUEST]:GUEST-PORT", option, arg);
    if (p > arg)
        memcpy(kind, arg, 3);
    add_user_key(o, "hostfwd", keep_format("%s::%u-%s:%u", kind, from, guest, to));
}

SETTER(set_tftp)
{
    add_user_key(o, "tftp", arg);
}

SETTER(set_bootp)
{
    add_user_key(o, "bootfile", arg);
}
