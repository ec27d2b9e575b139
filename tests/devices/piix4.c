/*
 * Power management as an operating system uses it through the ACPI tables.
 */
#include "devices/pci.h"
#include "devices/piix4.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

enum { BASE = 0x600, STS = BASE, EN = BASE + 2, CNT = BASE + 4, TMR = BASE + 8 };

static void config_write(struct rig *r, u32 reg, u32 val)
{
    rig_out32(r, 0xcf8, 0x80000b00 | reg);
    rig_out32(r, 0xcfc, val);
}

static struct rig *placed(void)
{
    static struct pci_slot slot;
    struct rig *r = rig_new(&pci_class, NULL);

    slot.bus = r->dev;
    r->dev = rig_add(r, &piix4_class, &slot);
    config_write(r, 0x40, BASE | 1);
    config_write(r, 0x80, 1);
    return r;
}

TEST(piix4, ports_follow_pmba)
{
    struct rig *r = placed();

    CHECK_EQ(rig_in16(r, CNT), 0);
    config_write(r, 0x40, 0x4000);
    CHECK_EQ(rig_in16(r, CNT), 0xffff);
    CHECK_EQ(rig_in16(r, 0x4004), 0);
    config_write(r, 0x80, 0);
    CHECK_EQ(rig_in16(r, 0x4004), 0xffff);
}

TEST(piix4, timer_counts_at_3_579545_mhz)
{
    struct rig *r = placed();
    u32 start = rig_in32(r, TMR);

    rig_advance(r, SEC(1));
    CHECK_EQ((rig_in32(r, TMR) - start) & 0xffffff, 3579545);
    rig_advance(r, SEC(3600));
    CHECK_EQ((rig_in32(r, TMR) - start) & 0xffffff, 3601ull * 3579545 & 0xffffff);
    CHECK(rig_in32(r, TMR) <= 0xffffff);
}

TEST(piix4, timer_interrupts_when_bit_23_toggles)
{
    struct rig *r = placed();

    rig_out16(r, CNT, 1);
    rig_out16(r, EN, 1);
    rig_advance(r, MSEC(2343));
    CHECK(!rig_irq(r, 9));
    rig_advance(r, MSEC(2)); /* 2^23 ticks are 2343.55 ms */
    CHECK(rig_irq(r, 9));
    CHECK_EQ(rig_in16(r, STS) & 1, 1);
    rig_out16(r, STS, 1);
    CHECK(!rig_irq(r, 9));
    rig_advance(r, MSEC(2344));
    CHECK(rig_irq(r, 9));
}

TEST(piix4, sci_needs_sci_en)
{
    struct rig *r = placed();

    rig_out16(r, EN, 0x100);
    piix4_power_button(r->dev);
    CHECK(!rig_irq(r, 9));
    CHECK_EQ(rig_in16(r, STS) & 0x100, 0x100);
    rig_out8(r, 0xb2, 0xf1); /* ACPI enable */
    CHECK_EQ(rig_in16(r, CNT) & 1, 1);
    CHECK(rig_irq(r, 9));
    rig_out16(r, STS, 0x100);
    CHECK(!rig_irq(r, 9));
    rig_out8(r, 0xb2, 0xf0);
    CHECK_EQ(rig_in16(r, CNT) & 1, 0);
}

/* Goes to sleep, as a guest does, and takes the request. */
static void fall_asleep(struct rig *r, u32 enabled)
{
    rig_out16(r, EN, enabled);
    rig_out16(r, CNT, 1u << 10);
    CHECK(!piix4_asleep(r->dev));
    rig_out16(r, CNT, 1u << 10 | 1u << 13);
    CHECK(piix4_asleep(r->dev));
    CHECK_EQ(r->m->events, MACHINE_SUSPEND);
    r->m->events = 0;
}

TEST(piix4, s3_ends_by_what_is_enabled)
{
    struct rig *r = placed();

    piix4_wake(r->dev); /* not asleep: nothing */
    CHECK_EQ(r->m->events, 0);
    fall_asleep(r, 0);
    piix4_rtc_alarm(r->dev);
    piix4_power_button(r->dev);
    CHECK_EQ(r->m->events, 0);
    piix4_wake(r->dev);
    CHECK_EQ(r->m->events, MACHINE_WAKE);
    r->dev->class->woken(r->dev);
    config_write(r, 0x40, BASE | 1);
    config_write(r, 0x80, 1);
    CHECK_EQ(rig_in16(r, STS), 0x8100);
    CHECK_EQ(rig_in16(r, EN), 0);
    CHECK(!piix4_asleep(r->dev));
}

