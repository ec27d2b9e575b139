/*
 * Bus-master DMA: the registers piix3 forwards from its BAR 4, the descriptor table, and the
 * disk commands over it (Intel 82371SB 2.4; "Programming Interface for Bus Master IDE", rev.
 * 1.0).
 *
 * A transfer runs in slices, each its own turn of the timer, so that a command of 32 MiB does
 * not hold the machine; what is read goes straight into memory where the image can be read so.
 * The descriptor table is the guest's: it is read entry by entry and wraps inside its 64 KiB;
 * every entry moves at least two bytes, so a slice ends.
 */
#include <string.h>

#include "devices/ata_private.h"

enum {
    DIRECT_SLICE = 4 * ATA_SLICE,    /* without the buffer */
    MAX_PIECES = DIRECT_SLICE / 4096 /* of a call of the host */
};

void ata_dma_reset(struct ata_channel *c)
{
    c->bm_command = c->bm_status = 0;
    c->bm_table = c->prd_at = c->prd_address = c->prd_left = 0;
    c->prd_last = false;
}

/* Loads the next descriptor; false: there is none. */
static bool ata_prd_next(struct ata_channel *c)
{
    u32 prd[2];

    if (c->prd_last)
        return false;
    phys_read(c->ata->dev.machine, c->prd_at, prd, sizeof(prd));
    c->prd_address = prd[0] & ~1u;
    c->prd_left = prd[1] & 0xfffe;
    if (!c->prd_left)
        c->prd_left = 0x10000;
    c->prd_last = prd[1] >> 31;
    c->prd_at = (c->prd_at & 0xffff0000) | ((c->prd_at + 8) & 0xfffc);
    return true;
}

static void ata_prd_take(struct ata_channel *c, u32 n)
{
    c->prd_address += n;
    c->prd_left -= n;
    if (c->prd_last && !c->prd_left)
        c->bm_status &= ~BM_ACTIVE;
}

u32 ata_dma_move(struct ata_channel *c, u8 *buf, u32 n, bool to_memory)
{
    struct machine *m = c->ata->dev.machine;
    u32 moved = 0;

    while (moved < n) {
        if (!c->prd_left && !ata_prd_next(c))
            break;
        u32 part = n - moved < c->prd_left ? n - moved : c->prd_left;

        if (to_memory)
            phys_write(m, c->prd_address, buf + moved, part);
        else
            phys_read(m, c->prd_address, buf + moved, part);
        ata_prd_take(c, part);
        moved += part;
    }
    return moved;
}

/* ---- Disk transfers ---- */

void ata_dma_start(struct ata_drive *d, bool storing)
{
    d->storing = storing;
    ata_dma_after(d, ATA_COMMAND_TIME);
}

void ata_dma_after(struct ata_drive *d, u64 ns)
{
    enum ata_step step = ata_is_cd(d) ? STEP_PACKET_DATA : STEP_DMA;

    d->dma_wait = !(d->channel->bm_command & BM_START);
    if (d->dma_wait)
        d->status = SR_BSY | SR_DRDY | SR_DSC;
    else
        ata_after(d, step, ns);
}

/* How much of the next n bytes of the table is memory, in so many pieces; they are taken from
 * it. 0: what comes next is none, or the table has ended. */
static u32 ata_dma_memory(struct ata_channel *c, u32 n, struct iovec *pieces, u32 *count)
{
    u32 sum = 0, part;

    for (*count = 0; sum < n && *count < MAX_PIECES; sum += part) {
        u8 *memory = NULL;

        if (c->prd_left || ata_prd_next(c)) {
            part = n - sum < c->prd_left ? n - sum : c->prd_left;
            memory = phys_run(c->ata->dev.machine, c->prd_address, part, true, &part);
        }
        if (!memory)
            break;
        pieces[(*count)++] = (struct iovec){memory, part};
        ata_prd_take(c, part);
    }
    return sum;
}

/* From the medium straight into memory. Returns how much, less than n only if the rest is to go
 * elsewhere. */
static u32 ata_dma_read(struct ata_drive *d, u64 at, u32 n, bool *medium_ok)
{
    struct iovec pieces[MAX_PIECES];
    u32 count, part, done = 0;

    while (done < n && *medium_ok &&
           (part = ata_dma_memory(d->channel, n - done, pieces, &count))) {
        *medium_ok = disk_readv(d->disk, at + done, pieces, count, part);
        done += part;
    }
    return done;
}

