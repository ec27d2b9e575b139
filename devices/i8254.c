/*
 * Intel 8254 Programmable Interval Timer (order 231164) as a PC wires it: 1.193182 MHz, channel
 * 0's output to IRQ 0, channel 2's gate and output to port 61 (pcspk.c), ports 40-43.
 *
 * Nothing counts: a channel remembers the tick at which its count was loaded, and outputs and
 * counts are computed from the clock when someone looks. Only channel 0's rising edges need a
 * timer.
 *
 * No tick is lost when the guest is starved: while the previous edge still waits in the 8259,
 * or in the I/O APIC's local APIC, further ones are owed (bounded), and are given when it is
 * taken (ticks.h).
 */
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/ticks.h"

#define PIT_HZ 1193182u
/* Faster programming than this is legal but not served edge by edge: the rest is owed. */
#define MIN_INTERVAL USEC(10)
#define MAX_OWED_NS SEC(10)
#define MAX_OWED 10000u
#define NEVER UINT64_MAX
enum { FINE = 256 }; /* parts of a tick, for the speaker */

enum { RW_LATCH, RW_LOW, RW_HIGH, RW_BOTH };
enum {
    READ_BACK = 3, READ_BACK_NO_COUNT = 0x20, READ_BACK_NO_STATUS = 0x10,
    STATUS_OUT = 0x80, STATUS_NULL = 0x40,
};

struct channel {
    u8 mode, rw, bcd, gate;
    u8 write_high, read_high; /* RW_BOTH: the next byte is the high one */
    u8 write_low;             /* low byte waiting for the high one */
    u8 loaded;                /* a count was written since the control word */
    u8 triggered;             /* modes 1 and 5: the gate rose */
    u8 latch_bytes;           /* of the latched count still to be read */
    u8 status_latched, status;
    u16 latched;
    u8 pending, pending_low;  /* modes 2, 3: `next` replaces `count` at switch_at; in mode 3 the
                                 low half follows then */
    u32 count, next;          /* ticks, 1 to 65536 */
    u64 start;                /* tick at which `count` was in the counter */
    u64 paused;               /* modes 0, 4 with the gate low: ticks counted so far */
    u64 switch_at;
};
struct i8254 {
    struct device dev;
    struct channel channel[3];
    struct irq *irq;
    struct timer edge_timer, owed_timer;
    u64 edge; /* tick of the next rising edge of channel 0 */
    u64 given; /* machine time when the last edge was given, or still waited; 0: none */
    u32 owed;
};

/* ---- Time ---- */

static u64 tick_at(u64 ns)
{
    return ns / SEC(1) * PIT_HZ + ns % SEC(1) * PIT_HZ / SEC(1);
}

/* The first nanosecond of a tick. */
static u64 ns_at(u64 tick)
{
    return tick / PIT_HZ * SEC(1) + (tick % PIT_HZ * SEC(1) + PIT_HZ - 1) / PIT_HZ;
}

static u64 tick_now(struct i8254 *s)
{
    return tick_at(clock_now(s->dev.machine));
}

/* ---- A channel, computed (231164, "Mode Definitions") ---- */

