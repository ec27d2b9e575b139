/*
 * The AC'97 controller of Intel's 82801AA (ICH, data sheet 290655, chapter 13) as a PCI card:
 * BAR 0 leads to the codec (ac97_codec.c), BAR 1 has three bus masters: PCM in, PCM out,
 * microphone.
 *
 * A bus master goes through a ring of 32 descriptors: an address, a number of samples, and
 * whether the buffer's end interrupts. It halts behind the last valid one, and goes on when
 * that is moved. Output waits for a starved guest at the end of a buffer (audio.h). The inputs
 * record silence.
 */
#include "devices/ac97_private.h"

#include <string.h>

enum {
    BDBAR = 0x0,
    CIV = 0x4,
    LVI = 0x5,
    SR = 0x6,
    PICB = 0x8,
    PIV = 0xa,
    CR = 0xb,
    BOX_SIZE = 16,
    SR_HALTED = 0x01,
    SR_AT_LAST = 0x02,
    SR_LAST_BUFFER = 0x04,
    SR_COMPLETE = 0x08,
    SR_FIFO = 0x10,
    SR_CLEARED = SR_LAST_BUFFER | SR_COMPLETE | SR_FIFO, /* by writing 1 */
    CR_RUN = 0x01,
    CR_RESET = 0x02,
    CR_LAST_IRQ = 0x04,
    CR_FIFO_IRQ = 0x08,
    CR_COMPLETE_IRQ = 0x10,
    GLOBAL_CONTROL = 0x2c,
    GLOBAL_STATUS = 0x30,
    SEMAPHORE = 0x34,
    MASTER_SIZE = 64,
    MIXER_SIZE = 256,
    CONTROL_BITS = 0x3b,
    STATUS_CODEC_READY = 0x100,
    STATUS_BOX = 0x20, /* then 40, 80 */
    DESCRIPTORS = 32,
    PIECE = 256,
};
#define ON_COMPLETION (1u << 31) /* of a descriptor: interrupt */
#define LOOK          MSEC(100)  /* while a master runs, somebody looks at least so often */
#define LEAST         USEC(100)  /* between two looks */

static u64 now(const struct ac97 *s)
{
    return clock_now(s->dev.machine);
}

/* ---- Interrupts ---- */

static bool interrupts(const struct ac97_box *b)
{
    return (b->sr & SR_LAST_BUFFER && b->cr & CR_LAST_IRQ) ||
           (b->sr & SR_COMPLETE && b->cr & CR_COMPLETE_IRQ);
}

static u32 global_status(const struct ac97 *s)
{
    u32 status = STATUS_CODEC_READY;

    for (u32 i = 0; i < BOXES; i++)
        if (interrupts(&s->box[i]))
            status |= STATUS_BOX << i;
    return status;
}

static void update_irq(struct ac97 *s)
{
    pci_plug_irq(&s->pci, global_status(s) != STATUS_CODEC_READY);
}

/* ---- A bus master ---- */

static u32 sides(const struct ac97_box *b)
{
    return b == &b->chip->box[BOX_MIC] ? 1 : 2;
}

static bool running(const struct ac97_box *b)
{
    return b->cr & CR_RUN && !(b->sr & SR_HALTED);
}

/* The prefetched descriptor becomes the current one. */
static void descriptor_next(struct ac97_box *b)
{
    u32 words[2];

    b->civ = b->piv;
    b->piv = (b->piv + 1) % DESCRIPTORS;
    phys_read(b->chip->dev.machine, (gpa_t)b->bdbar + b->civ * 8, words, sizeof(words));
    b->at = words[0] & ~1u;
    b->control = words[1];
    b->picb = (u16)words[1];
}

/* False: it waits for the interrupt of the buffer before. */
static bool buffer_end(struct ac97_box *b)
{
    bool interrupt = b->control & ON_COMPLETION;

    b->picb = 0;
    if (voice_waits(&b->voice, interrupt && b->sr & SR_COMPLETE && b->cr & CR_COMPLETE_IRQ))
        return false;
    b->sr |= interrupt ? SR_COMPLETE : 0;
    if (b->civ == b->lvi) {
        b->sr |= SR_LAST_BUFFER | SR_HALTED | SR_AT_LAST;
        b->idle_since = now(b->chip);
    } else {
        descriptor_next(b);
    }
    trace(TRACE_AUDIO, "ac97: %s: buffer ended, now %u of %u", b->voice.name, b->civ, b->lvi);
    update_irq(b->chip);
    return true;
}

