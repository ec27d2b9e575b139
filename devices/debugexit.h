/*
 * The port that ends ring3: see debugexit.c.
 */
#ifndef RING3_DEBUGEXIT_H
#define RING3_DEBUGEXIT_H

#include "devices/device.h"

extern const struct device_class debugexit_class; /* config: struct debugexit_config */

struct debugexit_config {
    u16 port, size; /* QEMU's isa-debug-exit: exit status (val << 1) | 1 */
};

#endif
