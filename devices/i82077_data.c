/*
 * The data commands of the 82077AA (290166): one sector at a time, each a timer's
 * length after the one before; bytes go by DMA channel 2 or, in non-DMA mode, through the data
 * port. All end in end() with the result ST0 ST1 ST2 C H R N.
 *
 * A raw image has no marks and no gaps: sectors are 512 bytes, MFM, at the addresses of their
 * format; anything else is not found.
 *
 * SeaBIOS never seeks: until the first SEEK after a recalibrate the heads follow the cylinder
 * that is asked for, as they do with CONFIGURE's implied seek. Then the wrong cylinder is an
 * error.
 */
#include "devices/i82077_private.h"
#include "devices/i8237.h"
#include <string.h>

#define START_DELAY USEC(50)
#define SECTOR_DELAY USEC(10)
#define STALL_DELAY MSEC(1) /* the DMA controller does not serve us yet */
#define MAX_STALLS 200      /* a turn of the disk: then it is an overrun */
#define DMA_CHANNEL 2

enum {
    READ_TRACK = 0x02, WRITE_DATA = 0x05, READ_DATA = 0x06, WRITE_DELETED = 0x09,
    READ_ID = 0x0a, READ_DELETED = 0x0c, FORMAT_TRACK = 0x0d, VERIFY = 0x16,
    ID_BYTES = 4, /* C H R N, for each sector formatted */
};

static u8 opcode(const struct i82077 *s)
{
    return s->fifo[0] & 0x1f;
}

static u32 unit(const struct i82077 *s)
{
    return s->fifo[1] & 3;
}

static u32 head(const struct i82077 *s)
{
    return s->fifo[1] & UNIT_HEAD ? 1 : 0;
}

static bool non_dma(const struct i82077 *s)
{
    return s->specify[1] & SPECIFY_NON_DMA;
}

bool i82077_data_writes(const struct i82077 *s)
{
    u8 op = opcode(s);

    return op == WRITE_DATA || op == WRITE_DELETED || op == FORMAT_TRACK;
}

static u32 transfer_size(const struct i82077 *s)
{
    return opcode(s) == FORMAT_TRACK ? ID_BYTES : SECTOR;
}

static void wait_ns(struct i82077 *s, u64 ns)
{
    s->polls = 0;
    timer_set_eager(&s->exec, clock_now(s->dev.machine) + ns);
}

static void end_command(struct i82077 *s, bool ok)
{
    u8 op = opcode(s), result[7] = { (ok ? 0 : ST0_ABNORMAL) | (s->fifo[1] & 7), s->st1, s->st2,
                                     s->c, s->h, s->r, s->n };

    trace(TRACE_DISK, "floppy %u: command %02x ends %02x %02x %02x at %u/%u/%u", unit(s), op,
          result[0], s->st1, s->st2, s->c, s->h, s->r);
    memcpy(s->fifo, result, sizeof(result));
    s->ready = s->loaded = 0;
    i82077_result(s, sizeof(result));
    i82077_interrupt(s, true);
}

static void fail_command(struct i82077 *s, u8 st1, u8 st2)
{
    s->st1 |= st1;
    s->st2 |= st2;
    end_command(s, false);
}

/* ---- Finding sectors ---- */

/* The medium's format when its address marks can be read at all, else NULL. */
static const struct floppy_format *readable(struct i82077 *s)
{
    const struct floppy_format *f = floppy_format(i82077_disk(s, unit(s)));

    if (!f || !(s->dor & DOR_MOTOR0 << unit(s)) || !(s->fifo[0] & CMD_MFM))
        return NULL;
    return floppy_rate_fits(f, s->rate) && head(s) < f->heads ? f : NULL;
}

/* Are the heads on cylinder c, or may they go there? A 40-track disk is stepped over twice. */
static bool on_cylinder(struct i82077 *s, const struct floppy_format *f, u8 c)
{
    struct floppy_drive *d = &s->drive[unit(s)];

    if (d->seeked && !(s->config & CONFIG_EIS))
        return d->cylinder == c || (f->cylinders <= 42 && d->cylinder == 2 * c);
    if (c < f->cylinders)
        d->cylinder = d->pcn = c;
    return true;
}

/* The image offset of sector C H R; else the status bits that say why there is none. */
static bool find_sector(struct i82077 *s, u64 *offset)
{
    const struct floppy_format *f = readable(s);

    if (!f) {
        s->st1 |= ST1_NO_MARK;
        return false;
    }
    if (!on_cylinder(s, f, s->c)) {
        s->st1 |= ST1_NO_DATA;
        s->st2 |= ST2_WRONG_CYLINDER;
        return false;
    }
    if (s->n == SIZE_512 && s->h == head(s) && floppy_offset(f, s->c, s->h, s->r, offset))
        return true;
    s->st1 |= ST1_NO_DATA;
    return false;
}

