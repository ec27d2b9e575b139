/*
 * The pair of interrupt controllers: initialisation, priorities, the ways of ending an
 * interrupt, triggers, and what timers ask (i8259_busy).
 */
#include "devices/i8259.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

/* A PC's initialisation: vectors 20-27 and 28-2F, all unmasked. */
static struct device *pair(struct rig **out, u8 icw4)
{
    struct rig *r = rig_new(&i8259_class, NULL);

    rig_out8(r, 0x20, 0x11);
    rig_out8(r, 0x21, 0x20);
    rig_out8(r, 0x21, 0x04);
    rig_out8(r, 0x21, icw4);
    rig_out8(r, 0xa0, 0x11);
    rig_out8(r, 0xa1, 0x28);
    rig_out8(r, 0xa1, 0x02);
    rig_out8(r, 0xa1, icw4 & 0x0f);
    rig_out8(r, 0x21, 0);
    rig_out8(r, 0xa1, 0);
    *out = r;
    return r->dev;
}

static void edge(struct device *dev, u32 pin)
{
    i8259_set(dev, pin, true);
    i8259_set(dev, pin, false);
}

static u8 isr(struct rig *r, u16 port)
{
    rig_out8(r, port, 0x0b);
    return rig_in8(r, port);
}

static u8 irr(struct rig *r, u16 port)
{
    rig_out8(r, port, 0x0a);
    return rig_in8(r, port);
}

TEST(i8259, edge_is_served_once)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    i8259_set(pic, 4, true);
    CHECK(i8259_intr(pic));
    CHECK(i8259_busy(pic, 4));
    CHECK_EQ(i8259_ack(pic), 0x24);
    CHECK(!i8259_busy(pic, 4));
    CHECK(!i8259_intr(pic));
    CHECK_EQ(isr(r, 0x20), 0x10);
    rig_out8(r, 0x20, 0x20);
    CHECK_EQ(isr(r, 0x20), 0);
    CHECK(!i8259_intr(pic)); /* the pin is still high: no new edge */
}

TEST(i8259, lower_number_interrupts_higher)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    edge(pic, 5);
    CHECK_EQ(i8259_ack(pic), 0x25);
    edge(pic, 6);
    CHECK(!i8259_intr(pic));
    edge(pic, 1);
    CHECK_EQ(i8259_ack(pic), 0x21);
    CHECK_EQ(isr(r, 0x20), 0x22);
    rig_out8(r, 0x20, 0x20); /* non-specific: ends 1, the higher */
    CHECK_EQ(isr(r, 0x20), 0x20);
    rig_out8(r, 0x20, 0x65); /* specific: ends 5 */
    CHECK_EQ(i8259_ack(pic), 0x26);
}

TEST(i8259, slave_comes_through_pin_2)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    edge(pic, 12);
    edge(pic, 8);
    CHECK_EQ(i8259_ack(pic), 0x28);
    CHECK_EQ(isr(r, 0x20), 0x04);
    CHECK_EQ(isr(r, 0xa0), 0x01);
    CHECK(!i8259_intr(pic));
    rig_out8(r, 0xa0, 0x20);
    CHECK(!i8259_intr(pic)); /* the master still serves pin 2 */
    rig_out8(r, 0x20, 0x20);
    CHECK_EQ(i8259_ack(pic), 0x2c);
}

TEST(i8259, special_fully_nested_lets_the_slave_nest)
{
    struct rig *r;
    struct device *pic = pair(&r, 0x11);

    edge(pic, 12);
    CHECK_EQ(i8259_ack(pic), 0x2c);
    edge(pic, 8);
    CHECK(i8259_intr(pic));
    CHECK_EQ(i8259_ack(pic), 0x28);
    edge(pic, 3);
    CHECK(!i8259_intr(pic)); /* below the slave */
}

TEST(i8259, mask_hides_and_remembers)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    rig_out8(r, 0x21, 0x02);
    CHECK_EQ(rig_in8(r, 0x21), 0x02);
    CHECK(i8259_masked(pic, 1));
    CHECK(!i8259_masked(pic, 9));
    edge(pic, 1);
    CHECK(!i8259_intr(pic));
    CHECK_EQ(irr(r, 0x20), 0x02);
    rig_out8(r, 0x21, 0);
    CHECK_EQ(i8259_ack(pic), 0x21);
    rig_out8(r, 0x21, 0x04);
    CHECK(i8259_masked(pic, 9));
}

