/*
 * High-precision event timer (Intel, IA-PC HPET Specification 1.0a): a counter of 100 MHz and
 * three comparators, 64 bits wide, each once or periodic, at FED00000. A board of 1996 has
 * none; ACPI systems since 2002 look for one, and QEMU's pc has it.
 *
 * Interrupts go to the I/O APIC's pins 20 to 23, edge or level; or, by "legacy replacement",
 * comparator 0 takes the place of the 8254 at ISA line 0, and comparator 1 that of the MC146818
 * at line 8, whose own outputs then lead nowhere. Interrupts as messages (FSB) are not offered.
 *
 * The counter is computed from the clock. A timer of the machine's stands for each comparator
 * that may interrupt. Ticks of a periodic one that the guest could not take are owed (ticks.h).
 */
#include "devices/hpet.h"
#include "devices/ticks.h"

enum {
    SIZE = 0x1000,
    TIMERS = 3,
    TICK_NS = 10,
    FIRST_TIMER = 0x100,
    TIMER_SIZE = 0x20,
    LAST_TIMER = FIRST_TIMER + TIMERS * TIMER_SIZE,
    /* registers, each of 64 bits (2.3) */
    GCAP_ID = 0x00,
    GEN_CONF = 0x10,
    GINTR_STA = 0x20,
    MAIN_CNT = 0xf0,
    TN_CONF = 0x00,
    TN_CMP = 0x08,
    TN_FSB = 0x10,
    ENABLE_CNF = 1,
    LEG_RT_CNF = 2,
    /* a comparator's configuration (2.3.8) */
    TN_LEVEL = 1 << 1,
    TN_INT_ENB = 1 << 2,
    TN_PERIODIC = 1 << 3,
    TN_PER_INT_CAP = 1 << 4,
    TN_SIZE_CAP = 1 << 5,
    TN_VAL_SET = 1 << 6,
    TN_32MODE = 1 << 8,
    TN_ROUTE = 0x1f << 9,
    TN_ROUTE_SHIFT = 9,
    TN_WRITABLE = TN_LEVEL | TN_INT_ENB | TN_PERIODIC | TN_VAL_SET | TN_32MODE | TN_ROUTE,
    ROUTES = 0x00f00000, /* I/O APIC pins that may be chosen */
    MAX_OWED = 1000,
};
#define PERIOD_FS    10000000u
#define FARTHEST     (SEC(1) * 86400 * 365 / TICK_NS) /* ticks; later than that is never */
#define MIN_INTERVAL USEC(10) /* shorter periods are legal; what is between is owed */

struct hpet;
struct comparator {
    u32 conf;
    u64 compare;    /* the next match; what the register shows */
    u64 period;     /* last written, for TN_PERIODIC */
    u8 high_is_set; /* the low half was written under TN_VAL_SET, the high one comes next */
    u32 owed;
    u64 given; /* machine time of the last edge, or when it was seen to wait; 0: none */
    u8 number;
    struct timer timer, owed_timer;
    struct hpet *hpet;
};
struct hpet {
    struct device dev;
    u32 gen_conf, status;
    u64 counter;  /* at `since`, or while it stands */
    u64 since;    /* machine time */
    u8 isa_in[2]; /* what the 8254 and the MC146818 put out */
    u32 pins;     /* of the I/O APIC, that are high by level */
    struct comparator timer[TIMERS];
};

static const struct hpet_config *wires(const struct hpet *h)
{
    return h->dev.config;
}

/* ---- The counter ---- */

static bool enabled(const struct hpet *h)
{
    return h->gen_conf & ENABLE_CNF;
}

static u64 count_at(const struct hpet *h, u64 now)
{
    return enabled(h) ? h->counter + (now - h->since) / TICK_NS : h->counter;
}

static u64 count_now(const struct hpet *h)
{
    return count_at(h, clock_now(h->dev.machine));
}

/* The counter is `to` from now on. */
static void count_set(struct hpet *h, u64 to)
{
    h->counter = to;
    h->since = clock_now(h->dev.machine);
}

/* ---- Where a comparator's interrupt goes ---- */

static bool legacy(const struct hpet *h)
{
    return h->gen_conf & LEG_RT_CNF;
}

/* ISA line 0 or 8; or -1: a pin of the I/O APIC. */
static int isa_line(const struct comparator *c)
{
    return legacy(c->hpet) && c->number < 2 ? c->number * 8 : -1;
}

