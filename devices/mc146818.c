/*
 * Motorola MC146818A real-time clock and CMOS memory (ADI856): ports 70-71, a second bank of
 * 128 bytes at 72-73 (as in the PIIX3), IRQ 8. Port 70 bit 7 masks NMI.
 *
 * The time of day is the machine's wall clock plus an offset: setting the clock changes the
 * offset. While it may not run (SET, or the divider held), the registers hold what was written,
 * and the offset is made from them when it is let go. Flags in register C are made up to date
 * when somebody looks (rtc_sync()); a timer runs only for interrupts that are enabled.
 *
 * Periodic ticks are not lost: those that pass before the guest reads register C are owed,
 * bounded, and given after it does (ticks.h).
 */
#include "devices/mc146818.h"
#include "devices/ticks.h"

enum {
    SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH,
    YEAR, REG_A, REG_B, REG_C, REG_D, SHUTDOWN_STATUS = 0x0f, CENTURY = 0x32,
    A_UIP = 0x80, A_DV = 0x70, A_DV_32KHZ = 0x20, A_RS = 0x0f, B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10,
    B_SQWE = 0x08, B_DM = 0x04, B_24 = 0x02, C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20,
    C_UF = 0x10, D_VRT = 0x80, HOUR_PM = 0x80, ALARM_ANY = 0xc0, PORT_NMI_MASK = 0x80,
    SHUTDOWN_S3 = 0xfe, /* SeaBIOS, resume.c: go on where the FACS says */
};
#define UPDATE_NS USEC(2228) /* UIP leads the change by 244 us, the update takes 1984 us */
#define MAX_OWED 2048u
#define DAY_SECONDS 86400

struct mc146818 {
    struct device dev;
    u8 ram[256];
    u8 index[2];    /* what ports 70 and 72 selected */
    u8 nmi_mask;
    i64 offset;     /* seconds from the wall clock to the guest's, */
    u32 offset_ns;  /* and nanoseconds, below 10^9 */
    i64 updated;    /* guest second of the last update seen by rtc_sync() */
    u64 ticked;     /* periodic tick last seen by rtc_sync(), in periods since power-on */
    u32 owed;
    u64 given;      /* machine time when the last periodic tick was given, or read; 0: none */
    struct irq *irq;
    struct timer timer, owed_timer;
};

/* ---- The guest's time ---- */

static i64 floor_div(i64 a, i64 b)
{
    return a / b - (a % b < 0);
}

static i64 guest_time(struct mc146818 *s, u32 *ns)
{
    u32 fraction;
    i64 second = clock_wall(s->dev.machine, &fraction) + s->offset;

    fraction += s->offset_ns;
    *ns = fraction % 1000000000;
    return second + fraction / 1000000000;
}

static i64 guest_second(struct mc146818 *s)
{
    u32 ns;

    return guest_time(s, &ns);
}

/* Nanoseconds since the last update. */
static u32 guest_fraction(struct mc146818 *s)
{
    u32 ns;

    guest_time(s, &ns);
    return ns;
}

/* Updates happen: not held by SET, and the divider counts a 32 kHz crystal. */
static bool running(const struct mc146818 *s)
{
    return !(s->ram[REG_B] & B_SET) && (s->ram[REG_A] & A_DV) == A_DV_32KHZ;
}

/* Days since 1970-01-01 of a Gregorian date, month 1 to 12; and back. Years start in March. */
static i64 days_of_date(i64 year, u32 month, u32 day)
{
    i64 y = month > 2 ? year : year - 1, era = floor_div(y, 400), of_era = y - era * 400;
    u32 m = (month + 9) % 12;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day -
           1 - 719468;
}

struct date {
    i64 year;
    u32 month, day, weekday, hour, minute, second;
};

static struct date date_of_seconds(i64 seconds)
{
    i64 days = floor_div(seconds, DAY_SECONDS), z = days + 719468, era = floor_div(z, 146097);
    u32 rest = (u32)(seconds - days * DAY_SECONDS), of_era = (u32)(z - era * 146097);
    u32 y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    u32 of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    u32 month = m < 10 ? m + 3 : m - 9;

    return (struct date){ .year = y + era * 400 + (month <= 2),
                          .month = month,
                          .day = of_year - (153 * m + 2) / 5 + 1,
                          /* 1970-01-01: Thursday, 5 */
                          .weekday = (u32)((days % 7 + 11) % 7) + 1,
                          .hour = rest / 3600,
                          .minute = rest / 60 % 60,
                          .second = rest % 60 };
}

