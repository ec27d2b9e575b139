/*
 * The 82371SB south bridge: see piix3.c.
 */
#ifndef RING3_PIIX3_H
#define RING3_PIIX3_H

#include "devices/pci.h"

/* 00:01.0 ISA bridge, 00:01.1 IDE, PIRQ routing, CF9; config: struct piix3_config */
extern const struct device_class piix3_class;

struct piix3_config {
    struct pci_slot slot;
    /* bus master: BAR 4 of the IDE function is forwarded there. NULL: none */
    struct device *ata;
};

/* For struct pci_config. */
void piix3_set_pirq(struct device *dev, u32 pirq, bool level);
u8 piix3_rcr_read(struct device *dev);
void piix3_rcr_write(struct device *dev, u8 val);

#endif
