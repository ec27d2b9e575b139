/*
 * The debug port, isa-debug-exit and the POST port.
 */
#include "devices/chardev.h"
#include "devices/debugcon.h"
#include "devices/debugexit.h"
#include "devices/post.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

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
