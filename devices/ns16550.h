/*
 * The PC16550D serial port: see ns16550.c.
 */
#ifndef RING3_NS16550_H
#define RING3_NS16550_H

#include "devices/chardev.h"
#include "devices/device.h"

extern const struct device_class ns16550_class; /* config: struct ns16550_config */

struct ns16550_config {
    u16 port;              /* 3F8, 2F8 */
    u8 irq;                /* 4, 3 */
    struct chardev *chardev; /* NULL: nothing connected */
};

#endif
