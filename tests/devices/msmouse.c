/*
 * The serial mouse at a real port: its identity, packets, the line's speed, and that motion is
 * never lost nor made up.
 */
#include "devices/msmouse.h"
#include "devices/ns16550.h"
#include "runtime/machine/input.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { RBR = 0x3f8, IER = 0x3f9, MCR = 0x3fc, LSR = 0x3fd, DTR = 1, RTS = 2, LOOP = 16 };
enum { PERIOD_US = 7500, MOST = 256 };

static struct rig *mouse_at_com1(void)
{
    static struct ns16550_config config;
    struct rig *r = rig_new(NULL, NULL);

    config =
        (struct ns16550_config){0x3f8, 4, msmouse_plug(device_new(r->m, &msmouse_class, NULL))};
    ns16550_class.reset(device_new(r->m, &ns16550_class, &config));
    return r;
}

/* What comes in so many byte times. */
static u32 hear(struct rig *r, u32 periods, u8 heard[MOST])
{
    u32 n = 0;

    while (periods--) {
        rig_advance(r, USEC(PERIOD_US));
        while (rig_in8(r, LSR) & 1 && n < MOST)
            heard[n++] = rig_in8(r, RBR);
    }
    return n;
}

static bool move(struct rig *r, int dx, int dy, u8 buttons)
{
    return msmouse_move(device_find(r->m, &msmouse_class, 0), dx, dy, buttons);
}

static struct rig *started(void)
{
    struct rig *r = mouse_at_com1();
    u8 heard[MOST];

    rig_out8(r, MCR, DTR | RTS);
    hear(r, 100, heard);
    return r;
}

TEST(msmouse, says_who_it_is)
{
    struct rig *r = mouse_at_com1();
    u8 heard[MOST], sum = 0;
    u32 n;

    CHECK_EQ(hear(r, 20, heard), 0);
    rig_out8(r, MCR, DTR);
    CHECK_EQ(hear(r, 20, heard), 0);
    rig_out8(r, MCR, DTR | RTS);
    CHECK_EQ(hear(r, 1, heard), 0); /* it starts */
    n = hear(r, 100, heard);
    CHECK(n > 10 && heard[0] == 'M' && heard[1] == '3');
    CHECK_EQ(heard[2], '(' - 0x20);
    CHECK_EQ(heard[n - 1], ')' - 0x20);
    for (u32 i = 2; i < n; i++)
        sum += i == n - 3 || i == n - 2 ? 0 : heard[i];
    CHECK_EQ(heard[3] << 6 | heard[4], 0x64); /* version 1.0 */
    CHECK_EQ(heard[n - 3], "0123456789ABCDEF"[sum >> 4] - 0x20);
    CHECK_EQ(heard[n - 2], "0123456789ABCDEF"[sum & 15] - 0x20);
}

TEST(msmouse, packets)
{
    static const struct {
        int dx, dy;
        u8 buttons, packet[4], n;
    } rows[] = {
        {1, 2, 0, {0x40, 1, 2}, 3},         {-1, -2, 0, {0x4f, 0x3f, 0x3e}, 3},
        {64, -128 + 1, 0, {0x49, 0, 1}, 3}, {0, 0, 1, {0x60, 0, 0}, 3},
        {0, 0, 3, {0x70, 0, 0}, 3},         {5, 0, 6, {0x50, 5, 0, 0x20}, 4},
        {0, 0, 0, {0x40, 0, 0, 0}, 4},
    };
    struct rig *r = started();

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 heard[MOST];

        CHECK(move(r, rows[i].dx, rows[i].dy, rows[i].buttons));
        CHECK_EQ(hear(r, 8, heard), rows[i].n);
        CHECK(!memcmp(heard, rows[i].packet, rows[i].n));
    }
}

static void add_packet(const u8 *p, int *x, int *y)
{
    *x += (i8)((p[0] & 3) << 6 | p[1]);
    *y += (i8)((p[0] & 12) << 4 | p[2]);
}

TEST(msmouse, motion_adds_up_at_the_lines_speed)
{
    struct rig *r = started();
    int x = 0, y = 0;
    u8 heard[MOST];
    u32 n;

    for (u32 i = 0; i < 100; i++)
        move(r, 3, -1, 0);
    n = hear(r, 30, heard);
    CHECK_EQ(n, 9); /* 127, 127 and the rest */
    for (u32 i = 0; i + 2 < n; i += 3)
        add_packet(heard + i, &x, &y);
    CHECK_EQ(x, 300);
    CHECK_EQ(y, -100);
}

TEST(msmouse, no_click_is_lost_and_none_fills_it)
{
    struct rig *r = started();
    u8 heard[MOST];
    u32 n, downs = 0;

    for (u32 i = 0; i < 3; i++) {
        move(r, 0, 0, 1);
        move(r, 0, 0, 0);
    }
    n = hear(r, 40, heard);
    CHECK_EQ(n, 18);
    for (u32 i = 0; i < n; i += 3)
        downs += heard[i] == 0x60;
    CHECK_EQ(downs, 3);
    for (u32 i = 0; i < 1000; i++)
        move(r, 0, 0, i & 7);
    n = hear(r, 200, heard);
    CHECK(n <= 70 && n > 50);
    CHECK_EQ(heard[n - 4] & 0x70, 0x70); /* the last state comes through: 7 */
}

TEST(msmouse, without_power)
{
    struct rig *r = mouse_at_com1();
    u8 heard[MOST];

    CHECK(!move(r, 5, 5, 1));
    CHECK_EQ(hear(r, 20, heard), 0);
    rig_out8(r, MCR, DTR | RTS);
    hear(r, 100, heard);
    move(r, 5, 5, 0);
    rig_out8(r, MCR, DTR | RTS | LOOP); /* in loopback nothing is raised */
    CHECK_EQ(hear(r, 20, heard), 0);
    CHECK(!msmouse_powered(device_find(r->m, &msmouse_class, 0)));
    rig_out8(r, MCR, DTR | RTS);
    CHECK(hear(r, 100, heard) > 10 && heard[0] == 'M'); /* and starts again */
    CHECK_EQ(hear(r, 20, heard), 0);                    /* what was moved before is gone */
}

TEST(msmouse, a_port_without_room_loses_nothing)
{
    struct rig *r = started();
    u8 heard[MOST];
    u32 n = 0;

    move(r, 1, 1, 0);
    rig_advance(r, SEC(2)); /* nobody reads */
    move(r, 1, 1, 0);
    rig_advance(r, SEC(2));
    n = hear(r, 20, heard);
    CHECK_EQ(n, 6);
    CHECK(heard[0] == 0x40 && heard[1] == 1 && heard[3] == 0x40 && heard[5] == 1);
}