static bool ata_dma_slice(struct ata_drive *d, u32 n, bool *medium_ok)
{
    struct ata_channel *c = d->channel;
    u64 at = d->lba * SECTOR;
    u32 done = 0, part;

    *medium_ok = true;
    if (d->storing) {
        if (ata_dma_move(c, d->buffer, n, false) < n)
            return false;
        *medium_ok = disk_write(d->disk, at, d->buffer, n);
        return true;
    }
    if (disk_reads_vectors(d->disk))
        done = ata_dma_read(d, at, n, medium_ok);
    for (; done < n && *medium_ok; done += part) {
        part = n - done < ATA_SLICE ? n - done : ATA_SLICE;
        *medium_ok = disk_read(d->disk, at + done, d->buffer, part);
        if (*medium_ok && ata_dma_move(c, d->buffer, part, true) < part)
            return false;
    }
    return true;
}

void ata_step_dma(struct ata_drive *d)
{
    u32 most = !d->storing && disk_reads_vectors(d->disk) ? DIRECT_SLICE : ATA_SLICE,
        sectors = d->left < most / SECTOR ? d->left : most / SECTOR;
    bool medium_ok;

    if (!(d->channel->bm_command & BM_START)) {
        ata_dma_after(d, 0); /* stopped in between */
        return;
    }
    if (!ata_dma_slice(d, sectors * SECTOR, &medium_ok)) {
        /* The table is shorter than the transfer: the drive waits for more, in vain. */
        trace(TRACE_DISK, "ide%u.%u: descriptor table too short", d->channel->index, d->unit);
        d->status = SR_BSY | SR_DRDY | SR_DSC;
        d->dma_wait = true;
        return;
    }
    if (!medium_ok) {
        ata_set_address(d, d->lba);
        ata_finish(d, ER_UNC);
        return;
    }
    d->lba += sectors;
    d->left -= sectors;
    ata_set_address(d, d->lba - 1);
    d->count[0] = d->count[1] = 0;
    if (d->left)
        ata_after(d, STEP_DMA, ATA_BLOCK_TIME);
    else if (d->storing && !d->write_cache)
        ata_after(d, STEP_FLUSH, 0);
    else
        ata_finish(d, 0);
}

/* ---- Registers ---- */

static void ata_bm_command_write(struct ata_channel *c, u8 val)
{
    bool was = c->bm_command & BM_START;

    c->bm_command = val & (BM_START | BM_TO_MEMORY);
    if (!(val & BM_START)) {
        c->bm_status &= ~BM_ACTIVE;
        return;
    }
    if (was)
        return;
    c->bm_status |= BM_ACTIVE;
    c->prd_at = c->bm_table;
    c->prd_left = 0;
    c->prd_last = false;
    for (u32 u = 0; u < 2; u++)
        if (c->drive[u].disk && c->drive[u].dma_wait)
            ata_dma_after(&c->drive[u], ATA_COMMAND_TIME);
}

static void ata_bm_status_write(struct ata_channel *c, u8 val)
{
    u8 capable = val & 0x60, keep = c->bm_status & ~0x60;

    c->bm_status = capable | (keep & ~(val & (BM_ERROR | BM_INT)));
}

static u8 ata_bm_read(struct ata_channel *c, u32 reg)
{
    if (reg == 0)
        return c->bm_command;
    if (reg == 2) {
        ata_catch_up(&c->drive[0]);
        ata_catch_up(&c->drive[1]);
        return c->bm_status;
    }
    return reg >= 4 ? (u8)(c->bm_table >> 8 * (reg - 4)) : 0;
}

static void ata_bm_write(struct ata_channel *c, u32 reg, u8 val)
{
    if (reg == 0) {
        ata_bm_command_write(c, val);
    } else if (reg == 2) {
        ata_bm_status_write(c, val);
    } else if (reg >= 4) {
        u32 shift = 8 * (reg - 4);

        c->bm_table = (c->bm_table & ~(0xffu << shift)) | (u32)val << shift;
        c->bm_table &= ~3u;
    }
}

u32 ata_busmaster_read(struct device *dev, u32 off, enum io_size size)
{
    struct ata *ata = container_of(dev, struct ata, dev);
    u32 val = 0;

    for (u32 i = 0; i < (u32)size && off + i < 16; i++)
        val |= (u32)ata_bm_read(&ata->channel[(off + i) / 8], (off + i) % 8) << 8 * i;
    return val;
}

void ata_busmaster_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct ata *ata = container_of(dev, struct ata, dev);

    for (u32 i = 0; i < (u32)size && off + i < 16; i++)
        ata_bm_write(&ata->channel[(off + i) / 8], (off + i) % 8, (u8)(val >> 8 * i));
}
