/*
 * The local APIC: state after RESET, the virtual wire, priorities, IPIs, errors, the timer.
 */
#include "devices/lapic.h"
#include "tests/devices/apic_rig.h"

static struct rig *enabled_rig(void)
{
    struct rig *r = apic_rig();

    apic_write(r, A_SVR, A_ENABLED);
    return r;
}

static void ipi(struct rig *r, u8 vector)
{
    apic_write(r, A_ICR, 0x44000 | vector); /* self, fixed */
}

static void end(struct rig *r)
{
    apic_write(r, A_EOI, 0);
}

TEST(lapic, registers_after_reset)
{
    struct rig *r = apic_rig();

    CHECK_EQ(apic_read(r, A_ID), 0);
    CHECK_EQ(apic_read(r, A_VERSION), 0x50014);
    CHECK_EQ(apic_read(r, A_SVR), 0xff);
    CHECK_EQ(apic_read(r, A_DFR), 0xffffffff);
    for (u32 reg = A_TIMER; reg <= A_ERROR; reg += 0x10)
        CHECK_EQ(apic_read(r, reg), A_MASKED);
    CHECK_EQ(lapic_base_msr_read(r->dev), 0xfee00900);
    CHECK(!apic_core.intr);
}

TEST(lapic, software_disabled_passes_the_8259s)
{
    struct rig *r = apic_rig();

    lapic_set_lint(r->dev, 0, true);
    CHECK(apic_core.intr);
    CHECK_EQ(lapic_ack(r->dev), 0x08);
    lapic_set_lint(r->dev, 0, false);
    CHECK(!apic_core.intr);
    lapic_set_lint(r->dev, 1, true);
    CHECK_EQ(apic_core.nmis, 1);
}

TEST(lapic, enabled_passes_the_8259s_by_lint0_extint_only)
{
    struct rig *r = enabled_rig();

    lapic_set_lint(r->dev, 0, true);
    CHECK(!apic_core.intr);
    apic_write(r, A_LINT0, 0x700);
    CHECK(apic_core.intr);
    apic_write(r, A_TPR, 0xff); /* ExtINT knows no priority */
    CHECK_EQ(lapic_ack(r->dev), 0x08);
    CHECK_EQ(apic_read(r, A_ISR), 0);
    apic_write(r, A_LINT0, 0x10700);
    CHECK(!apic_core.intr);
    CHECK_EQ(lapic_ack(r->dev), (u64)-1);
}

TEST(lapic, disabled_by_msr_disappears)
{
    struct rig *r = enabled_rig();

    CHECK(lapic_base_msr_write(r->dev, 0xfee00000));
    CHECK_EQ(apic_read(r, A_VERSION), 0xffffffff);
    CHECK_EQ(lapic_base_msr_read(r->dev), 0xfee00100);
    lapic_set_lint(r->dev, 0, true);
    CHECK(apic_core.intr);
    CHECK(lapic_base_msr_write(r->dev, 0xfec10800)); /* elsewhere */
    CHECK_EQ(bus_mmio_read(r->m, 0xfec10000 + A_VERSION, 4), 0x50014);
    CHECK_EQ(apic_read(r, A_VERSION), 0xffffffff);
    CHECK_EQ(bus_mmio_read(r->m, 0xfec10000 + A_SVR, 4), 0xff);
    CHECK(!lapic_base_msr_write(r->dev, 0xfee00c00)); /* no x2APIC */
    CHECK(!lapic_base_msr_write(r->dev, 1ull << 36));
}

