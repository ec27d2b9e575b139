/*
 * Port 61, the debug port, isa-debug-exit and the POST port.
 */
#include "devices/chardev.h"
#include "devices/debugcon.h"
#include "devices/debugexit.h"
#include "devices/i8254.h"
#include "devices/pcspk.h"
#include "devices/post.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

TEST(pcspk, gate_and_output_of_channel_2)
{
    struct rig *r = rig_new(&i8254_class, NULL);
    struct pcspk_config wires = { r->dev };

    rig_add(r, &pcspk_class, &wires);
    rig_out8(r, 0x61, 0x00);
    rig_out8(r, 0x43, 0xb0); /* mode 0 */
    rig_out8(r, 0x42, 0xa9);
    rig_out8(r, 0x42, 0x04);
    rig_advance(r, MSEC(5));
    CHECK_EQ(rig_in8(r, 0x61) & 0x23, 0x00); /* the gate holds it */
    rig_out8(r, 0x61, 0x01);
    rig_advance(r, USEC(990));
    CHECK_EQ(rig_in8(r, 0x61) & 0x23, 0x01);
    rig_advance(r, USEC(20));
    CHECK_EQ(rig_in8(r, 0x61) & 0x23, 0x21);
    rig_out8(r, 0x61, 0xff);
    CHECK_EQ(rig_in8(r, 0x61) & 0xcf, 0x0f);
}

TEST(pcspk, refresh_toggles_every_15_us)
{
    struct rig *r = rig_new(&pcspk_class, NULL);
    u32 changes = 0;
    u8 last = rig_in8(r, 0x61) & 0x10;

    for (u32 i = 0; i < 1000; i++) {
        u8 now;
        rig_advance(r, USEC(1));
        now = rig_in8(r, 0x61) & 0x10;
        changes += now != last;
        last = now;
    }
    CHECK_EQ(changes, 66);
}

static char said[16];
static u32 said_n;

static void listen(struct chardev *c, const u8 *data, u32 n)
{
    for (u32 i = 0; i < n && said_n < sizeof(said); i++)
        said[said_n++] = (char)data[i];
}

TEST(debugcon, passes_bytes_on)
{
    static struct chardev c = { .write = listen };
    static const struct debugcon_config config = { 0x402, &c };
    struct rig *r = rig_new(&debugcon_class, &config);

    said_n = 0;
    CHECK_EQ(rig_in8(r, 0x402), 0xe9);
    rig_out8(r, 0x402, 'o');
    rig_out8(r, 0x402, 'k');
    CHECK_EQ(said_n, 2);
    CHECK_EQ(said[1], 'k');
}

TEST(debugexit, sets_the_status)
{
    static const struct debugexit_config config = { 0xf4, 4 };
    struct rig *r = rig_new(&debugexit_class, &config);

    rig_out32(r, 0xf4, 0x10);
    CHECK_EQ(r->m->exit_status, 0x21);
    CHECK_EQ(r->m->events, MACHINE_EXIT);
}

TEST(post, remembers_the_code)
{
    struct rig *r = rig_new(&post_class, NULL);

    rig_out8(r, 0x80, 0x55);
    CHECK_EQ(rig_in8(r, 0x80), 0x55);
    post_class.reset(r->dev);
    CHECK_EQ(rig_in8(r, 0x80), 0);
}
