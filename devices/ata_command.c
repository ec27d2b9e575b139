/*
 * The command table of disks and CDs, sector addresses, and the commands that move no data.
 * Source: ATA/ATAPI-6 chapter 8; the CHS commands and 10-1F, 70-7F, 94-99: ATA-1 to ATA-3.
 */
#include <string.h>

#include "devices/ata_private.h"

enum { FOR_DISK = 1, FOR_CD = 2 };
enum { HOW_WRITE = 1, HOW_EXT = 2, HOW_MULTIPLE = 4 };
/* Idle is the same as active here; only a reset wakes a sleeper. */
enum { POWER_STANDBY, POWER_IDLE, POWER_CHECK, POWER_SLEEP };

struct ata_row {
    void (*run)(struct ata_drive *d, u8 how);
    u8 who, how;
};

/* ---- Addresses ---- */

u64 ata_sectors(const struct ata_drive *d)
{
    u64 n = d->disk->size / SECTOR;

    return n < 1ull << 48 ? n : (1ull << 48) - 1;
}

static bool ata_decode_chs(const struct ata_drive *d, u64 *lba)
{
    u32 cylinder = d->mid[0] | d->high[0] << 8;
    u32 head = d->device & DEV_HEAD, sector = d->low[0];

    *lba = ((u64)cylinder * d->heads + head) * d->sectors + sector - 1;
    return sector >= 1 && sector <= d->sectors && head < d->heads;
}

/* Fills lba and left from the registers. false: there is no such sector. */
static bool ata_decode(struct ata_drive *d, bool ext)
{
    u64 lba = d->low[0] | d->mid[0] << 8 | (u32)d->high[0] << 16;
    u32 n = ext ? d->count[0] | d->count[1] << 8 : d->count[0];
    bool exists = true;

    if (ext)
        lba |= (u64)d->low[1] << 24 | (u64)d->mid[1] << 32 | (u64)d->high[1] << 40;
    else if (d->device & DEV_LBA)
        lba |= (u64)(d->device & DEV_HEAD) << 24;
    else
        exists = ata_decode_chs(d, &lba);
    if (!n)
        n = ext ? 65536 : 256;
    if (!exists || lba >= ata_sectors(d) || n > ata_sectors(d) - lba)
        return false;
    d->lba = lba;
    d->left = n;
    return true;
}

static bool ata_is_ext(u8 command)
{
    return (command & 0xf0) == 0x20 ? command >= 0x24 && command != 0x2a :
           (command & 0xf0) == 0x30 ? command >= 0x34 && command != 0x3c :
                                      command == 0x42 || command == 0xce;
}

void ata_set_address(struct ata_drive *d, u64 lba)
{
    if (ata_is_ext(d->command) || d->device & DEV_LBA) {
        d->low[0] = (u8)lba;
        d->mid[0] = (u8)(lba >> 8);
        d->high[0] = (u8)(lba >> 16);
        if (!ata_is_ext(d->command))
            d->device = (d->device & ~DEV_HEAD) | ((lba >> 24) & DEV_HEAD);
        d->low[1] = (u8)(lba >> 24);
        d->mid[1] = (u8)(lba >> 32);
        d->high[1] = (u8)(lba >> 40);
        return;
    }
    u64 track = lba / d->sectors, cylinder = track / d->heads;

    d->low[0] = (u8)(lba % d->sectors + 1);
    d->device = (d->device & ~DEV_HEAD) | (u8)(track % d->heads);
    d->mid[0] = (u8)cylinder;
    d->high[0] = (u8)(cylinder >> 8);
}

/* ---- Sector commands ---- */

/* Decodes and checks what all of them need; a failure is already answered. */
static bool ata_sector_command(struct ata_drive *d, u8 how)
{
    d->power = 0xff;
    if (!ata_decode(d, how & HOW_EXT)) {
        ata_finish_later(d, ER_IDNF);
        return false;
    }
    if (how & HOW_WRITE && d->disk->read_only) {
        ata_finish_later(d, ER_ABRT);
        return false;
    }
    return true;
}

static void ata_pio(struct ata_drive *d, u8 how)
{
    if (how & HOW_MULTIPLE && !d->multiple)
        ata_finish_later(d, ER_ABRT);
    else if (ata_sector_command(d, how))
        ata_pio_start(d, how & HOW_WRITE, how & HOW_MULTIPLE ? d->multiple : 1);
}

static void ata_dma(struct ata_drive *d, u8 how)
{
    if (ata_sector_command(d, how))
        ata_dma_start(d, how & HOW_WRITE);
}

static void ata_verify(struct ata_drive *d, u8 how)
{
    if (!ata_sector_command(d, how))
        return;
    ata_set_address(d, d->lba + d->left - 1);
    ata_finish_later(d, 0);
}

static void ata_seek(struct ata_drive *d, u8 how)
{
    d->count[0] = 1; /* SEEK has no count */
    if (ata_sector_command(d, how))
        ata_finish_later(d, 0);
}

