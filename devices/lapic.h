/*
 * The local APIC: see lapic.c.
 */
#ifndef RING3_LAPIC_H
#define RING3_LAPIC_H

#include "devices/device.h"

extern const struct device_class lapic_class; /* memory FEE00000; config: struct lapic_config */

/* What the local APIC is wired to. Any may be NULL: not connected. */
struct lapic_config {
    void (*intr)(struct machine *m, bool level);       /* INTR of the core */
    void (*event)(struct machine *m, u32 delivery);    /* to the core: 2 SMI, 4 NMI, 5 INIT */
    /* INTA cycle at the 8259s, for an ExtINT */
    u8 (*inta)(struct machine *m);
    void (*eoi)(struct machine *m, u8 vector);         /* EOI message, to the I/O APIC */
};
/* LINT0 takes the 8259s' INTR (ExtINT, "virtual wire") as the MP specification 3.6.2 draws.
 * LINT1 is the NMI pin. */
void lapic_set_lint(struct device *dev, u32 pin, bool level); /* 0 or 1 */
/* A message from the I/O APIC. delivery: 0 fixed, 1 lowest, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT.
 * False: not for this processor, or its APIC is disabled. */
bool lapic_message(struct device *dev, u8 vector, u32 delivery, u8 destination, bool logical,
                   bool level);
/* Called by the CPU (through parts.c): is there an interrupt for it, and which vector? An
 * ExtINT fetches its vector from the 8259s. -1: spurious, none after all. */
bool lapic_intr(struct device *dev);
int lapic_ack(struct device *dev);
/* The vector is requested and not yet taken by the core: a further edge would be lost. */
bool lapic_busy(struct device *dev, u8 vector);
u64 lapic_base_msr_read(struct device *dev); /* MSR 1B (IA32_APIC_BASE) */
bool lapic_base_msr_write(struct device *dev, u64 val); /* false: #GP */

/* Its state, in the format of QEMU's `info lapic`. */
void lapic_tell(struct device *dev, FILE *out);

#endif
