/*
 * Which image goes where: -hda…, -fda…, -cdrom, -drive, and the bare IMAGE. Slots are the two
 * floppy drives and the four of the IDE channels, numbered as QEMU's index=: 0 and 1 on the
 * first channel, 2 and 3 on the second.
 */
#include "runtime/options/option_drives.h"
#include "devices/user_drives.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_absent.h"
#include "runtime/options/option_devices.h"
#include "runtime/options/option_values.h"
#include "runtime/storage/formats.h"
#include "runtime/storage/recognise.h"

#include <stdlib.h>
#include <string.h>

enum { FLOPPIES = 2, IDE_DRIVES = 4, CD_SLOT = 2, NO_INDEX = ~0u };

static struct drive_options *ide_slot(struct options *o, u32 index)
{
    return &o->ide[index / 2][index % 2];
}

static struct drive_options *take_drive(struct drive_options *slot, const char *option)
{
    if (slot->present)
        die("%s: that drive is taken already, by '%s'", option, slot->file ? slot->file : "");
    slot->present = true;
    return slot;
}

static struct drive_options *take_ide(struct options *o, u32 index, const char *option)
{
    return take_drive(ide_slot(o, index), option);
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
            return take_drive(slot, option);
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
    take_drive(&o->floppy[0], option)->file = arg;
}
SETTER(set_fdb)
{
    take_drive(&o->floppy[1], option)->file = arg;
}
SETTER(set_cdrom)
{
    struct drive_options *d = take_ide(o, CD_SLOT, option);

    d->file = arg;
    d->cdrom = true;
    d->read_only = true;
}

struct drive_keys {
    const char *file, *iface, *format, *media, *id, *locking, *serial;
    u32 index, bus, unit, cyls, heads, secs;
    bool snapshot, readonly;
};
/* clang-format off */
static const struct key_row drive_keys[] = {
    KEY(struct drive_keys, file, KEY_TEXT),
    { "if",        KEY_CHOICE, offsetof(struct drive_keys, iface),  "ide|floppy|none|pflash|virtio|scsi" },
    { "file.filename", KEY_TEXT, offsetof(struct drive_keys, file), NULL },
    { "file.driver", KEY_IGNORE, 0, NULL },
    { "file.locking", KEY_CHOICE, offsetof(struct drive_keys, locking), "auto|on|off" },
    KEY(struct drive_keys, format, KEY_TEXT),
    { "driver",    KEY_TEXT,   offsetof(struct drive_keys, format), NULL },
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
    KEY(struct drive_keys, id, KEY_TEXT),
    KEY(struct drive_keys, serial, KEY_TEXT), /* of QEMU before 3.0 */
    { "boot",      KEY_IGNORE, 0, NULL }, /* of KVM's: -boot has the order */
    { "trans",     KEY_IGNORE, 0, NULL }, /* how SeaBIOS translates a geometry is its own affair */
    { "addr",      KEY_IGNORE, 0, NULL }, /* of another bus */
    { "cache",     KEY_IGNORE, 0, NULL },
    { "aio",       KEY_IGNORE, 0, NULL },
    { "discard",   KEY_IGNORE, 0, NULL },
    { "werror",    KEY_IGNORE, 0, NULL },
    { "rerror",    KEY_IGNORE, 0, NULL },
    { "detect-zeroes", KEY_IGNORE, 0, NULL },
    { "auto-read-only", KEY_IGNORE, 0, NULL },
    { "copy-on-read", KEY_IGNORE, 0, NULL },
    { "cache.direct", KEY_IGNORE, 0, NULL },
    { "cache.no-flush", KEY_IGNORE, 0, NULL },
    { "cache.writeback", KEY_IGNORE, 0, NULL },
    { "l2-cache-size", KEY_IGNORE, 0, NULL },
    { "cache-size", KEY_IGNORE, 0, NULL },
    { "lazy-refcounts", KEY_IGNORE, 0, NULL },
};
/* clang-format on */

