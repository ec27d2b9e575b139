/*
 * What the options that name drives and images do.
 */
#ifndef RING3_OPTION_DRIVES_H
#define RING3_OPTION_DRIVES_H

#include "runtime/options/option_values.h"

SETTER(set_hda);
SETTER(set_hdb);
SETTER(set_hdc);
SETTER(set_hdd);
SETTER(set_fda);
SETTER(set_fdb);
SETTER(set_cdrom);
SETTER(set_drive);
SETTER(set_blockdev); /* option_blockdev.c */
/* After the last option: -drive if=none go where their -device ide-hd, ide-cd or floppy
 * says. */
void place_drives(struct options *o);
/* A bare IMAGE: by its size and contents a floppy, disk, CD or kernel. */
SETTER(set_image);

#endif
