/*
 * Where bytes of a serial port or debug console go: what chips are wired to, and what a
 * character back end (runtime/control/chardev.c) makes.
 */
#ifndef RING3_DEVICES_CHARDEV_H
#define RING3_DEVICES_CHARDEV_H

#include "runtime/base/base.h"

struct device;

struct chardev {
    /* Takes n bytes; may drop them when nobody listens. Never blocks. */
    void (*write)(struct chardev *c, const u8 *data, u32 n);
    /* The device's end: can_receive says how many bytes it takes now; receive gives them. */
    u32 (*can_receive)(struct device *dev);
    void (*receive)(struct device *dev, const u8 *data, u32 n);
    struct device *dev; /* receiver, or NULL */
    void (*accept_input)(struct chardev *c); /* device: I have room again; may be NULL */
    /* A serial port's modem outputs, when one changes and at reset; may be NULL. */
    void (*lines)(struct chardev *c, bool dtr, bool rts);
    void (*close)(struct chardev *c);
};

#endif