static u32 pin(const struct comparator *c)
{
    return (c->conf & TN_ROUTE) >> TN_ROUTE_SHIFT;
}

static bool pin_exists(const struct comparator *c)
{
    return ROUTES >> pin(c) & 1;
}

static bool busy(const struct comparator *c)
{
    const struct hpet_config *w = wires(c->hpet);
    int line = isa_line(c);

    if (!w)
        return false;
    if (line >= 0)
        return w->isa_busy && w->isa_busy(c->hpet->dev.machine, (u32)line);
    return pin_exists(c) && w->pin_busy && w->pin_busy(c->hpet->dev.machine, pin(c));
}

static void drive_isa(struct hpet *h, u32 line, bool level)
{
    if (wires(h) && wires(h)->isa)
        wires(h)->isa(h->dev.machine, line, level);
}

static void drive_pin(struct hpet *h, u32 n, bool level)
{
    if (wires(h) && wires(h)->pin)
        wires(h)->pin(h->dev.machine, n, level);
}

static bool level_wanted(const struct comparator *c)
{
    return c->conf & TN_INT_ENB && c->conf & TN_LEVEL && c->hpet->status >> c->number & 1;
}

/* Lines and pins that are held by level. Those of the ISA lines' own chips go on as they were.
 */
static void update_levels(struct hpet *h)
{
    u32 pins = 0;

    for (u32 i = 0; i < TIMERS; i++) {
        struct comparator *c = &h->timer[i];

        if (isa_line(c) >= 0 && c->conf & TN_LEVEL)
            drive_isa(h, (u32)isa_line(c), level_wanted(c));
        else if (isa_line(c) < 0 && pin_exists(c) && level_wanted(c))
            pins |= 1u << pin(c);
    }
    for (u32 n = 0; n < 32; n++)
        if ((pins ^ h->pins) >> n & 1)
            drive_pin(h, n, pins >> n & 1);
    h->pins = pins;
}

static void edge(struct comparator *c)
{
    struct hpet *h = c->hpet;
    int line = isa_line(c);

    if (line >= 0) {
        drive_isa(h, (u32)line, false);
        drive_isa(h, (u32)line, true); /* until the next one, as the 8254's */
    } else if (pin_exists(c) && !(h->pins >> pin(c) & 1)) {
        drive_pin(h, pin(c), true);
        drive_pin(h, pin(c), false);
    }
}

/* ---- Matches ---- */

static bool periodic(const struct comparator *c)
{
    return c->conf & TN_PERIODIC;
}

static u64 mask(const struct comparator *c)
{
    return c->conf & TN_32MODE ? 0xffffffff : ~0ull;
}

static u64 period_ns(const struct comparator *c)
{
    return c->period > FARTHEST ? FARTHEST : c->period * TICK_NS;
}

/* Ticks from `count` to the next match: 1 to 2^32 or 2^64; a match is made as the counter gets
 * there. */
static u64 ticks_to_match(const struct comparator *c, u64 count)
{
    return ((c->compare - count - 1) & mask(c)) + 1;
}

/* Gives an edge that is owed if the last one is long enough ago and has been taken, or looks
 * again. */
static void give(struct comparator *c)
{
    u64 now = clock_now(c->hpet->dev.machine),
        soonest = c->given ? c->given + ticks_spacing(period_ns(c), c->owed) : 0;

    if (c->owed && periodic(c) && busy(c)) {
        c->given = now;
        soonest = now + ticks_look(period_ns(c));
    } else if (c->owed && (!periodic(c) || now >= soonest)) {
        c->owed--;
        c->given = now;
        edge(c);
        soonest = now + ticks_spacing(period_ns(c), c->owed);
    }
    if (c->owed)
        timer_set(&c->owed_timer, soonest);
    else
        timer_cancel(&c->owed_timer);
}

static void owed_fire(void *owner)
{
    give(owner);
}

/* Plans the next match, no sooner than `earliest`. Without an enabled interrupt nothing shows
 * that it happens but a periodic comparator's register, which is brought up to date when it is
 * read. */
static void plan(struct comparator *c, u64 earliest)
{
    struct hpet *h = c->hpet;
    u64 now = clock_now(h->dev.machine), count = count_at(h, now), ticks, due;

    ticks = ticks_to_match(c, count);
    if (!enabled(h) || !(c->conf & TN_INT_ENB) || ticks - 1 >= FARTHEST) {
        timer_cancel(&c->timer);
        return;
    }
    due = h->since + (count - h->counter + ticks) * TICK_NS;
    timer_set(&c->timer, due < earliest ? earliest : due);
}

