/*
 * Ensoniq's ES1370, the chip of the AudioPCI: see es1370.c.
 */
#ifndef RING3_ES1370_H
#define RING3_ES1370_H

#include "devices/audio.h"
#include "devices/pci.h"
#include "devices/user_device.h"

extern const struct device_class es1370_class; /* config: struct es1370_config */
extern const struct user_device es1370_user_device;

struct es1370_config {
    struct pci_slot slot;
    struct audiodev *audio; /* NULL: nobody hears */
};

#endif
