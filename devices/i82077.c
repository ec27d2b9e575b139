/*
 * Intel 82077AA floppy disk controller (order 290166) in PC/AT mode: ports 3F0-3F5 and 3F7, IRQ
 * 6, DMA channel 2, two drives. Registers, phases, and the commands without data; the others
 * are in i82077_data.c.
 *
 * A command is a row of commands[]: how its first byte looks, how many more it takes. In the
 * command phase bytes gather in fifo[]; results go out of the same array. Seeks run while
 * commands do, and end with an interrupt that SENSE INTERRUPT STATUS explains.
 */
#include "devices/i82077_private.h"

#define RESET_DELAY USEC(100)
#define SEEK_DELAY USEC(300)
#define STEP_DELAY USEC(20)

enum {
    PORT_SRA, PORT_SRB, PORT_DOR, PORT_TDR, PORT_MSR_DSR, PORT_FIFO, /* 3F0 to 3F5 */
    LAST_CYLINDER = 83, RECALIBRATE_STEPS = 79, VERSION_82077 = 0x90,
};

struct disk *i82077_disk(struct i82077 *s, u32 n)
{
    const struct floppy_config *config = s->dev.config;

    return config && n < ARRAY_SIZE(config->drive) ? config->drive[n] : NULL;
}

/* A new medium sets the change line; it stays until a step with a medium in. */
static void look_at_medium(struct i82077 *s, u32 n)
{
    struct disk *d = i82077_disk(s, n);

    if (!d)
        return;
    if (d->changed || !d->impl)
        s->drive[n].changed = 1;
    d->changed = false;
}

/* ---- Interrupt ---- */

static void update_irq(struct i82077 *s)
{
    irq_set(s->irq, s->irq_pending && (s->dor & DOR_DMA_GATE) && (s->dor & DOR_NOT_RESET));
}

void i82077_interrupt(struct i82077 *s, bool on)
{
    s->irq_pending = on;
    if (on)
        s->reset_senses = 0; /* overtaken: nobody asked for them */
    update_irq(s);
}

/* ---- Phases ---- */

static void command_phase(struct i82077 *s)
{
    s->phase = PHASE_COMMAND;
    s->pos = 0;
}

void i82077_result(struct i82077 *s, u32 length)
{
    s->phase = PHASE_RESULT;
    s->length = (u8)length;
    s->pos = 0;
}

static void result1(struct i82077 *s, u8 val)
{
    s->fifo[0] = val;
    i82077_result(s, 1);
}

/* ---- Commands without data ---- */

static void run_specify(struct i82077 *s)
{
    s->specify[0] = s->fifo[1];
    s->specify[1] = s->fifo[2];
    command_phase(s);
}

static void run_sense_drive(struct i82077 *s)
{
    u32 n = s->fifo[1] & 3;
    struct disk *d = i82077_disk(s, n);
    u8 st3 = (s->fifo[1] & 7) | ST3_READY | ST3_TWO_SIDES;

    if (d && !s->drive[n].cylinder)
        st3 |= ST3_TRACK0;
    if (d && (d->read_only || !d->impl))
        st3 |= ST3_PROTECTED;
    result1(s, st3);
}

/* Moves the heads by `steps` at most to the ends; steps with a medium in clear the change
 * line. */
static void step(struct i82077 *s, u32 n, int steps)
{
    struct floppy_drive *d = &s->drive[n];
    struct disk *disk = i82077_disk(s, n);
    int to = d->cylinder + steps;

    look_at_medium(s, n);
    d->cylinder = (u8)(to < 0 ? 0 : to > LAST_CYLINDER ? LAST_CYLINDER : to);
    if (steps && disk && disk->impl)
        d->changed = 0;
}

static void seek_begin(struct i82077 *s, u32 n, u8 st0, u32 steps)
{
    s->seeking |= 1u << n;
    s->seek_done &= ~(1u << n);
    s->seek_st0[n] = st0;
    timer_set_eager(&s->seek, clock_now(s->dev.machine) + SEEK_DELAY + steps * STEP_DELAY);
    command_phase(s);
}