TEST(i8259, level_input_follows_its_pin)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    rig_out8(r, 0x4d1, 0xff);
    CHECK_EQ(rig_in8(r, 0x4d1), 0xde); /* 8 and 13 stay edges */
    rig_out8(r, 0x4d0, 0xff);
    CHECK_EQ(rig_in8(r, 0x4d0), 0xf8);
    i8259_set(pic, 11, true);
    CHECK_EQ(i8259_ack(pic), 0x2b);
    rig_out8(r, 0xa0, 0x20);
    rig_out8(r, 0x20, 0x20);
    CHECK(i8259_intr(pic)); /* still asserted: again */
    CHECK_EQ(i8259_ack(pic), 0x2b);
    i8259_set(pic, 11, false);
    rig_out8(r, 0xa0, 0x20);
    rig_out8(r, 0x20, 0x20);
    CHECK(!i8259_intr(pic));
}

TEST(i8259, request_that_went_away_is_spurious)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    rig_out8(r, 0x4d1, 0x08);
    i8259_set(pic, 11, true);
    CHECK(i8259_intr(pic));
    i8259_set(pic, 11, false);
    CHECK(!i8259_intr(pic));
    CHECK_EQ(i8259_ack(pic), 0x27);
    CHECK_EQ(isr(r, 0x20), 0); /* nothing in service */
}

TEST(i8259, automatic_end_of_interrupt)
{
    struct rig *r;
    struct device *pic = pair(&r, 3);

    edge(pic, 3);
    CHECK_EQ(i8259_ack(pic), 0x23);
    CHECK_EQ(isr(r, 0x20), 0);
    rig_out8(r, 0x20, 0x80); /* rotate in AEOI mode: what was served becomes lowest */
    edge(pic, 3);
    CHECK_EQ(i8259_ack(pic), 0x23);
    edge(pic, 3);
    edge(pic, 4);
    CHECK_EQ(i8259_ack(pic), 0x24);
}

TEST(i8259, rotation)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    rig_out8(r, 0x20, 0xc4); /* 4 is lowest, so 5 highest */
    edge(pic, 0);
    edge(pic, 5);
    CHECK_EQ(i8259_ack(pic), 0x25);
    rig_out8(r, 0x20, 0xa0); /* non-specific with rotation: 5 becomes lowest */
    edge(pic, 5);
    edge(pic, 6);
    CHECK_EQ(i8259_ack(pic), 0x26);
    rig_out8(r, 0x20, 0xe6); /* specific with rotation */
    CHECK_EQ(i8259_ack(pic), 0x20);
}

TEST(i8259, special_mask_lets_lower_ones_in)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    edge(pic, 1);
    CHECK_EQ(i8259_ack(pic), 0x21);
    edge(pic, 6);
    CHECK(!i8259_intr(pic));
    rig_out8(r, 0x21, 0x02);
    rig_out8(r, 0x20, 0x68);
    CHECK(i8259_intr(pic));
    CHECK_EQ(i8259_ack(pic), 0x26);
    rig_out8(r, 0x20, 0x20); /* ends 6, for 1 is masked */
    CHECK_EQ(isr(r, 0x20), 0x02);
    rig_out8(r, 0x20, 0x48);
    edge(pic, 6);
    CHECK(!i8259_intr(pic));
}

TEST(i8259, poll_acknowledges)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    edge(pic, 4);
    rig_out8(r, 0x20, 0x0c);
    CHECK_EQ(rig_in8(r, 0x20), 0x84);
    CHECK_EQ(isr(r, 0x20), 0x10);
    CHECK(!i8259_intr(pic));
    rig_out8(r, 0x20, 0x0c);
    CHECK_EQ(rig_in8(r, 0x20), 0);
}

TEST(i8259, icw1_starts_over)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    edge(pic, 4);
    rig_out8(r, 0x20, 0x11);
    CHECK(!i8259_intr(pic));
    rig_out8(r, 0x21, 0x48);
    rig_out8(r, 0x21, 0x04);
    rig_out8(r, 0x21, 0x01);
    CHECK_EQ(rig_in8(r, 0x21), 0);
    edge(pic, 4);
    CHECK_EQ(i8259_ack(pic), 0x4c);
}

TEST(i8259, level_triggered_by_icw1)
{
    struct rig *r;
    struct device *pic = pair(&r, 1);

    i8259_set(pic, 5, true);
    rig_out8(r, 0x20, 0x19); /* LTIM */
    rig_out8(r, 0x21, 0x20);
    rig_out8(r, 0x21, 0x04);
    rig_out8(r, 0x21, 0x01);
    CHECK_EQ(i8259_ack(pic), 0x25);
    rig_out8(r, 0x20, 0x20);
    CHECK(i8259_intr(pic));
}
