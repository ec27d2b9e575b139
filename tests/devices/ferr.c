/*
 * The coprocessor error latch: FERR#, IRQ 13, port F0, IGNNE#.
 */
#include "devices/ferr.h"
#include "tests/harness/test.h"

static bool ignne;

static void set_ignne(struct machine *m, bool level)
{
    ignne = level;
}

TEST(ferr, latches_irq13_until_port_f0)
{
    static const struct ferr_config config = { set_ignne };
    struct rig *r = rig_new(&ferr_class, &config);

    CHECK(!ignne);
    ferr_set(r->dev, true);
    CHECK(rig_irq(r, 13));
    CHECK(!ignne);
    rig_out8(r, 0xf0, 0);
    CHECK(!rig_irq(r, 13));
    CHECK(ignne);
    ferr_set(r->dev, false); /* FNCLEX */
    CHECK(!ignne);
    CHECK_EQ(rig_irq_rises(r, 13), 1);
}

TEST(ferr, port_f0_without_an_error_does_nothing)
{
    static const struct ferr_config config = { set_ignne };
    struct rig *r = rig_new(&ferr_class, &config);

    rig_out8(r, 0xf0, 0);
    CHECK(!ignne);
    ferr_set(r->dev, true);
    ferr_set(r->dev, false); /* cleared before the handler ran: the latch stays */
    CHECK(rig_irq(r, 13));
}
