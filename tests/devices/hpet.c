/*
 * The HPET: its counter, comparators in all modes, and where their interrupts go.
 */
#include "devices/hpet.h"
#include "devices/i8254.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum {
    ID = 0,
    CONF = 0x10,
    STATUS = 0x20,
    COUNT = 0xf0,
    T0 = 0x100,
    T1 = 0x120,
    T2 = 0x140,
    CMP = 8,
    ON = 1,
    LEGACY = 2,
    LEVEL = 2,
    ENABLED = 4,
    PERIODIC = 8,
    VAL_SET = 0x40,
    MODE32 = 0x100,
    PIN20 = 20 << 9,
};

static struct {
    u32 isa_rises[16], pin_rises[24];
    bool isa[16], pin[24], busy;
} seen;

static void isa(struct machine *m, u32 line, bool level)
{
    seen.isa_rises[line] += level && !seen.isa[line];
    seen.isa[line] = level;
}

static void pin(struct machine *m, u32 n, bool level)
{
    seen.pin_rises[n] += level && !seen.pin[n];
    seen.pin[n] = level;
}

static bool busy(struct machine *m, u32 n)
{
    return seen.busy;
}

static struct rig *hpet_rig(void)
{
    static const struct hpet_config config = {isa, pin, busy, busy};
    struct rig *r;

    memset(&seen, 0, sizeof(seen));
    r = rig_new(&hpet_class, &config);
    return r;
}

static u32 get(struct rig *r, u32 reg)
{
    return bus_mmio_read(r->m, HPET_BASE + reg, 4);
}

static void set(struct rig *r, u32 reg, u32 val)
{
    bus_mmio_write(r->m, HPET_BASE + reg, 4, val);
}

static void set64(struct rig *r, u32 reg, u64 val)
{
    set(r, reg, (u32)val);
    set(r, reg + 4, val >> 32);
}

static u64 get64(struct rig *r, u32 reg)
{
    return get(r, reg) | (u64)get(r, reg + 4) << 32;
}

TEST(hpet, says_what_it_is)
{
    struct rig *r = hpet_rig();

    CHECK_EQ(get(r, ID), HPET_ID);
    CHECK_EQ(get(r, ID + 4), 10000000);  /* femtoseconds a tick */
    CHECK_EQ(get(r, ID) >> 8 & 0x1f, 2); /* three timers */
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(get(r, T0 + i * 0x20) & 0x8030, 0x30); /* periodic, 64 bits, no FSB */
        CHECK_EQ(get(r, T0 + i * 0x20 + 4), 0x00f00000);
        CHECK_EQ(get64(r, T0 + i * 0x20 + CMP), ~0ull);
    }
    CHECK_EQ(get(r, CONF), 0);
    CHECK_EQ(get(r, 0x160), 0); /* there is no fourth */
}

TEST(hpet, counts_while_enabled)
{
    struct rig *r = hpet_rig();

    rig_advance(r, MSEC(1));
    CHECK_EQ(get64(r, COUNT), 0);
    set64(r, COUNT, 0xfffffff0ull);
    set(r, CONF, ON);
    rig_advance(r, MSEC(1));
    CHECK_EQ(get64(r, COUNT), 0xfffffff0ull + 100000);
    set(r, CONF, 0);
    rig_advance(r, MSEC(1));
    CHECK_EQ(get64(r, COUNT), 0xfffffff0ull + 100000);
    bus_mmio_write(r->m, HPET_BASE + COUNT, 1, 0); /* too narrow: nothing */
    CHECK_EQ(get64(r, COUNT), 0xfffffff0ull + 100000);
}

TEST(hpet, once_by_edge_at_a_pin)
{
    struct rig *r = hpet_rig();

    set(r, CONF, ON);
    set(r, T2, ENABLED | PIN20);
    set64(r, T2 + CMP, 1000);
    rig_advance(r, USEC(10) - 1);
    CHECK_EQ(seen.pin_rises[20], 0);
    rig_advance(r, 1);
    CHECK_EQ(seen.pin_rises[20], 1);
    CHECK(!seen.pin[20]);
    CHECK_EQ(get(r, STATUS), 0);
    rig_advance(r, SEC(100));
    CHECK_EQ(seen.pin_rises[20], 1);
    CHECK_EQ(get64(r, T2 + CMP), 1000);
}

