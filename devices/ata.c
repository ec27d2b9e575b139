/*
 * The IDE controller: two channels at 1F0/3F6 (irq 14) and 170/376 (irq 15), two drives each,
 * and what all drives share: task file, selection, interrupts, resets, the clock of a command.
 *
 * Both drives of a channel see every register write; only the selected one answers and drives
 * INTRQ (ATA/ATAPI-6, 5.2 and 7). A cable end with no drive reads as zero: not busy, not ready.
 */
#include <string.h>

#include "devices/ata_private.h"

static void (*const steps[STEPS])(struct ata_drive *) = {
    [STEP_IDENTIFY] = ata_step_identify, [STEP_READ] = ata_step_read,
    [STEP_WRITE] = ata_step_write,       [STEP_DMA] = ata_step_dma,
    [STEP_FLUSH] = ata_step_flush,       [STEP_FLUSHING] = ata_step_flushing,
    [STEP_PACKET] = atapi_step_packet,   [STEP_PACKET_DATA] = atapi_step_data,
};

static struct ata_drive *selected(struct ata_channel *c)
{
    return &c->drive[c->selected];
}

/* ---- Interrupts ---- */

static void ata_update_irq(struct ata_channel *c)
{
    bool level = selected(c)->intrq && !(c->control & CTL_NIEN);

    if (level && !c->wire)
        c->bm_status |= BM_INT;
    c->wire = level;
    irq_set(c->irq, level);
}

void ata_interrupt(struct ata_drive *d)
{
    d->intrq = true;
    ata_update_irq(d->channel);
}

/* ---- The clock of a command ---- */

void ata_after(struct ata_drive *d, enum ata_step step, u64 ns)
{
    d->status = SR_BSY | SR_DRDY | SR_DSC;
    d->step = step;
    d->due = clock_now(d->timer.machine) + ns;
    d->polls = 0;
    if (step == STEP_FLUSHING)
        timer_set(&d->timer, d->due); /* the host is at work */
    else
        timer_set_eager(&d->timer, d->due);
}

static void ata_step_run(struct ata_drive *d)
{
    enum ata_step step = d->step;

    timer_cancel(&d->timer);
    d->step = STEP_NONE;
    if (step == STEP_FINISH)
        ata_finish(d, d->error);
    else if (step == STEP_BUFFER) {
        ata_offer(d, 0, SECTOR, false, STEP_NONE);
        ata_interrupt(d);
    } else if (step < STEPS && steps[step])
        steps[step](d);
}

static void ata_timer(void *owner)
{
    ata_step_run(owner);
}

void ata_catch_up(struct ata_drive *d)
{
    if (d->step && clock_now(d->timer.machine) >= d->due)
        ata_step_run(d);
}

void ata_finish(struct ata_drive *d, u8 error)
{
    d->error = error;
    d->status = SR_DRDY | SR_DSC | (error ? SR_ERR : 0);
    ata_interrupt(d);
}

void ata_finish_later(struct ata_drive *d, u8 error)
{
    d->error = error;
    ata_after(d, STEP_FINISH, ATA_COMMAND_TIME);
}

void ata_offer(struct ata_drive *d, u32 pos, u32 end, bool taking, enum ata_step then)
{
    d->pos = pos;
    d->end = end;
    d->taking = taking;
    d->then = then;
    d->status = SR_DRDY | SR_DSC | SR_DRQ;
}

/* ---- Resets ---- */

/* Tells a disk from a CD (9.12): what a driver looks at after a reset. */
void ata_signature(struct ata_drive *d)
{
    bool cd = ata_is_cd(d);

    d->device &= ~DEV_HEAD;
    d->count[0] = d->low[0] = 1;
    d->mid[0] = cd ? 0x14 : 0;
    d->high[0] = cd ? 0xeb : 0;
    d->count[1] = d->low[1] = d->mid[1] = d->high[1] = 0;
}

static void ata_drive_stop(struct ata_drive *d)
{
    timer_cancel(&d->timer);
    d->step = d->then = STEP_NONE;
    d->pos = d->end = 0;
    d->dma_wait = false;
    d->intrq = false;
    d->asleep = false;
    d->power = 0xff;
}

void ata_drive_reset(struct ata_drive *d)
{
    ata_drive_stop(d);
    ata_signature(d);
    d->error = 1; /* diagnostics passed */
    d->status = ata_is_cd(d) ? 0 : SR_DRDY | SR_DSC;
    if (ata_is_cd(d))
        atapi_reset(d);
}

