/*
 * The clock: reading and setting, formats, UIP, interrupts. The rig's clock starts at
 * 2000-01-01 00:00:00, a Saturday.
 */
#include "devices/mc146818.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

static u8 get(struct rig *r, u8 index)
{
    rig_out8(r, 0x70, index);
    return rig_in8(r, 0x71);
}

static void set(struct rig *r, u8 index, u8 val)
{
    rig_out8(r, 0x70, index);
    rig_out8(r, 0x71, val);
}

static void check_time(struct rig *r, u8 hour, u8 minute, u8 second)
{
    CHECK_EQ(get(r, 4), hour);
    CHECK_EQ(get(r, 2), minute);
    CHECK_EQ(get(r, 0), second);
}

static void check_date(struct rig *r, u8 century, u8 year, u8 month, u8 day, u8 weekday)
{
    CHECK_EQ(get(r, 0x32), century);
    CHECK_EQ(get(r, 9), year);
    CHECK_EQ(get(r, 8), month);
    CHECK_EQ(get(r, 7), day);
    CHECK_EQ(get(r, 6), weekday);
}

TEST(mc146818, tells_the_time)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    check_time(r, 0, 0, 0);
    check_date(r, 0x20, 0x00, 0x01, 0x01, 7);
    rig_advance(r, SEC(13 * 3600 + 45 * 60 + 59));
    check_time(r, 0x13, 0x45, 0x59);
    rig_advance(r, SEC(86400ull * 59));
    check_date(r, 0x20, 0x00, 0x02, 0x29, 3); /* a leap year */
    CHECK_EQ(get(r, 0x0d), 0x80);
}

TEST(mc146818, formats)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    rig_advance(r, SEC(13 * 3600 + 45 * 60 + 59));
    set(r, 0x0b, 0x06); /* binary, 24 h */
    check_time(r, 13, 45, 59);
    set(r, 0x0b, 0x04); /* binary, 12 h */
    check_time(r, 0x81, 45, 59);
    set(r, 0x0b, 0x00); /* BCD, 12 h */
    check_time(r, 0x81, 0x45, 0x59);
    rig_advance(r, SEC(11 * 3600));
    CHECK_EQ(get(r, 4), 0x12); /* half past midnight is 12 AM */
}

TEST(mc146818, is_set_while_it_stands)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    rig_advance(r, MSEC(300));
    set(r, 0x0b, 0x82);
    set(r, 0, 0x58);
    set(r, 2, 0x59);
    set(r, 4, 0x23);
    set(r, 7, 0x31);
    set(r, 8, 0x12);
    set(r, 9, 0x99);
    set(r, 0x32, 0x19);
    rig_advance(r, SEC(10));
    check_time(r, 0x23, 0x59, 0x58);
    set(r, 0x0b, 0x02);
    check_time(r, 0x23, 0x59, 0x58);
    rig_advance(r, SEC(3));
    check_time(r, 0, 0, 1);
    check_date(r, 0x20, 0x00, 0x01, 0x01, 7);
}

TEST(mc146818, is_set_while_it_runs)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    set(r, 9, 0x24);
    set(r, 8, 0x02);
    set(r, 7, 0x29);
    check_date(r, 0x20, 0x24, 0x02, 0x29, 5);
}

TEST(mc146818, update_in_progress_leads_the_change)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    CHECK_EQ(get(r, 0x0a), 0x26);
    rig_advance(r, SEC(1) - USEC(2300));
    CHECK_EQ(get(r, 0x0a), 0x26);
    rig_advance(r, USEC(100));
    CHECK_EQ(get(r, 0x0a), 0xa6);
    rig_advance(r, USEC(2200));
    CHECK_EQ(get(r, 0x0a), 0x26);
    CHECK_EQ(get(r, 0), 1);
}

TEST(mc146818, divider_reset_gives_half_a_second)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    set(r, 0x0a, 0x76);
    rig_advance(r, SEC(5));
    CHECK_EQ(get(r, 0), 0);
    set(r, 0x0a, 0x26);
    rig_advance(r, MSEC(490));
    CHECK_EQ(get(r, 0), 0);
    rig_advance(r, MSEC(20));
    CHECK_EQ(get(r, 0), 1);
}

TEST(mc146818, update_interrupt)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    set(r, 0x0b, 0x12);
    rig_advance(r, MSEC(1500));
    CHECK(rig_irq(r, 8));
    CHECK_EQ(get(r, 0x0c), 0xd0); /* PF is set too, but not enabled */
    CHECK(!rig_irq(r, 8));
    CHECK_EQ(get(r, 0x0c) & 0x90, 0);
    rig_irq_rises(r, 8);
    rig_advance(r, SEC(1));
    CHECK_EQ(rig_irq_rises(r, 8), 1);
    set(r, 0x0b, 0x02);
    CHECK(!rig_irq(r, 8));
}

TEST(mc146818, flags_without_interrupts)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    get(r, 0x0c);
    rig_advance(r, MSEC(1100));
    CHECK_EQ(get(r, 0x0c), 0x50);
    CHECK_EQ(get(r, 0x0c), 0);
    CHECK_EQ(rig_irq_rises(r, 8), 0);
}

