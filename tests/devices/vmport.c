/*
 * VMware's backdoor as guests use it: found by its version, then a mouse in places; and
 * questions nobody would ask.
 */
#include "devices/vmport.h"
#include "devices/a20.h"
#include "devices/i8042.h"
#include "tests/harness/test.h"

enum { EAX, ECX, EDX, EBX, MAGIC = 0x564d5868, PLACES = 0x53424152, ENABLE = 0x45414552 };

static u32 gpr[8];

static u32 *registers(struct machine *m)
{
    return gpr;
}

static struct rig *board(void)
{
    static struct vmport_config config;
    struct rig *r = rig_new(&i8042_class, NULL);

    config = (struct vmport_config){ registers, r->dev };
    r->dev = rig_add(r, &vmport_class, &config);
    return r;
}

/* EAX afterwards. */
static u32 ask(struct rig *r, u32 command, u32 ebx)
{
    gpr[EAX] = MAGIC;
    gpr[ECX] = command;
    gpr[EDX] = 0x5658;
    gpr[EBX] = ebx;
    return gpr[EAX] = rig_in32(r, 0x5658);
}

TEST(vmport, is_found_by_its_version_and_knows_the_memory)
{
    struct rig *r = board();

    CHECK_EQ(ask(r, 10, 0), 6);
    CHECK_EQ(gpr[EBX], MAGIC);
    CHECK_EQ(ask(r, 20, 0), MIB(16));
    CHECK_EQ(gpr[EBX], 0x1177);
    CHECK_EQ(ask(r, 99, 5), ~0u);
    CHECK_EQ(gpr[EBX], 5);
    gpr[EAX] = 1; /* not the magic */
    gpr[ECX] = 10;
    CHECK_EQ(rig_in32(r, 0x5658), ~0u);
    CHECK_EQ(rig_in8(r, 0x5658), 0xff);
}

TEST(vmport, mouse_gives_places_in_fours_and_the_ps2_mouse_tells)
{
    struct rig *r = board();
    struct device *dev = r->dev;

    CHECK_EQ(ask(r, 40, 0), 0xffff0000);
    CHECK(!vmport_move(dev, 1, 1, 0, 0));
    ask(r, 41, ENABLE);
    CHECK_EQ(ask(r, 40, 0), 1);
    CHECK_EQ(ask(r, 39, 1), 0x3442554a);
    CHECK(!vmport_wants_places(dev));
    ask(r, 41, PLACES);
    CHECK(vmport_wants_places(dev));
    rig_out8(r, 0x64, 0x60); /* the mouse's port on, with its interrupt; and the mouse itself */
    rig_out8(r, 0x60, 0x02);
    rig_out8(r, 0x64, 0xd4);
    rig_out8(r, 0x60, 0xf4);
    rig_advance(r, MSEC(1));
    CHECK_EQ(rig_in8(r, 0x60), 0xfa);
    vmport_place(dev, 1000, 65535, 0, 0);
    rig_advance(r, MSEC(1));
    CHECK(rig_irq(r, 12));
    CHECK_EQ(rig_in8(r, 0x60), 0x08);
    vmport_place(dev, 2000, 3, 0, 0); /* instead of the first */
    vmport_place(dev, 2000, 3, -1, 1);
    vmport_place(dev, 2000, 3, 0, 6);
    CHECK_EQ(ask(r, 40, 0), 12);
    CHECK_EQ(ask(r, 39, 4), 0);
    CHECK_EQ(gpr[EBX], 2000);
    CHECK_EQ(gpr[ECX], 3);
    CHECK_EQ(gpr[EDX], 0);
    CHECK_EQ(ask(r, 39, 4), 0x20);
    CHECK_EQ(gpr[EDX], ~0u);
    CHECK_EQ(ask(r, 39, 1), 0x18);
    CHECK_EQ(ask(r, 40, 0), 3);
}

TEST(vmport, mouse_gives_motion_where_that_is_wanted)
{
    struct rig *r = board();

    ask(r, 41, ENABLE);
    ask(r, 39, 1);
    CHECK(vmport_move(r->dev, 5, 7, 0, 0));
    CHECK(vmport_move(r->dev, 5, -9, 0, 0));
    CHECK_EQ(ask(r, 39, 4), 0x10000);
    CHECK_EQ(gpr[EBX], 10);
    CHECK_EQ(gpr[ECX], 2); /* upwards */
}

TEST(vmport, who_asks_for_too_much_finds_the_mouse_off)
{
    struct rig *r = board();

    ask(r, 41, ENABLE);
    for (u32 i = 0; i < 1000; i++)
        vmport_place(r->dev, (u16)i, 0, 1, 0);
    CHECK_EQ(ask(r, 40, 0), 253); /* bounded */
    CHECK_EQ(ask(r, 39, 5), 0xffff0000);
    CHECK_EQ(ask(r, 40, 0), 0xffff0000);
    ask(r, 41, ENABLE);
    CHECK_EQ(ask(r, 39, 0), 0xffff0000);
    ask(r, 41, ENABLE);
    ask(r, 41, 0xf5);
    CHECK_EQ(ask(r, 40, 0), 0xffff0000);
}
