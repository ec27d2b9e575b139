/*
 * The CMOS memory as a PC's set-up program would leave it.
 */
#ifndef RING3_CMOS_H
#define RING3_CMOS_H

#include "devices/device.h"

/* What PC firmware expects in the RTC's memory: sizes, drives, boot order, and
 * machine.set_boot_order. */
void cmos_fill(struct machine *m, struct device *mc146818);

#endif
