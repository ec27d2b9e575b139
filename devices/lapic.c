/*
 * The local APIC: the interrupt controller inside the processor. SDM vol. 3, chapter 10; its
 * timer is lapic_timer.c.
 *
 * A request sets its vector's bit in IRR; lapic_ack(), the core taking it, moves it to ISR; EOI
 * clears it there. A vector reaches the core only if its class (bits 7-4) is above PPR's. The
 * 8259s' ExtINT passes by all that: LINT0 while LVT0 lets it, or straight to the core while the
 * APIC is disabled, by hardware (IA32_APIC_BASE) or software (SVR).
 *
 * Invariant: the core's INTR input is lapic_intr() after every call into this file.
 */
#include "devices/lapic_private.h"

#include <string.h>

enum { /* IA32_APIC_BASE, 10.4.4 */
    BASE_DEFAULT = 0xfee00000u, BASE_BSP = 1 << 8, BASE_ENABLE = 1 << 11,
};
#define BASE_ADDRESS 0xffffff000ull /* 36 bits */

enum { /* register offsets, table 10-1 */
    REG_ID = 0x20, REG_VERSION = 0x30, REG_TPR = 0x80, REG_APR = 0x90, REG_PPR = 0xa0,
    REG_EOI = 0xb0, REG_RRD = 0xc0, REG_LDR = 0xd0, REG_DFR = 0xe0, REG_SVR = 0xf0,
    REG_ISR = 0x100, REG_TMR = 0x180, REG_IRR = 0x200, REG_IRR_END = 0x280, REG_ESR = 0x280,
    REG_ICR_LOW = 0x300, REG_ICR_HIGH = 0x310, REG_LVT = 0x320, REG_LVT_END = 0x380,
    REG_TIMER_INITIAL = 0x380, REG_TIMER_CURRENT = 0x390, REG_TIMER_DIVIDE = 0x3e0,
};
enum {
    VERSION = 0x14 | (LVTS - 1) << 16,
    SVR_ENABLE = 1 << 8, SVR_WRITABLE = 0x3ff, SVR_RESET = 0xff,
    ESR_SEND_VECTOR = 1 << 5, ESR_RECEIVED_VECTOR = 1 << 6, ESR_REGISTER = 1 << 7,
    DFR_FLAT = 0xf0000000u, DFR_OTHERS = 0x0fffffff,
    ICR_LOW_WRITABLE = 0xccfff, ICR_LOGICAL = 1 << 11, ICR_SHORTHAND_SHIFT = 18,
};
enum { TO_FIELD, TO_SELF, TO_ALL, TO_OTHERS };              /* ICR shorthands */
enum { FIXED, LOWEST, SMI, NMI = 4, INIT, STARTUP, EXTINT }; /* delivery modes */

/* ---- Bit sets of vectors ---- */

static bool bit_get(const u32 set[8], u8 n)
{
    return set[n / 32] >> n % 32 & 1;
}

static void bit_set(u32 set[8], u8 n, bool on)
{
    set[n / 32] = (set[n / 32] & ~(1u << n % 32)) | (u32)on << n % 32;
}

/* -1: empty */
static int bit_highest(const u32 set[8])
{
    for (int i = 7; i >= 0; i--)
        if (set[i])
            return i * 32 + 31 - __builtin_clz(set[i]);
    return -1;
}

/* ---- What reaches the core ---- */

static const struct lapic_config *wires(const struct lapic *l)
{
    static const struct lapic_config none;

    return l->dev.config ? l->dev.config : &none;
}

static bool apic_enabled(const struct lapic *l)
{
    return (l->base & BASE_ENABLE) && (l->svr & SVR_ENABLE);
}

/* Processor priority (10.8.3.1): the higher class of TPR and the interrupt in service. */
u32 lapic_ppr(const struct lapic *l)
{
    int isrv = bit_highest(l->isr);

    if (isrv < 0 || (l->tpr & 0xf0) >= ((u32)isrv & 0xf0))
        return l->tpr;
    return (u32)isrv & 0xf0;
}

