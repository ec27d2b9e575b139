/*
 * What stands between power-on and the guest's first own instruction: firmware, CMOS memory, and a
 * kernel given on the command line. boot.c calls the others, once, before the machine runs.
 * The user's mistakes die() with one line.
 */
#ifndef RING3_BOOT_H
#define RING3_BOOT_H

#include "runtime/machine.h"

/* Chips that are filled before power-on, besides machine.fw_cfg. */
struct boot_chips {
    struct device *i440fx, *mc146818;
};
/* Everything below, for a machine whose chips are attached. After a RESET it all still holds. */
void boot_setup(struct machine *m, const struct boot_chips *chips);

/* firmware.c: SeaBIOS (or -bios) below 4 GiB and below 1 MiB, its VGA BIOS into fw_cfg. */
void firmware_load(struct machine *m, struct device *i440fx);

/* cmos.c: what PC firmware expects in the RTC's memory: sizes, drives, boot order. */
void cmos_fill(struct machine *m, struct device *mc146818);

#define BOOT_FILE_MAX 0x7fffffffu

/* A whole file in memory that is freed with the machine; NULL: *error says why, in a static buffer.
 * Refuses what is empty or larger than `limit`. */
u8 *boot_read_file(struct machine *m, const char *path, u32 limit, u32 *size, const char **error);

/* kernel.c: -kernel, -initrd and -append into fw_cfg and an option ROM that starts them. */
void kernel_load(struct machine *m);

/* ---- A plan: what the option ROM (bootrom.S) does once the firmware has set up the machine ---- */

enum {
    BOOT_LOADS = 40,
    BOOT_MAP = 0x8000,  /* multiboot: where the ROM puts the memory map, 64 entries of 24 bytes */
    BOOT_INFO = 0x9000, /* multiboot: information, modules and strings, from here up */
};

/* One part of the kernel: data that stays with the machine; zeros follow up to `size`. */
struct boot_load {
    const void *data;
    u32 data_size;
    u32 gpa, size;
};
struct boot_plan {
    struct boot_load load[BOOT_LOADS];
    u32 loads;
    bool protected_mode; /* enter flat 32-bit code at `entry`, EBX = BOOT_INFO; else real mode */
    u32 entry;           /* linear address; real mode: segment << 16 | offset */
    u16 real_segment, real_sp; /* DS, ES, FS, GS, SS and SP */
};
void boot_plan_load(struct boot_plan *plan, u32 gpa, u32 size, const void *data, u32 data_size);

/* Guest memory that a kernel may be put into ends here: the firmware's tables lie above. */
u64 boot_top(struct machine *m);

/* The kernel's file and its companions. */
struct boot_files {
    const char *kernel_path, *initrd_path; /* initrd NULL: none */
    const u8 *kernel;
    u32 kernel_size;
    const char *command_line; /* never NULL */
};

/* linux.c, multiboot.c: false if the file is not of the kind; else the plan says how to start it.
 * die() if it is of the kind and cannot be started. Every field of the file is untrusted. */
bool linux_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan);
bool multiboot_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan);

#endif
