/*
 * The firmware configuration device: see fw_cfg.c.
 */
#ifndef RING3_FW_CFG_H
#define RING3_FW_CFG_H

#include "devices/device.h"

extern const struct device_class fw_cfg_class; /* 510, 511, DMA at 514 */

/* Keys of docs/specs/fw_cfg and of QEMU's machines, as SeaBIOS and test kernels read them. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04, FW_CFG_NB_CPUS = 0x05, FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07, FW_CFG_KERNEL_SIZE = 0x08, FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a, FW_CFG_INITRD_SIZE = 0x0b, FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d, FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10, FW_CFG_KERNEL_DATA = 0x11, FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13, FW_CFG_CMDLINE_SIZE = 0x14, FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16, FW_CFG_SETUP_SIZE = 0x17, FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20, FW_CFG_FILES = 32,
    FW_CFG_IRQ0_OVERRIDE = 0x8002, /* arch-local keys start at 8000 */
};
/* data must live as long as the machine; a later item of the same key or name replaces it. */
void fw_cfg_add(struct device *dev, u16 key, const void *data, u32 size);
void fw_cfg_add_file(struct device *dev, const char *name, const void *data, u32 size);
/* A number of 1 to 8 bytes, little-endian, kept by the chip. */
void fw_cfg_add_number(struct device *dev, u16 key, u64 val, u32 size);

#endif