/* The next sector (290166, "Result Phase Table"); false past the last of the track or
 * cylinder. */
static bool next_sector(struct i82077 *s)
{
    bool multi_track = s->fifo[0] & CMD_MT;

    if (s->r != s->eot) {
        s->r++;
        return true;
    }
    s->r = 1;
    if (!multi_track) {
        s->c++;
        return false;
    }
    s->h ^= 1;
    s->fifo[1] ^= UNIT_HEAD;
    if (s->h & 1)
        return true;
    s->c++;
    return false;
}

static void sector_done(struct i82077 *s, bool terminal)
{
    bool more = next_sector(s);

    s->at = s->loaded = 0;
    s->stalls = 0;
    if (opcode(s) == READ_DELETED) { /* found unmarked data: one sector, and say so */
        s->st2 |= ST2_CONTROL_MARK;
        terminal = true;
    }
    if (terminal)
        end_command(s, true);
    else if (more)
        wait_ns(s, SECTOR_DELAY);
    else
        fail_command(s, ST1_END, 0);
}

/* ---- Moving bytes ---- */

/* By DMA: true when `data` is through (*terminal: and it was the last); false: try again
 * later. */
static bool move_sector(struct i82077 *s, bool to_memory, bool *terminal)
{
    const struct floppy_config *config = s->dev.config;
    struct device *dma = config ? config->dma : NULL;

    *terminal = false;
    if (dma && (s->dor & DOR_DMA_GATE))
        s->at += i8237_transfer(dma, DMA_CHANNEL, s->data + s->at, transfer_size(s) - s->at,
                                to_memory, terminal);
    if (s->at == transfer_size(s) || *terminal)
        return true;
    if (++s->stalls > MAX_STALLS)
        fail_command(s, ST1_OVERRUN, 0);
    else
        timer_set(&s->exec, clock_now(s->dev.machine) + STALL_DELAY);
    return false;
}

static void ask_guest(struct i82077 *s)
{
    s->ready = 1;
    i82077_interrupt(s, true);
}

static void step_read(struct i82077 *s)
{
    bool terminal;
    u64 offset;

    if (!s->loaded && !find_sector(s, &offset)) {
        end_command(s, false);
        return;
    }
    if (!s->loaded && !disk_read(i82077_disk(s, unit(s)), offset, s->data, SECTOR)) {
        fail_command(s, ST1_DATA_ERROR, ST2_DATA_ERROR);
        return;
    }
    s->loaded = 1;
    if (non_dma(s))
        ask_guest(s);
    else if (move_sector(s, true, &terminal))
        sector_done(s, terminal);
}

static void write_sector(struct i82077 *s, bool terminal)
{
    u64 offset;

    memset(s->data + s->at, 0, SECTOR - s->at);
    if (!find_sector(s, &offset))
        end_command(s, false);
    else if (!disk_write(i82077_disk(s, unit(s)), offset, s->data, SECTOR))
        fail_command(s, ST1_DATA_ERROR, ST2_DATA_ERROR);
    else
        sector_done(s, terminal);
}

static void step_write(struct i82077 *s)
{
    struct disk *d = i82077_disk(s, unit(s));
    bool terminal;
    u64 offset;

    if (!s->loaded && !find_sector(s, &offset)) {
        end_command(s, false);
        return;
    }
    if (!d || d->read_only) {
        fail_command(s, ST1_NOT_WRITABLE, 0);
        return;
    }
    s->loaded = 1;
    if (non_dma(s))
        ask_guest(s);
    else if (move_sector(s, false, &terminal))
        write_sector(s, terminal);
}

/* Like reading, into nowhere. With EC the byte for the data length says how many sectors. */
static void step_verify(struct i82077 *s)
{
    bool counted = s->fifo[1] & UNIT_EC, last;
    u64 offset;

    if (!find_sector(s, &offset)) {
        end_command(s, false);
        return;
    }
    if (!disk_read(i82077_disk(s, unit(s)), offset, s->data, SECTOR)) {
        fail_command(s, ST1_DATA_ERROR, ST2_DATA_ERROR);
        return;
    }
    last = counted ? --s->left == 0 : s->r == s->eot && (!(s->fifo[0] & CMD_MT) || (s->h & 1));
    sector_done(s, last);
}

