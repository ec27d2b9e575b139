/*
 * Power management of the 82371AB: see piix4.c.
 */
#ifndef RING3_PIIX4_H
#define RING3_PIIX4_H

#include "devices/pci.h"

/* 00:01.3 power management: ACPI timer, S5, SMI port; config: struct pci_slot */
extern const struct device_class piix4_class;

void piix4_power_button(struct device *dev);

#endif
