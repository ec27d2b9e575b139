/*
 * The port of the firmware's progress codes: see post.c.
 */
#ifndef RING3_POST_H
#define RING3_POST_H

#include "devices/device.h"

extern const struct device_class post_class; /* port 80: last code, trace fw */

#endif