/* ---- Registers in the guest's format ---- */

static u8 encode(const struct mc146818 *s, u32 n)
{
    return (u8)(s->ram[REG_B] & B_DM ? n : n / 10 << 4 | n % 10);
}

static u32 decode(const struct mc146818 *s, u8 val)
{
    return s->ram[REG_B] & B_DM ? val : (val >> 4) * 10u + (val & 15);
}

static u8 encode_hour(const struct mc146818 *s, u32 hour)
{
    if (s->ram[REG_B] & B_24)
        return encode(s, hour);
    return encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static u32 decode_hour(const struct mc146818 *s, u8 val)
{
    if (s->ram[REG_B] & B_24)
        return decode(s, val);
    return decode(s, val & ~HOUR_PM) % 12 + (val & HOUR_PM ? 12 : 0);
}

/* Time registers from the clock, while it runs. */
static void time_to_registers(struct mc146818 *s)
{
    struct date d = date_of_seconds(guest_second(s));

    s->ram[SECONDS] = encode(s, d.second);
    s->ram[MINUTES] = encode(s, d.minute);
    s->ram[HOURS] = encode_hour(s, d.hour);
    s->ram[WEEKDAY] = encode(s, d.weekday);
    s->ram[DAY] = encode(s, d.day);
    s->ram[MONTH] = encode(s, d.month);
    s->ram[YEAR] = encode(s, (u32)(d.year % 100));
    s->ram[CENTURY] = encode(s, (u32)(d.year / 100 % 100));
}

/* The clock from the registers; the fraction of the second goes on. Nonsense is normalised. */
static void registers_to_time(struct mc146818 *s)
{
    i64 year = decode(s, s->ram[CENTURY]) * 100 + decode(s, s->ram[YEAR]), seconds;
    u32 month = decode(s, s->ram[MONTH]);

    month = month < 1 ? 1 : month > 12 ? 12 : month;
    seconds = days_of_date(year, month, decode(s, s->ram[DAY])) * DAY_SECONDS +
              decode_hour(s, s->ram[HOURS]) * 3600 + decode(s, s->ram[MINUTES]) * 60 +
              decode(s, s->ram[SECONDS]);
    s->offset += seconds - guest_second(s);
    s->updated = seconds;
}

static bool is_time(u32 index)
{
    return index <= YEAR
               ? index != SECONDS_ALARM && index != MINUTES_ALARM && index != HOURS_ALARM
               : index == CENTURY;
}

/* ---- Flags and interrupts ---- */

/* Length of the periodic interrupt in 32768 Hz cycles, 0: off (ADI856). */
static u32 period(const struct mc146818 *s)
{
    u32 rs = s->ram[REG_A] & A_RS;

    if (!rs || (s->ram[REG_A] & A_DV) != A_DV_32KHZ)
        return 0;
    return 1u << ((rs < 3 ? rs + 7 : rs) - 1);
}

static u64 cycles(struct mc146818 *s)
{
    return (u64)((unsigned __int128)clock_now(s->dev.machine) * 32768 / 1000000000u);
}

static bool alarm_field(u8 alarm, u8 now)
{
    return alarm >= ALARM_ANY || alarm == now;
}

static bool alarm_matches(const struct mc146818 *s, i64 second)
{
    struct date d = date_of_seconds(second);

    return alarm_field(s->ram[SECONDS_ALARM], encode(s, d.second)) &&
           alarm_field(s->ram[MINUTES_ALARM], encode(s, d.minute)) &&
           alarm_field(s->ram[HOURS_ALARM], encode_hour(s, d.hour));
}

/* Updates since the last look: UF, and AF if one of the seconds was the alarm's. */
static void sync_updates(struct mc146818 *s)
{
    i64 now = guest_second(s), from = s->updated;

    s->updated = now;
    if (!running(s) || now <= from)
        return;
    s->ram[REG_C] |= C_UF;
    if (now - from > DAY_SECONDS)
        from = now - DAY_SECONDS;
    while (!(s->ram[REG_C] & C_AF) && ++from <= now)
        if (alarm_matches(s, from))
            s->ram[REG_C] |= C_AF;
}

static void owe(struct mc146818 *s, u64 n)
{
    s->owed = n > MAX_OWED - s->owed ? MAX_OWED : s->owed + (u32)n;
}

static u64 period_ns(const struct mc146818 *s)
{
    return (u64)period(s) * 1000000000u / 32768;
}

/* When an owed tick may come. */
static u64 owed_due(const struct mc146818 *s)
{
    return s->given + ticks_spacing(period_ns(s), s->owed);
}

/* The flag of an owed tick, if the last one has been read, and is long enough ago. */
static void periodic_give(struct mc146818 *s)
{
    u64 now = clock_now(s->dev.machine);

    if (!s->owed || s->ram[REG_C] & C_PF)
        return;
    if (s->given && now < owed_due(s)) {
        timer_set(&s->owed_timer, owed_due(s));
        return;
    }
    s->owed--;
    s->given = now;
    s->ram[REG_C] |= C_PF;
}

static void sync_periodic(struct mc146818 *s)
{
    u32 length = period(s);
    u64 now, n;

    if (!length)
        return;
    now = cycles(s) / length;
    n = now - s->ticked;
    s->ticked = now;
    if (!n || n > UINT32_MAX)
        return;
    if (s->ram[REG_B] & B_PIE)
        owe(s, n);
    else
        s->ram[REG_C] |= C_PF;
    periodic_give(s);
}

static void rtc_sync(struct mc146818 *s)
{
    const struct mc146818_config *config = s->dev.config;
    u8 before = s->ram[REG_C];
    bool irq;

    sync_updates(s);
    sync_periodic(s);
    if (~before & s->ram[REG_C] & s->ram[REG_B] & C_AF && config)
        config->alarm(s->dev.machine);
    irq = s->ram[REG_C] & s->ram[REG_B] & (C_PF | C_AF | C_UF);
    s->ram[REG_C] = (s->ram[REG_C] & ~C_IRQF) | (irq ? C_IRQF : 0);
    irq_set(s->irq, irq);
}

/* The next moment at which an enabled interrupt may come. */
static void rtc_plan(struct mc146818 *s)
{
    u64 now = clock_now(s->dev.machine), next = UINT64_MAX, at;
    u32 length = period(s);

    if ((s->ram[REG_B] & B_PIE) && length) {
        at = (cycles(s) / length + 1) * length;
        next = (u64)(((unsigned __int128)at * 1000000000u + 32767) / 32768);
    }
    if ((s->ram[REG_B] & (B_AIE | B_UIE)) && running(s)) {
        at = now + SEC(1) - guest_fraction(s);
        next = at < next ? at : next;
    }
    if (next == UINT64_MAX)
        timer_cancel(&s->timer);
    else
        timer_set(&s->timer, next);
}

static void rtc_fire(void *owner)
{
    rtc_sync(owner);
    rtc_plan(owner);
}

/* A tick that came while the one before was still unread, or hardly gone. */
static void owed_fire(void *owner)
{
    struct mc146818 *s = owner;

    periodic_give(s);
    rtc_sync(s);
}

/* ---- Register access ---- */

static u8 read_a(struct mc146818 *s)
{
    bool uip = running(s) && guest_fraction(s) >= SEC(1) - UPDATE_NS;

    return (s->ram[REG_A] & ~A_UIP) | (uip ? A_UIP : 0);
}

/* Reading register C clears the flags and lets the line go. */
static u8 read_c(struct mc146818 *s)
{
    u8 val;

    rtc_sync(s);
    val = s->ram[REG_C];
    if (val & C_PF)
        s->given = clock_now(s->dev.machine);
    s->ram[REG_C] = 0;
    irq_set(s->irq, false);
    if (s->owed)
        timer_set(&s->owed_timer, owed_due(s));
    return val;
}

/* A or B: SET and the divider stop and start the clock, RS and the enables move the timer. */
static void write_ab(struct mc146818 *s, u32 index, u8 val)
{
    bool ran = running(s), held = (s->ram[REG_A] & A_DV) >= 0x60;

    rtc_sync(s);
    if (ran)
        time_to_registers(s);
    s->ram[index] = index == REG_A ? val & ~A_UIP : val & B_SET ? val & ~B_UIE : val;
    if (!ran && running(s)) {
        if (held) /* the divider chain starts: the first update comes after 500 ms */
            s->offset_ns = (s->offset_ns + 1500000000 - guest_fraction(s)) % 1000000000;
        registers_to_time(s);
    }
    s->ticked = period(s) ? cycles(s) / period(s) : 0;
    if (!(s->ram[REG_B] & B_PIE))
        s->owed = 0;
    s->given = 0;
    rtc_sync(s);
    rtc_plan(s);
}

static void rtc_write(struct mc146818 *s, u32 index, u8 val)
{
    if (index == REG_A || index == REG_B) {
        write_ab(s, index, val);
        return;
    }
    if (index == REG_C || index == REG_D)
        return;
    if (!is_time(index) || !running(s)) {
        rtc_sync(s);
        s->ram[index] = val;
        return;
    }
    rtc_sync(s);
    time_to_registers(s);
    s->ram[index] = val;
    registers_to_time(s);
    rtc_plan(s);
}

static u8 rtc_read(struct mc146818 *s, u32 index)
{
    if (index == REG_A)
        return read_a(s);
    if (index == REG_C)
        return read_c(s);
    if (is_time(index) && running(s))
        time_to_registers(s);
    return s->ram[index];
}

void mc146818_cmos_set(struct device *dev, u8 index, u8 val)
{
    rtc_write((struct mc146818 *)dev, index, val);
}

u8 mc146818_cmos_get(struct device *dev, u8 index)
{
    struct mc146818 *s = (struct mc146818 *)dev;

    return index == REG_C ? s->ram[REG_C] : rtc_read(s, index);
}

bool mc146818_nmi_masked(struct device *dev)
{
    return ((struct mc146818 *)dev)->nmi_mask;
}

/* ---- Ports: 0, 2 index of the two banks (write only), 1, 3 data ---- */

static u32 mc146818_read(struct device *dev, u32 off, enum io_size size)
{
    struct mc146818 *s = (struct mc146818 *)dev;

    if (off == 0 || off == 2)
        return 0xff;
    return rtc_read(s, s->index[off >> 1] | (off == 3 ? 0x80 : 0));
}

static void mc146818_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct mc146818 *s = (struct mc146818 *)dev;

    if (off == 0)
        s->nmi_mask = !!(val & PORT_NMI_MASK);
    if (off == 0 || off == 2)
        s->index[off >> 1] = val & 0x7f;
    else
        rtc_write(s, s->index[off >> 1] | (off == 3 ? 0x80 : 0), (u8)val);
}

