/*
 * The CD's command table, and the commands that read sectors or move the tray.
 * Source: SFF-8020i rev. 2.6 and MMC-3 (T10/1363-D), names as printed there.
 */
#include <string.h>

#include "devices/atapi.h"

static void atapi_test_unit_ready(struct ata_drive *d, const u8 *p)
{
    atapi_ok(d);
}

static void atapi_request_sense(struct ata_drive *d, const u8 *p)
{
    u8 *b = d->buffer;

    /* Nothing to report, but a medium change is pending: this is one way to learn of it. */
    if (!d->sense_key && d->requests) {
        d->requests = false;
        d->sense_key = UNIT_ATTENTION;
        d->asc = ASC_MEDIUM_CHANGED >> 8;
        d->ascq = 0;
    }
    b[0] = 0xf0;
    b[2] = d->sense_key;
    b[7] = 10;
    b[12] = d->asc;
    b[13] = d->ascq;
    d->sense_key = d->asc = d->ascq = 0;
    atapi_reply(d, 18, p[4]);
}

/* ---- Sectors ---- */

static void atapi_read_10(struct ata_drive *d, const u8 *p)
{
    atapi_stream(d, be32(p + 2), be16(p + 7), CD_SECTOR);
}

static void atapi_read_12(struct ata_drive *d, const u8 *p)
{
    atapi_stream(d, be32(p + 2), be32(p + 6), CD_SECTOR);
}

/* The sync, header, user data, EDC selection of byte 9: user data alone, or the raw sector. */
static void atapi_read_cd_part(struct ata_drive *d, u32 lba, u32 count, u8 parts)
{
    if (!(parts & 0xf8))
        atapi_stream(d, lba, 0, CD_SECTOR);
    else if ((parts & 0xf8) == 0x10)
        atapi_stream(d, lba, count, CD_SECTOR);
    else if ((parts & 0xf8) == 0xf8)
        atapi_stream(d, lba, count, CD_RAW);
    else
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
}

static void atapi_read_cd(struct ata_drive *d, const u8 *p)
{
    u32 type = p[1] >> 2 & 7;

    /* Any type, or mode 1: all there is. */
    if (type != 0 && type != 2)
        atapi_fail(d, ILLEGAL_REQUEST, ASC_WRONG_TRACK_MODE);
    else
        atapi_read_cd_part(d, be32(p + 2), (u32)p[6] << 16 | be16(p + 7), p[9]);
}

static void atapi_read_cd_msf(struct ata_drive *d, const u8 *p)
{
    u32 from = (p[3] * 60u + p[4]) * 75 + p[5], to = (p[6] * 60u + p[7]) * 75 + p[8];

    if (from < 150 || to < from)
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
    else
        atapi_read_cd_part(d, from - 150, to - from, p[9]);
}

static void atapi_read_capacity(struct ata_drive *d, const u8 *p)
{
    put_be32(d->buffer, atapi_sectors(d) - 1);
    put_be32(d->buffer + 4, CD_SECTOR);
    atapi_reply(d, 8, 8);
}

static void atapi_seek(struct ata_drive *d, const u8 *p)
{
    if (be32(p + 2) >= atapi_sectors(d))
        atapi_fail(d, ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
    else
        atapi_ok(d);
}

static void atapi_read_header(struct ata_drive *d, const u8 *p)
{
    d->buffer[0] = 1; /* mode 1 */
    if (be32(p + 2) >= atapi_sectors(d)) {
        atapi_fail(d, ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
        return;
    }
    if (p[1] & 2)
        put_msf(d->buffer + 5, be32(p + 2));
    else
        put_be32(d->buffer + 4, be32(p + 2));
    atapi_reply(d, 8, be16(p + 7));
}

/* ---- The tray ---- */

static void atapi_start_stop(struct ata_drive *d, const u8 *p)
{
    bool start = p[4] & 1, tray = p[4] & 2;

    if (tray && !start && d->disk->locked) {
        atapi_fail(d, ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED);
        return;
    }
    if (tray && d->tray_open == start) {
        d->tray_open = !start;
        d->media_event = d->tray_open ? 3 : d->disk->impl ? 2 : 0;
        d->requests = !d->tray_open && d->disk->impl;
    }
    atapi_ok(d);
}

static void atapi_prevent_removal(struct ata_drive *d, const u8 *p)
{
    d->disk->locked = p[4] & 1;
    atapi_ok(d);
}

static void atapi_set_speed(struct ata_drive *d, const u8 *p)
{
    atapi_ok(d);
}

/* clang-format off */
static const struct atapi_row rows[256] = {
    [0x00] = { atapi_test_unit_ready, NEEDS_MEDIUM },
    [0x03] = { atapi_request_sense, KEEPS_ATTENTION },
    [0x12] = { atapi_inquiry, KEEPS_ATTENTION },
    [0x1a] = { atapi_mode_sense },
    [0x1b] = { atapi_start_stop, KEEPS_ATTENTION },
    [0x1e] = { atapi_prevent_removal },
    [0x25] = { atapi_read_capacity, NEEDS_MEDIUM },
    [0x28] = { atapi_read_10, NEEDS_MEDIUM },
    [0x2b] = { atapi_seek, NEEDS_MEDIUM },
    [0x42] = { atapi_read_subchannel, NEEDS_MEDIUM },
    [0x43] = { atapi_read_toc, NEEDS_MEDIUM },
    [0x44] = { atapi_read_header, NEEDS_MEDIUM },
    [0x46] = { atapi_get_configuration, KEEPS_ATTENTION },
    [0x4a] = { atapi_get_event, KEEPS_ATTENTION },
    [0x51] = { atapi_read_disc_information, NEEDS_MEDIUM },
    [0x52] = { atapi_read_track_information, NEEDS_MEDIUM },
    [0x5a] = { atapi_mode_sense },
    [0xa8] = { atapi_read_12, NEEDS_MEDIUM },
    [0xb9] = { atapi_read_cd_msf, NEEDS_MEDIUM },
    [0xbb] = { atapi_set_speed },
    [0xbd] = { atapi_mechanism_status, KEEPS_ATTENTION },
    [0xbe] = { atapi_read_cd, NEEDS_MEDIUM },
};
/* clang-format on */

const struct atapi_row *atapi_row(u8 opcode)
{
    return &rows[opcode];
}