/* index=, or bus= and unit=; NO_INDEX: the next free one. */
static u32 drive_index(const struct drive_keys *k, bool floppy, const char *option)
{
    u32 index = k->index, limit = floppy ? FLOPPIES : IDE_DRIVES;

    if (k->bus != NO_INDEX || k->unit != NO_INDEX) {
        u32 bus = k->bus == NO_INDEX ? 0 : k->bus, unit = k->unit == NO_INDEX ? 0 : k->unit;

        if (bus > (floppy ? 0 : 1) || unit > 1)
            die("%s: there is no %s bus %u, unit %u", option, floppy ? "floppy" : "IDE", bus,
                unit);
        return bus * 2 + unit;
    }
    if (index != NO_INDEX && index >= limit)
        die("%s: index=%u: there are %u %s drives, from 0", option, index, limit,
            floppy ? "floppy" : "IDE");
    return index;
}

static void check_format(const char *option, const char *name)
{
    const char *names[16];
    u32 n = 0;

    for (; image_formats[n] && n < ARRAY_SIZE(names); n++)
        names[n] = image_formats[n]->name;
    if (name && !image_format_named(name))
        refuse_name(keep_format("%s format:", option), name, names, sizeof(names[0]), n);
}

static void fill_drive(struct drive_options *d, const struct drive_keys *k, bool cdrom)
{
    d->file = k->file;
    d->format = k->format;
    d->cdrom = cdrom;
    d->snapshot = k->snapshot;
    d->unlocked = k->locking && !strcmp(k->locking, "off");
    d->read_only = k->readonly || cdrom;
    d->cylinders = k->cyls;
    d->heads = k->heads;
    d->sectors = k->secs;
    d->serial = k->serial;
}

/* All three or none. */
static void check_geometry(const char *option, struct drive_keys *k)
{
    if (k->cyls == NO_INDEX && k->heads == NO_INDEX && k->secs == NO_INDEX) {
        k->cyls = k->heads = k->secs = 0; /* guess */
        return;
    }
    if (k->cyls - 1 >= 65535 || k->heads - 1 >= 16 || k->secs - 1 >= 255)
        die("%s: a geometry is cyls= from 1 to 65535, heads= from 1 to 16 and secs= from 1 to 255",
            option);
}

/* unit=, or index=; neither: the next one. */
static void take_flash(struct options *o, const char *option, const struct drive_keys *k)
{
    u32 unit = k->unit != NO_INDEX ? k->unit : k->index;

    if (!k->file)
        die("%s: file= is missing", option);
    if (unit == NO_INDEX)
        unit = o->flash[0].present;
    if (unit > 1)
        die("%s: if=pflash: unit=%u: 0 is the firmware, 1 its variables", option, unit);
    fill_drive(take_drive(&o->flash[unit], option), k, false);
}

/* if=none: kept until a -device says where it goes. */
static void keep_drive(struct options *o, const char *option, const struct drive_keys *k,
                       bool cdrom)
{
    u32 n = 0;

    if (!k->id)
        die("%s: if=none: id= is missing, by which a -device names it", option);
    while (n < MAX_DRIVES && o->drives[n].id && strcmp(o->drives[n].id, k->id))
        n++;
    if (n == MAX_DRIVES || o->drives[n].id)
        die("%s: id=%s: %s", option, k->id, n == MAX_DRIVES ? "too many" : "used twice");
    o->drives[n].id = k->id;
    fill_drive(&o->drives[n].drive, k, cdrom);
}

