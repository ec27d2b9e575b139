/*
 * Port 61: see pcspk.c.
 */
#ifndef RING3_PCSPK_H
#define RING3_PCSPK_H

#include "devices/device.h"

extern const struct device_class pcspk_class; /* port 61: gate 2, speaker data, refresh toggle */

struct pcspk_config {
    struct device *i8254; /* gate and output of channel 2 */
};

#endif