static void ata_recalibrate(struct ata_drive *d, u8 how)
{
    d->mid[0] = d->high[0] = 0;
    ata_finish_later(d, 0);
}

static void ata_buffer(struct ata_drive *d, u8 how)
{
    if (how & HOW_WRITE)
        ata_offer(d, 0, SECTOR, true, STEP_FINISH);
    else
        ata_after(d, STEP_BUFFER, ATA_COMMAND_TIME);
}

/* ---- Settings ---- */

static void ata_set_translation(struct ata_drive *d, u8 how)
{
    u32 heads = (d->device & DEV_HEAD) + 1, sectors = d->count[0];
    u64 cylinders = sectors ? ata_sectors(d) / (heads * sectors) : 0;

    if (!sectors) {
        ata_finish_later(d, ER_ABRT);
        return;
    }
    d->heads = heads;
    d->sectors = sectors;
    d->cylinders = cylinders < 65535 ? (u32)cylinders : 65535;
    ata_finish_later(d, 0);
}

static void ata_set_multiple(struct ata_drive *d, u8 how)
{
    u8 n = d->count[0];
    bool good = n <= ATA_MULTIPLE && !(n & (n - 1));

    if (good)
        d->multiple = n;
    ata_finish_later(d, good ? 0 : ER_ABRT);
}

/* PIO default, PIO 0-4, single word DMA 0-2, multiword DMA 0-2, Ultra DMA 0-5. */
static bool ata_set_mode(struct ata_drive *d, u8 mode)
{
    u32 kind = mode >> 3, n = mode & 7;
    bool known = (kind == 0 && n <= 1) || (kind == 1 && n <= 4) || (kind == 2 && n <= 2) ||
                 (kind == 4 && n <= 2) || (kind == 8 && n <= 5);

    if (known && kind >= 2)
        d->mode = mode;
    return known;
}

static void ata_set_features(struct ata_drive *d, u8 how)
{
    bool known = true;

    switch (d->feature[0]) {
    case 0x02:
        d->write_cache = true;
        break;
    case 0x82: /* what is in the cache goes to the disk first */
        d->write_cache = false;
        ata_after(d, STEP_FLUSH, ATA_COMMAND_TIME);
        return;
    case 0x03:
        known = ata_set_mode(d, d->count[0]);
        break;
    case 0x55: /* read look-ahead off, on; */
    case 0xaa:
    case 0x66: /* keep or drop these settings at a reset */
    case 0xcc:
        break;
    default:
        known = false;
    }
    ata_finish_later(d, known ? 0 : ER_ABRT);
}

static void ata_power(struct ata_drive *d, u8 how)
{
    if (how == POWER_CHECK)
        d->count[0] = d->power;
    else if (how == POWER_SLEEP)
        d->asleep = true;
    else
        d->power = how == POWER_STANDBY ? 0x00 : 0xff;
    ata_finish_later(d, 0);
}

/* ---- The rest ---- */

static void ata_nop(struct ata_drive *d, u8 how)
{
    ata_finish_later(d, ER_ABRT);
}

static void ata_flush(struct ata_drive *d, u8 how)
{
    ata_after(d, STEP_FLUSH, ATA_COMMAND_TIME);
}

static void ata_identify(struct ata_drive *d, u8 how)
{
    ata_after(d, STEP_IDENTIFY, ATA_COMMAND_TIME);
}

/* A CD answers a disk's commands with its signature: so drivers tell them apart. */
static void ata_not_a_disk(struct ata_drive *d)
{
    ata_signature(d);
    ata_finish_later(d, ER_ABRT);
}

static void ata_native_max(struct ata_drive *d, u8 how)
{
    u64 last = ata_sectors(d) - 1;

    if (!(how & HOW_EXT) && last > 0x0fffffff)
        last = 0x0fffffff;
    d->low[0] = (u8)last;
    d->mid[0] = (u8)(last >> 8);
    d->high[0] = (u8)(last >> 16);
    if (how & HOW_EXT) {
        d->low[1] = (u8)(last >> 24);
        d->mid[1] = (u8)(last >> 32);
        d->high[1] = (u8)(last >> 40);
    } else {
        d->device = (d->device & ~DEV_HEAD) | ((last >> 24) & DEV_HEAD);
    }
    ata_finish_later(d, 0);
}

/* Both drives report; the first one speaks for them and is selected afterwards. */
static void ata_diagnostic(struct ata_drive *d, u8 how)
{
    struct ata_channel *c = d->channel;
    struct ata_drive *speaker = c->drive[0].disk ? &c->drive[0] : &c->drive[1];

    for (u32 u = 0; u < 2; u++) {
        if (c->drive[u].disk)
            ata_drive_reset(&c->drive[u]);
        c->drive[u].device = 0;
    }
    c->selected = 0;
    ata_interrupt(speaker);
}