/* n frames between memory and the voice. Without leave to be a bus master, what is read is
 * silence. */
static void move(struct ac97_box *b, u32 n)
{
    struct ac97 *s = b->chip;
    bool master = s->pci.config[4] & PCI_COMMAND_MASTER;
    i16 samples[PIECE * 2] = { 0 };
    u32 bytes = n * sides(b) * 2;

    if (master && b == &s->box[BOX_PCM_OUT])
        phys_read(s->dev.machine, b->at, samples, bytes);
    else if (master)
        phys_write(s->dev.machine, b->at, samples, bytes);
    voice_write(&b->voice, samples, n);
    b->at += bytes;
    b->picb -= (u16)(n * sides(b));
}

static void plan(struct ac97_box *b)
{
    u64 most = now(b->chip) + LOOK, least = now(b->chip) + LEAST, at = most;

    if (!running(b)) {
        timer_cancel(&b->timer);
        return;
    }
    if (b->picb >= sides(b))
        at = voice_when(&b->voice, b->picb / sides(b));
    at = at < most ? at : most;
    timer_set(&b->timer, at > least ? at : least);
}

static void box_run(struct ac97_box *b)
{
    u32 n;

    while (running(b)) {
        if (b->picb < sides(b)) {
            if (!buffer_end(b))
                break;
            continue;
        }
        n = voice_ready(&b->voice);
        n = n < PIECE ? n : PIECE;
        n = n < b->picb / sides(b) ? n : b->picb / sides(b);
        if (!n)
            break;
        move(b, n);
    }
    if (!running(b))
        voice_rest(&b->voice, b->idle_since);
    plan(b);
}

static void box_fire(void *owner)
{
    box_run(owner);
}

/* Where it stood, or at the prefetched descriptor. */
static void box_go(struct ac97_box *b)
{
    struct ac97 *s = b->chip;
    u32 rate = ac97_codec_rate(s, (enum ac97_box_id)(b - s->box));

    if (!b->picb)
        descriptor_next(b);
    b->sr &= ~(SR_HALTED | SR_AT_LAST);
    if (!b->voice.on || b->voice.rate != rate)
        voice_start(&b->voice, rate, (u8)sides(b));
    voice_pace(&b->voice);
    plan(b);
}

static void box_reset(struct ac97_box *b)
{
    b->bdbar = 0;
    b->civ = b->lvi = b->piv = b->cr = 0;
    b->picb = 0;
    b->sr = SR_HALTED;
    b->idle_since = now(b->chip);
    b->voice.deaf = false;
    timer_cancel(&b->timer);
}

void ac97_render(struct device *dev)
{
    struct ac97 *s = (struct ac97 *)dev;

    for (u32 i = 0; i < BOXES; i++)
        box_run(&s->box[i]);
}

void ac97_rates_changed(struct ac97 *s)
{
    for (u32 i = 0; i < BOXES; i++) {
        struct ac97_box *b = &s->box[i];
        u32 rate = ac97_codec_rate(s, (enum ac97_box_id)i);

        if (b->voice.on && b->voice.rate != rate)
            voice_start(&b->voice, rate, (u8)sides(b));
        plan(b);
    }
}

/* ---- A bus master's registers ---- */

/* All sixteen bytes: a wide read is of one moment. */
static void box_image(struct ac97_box *b, u8 image[BOX_SIZE])
{
    memset(image, 0, BOX_SIZE);
    memcpy(image + BDBAR, &b->bdbar, 4);
    image[CIV] = b->civ;
    image[LVI] = b->lvi;
    memcpy(image + SR, &b->sr, 2);
    memcpy(image + PICB, &b->picb, 2);
    image[PIV] = b->piv;
    image[CR] = b->cr;
}