/* A periodic comparator whose match has passed shows the next one. Returns how many have
 * passed. */
static u64 advance(struct comparator *c, u64 count)
{
    u64 past = (count - c->compare) & mask(c), n;

    /* In the farther half of the circle it is still to come. */
    if (!enabled(c->hpet) || !periodic(c) || !c->period || past > mask(c) / 2)
        return 0;
    n = past / c->period + 1;
    c->compare = (c->compare + n * c->period) & mask(c);
    return n;
}

static void match(void *owner)
{
    struct comparator *c = owner;
    struct hpet *h = c->hpet;
    u64 n = periodic(c) && c->period ? advance(c, count_now(h)) : 1;

    if (n && c->conf & TN_LEVEL) {
        h->status |= 1u << c->number;
        update_levels(h);
    } else if (n) {
        c->owed = n > MAX_OWED - c->owed ? MAX_OWED : c->owed + (u32)n;
        give(c);
    }
    plan(c, clock_now(h->dev.machine) + MIN_INTERVAL);
}

/* The guest, or a restore, changed something. */
static void changed(struct comparator *c)
{
    c->owed = 0;
    c->given = 0;
    timer_cancel(&c->owed_timer);
    plan(c, 0);
}

/* ---- Registers ---- */

static u64 timer_read(struct comparator *c, u32 reg)
{
    switch (reg) {
    case TN_CONF:
        return (u64)ROUTES << 32 | c->conf | TN_PER_INT_CAP | TN_SIZE_CAP;
    case TN_CMP:
        advance(c, count_now(c->hpet));
        return c->compare & mask(c);
    default:
        return 0;
    }
}

static u64 register_read(struct hpet *h, u32 reg)
{
    if (reg >= FIRST_TIMER && reg < LAST_TIMER)
        return timer_read(&h->timer[(reg - FIRST_TIMER) / TIMER_SIZE], reg % TIMER_SIZE);
    switch (reg) {
    case GCAP_ID:
        return (u64)PERIOD_FS << 32 | HPET_ID;
    case GEN_CONF:
        return h->gen_conf;
    case GINTR_STA:
        return h->status;
    case MAIN_CNT:
        return count_now(h);
    default:
        return 0;
    }
}

static void set_half(u64 *to, bool high, u32 val)
{
    *to = high ? (*to & 0xffffffff) | (u64)val << 32 : (*to >> 32 << 32) | val;
}

/* 2.3.9.2.2: a periodic comparator takes a new period; under VAL_SET the next match as well. */
static void compare_write(struct comparator *c, bool high, u32 val)
{
    bool set = c->conf & TN_VAL_SET || (high && c->high_is_set);

    advance(c, count_now(c->hpet));
    c->high_is_set = !high && c->conf & TN_VAL_SET;
    c->conf &= ~(u32)TN_VAL_SET;
    if (high && c->conf & TN_32MODE)
        return;
    if (periodic(c)) {
        if (c->conf & TN_32MODE)
            c->period = 0;
        set_half(&c->period, high, val);
    }
    if (!periodic(c) || set) {
        if (c->conf & TN_32MODE)
            c->compare = 0;
        set_half(&c->compare, high, val);
    }
    changed(c);
}

static void timer_write(struct comparator *c, u32 reg, bool high, u32 val)
{
    struct hpet *h = c->hpet;

    if (reg == TN_CMP) {
        compare_write(c, high, val);
        return;
    }
    c->high_is_set = 0;
    if (reg != TN_CONF || high)
        return;
    advance(c, count_now(h));
    if (!(val & TN_PERIODIC))
        val &= ~(u32)TN_VAL_SET;
    c->conf = val & TN_WRITABLE;
    if (!(c->conf & TN_LEVEL))
        h->status &= ~(1u << c->number);
    update_levels(h);
    changed(c);
}

static void general_write(struct hpet *h, u32 val)
{
    u32 was = h->gen_conf;
    u64 count = count_now(h);

    for (u32 i = 0; i < TIMERS; i++)
        advance(&h->timer[i], count);
    h->gen_conf = val & (ENABLE_CNF | LEG_RT_CNF);
    if ((was ^ h->gen_conf) & ENABLE_CNF)
        count_set(h, count);
    if ((was ^ h->gen_conf) & LEG_RT_CNF)
        for (u32 i = 0; i < 2; i++)
            drive_isa(h, i * 8, !legacy(h) && h->isa_in[i]);
    update_levels(h);
    for (u32 i = 0; i < TIMERS; i++)
        changed(&h->timer[i]);
}

