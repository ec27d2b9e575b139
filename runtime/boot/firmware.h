/*
 * Firmware, and files that are loaded before power-on.
 */
#ifndef RING3_FIRMWARE_H
#define RING3_FIRMWARE_H

#include "devices/device.h"

/* SeaBIOS (or -bios) below 4 GiB and below 1 MiB, its VGA BIOS into fw_cfg. */
struct boot_chips;
void firmware_load(struct machine *m, const struct boot_chips *chips);

/* A boot ROM's image: a path, or a name in the directories of firmware and of package
 * ipxe-qemu. NULL: there is none; die()s on one that cannot be read. Freed with the machine. */
const u8 *firmware_boot_rom(struct machine *m, const char *name, u32 *size);

#define BOOT_FILE_MAX 0x7fffffffu

/* A whole file in memory that is freed with the machine; NULL: *error says why, in a static
 * buffer. Refuses what is empty or larger than `limit`. */
u8 *boot_read_file(struct machine *m, const char *path, u32 limit, u32 *size,
                   const char **error);

#endif
