/*
 * Cylinders, heads and sectors of a hard disk, for IDENTIFY, the CMOS and the BIOS. A system
 * installed elsewhere wrote its partition table with the geometry it saw; the end of a
 * partition tells it, since partitions end on a cylinder's last sector. The rules are those
 * QEMU applies, so that a disk moves between the two and boots.
 */
#include <string.h>

#include "devices/ata_private.h"

struct geometry {
    u32 cylinders, heads, sectors;
};

/* The logical geometry the partition table was written with. */
static bool geometry_from_table(struct disk *d, struct geometry *g)
{
    u8 mbr[512];

    if (!disk_read(d, 0, mbr, sizeof(mbr)) || mbr[510] != 0x55 || mbr[511] != 0xaa)
        return false;
    for (const u8 *p = mbr + 446; p < mbr + 510; p += 16) {
        u32 end_head = p[5], end_sector = p[6] & 63;
        u32 count = p[12] | p[13] << 8 | p[14] << 16 | (u32)p[15] << 24;

        if (!count || !end_head || !end_sector)
            continue;
        u64 cylinders = d->size / SECTOR / ((end_head + 1) * end_sector);
        if (cylinders < 1 || cylinders > 16383)
            continue;
        *g = (struct geometry){ (u32)cylinders, end_head + 1, end_sector };
        return true;
    }
    return false;
}

/* What a drive says of itself when nothing is known: 16 heads, 63 sectors, at most 16383. */
static struct geometry geometry_standard(const struct disk *d)
{
    u64 cylinders = d->size / SECTOR / (16 * 63);

    cylinders = cylinders > 16383 ? 16383 : cylinders < 2 ? 2 : cylinders;
    return (struct geometry){ (u32)cylinders, 16, 63 };
}

static bool geometry_wanted(const struct disk *d, struct geometry *g)
{
    if (!d->heads || !d->sectors || d->heads > 16 || d->sectors > 255)
        return false;
    u64 cylinders = d->cylinders ? d->cylinders : d->size / SECTOR / (d->heads * d->sectors);
    cylinders = cylinders > 65535 ? 65535 : cylinders < 1 ? 1 : cylinders;
    *g = (struct geometry){ (u32)cylinders, d->heads, d->sectors };
    return true;
}

void ata_geometry(struct disk *d, u32 *cylinders, u32 *heads, u32 *sectors)
{
    struct geometry g;

    /* More heads than the task file can name: a BIOS translated, and the drive has its own. */
    if (!geometry_wanted(d, &g) && (!geometry_from_table(d, &g) || g.heads > 16))
        g = geometry_standard(d);
    *cylinders = g.cylinders;
    *heads = g.heads;
    *sectors = g.sectors;
}

enum ata_translation ata_translation(struct disk *d)
{
    struct geometry g, logical;

    ata_geometry(d, &g.cylinders, &g.heads, &g.sectors);
    if (!geometry_wanted(d, &logical) && geometry_from_table(d, &logical)) {
        if (logical.heads <= 16)
            return ATA_TRANSLATE_NONE;
        return g.cylinders * g.heads <= 131072 ? ATA_TRANSLATE_LARGE : ATA_TRANSLATE_LBA;
    }
    /* What INT 13h can name is left alone. */
    return g.cylinders <= 1024 && g.sectors <= 63 ? ATA_TRANSLATE_NONE : ATA_TRANSLATE_LBA;
}
