/*
 * The parallel port: bytes go out at the strobe's rising edge, and are acknowledged.
 */
#include "devices/lpt.h"
#include "tests/harness/test.h"

static char paper[16];
static u32 printed;

static void print(struct chardev *c, const u8 *data, u32 n)
{
    for (u32 i = 0; i < n && printed < sizeof(paper); i++)
        paper[printed++] = (char)data[i];
}

static struct rig *printer(void)
{
    static struct chardev end = {.write = print};
    static const struct lpt_config config = {&end};

    printed = 0;
    return rig_new(&lpt_class, &config);
}

TEST(lpt, prints_at_the_strobe)
{
    struct rig *r = printer();

    CHECK_EQ(rig_in8(r, 0x379), 0xdf); /* not busy, selected, no error */
    rig_out8(r, 0x378, 'a');
    CHECK_EQ(printed, 0);
    rig_out8(r, 0x37a, 0x0d);
    rig_out8(r, 0x37a, 0x0d); /* no edge */
    CHECK_EQ(printed, 1);
    rig_out8(r, 0x37a, 0x0c);
    CHECK_EQ(printed, 1);
    CHECK_EQ(paper[0], 'a');
    CHECK_EQ(rig_in8(r, 0x378), 'a');
    CHECK_EQ(rig_in8(r, 0x37a), 0xcc);
    CHECK_EQ(rig_irq_rises(r, 7), 0);
}

TEST(lpt, acknowledges_by_irq_7)
{
    struct rig *r = printer();

    rig_out8(r, 0x37a, 0x1c);
    CHECK_EQ(rig_irq_rises(r, 7), 0);
    rig_out8(r, 0x37a, 0x1d);
    CHECK_EQ(rig_irq_rises(r, 7), 1);
}
