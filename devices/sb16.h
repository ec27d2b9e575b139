/*
 * The Sound Blaster 16: see sb16.c.
 */
#ifndef RING3_SB16_H
#define RING3_SB16_H

#include "devices/audio.h"
#include "devices/user_device.h"

extern const struct device_class sb16_class; /* config: struct sb16_config */
extern const struct user_device sb16_user_device;

struct sb16_config {
    struct audiodev *audio; /* NULL: nobody hears */
    struct device *i8237;   /* NULL: the board's */
    u16 iobase;             /* 220, 240, 260, 280 */
    u16 version;            /* of the DSP, 405 */
    u8 irq, dma, dma16;     /* 2, 5, 7, 10; 0, 1, 3; 5 to 7 */
};

#endif
