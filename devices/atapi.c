/*
 * The PACKET protocol of the CD drive: twelve bytes in, a reply out in DRQ blocks no larger
 * than the byte count the guest allowed (or by DMA), then a status phase (ATA/ATAPI-6, 9.8 and
 * 9.9).
 *
 * A reply is `total` bytes long. buffer[end, fill) holds what is fetched and not yet offered;
 * a reply that streams sectors refills it from `lba`, `left` sectors more, `form` bytes each.
 */
#include <string.h>

#include "devices/atapi.h"

void atapi_start(struct ata_drive *d)
{
    d->packet_dma = d->feature[0] & 1;
    d->limit = d->mid[0] | d->high[0] << 8;
    if (d->limit == 0 || d->limit == 0xffff)
        d->limit = 0xfffe;
    if (d->limit > 1)
        d->limit &= ~1u; /* odd blocks are for the last one only */
    d->total = 0;
    d->count[0] = IR_COD;
    ata_offer(d, 0, sizeof(d->packet), true, STEP_PACKET);
}

void atapi_reset(struct ata_drive *d)
{
    d->sense_key = d->asc = d->ascq = 0;
    d->total = d->fill = 0;
    d->disk->locked = false;
}

/* ---- Ends of a command ---- */

void atapi_ok(struct ata_drive *d)
{
    d->total = 0;
    d->count[0] = IR_COD | IR_IO;
    ata_finish(d, 0);
}

void atapi_fail(struct ata_drive *d, u8 key, u32 asc)
{
    trace(TRACE_DISK, "ide%u.%u packet %02x fails: sense %x, %04x", d->channel->index, d->unit,
          d->packet[0], key, asc);
    d->sense_key = key;
    d->asc = (u8)(asc >> 8);
    d->ascq = (u8)asc;
    d->total = 0;
    d->count[0] = IR_COD | IR_IO;
    ata_finish(d, (u8)(key << 4 | ER_ABRT));
}

static void atapi_begin_data(struct ata_drive *d)
{
    d->pos = d->end = 0;
    if (d->packet_dma)
        ata_dma_after(d, ATA_BLOCK_TIME);
    else
        atapi_step_data(d);
}

void atapi_reply(struct ata_drive *d, u32 n, u32 room)
{
    d->form = 0;
    d->left = 0;
    d->fill = n;
    d->total = n < room ? n : room;
    if (d->total)
        atapi_begin_data(d);
    else
        atapi_ok(d);
}

