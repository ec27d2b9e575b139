/*
 * Between atapi.c (the PACKET protocol and what commands answer with) and atapi_command.c and
 * atapi_info.c (the commands).
 */
#ifndef RING3_ATAPI_H
#define RING3_ATAPI_H

#include "devices/ata_private.h"

enum { NO_SENSE, NOT_READY = 2, MEDIUM_ERROR = 3, ILLEGAL_REQUEST = 5, UNIT_ATTENTION = 6 };
enum { /* additional sense code << 8 | qualifier */
    ASC_UNRECOVERED_READ = 0x1100,
    ASC_INVALID_OPCODE = 0x2000,
    ASC_LBA_OUT_OF_RANGE = 0x2100,
    ASC_INVALID_FIELD = 0x2400,
    ASC_MEDIUM_CHANGED = 0x2800,
    ASC_SAVING_UNSUPPORTED = 0x3900,
    ASC_NO_MEDIUM = 0x3a01,
    ASC_TRAY_OPEN = 0x3a02,
    ASC_REMOVAL_PREVENTED = 0x5302,
    ASC_WRONG_TRACK_MODE = 0x6400,
};

/* How a command ends: exactly one of these, once. */
void atapi_ok(struct ata_drive *d);
void atapi_fail(struct ata_drive *d, u8 key, u32 asc);
/* buffer[0, n), cut to what the initiator has room for. */
void atapi_reply(struct ata_drive *d, u32 n, u32 room);
/* `count` sectors from `lba` in `form` bytes each. The range is checked. */
void atapi_stream(struct ata_drive *d, u32 lba, u32 count, u32 form);

u32 atapi_sectors(const struct ata_drive *d);
bool atapi_loaded(const struct ata_drive *d); /* a medium, and the tray closed */

static inline u32 be16(const u8 *b)
{
    return b[0] << 8 | b[1];
}

static inline u32 be32(const u8 *b)
{
    return (u32)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

static inline void put_be16(u8 *b, u32 val)
{
    b[0] = (u8)(val >> 8);
    b[1] = (u8)val;
}

static inline void put_be32(u8 *b, u32 val)
{
    put_be16(b, val >> 16);
    put_be16(b + 2, val);
}

/* Minute, second, frame of a sector: 75 frames a second, two seconds before sector 0. */
static inline void put_msf(u8 *b, u32 lba)
{
    lba += 150;
    b[0] = (u8)(lba / (75 * 60));
    b[1] = (u8)(lba / 75 % 60);
    b[2] = (u8)(lba % 75);
}

/* ---- atapi_command.c ---- */
struct atapi_row {
    void (*run)(struct ata_drive *d, const u8 *packet);
    u8 needs;
};
enum { NEEDS_MEDIUM = 1, KEEPS_ATTENTION = 2 };
const struct atapi_row *atapi_row(u8 opcode); /* run NULL: no such command */

/* ---- atapi_info.c: the commands that answer with tables ---- */
void atapi_inquiry(struct ata_drive *d, const u8 *packet);
void atapi_mode_sense(struct ata_drive *d, const u8 *packet);
void atapi_read_toc(struct ata_drive *d, const u8 *packet);
void atapi_read_subchannel(struct ata_drive *d, const u8 *packet);
void atapi_get_configuration(struct ata_drive *d, const u8 *packet);
void atapi_get_event(struct ata_drive *d, const u8 *packet);
void atapi_read_disc_information(struct ata_drive *d, const u8 *packet);
void atapi_read_track_information(struct ata_drive *d, const u8 *packet);
void atapi_mechanism_status(struct ata_drive *d, const u8 *packet);

#endif
