/*
 * The 82077AA floppy controller: see i82077.c.
 */
#ifndef RING3_I82077_H
#define RING3_I82077_H

#include "devices/device.h"
#include "devices/disk.h"

/* 3F0-3F7, irq 6, DMA 2; config: struct floppy_config */
extern const struct device_class i82077_class;

struct floppy_config {
    struct disk *drive[2];
    struct device *dma; /* the 8237s; NULL: none */
};

#endif
