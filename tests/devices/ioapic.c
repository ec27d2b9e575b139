/*
 * The I/O APIC: registers, edge and level pins, remote IRR and EOI, delivery modes.
 */
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "tests/devices/apic_rig.h"

enum { RTE_LEVEL = 0x8000, RTE_MASKED = 0x10000, RTE_REMOTE_IRR = 0x4000 };

static struct rig *enabled_rig(void)
{
    struct rig *r = apic_rig();

    apic_write(r, A_SVR, A_ENABLED);
    return r;
}

TEST(ioapic, registers)
{
    struct rig *r = apic_rig();

    CHECK_EQ(ioapic_read_reg(r, 0), 0);
    ioapic_write_reg(r, 0, 0xffffffff);
    CHECK_EQ(ioapic_read_reg(r, 0), 0x0f000000);
    CHECK_EQ(ioapic_read_reg(r, 1), 0x170011);
    for (u32 pin = 0; pin < 24; pin++) {
        CHECK_EQ(ioapic_read_reg(r, (u8)(0x10 + 2 * pin)), RTE_MASKED);
        ioapic_redirect(r, pin, 0xffffffff, 0xffffffff);
        CHECK_EQ(ioapic_read_reg(r, (u8)(0x10 + 2 * pin)), 0x1afff);
        CHECK_EQ(ioapic_read_reg(r, (u8)(0x11 + 2 * pin)), 0xff000000);
    }
    CHECK_EQ(ioapic_read_reg(r, 0x40), 0);
}

TEST(ioapic, edge)
{
    struct rig *r = enabled_rig();

    ioapic_redirect(r, 4, 0x54, 0);
    ioapic_set(r->m->ioapic, 4, true);
    CHECK(ioapic_busy(r->m->ioapic, 4));
    CHECK_EQ(lapic_ack(r->dev), 0x54);
    CHECK(!ioapic_busy(r->m->ioapic, 4));
    apic_write(r, A_EOI, 0);
    CHECK(!apic_core.intr); /* still high: no new edge */
    ioapic_set(r->m->ioapic, 4, false);
    ioapic_set(r->m->ioapic, 4, true);
    CHECK(apic_core.intr);
    CHECK_EQ(apic_read(r, A_TMR + 0x20), 0);
}

TEST(ioapic, masked_edges_are_lost)
{
    struct rig *r = enabled_rig();

    ioapic_redirect(r, 4, RTE_MASKED | 0x54, 0);
    ioapic_set(r->m->ioapic, 4, true);
    ioapic_redirect(r, 4, 0x54, 0);
    CHECK(!apic_core.intr);
}

TEST(ioapic, level_until_eoi)
{
    struct rig *r = enabled_rig();

    ioapic_redirect(r, 11, RTE_LEVEL | 0x61, 0);
    ioapic_set(r->m->ioapic, 11, true);
    CHECK_EQ(ioapic_read_reg(r, 0x10 + 22), RTE_LEVEL | RTE_REMOTE_IRR | 0x61);
    CHECK_EQ(apic_read(r, A_TMR + 0x30), 2);
    CHECK_EQ(lapic_ack(r->dev), 0x61);
    ioapic_set(r->m->ioapic, 11, false);
    ioapic_set(r->m->ioapic, 11, true); /* while in service: nothing new */
    CHECK_EQ(apic_read(r, A_IRR + 0x30), 0);
    apic_write(r, A_EOI, 0);
    CHECK_EQ(lapic_ack(r->dev), 0x61); /* still asserted */
    ioapic_set(r->m->ioapic, 11, false);
    apic_write(r, A_EOI, 0);
    CHECK(!apic_core.intr);
    CHECK_EQ(ioapic_read_reg(r, 0x10 + 22), RTE_LEVEL | 0x61);
}

TEST(ioapic, level_waits_for_unmasking)
{
    struct rig *r = enabled_rig();

    ioapic_redirect(r, 11, RTE_MASKED | RTE_LEVEL | 0x61, 0);
    ioapic_set(r->m->ioapic, 11, true);
    CHECK(!apic_core.intr);
    ioapic_redirect(r, 11, RTE_LEVEL | 0x61, 0);
    CHECK(apic_core.intr);
}

TEST(ioapic, edge_trigger_clears_remote_irr)
{
    struct rig *r = enabled_rig();

    ioapic_redirect(r, 11, RTE_LEVEL | 0x61, 0);
    ioapic_set(r->m->ioapic, 11, true);
    ioapic_set(r->m->ioapic, 11, false);
    ioapic_redirect(r, 11, RTE_MASKED | 0x61, 0);
    ioapic_redirect(r, 11, RTE_MASKED | RTE_LEVEL | 0x61, 0);
    CHECK_EQ(ioapic_read_reg(r, 0x10 + 22), RTE_MASKED | RTE_LEVEL | 0x61);
}

TEST(ioapic, delivery_modes)
{
    struct rig *r = enabled_rig();

    ioapic_redirect(r, 1, 0x400, 0); /* NMI */
    ioapic_set(r->m->ioapic, 1, true);
    CHECK_EQ(apic_core.nmis, 1);
    ioapic_redirect(r, 0, 0x700, 0); /* ExtINT: the vector is the 8259s' */
    ioapic_set(r->m->ioapic, 0, true);
    CHECK(apic_core.intr);
    CHECK_EQ(lapic_ack(r->dev), 0x08);
    CHECK(!apic_core.intr);
    ioapic_redirect(r, 2, 0x930, 0xff000000); /* lowest priority, logical */
    apic_write(r, A_LDR, 0x01000000);
    ioapic_set(r->m->ioapic, 2, true);
    CHECK_EQ(lapic_ack(r->dev), 0x30);
}

TEST(ioapic, nobody_addressed)
{
    struct rig *r = enabled_rig();

    ioapic_redirect(r, 11, RTE_LEVEL | 0x61, 0x05000000);
    ioapic_set(r->m->ioapic, 11, true);
    CHECK(!apic_core.intr);
    CHECK_EQ(ioapic_read_reg(r, 0x10 + 22), RTE_LEVEL | 0x61);
    ioapic_redirect(r, 11, RTE_LEVEL | 0x61, 0); /* rewritten for us: asked again */
    CHECK(apic_core.intr);
}

TEST(ioapic, hostile_accesses)
{
    struct rig *r = enabled_rig();
    u32 seed = 7;

    for (u32 i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        if (seed & 0x80)
            bus_mmio_read(r->m, IOAPIC + (seed >> 12 & 0xfff & ~3u), 4);
        else if (seed & 0x40)
            ioapic_write_reg(r, (u8)(seed >> 16), seed * 2654435761u);
        else
            ioapic_set(r->m->ioapic, seed >> 16 & 31, seed >> 24 & 1);
        if (seed & 0x20000000) {
            lapic_ack(r->dev);
            apic_write(r, A_EOI, 0);
        }
    }
    CHECK_EQ(apic_core.intr, lapic_intr(r->dev));
}