TEST(lapic, delivers_by_priority_class)
{
    struct rig *r = enabled_rig();

    ipi(r, 0x31);
    ipi(r, 0x51);
    ipi(r, 0x45);
    CHECK_EQ(lapic_ack(r->dev), 0x51);
    CHECK_EQ(apic_read(r, A_PPR), 0x50);
    CHECK(!apic_core.intr); /* 45 waits for EOI */
    ipi(r, 0x5f);
    CHECK(!apic_core.intr); /* same class */
    ipi(r, 0x60);
    CHECK_EQ(lapic_ack(r->dev), 0x60);
    end(r);
    CHECK_EQ(apic_read(r, A_PPR), 0x50);
    end(r);
    CHECK_EQ(lapic_ack(r->dev), 0x5f);
    end(r);
    CHECK_EQ(lapic_ack(r->dev), 0x45);
    end(r);
    CHECK_EQ(lapic_ack(r->dev), 0x31);
    end(r);
    CHECK(!apic_core.intr);
}

TEST(lapic, tpr_holds_back)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_TPR, 0x40);
    ipi(r, 0x4f);
    CHECK(!apic_core.intr);
    CHECK_EQ(apic_read(r, A_IRR + 0x20), 1u << 15);
    ipi(r, 0x50);
    CHECK(apic_core.intr);
    apic_write(r, A_TPR, 0x50);
    CHECK(!apic_core.intr);
    CHECK_EQ(lapic_ack(r->dev), (u64)-1);
    apic_write(r, A_TPR, 0x3f);
    CHECK_EQ(lapic_ack(r->dev), 0x50);
    CHECK_EQ(apic_read(r, A_ISR + 0x20), 1u << 16);
}

TEST(lapic, ipi_destinations)
{
    static const struct {
        u32 ldr, dfr, icr2, icr;
        bool arrives;
    } cases[] = {
        { 0, ~0u, 0x00000000, 0x00000, true },           /* physical, ID 0 */
        { 0, ~0u, 0x01000000, 0x00000, false },          /* ID 1 */
        { 0, ~0u, 0xff000000, 0x00000, true },           /* all */
        { 0x02000000, ~0u, 0x03000000, 0x00800, true },  /* flat */
        { 0x02000000, ~0u, 0x04000000, 0x00800, false },
        { 0x21000000, 0x0fffffff, 0x23000000, 0x00800, true }, /* cluster 2, member 0 */
        { 0x21000000, 0x0fffffff, 0x33000000, 0x00800, false },
        { 0x21000000, 0x0fffffff, 0xff000000, 0x00800, true },
        { 0, ~0u, 0x01000000, 0x80000, true },           /* all including self */
        { 0, ~0u, 0x00000000, 0xc0000, false },          /* all others */
    };

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig *r = enabled_rig();

        apic_write(r, A_LDR, cases[i].ldr);
        apic_write(r, A_DFR, cases[i].dfr);
        apic_write(r, A_ICR2, cases[i].icr2);
        apic_write(r, A_ICR, cases[i].icr | 0x40);
        CHECK_EQ(apic_core.intr, cases[i].arrives);
    }
}

TEST(lapic, ipi_nmi_and_init)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_ICR, 0x40400);
    CHECK_EQ(apic_core.nmis, 1);
    apic_write(r, A_ICR, 0x88500); /* INIT level de-assert to all: nothing */
    CHECK_EQ(apic_core.inits, 0);
    apic_write(r, A_ICR, 0xc4500); /* to the others, which are none */
    apic_write(r, A_ICR, 0xc4608);
    CHECK_EQ(apic_core.inits, 0);
    apic_write(r, A_ICR, 0x84500);
    CHECK_EQ(apic_core.inits, 1);
}

TEST(lapic, illegal_vectors_and_registers_are_errors)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_ERROR, 0xe1);
    ipi(r, 0x0f);
    CHECK_EQ(lapic_ack(r->dev), 0xe1);
    CHECK_EQ(apic_read(r, A_ESR), 0); /* latched by a write */
    apic_write(r, A_ESR, 0);
    CHECK_EQ(apic_read(r, A_ESR), 0x20);
    apic_write(r, A_ESR, 0);
    CHECK_EQ(apic_read(r, A_ESR), 0);
    apic_read(r, 0x40);
    apic_write(r, A_ESR, 0);
    CHECK_EQ(apic_read(r, A_ESR), 0x80);
    apic_write(r, A_ERROR, 0x05); /* the error vector illegal itself */
    apic_write(r, 0x3f0, 1);
    apic_write(r, A_ESR, 0);
    CHECK_EQ(apic_read(r, A_ESR), 0xc0);
}