static void seek_fire(void *owner)
{
    struct i82077 *s = owner;

    s->seek_done |= s->seeking;
    s->seeking = 0;
    i82077_interrupt(s, true);
}

static void seek_to(struct i82077 *s, int target)
{
    u32 n = s->fifo[1] & 3;
    struct floppy_drive *d = &s->drive[n];
    int steps = target - d->pcn;

    step(s, n, steps);
    d->pcn = (u8)target;
    d->seeked = 1;
    trace(TRACE_DISK, "floppy %u: seek to %d", n, target);
    seek_begin(s, n, ST0_SEEK_END | (s->fifo[1] & 7), (u32)(steps < 0 ? -steps : steps));
}

static void run_seek(struct i82077 *s)
{
    seek_to(s, s->fifo[2]);
}

static void run_relative_seek(struct i82077 *s)
{
    int pcn = s->drive[s->fifo[1] & 3].pcn;

    seek_to(s, (pcn + (s->fifo[0] & CMD_IN ? s->fifo[2] : -s->fifo[2])) & 0xff);
}

/* Steps out until the drive says track 0; a drive that is not there never does. */
static void run_recalibrate(struct i82077 *s)
{
    u32 n = s->fifo[1] & 3, steps = s->drive[n].cylinder;
    u8 st0 = ST0_SEEK_END | n;

    if (steps > RECALIBRATE_STEPS)
        steps = RECALIBRATE_STEPS;
    step(s, n, -(int)steps);
    s->drive[n].pcn = 0;
    s->drive[n].seeked = 0;
    if (!i82077_disk(s, n) || s->drive[n].cylinder)
        st0 |= ST0_ABNORMAL | ST0_CHECK;
    seek_begin(s, n, st0, steps);
}

static u32 lowest_bit(u8 bits)
{
    return (u32)__builtin_ctz(bits);
}

static void run_sense_interrupt(struct i82077 *s)
{
    u32 n;

    if (s->reset_senses) {
        n = 4 - s->reset_senses--;
        s->fifo[0] = ST0_READY_CHANGED | n;
        s->irq_pending = 0;
        update_irq(s);
    } else if (s->seek_done) {
        n = lowest_bit(s->seek_done);
        s->seek_done &= ~(1u << n);
        s->fifo[0] = s->seek_st0[n];
        i82077_interrupt(s, false);
        i82077_interrupt(s, s->seek_done);
    } else {
        result1(s, ST0_INVALID);
        return;
    }
    s->fifo[1] = s->drive[n].pcn;
    i82077_result(s, 2);
}

static void run_configure(struct i82077 *s)
{
    s->config = s->fifo[2] & 0x7f;
    s->precompensation = s->fifo[3];
    command_phase(s);
}

static void run_dumpreg(struct i82077 *s)
{
    for (u32 n = 0; n < 4; n++)
        s->fifo[n] = s->drive[n].pcn;
    s->fifo[4] = s->specify[0];
    s->fifo[5] = s->specify[1];
    s->fifo[6] = s->eot;
    s->fifo[7] = s->lock << 7 | (s->perpendicular & 0x3f);
    s->fifo[8] = s->config;
    s->fifo[9] = s->precompensation;
    i82077_result(s, 10);
}

/* With OW the drive bits change too. */
static void run_perpendicular(struct i82077 *s)
{
    u8 val = s->fifo[1];

    s->perpendicular = val & 0x80 ? val & 0x3f : (s->perpendicular & 0x3c) | (val & 3);
    command_phase(s);
}

static void run_lock(struct i82077 *s)
{
    s->lock = s->fifo[0] >> 7;
    result1(s, s->lock << 4);
}

static void run_version(struct i82077 *s)
{
    result1(s, VERSION_82077);
}

