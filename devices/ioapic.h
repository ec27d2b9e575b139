/*
 * The 82093AA I/O APIC: see ioapic.c.
 */
#ifndef RING3_IOAPIC_H
#define RING3_IOAPIC_H

#include "devices/device.h"

/* memory FEC00000; config: struct ioapic_config */
extern const struct device_class ioapic_class;

struct ioapic_config {
    /* lapic_message(); NULL: nobody listens. */
    bool (*send)(struct machine *m, u8 vector, u32 delivery, u8 destination, bool logical,
                 bool level);
    /* lapic_busy() */
    bool (*busy)(struct machine *m, u8 vector);
};
void ioapic_set(struct device *dev, u32 pin, bool level); /* pin 0 to 23; true: asserted */
void ioapic_eoi(struct device *dev, u8 vector);           /* EOI message from a local APIC */
/* As i8259_busy(): an edge on the pin would now be lost. False if masked. */
bool ioapic_busy(struct device *dev, u32 pin);
/* The redirection table, in QEMU's format. */
void ioapic_tell(const struct device *dev, FILE *out);

#endif
