/*
 * The parallel port: see lpt.c.
 */
#ifndef RING3_LPT_H
#define RING3_LPT_H

#include "devices/chardev.h"
#include "devices/device.h"
#include "devices/user_device.h"

extern const struct device_class lpt_class; /* 378-37A, IRQ 7 */
extern const struct user_device lpt_user_device;

struct lpt_config {
    struct chardev *chardev; /* where bytes go; NULL: nowhere */
};

#endif
