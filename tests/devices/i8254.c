/*
 * The interval timer: modes, counts, latches, and ticks owed to a guest that was starved.
 */
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#define TICK_NS 838.0953445 /* 1 / 1193182 Hz */

/* To just past the start of tick n after now (a tick of margin for the load). */
static void ticks(struct rig *r, u32 n)
{
    rig_advance(r, (u64)(n * TICK_NS));
}

static u16 read_both(struct rig *r, u16 port)
{
    u8 low = rig_in8(r, port);

    return low | rig_in8(r, port) << 8;
}

static void program(struct rig *r, u32 channel, u32 mode, u16 count)
{
    rig_out8(r, 0x43, channel << 6 | 0x30 | mode << 1);
    rig_out8(r, 0x40 + channel, (u8)count);
    rig_out8(r, 0x40 + channel, count >> 8);
}

TEST(i8254, mode2_interrupts_once_per_period)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    program(r, 0, 2, 1193); /* 1 ms */
    rig_irq_rises(r, 0);
    rig_advance(r, MSEC(10));
    CHECK_EQ(rig_irq_rises(r, 0), 10);
    rig_advance(r, SEC(10));
    CHECK_EQ(rig_irq_rises(r, 0), 10001); /* 1193 ticks are 999.85 us */
}

TEST(i8254, mode3_with_65536_is_18_a_second)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    program(r, 0, 3, 0);
    rig_irq_rises(r, 0);
    rig_advance(r, SEC(10));
    CHECK_EQ(rig_irq_rises(r, 0), 182);
}

TEST(i8254, mode0_interrupts_once)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    program(r, 0, 0, 1000);
    CHECK(!i8254_out(r->dev, 0));
    ticks(r, 990);
    CHECK_EQ(rig_irq_rises(r, 0), 0);
    ticks(r, 20);
    CHECK(i8254_out(r->dev, 0));
    CHECK_EQ(rig_irq_rises(r, 0), 1);
    CHECK(rig_irq(r, 0));
    rig_advance(r, SEC(1));
    CHECK_EQ(rig_irq_rises(r, 0), 0);
    program(r, 0, 0, 1000); /* the first byte takes OUT low */
    CHECK(!rig_irq(r, 0));
}

TEST(i8254, mode4_strobes_after_the_count)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    program(r, 0, 4, 100);
    CHECK(i8254_out(r->dev, 0));
    rig_irq_rises(r, 0);
    ticks(r, 99);
    CHECK_EQ(rig_irq_rises(r, 0), 0);
    ticks(r, 10);
    CHECK_EQ(rig_irq_rises(r, 0), 1);
    CHECK(i8254_out(r->dev, 0));
}

TEST(i8254, counts_down)
{
    struct rig *r = rig_new(&i8254_class, NULL);
    u16 count;

    program(r, 2, 0, 0xffff);
    i8254_gate(r->dev, 2, true);
    ticks(r, 1001);
    count = read_both(r, 0x42);
    CHECK(count <= 0xffff - 998 && count >= 0xffff - 1002);
    i8254_gate(r->dev, 2, false); /* the gate stops mode 0 */
    count = read_both(r, 0x42);
    ticks(r, 500);
    CHECK_EQ(read_both(r, 0x42), count);
    i8254_gate(r->dev, 2, true);
    ticks(r, 100);
    CHECK(count - read_both(r, 0x42) >= 99 && count - read_both(r, 0x42) <= 101);
}

TEST(i8254, mode3_counts_by_twos)
{
    struct rig *r = rig_new(&i8254_class, NULL);
    u16 count;

    program(r, 0, 3, 1000);
    ticks(r, 100);
    count = read_both(r, 0x40);
    CHECK(!(count & 1) && count >= 796 && count <= 806);
    CHECK(i8254_out(r->dev, 0));
    ticks(r, 450); /* second half: low, counting from 1000 again */
    CHECK(!i8254_out(r->dev, 0));
    count = read_both(r, 0x40);
    CHECK(count >= 890 && count <= 910);
}

