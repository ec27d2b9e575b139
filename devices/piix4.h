/*
 * Power management of the 82371AB: see piix4.c.
 */
#ifndef RING3_PIIX4_H
#define RING3_PIIX4_H

#include "devices/pci.h"

/* 00:01.3 power management: ACPI timer, S5, SMI port; config: struct pci_slot */
extern const struct device_class piix4_class;

void piix4_power_button(struct device *dev); /* wakes, if the guest has enabled it */
void piix4_rtc_alarm(struct device *dev);    /* the same */
void piix4_wake(struct device *dev);         /* a key, or a program of the host's: wakes always */
bool piix4_asleep(const struct device *dev); /* in S3, from the guest's write to the first instruction */

#endif
