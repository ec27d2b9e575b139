/*
 * The serial port, with a chardev that remembers.
 */
#include "devices/chardev.h"
#include "devices/ns16550.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <string.h>

enum { RBR = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct {
    struct chardev c;
    u8 out[64];
    u32 n, asked;
} host;

static void host_write(struct chardev *c, const u8 *data, u32 n)
{
    for (u32 i = 0; i < n && host.n < sizeof(host.out); i++)
        host.out[host.n++] = data[i];
}

static void host_accept(struct chardev *c)
{
    host.asked++;
}

static struct rig *port(bool connected)
{
    static struct ns16550_config config;

    memset(&host, 0, sizeof(host));
    host.c.write = host_write;
    host.c.accept_input = host_accept;
    config = (struct ns16550_config){ 0x3f8, 4, connected ? &host.c : NULL };
    return rig_new(&ns16550_class, &config);
}

static void type(const char *text)
{
    host.c.receive(host.c.dev, (const u8 *)text, (u32)strlen(text));
}

TEST(ns16550, reset_state)
{
    struct rig *r = port(true);

    CHECK_EQ(rig_in8(r, IER), 0);
    CHECK_EQ(rig_in8(r, IIR), 1);
    CHECK_EQ(rig_in8(r, LCR), 0);
    CHECK_EQ(rig_in8(r, MCR), 0);
    CHECK_EQ(rig_in8(r, LSR), 0x60);
    CHECK_EQ(rig_in8(r, MSR), 0xb0);
    rig_out8(r, SCR, 0xa5);
    CHECK_EQ(rig_in8(r, SCR), 0xa5);
}

TEST(ns16550, nothing_connected)
{
    struct rig *r = port(false);

    CHECK_EQ(rig_in8(r, MSR), 0);
    rig_out8(r, RBR, 'x');
    CHECK_EQ(rig_in8(r, LSR) & 1, 0);
}

TEST(ns16550, divisor_hides_behind_dlab)
{
    struct rig *r = port(true);

    rig_out8(r, LCR, 0x83);
    rig_out8(r, RBR, 0x34);
    rig_out8(r, IER, 0x12);
    CHECK_EQ(rig_in8(r, RBR), 0x34);
    CHECK_EQ(rig_in8(r, IER), 0x12);
    rig_out8(r, LCR, 0x03);
    CHECK_EQ(rig_in8(r, IER), 0);
    CHECK_EQ(host.n, 0);
}

TEST(ns16550, sends)
{
    struct rig *r = port(true);

    rig_out8(r, RBR, 'h');
    CHECK_EQ(rig_in8(r, LSR) & 0x60, 0x20); /* in the shift register */
    rig_out8(r, RBR, 'i');
    CHECK_EQ(rig_in8(r, LSR) & 0x60, 0);
    rig_advance(r, MSEC(1));
    CHECK_EQ(rig_in8(r, LSR) & 0x60, 0x60);
    CHECK_EQ(host.n, 2);
    CHECK(!memcmp(host.out, "hi", 2));
}

TEST(ns16550, transmitter_interrupt)
{
    struct rig *r = port(true);

    rig_out8(r, MCR, 8);
    rig_out8(r, IER, 2); /* empty already: at once */
    CHECK(rig_irq(r, 4));
    CHECK_EQ(rig_in8(r, IIR), 2);
    CHECK(!rig_irq(r, 4)); /* reading IIR acknowledged */
    CHECK_EQ(rig_in8(r, IIR), 1);
    rig_out8(r, RBR, 'a');
    rig_out8(r, RBR, 'b');
    CHECK(!rig_irq(r, 4));
    rig_advance(r, MSEC(1));
    CHECK(rig_irq(r, 4));
    rig_out8(r, MCR, 0); /* OUT2 has nobody to give way to */
    CHECK(rig_irq(r, 4));
}

TEST(ns16550, ports_with_one_interrupt_are_gated_by_out2)
{
    static const struct ns16550_config com3 = { 0x3e8, 4, NULL };
    struct rig *r = port(true);
    struct device *other = rig_add(r, &ns16550_class, &com3);

    other->class->reset(other);
    r->dev->class->reset(r->dev);
    rig_out8(r, IER, 2);
    CHECK(!rig_irq(r, 4));
    rig_out8(r, MCR, 8);
    CHECK(rig_irq(r, 4));
    rig_out8(r, MCR, 0);
    CHECK(!rig_irq(r, 4));
    rig_out8(r, 0x3e9, 2);
    rig_out8(r, 0x3ec, 8);
    CHECK(rig_irq(r, 4));
}

TEST(ns16550, receives_one_by_one)
{
    struct rig *r = port(true);

    rig_out8(r, MCR, 8);
    rig_out8(r, IER, 1);
    CHECK_EQ(host.c.can_receive(r->dev), 1);
    type("x");
    CHECK_EQ(host.c.can_receive(r->dev), 0);
    CHECK(rig_irq(r, 4));
    CHECK_EQ(rig_in8(r, IIR), 4);
    CHECK_EQ(rig_in8(r, LSR) & 1, 1);
    CHECK_EQ(rig_in8(r, RBR), 'x');
    CHECK(!rig_irq(r, 4));
    CHECK_EQ(rig_in8(r, LSR) & 1, 0);
    CHECK_EQ(host.asked, 2); /* by MCR and by the room */
}

TEST(ns16550, fifo_trigger_and_timeout)
{
    struct rig *r = port(true);

    rig_out8(r, MCR, 8);
    rig_out8(r, IER, 1);
    rig_out8(r, IIR, 0x41); /* FIFOs, trigger at 4 */
    CHECK_EQ(rig_in8(r, IIR), 0xc1);
    CHECK_EQ(host.c.can_receive(r->dev), 16);
    type("abc");
    CHECK(!rig_irq(r, 4));
    type("d");
    CHECK_EQ(rig_in8(r, IIR), 0xc4);
    CHECK_EQ(rig_in8(r, RBR), 'a');
    CHECK(!rig_irq(r, 4));
    rig_advance(r, MSEC(1));
    CHECK_EQ(rig_in8(r, IIR), 0xcc);
    CHECK_EQ(rig_in8(r, RBR), 'b');
    CHECK_EQ(rig_in8(r, IIR), 0xc1);
    rig_out8(r, IIR, 0x43); /* clears the receiver */
    CHECK_EQ(rig_in8(r, LSR) & 1, 0);
}

TEST(ns16550, interrupt_priorities)
{
    struct rig *r = port(true);

    rig_out8(r, MCR, 0x10); /* loopback */
    rig_in8(r, MSR);
    rig_out8(r, IER, 0x0f);
    rig_out8(r, RBR, 'a');
    rig_out8(r, RBR, 'b'); /* overrun */
    rig_out8(r, MCR, 0x12); /* RTS shows as CTS */
    rig_advance(r, MSEC(1));
    CHECK_EQ(rig_in8(r, IIR), 6);
    CHECK_EQ(rig_in8(r, LSR), 0x63);
    CHECK_EQ(rig_in8(r, IIR), 4);
    CHECK_EQ(rig_in8(r, RBR), 'b');
    CHECK_EQ(rig_in8(r, IIR), 2);
    CHECK_EQ(rig_in8(r, IIR), 0);
    CHECK_EQ(rig_in8(r, MSR), 0x11);
    CHECK_EQ(rig_in8(r, IIR), 1);
    CHECK_EQ(host.n, 0);
}

TEST(ns16550, loopback_turns_the_modem_lines)
{
    struct rig *r = port(true);

    for (u32 out = 0; out < 16; out++) {
        u8 want = (out & 2 ? 0x10 : 0) | (out & 1 ? 0x20 : 0) | (out & 4 ? 0x40 : 0) |
                  (out & 8 ? 0x80 : 0);
        rig_out8(r, MCR, 0x10 | out);
        CHECK_EQ(rig_in8(r, MSR) & 0xf0, want);
    }
    rig_out8(r, MCR, 0x14);
    rig_in8(r, MSR);
    rig_out8(r, MCR, 0x10);
    CHECK_EQ(rig_in8(r, MSR), 0x04); /* trailing edge of the ring */
}

TEST(ns16550, break_in_loopback)
{
    struct rig *r = port(true);

    rig_out8(r, MCR, 0x10);
    rig_out8(r, LCR, 0x43);
    CHECK_EQ(rig_in8(r, LSR) & 0x11, 0x11);
    CHECK_EQ(rig_in8(r, RBR), 0);
    CHECK_EQ(rig_in8(r, LSR) & 0x11, 0);
}

TEST(ns16550, writing_blindly_loses_nothing)
{
    struct rig *r = port(true);

    for (u32 i = 0; i < 50; i++)
        rig_out8(r, RBR, (u8)i);
    CHECK_EQ(host.n, 50);
    rig_advance(r, USEC(100));
    CHECK_EQ(rig_in8(r, LSR) & 0x60, 0x60);
}