TEST(i8254, bcd)
{
    struct rig *r = rig_new(&i8254_class, NULL);
    u16 count;

    rig_out8(r, 0x43, 0x35); /* channel 0, both bytes, mode 2, BCD */
    rig_out8(r, 0x40, 0x00);
    rig_out8(r, 0x40, 0x10); /* 1000 */
    rig_irq_rises(r, 0);
    ticks(r, 10005);
    CHECK_EQ(rig_irq_rises(r, 0), 10);
    count = read_both(r, 0x40);
    CHECK(count >= 0x0990 && count <= 0x1000);
    for (u32 i = 0; i < 16; i += 4)
        CHECK((count >> i & 15) < 10);
}

TEST(i8254, latch_holds_both_bytes)
{
    struct rig *r = rig_new(&i8254_class, NULL);
    u16 latched;

    program(r, 0, 2, 50000);
    ticks(r, 1000);
    rig_out8(r, 0x43, 0x00);
    ticks(r, 1000);
    rig_out8(r, 0x43, 0x00); /* ignored: the first is not read */
    latched = read_both(r, 0x40);
    CHECK(latched >= 48998 && latched <= 49002);
    latched = read_both(r, 0x40);
    CHECK(latched >= 47997 && latched <= 48003);
}

TEST(i8254, read_back_latches_status_and_count)
{
    struct rig *r = rig_new(&i8254_class, NULL);
    u8 status;

    rig_out8(r, 0x43, 0x34);
    rig_out8(r, 0x43, 0xe2); /* status of channel 0 */
    CHECK_EQ(rig_in8(r, 0x40), 0xf4); /* OUT high, null count, both bytes, mode 2 */
    rig_out8(r, 0x40, 0x00);
    rig_out8(r, 0x40, 0x80);
    ticks(r, 16);
    rig_out8(r, 0x43, 0xc2); /* both */
    ticks(r, 500);
    status = rig_in8(r, 0x40);
    CHECK_EQ(status, 0xb4);
    CHECK(read_both(r, 0x40) >= 0x8000 - 17);
}

TEST(i8254, one_byte_counts)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    rig_out8(r, 0x43, 0x14); /* low byte only, mode 2 */
    rig_out8(r, 0x40, 200);
    rig_irq_rises(r, 0);
    ticks(r, 2003);
    CHECK_EQ(rig_irq_rises(r, 0), 10);
    rig_out8(r, 0x43, 0x24); /* high byte only */
    rig_out8(r, 0x40, 0x10);
    rig_irq_rises(r, 0);
    ticks(r, 2 * 4096 + 3);
    CHECK_EQ(rig_irq_rises(r, 0), 2);
}

TEST(i8254, new_count_waits_for_the_period)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    program(r, 0, 2, 10000);
    rig_irq_rises(r, 0);
    ticks(r, 5000);
    rig_out8(r, 0x40, 100); /* 100 from the end of this period on */
    rig_out8(r, 0x40, 0);
    ticks(r, 4990);
    CHECK_EQ(rig_irq_rises(r, 0), 0);
    ticks(r, 15 + 1000);
    CHECK_EQ(rig_irq_rises(r, 0), 11);
}

TEST(i8254, one_shot_waits_for_its_gate)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    program(r, 2, 1, 1000);
    ticks(r, 5000);
    CHECK(i8254_out(r->dev, 2));
    i8254_gate(r->dev, 2, true);
    ticks(r, 500);
    CHECK(!i8254_out(r->dev, 2));
    i8254_gate(r->dev, 2, false);
    i8254_gate(r->dev, 2, true); /* retriggered */
    ticks(r, 900);
    CHECK(!i8254_out(r->dev, 2));
    ticks(r, 110);
    CHECK(i8254_out(r->dev, 2));
}

/* The real wiring, with 8259s that a starved guest does not serve. */
static void to_pic(void *owner, u32 pin, bool level)
{
    i8259_set(owner, pin, level);
}

static struct rig *wired(void)
{
    static struct i8254_config wires;
    struct rig *r = rig_new(&i8259_class, NULL);

    wires.i8259 = r->m->i8259 = r->dev;
    irq_init(&r->m->isa[0], to_pic, r->dev, 0);
    rig_add(r, &i8254_class, &wires);
    rig_out8(r, 0x20, 0x11);
    rig_out8(r, 0x21, 0x20);
    rig_out8(r, 0x21, 0x04);
    rig_out8(r, 0x21, 0x03); /* AEOI */
    rig_out8(r, 0x21, 0);
    return r;
}