TEST(lapic, a_read_interrupts_only_where_there_is_no_register)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_ERROR, 0xe1);
    apic_read(r, A_ID);
    CHECK(!apic_core.intr);
    apic_read(r, 0x40);
    CHECK(apic_core.intr);
    CHECK_EQ(lapic_ack(r->dev), 0xe1);
}

TEST(lapic, software_disable_masks_the_lvt)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_LINT1, 0x400);
    apic_write(r, A_SVR, 0xff);
    CHECK_EQ(apic_read(r, A_LINT1), 0x10400);
    apic_write(r, A_LINT1, 0x400); /* cannot be unmasked now */
    CHECK_EQ(apic_read(r, A_LINT1), 0x10400);
    ipi(r, 0x40);
    CHECK(!apic_core.intr);
}

TEST(lapic, lint_pins)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_LINT1, 0x400); /* NMI */
    lapic_set_lint(r->dev, 1, true);
    lapic_set_lint(r->dev, 1, true);
    CHECK_EQ(apic_core.nmis, 1);
    apic_write(r, A_LINT0, 0x8061); /* fixed, level */
    lapic_set_lint(r->dev, 0, true);
    CHECK_EQ(lapic_ack(r->dev), 0x61);
    CHECK_EQ(apic_read(r, A_LINT0), 0xc061); /* remote IRR */
    CHECK(!apic_core.intr);
    end(r);
    CHECK_EQ(lapic_ack(r->dev), 0x61); /* still held */
    lapic_set_lint(r->dev, 0, false);
    end(r);
    CHECK(!apic_core.intr);
}

/* ---- The timer: 1 GHz, so a count divided by 1 is a nanosecond ---- */

static u32 take_ticks(struct rig *r)
{
    u32 n = 0;

    while (apic_core.intr && n < 5000) {
        lapic_ack(r->dev);
        end(r);
        n++;
    }
    return n;
}

TEST(lapic, timer_one_shot)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_DIVIDE, 0xb); /* 1 */
    apic_write(r, A_TIMER, 0x30);
    apic_write(r, A_INITIAL, 1000000);
    rig_advance(r, 400000);
    CHECK_EQ(apic_read(r, A_CURRENT), 600000);
    rig_advance(r, 599999);
    CHECK(!apic_core.intr);
    rig_advance(r, 1);
    CHECK_EQ(lapic_ack(r->dev), 0x30);
    end(r);
    CHECK_EQ(apic_read(r, A_CURRENT), 0);
    rig_advance(r, MSEC(10));
    CHECK(!apic_core.intr);
}

TEST(lapic, timer_periodic_and_dividers)
{
    static const u8 codes[] = { 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa, 0xb };
    static const u32 by[] = { 2, 4, 8, 16, 32, 64, 128, 1 };

    for (u32 i = 0; i < ARRAY_SIZE(codes); i++) {
        struct rig *r = enabled_rig();

        apic_write(r, A_DIVIDE, codes[i]);
        apic_write(r, A_TIMER, A_PERIODIC | 0x30);
        apic_write(r, A_INITIAL, 1000000);
        for (u32 n = 0; n < 5; n++) {
            rig_advance(r, MSEC(by[i]) - 1);
            CHECK(!apic_core.intr);
            rig_advance(r, 1);
            CHECK_EQ(take_ticks(r), 1);
        }
        rig_advance(r, MSEC(by[i]) / 4);
        CHECK_EQ(apic_read(r, A_CURRENT), 750000);
    }
}

