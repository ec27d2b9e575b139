/*
 * The keyboard controller with its keyboard and mouse, driven as firmware and drivers do.
 */
#include "devices/a20.h"
#include "devices/i8042.h"
#include "devices/port92.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

enum { OBF = 1, AUX = 0x20 };

static u8 status(struct rig *r)
{
    return rig_in8(r, 0x64);
}

/* The next byte, after a while; 0x1ff: none came. */
static u32 next(struct rig *r)
{
    for (u32 i = 0; i < 20 && !(status(r) & OBF); i++)
        rig_advance(r, USEC(100));
    return status(r) & OBF ? rig_in8(r, 0x60) : 0x1ff;
}

/* The bytes that come must be these, and no more. */
#define EXPECT(r, ...)                                                                         \
    do {                                                                                       \
        static const u8 bytes_[] = { __VA_ARGS__ };                                            \
        for (u32 i_ = 0, n_ = sizeof(bytes_); i_ < n_; i_++)                                   \
            CHECK_EQ(next(r), bytes_[i_]);                                                     \
        CHECK_EQ(next(r), 0x1ff);                                                              \
    } while (0)

static void command(struct rig *r, u8 cmd, int data)
{
    rig_out8(r, 0x64, cmd);
    if (data >= 0)
        rig_out8(r, 0x60, (u8)data);
}

/* As a BIOS leaves it: both ports on, interrupts, translation. */
static struct rig *ready(void)
{
    struct rig *r = rig_new(&i8042_class, NULL);

    command(r, 0x60, 0x47);
    return r;
}

static void key(struct rig *r, u16 code)
{
    i8042_key(r->dev, code, true);
    i8042_key(r->dev, code, false);
}

static void mouse_command(struct rig *r, u8 val)
{
    command(r, 0xd4, val);
    CHECK_EQ(next(r), 0xfa);
}

TEST(i8042, self_tests)
{
    struct rig *r = rig_new(&i8042_class, NULL);

    CHECK_EQ(status(r) & 0x05, 0);
    command(r, 0xaa, -1);
    CHECK_EQ(status(r) & 0x0d, 0x0d); /* full, tested, last was a command */
    EXPECT(r, 0x55);
    CHECK_EQ(status(r) & 0x04, 0x04);
    command(r, 0xab, -1);
    EXPECT(r, 0);
    command(r, 0xa9, -1);
    EXPECT(r, 0);
    command(r, 0xa4, -1);
    EXPECT(r, 0xf1);
}

TEST(i8042, command_byte_and_memory)
{
    struct rig *r = rig_new(&i8042_class, NULL);

    command(r, 0x20, -1);
    EXPECT(r, 0x30);
    command(r, 0x60, 0x65);
    command(r, 0x20, -1);
    EXPECT(r, 0x65);
    command(r, 0xa8, -1);
    command(r, 0xad, -1);
    command(r, 0x20, -1);
    EXPECT(r, 0x55);
    command(r, 0x7f, 0x99);
    command(r, 0x3f, -1);
    EXPECT(r, 0x99);
}

