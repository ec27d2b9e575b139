/*
 * Ensoniq's ES1370 (AudioPCI, "ES1370 Technical Reference", 1997; names as in Linux's driver)
 * as a PCI card, its codec in ak4531.c, its UART in es1370_uart.c. BAR 0 has 64 ports:
 *
 *   00 control   04 status   08 UART   0C memory page   10 codec   20 serial interface
 *   24, 28, 2C   frames of a block, less one, of DAC1, DAC2, ADC; above: what is left
 *   30-3F        16 bytes of the chip's memory, a page of it: page C has DAC1's buffer
 * (address, longwords less one, above: longwords done) and DAC2's, page D the ADC's
 *
 * A channel goes round its buffer, and interrupts after each block. The guest acknowledges by
 * clearing the channel's interrupt enable. Output waits for a starved guest at the end of a
 * block (audio.h). The ADC records silence; there is no joystick.
 */
#include "devices/es1370_private.h"

#include <string.h>

enum {
    CONTROL = 0x00,
    STATUS = 0x04,
    UART = 0x08,
    MEMORY_PAGE = 0x0c,
    CODEC = 0x10,
    SERIAL = 0x20,
    COUNTS = 0x24,
    MEMORY = 0x30,
    PORTS = 64,
    CONTROL_SERR_OFF = 0x01,
    STATUS_UART = 0x08,
    STATUS_IDLE = 0x60, /* no voice is being served */
    SERIAL_RELOAD1 = 0x80,
    MASTER_CLOCK = 1411200,
    PIECE = 256,
};
#define CONTROL_ADC_STOP (1u << 31)
#define STATUS_INTERRUPT (1u << 31)
#define LOOK             MSEC(100) /* while a channel runs, somebody looks at least so often */
#define LEAST            USEC(100) /* between two looks */

/* Bits of control, status and serial; where the channel's buffer is in memory. */
static const struct {
    u32 enable, interrupt, interrupt_enable, stop, pause;
    u8 mode, memory;
} bits[CHANNELS] = {
    [DAC1] = {0x40, 4, 0x100, 0x2000, 0x0800, 0, 0xc * 4},
    [DAC2] = {0x20, 2, 0x200, 0x4000, 0x1000, 2, 0xc * 4 + 2},
    [ADC] = {0x10, 1, 0x400, 0x8000, 0, 4, 0xd * 4},
};

static enum es1370_id id_of(const struct es1370_channel *c)
{
    return (enum es1370_id)(c - c->chip->channel);
}

/* ---- Interrupts ---- */

static u32 status(const struct es1370 *s)
{
    u32 val = s->status | (es1370_uart_interrupts(s) ? STATUS_UART : 0);

    return val | STATUS_IDLE | (val ? STATUS_INTERRUPT : 0);
}

static void update_irq(struct es1370 *s)
{
    pci_plug_irq(&s->pci, status(s) & STATUS_INTERRUPT);
}

static void uart_fire(void *owner)
{
    update_irq(owner);
}

/* ---- A channel ---- */

static u32 mode(const struct es1370_channel *c)
{
    return c->chip->serial >> bits[id_of(c)].mode & 3;
}

static u32 sides(const struct es1370_channel *c)
{
    return mode(c) & 1 ? 2 : 1;
}

static bool wide(const struct es1370_channel *c)
{
    return mode(c) & 2;
}

static u32 frame_bytes(const struct es1370_channel *c)
{
    return sides(c) << wide(c);
}

/* DAC1 has four rates, the others a divider of one clock. */
static u32 rate(const struct es1370_channel *c)
{
    static const u16 fixed[] = {5512, 11025, 22050, 44100};
    u32 control = c->chip->control, divided = MASTER_CLOCK / ((control >> 16 & 0x1fff) + 2);

    if (id_of(c) == DAC1)
        return fixed[control >> 12 & 3];
    return divided < VOICE_MAX_RATE ? divided : VOICE_MAX_RATE;
}

static bool running(const struct es1370_channel *c)
{
    const struct es1370 *s = c->chip;

    return s->control & bits[id_of(c)].enable && !(s->serial & bits[id_of(c)].pause) &&
           !c->ended;
}

/* The buffer's place, size and progress, as the guest has them. */
static u32 *buffer(const struct es1370_channel *c)
{
    return c->chip->memory + bits[id_of(c)].memory;
}

/* False: it waits for the interrupt of the block before. To acknowledge that, the guest takes
 * the enable bit away and gives it back: in between, nothing that has waited may be lost. */
