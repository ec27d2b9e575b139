/*
 * Port 61 and the speaker: see pcspk.c.
 */
#ifndef RING3_PCSPK_H
#define RING3_PCSPK_H

#include "devices/audio.h"

/* Port 61: gate 2, speaker data, refresh toggle. */
extern const struct device_class pcspk_class;

struct pcspk_config {
    struct device *i8254; /* gate and output of channel 2 */
    struct audiodev *audio;  /* NULL: the speaker is not heard */
};

void pcspk_changing(struct device *dev); /* the wire from i8254_config */

#endif
