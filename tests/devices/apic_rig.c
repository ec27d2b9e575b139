/*
 * The APICs' surroundings for tests.
 */
#include "tests/devices/apic_rig.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"

struct apic_core apic_core;

static void intr(struct machine *m, bool level)
{
    apic_core.intr = level;
}

static void event(struct machine *m, u32 delivery)
{
    apic_core.nmis += delivery == 4;
    apic_core.inits += delivery == 5;
}

static u8 inta(struct machine *m)
{
    return apic_core.pic_vector;
}

static void eoi(struct machine *m, u8 vector)
{
    ioapic_eoi(m->ioapic, vector);
}

static bool send(struct machine *m, u8 vector, u32 delivery, u8 destination, bool logical,
                 bool level)
{
    return lapic_message(m->lapic, vector, delivery, destination, logical, level);
}

static bool busy(struct machine *m, u8 vector)
{
    return lapic_busy(m->lapic, vector);
}

struct rig *apic_rig(void)
{
    static const struct lapic_config lapic = { intr, event, inta, eoi };
    static const struct ioapic_config ioapic = { send, busy };
    struct rig *r;

    apic_core = (struct apic_core){ .pic_vector = 0x08 };
    r = rig_new(&lapic_class, &lapic);
    r->m->lapic = r->dev;
    r->m->ioapic = rig_add(r, &ioapic_class, &ioapic);
    return r;
}

u32 apic_read(struct rig *r, u32 reg)
{
    return bus_mmio_read(r->m, LAPIC + reg, 4);
}

void apic_write(struct rig *r, u32 reg, u32 val)
{
    bus_mmio_write(r->m, LAPIC + reg, 4, val);
}

u32 ioapic_read_reg(struct rig *r, u8 reg)
{
    bus_mmio_write(r->m, IOAPIC, 4, reg);
    return bus_mmio_read(r->m, IOAPIC + 0x10, 4);
}

void ioapic_write_reg(struct rig *r, u8 reg, u32 val)
{
    bus_mmio_write(r->m, IOAPIC, 4, reg);
    bus_mmio_write(r->m, IOAPIC + 0x10, 4, val);
}

void ioapic_redirect(struct rig *r, u32 pin, u32 low, u32 high)
{
    ioapic_write_reg(r, (u8)(0x11 + 2 * pin), high);
    ioapic_write_reg(r, (u8)(0x10 + 2 * pin), low);
}
