/*
 * pci-testdev: a PCI function whose BARs count accesses; see pci_testdev.c.
 */
#ifndef RING3_PCI_TESTDEV_H
#define RING3_PCI_TESTDEV_H

#include "devices/pci.h"

extern const struct device_class pci_testdev_class; /* config: struct pci_slot */
extern const struct user_device pci_testdev_user_device;

#endif
