/*
 * The AC'97 controller of the 82801AA with a codec: see ac97.c.
 */
#ifndef RING3_AC97_H
#define RING3_AC97_H

#include "devices/audio.h"
#include "devices/pci.h"
#include "devices/user_device.h"

extern const struct device_class ac97_class; /* config: struct ac97_config */
extern const struct user_device ac97_user_device;

struct ac97_config {
    struct pci_slot slot;
    struct audiodev *audio; /* NULL: nobody hears */
};

#endif