TEST(hpet, once_in_32_bits_comes_with_each_wrap)
{
    struct rig *r = hpet_rig();

    set(r, CONF, ON);
    set(r, T2, ENABLED | MODE32 | PIN20);
    set(r, T2 + CMP, 1000);
    rig_advance(r, USEC(10));
    CHECK_EQ(seen.pin_rises[20], 1);
    rig_advance(r, (1ull << 32) * 10 - 1);
    CHECK_EQ(seen.pin_rises[20], 1);
    rig_advance(r, 1);
    CHECK_EQ(seen.pin_rises[20], 2);
}

TEST(hpet, a_match_that_has_passed_does_not_come)
{
    struct rig *r = hpet_rig();

    set(r, CONF, ON);
    rig_advance(r, USEC(20));
    set(r, T2, ENABLED | PIN20);
    set64(r, T2 + CMP, 1000);
    rig_advance(r, SEC(1));
    CHECK_EQ(seen.pin_rises[20], 0);
}

TEST(hpet, level_until_the_status_is_cleared)
{
    struct rig *r = hpet_rig();

    set(r, CONF, ON);
    set(r, T1, ENABLED | LEVEL | PIN20);
    set(r, T2, ENABLED | LEVEL | PIN20);
    set64(r, T1 + CMP, 1000);
    set64(r, T2 + CMP, 2000);
    rig_advance(r, USEC(30));
    CHECK_EQ(get(r, STATUS), 6);
    CHECK(seen.pin[20]);
    set(r, STATUS, 2);
    CHECK_EQ(get(r, STATUS), 4);
    CHECK(seen.pin[20]); /* the other holds it */
    set(r, STATUS, 4);
    CHECK(!seen.pin[20]);
    CHECK_EQ(seen.pin_rises[20], 1);
}

TEST(hpet, periodic_as_linux_sets_it)
{
    struct rig *r = hpet_rig();

    set(r, CONF, ON | LEGACY);
    rig_advance(r, USEC(5));
    set(r, T0, ENABLED | PERIODIC | VAL_SET | MODE32);
    set(r, T0 + CMP, 500 + 100000); /* the first match, */
    CHECK_EQ(get(r, T0) & VAL_SET, 0);
    set(r, T0 + CMP, 100000); /* and the period */
    CHECK_EQ(get(r, T0 + CMP), 100500);
    rig_advance(r, MSEC(1) - 1);
    CHECK_EQ(seen.isa_rises[0], 0);
    rig_advance(r, 1);
    CHECK_EQ(seen.isa_rises[0], 1);
    CHECK_EQ(get(r, T0 + CMP), 200500);
    rig_advance(r, MSEC(99));
    CHECK_EQ(seen.isa_rises[0], 100);
    set(r, CONF, LEGACY); /* halted */
    rig_advance(r, MSEC(50));
    CHECK_EQ(seen.isa_rises[0], 100);
}

TEST(hpet, both_halves_are_set_by_a_write_of_64_bits)
{
    struct rig *r = hpet_rig();

    set64(r, COUNT, 0x100000000ull);
    set(r, T2, PERIODIC | VAL_SET | ENABLED | PIN20);
    set64(r, T2 + CMP, 0x1000003e8ull);
    CHECK_EQ(get64(r, T2 + CMP), 0x1000003e8ull);
    set64(r, T2 + CMP, 2000);
    CHECK_EQ(get64(r, T2 + CMP), 0x1000003e8ull);
    set(r, CONF, ON);
    rig_advance(r, USEC(10));
    CHECK_EQ(seen.pin_rises[20], 1);
    CHECK_EQ(get64(r, T2 + CMP), 0x1000003e8ull + 2000);
    rig_advance(r, USEC(20));
    CHECK_EQ(seen.pin_rises[20], 2);
}

