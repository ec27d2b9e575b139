/*
 * ACPI tables (ACPI 1.0b, chapter 5) for the board, handed to the firmware through fw_cfg.
 */
#ifndef RING3_ACPI_H
#define RING3_ACPI_H

#include "devices/aml.h"
#include "devices/device.h"

/* Where the firmware puts the PIIX4's power management ports (SeaBIOS: PORT_ACPI_PM_BASE). */
enum { ACPI_PM_BASE = 0x600 };

struct acpi_config {
    u64 ram;   /* bytes: PCI memory is placed above it as SeaBIOS does */
    bool apic; /* the CPU has a local APIC: describe it and the I/O APIC */
    bool com2; /* there is a second serial port */
    bool hpet; /* there is one, at HPET_BASE of hpet.h */
};
/* Makes the tables and adds "etc/acpi/rsdp", "etc/acpi/tables", "etc/table-loader" and
 * "etc/system-states" to fw_cfg. */
void acpi_build(struct device *fw_cfg, const struct acpi_config *config);

/* dsdt.c: the body of the DSDT. pci_window: where PCI memory starts. */
void dsdt_build(struct aml *a, u32 pci_window, const struct acpi_config *config);

#endif