static void control_write(struct ac97_box *b, u8 val)
{
    bool ran = b->cr & CR_RUN;

    if (val & CR_RESET) {
        if (!ran)
            box_reset(b);
        return;
    }
    b->cr = val & 0x1f;
    if (!ran && val & CR_RUN) {
        box_go(b);
    } else if (ran && !(val & CR_RUN)) {
        b->sr |= SR_HALTED;
        b->idle_since = now(b->chip);
        plan(b);
    }
}

static void status_write(struct ac97_box *b, u8 val)
{
    bool acknowledged = b->sr & val & SR_COMPLETE;

    b->sr &= ~(val & SR_CLEARED);
    if (acknowledged)
        voice_acknowledged(&b->voice);
}

static void box_write(struct ac97_box *b, u32 off, u8 val)
{
    switch (off) {
    case BDBAR ... BDBAR + 3:
        b->bdbar = (b->bdbar & ~(0xffu << 8 * off)) | (u32)val << 8 * off;
        b->bdbar &= ~7u;
        break;
    case LVI:
        b->lvi = val % DESCRIPTORS;
        if (b->cr & CR_RUN && b->sr & SR_HALTED)
            box_go(b);
        break;
    case SR:
        status_write(b, val);
        break;
    case CR:
        control_write(b, val);
        break;
    }
    update_irq(b->chip);
}

/* ---- BAR 1: the bus masters ---- */

static u8 master_byte(struct ac97 *s, u32 off, const u8 image[BOX_SIZE])
{
    if (off < BOXES * BOX_SIZE && off % BOX_SIZE <= CR)
        return image[off % BOX_SIZE];
    if (off >= GLOBAL_CONTROL && off < GLOBAL_CONTROL + 4)
        return (u8)(s->global_control >> 8 * (off - GLOBAL_CONTROL));
    if (off >= GLOBAL_STATUS && off < GLOBAL_STATUS + 4)
        return (u8)(global_status(s) >> 8 * (off - GLOBAL_STATUS));
    return 0;
}

static u32 master_read(struct device *dev, u32 off, enum io_size size)
{
    struct ac97 *s = (struct ac97 *)dev;
    u8 image[BOX_SIZE] = { 0 };
    u32 val = 0;

    ac97_render(dev);
    if (off == SEMAPHORE) { /* the codec is free; whoever asks, has it */
        val = s->semaphore;
        s->semaphore = 1;
        return val;
    }
    if (off < BOXES * BOX_SIZE)
        box_image(&s->box[off / BOX_SIZE], image);
    for (u32 i = 0; i < size; i++)
        val |= (u32)master_byte(s, off + i, image) << 8 * i;
    return val;
}

static void master_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct ac97 *s = (struct ac97 *)dev;

    ac97_render(dev);
    for (u32 i = 0; i < size; i++, off++, val >>= 8) {
        u32 shift = 8 * (off - GLOBAL_CONTROL);

        if (off < BOXES * BOX_SIZE && off % BOX_SIZE <= CR)
            box_write(&s->box[off / BOX_SIZE], off % BOX_SIZE, (u8)val);
        else if (off >= GLOBAL_CONTROL && off < GLOBAL_CONTROL + 4)
            s->global_control =
                (s->global_control & ~(0xffu << shift)) | ((val & 0xff) << shift);
    }
    s->global_control &= CONTROL_BITS; /* a warm reset is over at once */
    ac97_render(dev);                  /* an acknowledged interrupt may have been waited for */
}

/* ---- BAR 0: the codec ---- */

static u32 mixer_read(struct device *dev, u32 off, enum io_size size)
{
    struct ac97 *s = (struct ac97 *)dev;
    u32 val = ac97_codec_read(s, off & 0x7e) | (u32)ac97_codec_read(s, (off + 2) & 0x7e) << 16;

    s->semaphore = 0;
    return off & 1         ? val >> 8 & 0xff
           : size == IO_8  ? val & 0xff
           : size == IO_16 ? val & 0xffff
                           : val;
}

/* By words; a byte goes into its word. */
static void mixer_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct ac97 *s = (struct ac97 *)dev;
    u32 reg = off & 0x7e, shift = off & 1 ? 8 : 0;

    s->semaphore = 0;
    if (size == IO_8)
        val = (ac97_codec_read(s, reg) & ~(0xffu << shift)) | (val & 0xff) << shift;
    ac97_codec_write(s, reg, (u16)val);
    if (size == IO_32)
        ac97_codec_write(s, (reg + 2) & 0x7e, (u16)(val >> 16));
}

