/*
 * The 82441FX host bridge: see i440fx.c.
 */
#ifndef RING3_I440FX_H
#define RING3_I440FX_H

#include "devices/pci.h"

/* 00:00.0; PAM and SMRAM registers move memory; config: struct pci_slot */
extern const struct device_class i440fx_class;

/* The BIOS as it shows below 1 MiB: 128 KiB at E0000, where PAM does not put RAM.
 * Page-aligned. */
void i440fx_set_rom(struct device *dev, u8 *rom);

#endif