static void ata_device_reset(struct ata_drive *d, u8 how)
{
    u8 unit = d->device & DEV_UNIT;

    ata_drive_reset(d);
    d->device = unit;
}

static void ata_packet(struct ata_drive *d, u8 how)
{
    atapi_start(d);
}

/* clang-format off */
static const struct ata_row rows[256] = {
    [0x00] = { ata_nop, FOR_DISK | FOR_CD },
    [0x08] = { ata_device_reset, FOR_CD },
    [0x10 ... 0x1f] = { ata_recalibrate, FOR_DISK },
    [0x20 ... 0x21] = { ata_pio, FOR_DISK, 0 },
    [0x24] = { ata_pio, FOR_DISK, HOW_EXT },
    [0x25] = { ata_dma, FOR_DISK, HOW_EXT },
    [0x27] = { ata_native_max, FOR_DISK, HOW_EXT },
    [0x29] = { ata_pio, FOR_DISK, HOW_EXT | HOW_MULTIPLE },
    [0x30 ... 0x31] = { ata_pio, FOR_DISK, HOW_WRITE },
    [0x34] = { ata_pio, FOR_DISK, HOW_WRITE | HOW_EXT },
    [0x35] = { ata_dma, FOR_DISK, HOW_WRITE | HOW_EXT },
    [0x39] = { ata_pio, FOR_DISK, HOW_WRITE | HOW_EXT | HOW_MULTIPLE },
    [0x3c] = { ata_pio, FOR_DISK, HOW_WRITE },
    [0x40 ... 0x41] = { ata_verify, FOR_DISK, 0 },
    [0x42] = { ata_verify, FOR_DISK, HOW_EXT },
    [0x70 ... 0x7f] = { ata_seek, FOR_DISK },
    [0x90] = { ata_diagnostic, FOR_DISK | FOR_CD },
    [0x91] = { ata_set_translation, FOR_DISK },
    [0x94] = { ata_power, FOR_DISK | FOR_CD, POWER_STANDBY },
    [0x95] = { ata_power, FOR_DISK | FOR_CD, POWER_IDLE },
    [0x96] = { ata_power, FOR_DISK | FOR_CD, POWER_STANDBY },
    [0x97] = { ata_power, FOR_DISK | FOR_CD, POWER_IDLE },
    [0x98] = { ata_power, FOR_DISK | FOR_CD, POWER_CHECK },
    [0x99] = { ata_power, FOR_DISK | FOR_CD, POWER_SLEEP },
    [0xa0] = { ata_packet, FOR_CD },
    [0xa1] = { ata_identify, FOR_CD },
    [0xc4] = { ata_pio, FOR_DISK, HOW_MULTIPLE },
    [0xc5] = { ata_pio, FOR_DISK, HOW_WRITE | HOW_MULTIPLE },
    [0xc6] = { ata_set_multiple, FOR_DISK },
    [0xc8 ... 0xc9] = { ata_dma, FOR_DISK, 0 },
    [0xca ... 0xcb] = { ata_dma, FOR_DISK, HOW_WRITE },
    [0xe0] = { ata_power, FOR_DISK | FOR_CD, POWER_STANDBY },
    [0xe1] = { ata_power, FOR_DISK | FOR_CD, POWER_IDLE },
    [0xe2] = { ata_power, FOR_DISK | FOR_CD, POWER_STANDBY },
    [0xe3] = { ata_power, FOR_DISK | FOR_CD, POWER_IDLE },
    [0xe4] = { ata_buffer, FOR_DISK, 0 },
    [0xe5] = { ata_power, FOR_DISK | FOR_CD, POWER_CHECK },
    [0xe6] = { ata_power, FOR_DISK | FOR_CD, POWER_SLEEP },
    [0xe7] = { ata_flush, FOR_DISK | FOR_CD },
    [0xe8] = { ata_buffer, FOR_DISK, HOW_WRITE },
    [0xea] = { ata_flush, FOR_DISK },
    [0xec] = { ata_identify, FOR_DISK },
    [0xef] = { ata_set_features, FOR_DISK | FOR_CD },
    [0xf8] = { ata_native_max, FOR_DISK, 0 },
};
/* clang-format on */

void ata_command(struct ata_drive *d, u8 command)
{
    const struct ata_row *row = &rows[command];
    bool cd = ata_is_cd(d);

    d->intrq = false;
    if (d->asleep && command != 0x08)
        return;
    d->command = command;
    d->error = 0;
    d->then = STEP_NONE;
    if (row->who & (cd ? FOR_CD : FOR_DISK)) {
        row->run(d, row->how);
    } else if (cd && (command == 0xec || command == 0x20)) {
        ata_not_a_disk(d);
    } else {
        trace(TRACE_NYI, "ide%u.%u: command %02x", d->channel->index, d->unit, command);
        ata_finish_later(d, ER_ABRT);
    }
}
