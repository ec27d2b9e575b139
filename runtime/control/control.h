/*
 * What QMP, the human monitor and the window do to a running machine. All of it is called on
 * the machine's thread, between guest instructions. Functions that can fail return NULL, or one
 * line (in a static buffer, good until the next call) that says what went wrong.
 */
#ifndef RING3_CONTROL_H
#define RING3_CONTROL_H

#include "devices/disk.h"
#include "runtime/machine/machine.h"

/* "running", "paused", "prelaunch" (-S before the first cont), "shutdown": QMP's words. */
const char *control_status(struct machine *m);
void control_stop(struct machine *m);
void control_cont(struct machine *m);
void control_reset(struct machine *m);
void control_powerdown(struct machine *m);
const char *control_wakeup(struct machine *m); /* out of S3; NULL, or why not */
/* Leaves machine_run(); reason is QMP's: "host-qmp-quit", "host-signal", "host-ui". */
void control_quit(struct machine *m, const char *reason);

/* Guest memory to a file, by physical address, or by linear address under the current
 * tables. */
const char *control_pmemsave(struct machine *m, gpa_t gpa, u64 size, const char *path);
const char *control_memsave(struct machine *m, gla_t gla, u64 size, const char *path);

/* Drives by QEMU's names: floppy0, floppy1, ide0-hd0 … ide1-cd1, pflash0, pflash1. */
enum { FIRST_IDE = 2, FIRST_FLASH = 6, DRIVES = 8 };
struct drive_name {
    char name[12];
    struct disk *disk; /* NULL: no such drive */
};
void control_drives(struct machine *m, struct drive_name drives[DRIVES]);
struct disk *control_drive(struct machine *m, const char *name);
const char *control_change(struct machine *m, const char *name, const char *path,
                           const char *format, bool force);
const char *control_eject(struct machine *m, const char *name, bool force);
/*
 * A file goes into a drive for its kind: an image of a floppy's size into the first floppy drive, any
 * other into the first CD drive. *drive is its name. NULL, or what went wrong.
 */
const char *control_insert(struct machine *m, const char *path, const char **drive);
/* What is at work: drives that are there, and the network, where there is one. */
struct machine_activity {
    u32 count;
    struct {
        char name[12];
        u64 accesses; /* since the start */
    } part[DRIVES + 1];
};
void control_activity(struct machine *m, struct machine_activity *a);
/* A network card's cable, by the back end's id. */
const char *control_set_link(struct machine *m, const char *id, bool up);

/* The machine's, as -uuid or -smbios type=1 have it; else zeros. */
const char *control_uuid(const struct machine *m);

/* Of each mouse, as QEMU names and numbers them: does the guest get the user's motion by it? */
void control_mice(struct machine *m,
                  void (*tell)(void *arg, const char *name, u32 index, bool current),
                  void *arg);

#endif