TEST(piix4, s3_tells_what_ended_it)
{
    static const struct {
        void (*event)(struct device *dev);
        u32 status;
    } events[] = {{piix4_power_button, 0x100}, {piix4_rtc_alarm, 0x400}};

    for (u32 i = 0; i < ARRAY_SIZE(events); i++) {
        struct rig *r = placed();

        fall_asleep(r, events[i].status);
        events[i].event(r->dev);
        CHECK_EQ(r->m->events, MACHINE_WAKE);
        r->dev->class->woken(r->dev);
        config_write(r, 0x40, BASE | 1);
        config_write(r, 0x80, 1);
        CHECK_EQ(rig_in16(r, STS), 0x8000 | events[i].status);
        rig_out16(r, STS, 0xffff);
        CHECK_EQ(rig_in16(r, STS), 0);
    }
}

TEST(piix4, a_reset_ends_s3)
{
    struct rig *r = placed();

    fall_asleep(r, 0);
    r->dev->class->reset(r->dev);
    CHECK(!piix4_asleep(r->dev));
    piix4_wake(r->dev);
    CHECK_EQ(r->m->events, 0);
}

TEST(piix4, a_loaded_state_sleeps_on)
{
    struct rig *r = placed();

    fall_asleep(r, 0x400);
    r->dev->class->loaded(r->dev);
    CHECK_EQ(r->m->events, MACHINE_SUSPEND);
    CHECK(piix4_asleep(r->dev));
}

TEST(piix4, s4_is_power_off_with_memory_on_a_disk)
{
    struct rig *r = placed();

    rig_out16(r, CNT, 2u << 10 | 1u << 13);
    CHECK_EQ(r->m->events, MACHINE_HIBERNATE);
}

TEST(piix4, s5_powers_off)
{
    struct rig *r = placed();

    rig_out16(r, CNT, 3u << 10 | 1u << 13); /* another sleep type */
    CHECK_EQ(r->m->events, 0);
    rig_out16(r, CNT, 0);
    CHECK_EQ(r->m->events, 0);
    rig_out16(r, CNT, 1u << 13);
    CHECK_EQ(r->m->events, MACHINE_POWER_OFF);
    CHECK_EQ(rig_in16(r, CNT) & 1u << 13, 0);
}

TEST(piix4, status_bits_clear_one_by_one)
{
    struct rig *r = placed();

    piix4_power_button(r->dev);
    rig_advance(r, SEC(3));
    CHECK_EQ(rig_in16(r, STS), 0x101);
    rig_out8(r, STS, 1);
    CHECK_EQ(rig_in16(r, STS), 0x100);
    rig_out8(r, STS, 0xff);
    CHECK_EQ(rig_in16(r, STS), 0x100);
    rig_out8(r, STS + 1, 1);
    CHECK_EQ(rig_in16(r, STS), 0);
}

TEST(piix4, a_wide_write_is_its_bytes)
{
    struct rig *r = placed();

    piix4_power_button(r->dev);
    rig_out32(r, STS, 0x01210100); /* status and enable at once */
    CHECK_EQ(rig_in16(r, STS), 0);
    CHECK_EQ(rig_in16(r, EN), 0x0121);
}

TEST(piix4, smbus_has_no_devices)
{
    struct rig *r = placed();

    config_write(r, 0x90, 0x701);
    config_write(r, 0xd0, 9u << 16);
    CHECK_EQ(rig_in8(r, 0x700), 0);
    rig_out8(r, 0x704, 0xa1);
    rig_out8(r, 0x702, 0x48);
    CHECK_EQ(rig_in8(r, 0x700), 4); /* DEV_ERR, not busy */
    rig_out8(r, 0x700, 4);
    CHECK_EQ(rig_in8(r, 0x700), 0);
}

TEST(piix4, firmware_believes_smm_is_set_up)
{
    struct rig *r = placed();

    rig_out32(r, 0xcf8, 0x80000b58);
    CHECK_EQ(rig_in32(r, 0xcfc) & 1u << 25, 1u << 25);
}