static void step_read_id(struct i82077 *s)
{
    const struct floppy_format *f = readable(s);
    const struct floppy_drive *d = &s->drive[unit(s)];
    u8 c = d->seeked && f && f->cylinders <= 42 ? d->cylinder / 2 : d->cylinder;

    if (!f || c >= f->cylinders) {
        fail_command(s, ST1_NO_MARK, 0);
        return;
    }
    s->next_id = s->next_id % f->sectors + 1;
    s->c = c;
    s->h = (u8)head(s);
    s->r = s->next_id;
    s->n = SIZE_512;
    end_command(s, true);
}

/* ---- Formatting ---- */

/* Only what the image can hold: its own density, sector size and sectors a track. */
static u8 format_refusal(struct i82077 *s)
{
    const struct floppy_format *f = readable(s);

    if (!f)
        return ST1_NO_MARK;
    if (i82077_disk(s, unit(s))->read_only)
        return ST1_NOT_WRITABLE;
    return s->fifo[2] == SIZE_512 && s->fifo[3] == f->sectors ? 0 : ST1_NO_DATA;
}

/* An identifier came: its sector gets the filler. */
static void format_sector(struct i82077 *s, bool terminal)
{
    const struct floppy_format *f = readable(s);
    struct disk *d = i82077_disk(s, unit(s));
    u8 filler[SECTOR];
    u64 offset;

    s->c = s->data[0];
    s->h = s->data[1];
    s->r = s->data[2];
    s->n = s->data[3];
    memset(filler, s->fifo[5], sizeof(filler));
    if (!f || s->at < ID_BYTES || s->n != SIZE_512 || s->h != head(s) ||
        !on_cylinder(s, f, s->c) || !floppy_offset(f, s->c, s->h, s->r, &offset)) {
        fail_command(s, ST1_NO_DATA, 0);
    } else if (!disk_write(d, offset, filler, SECTOR)) {
        fail_command(s, ST1_DATA_ERROR, ST2_DATA_ERROR);
    } else if (terminal || --s->left == 0) {
        end_command(s, true);
    } else {
        s->at = 0;
        s->stalls = 0;
        wait_ns(s, SECTOR_DELAY);
    }
}

static void step_format(struct i82077 *s)
{
    u8 refusal = format_refusal(s);
    bool terminal;

    if (refusal)
        fail_command(s, refusal, 0);
    else if (non_dma(s))
        ask_guest(s);
    else if (move_sector(s, false, &terminal))
        format_sector(s, terminal);
}

/* ---- The commands ---- */

static void step_scan(struct i82077 *s)
{
    device_nyi(&s->dev, "SCAN");
    fail_command(s, 0, ST2_SCAN_NOT);
}

void i82077_data_step(struct i82077 *s)
{
    switch (opcode(s)) {
    case READ_TRACK:
    case READ_DATA:
    case READ_DELETED:
        step_read(s);
        break;
    case WRITE_DATA:
    case WRITE_DELETED:
        step_write(s);
        break;
    case FORMAT_TRACK:
        step_format(s);
        break;
    case VERIFY:
        step_verify(s);
        break;
    case READ_ID:
        step_read_id(s);
        break;
    default:
        step_scan(s);
    }
}

void i82077_data_begin(struct i82077 *s)
{
    u8 op = opcode(s);

    s->c = s->h = s->r = s->n = 0;
    if (op == FORMAT_TRACK) {
        s->left = s->fifo[3];
    } else if (op != READ_ID) {
        s->c = s->fifo[2];
        s->h = s->fifo[3];
        s->r = op == READ_TRACK ? 1 : s->fifo[4];
        s->n = s->fifo[5];
        s->eot = s->fifo[6];
        s->left = s->fifo[8];
    }
    if (op == READ_TRACK)
        s->fifo[0] &= ~CMD_MT;
    s->st1 = s->st2 = 0;
    s->at = s->loaded = s->ready = 0;
    s->stalls = 0;
    s->phase = PHASE_EXECUTION;
    trace(TRACE_DISK, "floppy %u: command %02x at %u/%u/%u to %u", unit(s), s->fifo[0], s->c,
          s->h, s->r, s->eot);
    wait_ns(s, START_DELAY);
}

/* ---- Non-DMA mode ---- */

u8 i82077_data_get(struct i82077 *s)
{
    u8 val = s->data[s->at++];

    i82077_interrupt(s, false);
    if (s->at == SECTOR) {
        s->ready = 0;
        sector_done(s, false);
    }
    return val;
}

void i82077_data_put(struct i82077 *s, u8 val)
{
    s->data[s->at++] = val;
    i82077_interrupt(s, false);
    if (s->at < transfer_size(s))
        return;
    s->ready = 0;
    if (opcode(s) == FORMAT_TRACK)
        format_sector(s, false);
    else
        write_sector(s, false);
}