static bool block_end(struct es1370_channel *c)
{
    struct es1370 *s = c->chip;
    u32 interrupt = bits[id_of(c)].interrupt;
    bool enabled = s->serial & bits[id_of(c)].interrupt_enable;

    c->held = voice_waits(&c->voice, enabled ? s->status & interrupt : c->held);
    if (c->held)
        return false;
    s->status |= enabled ? interrupt : 0;
    c->left = c->count + 1u;
    if (s->serial & bits[id_of(c)].stop) {
        c->ended = true;
        c->idle_since = clock_now(s->dev.machine);
    }
    trace(TRACE_AUDIO, "%s: block ended", c->voice.name);
    update_irq(s);
    return true;
}

/* Bytes done in the buffer; what lies outside it counts as its begin. */
static u32 position(const struct es1370_channel *c)
{
    u32 done = buffer(c)[1] >> 16;

    return done > (buffer(c)[1] & 0xffff) ? 0
                                          : done * 4 + (c->part & ~(frame_bytes(c) - 1) & 3);
}

static u32 buffer_bytes(const struct es1370_channel *c)
{
    return ((buffer(c)[1] & 0xffff) + 1) * 4;
}

static void set_position(struct es1370_channel *c, u32 at)
{
    if (at >= buffer_bytes(c))
        at = 0;
    c->part = at & 3;
    buffer(c)[1] = (buffer(c)[1] & 0xffff) | at >> 2 << 16;
}

/* n samples of the guest's, of either width. */
static void widen(const struct es1370_channel *c, const u8 *from, i16 *to, u32 n)
{
    for (u32 i = 0; i < n; i++)
        to[i] =
            wide(c) ? (i16)(from[2 * i] | from[2 * i + 1] << 8) : (i16)((from[i] - 128) * 256);
}

/* n frames between memory and the voice. Without leave to be a bus master, what is read is
 * silence. */
static void move(struct es1370_channel *c, u32 n)
{
    struct es1370 *s = c->chip;
    bool master = s->pci.config[4] & PCI_COMMAND_MASTER;
    u8 raw[PIECE * 4];
    i16 samples[PIECE * 2];
    u32 bytes = n * frame_bytes(c), at = position(c), gpa = buffer(c)[0] + at;

    memset(raw, wide(c) ? 0 : 0x80, bytes);
    if (master && id_of(c) != ADC)
        phys_read(s->dev.machine, gpa, raw, bytes);
    else if (master && !(s->control & CONTROL_ADC_STOP))
        phys_write(s->dev.machine, gpa, raw, bytes);
    widen(c, raw, samples, n * sides(c));
    voice_write(&c->voice, samples, n);
    set_position(c, at + bytes);
    c->left -= n;
}

static void plan(struct es1370_channel *c)
{
    u64 now = clock_now(c->chip->dev.machine), at;

    if (!running(c)) {
        timer_cancel(&c->timer);
        return;
    }
    at = c->left ? voice_when(&c->voice, c->left) : now + LOOK;
    at = at < now + LOOK ? at : now + LOOK;
    timer_set(&c->timer, at > now + LEAST ? at : now + LEAST);
}

static void channel_run(struct es1370_channel *c)
{
    u32 n, whole;

    while (running(c)) {
        if (!c->left) {
            if (!block_end(c))
                break;
            continue;
        }
        whole = (buffer_bytes(c) - position(c)) / frame_bytes(c);
        n = voice_ready(&c->voice);
        n = n < PIECE ? n : PIECE;
        n = n < c->left ? n : c->left;
        n = n < whole ? n : whole;
        if (!n)
            break;
        move(c, n);
    }
    if (!running(c))
        voice_rest(&c->voice, c->idle_since);
    plan(c);
}

static void channel_fire(void *owner)
{
    channel_run(owner);
}

static void render(struct device *dev)
{
    struct es1370 *s = (struct es1370 *)dev;

    for (u32 i = 0; i < CHANNELS; i++)
        channel_run(&s->channel[i]);
}

/* A register changed: the channel begins, goes on otherwise, or stands. */
static void follow(struct es1370_channel *c, bool ran)
{
    struct voice *v = &c->voice;

    if (ran && !running(c))
        c->idle_since = clock_now(c->chip->dev.machine);
    if (running(c) && (!v->on || v->rate != rate(c) || v->channels != sides(c)))
        voice_start(v, rate(c), (u8)sides(c));
    if (running(c) && !ran)
        voice_pace(v);
    plan(c);
}

/* ---- Registers ---- */

static void control_write(struct es1370 *s, u32 val)
{
    bool ran[CHANNELS];
    u32 begun = val & ~s->control;

    for (u32 i = 0; i < CHANNELS; i++)
        ran[i] = running(&s->channel[i]);
    s->control = val;
    for (u32 i = 0; i < CHANNELS; i++) {
        if (begun & bits[i].enable)
            s->channel[i].ended = false;
        follow(&s->channel[i], ran[i]);
    }
}

