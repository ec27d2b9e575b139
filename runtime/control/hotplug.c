/*
 * device_add and device_del while the machine runs. No bus of this board takes a card in then,
 * and no drive: what changes in a PC that is on is what lies in its drives. So device_add of an
 * ide-cd or a floppy puts a medium (a node of blockdev-add, or a -drive if=none that no device
 * has) into such a drive that is there and empty, and device_del of that id takes it out. All
 * else is refused as QEMU refuses it on a bus without hotplug.
 */
#include "runtime/control/hotplug.h"
#include "devices/user_drives.h"
#include "runtime/control/control.h"
#include "runtime/control/qmp.h"
#include "runtime/control/qmp_commands.h"
#include "runtime/storage/disk.h"

#include <string.h>

enum { ID_MAX = 64 };

struct hotplug {
    char id[DRIVES][ID_MAX]; /* by which the drive's medium was added; empty: by none */
};

static struct hotplug *hotplug_of(struct machine *m)
{
    if (!m->hotplug)
        m->hotplug = machine_alloc(m, sizeof(*m->hotplug));
    return m->hotplug;
}

/* ---- Names ---- */

static const struct user_device *row_named(const char *name)
{
    for (u32 i = 0; user_devices[i]; i++)
        if (!strcmp(user_devices[i]->name, name))
            return user_devices[i];
    return NULL;
}

static const char *usual_bus(const struct user_device *row)
{
    static const char *const names[] = {[BUS_ISA] = "isa.0",
                                        [BUS_PCI] = "pci.0",
                                        [BUS_IDE] = "ide.0",
                                        [BUS_FLOPPY] = "floppy-bus.0"};

    return names[row->bus];
}

static const char *no_hotplug(const char *bus)
{
    return disk_sentence("Bus '%s' does not support hotplugging", bus);
}

/* ide.0 and ide.1 have two each of control_drives(); any: NULL. False: no such bus. */
static bool drives_of(const struct user_device *row, const char *bus, u32 *from, u32 *to)
{
    bool floppy = row->bus == BUS_FLOPPY;

    *from = floppy ? 0 : FIRST_IDE;
    *to = floppy ? FIRST_IDE : FIRST_FLASH;
    if (!bus)
        return true;
    if (floppy)
        return !strcmp(bus, "floppy-bus.0");
    if (strncmp(bus, "ide.", 4) || (bus[4] != '0' && bus[4] != '1') || bus[5])
        return false;
    *from = FIRST_IDE + (bus[4] == '0' ? 0 : 2);
    *to = *from + 2;
    return true;
}

static const struct device_options *user_device_of(const struct machine *m, const char *id)
{
    const struct device_options *d = m->options->devices;

    while (d && !(d->id && !strcmp(d->id, id)))
        d = d->next;
    return d;
}

/* The drive whose medium has the id; DRIVES: none. */
static u32 drive_with(struct machine *m, const char *id)
{
    u32 i = 0;

    while (i < DRIVES && strcmp(hotplug_of(m)->id[i], id))
        i++;
    return *id ? i : DRIVES;
}

bool hotplug_known(struct machine *m, const char *id)
{
    return user_device_of(m, id) || drive_with(m, id) < DRIVES;
}

/* ---- Media ---- */

struct medium {
    const char *file, *format;
};

static bool find_medium(struct machine *m, const char *name, struct medium *medium)
{
    const struct options *o = m->options;

    if (qmp_block_node(m, name, &medium->file, &medium->format))
        return true;
    for (u32 i = 0; i < MAX_DRIVES && o->drives[i].id; i++)
        if (!strcmp(o->drives[i].id, name) && !o->drives[i].placed) {
            *medium = (struct medium){o->drives[i].drive.file, o->drives[i].drive.format};
            return medium->file;
        }
    return false;
}

static const char *insert(struct machine *m, const struct hotplug_request *r,
                          const struct user_device *row, const struct medium *medium)
{
    struct drive_name drives[DRIVES];
    const char *error;
    u32 from, to;

    control_drives(m, drives);
    if (!drives_of(row, r->bus, &from, &to))
        return disk_sentence("Bus '%s' not found", r->bus);
    for (u32 i = from; i < to; i++) {
        struct disk *d = drives[i].disk;

        if (!d || (row->bus == BUS_IDE && !d->cdrom) || disk_path(d) ||
            (r->unit && (u32)(r->unit[0] - '0') != i % 2))
            continue;
        error = control_change(m, drives[i].name, medium->file, medium->format, false);
        if (!error)
            snprintf(hotplug_of(m)->id[i], ID_MAX, "%s", r->id ? r->id : "");
        return error;
    }
    return no_hotplug(r->bus ? r->bus : usual_bus(row));
}

/* ---- The commands ---- */

const char *hotplug_add(struct machine *m, const struct hotplug_request *r)
{
    const struct user_device *row = row_named(r->driver);
    struct medium medium;

    if (!row)
        return disk_sentence("'%.64s' is not a valid device model name", r->driver);
    if (r->id && strlen(r->id) >= ID_MAX)
        return disk_sentence("Parameter 'id' expects an identifier");
    if (r->id && hotplug_known(m, r->id))
        return disk_sentence("Duplicate device ID '%s'", r->id);
    if ((row != &ide_cd_user_device && row != &floppy_user_device) || !r->drive)
        return no_hotplug(r->bus ? r->bus : usual_bus(row));
    if (!find_medium(m, r->drive, &medium))
        return disk_sentence("Property '%s.drive' can't find value '%.64s'", row->name,
                             r->drive);
    return insert(m, r, row, &medium);
}

const char *hotplug_del(struct machine *m, const char *id)
{
    const struct device_options *d = user_device_of(m, id);
    struct drive_name drives[DRIVES];
    u32 i = drive_with(m, id);
    const char *error;

    if (d)
        return no_hotplug(d->bus ? d->bus : usual_bus(d->row));
    control_drives(m, drives);
    error = disk_path(drives[i].disk) ? control_eject(m, drives[i].name, false) : NULL;
    if (error)
        return error;
    qmp_device_deleted(m, id);
    hotplug_of(m)->id[i][0] = 0;
    return NULL;
}
