/*
 * Which image goes where: -hda…, -fda…, -cdrom, -drive, and the bare IMAGE. Slots are the two
 * floppy drives and the four of the IDE channels, numbered as QEMU's index=: 0 and 1 on the first
 * channel, 2 and 3 on the second.
 */
#include "runtime/options/option_drives.h"
#include "runtime/options/keyval.h"
#include "runtime/options/option_values.h"
#include "runtime/storage/recognise.h"

#include <stdlib.h>
#include <string.h>

enum { FLOPPIES = 2, IDE_DRIVES = 4, CD_SLOT = 2, NO_INDEX = ~0u };

static struct drive_options *ide_slot(struct options *o, u32 index)
{
    return &o->ide[index / 2][index % 2];
}

static struct drive_options *take(struct drive_options *slot, const char *option)
{
    if (slot->present)
        die("%s: that drive is taken already, by '%s'", option, slot->file ? slot->file : "");
    slot->present = true;
    return slot;
}

static struct drive_options *take_ide(struct options *o, u32 index, const char *option)
{
    return take(ide_slot(o, index), option);
}

static struct drive_options *take_free(struct options *o, const char *option, bool floppy,
                                       bool cdrom)
{
    u32 n = floppy ? FLOPPIES : IDE_DRIVES;

    if (cdrom && !ide_slot(o, CD_SLOT)->present)
        return take_ide(o, CD_SLOT, option);
    for (u32 i = 0; i < n; i++) {
        struct drive_options *slot = floppy ? &o->floppy[i] : ide_slot(o, i);

        if (!slot->present)
            return take(slot, option);
    }
    die("%s: all %u %s drives are taken", option, n, floppy ? "floppy" : "IDE");
}

SETTER(set_hda)
{
    take_ide(o, 0, option)->file = arg;
}
SETTER(set_hdb)
{
    take_ide(o, 1, option)->file = arg;
}
SETTER(set_hdc)
{
    take_ide(o, 2, option)->file = arg;
}
SETTER(set_hdd)
{
    take_ide(o, 3, option)->file = arg;
}
SETTER(set_fda)
{
    take(&o->floppy[0], option)->file = arg;
}
SETTER(set_fdb)
{
    take(&o->floppy[1], option)->file = arg;
}
SETTER(set_cdrom)
{
    struct drive_options *d = take_ide(o, CD_SLOT, option);

    d->file = arg;
    d->cdrom = true;
    d->read_only = true;
}

struct drive_keys {
    const char *file, *iface, *format, *media;
    u32 index, bus, unit, cyls, heads, secs;
    bool snapshot, readonly;
};
/* clang-format off */
static const struct key_row drive_keys[] = {
    KEY(struct drive_keys, file, KEY_TEXT),
    { "if",        KEY_CHOICE, offsetof(struct drive_keys, iface),  "ide|floppy" },
    { "format",    KEY_CHOICE, offsetof(struct drive_keys, format), "raw" },
    { "media",     KEY_CHOICE, offsetof(struct drive_keys, media),  "disk|cdrom" },
    KEY(struct drive_keys, index, KEY_U32),
    KEY(struct drive_keys, bus, KEY_U32),
    KEY(struct drive_keys, unit, KEY_U32),
    KEY(struct drive_keys, cyls, KEY_U32),
    KEY(struct drive_keys, heads, KEY_U32),
    KEY(struct drive_keys, secs, KEY_U32),
    KEY(struct drive_keys, snapshot, KEY_BOOL),
    KEY(struct drive_keys, readonly, KEY_BOOL),
    { "read-only", KEY_BOOL,   offsetof(struct drive_keys, readonly), NULL },
    { "id",        KEY_IGNORE, 0, NULL },
    { "cache",     KEY_IGNORE, 0, NULL },
    { "aio",       KEY_IGNORE, 0, NULL },
    { "discard",   KEY_IGNORE, 0, NULL },
    { "werror",    KEY_IGNORE, 0, NULL },
    { "rerror",    KEY_IGNORE, 0, NULL },
};
/* clang-format on */

/* index=, or bus= and unit=; NO_INDEX: the next free one. */
static u32 drive_index(const struct drive_keys *k, bool floppy, const char *option)
{
    u32 index = k->index, limit = floppy ? FLOPPIES : IDE_DRIVES;

    if (k->bus != NO_INDEX || k->unit != NO_INDEX) {
        u32 bus = k->bus == NO_INDEX ? 0 : k->bus, unit = k->unit == NO_INDEX ? 0 : k->unit;

        if (bus > (floppy ? 0 : 1) || unit > 1)
            die("%s: there is no %s bus %u, unit %u", option, floppy ? "floppy" : "IDE", bus, unit);
        return bus * 2 + unit;
    }
    if (index != NO_INDEX && index >= limit)
        die("%s: index=%u: there are %u %s drives, from 0", option, index, limit,
            floppy ? "floppy" : "IDE");
    return index;
}

SETTER(set_drive)
{
    struct drive_keys k = { .iface = "ide", .media = "disk", .index = NO_INDEX, .bus = NO_INDEX,
                            .unit = NO_INDEX };
    struct drive_options *d;
    bool floppy, cdrom;
    u32 index;

    keyval_read(option, arg, NULL, drive_keys, ARRAY_SIZE(drive_keys), &k);
    floppy = !strcmp(k.iface, "floppy");
    cdrom = !strcmp(k.media, "cdrom");
    if (floppy && cdrom)
        die("%s: a floppy drive takes no CD: media=disk, or if=ide", option);
    if (!k.file && !cdrom && !floppy)
        die("%s: file= is missing", option);
    index = drive_index(&k, floppy, option);
    if (index == NO_INDEX)
        d = take_free(o, option, floppy, cdrom);
    else
        d = floppy ? take(&o->floppy[index], option) : take_ide(o, index, option);
    d->file = k.file;
    d->cdrom = cdrom;
    d->snapshot = k.snapshot;
    d->read_only = k.readonly || cdrom;
    d->cylinders = k.cyls;
    d->heads = k.heads;
    d->sectors = k.secs;
}

SETTER(set_image)
{
    const char *error = NULL;
    struct drive_options *d;

    switch (image_recognise(arg, &error)) {
    case IMAGE_FLOPPY:
        take_free(o, arg, true, false)->file = arg;
        break;
    case IMAGE_DISK:
        take_free(o, arg, false, false)->file = arg;
        break;
    case IMAGE_CD:
        d = take_free(o, arg, false, true);
        d->file = arg;
        d->cdrom = d->read_only = true;
        break;
    case IMAGE_BZIMAGE:
    case IMAGE_MULTIBOOT:
        o->kernel = arg;
        break;
    case IMAGE_ELF:
        die("%s: an ELF file without a multiboot header: no kernel that -kernel could load", arg);
    case IMAGE_UNREADABLE:
        die("%s", error);
    case IMAGE_UNKNOWN:
        die("%s; -fda, -hda, -cdrom and -kernel take it as what you say", error);
    }
}
