/*
 * Driving the IDE controller by its ports.
 */
#include <string.h>

#include "tests/devices/ata_rig.h"

struct rig *ata_rig(struct disk *master, struct disk *slave)
{
    static struct ide_config config;

    config = (struct ide_config){ { { master, slave }, { NULL, NULL } } };
    return rig_new(&ata_class, &config);
}

void ata_issue(struct rig *r, u8 command, u8 count, u32 lba, u8 device)
{
    rig_out8(r, P_DEVICE, device);
    rig_out8(r, P_COUNT, count);
    rig_out8(r, P_LOW, (u8)lba);
    rig_out8(r, P_MID, (u8)(lba >> 8));
    rig_out8(r, P_HIGH, (u8)(lba >> 16));
    rig_out8(r, P_STATUS, command);
}

u8 ata_wait(struct rig *r)
{
    for (u32 i = 0; i < 1000000 && rig_in8(r, P_CONTROL) & SR_BSY; i++)
        rig_advance(r, USEC(1));
    return rig_in8(r, P_CONTROL);
}

void ata_take(struct rig *r, void *buf, u32 bytes)
{
    for (u32 i = 0; i < bytes; i += 2) {
        u16 word = rig_in16(r, P_DATA);

        memcpy((u8 *)buf + i, &word, bytes - i < 2 ? 1 : 2);
    }
}

void ata_give(struct rig *r, const void *buf, u32 bytes)
{
    for (u32 i = 0; i < bytes; i += 2) {
        u16 word = 0;

        memcpy(&word, (const u8 *)buf + i, bytes - i < 2 ? 1 : 2);
        rig_out16(r, P_DATA, word);
    }
}
