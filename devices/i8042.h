/*
 * The 8042 keyboard controller with the keyboard and mouse behind it: see i8042.c.
 */
#ifndef RING3_I8042_H
#define RING3_I8042_H

#include "devices/device.h"

/* ports 60, 64; irqs 1 and 12; config: struct a20_config */
extern const struct device_class i8042_class;

/* `key` is a set-1 scan code, 0x80 added... see runtime/control/keys.def: 0x01-0x7f plain,
 * 0xe000 | code for extended keys, 0xe11d for Pause. */
void i8042_key(struct device *dev, u16 key, bool down);
/* Relative motion, dy positive downwards as on screen; dz wheel, positive towards the user;
 * buttons: bit 0 left, 1 right, 2 middle. */
void i8042_mouse(struct device *dev, int dx, int dy, int dz, u8 buttons);
/* A packet without motion, if the guest listens and none waits: there is something to look at
 * elsewhere. */
void i8042_mouse_nudge(struct device *dev);
/* For struct a20_config. */
void i8042_a20_follow(struct device *dev, bool on);

#endif
