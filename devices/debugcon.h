/*
 * The debug console: see debugcon.c.
 */
#ifndef RING3_DEBUGCON_H
#define RING3_DEBUGCON_H

#include "devices/chardev.h"
#include "devices/user_device.h"

extern const struct device_class debugcon_class; /* config: struct debugcon_config */
extern const struct user_device debugcon_user_device;

struct debugcon_config {
    u16 port; /* usually E9 or 402 */
    struct chardev *chardev;
};

#endif