static void ata_control_write(struct ata_channel *c, u8 val)
{
    u8 was = c->control;

    c->control = val;
    for (u32 i = 0; i < 2; i++) {
        struct ata_drive *d = &c->drive[i];

        if (!d->disk)
            continue;
        if (val & CTL_SRST) {
            ata_drive_stop(d);
            d->status = SR_BSY;
        } else if (was & CTL_SRST) {
            ata_drive_reset(d);
            d->device = 0;
        }
    }
    if (val & CTL_SRST)
        c->selected = 0;
    ata_update_irq(c);
}

/* ---- The task file ---- */

static void push_register(u8 reg[2], u8 val)
{
    reg[1] = reg[0];
    reg[0] = val;
}

static void ata_register_write(struct ata_channel *c, u32 off, u8 val)
{
    c->control &= ~CTL_HOB;
    for (u32 i = 0; i < 2; i++) {
        struct ata_drive *d = &c->drive[i];
        u8 *reg[] = { NULL, d->feature, d->count, d->low, d->mid, d->high };

        if (off < 6)
            push_register(reg[off], val);
        else
            d->device = val;
    }
    if (off == 6) {
        c->selected = (val & DEV_UNIT) != 0;
        ata_update_irq(c);
    }
}

static void ata_command_write(struct ata_channel *c, u8 command)
{
    struct ata_drive *d = selected(c);

    c->control &= ~CTL_HOB;
    /* EXECUTE DEVICE DIAGNOSTIC is for both drives, whichever is selected. */
    if (command == 0x90 && !d->disk)
        d = &c->drive[!c->selected];
    if (!d->disk || c->control & CTL_SRST)
        return;
    ata_catch_up(d);
    trace(TRACE_DISK, "ide%u.%u command %02x: count %02x lba %02x.%02x.%02x device %02x%s",
          c->index, d->unit, command, d->count[0], d->high[0], d->mid[0], d->low[0], d->device,
          d->status & SR_BSY ? " (busy: ignored)" : "");
    if (d->status & SR_BSY && command != 0x08)
        return;
    ata_command(d, command);
    ata_update_irq(c);
}

static u8 ata_register_read(struct ata_channel *c, u32 off)
{
    struct ata_drive *d = selected(c);
    u32 hob = (c->control & CTL_HOB) != 0;

    if (!d->disk)
        return 0;
    switch (off) {
    case 1:
        return d->error;
    case 2:
        return d->count[hob];
    case 3:
        return d->low[hob];
    case 4:
        return d->mid[hob];
    case 5:
        return d->high[hob];
    default:
        return d->device | 0xa0; /* obsolete bits 7 and 5 read as ones */
    }
}

/*
 * Alternate status: the same without acknowledging the interrupt. A guest that polls need not
 * wait for what takes us no time: at once if it wants no interrupts; else right after this read,
 * so that no read takes the interrupt away.
 */
static u8 ata_status_read(struct ata_channel *c, bool alternate)
{
    struct ata_drive *d = selected(c);
    u8 status;

    if (!d->disk)
        return 0;
    if (c->control & CTL_NIEN)
        timer_hurry(&d->timer);
    ata_catch_up(d);
    status = d->status;
    if (!alternate) {
        d->intrq = false;
        ata_update_irq(c);
    }
    if (d->step && ++d->polls >= PATIENT_POLLS)
        timer_hurry(&d->timer);
    return status;
}

/* ---- Ports ---- */

static u32 ata_channel_read(struct ata_channel *c, u32 off, u32 size)
{
    u32 val = 0;

    if (off == 0)
        return selected(c)->disk ? ata_data_read(selected(c), size) : 0;
    for (u32 i = 0; i < size && off + i < 8; i++) {
        u8 byte = off + i == 7 ? ata_status_read(c, false) : ata_register_read(c, off + i);

        val |= (u32)byte << 8 * i;
    }
    return val;
}

static void ata_channel_write(struct ata_channel *c, u32 off, u32 size, u32 val)
{
    if (off == 0) {
        if (selected(c)->disk)
            ata_data_write(selected(c), size, val);
        return;
    }
    for (u32 i = 0; i < size && off + i < 8; i++, val >>= 8) {
        if (off + i == 7)
            ata_command_write(c, (u8)val);
        else
            ata_register_write(c, off + i, (u8)val);
    }
}

