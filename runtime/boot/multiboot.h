/*
 * Multiboot kernels.
 */
#ifndef RING3_MULTIBOOT_H
#define RING3_MULTIBOOT_H

#include "runtime/boot/kernel.h"

/* False if the file is not of the kind; else the plan says how to start it. die() if it is of
 * the kind and cannot be started. Every field of the file is untrusted. */
bool multiboot_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan);

#endif
