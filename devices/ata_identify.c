/*
 * What IDENTIFY DEVICE and IDENTIFY PACKET DEVICE answer: 256 words (ATA/ATAPI-6, 8.15 and
 * 8.16).
 */
#include <string.h>

#include "devices/ata_private.h"

static void put_word(struct ata_drive *d, u32 word, u32 val)
{
    d->buffer[word * 2] = (u8)val;
    d->buffer[word * 2 + 1] = (u8)(val >> 8);
}

static void put_dword(struct ata_drive *d, u32 word, u32 val)
{
    put_word(d, word, val & 0xffff);
    put_word(d, word + 1, val >> 16);
}

/* Two characters a word, the first in the high byte, padded with spaces. */
static void put_text(struct ata_drive *d, u32 word, u32 words, const char *text)
{
    size_t n = strlen(text);

    for (u32 i = 0; i < words * 2; i++)
        d->buffer[word * 2 + (i ^ 1)] = i < n ? (u8)text[i] : ' ';
}

/* One bit of the high byte marks the mode in use. */
static u32 active_mode(const struct ata_drive *d, u32 kind)
{
    return d->mode >> 3 == kind ? 0x100u << (d->mode & 7) : 0;
}

static void identify_common(struct ata_drive *d, const char *model)
{
    const struct disk *disk = d->disk;
    char serial[] = "R3-0000";

    serial[5] += d->channel->index;
    serial[6] += d->unit;
    put_text(d, 10, 10, disk && disk->serial ? disk->serial : serial);
    put_text(d, 23, 4, disk && disk->version ? disk->version : "1.0");
    put_text(d, 27, 20, disk && disk->model ? disk->model : model);
    put_word(d, 48, 1);      /* 32-bit accesses to the data port */
    put_word(d, 49, 0x0b00); /* IORDY, LBA, DMA */
    put_word(d, 53, 7);      /* 54-58, 64-70 and 88 are valid */
    put_word(d, 63, 0x07 | active_mode(d, 4));
    put_word(d, 64, 3); /* PIO 3 and 4 */
    for (u32 w = 65; w <= 68; w++)
        put_word(d, w, 120); /* ns a cycle */
    put_word(d, 88, 0x3f | active_mode(d, 8));
}

static void identify_capacity(struct ata_drive *d)
{
    u64 n = ata_sectors(d);
    u64 chs = (u64)d->cylinders * d->heads * d->sectors;

    put_word(d, 54, d->cylinders);
    put_word(d, 55, d->heads);
    put_word(d, 56, d->sectors);
    put_dword(d, 57, chs < 0xffffffff ? (u32)chs : 0xffffffff);
    put_dword(d, 60, n < 0x0fffffff ? (u32)n : 0x0fffffff);
    put_dword(d, 100, (u32)n);
    put_dword(d, 102, (u32)(n >> 32));
}

static void identify_disk(struct ata_drive *d)
{
    u32 cylinders, heads, sectors;

    identify_common(d, "RING3 HARDDISK");
    ata_geometry(d->disk, &cylinders, &heads, &sectors);
    put_word(d, 0, 0x0040); /* fixed drive */
    put_word(d, 1, cylinders);
    put_word(d, 3, heads);
    put_word(d, 4, SECTOR * sectors);
    put_word(d, 5, SECTOR);
    put_word(d, 6, sectors);
    put_word(d, 20, 3);
    put_word(d, 21, 16); /* KiB of cache, in sectors */
    put_word(d, 22, 4);
    put_word(d, 47, 0x8000 | ATA_MULTIPLE);
    put_word(d, 50, 0x4000);
    put_word(d, 51, 0x0200);
    put_word(d, 52, 0x0200);
    identify_capacity(d);
    put_word(d, 59, d->multiple ? 0x0100 | d->multiple : 0);
    put_word(d, 80, 0x007e); /* ATA-1 to ATA/ATAPI-6 */
    /* Supported, then enabled: NOP, buffers, look-ahead, write cache, power management; flush,
     * LBA48. */
    put_word(d, 82, 0x7068);
    put_word(d, 83, 0x7400);
    put_word(d, 84, 0x4000);
    put_word(d, 85, 0x7048 | (d->write_cache ? 0x20 : 0));
    put_word(d, 86, 0x3400);
    put_word(d, 87, 0x4000);
    put_word(d, 93, 0x6001 | (d->unit ? 0x0200 : 0)); /* 80-wire cable */
}

static void identify_cd(struct ata_drive *d)
{
    identify_common(d, "RING3 CD-ROM");
    /* packet device, CD, removable, DRQ within 50 us, 12-byte packets */
    put_word(d, 0, 0x85c0);
    put_word(d, 80, 0x007e);
    put_word(d, 82, 0x4218); /* NOP, DEVICE RESET, PACKET, power management */
    put_word(d, 83, 0x4000);
    put_word(d, 84, 0x4000);
    put_word(d, 85, 0x4218);
    put_word(d, 87, 0x4000);
    put_word(d, 93, 0x6001 | (d->unit ? 0x0200 : 0));
}

/* Word 255: all 512 bytes add up to zero. */
static void identify_seal(struct ata_drive *d)
{
    u8 sum = 0;

    d->buffer[510] = 0xa5;
    for (u32 i = 0; i < 511; i++)
        sum += d->buffer[i];
    d->buffer[511] = (u8)-sum;
}

void ata_step_identify(struct ata_drive *d)
{
    memset(d->buffer, 0, SECTOR);
    if (ata_is_cd(d))
        identify_cd(d);
    else
        identify_disk(d);
    identify_seal(d);
    if (ata_is_cd(d))
        d->count[0] = IR_IO;
    ata_offer(d, 0, SECTOR, false, STEP_NONE);
    ata_interrupt(d);
}
