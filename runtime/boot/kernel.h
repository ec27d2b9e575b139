/*
 * `-kernel`: which kind it is, and the plan by which an option ROM starts it.
 */
#ifndef RING3_KERNEL_H
#define RING3_KERNEL_H

#include "runtime/base/base.h"

struct machine;

/* -kernel, -initrd and -append into fw_cfg and an option ROM that starts them. */
void kernel_load(struct machine *m);

/* ---- A plan: what the option ROM (bootrom.S) does once the firmware has set up the machine ---- */

enum {
    BOOT_LOADS = 40,
    /* multiboot: where the ROM puts the memory map, 64 entries of 24 bytes */
    BOOT_MAP = 0x8000,
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
    /* enter flat 32-bit code at `entry`, EBX = BOOT_INFO; else real mode */
    bool protected_mode;
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

#endif