TEST(mc146818, alarm)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    set(r, 1, 0x30);
    set(r, 3, 0x02);
    set(r, 5, 0xff); /* any hour */
    set(r, 0x0b, 0x22);
    rig_advance(r, SEC(149));
    CHECK(!rig_irq(r, 8));
    rig_advance(r, SEC(1));
    CHECK(rig_irq(r, 8));
    CHECK_EQ(get(r, 0x0c) & 0xa0, 0xa0);
    rig_advance(r, SEC(3599));
    CHECK(!rig_irq(r, 8));
    rig_advance(r, SEC(1));
    CHECK(rig_irq(r, 8));
}

static u32 alarms;

static void count_alarm(struct machine *m)
{
    alarms++;
}

TEST(mc146818, an_enabled_alarm_is_told_once)
{
    static const struct mc146818_config config = { count_alarm };
    struct rig *r = rig_new(&mc146818_class, &config);

    alarms = 0;
    set(r, 1, 0xff);
    set(r, 3, 0xff);
    set(r, 5, 0xff); /* each second */
    rig_advance(r, SEC(2));
    CHECK_EQ(alarms, 0);
    get(r, 0x0c);
    set(r, 0x0b, 0x62); /* periodic interrupts, too */
    rig_advance(r, SEC(3));
    CHECK_EQ(alarms, 1);
    get(r, 0x0c);
    rig_advance(r, SEC(1));
    CHECK_EQ(alarms, 2);
}

TEST(mc146818, waking_tells_the_firmware_and_keeps_the_time)
{
    struct rig *r = rig_new(&mc146818_class, NULL);
    u32 minute = get(r, 2);

    set(r, 0x0f, 0);
    set(r, 0x0b, 0x22);
    mc146818_class.woken(r->dev);
    CHECK_EQ(get(r, 0x0f), 0xfe);
    CHECK_EQ(get(r, 0x0b), 0x02);
    CHECK_EQ(get(r, 2), minute);
}

TEST(mc146818, periodic_interrupt)
{
    struct rig *r = rig_new(&mc146818_class, NULL);
    u32 n = 0;

    set(r, 0x0b, 0x42); /* 1024 Hz */
    for (u32 i = 0; i < 10000; i++) {
        rig_advance(r, USEC(100));
        if (rig_irq(r, 8)) {
            CHECK_EQ(get(r, 0x0c) & 0xc0, 0xc0);
            n++;
        }
    }
    CHECK(n >= 1022 && n <= 1025);
}

TEST(mc146818, periodic_ticks_are_not_lost)
{
    struct rig *r = rig_new(&mc146818_class, NULL);
    u32 n = 0;

    set(r, 0x0b, 0x42);
    rig_advance(r, SEC(1)); /* 1024 ticks pass unread */
    for (u32 i = 0; i < 120000; i++) {
        rig_advance(r, USEC(50));
        if (rig_irq(r, 8)) {
            get(r, 0x0c);
            n++;
        }
    }
    CHECK(n >= 1024 * 7 - 2 && n <= 1024 * 7 + 2);
}

TEST(mc146818, owed_ticks_are_spread)
{
    struct rig *r = rig_new(&mc146818_class, NULL);
    u64 last = 0, least = ~0ull;
    u32 n = 0;

    set(r, 0x0a, 0x23); /* 8192 Hz: 122.07 us */
    set(r, 0x0b, 0x42);
    rig_advance(r, MSEC(50));
    for (u32 i = 0; i < 250000; i++) {
        rig_advance(r, USEC(1));
        if (!rig_irq(r, 8))
            continue;
        get(r, 0x0c);
        if (last && clock_now(r->m) - last < least)
            least = clock_now(r->m) - last;
        last = clock_now(r->m);
        n++;
    }
    CHECK(least >= 91000);
    CHECK(n >= 2455 && n <= 2460); /* 300 ms of ticks in 250 */
}

TEST(mc146818, memory_and_second_bank)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    set(r, 0x40, 0x12);
    rig_out8(r, 0x72, 0x40);
    rig_out8(r, 0x73, 0x34);
    CHECK_EQ(get(r, 0x40), 0x12);
    rig_out8(r, 0x72, 0x40);
    CHECK_EQ(rig_in8(r, 0x73), 0x34);
    mc146818_cmos_set(r->dev, 0x15, 0x80);
    CHECK_EQ(get(r, 0x15), 0x80);
    CHECK_EQ(mc146818_cmos_get(r->dev, 0x40), 0x12);
    mc146818_class.reset(r->dev);
    CHECK_EQ(get(r, 0x40), 0x12);
}

TEST(mc146818, nmi_mask)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    rig_out8(r, 0x70, 0x8f);
    CHECK(mc146818_nmi_masked(r->dev));
    rig_out8(r, 0x70, 0x0f);
    CHECK(!mc146818_nmi_masked(r->dev));
}

TEST(mc146818, nonsense_does_not_break_it)
{
    struct rig *r = rig_new(&mc146818_class, NULL);

    for (u32 i = 0; i < 0x80; i++)
        set(r, (u8)i, 0xff);
    rig_advance(r, SEC(100));
    for (u32 i = 0; i < 0x80; i++)
        set(r, (u8)i, i == 0x0a ? 0x2f : 0);
    rig_advance(r, SEC(5));
    CHECK_EQ(get(r, 0), 5);
}
