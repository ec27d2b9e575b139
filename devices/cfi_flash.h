/*
 * A flash chip with Intel's command set: see cfi_flash.c.
 */
#ifndef RING3_CFI_FLASH_H
#define RING3_CFI_FLASH_H

#include "devices/device.h"
#include "devices/disk.h"

extern const struct device_class cfi_flash_class; /* config: struct flash_config */

enum { FLASH_BLOCK = 4096, FLASH_MAX = 0x800000 };
struct flash_config {
    struct disk *disk; /* its contents: a multiple of FLASH_BLOCK, FLASH_MAX at most */
    gpa_t base;
};
/* What it holds: disk->size bytes. */
const u8 *cfi_flash_memory(const struct device *dev);

#endif