static void run_invalid(struct i82077 *s)
{
    trace(TRACE_DISK, "floppy: invalid command %02x", s->fifo[0]);
    result1(s, ST0_INVALID);
}

struct command {
    u8 mask, code, parameters;
    void (*run)(struct i82077 *s);
};

/* clang-format off */
static const struct command commands[] = {
    { 0x1f, 0x06, 8, i82077_data_begin },  /* READ DATA */
    { 0x3f, 0x05, 8, i82077_data_begin },  /* WRITE DATA */
    { 0x1f, 0x0c, 8, i82077_data_begin },  /* READ DELETED DATA */
    { 0x3f, 0x09, 8, i82077_data_begin },  /* WRITE DELETED DATA */
    { 0x9f, 0x02, 8, i82077_data_begin },  /* READ TRACK */
    { 0x1f, 0x16, 8, i82077_data_begin },  /* VERIFY */
    { 0xbf, 0x0a, 1, i82077_data_begin },  /* READ ID */
    { 0xbf, 0x0d, 5, i82077_data_begin },  /* FORMAT TRACK */
    { 0x1f, 0x11, 8, i82077_data_begin },  /* SCAN EQUAL */
    { 0x1f, 0x19, 8, i82077_data_begin },  /* SCAN LOW OR EQUAL */
    { 0x1f, 0x1d, 8, i82077_data_begin },  /* SCAN HIGH OR EQUAL */
    { 0xff, 0x07, 1, run_recalibrate },
    { 0xff, 0x08, 0, run_sense_interrupt },
    { 0xff, 0x03, 2, run_specify },
    { 0xff, 0x04, 1, run_sense_drive },
    { 0xff, 0x0f, 2, run_seek },
    { 0xbf, 0x8f, 2, run_relative_seek },
    { 0xff, 0x0e, 0, run_dumpreg },
    { 0xff, 0x10, 0, run_version },
    { 0xff, 0x12, 1, run_perpendicular },
    { 0xff, 0x13, 3, run_configure },
    { 0x7f, 0x14, 0, run_lock },
    { 0x00, 0x00, 0, run_invalid },        /* all others; PART ID (18) came with the 82078 */
};
/* clang-format on */

static const struct command *command_of(u8 code)
{
    const struct command *c = commands;

    while ((code & c->mask) != c->code)
        c++;
    return c;
}

/* ---- Data port ---- */

static bool accessible(const struct i82077 *s)
{
    return (s->dor & DOR_NOT_RESET) && !s->resetting;
}

static void fifo_write(struct i82077 *s, u8 val)
{
    const struct command *c;

    if (!accessible(s))
        return;
    if (s->phase == PHASE_EXECUTION && s->ready && i82077_data_writes(s))
        i82077_data_put(s, val);
    if (s->phase != PHASE_COMMAND)
        return;
    s->fifo[s->pos++] = val;
    c = command_of(s->fifo[0]);
    if (s->pos > c->parameters)
        c->run(s);
}

static u8 fifo_read(struct i82077 *s)
{
    u8 val;

    if (!accessible(s))
        return 0;
    if (s->phase == PHASE_EXECUTION && s->ready && !i82077_data_writes(s))
        return i82077_data_get(s);
    if (s->phase != PHASE_RESULT)
        return 0;
    if (s->pos == 0 && s->length == 7) /* a data command's interrupt ends here */
        i82077_interrupt(s, s->seek_done);
    val = s->fifo[s->pos++];
    if (s->pos == s->length)
        command_phase(s);
    return val;
}

static u8 msr(const struct i82077 *s)
{
    if (!accessible(s))
        return 0;
    switch (s->phase) {
    case PHASE_COMMAND:
        return MSR_RQM | (s->pos ? MSR_BUSY : 0) | s->seeking;
    case PHASE_RESULT:
        return MSR_RQM | MSR_DIO | MSR_BUSY | s->seeking;
    default:
        return MSR_BUSY | s->seeking | (s->specify[1] & SPECIFY_NON_DMA ? MSR_NON_DMA : 0) |
               (s->ready ? MSR_RQM : 0) | (s->ready && !i82077_data_writes(s) ? MSR_DIO : 0);
    }
}

