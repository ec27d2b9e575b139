/*
 * The PCI bus and its chips, wired as runtime/parts.c does, for tests.
 */
#ifndef RING3_TEST_PCI_RIG_H
#define RING3_TEST_PCI_RIG_H

#include "devices/pci.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

struct pci_rig {
    struct pci_slot slot; /* the bus: config of what is plugged into it */
    struct device *i440fx, *piix3, *piix4;
};
/* Adds bus, host bridge, ISA bridge and power management. Freed with the rig. */
struct pci_rig *pci_rig_add(struct rig *r);

#endif
