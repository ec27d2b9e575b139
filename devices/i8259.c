/*
 * Intel 8259A Programmable Interrupt Controller (order 231468): the pair of a PC/AT, master at
 * ports 20-21, slave at A0-A1 on the master's pin 2, with the PIIX's edge/level registers at
 * 4D0-4D1. Owns the INTR output (i8259_output()) and answers INTA cycles.
 *
 * Invariant: INTR equals "the master has a request that beats what it has in service",
 * recomputed by i8259_update() after every change. Differing from the part: an edge stays
 * latched when its line falls before the acknowledgement, so that a pulse is enough. The
 * slave's request is the exception: the master sees its level.
 */
#include "devices/i8259.h"

enum {
    ICW1_INIT = 0x10, ICW1_LTIM = 0x08, ICW1_SNGL = 0x02, ICW1_IC4 = 0x01,
    ICW4_SFNM = 0x10, ICW4_AEOI = 0x02,
    OCW3 = 0x08, OCW3_ESMM = 0x40, OCW3_SMM = 0x20, OCW3_POLL = 0x04, OCW3_RR = 0x02,
    OCW3_RIS = 0x01,
    OCW2_R = 0x80, OCW2_SL = 0x40, OCW2_EOI = 0x20,
    PIN_SLAVE = 2, PIN_SPURIOUS = 7,
    ELCR_FIXED_MASTER = 0x07, ELCR_FIXED_SLAVE = 0x21, /* IRQ 0, 1, 2, 8 and 13 are edges */
};
enum init_step { READY, WANT_ICW2, WANT_ICW3, WANT_ICW4 };
enum { MASTER, SLAVE };

struct pic {
    u8 irr, isr, imr;
    u8 pins;      /* levels of the inputs */
    u8 elcr;      /* 1: level-triggered */
    u8 icw1, icw2, icw3, icw4;
    u8 step;      /* enum init_step: which ICW the data port expects */
    u8 lowest;    /* the pin of lowest priority; the next one is highest */
    u8 rotate_aeoi, special_mask, poll, read_isr;
};
struct i8259 {
    struct device dev;
    struct pic pic[2];
    struct irq output;
};

/* ---- One chip: priorities ---- */

static bool pic_level(const struct pic *p, u32 pin)
{
    return (p->icw1 & ICW1_LTIM) || (p->elcr >> pin & 1);
}

/* The set pin that comes first in priority order, or -1. */
static int pic_first(const struct pic *p, u8 set)
{
    u32 first = (p->lowest + 1u) & 7, in_order = (set | (u32)set << 8) >> first;

    return set ? (int)((first + (u32)__builtin_ctz(in_order)) & 7) : -1;
}

static u32 pic_rank(const struct pic *p, int pin)
{
    return pin < 0 ? 8 : ((u32)pin - p->lowest - 1) & 7;
}

/* The request to serve next, or -1. In special fully nested mode the slave may interrupt
 * itself. */
static int pic_request(const struct pic *p)
{
    int pin = pic_first(p, p->irr & ~p->imr);
    u8 blocking = p->special_mask ? p->isr & ~p->imr : p->isr;
    u32 served;
    bool nested = pin == PIN_SLAVE && (p->icw4 & ICW4_SFNM) && p->icw3;

    if (pin < 0)
        return -1;
    served = pic_rank(p, pic_first(p, blocking));
    return pic_rank(p, pin) + (nested ? 0 : 1) <= served ? pin : -1;
}

static void pic_set(struct pic *p, u32 pin, bool level)
{
    u8 bit = 1u << pin;

    if (pic_level(p, pin))
        p->irr = level ? p->irr | bit : p->irr & ~bit;
    else if (level && !(p->pins & bit))
        p->irr |= bit;
    p->pins = level ? p->pins | bit : p->pins & ~bit;
}

/* End of interrupt for a pin, with or without rotation. */
static void pic_eoi(struct pic *p, int pin, bool rotate)
{
    if (pin < 0)
        return;
    p->isr &= ~(1u << pin);
    if (rotate)
        p->lowest = (u8)pin;
}

/* The second INTA pulse: what moves from IRR to ISR. Returns the pin, 7 when there is none. */
static u32 pic_ack(struct pic *p)
{
    int pin = pic_request(p);

    if (pin < 0)
        return PIN_SPURIOUS;
    p->isr |= 1u << pin;
    if (!pic_level(p, (u32)pin))
        p->irr &= ~(1u << pin);
    if (p->icw4 & ICW4_AEOI)
        pic_eoi(p, pin, p->rotate_aeoi);
    return (u32)pin;
}

/* ---- The pair ---- */

static void i8259_update(struct i8259 *s)
{
    struct pic *master = &s->pic[MASTER];
    bool slave = pic_request(&s->pic[SLAVE]) >= 0;

    master->irr &= ~(1u << PIN_SLAVE);
    if (slave)
        master->irr |= 1u << PIN_SLAVE;
    irq_set(&s->output, pic_request(master) >= 0);
}