/* A guest that serves what comes for `ns`. */
static u32 serve(struct rig *r, u64 ns)
{
    u32 served = 0;

    for (u64 t = 0; t < ns; t += USEC(50)) {
        rig_advance(r, USEC(50));
        if (i8259_intr(r->m->i8259)) {
            CHECK_EQ(i8259_ack(r->m->i8259), 0x20);
            served++;
        }
    }
    return served;
}

TEST(i8254, owed_ticks_are_spread)
{
    struct rig *r = wired();
    u64 last = 0, now, least = ~0ull;
    u32 served = 0;

    program(r, 0, 2, 149); /* 8 kHz: 124.9 us */
    rig_advance(r, MSEC(50));
    for (u32 i = 0; i < 250000; i++) {
        rig_advance(r, USEC(1));
        if (!i8259_intr(r->m->i8259))
            continue;
        i8259_ack(r->m->i8259);
        now = clock_now(r->m);
        if (last && now - last < least)
            least = now - last;
        last = now;
        served++;
    }
    CHECK(least >= 93000);
    CHECK(served >= 2398 && served <= 2404); /* 300 ms of ticks in 250 */
}

TEST(i8254, starved_guest_gets_its_ticks)
{
    struct rig *r = wired();
    u32 served;

    program(r, 0, 2, 11932); /* 100 Hz */
    served = serve(r, SEC(1));
    CHECK(served >= 99 && served <= 101);
    rig_advance(r, SEC(2)); /* nobody home */
    served = serve(r, SEC(6));
    CHECK(served >= 798 && served <= 802);
    served = serve(r, SEC(1));
    CHECK(served >= 99 && served <= 101);
}

static u32 messages;
static bool vector_waits;

static bool count_message(struct machine *m, u8 vector, u32 delivery, u8 destination,
                          bool logical, bool level)
{
    messages++;
    return true;
}

static bool busy_vector(struct machine *m, u8 vector)
{
    CHECK_EQ(vector, 0x30);
    return vector_waits;
}

static void to_ioapic(void *owner, u32 pin, bool level)
{
    ioapic_set(owner, 2, level);
}

TEST(i8254, starved_by_way_of_the_io_apic)
{
    static const struct ioapic_config config = { count_message, busy_vector };
    struct rig *r = rig_new(&ioapic_class, &config);
    struct i8254_config wires = { .ioapic = r->dev };

    irq_init(&r->m->isa[0], to_ioapic, r->dev, 0);
    rig_add(r, &i8254_class, &wires);
    bus_mmio_write(r->m, 0xfec00000, 4, 0x14); /* pin 2: edge, fixed, vector 30 */
    bus_mmio_write(r->m, 0xfec00010, 4, 0x30);
    messages = 0;
    vector_waits = false;
    program(r, 0, 2, 11932);
    rig_advance(r, MSEC(505));
    CHECK_EQ(messages, 50);
    vector_waits = true;
    rig_advance(r, SEC(1));
    CHECK_EQ(messages, 50);
    vector_waits = false;
    rig_advance(r, SEC(6));
    CHECK_EQ(messages, 750);
}

TEST(i8254, masked_ticks_are_not_owed)
{
    struct rig *r = wired();
    u32 served;

    program(r, 0, 2, 11932);
    rig_out8(r, 0x21, 1);
    rig_advance(r, SEC(5));
    rig_out8(r, 0x21, 0);
    served = serve(r, SEC(1));
    CHECK(served >= 99 && served <= 102);
}

TEST(i8254, absurd_rates_do_not_hang)
{
    struct rig *r = wired();

    program(r, 0, 2, 1);
    rig_advance(r, SEC(1));
    CHECK(i8259_busy(r->m->i8259, 0));
    CHECK(serve(r, MSEC(100)) <= 2000);
    program(r, 0, 3, 2);
    rig_advance(r, SEC(1));
    CHECK(i8259_busy(r->m->i8259, 0));
}

TEST(i8254, reset_stops_it)
{
    struct rig *r = rig_new(&i8254_class, NULL);

    program(r, 0, 2, 1193);
    i8254_class.reset(r->dev);
    rig_irq_rises(r, 0);
    rig_advance(r, SEC(1));
    CHECK_EQ(rig_irq_rises(r, 0), 0);
}
