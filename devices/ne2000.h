/*
 * NE2000 network cards: see ne2000.c.
 */
#ifndef RING3_NE2000_H
#define RING3_NE2000_H

#include "devices/nic.h"

/* 32 ports at iobase; config: struct nic_config */
extern const struct device_class ne2k_isa_class;
extern const struct device_class ne2k_pci_class; /* PCI 10EC:8029; config: struct nic_config */
extern const struct user_device ne2k_isa_user_device, ne2k_pci_user_device;

#endif
