/*
 * The chips of -device, made after the board's own.
 */
#ifndef RING3_RUNTIME_USER_DEVICES_H
#define RING3_RUNTIME_USER_DEVICES_H

#include "runtime/machine/machine.h"

/* In the options' order. die()s with one line where one cannot be made. */
void user_devices_make(struct machine *m, struct device *pci);

#endif
