/*
 * The port that ends ring3: see debugexit.c.
 */
#ifndef RING3_DEBUGEXIT_H
#define RING3_DEBUGEXIT_H

#include "devices/user_device.h"

extern const struct device_class debugexit_class; /* config: struct debugexit_config */
extern const struct user_device debugexit_user_device;

struct debugexit_config {
    u16 port, size; /* QEMU's isa-debug-exit: exit status (val << 1) | 1 */
};

#endif
