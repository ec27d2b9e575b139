/*
 * The high-precision event timer: see hpet.c.
 */
#ifndef RING3_HPET_H
#define RING3_HPET_H

#include "devices/device.h"

enum { HPET_ID = 0x8086a201 }; /* low half of its capabilities: what the ACPI table repeats */
#define HPET_BASE 0xfed00000u

/* memory FED00000; config: struct hpet_config, read at each use */
extern const struct device_class hpet_class;

struct hpet_config {
    /* Where interrupts go: ISA line 0 or 8, in the place of the 8254 and the MC146818; or a pin of the
     * I/O APIC. */
    void (*isa)(struct machine *m, u32 line, bool level);
    void (*pin)(struct machine *m, u32 pin, bool level);
    /* An edge there would now be lost, the one before it still waiting; NULL: never. */
    bool (*isa_busy)(struct machine *m, u32 line);
    bool (*pin_busy)(struct machine *m, u32 pin);
};

/* The outputs of the 8254 (line 0) and the MC146818 (8): they go on, unless the HPET replaces them. */
void hpet_isa_input(struct device *dev, u32 line, bool level);

#endif
