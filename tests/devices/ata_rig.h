/*
 * Driving the IDE controller by its ports, as a driver does: shared by ata.c and atapi.c.
 */
#ifndef RING3_TEST_ATA_RIG_H
#define RING3_TEST_ATA_RIG_H

#include "devices/ata_private.h"
#include "devices/disk.h"
#include "runtime/machine/machine.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"

/* A controller with up to two drives on channel 0 (the given disks) and none on channel 1. */
struct rig *ata_rig(struct disk *master, struct disk *slave);
/* Writes count, low, mid, high, device, then the command. */
void ata_issue(struct rig *r, u8 command, u8 count, u32 lba, u8 device);
/* Turns the clock until the drive is not busy (a second at most) and returns its status, read
 * at the alternate register: the interrupt stays. */
u8 ata_wait(struct rig *r);
void ata_take(struct rig *r, void *buf, u32 bytes); /* by 16-bit reads of the data port */
void ata_give(struct rig *r, const void *buf, u32 bytes);

enum { P_DATA = 0x1f0, P_ERROR, P_COUNT, P_LOW, P_MID, P_HIGH, P_DEVICE, P_STATUS,
       P_CONTROL = 0x3f6 };
enum { READY = SR_DRDY | SR_DSC };

#endif
