/*
 * The CD commands that answer with tables: who the drive is, what it can do, what is on the
 * disc. A disc is one session with one data track. Source: SFF-8020i rev. 2.6; MMC-3 6.
 */
#include <string.h>

#include "devices/atapi.h"

enum { CD_LARGEST = 450000, /* sectors: 100 minutes; what is larger is a DVD */
       DATA_TRACK = 0x14, LEAD_OUT = 0xaa };

static void put_text(u8 *b, u32 n, const char *text)
{
    size_t length = strlen(text);

    memset(b, ' ', n);
    memcpy(b, text, length < n ? length : n);
}

static void put_address(u8 *b, u32 lba, bool msf)
{
    if (!msf) {
        put_be32(b, lba);
        return;
    }
    b[0] = 0;
    put_msf(b + 1, lba);
}

void atapi_inquiry(struct ata_drive *d, const u8 *p)
{
    u8 *b = d->buffer;

    if (p[1] & 1) { /* vital product data */
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    b[0] = 0x05; /* CD-ROM */
    b[1] = 0x80; /* removable */
    b[3] = 0x21; /* ATAPI response format */
    b[4] = 31;
    put_text(b + 8, 8, "RING3");
    put_text(b + 16, 16, "CD-ROM");
    put_text(b + 32, 4, "1.0");
    atapi_reply(d, 36, p[4]);
}

/* ---- MODE SENSE ---- */

/* clang-format off */
static const u8 page_errors[] = { 0x01, 6, 0, 5, 0, 0, 0, 0 };
static const u8 page_audio[] = { 0x0e, 14, 4, 0, 0, 0, 0, 0, 1, 0xff, 2, 0xff, 0, 0, 0, 0 };
/* Reads CD-R and CD-RW; mode 2, multi-session; locks, ejects, tray; 40x, 512 KiB buffer. */
static const u8 page_capabilities[] = { 0x2a, 18, 0x03, 0, 0x70, 0, 0x29, 0,
                                        0x1b, 0x90, 0, 2, 2, 0, 0x1b, 0x90, 0, 0, 0, 0 };
/* clang-format on */
static const struct {
    u8 code, size;
    const u8 *bytes;
} pages[] = {
    { 0x01, sizeof(page_errors), page_errors },
    { 0x0e, sizeof(page_audio), page_audio },
    { 0x2a, sizeof(page_capabilities), page_capabilities },
};

/* Appends the page asked for (3f: all) at buffer[at]. Returns the new end. */
static u32 mode_pages(struct ata_drive *d, u32 at, u8 code, bool changeable)
{
    for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
        if (code != pages[i].code && code != 0x3f)
            continue;
        memcpy(d->buffer + at, pages[i].bytes, pages[i].size);
        if (changeable)
            memset(d->buffer + at + 2, 0, pages[i].size - 2);
        else if (pages[i].code == 0x2a)
            d->buffer[at + 6] |= d->disk->locked ? 2 : 0;
        at += pages[i].size;
    }
    return at;
}

void atapi_mode_sense(struct ata_drive *d, const u8 *p)
{
    bool ten = p[0] == 0x5a;
    u32 head = ten ? 8 : 4, control = p[2] >> 6;
    u32 n = mode_pages(d, head, p[2] & 0x3f, control == 1);
    u8 medium = d->tray_open ? 0x71 : d->disk->impl ? 0x01 : 0x70;

    if (control == 3 || n == head) {
        atapi_fail(d, ILLEGAL_REQUEST,
                   control == 3 ? ASC_SAVING_UNSUPPORTED : ASC_INVALID_FIELD);
        return;
    }
    if (ten)
        put_be16(d->buffer, n - 2);
    else
        d->buffer[0] = (u8)(n - 1);
    d->buffer[ten ? 2 : 1] = medium;
    atapi_reply(d, n, ten ? be16(p + 7) : p[4]);
}

/* ---- The disc ---- */

static u32 toc_track(u8 *b, u8 number, u32 lba, bool msf)
{
    memset(b, 0, 8);
    b[1] = DATA_TRACK;
    b[2] = number;
    put_address(b + 4, lba, msf);
    return 8;
}

static u32 toc_raw(u8 *b, u8 point, u8 minute, u8 second, u8 frame)
{
    const u8 row[11] = { 1, DATA_TRACK, 0, point, 0, 0, 0, 0, minute, second, frame };

    memcpy(b, row, sizeof(row));
    return sizeof(row);
}

/* Format 2: first and last track, lead-out, the track, as the lead-in has them. */
static u32 toc_full(struct ata_drive *d, u8 *b)
{
    u8 out[3], track[3];
    u32 n = 0;

    put_msf(out, atapi_sectors(d));
    put_msf(track, 0);
    n += toc_raw(b + n, 0xa0, 1, 0, 0);
    n += toc_raw(b + n, 0xa1, 1, 0, 0);
    n += toc_raw(b + n, 0xa2, out[0], out[1], out[2]);
    n += toc_raw(b + n, 1, track[0], track[1], track[2]);
    return n;
}

