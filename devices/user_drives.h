/*
 * Drives named by -device ide-hd|ide-cd|floppy: no chips of their own, they say where the image
 * of a -drive if=none goes.
 */
#ifndef RING3_USER_DRIVES_H
#define RING3_USER_DRIVES_H

#include "devices/user_device.h"

enum { ANY_UNIT = ~0u };

struct drive_place {
    struct disk *drive;
    const char *bus; /* "ide.0", "ide.1"; NULL: either */
    u32 unit;        /* 0, 1 or ANY_UNIT */
    u32 cyls, heads, secs; /* 0: guess */
    const char *bootindex; /* a number; NULL: not given */
    const char *serial, *model, *ver; /* what it says of itself; NULL: its own */
    const char *logical_block_size;   /* there is one */
};
extern const struct user_device ide_hd_user_device, ide_cd_user_device, floppy_user_device;

#endif
