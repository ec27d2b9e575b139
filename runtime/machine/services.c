/*
 * What devices/device.h promises a chip and the machine's frame keeps: the chip itself, memory,
 * the bus, wires, guest memory and buttons. Time is clock.c's.
 */
#include "runtime/machine/services.h"
#include "runtime/machine/machine.h"
#include <stdlib.h>

struct device *device_new(struct machine *m, const struct device_class *class,
                          const void *config)
{
    struct device *dev = calloc(1, class->size), **end = &m->devices;

    dev->class = class;
    dev->machine = m;
    dev->config = config;
    while (*end)
        end = &(*end)->next;
    *end = dev;
    if (!class->attach || class->attach(dev))
        return dev;
    *end = NULL;
    free(dev);
    return NULL;
}

u32 device_count(struct machine *m, const struct device_class *class)
{
    u32 n = 0;

    for (struct device *d = m->devices; d; d = d->next)
        n += d->class == class;
    return n;
}

struct device *device_find(struct machine *m, const struct device_class *class, u32 n)
{
    struct device *d = m->devices;

    while (d && (d->class != class || n--))
        d = d->next;
    return d;
}

/* 16 bytes, so that what follows is aligned. */
struct allocation {
    struct allocation *next;
    u64 unused;
};

void *machine_alloc(struct machine *m, size_t size)
{
    struct allocation *a = calloc(1, sizeof(*a) + size);

    a->next = m->allocations;
    m->allocations = a;
    return a + 1;
}

void machine_free_allocations(struct machine *m)
{
    while (m->allocations) {
        struct allocation *a = m->allocations;

        m->allocations = a->next;
        free(a);
    }
}

struct bus *machine_bus(struct machine *m)
{
    return m->bus;
}

u8 *bus_alloc_memory(struct machine *m, u64 size)
{
    return mmu_alloc(m->mmu, size);
}

struct irq *irq_isa(struct machine *m, u32 n)
{
    check(n < 16, "ISA interrupt %u", n);
    return &m->isa[n];
}

struct device *isa_dma(struct machine *m)
{
    return m->i8237;
}

/* ---- Guest memory ---- */

void phys_read(struct machine *m, gpa_t gpa, void *buf, u64 size)
{
    mmu_phys_read(m->mmu, gpa, buf, size);
}

void phys_write(struct machine *m, gpa_t gpa, const void *buf, u64 size)
{
    mmu_phys_write(m->mmu, gpa, buf, size);
}

u8 *phys_run(struct machine *m, gpa_t gpa, u32 size, bool write, u32 *n)
{
    return mmu_phys_run(m->mmu, gpa, size, write, n);
}

u8 *phys_ram(struct machine *m)
{
    return mmu_ram(m->mmu);
}

u64 phys_ram_size(struct machine *m)
{
    return mmu_ram_size(m->mmu);
}

void phys_map(struct machine *m, gpa_t base, u64 size, u8 *read, u8 *write)
{
    mmu_map_phys(m->mmu, base, size, read, write);
}

/* ---- Buttons ---- */

void machine_request(struct machine *m, enum machine_event event)
{
    m->events |= event;
    if (m->cpu)
        __atomic_fetch_or(&m->cpu->requests, REQ_EVENT, __ATOMIC_RELAXED);
}

void machine_exit(struct machine *m, int status)
{
    m->exit_status = status;
    machine_request(m, MACHINE_EXIT);
}

void machine_set_a20(struct machine *m, bool enabled)
{
    mmu_set_a20(m->mmu, enabled);
}