TEST(lapic, timer_counts_while_masked)
{
    struct rig *r = enabled_rig();

    apic_write(r, A_DIVIDE, 0xb);
    apic_write(r, A_TIMER, A_MASKED | A_PERIODIC | 0x30);
    apic_write(r, A_INITIAL, 1000000);
    rig_advance(r, 3300000);
    CHECK_EQ(apic_read(r, A_CURRENT), 700000);
    CHECK(!apic_core.intr);
    apic_write(r, A_TIMER, A_PERIODIC | 0x30); /* what passed is not owed */
    CHECK(!apic_core.intr);
    rig_advance(r, 700000);
    CHECK_EQ(take_ticks(r), 1);
    apic_write(r, A_INITIAL, 0); /* stops */
    rig_advance(r, MSEC(10));
    CHECK(!apic_core.intr);
    CHECK_EQ(apic_read(r, A_CURRENT), 0);
}

TEST(lapic, timer_pays_back_ticks_the_guest_could_not_take)
{
    struct rig *r = enabled_rig();
    u32 ticks = 0;

    apic_write(r, A_DIVIDE, 0xb);
    apic_write(r, A_TIMER, A_PERIODIC | 0x30);
    apic_write(r, A_INITIAL, 1000000);
    rig_advance(r, MSEC(20)); /* starved: nobody acknowledges */
    for (u32 i = 0; i < 1000; i++) {
        ticks += take_ticks(r);
        rig_advance(r, USEC(100));
    }
    CHECK_EQ(ticks + take_ticks(r), 120);
}

TEST(lapic, owed_ticks_are_spread)
{
    struct rig *r = enabled_rig();
    u64 last = 0, least = ~0ull;
    u32 ticks = 0;

    apic_write(r, A_DIVIDE, 0xb);
    apic_write(r, A_TIMER, A_PERIODIC | 0x30);
    apic_write(r, A_INITIAL, 100000);
    rig_advance(r, MSEC(20));
    for (u32 i = 0; i < 100000; i++) {
        rig_advance(r, USEC(1));
        if (!take_ticks(r))
            continue;
        if (last && clock_now(r->m) - last < least)
            least = clock_now(r->m) - last;
        last = clock_now(r->m);
        ticks++;
    }
    CHECK(least >= 75000);
    CHECK(ticks >= 1198 && ticks <= 1201);
}

TEST(lapic, timer_owes_no_more_than_it_should)
{
    struct rig *r = enabled_rig();
    u32 ticks = 0;

    apic_write(r, A_DIVIDE, 0xb);
    apic_write(r, A_TIMER, A_PERIODIC | 0x30);
    apic_write(r, A_INITIAL, 100); /* 10 MHz: no host serves that */
    rig_advance(r, SEC(1));
    apic_write(r, A_INITIAL, 0);
    for (u32 i = 0; i < 100; i++) {
        ticks += take_ticks(r);
        rig_advance(r, MSEC(1));
    }
    CHECK(ticks <= 2); /* the new count forgets the old one's */
}

TEST(lapic, hostile_accesses)
{
    struct rig *r = enabled_rig();
    u32 seed = 1;

    for (u32 i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        u32 off = seed >> 8 & 0xfff, size = 1u << (seed >> 20) % 3;

        off &= ~(size - 1);
        if (seed & 0x80)
            bus_mmio_read(r->m, LAPIC + off, size);
        else
            bus_mmio_write(r->m, LAPIC + (seed & 0x40 ? off & ~15u : off), 4,
                           seed * 2654435761u);
        if (seed & 0x4000000)
            lapic_set_lint(r->dev, seed >> 27 & 1, seed >> 28 & 1);
        if (seed & 0x20000000)
            lapic_ack(r->dev);
        if (i % 64 == 0)
            rig_advance(r, seed % 1000);
    }
    CHECK_EQ(apic_core.intr, lapic_intr(r->dev));
}