/* ---- The card ---- */

static void pci_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops mixer = { mixer_read, mixer_write, IO_8 | IO_16 | IO_32 };
    static const struct io_ops master = { master_read, master_write, IO_8 | IO_16 | IO_32 };
    struct ac97 *s = (struct ac97 *)f->dev;

    pci_bar_claim(f, 0, &mixer, &s->mixer_claim);
    pci_bar_claim(f, 1, &master, &s->master_claim);
}

static void ac97_reset(struct device *dev)
{
    struct ac97 *s = (struct ac97 *)dev;

    for (u32 i = 0; i < BOXES; i++) {
        box_reset(&s->box[i]);
        voice_stop(&s->box[i].voice);
    }
    s->global_control = 0;
    s->semaphore = 0;
    ac97_codec_reset(s);
    pci_reset(&s->pci);
    update_irq(s);
}

static bool ac97_attach(struct device *dev)
{
    static const char *const names[BOXES] = { "ac97-in", "ac97", "ac97-mic" };
    const struct ac97_config *c = dev->config;
    struct ac97 *s = (struct ac97 *)dev;

    for (u32 i = 0; i < BOXES; i++) {
        struct ac97_box *b = &s->box[i];

        b->chip = s;
        voice_init(&b->voice, dev, i == BOX_PCM_OUT ? c->audio : NULL, names[i], ac97_render);
        timer_init(&b->timer, dev->machine, box_fire, b);
    }
    pci_init(&s->pci, dev, 0x8086, 0x2415, 0x040100, 1, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    pci_init_bar(&s->pci, 0, MIXER_SIZE, true, false);
    pci_init_bar(&s->pci, 1, MASTER_SIZE, true, false);
    s->pci.written = pci_written;
    pci_plug(dev, &s->pci);
    return true;
}

static void box_loaded(struct ac97_box *b)
{
    b->civ %= DESCRIPTORS;
    b->lvi %= DESCRIPTORS;
    b->piv %= DESCRIPTORS;
    b->idle_since = now(b->chip);
    voice_loaded(&b->voice);
    if (b->voice.channels != sides(b))
        voice_stop(&b->voice);
    b->voice.channels = (u8)sides(b);
    box_run(b);
}

static void ac97_loaded(struct device *dev)
{
    struct ac97 *s = (struct ac97 *)dev;

    pci_written(&s->pci, 0, 0);
    ac97_codec_loaded(s);
    for (u32 i = 0; i < BOXES; i++)
        box_loaded(&s->box[i]);
    update_irq(s);
}

#define F(member) FIELD(struct ac97, member)
#define BOX_FIELDS(n)                                                                          \
    VOICE_FIELDS(struct ac97, box[n].voice), F(box[n].bdbar), F(box[n].civ), F(box[n].lvi),    \
        F(box[n].piv), F(box[n].cr), F(box[n].sr), F(box[n].picb), F(box[n].at),               \
        F(box[n].control)
static const struct field ac97_fields[] = {
    FIELD_ARRAY(struct ac97, pci.config),
    BOX_FIELDS(0),
    BOX_FIELDS(1),
    BOX_FIELDS(2),
    F(global_control),
    F(semaphore),
    FIELD_ARRAY(struct ac97, codec),
    FIELD_END,
};

const struct device_class ac97_class = {
    .name = "AC97",
    .size = sizeof(struct ac97),
    .attach = ac97_attach,
    .reset = ac97_reset,
    .loaded = ac97_loaded,
    .fields = ac97_fields,
};

/* ---- -device AC97 ---- */

static const struct key_row ac97_keys[] = {
    { "audiodev", KEY_AUDIODEV, offsetof(struct ac97_config, audio),
      .help = "who hears: an -audiodev" },
    { NULL },
};

const struct user_device ac97_user_device = {
    .name = "AC97",
    .help = "Intel 82801AA AC'97 Audio",
    .category = SOUND_DEVICE,
    .bus = BUS_PCI,
    .class = &ac97_class,
    .config_size = sizeof(struct ac97_config),
    .properties = ac97_keys,
};
