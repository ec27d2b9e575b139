/*
 * Yamaha YMF262 (OPL3; data sheet LSI-4MF2622): 512 registers in two banks, two timers, and
 * eighteen voices of FM. The registers and timers are here; the sound is made by the Nuked OPL3
 * of libadplug, an optional package.
 *
 * Timers are computed when the status is read: programs look for the chip by them. The
 * interrupt is not wired on a PC. The voice goes off after a second of silence, and on again at
 * the next write.
 */
#include "devices/ymf262.h"

enum {
    RATE = 49716, /* 14.318 MHz / 288 */
    PIECE = 256,
    SILENCE = 4,
    TIMER_COUNTS = 2, /* registers 2 and 3 */
    TIMER_CONTROL = 4,
    CONTROL_START = 0x01,
    CONTROL_MASK = 0x40,
    CONTROL_RESET = 0x80,
    STATUS_ANY = 0x80,
    STATUS_TIMER = 0x40,
};

/* ---- Timers ---- */

static u64 timer_period(const struct ymf262 *f, u32 n)
{
    return (256u - f->registers[TIMER_COUNTS + n]) * (n ? USEC(320) : USEC(80));
}

static u64 now(const struct ymf262 *f)
{
    return clock_now(f->voice.dev->machine);
}

static bool timer_over(const struct ymf262 *f, u32 n)
{
    const struct ymf262_timer *t = &f->timer[n];

    return t->running && !t->masked && now(f) - t->since >= timer_period(f, n);
}

static u8 status(const struct ymf262 *f)
{
    u8 flags = 0;

    for (u32 n = 0; n < 2; n++)
        if (timer_over(f, n))
            flags |= STATUS_ANY | STATUS_TIMER >> n;
    return flags;
}

/* The flags go; the timers run on. */
static void timers_acknowledge(struct ymf262 *f)
{
    for (u32 n = 0; n < 2; n++) {
        struct ymf262_timer *t = &f->timer[n];
        u64 period = timer_period(f, n);

        t->since += (now(f) - t->since) / period * period;
    }
}

static void timers_control(struct ymf262 *f, u8 val)
{
    if (val & CONTROL_RESET) {
        timers_acknowledge(f);
        return;
    }
    for (u32 n = 0; n < 2; n++) {
        struct ymf262_timer *t = &f->timer[n];
        bool start = val & CONTROL_START << n;

        if (start && !t->running)
            t->since = now(f);
        t->running = start;
        t->masked = (val & CONTROL_MASK >> n) != 0;
    }
}

/* ---- The synthesizer ---- */

#ifdef HAVE_ADPLUG
#include <adplug/nukedopl.h>

static bool synthesizer_make(struct ymf262 *f)
{
    if (f->voice.audio)
        f->synthesizer = machine_alloc(f->voice.dev->machine, sizeof(*f->synthesizer));
    return true;
}

static void synthesizer_reset(struct ymf262 *f)
{
    if (f->synthesizer)
        OPL3_Reset(f->synthesizer, RATE);
}

static void synthesizer_write(struct ymf262 *f, u16 index, u8 val)
{
    if (f->synthesizer)
        OPL3_WriteReg(f->synthesizer, index, val);
}

static void synthesizer_frame(struct ymf262 *f, i16 frame[2])
{
    OPL3_Generate(f->synthesizer, frame);
}
#else
static bool synthesizer_make(struct ymf262 *f)
{
    warn("%s: no FM music: built without libadplug", f->voice.dev->class->name);
    return false;
}

static void synthesizer_reset(struct ymf262 *f)
{
}

static void synthesizer_write(struct ymf262 *f, u16 index, u8 val)
{
}

static void synthesizer_frame(struct ymf262 *f, i16 frame[2])
{
    frame[0] = frame[1] = 0;
}
#endif

static bool silent(const i16 frame[2])
{
    return frame[0] < SILENCE && frame[0] > -SILENCE && frame[1] < SILENCE &&
           frame[1] > -SILENCE;
}

void ymf262_render(struct ymf262 *f)
{
    i16 frames[PIECE][2];
    u32 n;

    while (f->synthesizer && (n = voice_due(&f->voice))) {
        n = n < PIECE ? n : PIECE;
        for (u32 i = 0; i < n; i++) {
            synthesizer_frame(f, frames[i]);
            f->silent = silent(frames[i]) ? f->silent + 1 : 0;
        }
        voice_write(&f->voice, frames[0], n);
    }
    if (f->silent > RATE)
        voice_stop(&f->voice);
}

/* ---- Registers ---- */

static void data_write(struct ymf262 *f, u8 val)
{
    ymf262_render(f);
    f->registers[f->index] = val;
    if (f->index == TIMER_CONTROL)
        timers_control(f, val);
    if (f->index >= TIMER_COUNTS && f->index <= TIMER_CONTROL)
        return;
    synthesizer_write(f, f->index, val);
    f->silent = 0;
    if (f->synthesizer && !f->voice.on)
        voice_start(&f->voice, RATE, 2);
}

void ymf262_write(struct ymf262 *f, u32 off, u8 val)
{
    if (off & 1)
        data_write(f, val);
    else
        f->index = (u16)((off & 2) << 7 | val);
}

/* Of an OPL3, the bits below the flags are 0: so programs tell it from an OPL2. */
u8 ymf262_read(struct ymf262 *f, u32 off)
{
    return off & 1 ? 0xff : status(f);
}

/* ---- The chip ---- */

void ymf262_reset(struct ymf262 *f)
{
    voice_stop(&f->voice);
    for (u32 i = 0; i < 512; i++)
        f->registers[i] = 0;
    f->index = 0;
    f->timer[0] = f->timer[1] = (struct ymf262_timer){ 0 };
    synthesizer_reset(f);
}

bool ymf262_attach(struct ymf262 *f, struct device *card, struct audiodev *audio, u16 iobase,
                   const struct io_ops *ops, void (*render)(struct device *card))
{
    voice_init(&f->voice, card, audio, "ymf262", render);
    if (!synthesizer_make(f))
        return true;
    synthesizer_reset(f);
    return bus_claim_ports(card, iobase, 4, ops) && bus_claim_ports(card, iobase + 8, 2, ops) &&
           bus_claim_ports(card, 0x388, 4, ops);
}

/* Notes that are held begin again: the second bank's mode first, which the others depend on. */
void ymf262_loaded(struct ymf262 *f)
{
    f->index %= 512;
    for (u32 n = 0; n < 2; n++)
        if (f->timer[n].since > now(f))
            f->timer[n].since = now(f);
    voice_stop(&f->voice);
    synthesizer_reset(f);
    synthesizer_write(f, 0x105, f->registers[0x105]);
    for (u16 i = 0; i < 512; i++)
        if (i != 0x105 && (i < TIMER_COUNTS || i > TIMER_CONTROL))
            synthesizer_write(f, i, f->registers[i]);
    f->silent = 0;
    if (f->synthesizer)
        voice_start(&f->voice, RATE, 2);
}
