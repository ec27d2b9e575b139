/*
 * What stands between power-on and the guest's first own instruction: firmware, CMOS memory,
 * and a kernel given on the command line. boot.c calls the others, once, before the machine
 * runs. The user's mistakes die() with one line.
 */
#ifndef RING3_BOOT_H
#define RING3_BOOT_H

#include "runtime/machine/machine.h"

/* Chips that are filled before power-on, besides machine.fw_cfg. */
struct boot_chips {
    struct device *i440fx, *isa_bios; /* one of them has the BIOS */
    struct device *flash; /* the firmware, where it is in a chip that can be written; else NULL */
    struct device *mc146818;
};
/* All of it, for a machine whose chips are attached. After a RESET it all still holds. */
void boot_setup(struct machine *m, const struct boot_chips *chips);

#endif
