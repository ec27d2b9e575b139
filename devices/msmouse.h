/*
 * A serial mouse of Microsoft's kind, at the other end of a serial port's cable: see msmouse.c.
 */
#ifndef RING3_MSMOUSE_H
#define RING3_MSMOUSE_H

#include "devices/chardev.h"
#include "devices/device.h"

extern const struct device_class msmouse_class; /* no config */

/* Its plug, for the port that it is at. Owned by the mouse. */
struct chardev *msmouse_plug(struct device *dev);
bool msmouse_powered(const struct device *dev); /* has a driver switched it on? */
/* Motion (dy positive downwards) and what is held: bit 0 left, 1 right, 2 middle. False: it has
 * no power, since no driver has raised DTR and RTS; nothing is kept but the buttons. */
bool msmouse_move(struct device *dev, int dx, int dy, u8 buttons);

#endif
