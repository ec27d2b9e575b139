/*
 * Bus-master DMA: the registers piix3 forwards from its BAR 4, the descriptor table, and the
 * disk commands over it (Intel 82371SB 2.4; "Programming Interface for Bus Master IDE", rev.
 * 1.0).
 *
 * A transfer runs in slices of ATA_SLICE bytes, each its own turn of the timer, so that a
 * command of 32 MiB does not hold the machine. The descriptor table is the guest's: it is read
 * entry by entry and wraps inside its 64 KiB; every entry moves at least two bytes, so a slice
 * ends.
 */
#include <string.h>

#include "devices/ata_private.h"

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
        c->prd_address += part;
        c->prd_left -= part;
        moved += part;
    }
    if (c->prd_last && !c->prd_left)
        c->bm_status &= ~BM_ACTIVE;
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

static bool ata_dma_slice(struct ata_drive *d, u32 n, bool *medium_ok)
{
    struct ata_channel *c = d->channel;
    u64 at = d->lba * SECTOR;

    *medium_ok = true;
    if (d->storing) {
        if (ata_dma_move(c, d->buffer, n, false) < n)
            return false;
        *medium_ok = disk_write(d->disk, at, d->buffer, n);
        return true;
    }
    *medium_ok = disk_read(d->disk, at, d->buffer, n);
    return !*medium_ok || ata_dma_move(c, d->buffer, n, true) == n;
}

void ata_step_dma(struct ata_drive *d)
{
    u32 sectors = d->left < ATA_SLICE / SECTOR ? d->left : ATA_SLICE / SECTOR;
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
