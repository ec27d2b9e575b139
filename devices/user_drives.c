/*
 * See user_drives.h. The spelling is QEMU's.
 */
#include "devices/user_drives.h"

static const struct drive_place anywhere = { .unit = ANY_UNIT };

#define PLACE(name, kind) #name, kind, offsetof(struct drive_place, name)

/* What changes nothing here that a guest could see. */
#define IGNORED_KEYS                                                                           \
    {"write-cache", KEY_IGNORE}, {"werror", KEY_IGNORE}, {"rerror", KEY_IGNORE},               \
        {"share-rw", KEY_IGNORE}, {"discard_granularity", KEY_IGNORE},                         \
        {"physical_block_size", KEY_IGNORE}, {"rotation_rate", KEY_IGNORE},                    \
    {                                                                                          \
        PLACE(logical_block_size, KEY_CHOICE), "512"                                           \
    }

static const struct key_row ide_hd_keys[] = {
    {PLACE(drive, KEY_DRIVE), .required = true, .help = "id of a -drive if=none"},
    {PLACE(bus, KEY_CHOICE), "ide.0|ide.1"},
    {PLACE(unit, KEY_U32), .max = 1, .help = "0: master, 1: slave"},
    {PLACE(bootindex, KEY_TEXT), .help = "the lowest one is booted first"},
    {PLACE(cyls, KEY_U32)},
    {PLACE(heads, KEY_U32)},
    {PLACE(secs, KEY_U32)},
    {PLACE(serial, KEY_TEXT), .help = "serial number, 20 characters"},
    {PLACE(model, KEY_TEXT), .help = "its name, 40 characters"},
    {PLACE(ver, KEY_TEXT), .help = "of its firmware, 8 characters"},
    {"bios-chs-trans", KEY_IGNORE}, /* is SeaBIOS's own affair */
    IGNORED_KEYS,
    {NULL},
};
static const struct key_row ide_cd_keys[] = {
    {PLACE(drive, KEY_DRIVE), .help = "id of a -drive if=none; without: empty"},
    {PLACE(bus, KEY_CHOICE), "ide.0|ide.1"},
    {PLACE(unit, KEY_U32), .max = 1, .help = "0: master, 1: slave"},
    {PLACE(bootindex, KEY_TEXT), .help = "the lowest one is booted first"},
    {PLACE(serial, KEY_TEXT), .help = "serial number, 20 characters"},
    {PLACE(model, KEY_TEXT), .help = "its name, 40 characters"},
    {PLACE(ver, KEY_TEXT), .help = "of its firmware, 8 characters"},
    IGNORED_KEYS,
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