void atapi_stream(struct ata_drive *d, u32 lba, u32 count, u32 form)
{
    u64 sectors = atapi_sectors(d);

    if (lba > sectors || count > sectors - lba || (u64)count * form > UINT32_MAX) {
        atapi_fail(d, ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
        return;
    }
    d->form = form;
    d->lba = lba;
    d->left = count;
    d->fill = 0;
    d->total = count * form;
    if (d->total)
        atapi_begin_data(d);
    else
        atapi_ok(d);
}

/* ---- The data phase ---- */

/* A raw sector of mode 1: sync, address, user data; EDC and ECC are left zero. */
static bool atapi_read_raw(struct ata_drive *d, u8 *to)
{
    memset(to, 0, CD_RAW);
    memset(to + 1, 0xff, 10);
    put_msf(to + 12, (u32)d->lba);
    for (u32 i = 12; i < 15; i++)
        to[i] = (u8)(to[i] / 10 << 4 | to[i] % 10); /* BCD on the disc */
    to[15] = 1;
    return disk_read(d->disk, d->lba * CD_SECTOR, to + 16, CD_SECTOR);
}

/* Makes at least n bytes ready at buffer[0]. false: medium error. */
static bool atapi_fetch(struct ata_drive *d, u32 n)
{
    u32 kept = d->fill - d->end;

    memmove(d->buffer, d->buffer + d->end, kept);
    d->fill = kept;
    d->pos = d->end = 0;
    if (d->fill >= n || !d->form)
        return true;
    u32 sectors = (n - d->fill + d->form - 1) / d->form;
    if (sectors > d->left)
        sectors = d->left;
    for (u32 i = 0; i < sectors; i++, d->lba++, d->left--, d->fill += d->form) {
        u8 *to = d->buffer + d->fill;

        if (d->form == CD_SECTOR ? !disk_read(d->disk, d->lba * CD_SECTOR, to, CD_SECTOR) :
                                   !atapi_read_raw(d, to))
            return false;
    }
    return true;
}

static void atapi_dma_slice(struct ata_drive *d, u32 n)
{
    if (ata_dma_move(d->channel, d->buffer, n, true) < n) {
        trace(TRACE_DISK, "ide%u.%u: descriptor table too short", d->channel->index, d->unit);
        d->status = SR_BSY | SR_DRDY | SR_DSC;
        d->dma_wait = true;
        return;
    }
    d->end = n;
    d->total -= n;
    if (d->total)
        ata_dma_after(d, ATA_BLOCK_TIME);
    else
        atapi_ok(d);
}

void atapi_step_data(struct ata_drive *d)
{
    u32 most = d->packet_dma ? ATA_SLICE : d->limit;
    u32 n = d->total < most ? d->total : most;

    if (!d->total) {
        atapi_ok(d);
        return;
    }
    if (!atapi_loaded(d) && d->form) {
        atapi_fail(d, NOT_READY, ASC_NO_MEDIUM);
        return;
    }
    if (!atapi_fetch(d, n) || d->fill < n) {
        atapi_fail(d, MEDIUM_ERROR, ASC_UNRECOVERED_READ);
        return;
    }
    if (d->packet_dma) {
        atapi_dma_slice(d, n);
        return;
    }
    d->total -= n;
    d->count[0] = IR_IO;
    d->mid[0] = (u8)n;
    d->high[0] = (u8)(n >> 8);
    ata_offer(d, 0, n, false, STEP_PACKET_DATA);
    ata_interrupt(d);
}

/* ---- The packet ---- */

u32 atapi_sectors(const struct ata_drive *d)
{
    u64 n = d->disk->size / CD_SECTOR;

    return n < UINT32_MAX ? (u32)n : UINT32_MAX;
}

bool atapi_loaded(const struct ata_drive *d)
{
    return d->disk->impl && !d->tray_open;
}

/* The host put in another medium, or took it out. */
static void atapi_look_at_medium(struct ata_drive *d)
{
    if (!d->disk->changed)
        return;
    d->disk->changed = false;
    d->tray_open = false;
    d->requests = d->disk->impl != NULL;
    d->media_event = d->disk->impl ? 2 : 3;
}

static bool atapi_may_run(struct ata_drive *d, const struct atapi_row *row)
{
    if (!row->run) {
        trace(TRACE_NYI, "packet command %02x", d->packet[0]);
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
        return false;
    }
    if (d->requests && !(row->needs & KEEPS_ATTENTION)) {
        d->requests = false;
        atapi_fail(d, UNIT_ATTENTION, ASC_MEDIUM_CHANGED);
        return false;
    }
    if (row->needs & NEEDS_MEDIUM && !atapi_loaded(d)) {
        atapi_fail(d, NOT_READY, d->tray_open ? ASC_TRAY_OPEN : ASC_NO_MEDIUM);
        return false;
    }
    return true;
}

void atapi_step_packet(struct ata_drive *d)
{
    const struct atapi_row *row;

    memcpy(d->packet, d->buffer, sizeof(d->packet));
    trace(TRACE_DISK, "ide%u.%u packet %02x %08x %08x%s, at most %u bytes", d->channel->index,
          d->unit, d->packet[0], be32(d->packet + 2), be32(d->packet + 6),
          d->packet_dma ? " by DMA" : "", d->limit);
    row = atapi_row(d->packet[0]);
    atapi_look_at_medium(d);
    if (!atapi_may_run(d, row))
        return;
    if (d->packet[0] != 0x03) /* REQUEST SENSE reports the one before */
        d->sense_key = d->asc = d->ascq = 0;
    memset(d->buffer, 0, 512);
    row->run(d, d->packet);
}