static void acknowledge(struct es1370_channel *c)
{
    struct es1370 *s = c->chip;

    if (s->status & bits[id_of(c)].interrupt)
        voice_acknowledged(&c->voice);
    s->status &= ~bits[id_of(c)].interrupt;
    c->ended = false;
}

static void serial_write(struct es1370 *s, u32 val)
{
    bool ran[CHANNELS];

    for (u32 i = 0; i < CHANNELS; i++)
        ran[i] = running(&s->channel[i]);
    s->serial = val;
    if (val & SERIAL_RELOAD1)
        s->channel[DAC1].left = s->channel[DAC1].count + 1u;
    for (u32 i = 0; i < CHANNELS; i++) {
        if (!(val & bits[i].interrupt_enable))
            acknowledge(&s->channel[i]);
        follow(&s->channel[i], ran[i]);
    }
}

/* Of a channel that is off, the counter follows at once; else when it has run out. */
static void count_write(struct es1370_channel *c, u16 val)
{
    c->count = val;
    if (!(c->chip->control & bits[id_of(c)].enable))
        c->left = val + 1u;
}

static void memory_write(struct es1370 *s, u32 index, u32 val)
{
    s->memory[index] = val;
    for (u32 i = 0; i < CHANNELS; i++)
        if (index == bits[i].memory + 1u)
            s->channel[i].part = 0;
}

static u32 register_read(struct es1370 *s, u32 off)
{
    const struct es1370_channel *c;

    switch (off) {
    case CONTROL:
        return s->control;
    case STATUS:
        return status(s);
    case UART:
        return es1370_uart_read(s);
    case MEMORY_PAGE:
        return s->page;
    case SERIAL:
        return s->serial;
    case COUNTS ... COUNTS + 8:
        c = &s->channel[(off - COUNTS) / 4];
        return c->count | (c->left ? c->left - 1 : 0) << 16;
    case MEMORY ... MEMORY + 12:
        return s->memory[s->page * 4 + (off - MEMORY) / 4];
    default:
        return 0;
    }
}

/* The bytes of `mask` are written. */
static void register_write(struct es1370 *s, u32 off, u32 val, u32 mask)
{
    u32 whole = (register_read(s, off) & ~mask) | (val & mask);

    switch (off) {
    case CONTROL:
        control_write(s, whole);
        break;
    case UART:
        es1370_uart_write(s, val, mask);
        break;
    case MEMORY_PAGE:
        s->page = whole % PAGES;
        break;
    case CODEC:
        ak4531_write(s, (u8)(val >> 8), (u8)val);
        break;
    case SERIAL:
        serial_write(s, whole);
        break;
    case COUNTS ... COUNTS + 8:
        count_write(&s->channel[(off - COUNTS) / 4], (u16)whole);
        break;
    case MEMORY ... MEMORY + 12:
        memory_write(s, s->page * 4u + (off - MEMORY) / 4, whole);
        break;
    }
}

/* An access may reach from one register into the next. */
static u32 es1370_read(struct device *dev, u32 off, enum io_size size)
{
    struct es1370 *s = (struct es1370 *)dev;
    u32 first = off & ~3u, shift = 8 * (off & 3);
    u64 val;

    render(dev);
    val = register_read(s, first);
    if (shift + 8 * (u32)size > 32 && first + 4 < PORTS)
        val |= (u64)register_read(s, first + 4) << 32;
    return (u32)(val >> shift & (0xffffffffu >> (32 - 8 * (u32)size)));
}

static void es1370_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct es1370 *s = (struct es1370 *)dev;
    u32 first = off & ~3u, shift = 8 * (off & 3);
    u64 mask = (u64)(0xffffffffu >> (32 - 8 * (u32)size)) << shift, all = (u64)val << shift;

    render(dev);
    register_write(s, first, (u32)all, (u32)mask);
    if (mask >> 32 && first + 4 < PORTS)
        register_write(s, first + 4, (u32)(all >> 32), (u32)(mask >> 32));
    update_irq(s);
    render(dev); /* an acknowledged interrupt may have been waited for */
}

/* ---- The card ---- */

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops ops = {es1370_read, es1370_write, IO_8 | IO_16 | IO_32};
    struct es1370 *s = (struct es1370 *)f->dev;

    pci_bar_claim(f, 0, &ops, &s->claim);
}

