/*
 * What stands between power-on and the guest's first own instruction: firmware, CMOS memory, and a
 * kernel given on the command line. boot.c calls the others, once, before the machine runs.
 * The user's mistakes die() with one line.
 */
#ifndef RING3_BOOT_H
#define RING3_BOOT_H

#include "runtime/machine.h"

/* Everything below, for a machine whose chips are attached. After a RESET it all still holds. */
void boot_setup(struct machine *m);

/* firmware.c: SeaBIOS (or -bios) below 4 GiB and below 1 MiB, its VGA BIOS into fw_cfg. */
void firmware_load(struct machine *m);

/* cmos.c: what PC firmware expects in the RTC's memory: sizes, drives, boot order. */
void cmos_fill(struct machine *m);

/* A whole file in memory from malloc(), with `size` set; NULL: *error says why, in a static buffer.
 * Refuses what is larger than `limit`. */
u8 *boot_read_file(const char *path, u32 limit, u32 *size, const char **error);

/*
 * kernel.c: -kernel, -initrd and -append into fw_cfg and an option ROM that starts them.
 * linux.c and multiboot.c each know one format; the plan is theirs to fill.
 */
void kernel_load(struct machine *m);

/* One transfer from a fw_cfg key into guest memory, made by the option ROM (bootrom.S). */
struct boot_load {
    u16 key;
    u32 gpa, size;
};
enum { BOOT_LOADS = 16 };
struct boot_plan {
    struct boot_load load[BOOT_LOADS];
    u32 loads;
    bool protected_mode; /* enter flat 32-bit code at `entry`; else real mode at segment:0 */
    u32 entry;           /* linear address, or segment << 16 | offset */
    u16 real_segment, real_sp; /* real mode: DS, ES, FS, GS, SS and SP */
    u32 info;            /* protected mode: EBX, where the multiboot information is */
    u32 memory_map;      /* protected mode: gpa for up to BOOT_MEMORY_MAP entries of 24 bytes */
};
enum { BOOT_MEMORY_MAP = 64 };

/* What -initrd and -append gave, read. */
struct boot_files {
    const char *kernel_path, *initrd_path;
    u8 *kernel;
    u32 kernel_size;
    const char *command_line;
};

/* True: it is one, and the plan says how to start it. */
bool linux_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan);
bool multiboot_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan);

#endif