/* The vector due now, -1 if none. */
static int deliverable(const struct lapic *l)
{
    int irrv = apic_enabled(l) ? bit_highest(l->irr) : -1;

    return irrv >= 0 && ((u32)irrv & 0xf0) > (lapic_ppr(l) & 0xf0) ? irrv : -1;
}

/* LINT0 as the 8259s' way to the core. */
static bool extint_pin(const struct lapic *l)
{
    u32 lvt = l->lvt[LVT_LINT0];

    if (!apic_enabled(l))
        return l->lint[0];
    return l->lint[0] && !(lvt & LVT_MASKED) &&
           (lvt & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT == EXTINT;
}

bool lapic_intr(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    return l->extint || extint_pin(l) || deliverable(l) >= 0;
}

static void update_intr(struct lapic *l)
{
    if (wires(l)->intr)
        wires(l)->intr(l->dev.machine, lapic_intr(&l->dev));
}

static void core_event(struct lapic *l, u32 delivery)
{
    if (wires(l)->event)
        wires(l)->event(l->dev.machine, delivery);
}

/* The 8259s' vector comes first: they cannot be told to wait. */
int lapic_ack(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;
    int vector;

    if (l->extint || extint_pin(l)) {
        l->extint = false;
        vector = wires(l)->inta ? wires(l)->inta(dev->machine) : -1;
    } else {
        vector = deliverable(l);
        if (vector >= 0) {
            bit_set(l->irr, (u8)vector, false);
            bit_set(l->isr, (u8)vector, true);
        }
    }
    update_intr(l);
    return vector;
}

bool lapic_busy(struct device *dev, u8 vector)
{
    return bit_get(((struct lapic *)dev)->irr, vector);
}

/* ---- Requests ---- */

static void record_error(struct lapic *l, u32 bits)
{
    bool news = bits & ~l->esr_pending;

    l->esr_pending |= bits;
    if (news)
        lapic_local(l, LVT_ERROR);
}

static void request_vector(struct lapic *l, u8 vector, bool level)
{
    if (vector < 16) {
        /* The error entry itself may hold the bad vector: no second error then. */
        if (!(l->esr_pending & ESR_RECEIVED_VECTOR))
            record_error(l, ESR_RECEIVED_VECTOR);
        return;
    }
    bit_set(l->irr, vector, true);
    bit_set(l->tmr, vector, level);
}

/* An interrupt arrives by whatever way: delivery modes as in 10.5.1 and 10.6.1. */
static void accept_interrupt(struct lapic *l, u8 vector, u32 delivery, bool level)
{
    switch (delivery) {
    case FIXED:
    case LOWEST:
        if (apic_enabled(l))
            request_vector(l, vector, level);
        break;
    case SMI:
    case NMI:
    case INIT:
        core_event(l, delivery);
        break;
    case EXTINT:
        l->extint = true;
        break;
    }
    update_intr(l);
}

void lapic_local(struct lapic *l, enum lvt which)
{
    u32 lvt = l->lvt[which], delivery = (lvt & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT;
    bool lint = which == LVT_LINT0 || which == LVT_LINT1;

    if (lvt & LVT_MASKED || !apic_enabled(l))
        return;
    if (which == LVT_TIMER || which == LVT_ERROR)
        delivery = FIXED;
    if (delivery == EXTINT) /* the pin's level speaks for itself */
        return;
    accept_interrupt(l, lvt & LVT_VECTOR, delivery,
                     lint && delivery == FIXED && lvt & LVT_LEVEL);
}

/* Level-triggered LINT pins in fixed mode ask again after EOI while they are held. */
static void lint_sample(struct lapic *l, u32 pin)
{
    u32 *lvt = &l->lvt[LVT_LINT0 + pin];
    bool fixed = !(*lvt & LVT_DELIVERY);

    if (!l->lint[pin] || !fixed || !(*lvt & LVT_LEVEL) || *lvt & (LVT_MASKED | LVT_REMOTE_IRR))
        return;
    *lvt |= LVT_REMOTE_IRR;
    lapic_local(l, LVT_LINT0 + pin);
}

void lapic_set_lint(struct device *dev, u32 pin, bool level)
{
    struct lapic *l = (struct lapic *)dev;
    u32 lvt = l->lvt[LVT_LINT0 + pin];
    bool rising = level && !l->lint[pin], fixed = !(lvt & LVT_DELIVERY);

    l->lint[pin] = level;
    if (rising && pin == 1 && !apic_enabled(l))
        core_event(l, NMI); /* LINT1 is the NMI pin of a processor without APIC */
    else if (rising && !(fixed && lvt & LVT_LEVEL))
        lapic_local(l, LVT_LINT0 + pin);
    lint_sample(l, pin);
    update_intr(l);
}

/* Does a destination name this processor? (10.6.2) */
static bool addressed(const struct lapic *l, u8 destination, bool logical)
{
    u8 id = l->id >> 24, ldr = l->ldr >> 24;

    if (!logical)
        return destination == 0xff || destination == id;
    if (l->dfr >> 28 == 0xf) /* flat */
        return destination & ldr;
    if (destination >> 4 != 0xf && destination >> 4 != ldr >> 4) /* cluster */
        return false;
    return destination & ldr & 0xf;
}

bool lapic_message(struct device *dev, u8 vector, u32 delivery, u8 destination, bool logical,
                   bool level)
{
    struct lapic *l = (struct lapic *)dev;

    if (!(l->base & BASE_ENABLE) || !addressed(l, destination, logical))
        return false;
    if ((delivery == FIXED || delivery == LOWEST) && !apic_enabled(l))
        return false;
    accept_interrupt(l, vector, delivery, level);
    return true;
}

/* ICR written: with one processor, a message to ourselves or to nobody (10.6.1). */
static void send_icr(struct lapic *l)
{
    u32 icr = l->icr[0], delivery = (icr & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT;
    u32 shorthand = icr >> ICR_SHORTHAND_SHIFT & 3;
    bool self = shorthand == TO_SELF || shorthand == TO_ALL ||
                (shorthand == TO_FIELD &&
                 addressed(l, (u8)(l->icr[1] >> 24), icr & ICR_LOGICAL));

    if ((delivery == FIXED || delivery == LOWEST) && (icr & LVT_VECTOR) < 16) {
        record_error(l, ESR_SEND_VECTOR);
        return;
    }
    if (!self || delivery == STARTUP || delivery == EXTINT)
        return;
    if (delivery == INIT && (icr & LVT_LEVEL) && !(icr & 1 << 14))
        return; /* INIT level de-assert only sets arbitration IDs */
    accept_interrupt(l, icr & LVT_VECTOR, delivery, false);
}

static void end_of_interrupt(struct lapic *l)
{
    int vector = bit_highest(l->isr);

    if (vector < 0)
        return;
    bit_set(l->isr, (u8)vector, false);
    for (u32 pin = 0; pin < 2; pin++) {
        u32 *lvt = &l->lvt[LVT_LINT0 + pin];

        if ((*lvt & LVT_VECTOR) == (u32)vector)
            *lvt &= ~LVT_REMOTE_IRR;
        lint_sample(l, pin);
    }
    if (bit_get(l->tmr, (u8)vector) && wires(l)->eoi)
        wires(l)->eoi(l->dev.machine, (u8)vector);
}

/* ---- Registers ---- */

/* LVT bits that exist, from the timer at 320 to error at 370 (figure 10-8). */
static const u32 lvt_writable[LVTS] = { 0x300ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff };

static void write_lvt(struct lapic *l, enum lvt which, u32 val)
{
    u32 *lvt = &l->lvt[which];

    val &= lvt_writable[which];
    if (!(l->svr & SVR_ENABLE))
        val |= LVT_MASKED;
    if (which == LVT_TIMER) {
        lapic_timer_write_lvt(l, val);
        return;
    }
    *lvt = val | (val & LVT_LEVEL ? *lvt & LVT_REMOTE_IRR : 0);
    if (which == LVT_LINT0 || which == LVT_LINT1)
        lint_sample(l, which - LVT_LINT0);
}

static void write_svr(struct lapic *l, u32 val)
{
    l->svr = val & SVR_WRITABLE;
    if (!(l->svr & SVR_ENABLE))
        for (u32 i = 0; i < LVTS; i++)
            write_lvt(l, i, l->lvt[i] | LVT_MASKED);
}

/* Only a register that is not there changes anything: kernels read their ID with every lock. */
static u32 lapic_read_register(struct lapic *l, u32 reg)
{
    switch (reg) {
    case REG_ID:
        return l->id;
    case REG_VERSION:
        return VERSION;
    case REG_TPR:
        return l->tpr;
    case REG_APR:
    case REG_PPR:
        return lapic_ppr(l);
    case REG_LDR:
        return l->ldr;
    case REG_DFR:
        return l->dfr;
    case REG_SVR:
        return l->svr;
    case REG_ISR ... REG_TMR - 1:
        return l->isr[(reg - REG_ISR) / 16];
    case REG_TMR ... REG_IRR - 1:
        return l->tmr[(reg - REG_TMR) / 16];
    case REG_IRR ... REG_IRR_END - 1:
        return l->irr[(reg - REG_IRR) / 16];
    case REG_ESR:
        return l->esr;
    case REG_ICR_LOW:
        return l->icr[0];
    case REG_ICR_HIGH:
        return l->icr[1];
    case REG_LVT ... REG_LVT_END - 1:
        return l->lvt[(reg - REG_LVT) / 16];
    case REG_TIMER_INITIAL:
        return l->timer_initial;
    case REG_TIMER_CURRENT:
        return lapic_timer_current(l);
    case REG_TIMER_DIVIDE:
        return l->timer_divide;
    case REG_EOI:
    case REG_RRD:
        return 0;
    }
    record_error(l, ESR_REGISTER);
    update_intr(l);
    return 0;
}

static void write_register(struct lapic *l, u32 reg, u32 val)
{
    switch (reg) {
    case REG_ID:
        l->id = val & 0xff000000;
        break;
    case REG_TPR:
        l->tpr = val & 0xff;
        break;
    case REG_EOI:
        end_of_interrupt(l);
        break;
    case REG_LDR:
        l->ldr = val & 0xff000000;
        break;
    case REG_DFR:
        l->dfr = val | DFR_OTHERS;
        break;
    case REG_SVR:
        write_svr(l, val);
        break;
    case REG_ESR:
        l->esr = l->esr_pending;
        l->esr_pending = 0;
        break;
    case REG_ICR_LOW:
        l->icr[0] = val & ICR_LOW_WRITABLE;
        send_icr(l);
        break;
    case REG_ICR_HIGH:
        l->icr[1] = val & 0xff000000;
        break;
    case REG_LVT ... REG_LVT_END - 1:
        write_lvt(l, (reg - REG_LVT) / 16, val);
        break;
    case REG_TIMER_INITIAL:
        lapic_timer_write_initial(l, val);
        break;
    case REG_TIMER_DIVIDE:
        lapic_timer_write_divide(l, val);
        break;
    case REG_VERSION:
    case REG_APR:
    case REG_PPR:
    case REG_RRD:
    case REG_ISR ... REG_IRR_END - 1:
    case REG_TIMER_CURRENT:
        break;
    default:
        record_error(l, ESR_REGISTER);
    }
}

/* Registers are 32 bits on 16-byte boundaries. Narrow reads see their part, narrow writes and
 * what lies between are undefined (10.4.1): ignored here. */
static u32 lapic_read(struct device *dev, u32 off, enum io_size size)
{
    struct lapic *l = (struct lapic *)dev;
    u32 val = off & 0xc ? 0 : lapic_read_register(l, off & ~15u);

    return val >> (off & 3) * 8;
}

static void lapic_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct lapic *l = (struct lapic *)dev;

    if (size == IO_32 && !(off & 15))
        write_register(l, off, val);
    update_intr(l);
}

/* ---- IA32_APIC_BASE ---- */

static void claim_page(struct lapic *l)
{
    static const struct io_ops ops = { lapic_read, lapic_write, IO_8 | IO_16 | IO_32 };
    gpa_t base = l->base & BASE_ENABLE ? l->base & BASE_ADDRESS : 0;

    if (base == l->claimed)
        return;
    if (l->claimed)
        bus_release_memory(&l->dev, l->claimed, PAGE_SIZE);
    l->claimed = base && bus_claim_memory(&l->dev, base, PAGE_SIZE, &ops) ? base : 0;
}

/* After RESET (10.4.7.1). INIT of the only processor is a reset of the machine
 * (runtime/parts.c). */
static void reset_registers(struct lapic *l)
{
    u8 lint[2] = { l->lint[0], l->lint[1] };

    l->tpr = l->ldr = l->esr = l->esr_pending = l->icr[0] = l->icr[1] = 0;
    l->dfr = 0xffffffff;
    l->svr = SVR_RESET;
    l->extint = false;
    memset(l->irr, 0, sizeof(l->irr));
    memset(l->isr, 0, sizeof(l->isr));
    memset(l->tmr, 0, sizeof(l->tmr));
    for (u32 i = 0; i < LVTS; i++)
        l->lvt[i] = LVT_MASKED;
    memcpy(l->lint, lint, sizeof(lint));
    lapic_timer_reset(l);
}

u64 lapic_base_msr_read(struct device *dev)
{
    return ((struct lapic *)dev)->base;
}

/* Disabling by hardware resets all but the pins; so does hardware of this family. */
bool lapic_base_msr_write(struct device *dev, u64 val)
{
    struct lapic *l = (struct lapic *)dev;

    if (val & ~(BASE_ADDRESS | BASE_ENABLE | BASE_BSP))
        return false;
    if (l->base & BASE_ENABLE && !(val & BASE_ENABLE))
        reset_registers(l);
    l->base = (val & (BASE_ADDRESS | BASE_ENABLE)) | BASE_BSP;
    claim_page(l);
    update_intr(l);
    return true;
}

/* ---- The chip ---- */

static bool lapic_attach(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    lapic_timer_attach(l);
    return true;
}

static void lapic_reset(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    l->id = 0;
    l->base = BASE_DEFAULT | BASE_ENABLE | BASE_BSP;
    reset_registers(l);
    claim_page(l);
    update_intr(l);
}

static void lapic_loaded(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    claim_page(l);
    lapic_timer_arm(l);
    update_intr(l);
}

static const struct field lapic_fields[] = {
    FIELD(struct lapic, base), FIELD(struct lapic, id), FIELD(struct lapic, tpr),
    FIELD(struct lapic, ldr), FIELD(struct lapic, dfr), FIELD(struct lapic, svr),
    FIELD_ARRAY(struct lapic, icr), FIELD(struct lapic, esr), FIELD(struct lapic, esr_pending),
    FIELD_ARRAY(struct lapic, irr), FIELD_ARRAY(struct lapic, isr),
    FIELD_ARRAY(struct lapic, tmr), FIELD_ARRAY(struct lapic, lvt),
    FIELD_ARRAY(struct lapic, lint), FIELD(struct lapic, extint),
    FIELD(struct lapic, timer_initial), FIELD(struct lapic, timer_divide),
    FIELD(struct lapic, timer_count), FIELD(struct lapic, timer_epoch),
    FIELD(struct lapic, timer_backlog), FIELD_END,
};

const struct device_class lapic_class = {
    .name = "lapic",
    .size = sizeof(struct lapic),
    .attach = lapic_attach,
    .reset = lapic_reset,
    .loaded = lapic_loaded,
    .fields = lapic_fields,
};