void i8259_set(struct device *dev, u32 pin, bool level)
{
    struct i8259 *s = (struct i8259 *)dev;

    if (pin == PIN_SLAVE || pin > 15)
        return;
    trace(TRACE_IRQ, "i8259: irq %u %s", pin, level ? "high" : "low");
    pic_set(&s->pic[pin >> 3], pin & 7, level);
    i8259_update(s);
}

bool i8259_intr(struct device *dev)
{
    return ((struct i8259 *)dev)->output.level;
}

struct irq *i8259_output(struct device *dev)
{
    return &((struct i8259 *)dev)->output;
}

bool i8259_busy(struct device *dev, u32 pin)
{
    const struct pic *p = &((struct i8259 *)dev)->pic[pin >> 3 & 1];

    return p->irr >> (pin & 7) & 1;
}

bool i8259_masked(struct device *dev, u32 pin)
{
    const struct i8259 *s = (const struct i8259 *)dev;

    if (pin > 7 && (s->pic[MASTER].imr >> PIN_SLAVE & 1))
        return true;
    return s->pic[pin >> 3 & 1].imr >> (pin & 7) & 1;
}

u8 i8259_ack(struct device *dev)
{
    struct i8259 *s = (struct i8259 *)dev;
    struct pic *p = &s->pic[MASTER];
    u32 pin = pic_ack(p);
    u8 vector;

    if (pin == PIN_SLAVE) {
        p = &s->pic[SLAVE];
        pin = pic_ack(p);
    }
    vector = (p->icw2 & 0xf8) | pin;
    trace(TRACE_IRQ, "i8259: acknowledged, vector %02x", vector);
    i8259_update(s);
    return vector;
}

/* ---- Command words ---- */

/* ICW1 clears the edge latches, IMR and modes (231468, "Initialization Command Words"). Pins
 * held high need a new edge; level-triggered ones stay requested. */
static void pic_init(struct pic *p, u8 icw1)
{
    p->icw1 = icw1;
    p->irr = 0;
    p->imr = p->isr = 0;
    p->lowest = 7;
    p->special_mask = p->rotate_aeoi = p->poll = p->read_isr = 0;
    if (!(icw1 & ICW1_IC4))
        p->icw4 = 0;
    for (u32 pin = 0; pin < 8; pin++)
        if (pic_level(p, pin))
            p->irr |= p->pins & 1u << pin;
    p->step = WANT_ICW2;
}

static void pic_ocw2(struct pic *p, u8 val)
{
    int pin = val & 7;

    switch (val & (OCW2_R | OCW2_SL | OCW2_EOI)) {
    case OCW2_EOI: /* non-specific: the one of highest priority */
    case OCW2_R | OCW2_EOI:
        pin = pic_first(p, p->special_mask ? p->isr & ~p->imr : p->isr);
        pic_eoi(p, pin, val & OCW2_R);
        break;
    case OCW2_SL | OCW2_EOI:
    case OCW2_R | OCW2_SL | OCW2_EOI:
        pic_eoi(p, pin, val & OCW2_R);
        break;
    case OCW2_R:
        p->rotate_aeoi = 1;
        break;
    case 0:
        p->rotate_aeoi = 0;
        break;
    case OCW2_R | OCW2_SL: /* set priority */
        p->lowest = (u8)pin;
        break;
    }
}

static void pic_ocw3(struct pic *p, u8 val)
{
    if (val & OCW3_ESMM)
        p->special_mask = !!(val & OCW3_SMM);
    if (val & OCW3_POLL)
        p->poll = 1;
    else if (val & OCW3_RR)
        p->read_isr = val & OCW3_RIS;
}

static void pic_data(struct pic *p, u8 val)
{
    switch (p->step) {
    case WANT_ICW2:
        p->icw2 = val;
        p->step = !(p->icw1 & ICW1_SNGL) ? WANT_ICW3 : p->icw1 & ICW1_IC4 ? WANT_ICW4 : READY;
        break;
    case WANT_ICW3:
        p->icw3 = val;
        p->step = p->icw1 & ICW1_IC4 ? WANT_ICW4 : READY;
        break;
    case WANT_ICW4:
        p->icw4 = val;
        p->step = READY;
        break;
    default:
        p->imr = val; /* OCW1 */
    }
}

static void pic_command(struct pic *p, u8 val)
{
    if (val & ICW1_INIT)
        pic_init(p, val);
    else if (val & OCW3)
        pic_ocw3(p, val);
    else
        pic_ocw2(p, val);
}