#define CHANNEL(dev, n) (&container_of(dev, struct ata, dev)->channel[n])

static u32 ata_read0(struct device *dev, u32 off, enum io_size size)
{
    return ata_channel_read(CHANNEL(dev, 0), off, size);
}

static u32 ata_read1(struct device *dev, u32 off, enum io_size size)
{
    return ata_channel_read(CHANNEL(dev, 1), off, size);
}

static void ata_write0(struct device *dev, u32 off, enum io_size size, u32 val)
{
    ata_channel_write(CHANNEL(dev, 0), off, size, val);
}

static void ata_write1(struct device *dev, u32 off, enum io_size size, u32 val)
{
    ata_channel_write(CHANNEL(dev, 1), off, size, val);
}

static u32 ata_read_string(struct ata_channel *c, u32 off, u32 size, void *buf, u32 n)
{
    return off == 0 && selected(c)->disk ? ata_data_read_string(selected(c), size, buf, n) : 0;
}

static u32 ata_write_string(struct ata_channel *c, u32 off, u32 size, const void *buf, u32 n)
{
    return off == 0 && selected(c)->disk ? ata_data_write_string(selected(c), size, buf, n) : 0;
}

static u32 ata_read_string0(struct device *dev, u32 off, enum io_size size, void *buf, u32 n)
{
    return ata_read_string(CHANNEL(dev, 0), off, size, buf, n);
}

static u32 ata_read_string1(struct device *dev, u32 off, enum io_size size, void *buf, u32 n)
{
    return ata_read_string(CHANNEL(dev, 1), off, size, buf, n);
}

static u32 ata_write_string0(struct device *dev, u32 off, enum io_size size, const void *buf,
                             u32 n)
{
    return ata_write_string(CHANNEL(dev, 0), off, size, buf, n);
}

static u32 ata_write_string1(struct device *dev, u32 off, enum io_size size, const void *buf,
                             u32 n)
{
    return ata_write_string(CHANNEL(dev, 1), off, size, buf, n);
}

static u32 ata_control_read0(struct device *dev, u32 off, enum io_size size)
{
    return ata_status_read(CHANNEL(dev, 0), true);
}

static u32 ata_control_read1(struct device *dev, u32 off, enum io_size size)
{
    return ata_status_read(CHANNEL(dev, 1), true);
}

static void ata_control_write0(struct device *dev, u32 off, enum io_size size, u32 val)
{
    ata_control_write(CHANNEL(dev, 0), (u8)val);
}

static void ata_control_write1(struct device *dev, u32 off, enum io_size size, u32 val)
{
    ata_control_write(CHANNEL(dev, 1), (u8)val);
}

/* ---- The chip ---- */

static bool ata_attach(struct device *dev)
{
    static const struct io_ops command[2] = {
        { ata_read0, ata_write0, IO_8 | IO_16 | IO_32, ata_read_string0, ata_write_string0 },
        { ata_read1, ata_write1, IO_8 | IO_16 | IO_32, ata_read_string1, ata_write_string1 },
    };
    static const struct io_ops control[2] = {
        { ata_control_read0, ata_control_write0, IO_8 },
        { ata_control_read1, ata_control_write1, IO_8 },
    };
    static const u16 base[2] = { 0x1f0, 0x170 };
    struct ata *ata = container_of(dev, struct ata, dev);
    const struct ide_config *config = dev->config;

    for (u32 i = 0; i < 2; i++) {
        struct ata_channel *c = &ata->channel[i];

        c->ata = ata;
        c->index = (u8)i;
        c->irq = irq_isa(dev->machine, 14 + i);
        for (u32 u = 0; u < 2; u++) {
            c->drive[u].channel = c;
            c->drive[u].unit = (u8)u;
            c->drive[u].disk = config->drive[i][u];
            timer_init(&c->drive[u].timer, dev->machine, ata_timer, &c->drive[u]);
        }
        if (!bus_claim_ports(dev, base[i], 8, &command[i]) ||
            !bus_claim_ports(dev, base[i] + 0x206, 1, &control[i]))
            return false;
    }
    return true;
}

static void ata_drive_power_on(struct ata_drive *d)
{
    d->device = 0;
    d->multiple = ATA_MULTIPLE;
    d->mode = 0x22; /* multiword DMA 2 */
    d->write_cache = true;
    if (!ata_is_cd(d))
        ata_geometry(d->disk, &d->cylinders, &d->heads, &d->sectors);
    ata_drive_reset(d);
}

