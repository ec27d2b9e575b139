/*
 * The BIOS below 1 MiB of a board without a host bridge: see isa_bios.c.
 */
#ifndef RING3_ISA_BIOS_H
#define RING3_ISA_BIOS_H

#include "devices/device.h"

extern const struct device_class isa_bios_class;

enum { ISA_BIOS_SIZE = 0x20000 };
/* What shows at E0000 from each RESET on: ISA_BIOS_SIZE bytes that outlive the chip. */
void isa_bios_set(struct device *dev, const u8 *rom);

#endif
