/*
 * The IDE controller with its disks and CDs: see ata.c.
 */
#ifndef RING3_ATA_H
#define RING3_ATA_H

#include "devices/device.h"
#include "devices/disk.h"

/* Both channels: 1F0, 3F6, irq 14; 170, 376, irq 15. Config: struct ide_config. */
extern const struct device_class ata_class;

struct ide_config {
    struct disk *drive[2][2]; /* [channel][unit]; NULL: no drive there */
};

/* Bus master: piix3 forwards its BAR 4 here. off 0-15: channel 0 at 0-7, channel 1 at 8-15. */
u32 ata_busmaster_read(struct device *dev, u32 off, enum io_size size);
void ata_busmaster_write(struct device *dev, u32 off, enum io_size size, u32 val);
/* The geometry the guest sees for a hard disk (CMOS and BIOS agree with IDENTIFY). */
void ata_geometry(struct disk *d, u32 *cylinders, u32 *heads, u32 *sectors);
/* How the BIOS turns that geometry into its own, two bits as CMOS 39 has them. */
enum ata_translation { ATA_TRANSLATE_NONE, ATA_TRANSLATE_LBA, ATA_TRANSLATE_LARGE };
enum ata_translation ata_translation(struct disk *d);

#endif