static void channel_reset(struct es1370_channel *c)
{
    c->count = 0;
    c->left = 1;
    c->part = c->ended = c->held = 0;
    c->idle_since = clock_now(c->chip->dev.machine);
    c->voice.deaf = false;
    timer_cancel(&c->timer);
    voice_stop(&c->voice);
}

static void es1370_reset(struct device *dev)
{
    struct es1370 *s = (struct es1370 *)dev;

    s->control = CONTROL_SERR_OFF;
    s->status = s->serial = 0;
    s->page = s->uart = s->uart_test = 0;
    es1370_uart_stop(s);
    memset(s->memory, 0, sizeof(s->memory));
    for (u32 i = 0; i < CHANNELS; i++)
        channel_reset(&s->channel[i]);
    ak4531_reset(s);
    pci_reset(&s->pci);
    update_irq(s);
}

static bool es1370_attach(struct device *dev)
{
    static const char *const names[CHANNELS] = {"es1370-dac1", "es1370-dac2", "es1370-adc"};
    static const u8 subsystem[] = {0x42, 0x49, 0x4c, 0x4c}; /* 4942:4C4C, Ensoniq's own */
    const struct es1370_config *config = dev->config;
    struct es1370 *s = (struct es1370 *)dev;

    for (u32 i = 0; i < CHANNELS; i++) {
        struct es1370_channel *c = &s->channel[i];

        c->chip = s;
        voice_init(&c->voice, dev, i == ADC ? NULL : config->audio, names[i], render);
        timer_init(&c->timer, dev->machine, channel_fire, c);
    }
    timer_init(&s->uart_timer, dev->machine, uart_fire, s);
    pci_init(&s->pci, dev, 0x1274, 0x5000, 0x040100, 0, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    memcpy(s->pci.config + 0x2c, subsystem, sizeof(subsystem));
    s->pci.config[0x07] = 0x04; /* slow DEVSEL */
    s->pci.config[0x3e] = 0x0c; /* what it wants of the bus: MIN_GNT, MAX_LAT */
    s->pci.config[0x3f] = 0x80;
    pci_init_bar(&s->pci, 0, PORTS, true, false);
    s->pci.written = pci_written;
    pci_plug(dev, &s->pci);
    return true;
}

static void channel_loaded(struct es1370_channel *c)
{
    c->left = c->left > 0x10000 ? 0x10000 : c->left;
    c->part &= 3;
    c->idle_since = clock_now(c->chip->dev.machine);
    voice_loaded(&c->voice);
    if (c->voice.channels != sides(c))
        voice_stop(&c->voice);
    c->voice.channels = (u8)sides(c);
    channel_run(c);
}

static void es1370_loaded(struct device *dev)
{
    struct es1370 *s = (struct es1370 *)dev;

    pci_written(&s->pci, 0, 0);
    s->status &= bits[DAC1].interrupt | bits[DAC2].interrupt | bits[ADC].interrupt;
    s->page %= PAGES;
    es1370_uart_loaded(s);
    ak4531_hear(s);
    for (u32 i = 0; i < CHANNELS; i++)
        channel_loaded(&s->channel[i]);
    update_irq(s);
}

#define F(member) FIELD(struct es1370, member)
#define CHANNEL_FIELDS(n)                                                                      \
    VOICE_FIELDS(struct es1370, channel[n].voice), F(channel[n].count), F(channel[n].left),    \
        F(channel[n].part), F(channel[n].ended), F(channel[n].held)
static const struct field es1370_fields[] = {
    FIELD_ARRAY(struct es1370, pci.config),
    CHANNEL_FIELDS(DAC1),
    CHANNEL_FIELDS(DAC2),
    CHANNEL_FIELDS(ADC),
    F(control),
    F(status),
    F(serial),
    F(page),
    F(uart),
    F(uart_test),
    F(uart_ready_at),
    FIELD_ARRAY(struct es1370, memory),
    FIELD_ARRAY(struct es1370, codec),
    FIELD_END,
};

const struct device_class es1370_class = {
    .name = "ES1370",
    .size = sizeof(struct es1370),
    .attach = es1370_attach,
    .reset = es1370_reset,
    .loaded = es1370_loaded,
    .fields = es1370_fields,
};

/* ---- -device ES1370 ---- */

static const struct key_row es1370_keys[] = {
    {"audiodev", KEY_AUDIODEV, offsetof(struct es1370_config, audio),
     .help = "who hears: an -audiodev"},
    {NULL},
};

const struct user_device es1370_user_device = {
    .name = "ES1370",
    .help = "ENSONIQ AudioPCI ES1370",
    .category = SOUND_DEVICE,
    .bus = BUS_PCI,
    .class = &es1370_class,
    .config_size = sizeof(struct es1370_config),
    .properties = es1370_keys,
};