void atapi_read_toc(struct ata_drive *d, const u8 *p)
{
    bool msf = p[1] & 2;
    u8 format = p[2] & 15 ? p[2] & 15 : p[9] >> 6; /* SFF-8020i has it in the control byte */
    u8 start = p[6], *b = d->buffer;
    u32 n = 4;

    b[2] = b[3] = 1; /* first and last track or session */
    if (format == 0 && (start <= 1 || start == LEAD_OUT)) {
        if (start <= 1)
            n += toc_track(b + n, 1, 0, msf);
        n += toc_track(b + n, LEAD_OUT, atapi_sectors(d), msf);
    } else if (format == 1) {
        n += toc_track(b + n, 1, 0, msf);
    } else if (format == 2) {
        n += toc_full(d, b + n);
    } else {
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    put_be16(b, n - 2);
    atapi_reply(d, n, be16(p + 7));
}

void atapi_read_subchannel(struct ata_drive *d, const u8 *p)
{
    static const u8 sizes[4] = { 0, 12, 20, 20 }; /* none, position, catalogue, ISRC */
    u32 size = p[2] & 0x40 ? p[3] < 4 && p[3] ? sizes[p[3]] : 255 : 0;
    u8 *b = d->buffer;

    if (size == 255) {
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    b[1] = 0x15; /* no audio to report on */
    put_be16(b + 2, size);
    b[4] = p[3];
    if (p[3] == 1) {
        b[5] = DATA_TRACK;
        b[6] = b[7] = 1;
        put_address(b + 8, 0, p[1] & 2);
        put_address(b + 12, 0, p[1] & 2);
    }
    atapi_reply(d, 4 + size, be16(p + 7));
}

void atapi_read_disc_information(struct ata_drive *d, const u8 *p)
{
    u8 *b = d->buffer;

    put_be16(b, 32);
    b[2] = 0x0e; /* complete, last session complete */
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20; /* unrestricted use */
    memset(b + 17, 0xff, 7); /* no further lead-in or lead-out */
    atapi_reply(d, 34, be16(p + 7));
}

void atapi_read_track_information(struct ata_drive *d, const u8 *p)
{
    u32 track = be32(p + 2);
    u8 *b = d->buffer;

    /* Asked by sector, or by track number. */
    if ((p[1] & 3) == 0 ? track >= atapi_sectors(d) : track != 1) {
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    put_be16(b, 26);
    b[2] = b[3] = 1;
    b[5] = 4; /* data */
    b[6] = 1; /* mode 1 */
    put_be32(b + 24, atapi_sectors(d));
    atapi_reply(d, 28, be16(p + 7));
}

/* ---- What the drive can do ---- */

static u32 feature(u8 *b, u32 code, u8 flags, u32 extra)
{
    put_be16(b, code);
    b[2] = flags; /* version, persistent, current */
    b[3] = (u8)extra;
    return 4 + extra;
}

/* The list of profiles: DVD-ROM and CD-ROM, current the one that is in. */
static u32 feature_profiles(u8 *b, u32 current)
{
    u32 n = feature(b, 0, 3, 8);

    put_be16(b + 4, 0x10);
    b[6] = current == 0x10;
    put_be16(b + 8, 0x08);
    b[10] = current == 0x08;
    return n;
}

static u32 feature_list(u8 *b, u32 current)
{
    u32 n = feature_profiles(b, current);

    put_be32(b + n + 4, 2); /* core: ATAPI */
    n += feature(b + n, 1, 0x03, 8);
    b[n + 4] = 0x29; /* removable medium: tray, ejects, locks */
    n += feature(b + n, 3, 0x03, 4);
    put_be32(b + n + 4, CD_SECTOR); /* random readable */
    put_be16(b + n + 8, 1);
    n += feature(b + n, 0x10, current ? 1 : 0, 8);
    n += feature(b + n, 0x1e, current == 8, 4); /* CD read */
    return n;
}

/* Keeps the features the initiator asked for: from `start` on, one, or the current ones. */
static u32 feature_filter(u8 *b, u32 n, u32 start, u32 which)
{
    u32 kept = 0;

    for (u32 at = 0, size; at < n; at += size) {
        u32 code = be16(b + at);
        bool wanted = which == 2 ? code == start :
                                   code >= start && (which == 0 || b[at + 2] & 1);

        size = 4u + b[at + 3];
        if (wanted) {
            memmove(b + kept, b + at, size);
            kept += size;
        }
    }
    return kept;
}

void atapi_get_configuration(struct ata_drive *d, const u8 *p)
{
    u32 current = !atapi_loaded(d) ? 0 : atapi_sectors(d) > CD_LARGEST ? 0x10 : 0x08;
    u8 *b = d->buffer;
    u32 n = feature_list(b + 8, current);

    n = feature_filter(b + 8, n, be16(p + 2), p[1] & 3);
    put_be32(b, n + 4);
    put_be16(b + 6, current);
    atapi_reply(d, n + 8, be16(p + 7));
}

void atapi_get_event(struct ata_drive *d, const u8 *p)
{
    u8 *b = d->buffer;

    if (!(p[1] & 1)) { /* only by polling */
        atapi_fail(d, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    b[3] = 0x10; /* classes there are: media */
    if (!(p[4] & 0x10)) {
        put_be16(b, 2);
        b[2] = 0x80; /* no event of those */
        atapi_reply(d, 4, be16(p + 7));
        return;
    }
    put_be16(b, 6);
    b[2] = 4;
    b[4] = d->media_event;
    b[5] = (d->tray_open ? 1 : 0) | (d->disk->impl ? 2 : 0);
    d->media_event = 0;
    atapi_reply(d, 8, be16(p + 7));
}

void atapi_mechanism_status(struct ata_drive *d, const u8 *p)
{
    d->buffer[1] = d->tray_open ? 0x10 : 0;
    d->buffer[5] = 1; /* one slot, no table */
    atapi_reply(d, 8, be16(p + 8));
}
