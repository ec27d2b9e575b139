/*
 * What the two switches of the A20 gate have in common: i8042.c and port92.c.
 */
#ifndef RING3_A20_H
#define RING3_A20_H

#include "devices/device.h"

/* The last switch written wins, and both show it. Either one's config is the wire to the other
 * (NULL: none), which a20_tell() uses. */
struct a20_config {
    void (*follow)(struct device *other, bool on); /* the other's *_a20_follow() */
    struct device *other;
};

/* `dev` has switched the gate. (port92.c) */
void a20_tell(struct device *dev, bool on);

#endif
