/*
 * The pair of 8259A interrupt controllers: see i8259.c.
 */
#ifndef RING3_I8259_H
#define RING3_I8259_H

#include "devices/device.h"

/* the pair; owns ports 20, 21, A0, A1, 4D0, 4D1 */
extern const struct device_class i8259_class;

void i8259_set(struct device *dev, u32 pin, bool level); /* ISA pin 0 to 15 */
bool i8259_intr(struct device *dev);                     /* INTR output */
u8 i8259_ack(struct device *dev);                        /* INTA cycle: the vector */
/* The INTR pin; parts.c connects it with irq_init(). */
struct irq *i8259_output(struct device *dev);
/* True while the pin's request is latched and not yet acknowledged: a further edge would be
 * lost. Timers use it to catch up on ticks. */
bool i8259_busy(struct device *dev, u32 pin);
/* True while the guest masks the pin (OCW1): it does not want these interrupts from here. */
bool i8259_masked(struct device *dev, u32 pin);
/* Both chips' registers, a line each, in QEMU's format. */
void i8259_tell(const struct device *dev, FILE *out);

#endif