static void register_write(struct hpet *h, u32 reg, bool high, u32 val)
{
    u64 count;

    if (reg >= FIRST_TIMER && reg < LAST_TIMER) {
        timer_write(&h->timer[(reg - FIRST_TIMER) / TIMER_SIZE], reg % TIMER_SIZE, high, val);
    } else if (reg == GEN_CONF && !high) {
        general_write(h, val);
    } else if (reg == GINTR_STA && !high) {
        h->status &= ~val;
        update_levels(h);
    } else if (reg == MAIN_CNT) {
        count = count_now(h);
        set_half(&count, high, val);
        count_set(h, count);
        for (u32 i = 0; i < TIMERS; i++)
            changed(&h->timer[i]);
    }
}

static u32 hpet_read(struct device *dev, u32 off, enum io_size size)
{
    u64 val = register_read((struct hpet *)dev, off & ~7u);

    return (u32)(val >> (off & 7) * 8);
}

/* Accesses are of 32 bits, or 64 as two of them (2.3.1); less is undefined, and does nothing.
 */
static void hpet_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    if (size == IO_32 && !(off & 3))
        register_write((struct hpet *)dev, off & ~7u, off & 4, val);
    else
        device_nyi(dev, "a write of less than 32 bits");
}

/* ---- Wires and life ---- */

void hpet_isa_input(struct device *dev, u32 line, bool level)
{
    struct hpet *h = (struct hpet *)dev;

    h->isa_in[line / 8] = level;
    if (!legacy(h))
        drive_isa(h, line, level);
}

static void hpet_reset(struct device *dev)
{
    struct hpet *h = (struct hpet *)dev;

    general_write(h, 0);
    h->status = 0;
    count_set(h, 0);
    for (u32 i = 0; i < TIMERS; i++) {
        struct comparator *c = &h->timer[i];

        c->conf = 0;
        c->compare = ~0ull;
        c->period = 0;
        c->high_is_set = 0;
        changed(c);
    }
    update_levels(h);
}

static bool hpet_attach(struct device *dev)
{
    static const struct io_ops ops = {hpet_read, hpet_write, IO_32};
    struct hpet *h = (struct hpet *)dev;

    for (u32 i = 0; i < TIMERS; i++) {
        struct comparator *c = &h->timer[i];

        c->number = (u8)i;
        c->hpet = h;
        timer_init(&c->timer, dev->machine, match, c);
        timer_init(&c->owed_timer, dev->machine, owed_fire, c);
    }
    return bus_claim_memory(dev, HPET_BASE, SIZE, &ops);
}

static void hpet_loaded(struct device *dev)
{
    struct hpet *h = (struct hpet *)dev;
    u64 now = clock_now(dev->machine);

    h->gen_conf &= ENABLE_CNF | LEG_RT_CNF;
    h->status &= (1u << TIMERS) - 1;
    if (h->since > now) /* only a broken file says so */
        h->since = now;
    for (u32 i = 0; i < TIMERS; i++) {
        struct comparator *c = &h->timer[i];
        u32 owed = c->owed > MAX_OWED ? MAX_OWED : c->owed;

        c->conf &= TN_WRITABLE;
        changed(c);
        c->owed = owed;
        if (owed)
            timer_set(&c->owed_timer, now + ticks_spacing(period_ns(c), owed));
    }
    update_levels(h);
}

#define TIMER_FIELDS(n)                                                                        \
    FIELD(struct hpet, timer[n].conf), FIELD(struct hpet, timer[n].compare),                   \
        FIELD(struct hpet, timer[n].period), FIELD(struct hpet, timer[n].high_is_set),         \
        FIELD(struct hpet, timer[n].owed)

static const struct field hpet_fields[] = {FIELD(struct hpet, gen_conf),
                                           FIELD(struct hpet, status),
                                           FIELD(struct hpet, counter),
                                           FIELD(struct hpet, since),
                                           FIELD_ARRAY(struct hpet, isa_in),
                                           TIMER_FIELDS(0),
                                           TIMER_FIELDS(1),
                                           TIMER_FIELDS(2),
                                           FIELD_END};

const struct device_class hpet_class = {
    .name = "hpet",
    .size = sizeof(struct hpet),
    .attach = hpet_attach,
    .reset = hpet_reset,
    .loaded = hpet_loaded,
    .fields = hpet_fields,
};
