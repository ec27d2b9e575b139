/*
 * The MC146818 clock with its CMOS memory: see mc146818.c.
 */
#ifndef RING3_MC146818_H
#define RING3_MC146818_H

#include "devices/device.h"

/* config: NULL: no wire */
struct mc146818_config {
    void (*alarm)(struct machine *m); /* its time has come, and it is enabled */
};

extern const struct device_class mc146818_class; /* ports 70-71; irq 8 */

void mc146818_cmos_set(struct device *dev, u8 index, u8 val); /* by parts.c before power-on */
u8 mc146818_cmos_get(struct device *dev, u8 index);
bool mc146818_nmi_masked(struct device *dev); /* port 70 bit 7 */

#endif
