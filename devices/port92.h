/*
 * Port 92: see port92.c.
 */
#ifndef RING3_PORT92_H
#define RING3_PORT92_H

#include "devices/device.h"

extern const struct device_class port92_class; /* A20, fast reset; config: struct a20_config */

/* For struct a20_config. */
void port92_a20_follow(struct device *dev, bool on);

#endif