static bool periodic(const struct channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool one_shot(const struct channel *c)
{
    return c->mode == 1 || c->mode == 5;
}

/* Puts the new count into effect, where the old period, or half of it, is over. */
static void channel_switch(struct channel *c)
{
    c->pending = 0;
    c->count = c->next;
    c->start = c->pending_low ? c->switch_at - (c->count + 1) / 2 : c->switch_at;
}

/* Channel 2 is about to change: who listens to it has to look before. */
static void channel_changing(struct i8254 *s, u32 n)
{
    const struct i8254_config *wires = s->dev.config;

    if (n == 2 && wires && wires->changing)
        wires->changing(wires->speaker);
}

static void channel_sync(struct i8254 *s, u32 n, u64 now)
{
    struct channel *c = &s->channel[n];

    if (!c->pending || now < c->switch_at)
        return;
    channel_changing(s, n);
    channel_switch(c);
}

static u64 elapsed(const struct channel *c, u64 now)
{
    if (!c->gate && (c->mode == 0 || c->mode == 4))
        return c->paused;
    return (i64)(now - c->start) > 0 ? now - c->start : 0;
}

static bool channel_out(const struct channel *c, u64 now)
{
    u64 e = elapsed(c, now);

    if (!c->loaded || (one_shot(c) && !c->triggered))
        return c->mode != 0;
    switch (c->mode) {
    case 0:
    case 1:
        return e >= c->count;
    case 2:
        return !c->gate || e % c->count != c->count - 1;
    case 3:
        return !c->gate || e % c->count < (c->count + 1) / 2;
    default:
        return e != c->count;
    }
}

/* What the counting element holds, in binary or BCD. */
static u16 channel_count(const struct channel *c, u64 now)
{
    u64 e = elapsed(c, now);
    u32 modulus = c->bcd ? 10000 : 65536, n;

    if (c->mode == 2)
        n = c->gate ? c->count - (u32)(e % c->count) : c->count;
    else if (c->mode == 3)
        n = c->gate ? (c->count & ~1u) - 2 * (u32)(e % c->count % ((c->count + 1) / 2))
                    : c->count;
    else
        n = (u32)((c->count + modulus - e % modulus) % modulus);
    n %= modulus;
    if (!c->bcd)
        return (u16)n;
    return (u16)(n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

/* Tick of the first rising edge after `now`. */
static u64 channel_next_edge(const struct channel *c, u64 now)
{
    u64 e = elapsed(c, now), end = c->count + (c->mode >= 4 ? 1 : 0);

    if (!c->loaded)
        return NEVER;
    if (periodic(c))
        return c->gate ? c->start + (e / c->count + 1) * c->count : NEVER;
    if (one_shot(c) ? !c->triggered : !c->gate)
        return NEVER;
    return e < end ? c->start + end : NEVER;
}

/* ---- How long an output is high ---- */

/* It stays as it is until the guest does something. */
static bool stands(const struct channel *c)
{
    return !c->loaded || (one_shot(c) ? !c->triggered : !c->gate);
}

/* High ticks among the first e of a count. */
static u64 high_of(const struct channel *c, u64 e)
{
    u64 high = (c->count + 1) / 2, part = e % c->count;

    switch (c->mode) {
    case 0:
    case 1:
        return e > c->count ? e - c->count : 0;
    case 2:
        return e - e / c->count;
    case 3:
        return e / c->count * high + (part < high ? part : high);
    default:
        return e - (e > c->count);
    }
}

/* High ticks from `start` to a tick, less those from the tick to `start` if it comes before. */
static i64 high_since_start(const struct channel *c, u64 tick)
{
    if (stands(c) || tick < c->start)
        return channel_out(c, tick) ? (i64)(tick - c->start) : 0;
    return (i64)high_of(c, tick - c->start);
}

static i64 fine_high_since_start(const struct channel *c, u64 at)
{
    u64 tick = at / FINE;

    return high_since_start(c, tick) * FINE + (channel_out(c, tick) ? (i64)(at % FINE) : 0);
}

static u64 fine_high(const struct channel *c, u64 from, u64 to)
{
    return (u64)(fine_high_since_start(c, to) - fine_high_since_start(c, from));
}

u64 i8254_fine_ticks(u64 ns)
{
    return (u64)((unsigned __int128)ns * (PIT_HZ * (u64)FINE) / 1000000000u);
}

u64 i8254_high(struct device *dev, u32 n, u64 from, u64 to)
{
    struct channel c = ((struct i8254 *)dev)->channel[n];
    u64 switch_at = c.switch_at * FINE, high = 0;

    if (c.pending && switch_at < to) {
        if (from < switch_at) {
            high = fine_high(&c, from, switch_at);
            from = switch_at;
        }
        channel_switch(&c);
    }
    return high + fine_high(&c, from, to);
}

/* ---- Channel 0: interrupts ---- */

/* Would an edge now be lost, the one before it still waiting? */
static bool edge_waits(struct i8254 *s)
{
    const struct i8254_config *wires = s->dev.config;

    if (wires && wires->i8259 && !i8259_masked(wires->i8259, 0))
        return i8259_busy(wires->i8259, 0);
    return wires && wires->ioapic && ioapic_busy(wires->ioapic, 2);
}

static u64 period_ns(const struct i8254 *s)
{
    return ns_at(s->channel[0].count);
}

static void edges_add(struct i8254 *s, u64 n)
{
    u64 most = MAX_OWED_NS / (ns_at(s->channel[0].count) + 1) + 1;

    if (most > MAX_OWED)
        most = MAX_OWED;
    if (n > most - (s->owed < most ? s->owed : most)) {
        trace(TRACE_TIME, "i8254: more than %llu ticks behind, dropped",
              (unsigned long long)most);
        n = most - (s->owed < most ? s->owed : most);
    }
    s->owed += (u32)n;
}

/* Gives an edge that is owed, if the last one is long enough ago and has been taken; else looks
 * again. */
static void edge_give(struct i8254 *s)
{
    u64 now = clock_now(s->dev.machine),
        soonest = s->given ? s->given + ticks_spacing(period_ns(s), s->owed) : 0;

    if (s->owed && edge_waits(s)) {
        s->given = now;
        soonest = now + ticks_look(period_ns(s));
    } else if (s->owed && now >= soonest) {
        s->owed--;
        s->given = now;
        irq_set(s->irq, false);
        irq_set(s->irq, true);
        soonest = now + ticks_spacing(period_ns(s), s->owed);
    }
    if (s->owed)
        timer_set(&s->owed_timer, soonest);
    else
        timer_cancel(&s->owed_timer);
}

static void owed_fire(void *owner)
{
    edge_give(owner);
}

/* Plans channel 0's next edge; no sooner than `earliest`. */
static void edge_plan(struct i8254 *s, u64 now, u64 earliest)
{
    const struct channel *c = &s->channel[0];
    u64 at, due;

    s->edge = channel_next_edge(c, now);
    at = c->pending && c->switch_at < s->edge ? c->switch_at : s->edge;
    if (at == NEVER) {
        timer_cancel(&s->edge_timer);
        return;
    }
    due = ns_at(at);
    timer_set(&s->edge_timer, due < earliest ? earliest : due);
}

/* Rising edges from tick `first` to now. */
static u64 edges_since(const struct channel *c, u64 first, u64 now)
{
    if (first == NEVER || now < first)
        return 0;
    return 1 + (periodic(c) ? (now - first) / c->count : 0);
}

static void edge_fire(void *owner)
{
    struct i8254 *s = owner;
    struct channel *c = &s->channel[0];
    u64 now = tick_now(s), n;

    if (c->pending && now >= c->switch_at) {
        n = edges_since(c, s->edge, c->switch_at);
        channel_sync(s, 0, now);
        n += edges_since(c, channel_next_edge(c, c->switch_at), now);
    } else {
        n = edges_since(c, s->edge, now);
    }
    edges_add(s, n);
    edge_give(s);
    edge_plan(s, now, clock_now(s->dev.machine) + MIN_INTERVAL);
}

/* The guest, or a restore, changed a channel. */
static void channel_changed(struct i8254 *s, u32 n, u64 now)
{
    if (n != 0)
        return;
    s->owed = 0;
    s->given = 0;
    timer_cancel(&s->owed_timer);
    if (!channel_out(&s->channel[0], now))
        irq_set(s->irq, false);
    edge_plan(s, now, 0);
}

/* ---- Programming ---- */

/* At a new count in modes 2 and 3 the running period, or half of it, ends with the old one. */
static void channel_queue(struct channel *c, u64 now, u32 count)
{
    u64 e = elapsed(c, now), base = c->start + e / c->count * c->count;
    u32 high = (c->count + 1) / 2;

    c->next = count;
    c->pending = 1;
    c->pending_low = c->mode == 3 && e % c->count < high;
    c->switch_at = base + (c->pending_low ? high : c->count);
}

static void channel_load(struct channel *c, u64 now)
{
    c->start = now + 1; /* the next clock */
    c->paused = 0;
    c->pending = 0;
    c->count = c->next;
}

static void channel_write_count(struct channel *c, u64 now, u16 raw)
{
    u32 count = raw;

    if (c->bcd)
        count = (raw >> 12) * 1000 + (raw >> 8 & 15) * 100 + (raw >> 4 & 15) * 10 + (raw & 15);
    if (!count)
        count = c->bcd ? 10000 : 65536;
    if (periodic(c) && count < 2)
        count = 2; /* 1 is illegal */
    if (periodic(c) && c->loaded && c->gate) {
        channel_queue(c, now, count);
        return;
    }
    c->next = count;
    if (!one_shot(c) || !c->loaded)
        channel_load(c, now);
    else
        c->pending = 0;
    c->loaded = 1;
}

static void channel_write(struct i8254 *s, u32 n, u8 val)
{
    struct channel *c = &s->channel[n];
    u64 now = tick_now(s);

    channel_changing(s, n);
    channel_sync(s, n, now);
    if (c->rw == RW_BOTH && !c->write_high) {
        c->write_low = val;
        c->write_high = 1;
        if (c->mode == 0) {
            c->loaded = 0; /* the first byte stops the count */
            channel_changed(s, n, now);
        }
        return;
    }
    c->write_high = 0;
    channel_write_count(c, now,
                        c->rw == RW_BOTH   ? val << 8 | c->write_low
                        : c->rw == RW_HIGH ? val << 8
                                           : val);
    channel_changed(s, n, now);
}

static void channel_latch_count(struct channel *c, u64 now)
{
    if (c->latch_bytes)
        return;
    c->latched = channel_count(c, now);
    c->latch_bytes = c->rw == RW_BOTH ? 2 : 1;
}

static void channel_latch_status(struct channel *c, u64 now)
{
    bool null = !c->loaded || c->pending || (c->gate && now < c->start);

    if (c->status_latched)
        return;
    c->status_latched = 1;
    c->status = (channel_out(c, now) ? STATUS_OUT : 0) | (null ? STATUS_NULL : 0) | c->rw << 4 |
                c->mode << 1 | c->bcd;
}

static void read_back(struct i8254 *s, u8 val)
{
    u64 now = tick_now(s);

    for (u32 n = 0; n < 3; n++) {
        struct channel *c = &s->channel[n];
        if (!(val >> 1 >> n & 1))
            continue;
        channel_sync(s, n, now);
        if (!(val & READ_BACK_NO_COUNT))
            channel_latch_count(c, now);
        if (!(val & READ_BACK_NO_STATUS))
            channel_latch_status(c, now);
    }
}

static void control_write(struct i8254 *s, u8 val)
{
    struct channel *c = &s->channel[val >> 6 & 3];
    u64 now = tick_now(s);

    if (val >> 6 == READ_BACK) {
        read_back(s, val);
        return;
    }
    channel_sync(s, val >> 6, now);
    if ((val >> 4 & 3) == RW_LATCH) {
        channel_latch_count(c, now);
        return;
    }
    channel_changing(s, val >> 6);
    c->rw = val >> 4 & 3;
    c->mode = val >> 1 & 7;
    if (c->mode > 5)
        c->mode -= 4; /* 6 and 7 are 2 and 3 */
    c->bcd = val & 1;
    c->write_high = c->read_high = 0;
    c->latch_bytes = c->status_latched = 0;
    c->loaded = c->triggered = c->pending = 0;
    c->start = now;
    channel_changed(s, val >> 6, now);
}

static u8 channel_read(struct i8254 *s, u32 n)
{
    struct channel *c = &s->channel[n];
    bool high;
    u16 count = c->latched;

    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    if (!c->latch_bytes) { /* what is latched needs no look at the clock */
        u64 now = tick_now(s);

        channel_sync(s, n, now);
        count = channel_count(c, now);
    }
    high = c->rw == RW_HIGH || (c->rw == RW_BOTH && c->read_high);
    if (c->rw == RW_BOTH)
        c->read_high ^= 1;
    if (c->latch_bytes)
        c->latch_bytes--;
    return (u8)(high ? count >> 8 : count);
}

/* ---- Pins and ports ---- */

bool i8254_out_at(struct device *dev, u32 n, u64 ns)
{
    struct i8254 *s = (struct i8254 *)dev;
    u64 now = tick_at(ns);

    channel_sync(s, n, now);
    return channel_out(&s->channel[n], now);
}

bool i8254_out(struct device *dev, u32 n)
{
    return i8254_out_at(dev, n, clock_now(dev->machine));
}

/* A rising gate triggers modes 1 and 5, restarts 2 and 3, lets 0 and 4 go on. */
void i8254_gate(struct device *dev, u32 n, bool on)
{
    struct i8254 *s = (struct i8254 *)dev;
    struct channel *c = &s->channel[n];
    u64 now = tick_now(s);

    if (on == c->gate)
        return;
    channel_changing(s, n);
    channel_sync(s, n, now);
    if (!on) {
        c->paused = elapsed(c, now);
        if (c->pending)
            c->count = c->next;
        c->pending = 0;
    }
    c->gate = on;
    if (on && (c->mode == 0 || c->mode == 4)) {
        c->start = now - c->paused;
    } else if (on) {
        channel_load(c, now);
        c->triggered = c->loaded;
    }
    channel_changed(s, n, now);
}

static u32 i8254_read(struct device *dev, u32 off, enum io_size size)
{
    return off < 3 ? channel_read((struct i8254 *)dev, off) : 0xff;
}

static void i8254_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct i8254 *s = (struct i8254 *)dev;

    if (off == 3)
        control_write(s, (u8)val);
    else
        channel_write(s, off, (u8)val);
}

/* The part has no reset pin and starts undefined; ours starts in mode 0, waiting for a
 * count. */
static void i8254_reset(struct device *dev)
{
    struct i8254 *s = (struct i8254 *)dev;

    channel_changing(s, 2);
    for (u32 n = 0; n < 3; n++)
        s->channel[n] = (struct channel){
            .rw = RW_BOTH, .gate = n != 2, .count = 65536, .next = 65536
        };
    channel_changed(s, 0, tick_now(s));
}

static bool i8254_attach(struct device *dev)
{
    static const struct io_ops ops = { i8254_read, i8254_write, IO_8 };
    struct i8254 *s = (struct i8254 *)dev;

    s->irq = irq_isa(dev->machine, 0);
    timer_init(&s->edge_timer, dev->machine, edge_fire, s);
    timer_init(&s->owed_timer, dev->machine, owed_fire, s);
    i8254_reset(dev);
    return bus_claim_ports(dev, 0x40, 4, &ops);
}

/* Values a broken save file may carry must not divide by 0 or index wild. */
static void channel_sane(struct channel *c)
{
    c->mode %= 6;
    c->rw &= 3;
    if (c->count < 2 || c->count > 65536)
        c->count = 65536;
    if (c->next < 2 || c->next > 65536)
        c->next = 65536;
}

static void i8254_loaded(struct device *dev)
{
    struct i8254 *s = (struct i8254 *)dev;
    u32 owed = s->owed;

    for (u32 n = 0; n < 3; n++)
        channel_sane(&s->channel[n]);
    channel_changed(s, 0, tick_now(s));
    edges_add(s, owed);
    if (s->owed)
        timer_set(&s->owed_timer,
                  clock_now(dev->machine) + ticks_spacing(period_ns(s), s->owed));
}

#define CHANNEL_FIELDS(n)                                                                      \
    FIELD(struct i8254, channel[n].mode), FIELD(struct i8254, channel[n].rw),                  \
        FIELD(struct i8254, channel[n].bcd), FIELD(struct i8254, channel[n].gate),             \
        FIELD(struct i8254, channel[n].write_high), FIELD(struct i8254, channel[n].read_high), \
        FIELD(struct i8254, channel[n].write_low), FIELD(struct i8254, channel[n].loaded),     \
        FIELD(struct i8254, channel[n].triggered),                                             \
        FIELD(struct i8254, channel[n].latch_bytes),                                           \
        FIELD(struct i8254, channel[n].status_latched),                                        \
        FIELD(struct i8254, channel[n].status), FIELD(struct i8254, channel[n].latched),       \
        FIELD(struct i8254, channel[n].pending), FIELD(struct i8254, channel[n].pending_low),  \
        FIELD(struct i8254, channel[n].count), FIELD(struct i8254, channel[n].next),           \
        FIELD(struct i8254, channel[n].start), FIELD(struct i8254, channel[n].paused),         \
        FIELD(struct i8254, channel[n].switch_at)

static const struct field i8254_fields[] = { CHANNEL_FIELDS(0), CHANNEL_FIELDS(1),
                                             CHANNEL_FIELDS(2), FIELD(struct i8254, owed),
                                             FIELD_END };

const struct device_class i8254_class = {
    .name = "i8254",
    .size = sizeof(struct i8254),
    .attach = i8254_attach,
    .reset = i8254_reset,
    .loaded = i8254_loaded,
    .fields = i8254_fields,
};
