/*
 * The data port: blocks that the guest moves by hand (PIO), for disks and CDs alike, and the
 * sector commands over it. A read interrupts when a block is ready, a write when a block has
 * been taken; the first block of a write is asked for without an interrupt (ATA/ATAPI-6, 9.5
 * and 9.6).
 */
#include <string.h>

#include "devices/ata_private.h"

/* The guest has moved the last word. */
static void ata_block_moved(struct ata_drive *d)
{
    enum ata_step then = d->then;

    d->then = STEP_NONE;
    if (then == STEP_NONE)
        d->status = SR_DRDY | SR_DSC;
    else
        ata_after(d, then, then == STEP_PACKET ? ATA_COMMAND_TIME : ATA_BLOCK_TIME);
}

static u32 ata_data_take(struct ata_drive *d, u32 size, bool taking)
{
    if (!(d->status & SR_DRQ) || d->status & SR_BSY || d->taking != taking)
        return 0;
    return d->end - d->pos < size ? d->end - d->pos : size;
}

u32 ata_data_read(struct ata_drive *d, u32 size)
{
    u32 val = 0, n = ata_data_take(d, size, false);

    memcpy(&val, d->buffer + d->pos, n);
    d->pos += n;
    if (n && d->pos == d->end)
        ata_block_moved(d);
    return val;
}

void ata_data_write(struct ata_drive *d, u32 size, u32 val)
{
    u32 n = ata_data_take(d, size, true);

    memcpy(d->buffer + d->pos, &val, n);
    d->pos += n;
    if (n && d->pos == d->end)
        ata_block_moved(d);
}

/* Whole words of the block at once, for INS and OUTS. */
u32 ata_data_read_string(struct ata_drive *d, u32 size, void *buf, u32 n)
{
    u32 most = ata_data_take(d, ATA_BUFFER, false) / size;

    n = n < most ? n : most;
    memcpy(buf, d->buffer + d->pos, n * size);
    d->pos += n * size;
    if (n && d->pos == d->end)
        ata_block_moved(d);
    return n;
}

u32 ata_data_write_string(struct ata_drive *d, u32 size, const void *buf, u32 n)
{
    u32 most = ata_data_take(d, ATA_BUFFER, true) / size;

    n = n < most ? n : most;
    memcpy(d->buffer + d->pos, buf, n * size);
    d->pos += n * size;
    if (n && d->pos == d->end)
        ata_block_moved(d);
    return n;
}

/* ---- Sectors ---- */

static u32 ata_block_bytes(const struct ata_drive *d)
{
    return (d->left < d->block ? d->left : d->block) * SECTOR;
}

void ata_pio_start(struct ata_drive *d, bool storing, u32 block)
{
    d->block = block;
    if (storing)
        ata_offer(d, 0, ata_block_bytes(d), true, STEP_WRITE);
    else
        ata_after(d, STEP_READ, ATA_COMMAND_TIME);
}

/* The registers show the last sector done and how many are left. */
static void ata_progress(struct ata_drive *d, u32 bytes)
{
    d->lba += bytes / SECTOR;
    d->left -= bytes / SECTOR;
    ata_set_address(d, d->lba - 1);
    d->count[0] = (u8)d->left;
    d->count[1] = (u8)(d->left >> 8);
}

static void ata_medium_error(struct ata_drive *d)
{
    ata_set_address(d, d->lba);
    ata_finish(d, ER_UNC);
}

void ata_step_read(struct ata_drive *d)
{
    u32 n = ata_block_bytes(d);

    if (!disk_read(d->disk, d->lba * SECTOR, d->buffer, n)) {
        ata_medium_error(d);
        return;
    }
    ata_progress(d, n);
    ata_offer(d, 0, n, false, d->left ? STEP_READ : STEP_NONE);
    ata_interrupt(d);
}

void ata_step_write(struct ata_drive *d)
{
    u32 n = ata_block_bytes(d);

    if (!disk_write(d->disk, d->lba * SECTOR, d->buffer, n)) {
        ata_medium_error(d);
        return;
    }
    ata_progress(d, n);
    if (d->left) {
        ata_offer(d, 0, ata_block_bytes(d), true, STEP_WRITE);
        ata_interrupt(d);
    } else if (d->write_cache) {
        ata_finish(d, 0);
    } else {
        ata_after(d, STEP_FLUSH, 0);
    }
}

void ata_step_flush(struct ata_drive *d)
{
    disk_flush_begin(d->disk);
    ata_step_flushing(d);
}

void ata_step_flushing(struct ata_drive *d)
{
    enum disk_flush state = disk_flush_poll(d->disk);

    if (state == FLUSH_RUNNING)
        ata_after(d, STEP_FLUSHING, ATA_FLUSH_TIME);
    else
        ata_finish(d, state == FLUSH_DONE ? 0 : ER_UNC);
}
