/*
 * The latch of coprocessor errors: see ferr.c.
 */
#ifndef RING3_FERR_H
#define RING3_FERR_H

#include "devices/device.h"

/* FERR# of the CPU to IRQ 13, and port F0 that answers it with IGNNE#: the PC/AT's way. */
struct ferr_config {
    void (*ignne)(struct machine *m, bool level);
};
extern const struct device_class ferr_class; /* port F0; irq 13; config: struct ferr_config */
void ferr_set(struct device *dev, bool level);

#endif
