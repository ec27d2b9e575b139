/*
 * The bare machine chips are tested on: no firmware, no board, a clock turned by hand.
 */
#include "cpu/reset.h"
#include "runtime/machine/clock.h"
#include "runtime/parts.h"
#include "tests/harness/test.h"
#include <stdlib.h>

struct rig_list {
    struct rig rig;
    struct options options;
    struct rig_list *next;
};
static struct rig_list *rigs;

static void watch(void *owner, u32 pin, bool level)
{
    struct rig *r = owner;

    if (level)
        r->rises[pin]++;
}

struct rig *rig_new(const struct device_class *class, const void *config)
{
    struct rig_list *l = calloc(1, sizeof(*l));
    struct rig *r = &l->rig;

    l->options.ram = MIB(16);
    l->next = rigs;
    rigs = l;
    r->m = machine_bare(&l->options);
    r->m->clock_manual = true;
    r->m->wall_base = 946684800; /* 2000-01-01 00:00:00 */
    for (u32 i = 0; i < 16; i++)
        irq_init(&r->m->isa[i], watch, r, i);
    cpu_reset(r->m->cpu);
    if (class)
        r->dev = rig_add(r, class, config);
    return r;
}

struct device *rig_add(struct rig *r, const struct device_class *class, const void *config)
{
    struct device *dev = device_new(r->m, class, config);

    check(dev, "%s did not attach", class->name);
    if (class->reset)
        class->reset(dev);
    return dev;
}

void rig_free_all(void)
{
    while (rigs) {
        struct rig_list *l = rigs;

        rigs = l->next;
        machine_free(l->rig.m);
        free(l);
    }
}

void rig_out8(struct rig *r, u16 port, u8 val)
{
    bus_out(r->m, port, IO_8, val);
}

void rig_out16(struct rig *r, u16 port, u16 val)
{
    bus_out(r->m, port, IO_16, val);
}

void rig_out32(struct rig *r, u16 port, u32 val)
{
    bus_out(r->m, port, IO_32, val);
}

u8 rig_in8(struct rig *r, u16 port)
{
    return (u8)bus_in(r->m, port, IO_8);
}

u16 rig_in16(struct rig *r, u16 port)
{
    return (u16)bus_in(r->m, port, IO_16);
}

u32 rig_in32(struct rig *r, u16 port)
{
    return bus_in(r->m, port, IO_32);
}

void rig_advance(struct rig *r, u64 ns)
{
    clock_advance(r->m, ns);
}

bool rig_irq(struct rig *r, u32 n)
{
    return r->m->isa[n].level;
}

u32 rig_irq_rises(struct rig *r, u32 n)
{
    u32 rises = r->rises[n];

    r->rises[n] = 0;
    return rises;
}