static void ata_reset(struct device *dev)
{
    struct ata *ata = container_of(dev, struct ata, dev);

    for (u32 i = 0; i < 2; i++) {
        struct ata_channel *c = &ata->channel[i];

        c->selected = c->control = 0;
        for (u32 u = 0; u < 2; u++)
            if (c->drive[u].disk)
                ata_drive_power_on(&c->drive[u]);
        ata_dma_reset(c);
        ata_update_irq(c);
    }
}

/* A saved state is input like any other: what indexes, divides or counts is checked. */
static bool ata_sane(const struct ata_drive *d)
{
    u64 sectors = ata_sectors(d);
    bool block = d->pos <= d->end && d->end <= ATA_BUFFER && d->block <= ATA_BUFFER / SECTOR;
    bool range = ata_is_cd(d) || (d->lba <= sectors && d->left <= sectors - d->lba);
    bool reply = d->fill <= ATA_BUFFER && d->limit <= 0xfffe &&
                 (!d->total || d->end <= d->fill) &&
                 (d->form == 0 || d->form == CD_SECTOR || d->form == CD_RAW);
    bool setting = d->multiple <= ATA_MULTIPLE && (ata_is_cd(d) || (d->heads && d->sectors)) &&
                   d->heads <= 16 && d->sectors <= 255;

    return block && range && reply && setting && d->step < STEPS && d->then < STEPS;
}

static void ata_drive_loaded(struct ata_drive *d)
{
    timer_cancel(&d->timer);
    if (!d->disk)
        return;
    if (!ata_sane(d)) {
        d->block = d->left = d->limit = d->total = d->fill = d->form = 0;
        ata_drive_power_on(d);
    }
    if (d->step == STEP_FLUSHING) /* it was another process that flushed */
        d->step = STEP_FLUSH;
    if (d->step)
        timer_set_eager(&d->timer, d->due);
}

static void ata_loaded(struct device *dev)
{
    struct ata *ata = container_of(dev, struct ata, dev);

    for (u32 i = 0; i < 2; i++) {
        struct ata_channel *c = &ata->channel[i];

        c->selected &= 1;
        c->bm_table &= ~3u;
        for (u32 u = 0; u < 2; u++)
            ata_drive_loaded(&c->drive[u]);
        ata_update_irq(c);
    }
}

/* clang-format off */
#define F(member) { #member, offsetof(struct ata, member), sizeof(((struct ata *)0)->member), 1 }
#define A(member) { #member, offsetof(struct ata, member), sizeof(((struct ata *)0)->member[0]), \
                    ARRAY_SIZE(((struct ata *)0)->member) }
#define DRIVE_FIELDS(d) \
    A(d.feature), A(d.count), A(d.low), A(d.mid), A(d.high), F(d.device), F(d.status), \
    F(d.error), F(d.command), F(d.intrq), F(d.cylinders), F(d.heads), F(d.sectors), \
    F(d.multiple), F(d.mode), F(d.write_cache), F(d.power), F(d.asleep), F(d.step), F(d.due), \
    F(d.then), F(d.taking), F(d.pos), F(d.end), F(d.lba), F(d.left), F(d.block), F(d.storing), \
    F(d.dma_wait), F(d.limit), F(d.total), F(d.fill), F(d.form), F(d.packet_dma), A(d.packet), \
    F(d.sense_key), F(d.asc), F(d.ascq), F(d.requests), F(d.tray_open), F(d.media_event), \
    A(d.buffer)
#define CHANNEL_FIELDS(c) \
    F(c.selected), F(c.control), F(c.wire), F(c.bm_command), F(c.bm_status), F(c.bm_table), \
    F(c.prd_at), F(c.prd_address), F(c.prd_left), F(c.prd_last), \
    DRIVE_FIELDS(c.drive[0]), DRIVE_FIELDS(c.drive[1])

static const struct field ata_fields[] = {
    CHANNEL_FIELDS(channel[0]), CHANNEL_FIELDS(channel[1]), FIELD_END
};
/* clang-format on */

const struct device_class ata_class = {
    .name = "ata",
    .size = sizeof(struct ata),
    .attach = ata_attach,
    .reset = ata_reset,
    .loaded = ata_loaded,
    .fields = ata_fields,
};
