/*
 * pc-testdev: what test kernels drive an emulator by; see pc_testdev.c.
 */
#ifndef RING3_PC_TESTDEV_H
#define RING3_PC_TESTDEV_H

#include "devices/device.h"

/* ports E0 to EB, 2000 to 2017; memory FF000000 to FF00FFFF; no config */
extern const struct device_class pc_testdev_class;
extern const struct user_device pc_testdev_user_device;

#endif
