/*
 * Linux kernels, by the boot protocol of bzImage.
 */
#ifndef RING3_LINUX_H
#define RING3_LINUX_H

#include "runtime/boot/kernel.h"

/* False if the file is not of the kind; else the plan says how to start it. die() if it is of
 * the kind and cannot be started. Every field of the file is untrusted. */
bool linux_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan);

#endif