/* RESET leaves time and memory alone (ADI856, "RESET"). */
static void mc146818_reset(struct device *dev)
{
    struct mc146818 *s = (struct mc146818 *)dev;

    s->ram[REG_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->ram[REG_C] = 0;
    s->owed = 0;
    s->nmi_mask = 0;
    timer_cancel(&s->owed_timer);
    rtc_sync(s);
    rtc_plan(s);
}

/* A board tells its firmware in its own way why it starts; SeaBIOS reads it here. */
static void mc146818_woken(struct device *dev)
{
    mc146818_reset(dev);
    ((struct mc146818 *)dev)->ram[SHUTDOWN_STATUS] = SHUTDOWN_S3;
}

static bool mc146818_attach(struct device *dev)
{
    static const struct io_ops ops = { mc146818_read, mc146818_write, IO_8 };
    struct mc146818 *s = (struct mc146818 *)dev;

    s->irq = irq_isa(dev->machine, 8);
    timer_init(&s->timer, dev->machine, rtc_fire, s);
    timer_init(&s->owed_timer, dev->machine, owed_fire, s);
    s->ram[REG_A] = A_DV_32KHZ | 6; /* 1024 Hz: what every BIOS sets */
    s->ram[REG_B] = B_24;
    s->ram[REG_D] = D_VRT;
    s->updated = guest_second(s);
    s->ticked = cycles(s) / period(s);
    return bus_claim_ports(dev, 0x70, 4, &ops);
}

static void mc146818_loaded(struct device *dev)
{
    struct mc146818 *s = (struct mc146818 *)dev;

    s->index[0] &= 0x7f;
    s->index[1] &= 0x7f;
    s->offset_ns %= 1000000000;
    s->owed = s->owed > MAX_OWED ? MAX_OWED : s->owed;
    rtc_fire(s);
    if (s->owed)
        timer_set(&s->owed_timer, owed_due(s));
}

static const struct field mc146818_fields[] = {
    FIELD_ARRAY(struct mc146818, ram),  FIELD_ARRAY(struct mc146818, index),
    FIELD(struct mc146818, nmi_mask),   FIELD(struct mc146818, offset),
    FIELD(struct mc146818, offset_ns),
    FIELD(struct mc146818, updated),    FIELD(struct mc146818, ticked),
    FIELD(struct mc146818, owed),       FIELD_END,
};

const struct device_class mc146818_class = {
    .name = "mc146818",
    .size = sizeof(struct mc146818),
    .attach = mc146818_attach,
    .reset = mc146818_reset,
    .woken = mc146818_woken,
    .loaded = mc146818_loaded,
    .fields = mc146818_fields,
};