/* ---- Reset ---- */

/* What DOR's and DSR's reset bits do (290166, "Software RESET"): LOCK keeps the
 * configuration. */
static void soft_reset(struct i82077 *s)
{
    timer_cancel(&s->exec);
    timer_cancel(&s->seek);
    command_phase(s);
    s->seeking = s->seek_done = s->reset_senses = s->resetting = 0;
    s->ready = s->loaded = 0;
    s->at = 0;
    if (!s->lock) {
        s->config = CONFIG_NO_FIFO;
        s->precompensation = 0;
    }
    s->perpendicular &= 0x3c;
    i82077_interrupt(s, false);
}

static void reset_over(struct i82077 *s)
{
    s->resetting = 1;
    timer_set_eager(&s->exec, clock_now(s->dev.machine) + RESET_DELAY);
}

static void exec_fire(void *owner)
{
    struct i82077 *s = owner;

    if (!s->resetting) {
        if (s->phase == PHASE_EXECUTION)
            i82077_data_step(s);
        return;
    }
    s->resetting = 0;
    if (s->config & CONFIG_NO_POLL)
        return;
    i82077_interrupt(s, true);
    s->reset_senses = 4;
}

static void dor_write(struct i82077 *s, u8 val)
{
    u8 old = s->dor;

    s->dor = val;
    if (!(val & DOR_NOT_RESET))
        soft_reset(s);
    else if (!(old & DOR_NOT_RESET))
        reset_over(s);
    update_irq(s);
}

static void dsr_write(struct i82077 *s, u8 val)
{
    s->rate = val & 3;
    if (!(val & DSR_RESET) || !(s->dor & DOR_NOT_RESET))
        return;
    soft_reset(s);
    reset_over(s);
}

/* ---- Ports ---- */

static u32 i82077_read(struct device *dev, u32 off, enum io_size size)
{
    struct i82077 *s = (struct i82077 *)dev;

    switch (off) {
    case PORT_DOR:
        return s->dor;
    case PORT_TDR:
        return s->tdr;
    case PORT_MSR_DSR:
        if (s->phase == PHASE_EXECUTION && !s->ready && ++s->polls >= PATIENT_POLLS)
            timer_hurry(&s->exec); /* it polls */
        return msr(s);
    case PORT_FIFO:
        return fifo_read(s);
    default:
        return 0xff; /* status registers A and B: PS/2 mode only */
    }
}

static void i82077_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct i82077 *s = (struct i82077 *)dev;

    if (off == PORT_DOR)
        dor_write(s, (u8)val);
    else if (off == PORT_TDR)
        s->tdr = val & 3;
    else if (off == PORT_MSR_DSR)
        dsr_write(s, (u8)val);
    else if (off == PORT_FIFO)
        fifo_write(s, (u8)val);
}

static u32 dir_read(struct device *dev, u32 off, enum io_size size)
{
    struct i82077 *s = (struct i82077 *)dev;
    u32 n = s->dor & DOR_SELECT;

    look_at_medium(s, n);
    return i82077_disk(s, n) && s->drive[n].changed ? DIR_CHANGED : 0;
}

static void ccr_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    ((struct i82077 *)dev)->rate = val & 3;
}

/*
 * The RESET pin: as a soft reset, and all registers; the heads stay where they are. NOTE: DOR
 * starts released and gated on, where the part has 0: SeaBIOS sets the reset bit alone, and
 * would wait for an interrupt that the DMA gate holds back.
 */