TEST(i8042, keys_in_translated_set_2)
{
    struct rig *r = ready();

    key(r, 0x1e);
    EXPECT(r, 0x1e, 0x9e);
    key(r, 0xe048);
    EXPECT(r, 0xe0, 0x48, 0xe0, 0xc8);
    key(r, 0x41); /* F7, whose code of set 2 is 83 */
    EXPECT(r, 0x41, 0xc1);
    key(r, 0xe11d);
    EXPECT(r, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    key(r, 0xe037);
    EXPECT(r, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
}

TEST(i8042, every_key_survives_translation)
{
    struct rig *r = ready();

    for (u8 code = 1; code <= 0x58; code++) {
        if (code == 0x55) /* no such key */
            continue;
        key(r, code);
        CHECK_EQ(next(r), code);
        CHECK_EQ(next(r), code | 0x80);
    }
}

TEST(i8042, sets_1_and_3_untranslated)
{
    struct rig *r = ready();

    command(r, 0x60, 0x07);
    key(r, 0x1e);
    EXPECT(r, 0x1c, 0xf0, 0x1c);
    rig_out8(r, 0x60, 0xf0);
    EXPECT(r, 0xfa);
    rig_out8(r, 0x60, 1);
    EXPECT(r, 0xfa);
    key(r, 0x1e);
    EXPECT(r, 0x1e, 0x9e);
    rig_out8(r, 0x60, 0xf0);
    EXPECT(r, 0xfa);
    rig_out8(r, 0x60, 3);
    EXPECT(r, 0xfa);
    key(r, 0x1e); /* typematic: make only */
    EXPECT(r, 0x1c);
    key(r, 0x2a); /* shifts: make and break */
    EXPECT(r, 0x12, 0xf0, 0x12);
    rig_out8(r, 0x60, 0xfa); /* all keys: typematic and break */
    EXPECT(r, 0xfa);
    key(r, 0xe048);
    EXPECT(r, 0x63, 0xf0, 0x63);
    rig_out8(r, 0x60, 0xf0);
    EXPECT(r, 0xfa);
    rig_out8(r, 0x60, 0);
    EXPECT(r, 0xfa, 3);
}

TEST(i8042, keyboard_commands)
{
    struct rig *r = ready();

    rig_out8(r, 0x60, 0xf2);
    EXPECT(r, 0xfa, 0xab, 0x41); /* 83 translated */
    rig_out8(r, 0x60, 0xee);
    EXPECT(r, 0xee);
    rig_out8(r, 0x60, 0xed);
    EXPECT(r, 0xfa);
    rig_out8(r, 0x60, 0x02);
    EXPECT(r, 0xfa);
    rig_out8(r, 0x60, 0xff);
    EXPECT(r, 0xfa, 0xaa);
    rig_out8(r, 0x60, 0xfe);
    EXPECT(r, 0xaa);
    rig_out8(r, 0x60, 0x12); /* no command */
    EXPECT(r, 0xfe);
    rig_out8(r, 0x60, 0xf5);
    EXPECT(r, 0xfa);
    key(r, 0x1e);
    EXPECT(r);
    rig_out8(r, 0x60, 0xf4);
    EXPECT(r, 0xfa);
    key(r, 0x1e);
    EXPECT(r, 0x1e, 0x9e);
}

TEST(i8042, interrupts_follow_the_output_buffer)
{
    struct rig *r = ready();

    key(r, 0x1e);
    rig_advance(r, MSEC(5));
    CHECK_EQ(rig_irq_rises(r, 1), 1);
    CHECK(rig_irq(r, 1));
    CHECK_EQ(rig_in8(r, 0x60), 0x1e);
    CHECK(!rig_irq(r, 1));
    CHECK_EQ(rig_in8(r, 0x60), 0x1e); /* chained handlers read it again */
    rig_advance(r, MSEC(5));
    CHECK(rig_irq(r, 1));
    command(r, 0x60, 0x46);
    CHECK(!rig_irq(r, 1));
    CHECK_EQ(rig_irq_rises(r, 12), 0);
}

TEST(i8042, disabled_keyboard_waits)
{
    struct rig *r = ready();

    command(r, 0xad, -1);
    key(r, 0x1e);
    EXPECT(r);
    command(r, 0xae, -1);
    EXPECT(r, 0x1e, 0x9e);
}

TEST(i8042, typematic)
{
    struct rig *r = ready();

    rig_out8(r, 0x60, 0xf3);
    EXPECT(r, 0xfa);
    rig_out8(r, 0x60, 0x00); /* 250 ms, then 30 a second */
    EXPECT(r, 0xfa);
    i8042_key(r->dev, 0x1e, true);
    EXPECT(r, 0x1e);
    rig_advance(r, MSEC(260));
    EXPECT(r, 0x1e);
    rig_advance(r, MSEC(34));
    EXPECT(r, 0x1e);
    i8042_key(r->dev, 0x1e, true); /* the host's own repeat is not ours */
    EXPECT(r);
    i8042_key(r->dev, 0x1e, false);
    EXPECT(r, 0x9e);
    rig_advance(r, SEC(1));
    EXPECT(r);
}

TEST(i8042, keyboard_overrun_is_bounded)
{
    struct rig *r = ready();
    u32 n = 0;

    for (u32 i = 0; i < 10000; i++)
        key(r, 0x1e);
    while (next(r) != 0x1ff)
        n++;
    CHECK(n > 16 && n <= 256);
}

TEST(i8042, a20_and_reset)
{
    struct rig *r = ready();

    command(r, 0xdd, -1);
    command(r, 0xd0, -1);
    CHECK_EQ(next(r) & 3, 1);
    command(r, 0xdf, -1);
    command(r, 0xd0, -1);
    CHECK_EQ(next(r) & 3, 3);
    command(r, 0xd1, 0x01);
    command(r, 0xd0, -1);
    CHECK_EQ(next(r) & 3, 1);
    CHECK_EQ(r->m->events, 0);
    command(r, 0xff, -1); /* pulses nothing */
    CHECK_EQ(r->m->events, 0);
    command(r, 0xfe, -1);
    CHECK_EQ(r->m->events, MACHINE_RESET);
}

TEST(i8042, loopback_of_both_buffers)
{
    struct rig *r = ready();

    command(r, 0xd2, 0x5a);
    CHECK(rig_irq(r, 1));
    CHECK_EQ(status(r) & AUX, 0);
    EXPECT(r, 0x5a);
    command(r, 0xd3, 0xa5);
    CHECK(rig_irq(r, 12));
    CHECK_EQ(status(r) & AUX, AUX);
    EXPECT(r, 0xa5);
}

TEST(i8042, mouse_reset_and_packets)
{
    struct rig *r = ready();

    command(r, 0xd4, 0xff);
    EXPECT(r, 0xfa, 0xaa, 0x00);
    mouse_command(r, 0xf2);
    EXPECT(r, 0x00);
    i8042_mouse(r->dev, 5, 5, 0, 0);
    EXPECT(r); /* reporting is off */
    mouse_command(r, 0xf4);
    i8042_mouse(r->dev, 5, 3, 0, 1);
    rig_advance(r, MSEC(1));
    CHECK_EQ(status(r) & AUX, AUX);
    CHECK(rig_irq(r, 12));
    EXPECT(r, 0x29, 5, 0xfd); /* 3 down is -3 */
    i8042_mouse(r->dev, -2, 0, 0, 0);
    EXPECT(r, 0x18, 0xfe, 0);
    mouse_command(r, 0xe9);
    EXPECT(r, 0x20, 2, 100);
}

TEST(i8042, mouse_wheel_protocol)
{
    struct rig *r = ready();
    static const u8 rates[] = { 200, 100, 80 };

    for (u32 i = 0; i < 3; i++) {
        mouse_command(r, 0xf3);
        mouse_command(r, rates[i]);
    }
    mouse_command(r, 0xf2);
    EXPECT(r, 3);
    mouse_command(r, 0xf4);
    i8042_mouse(r->dev, 0, 0, -1, 0);
    EXPECT(r, 0x08, 0, 0, 0xff);
}

TEST(i8042, mouse_remote_and_wrap)
{
    struct rig *r = ready();

    mouse_command(r, 0xf0);
    i8042_mouse(r->dev, 7, -7, 0, 2);
    EXPECT(r);
    mouse_command(r, 0xeb);
    EXPECT(r, 0x0a, 7, 7);
    mouse_command(r, 0xee);
    command(r, 0xd4, 0x55);
    EXPECT(r, 0x55);
    mouse_command(r, 0xec);
    mouse_command(r, 0xea);
}

TEST(i8042, mouse_scaling_and_long_ways)
{
    struct rig *r = ready();

    mouse_command(r, 0xe7);
    mouse_command(r, 0xf4);
    i8042_mouse(r->dev, 5, 0, 0, 0);
    EXPECT(r, 0x08, 9, 0);
    mouse_command(r, 0xe6);
    mouse_command(r, 0xf4);
    rig_advance(r, MSEC(20));
    i8042_mouse(r->dev, 200, 0, 0, 0); /* in two packets */
    CHECK_EQ(next(r), 0x08);
    CHECK_EQ(next(r), 127);
    CHECK_EQ(next(r), 0);
    rig_advance(r, MSEC(10));
    EXPECT(r, 0x08, 73, 0);
}

TEST(i8042, mouse_clicks_are_not_lost)
{
    struct rig *r = ready();

    mouse_command(r, 0xf4);
    i8042_mouse(r->dev, 0, 0, 0, 1);
    i8042_mouse(r->dev, 0, 0, 0, 0);
    i8042_mouse(r->dev, 0, 0, 0, 1);
    i8042_mouse(r->dev, 0, 0, 0, 0);
    EXPECT(r, 9, 0, 0, 8, 0, 0, 9, 0, 0, 8, 0, 0);
    for (u32 i = 0; i < 10000; i++)
        i8042_mouse(r->dev, 100, 100, 0, i & 1);
    for (u32 i = 0; i < 1000; i++)
        next(r);
    CHECK_EQ(next(r), 0x1ff);
}

TEST(port92, a20_has_two_switches)
{
    struct rig *r = ready();
    struct a20_config to_i8042 = { i8042_a20_follow, r->dev };
    struct a20_config to_port92 = { port92_a20_follow, rig_add(r, &port92_class, &to_i8042) };

    r->dev->config = &to_port92;
    CHECK_EQ(rig_in8(r, 0x92), 2);
    rig_out8(r, 0x92, 0);
    command(r, 0xd0, -1);
    CHECK_EQ(next(r) & 2, 0);
    command(r, 0xdf, -1);
    CHECK_EQ(rig_in8(r, 0x92) & 2, 2);
    CHECK_EQ(r->m->events, 0);
    rig_out8(r, 0x92, 3);
    CHECK_EQ(r->m->events, MACHINE_RESET);
}
