/*
 * See user_drives.h. The spelling is QEMU's.
 */
#include "devices/user_drives.h"

static const struct drive_place anywhere = { .unit = ANY_UNIT };

#define PLACE(name, kind) #name, kind, offsetof(struct drive_place, name)

static const struct key_row ide_hd_keys[] = {
    {PLACE(drive, KEY_DRIVE), .required = true, .help = "id of a -drive if=none"},
    {PLACE(bus, KEY_CHOICE), "ide.0|ide.1"},
    {PLACE(unit, KEY_U32), .max = 1, .help = "0: master, 1: slave"},
    {PLACE(bootindex, KEY_TEXT), .help = "the lowest one is booted first"},
    {PLACE(cyls, KEY_U32)},
    {PLACE(heads, KEY_U32)},
    {PLACE(secs, KEY_U32)},
    {NULL},
};
static const struct key_row ide_cd_keys[] = {
    {PLACE(drive, KEY_DRIVE), .help = "id of a -drive if=none; without: empty"},
    {PLACE(bus, KEY_CHOICE), "ide.0|ide.1"},
    {PLACE(unit, KEY_U32), .max = 1, .help = "0: master, 1: slave"},
    {PLACE(bootindex, KEY_TEXT), .help = "the lowest one is booted first"},
    {NULL},
};
static const struct key_row floppy_keys[] = {
    {PLACE(drive, KEY_DRIVE), .help = "id of a -drive if=none; without: empty"},
    {PLACE(unit, KEY_U32), .max = 1, .help = "0: A, 1: B"},
    {PLACE(bootindex, KEY_TEXT), .help = "the lowest one is booted first"},
    /* by what is in it */
    {"drive-type", KEY_IGNORE},
    {NULL},
};

const struct user_device ide_hd_user_device = {
    .name = "ide-hd",
    .help = "hard disk",
    .category = STORAGE_DEVICE,
    .bus = BUS_IDE,
    .config_size = sizeof(struct drive_place),
    .defaults = &anywhere,
    .properties = ide_hd_keys,
};
const struct user_device ide_cd_user_device = {
    .name = "ide-cd",
    .help = "CD drive",
    .category = STORAGE_DEVICE,
    .bus = BUS_IDE,
    .config_size = sizeof(struct drive_place),
    .defaults = &anywhere,
    .properties = ide_cd_keys,
};
const struct user_device floppy_user_device = {
    .name = "floppy",
    .help = "floppy drive",
    .category = STORAGE_DEVICE,
    .bus = BUS_FLOPPY,
    .config_size = sizeof(struct drive_place),
    .defaults = &anywhere,
    .properties = floppy_keys,
};