static void i8259_write(struct i8259 *s, u32 chip, u32 off, u32 val)
{
    struct pic *p = &s->pic[chip];

    if (off & 1)
        pic_data(p, (u8)val);
    else
        pic_command(p, (u8)val);
    i8259_update(s);
}

/* A read after OCW3's poll command acknowledges: bit 7 says whether there was a request. */
static u8 pic_poll(struct pic *p)
{
    bool any = pic_request(p) >= 0;
    u32 pin = pic_ack(p);

    p->poll = 0;
    return any ? 0x80 | pin : 0;
}

static u32 i8259_read(struct i8259 *s, u32 chip, u32 off)
{
    struct pic *p = &s->pic[chip];

    if (p->poll) {
        u8 val = pic_poll(p);
        i8259_update(s);
        return val;
    }
    if (off & 1)
        return p->imr;
    return p->read_isr ? p->isr : p->irr;
}

/* ---- Ports ---- */

static u32 master_read(struct device *dev, u32 off, enum io_size size)
{
    return i8259_read((struct i8259 *)dev, MASTER, off);
}

static void master_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    i8259_write((struct i8259 *)dev, MASTER, off, val);
}

static u32 slave_read(struct device *dev, u32 off, enum io_size size)
{
    return i8259_read((struct i8259 *)dev, SLAVE, off);
}

static void slave_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    i8259_write((struct i8259 *)dev, SLAVE, off, val);
}

static u32 elcr_read(struct device *dev, u32 off, enum io_size size)
{
    return ((struct i8259 *)dev)->pic[off & 1].elcr;
}

static void elcr_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct i8259 *s = (struct i8259 *)dev;
    struct pic *p = &s->pic[off & 1];

    p->elcr = val & ~(off & 1 ? ELCR_FIXED_SLAVE : ELCR_FIXED_MASTER);
    p->irr = (p->irr & ~p->elcr) | (p->pins & p->elcr);
    i8259_update(s);
}

static void i8259_reset(struct device *dev)
{
    struct i8259 *s = (struct i8259 *)dev;

    for (u32 chip = 0; chip < 2; chip++) {
        u8 pins = s->pic[chip].pins;
        s->pic[chip] = (struct pic){ .pins = pins, .lowest = 7 };
    }
    i8259_update(s);
}

static void unconnected(void *owner, u32 pin, bool level)
{
}

void i8259_tell(const struct device *dev, FILE *out)
{
    const struct i8259 *s = (const struct i8259 *)dev;

    for (int i = SLAVE; i >= MASTER; i--) {
        const struct pic *p = &s->pic[i];

        fprintf(out, "pic%d: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n",
                i, p->irr, p->imr, p->isr, (p->lowest + 1) & 7, p->icw2 & 0xf8, !!p->read_isr,
                p->elcr, !!(p->icw4 & ICW4_SFNM));
    }
}

static bool i8259_attach(struct device *dev)
{
    static const struct io_ops master = { master_read, master_write, IO_8 };
    static const struct io_ops slave = { slave_read, slave_write, IO_8 };
    static const struct io_ops elcr = { elcr_read, elcr_write, IO_8 };
    struct i8259 *s = (struct i8259 *)dev;

    irq_init(&s->output, unconnected, NULL, 0); /* parts.c connects it again */
    s->pic[MASTER].lowest = s->pic[SLAVE].lowest = 7;
    return bus_claim_ports(dev, 0x20, 2, &master) && bus_claim_ports(dev, 0xa0, 2, &slave) &&
           bus_claim_ports(dev, 0x4d0, 2, &elcr);
}

static void i8259_loaded(struct device *dev)
{
    i8259_update((struct i8259 *)dev);
}

#define PIC_FIELDS(n)                                                                          \
    FIELD(struct i8259, pic[n].irr), FIELD(struct i8259, pic[n].isr),                          \
        FIELD(struct i8259, pic[n].imr), FIELD(struct i8259, pic[n].pins),                     \
        FIELD(struct i8259, pic[n].elcr), FIELD(struct i8259, pic[n].icw1),                    \
        FIELD(struct i8259, pic[n].icw2), FIELD(struct i8259, pic[n].icw3),                    \
        FIELD(struct i8259, pic[n].icw4), FIELD(struct i8259, pic[n].step),                    \
        FIELD(struct i8259, pic[n].lowest), FIELD(struct i8259, pic[n].rotate_aeoi),           \
        FIELD(struct i8259, pic[n].special_mask), FIELD(struct i8259, pic[n].poll),            \
        FIELD(struct i8259, pic[n].read_isr)

static const struct field i8259_fields[] = { PIC_FIELDS(0), PIC_FIELDS(1), FIELD_END };

const struct device_class i8259_class = {
    .name = "i8259",
    .size = sizeof(struct i8259),
    .attach = i8259_attach,
    .reset = i8259_reset,
    .loaded = i8259_loaded,
    .fields = i8259_fields,
};