SETTER(set_drive)
{
    struct drive_keys k = { .iface = "ide", .media = "disk", .index = NO_INDEX, .bus = NO_INDEX,
                            .unit = NO_INDEX, .cyls = NO_INDEX, .heads = NO_INDEX,
                            .secs = NO_INDEX };
    struct drive_options *d;
    bool floppy, cdrom;
    u32 index;

    refuse_absent_limits(option, arg);
    keyval_read(option, arg, NULL, drive_keys, ARRAY_SIZE(drive_keys), &k);
    if (in_choices(k.iface, "virtio|scsi")) {
        note_once(o, keep_format("-drive if=%s: no such disks on this board: they are IDE's",
                                 k.iface));
        k.index = k.bus = k.unit = NO_INDEX; /* of another bus */
        k.iface = "ide";
    }
    check_format(option, k.format);
    check_geometry(option, &k);
    if (!strcmp(k.iface, "pflash")) {
        take_flash(o, option, &k);
        return;
    }
    floppy = !strcmp(k.iface, "floppy");
    cdrom = !strcmp(k.media, "cdrom");
    if (floppy && cdrom)
        die("%s: a floppy drive takes no CD: media=disk, or if=ide", option);
    if (!strcmp(k.iface, "none")) {
        keep_drive(o, option, &k, cdrom);
        return;
    }
    if (!k.file && !cdrom && !floppy)
        die("%s: file= is missing", option);
    index = drive_index(&k, floppy, option);
    if (index == NO_INDEX)
        d = take_free(o, option, floppy, cdrom);
    else
        d = floppy ? take_drive(&o->floppy[index], option) : take_ide(o, index, option);
    fill_drive(d, &k, cdrom);
}

/* ---- -device ide-hd, ide-cd, floppy ---- */

static const struct drive_options *find_drive(struct options *o, const char *where,
                                              const char *id)
{
    for (u32 i = 0; i < MAX_DRIVES && o->drives[i].id; i++) {
        if (strcmp(o->drives[i].id, id))
            continue;
        if (o->drives[i].placed)
            die("%s: drive=%s: another device has it", where, id);
        o->drives[i].placed = true;
        return &o->drives[i].drive;
    }
    die("%s: drive=%s: no -drive if=none has id=%s", where, id, id);
}

/* The drive that bus= and unit= name: one of them, both, or neither: then the first free
 * one. */
static struct drive_options *find_place(struct options *o, const char *where,
                                        const struct drive_place *p, bool floppy)
{
    /* "ide.N" */
    u32 bus = p->bus ? (u32)(p->bus[4] - '0') : 0, buses = p->bus || floppy ? bus + 1 : 2;

    for (; bus < buses; bus++)
        for (u32 unit = 0; unit < 2; unit++) {
            struct drive_options *slot =
                floppy ? &o->floppy[unit] : ide_slot(o, bus * 2 + unit);

            if (!slot->present && (p->unit == ANY_UNIT || p->unit == unit))
                return take_drive(slot, where);
        }
    die("%s: %s", where,
        p->unit == ANY_UNIT ? "all such drives are taken" : "that drive is taken already");
}

static void place_drive(struct options *o, struct device_options *d)
{
    const struct drive_place *p = (const struct drive_place *)d->config;
    bool floppy = d->row == &floppy_user_device, cdrom = d->row == &ide_cd_user_device;
    const char *where = keep_format("%s %s", d->option, d->row->name),
               *id = *device_reference(d, KEY_DRIVE);
    struct drive_options *slot = find_place(o, where, p, floppy);

    if (id)
        *slot = *find_drive(o, where, id);
    if (slot->cdrom && !cdrom)
        die("%s: drive=%s: media=cdrom is for an ide-cd", where, id);
    if (!slot->file && d->row == &ide_hd_user_device)
        die("%s: drive=%s: its -drive has no file=", where, id);
    slot->present = true;
    slot->cdrom = cdrom;
    slot->read_only |= cdrom;
    slot->bootindex = p->bootindex;
    slot->serial = p->serial ? p->serial : slot->serial;
    slot->model = p->model;
    slot->version = p->ver;
    if (p->cyls || p->heads || p->secs) {
        slot->cylinders = p->cyls;
        slot->heads = p->heads;
        slot->sectors = p->secs;
    }
}

void place_drives(struct options *o)
{
    for (struct device_options *d = o->devices; d; d = d->next)
        if (!d->row->class)
            place_drive(o, d);
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
        die("%s: an ELF file without a multiboot header: no kernel that -kernel could load",
            arg);
    case IMAGE_UNREADABLE:
        die("%s", error);
    case IMAGE_UNKNOWN:
        die("%s; -fda, -hda, -cdrom and -kernel take it as what you say", error);
    }
}