static void i82077_reset(struct device *dev)
{
    struct i82077 *s = (struct i82077 *)dev;

    s->dor = DOR_NOT_RESET | DOR_DMA_GATE;
    s->tdr = s->lock = s->perpendicular = 0;
    s->rate = 2; /* 250 kbit/s */
    s->specify[0] = s->specify[1] = 0;
    soft_reset(s);
    for (u32 n = 0; n < ARRAY_SIZE(s->drive); n++) {
        s->drive[n].pcn = s->drive[n].seeked = 0;
        s->drive[n].changed = 1;
    }
}

static bool i82077_attach(struct device *dev)
{
    static const struct io_ops ops = { i82077_read, i82077_write, IO_8 };
    static const struct io_ops dir_ccr = { dir_read, ccr_write, IO_8 };
    struct i82077 *s = (struct i82077 *)dev;

    s->irq = irq_isa(dev->machine, 6);
    timer_init(&s->exec, dev->machine, exec_fire, s);
    timer_init(&s->seek, dev->machine, seek_fire, s);
    return bus_claim_ports(dev, 0x3f0, 6, &ops) && bus_claim_ports(dev, 0x3f7, 1, &dir_ccr);
}

static void i82077_loaded(struct device *dev)
{
    struct i82077 *s = (struct i82077 *)dev;

    s->pos %= ARRAY_SIZE(s->fifo);
    if (s->phase > PHASE_RESULT || s->pos > command_of(s->fifo[0])->parameters)
        command_phase(s);
    if (s->phase == PHASE_RESULT && (s->length > 10 || s->pos >= s->length))
        command_phase(s);
    if (s->at >= SECTOR)
        s->at = 0;
    s->reset_senses = s->reset_senses > 4 ? 4 : s->reset_senses;
    if (s->resetting || (s->phase == PHASE_EXECUTION && !s->ready))
        timer_set_eager(&s->exec, clock_now(dev->machine) + RESET_DELAY);
    if (s->seeking)
        timer_set_eager(&s->seek, clock_now(dev->machine) + SEEK_DELAY);
    update_irq(s);
}

#define DRIVE_FIELDS(n)                                                                        \
    FIELD(struct i82077, drive[n].cylinder), FIELD(struct i82077, drive[n].pcn),               \
        FIELD(struct i82077, drive[n].changed), FIELD(struct i82077, drive[n].seeked)

static const struct field i82077_fields[] = {
    FIELD(struct i82077, dor), FIELD(struct i82077, tdr), FIELD(struct i82077, rate),
    FIELD_ARRAY(struct i82077, specify), FIELD(struct i82077, config),
    FIELD(struct i82077, precompensation), FIELD(struct i82077, lock),
    FIELD(struct i82077, perpendicular), FIELD(struct i82077, phase),
    FIELD_ARRAY(struct i82077, fifo), FIELD(struct i82077, pos), FIELD(struct i82077, length),
    FIELD(struct i82077, irq_pending), FIELD(struct i82077, resetting),
    FIELD(struct i82077, reset_senses), FIELD(struct i82077, seeking),
    FIELD(struct i82077, seek_done), FIELD_ARRAY(struct i82077, seek_st0),
    DRIVE_FIELDS(0), DRIVE_FIELDS(1), DRIVE_FIELDS(2), DRIVE_FIELDS(3),
    FIELD(struct i82077, c), FIELD(struct i82077, h), FIELD(struct i82077, r),
    FIELD(struct i82077, n), FIELD(struct i82077, eot), FIELD(struct i82077, st1),
    FIELD(struct i82077, st2), FIELD_ARRAY(struct i82077, data), FIELD(struct i82077, at),
    FIELD(struct i82077, loaded), FIELD(struct i82077, ready), FIELD(struct i82077, left),
    FIELD(struct i82077, next_id), FIELD(struct i82077, stalls), FIELD_END,
};

const struct device_class i82077_class = {
    .name = "i82077",
    .size = sizeof(struct i82077),
    .attach = i82077_attach,
    .reset = i82077_reset,
    .loaded = i82077_loaded,
    .fields = i82077_fields,
};
