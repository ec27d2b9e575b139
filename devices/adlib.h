/*
 * The AdLib card: see adlib.c.
 */
#ifndef RING3_ADLIB_H
#define RING3_ADLIB_H

#include "devices/audio.h"
#include "devices/user_device.h"

extern const struct device_class adlib_class; /* config: struct adlib_config */
extern const struct user_device adlib_user_device;

struct adlib_config {
    struct audiodev *audio; /* NULL: nobody hears */
    u16 iobase;             /* of a second set of ports, as the Sound Blaster has one */
};

#endif
