/*
 * The OPL3: timers, and a note that is heard. Skipped where it is not built in.
 */
#include "devices/ymf262.h"
#include "devices/adlib.h"
#include "runtime/machine/machine.h"
#include "tests/devices/audio_rig.h"

#include <stdlib.h>

static struct rig *adlib(struct ears **e)
{
    static struct adlib_config config;

    *e = ears_new();
    config = (struct adlib_config){ &(*e)->audio, 0x220 };
    return rig_new(&adlib_class, &config);
}

static void opl(struct rig *r, u16 index, u8 val)
{
    rig_out8(r, index & 0x100 ? 0x38a : 0x388, (u8)index);
    rig_out8(r, index & 0x100 ? 0x38b : 0x389, val);
}

/* False, and said: built without the synthesizer. */
static bool present(struct rig *r)
{
    if (rig_in8(r, 0x388) != 0xff)
        return true;
    printf("SKIP ymf262: built without libadplug\n");
    return false;
}

/* How programs look for it: AdLib's manual, "Detecting the card". */
TEST(ymf262, timers)
{
    struct ears *e;
    struct rig *r = adlib(&e);

    if (!present(r))
        return;
    opl(r, 4, 0x60);
    opl(r, 4, 0x80);
    CHECK_EQ(rig_in8(r, 0x388), 0);
    opl(r, 2, 0xff);
    opl(r, 4, 0x21);
    rig_advance(r, USEC(79));
    CHECK_EQ(rig_in8(r, 0x388), 0);
    rig_advance(r, USEC(1));
    CHECK_EQ(rig_in8(r, 0x388), 0xc0);
    CHECK_EQ(rig_in8(r, 0x228), 0xc0);
    opl(r, 4, 0x80);
    CHECK_EQ(rig_in8(r, 0x388), 0);
    rig_advance(r, USEC(80)); /* it runs on */
    CHECK_EQ(rig_in8(r, 0x388), 0xc0);
    opl(r, 4, 0x80);
    opl(r, 3, 0xfe);
    opl(r, 4, 0x42); /* the second; the first masked and stopped */
    rig_advance(r, USEC(639));
    CHECK_EQ(rig_in8(r, 0x388), 0);
    rig_advance(r, USEC(1));
    CHECK_EQ(rig_in8(r, 0x388), 0xa0);
    CHECK_EQ(e->starts, 0);
}

/* A sine of 440 Hz: F-number 580 in block 4 (440 * 2^16 / 49716). */
TEST(ymf262, a_note)
{
    struct ears *e;
    struct rig *r = adlib(&e);

    if (!present(r))
        return;
    ears_listen(r, e, MSEC(100));
    opl(r, 0x105, 1);
    opl(r, 0x20, 0x21); /* modulator: sustained */
    opl(r, 0x40, 0x3f); /* and silent */
    opl(r, 0x23, 0x21);
    opl(r, 0x43, 0x00);
    opl(r, 0x63, 0xf0); /* attack at once */
    opl(r, 0x83, 0x0f);
    opl(r, 0xc0, 0x30);
    opl(r, 0xa0, 580 & 0xff);
    opl(r, 0xb0, 0x20 | 4 << 2 | 580 >> 8);
    ears_listen(r, e, SEC(1));
    CHECK_EQ(e->starts, 1);
    CHECK_EQ(e->rate, 49716);
    CHECK_EQ(e->channels, 2);
    CHECK_EQ(e->n, 2 * 49716);
    for (u32 i = 0; i < 49716; i++) /* both sides alike: keep the left */
        e->samples[i] = e->samples[2 * i];
    e->n = 49716;
    CHECK(abs((int)ears_rises(e, 1000, e->n) - 431) <= 1);
    opl(r, 0xb0, 4 << 2);
    ears_clear(e);
    ears_listen(r, e, SEC(3));
    CHECK_EQ(e->stops, 1); /* released, silent, off */
    CHECK(e->n < 2 * 49716 * 2);
}

TEST(ymf262, restored_it_sounds_alike)
{
    struct ears *e;
    struct rig *r = adlib(&e);

    if (!present(r))
        return;
    opl(r, 0x23, 0x21);
    opl(r, 0x43, 0x00);
    opl(r, 0x63, 0xf0);
    opl(r, 0x83, 0x0f);
    opl(r, 0xa0, 580 & 0xff);
    opl(r, 0xb0, 0x20 | 4 << 2 | 580 >> 8);
    ears_listen(r, e, MSEC(100));
    ears_clear(e);
    r->dev->class->loaded(r->dev);
    ears_listen(r, e, MSEC(500));
    CHECK_EQ(e->starts, 1);
    CHECK(abs((int)ears_rises(e, 0, e->n) - 220) <= 2);
}