TEST(hpet, a_periodic_register_goes_on_without_interrupts)
{
    struct rig *r = hpet_rig();

    set(r, T2, PERIODIC | VAL_SET);
    set64(r, T2 + CMP, 1000);
    set(r, CONF, ON);
    rig_advance(r, USEC(35));
    CHECK_EQ(get64(r, T2 + CMP), 4000);
    CHECK_EQ(seen.pin_rises[0], 0);
}

TEST(hpet, ticks_the_guest_could_not_take_follow)
{
    struct rig *r = hpet_rig();

    set(r, CONF, ON | LEGACY);
    set(r, T0, ENABLED | PERIODIC | VAL_SET);
    set64(r, T0 + CMP, 100000);
    rig_advance(r, MSEC(10));
    CHECK_EQ(seen.isa_rises[0], 10);
    seen.busy = true;
    rig_advance(r, MSEC(10));
    CHECK_EQ(seen.isa_rises[0], 10);
    seen.busy = false;
    rig_advance(r, MSEC(100));
    CHECK_EQ(seen.isa_rises[0], 120);
}

TEST(hpet, takes_the_place_of_the_8254_and_gives_it_back)
{
    struct rig *r = hpet_rig();

    hpet_isa_input(r->dev, 0, true);
    CHECK(seen.isa[0]);
    set(r, CONF, ON | LEGACY);
    CHECK(!seen.isa[0]);
    hpet_isa_input(r->dev, 0, false);
    hpet_isa_input(r->dev, 0, true);
    hpet_isa_input(r->dev, 8, true);
    CHECK_EQ(seen.isa_rises[0], 1);
    CHECK_EQ(seen.isa_rises[8], 0);
    set(r, T1, ENABLED | PIN20); /* comparator 1 has the MC146818's line, whatever its pin */
    set64(r, T1 + CMP, 1000);
    rig_advance(r, USEC(10));
    CHECK_EQ(seen.isa_rises[8], 1);
    CHECK_EQ(seen.pin_rises[20], 0);
    set(r, CONF, ON);
    CHECK(seen.isa[0]);
    CHECK(seen.isa[8]);
}

TEST(hpet, reset_stops_it)
{
    struct rig *r = hpet_rig();

    set(r, CONF, ON | LEGACY);
    set(r, T0, ENABLED | PERIODIC | VAL_SET);
    set64(r, T0 + CMP, 1000);
    rig_advance(r, USEC(10));
    hpet_class.reset(r->dev);
    rig_advance(r, SEC(1));
    CHECK_EQ(seen.isa_rises[0], 1);
    CHECK_EQ(get64(r, COUNT), 0);
    CHECK_EQ(get(r, T0), 0x30);
    CHECK(!seen.isa[0]);
}

/* ---- State ---- */

static u32 noise(u32 *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void stir(struct rig *r, u32 *state)
{
    for (u32 i = 0; i < 200; i++) {
        u32 reg = noise(state) % 4 ? noise(state) % 0x60 * 4 : CONF;

        set(r, reg & 0x1fc, noise(state) >> noise(state) % 24);
        rig_advance(r, noise(state) % USEC(300));
    }
}

static void restore(struct device *to, const struct device *from)
{
    for (const struct field *f = hpet_class.fields; f->name; f++)
        memcpy((u8 *)to + f->offset, (const u8 *)from + f->offset, (size_t)f->size * f->count);
    hpet_class.loaded(to);
}

/* A second one that gets the fields answers as the first, whatever the guest did before: and
 * none of it keeps the host busy. */
TEST(hpet, fields_are_complete)
{
    for (u32 seed = 1; seed <= 20; seed++) {
        struct rig *a = hpet_rig(), *b = rig_new(&hpet_class, a->dev->config);
        u32 state = seed;

        stir(a, &state);
        b->m->clock_stopped = a->m->clock_stopped;
        restore(b->dev, a->dev);
        for (u32 i = 0; i < 20; i++) {
            for (u32 reg = 0; reg < 0x160; reg += 4)
                CHECK_EQ(get(a, reg), get(b, reg));
            rig_advance(a, USEC(77));
            rig_advance(b, USEC(77));
        }
    }
}
