/*
 * Where the processor's pins and the memory map's bus lead on this board.
 */
#include "runtime/machine/pins.h"
#include "devices/bus.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/spin.h"

#include <x86intrin.h>

/* ---- The processor's ---- */

static u32 port_in(struct vcpu *cpu, u16 port, u32 size)
{
    return bus_in(machine_of(cpu), port, (enum io_size)size);
}

static void port_out(struct vcpu *cpu, u16 port, u32 size, u32 val)
{
    bus_out(machine_of(cpu), port, (enum io_size)size, val);
}

static bool port_has_strings(struct vcpu *cpu, u16 port, u32 size)
{
    return bus_has_strings(machine_of(cpu), port, (enum io_size)size);
}

static u32 port_in_string(struct vcpu *cpu, u16 port, u32 size, void *buf, u32 n)
{
    return bus_in_string(machine_of(cpu), port, (enum io_size)size, buf, n);
}

static u32 port_out_string(struct vcpu *cpu, u16 port, u32 size, const void *buf, u32 n)
{
    return bus_out_string(machine_of(cpu), port, (enum io_size)size, buf, n);
}

static bool memory_read_run(struct vcpu *cpu, gpa_t gpa, u32 size, u8 *buf, u32 n)
{
    return bus_mmio_read_run(machine_of(cpu), gpa, size, buf, n);
}

static bool memory_write_run(struct vcpu *cpu, gpa_t gpa, u32 size, const u8 *buf, u32 n)
{
    return bus_mmio_write_run(machine_of(cpu), gpa, size, buf, n);
}

static bool memory_fill_run(struct vcpu *cpu, gpa_t gpa, u32 size, u32 val, u32 n)
{
    return bus_mmio_fill(machine_of(cpu), gpa, size, val, n);
}

static bool memory_copy_run(struct vcpu *cpu, gpa_t to, gpa_t from, u32 size, u32 n)
{
    return bus_mmio_copy(machine_of(cpu), to, from, size, n);
}

static void shutdown_wire(struct vcpu *cpu)
{
    machine_request(machine_of(cpu), MACHINE_RESET);
}

static u32 paused(struct vcpu *cpu)
{
    return machine_paused(machine_of(cpu));
}

static void dos_idle(struct vcpu *cpu)
{
    machine_dos_idle(machine_of(cpu));
}

static bool clock_by_hand(const struct vcpu *cpu, u64 *now)
{
    struct machine *m = machine_of(cpu);

    if (m->clock_manual)
        *now = clock_now(m);
    return m->clock_manual;
}

/* Looks at the clock first, which may move the guest's TSC against the host's: see stolen.c. */
static u64 host_tsc(struct vcpu *cpu)
{
    struct machine *m = machine_of(cpu);

    if (m->stolen.held)
        return m->stolen.held_tsc;
    clock_now(m);
    return m->clock_running ? m->host_clock.read : __rdtsc();
}

struct cpu_pins machine_pins(struct machine *m)
{
    return (struct cpu_pins){
        .board = m,
        .in = port_in,
        .out = port_out,
        .has_strings = port_has_strings,
        .in_string = port_in_string,
        .out_string = port_out_string,
        .read_run = memory_read_run,
        .write_run = memory_write_run,
        .fill_run = memory_fill_run,
        .copy_run = memory_copy_run,
        .shutdown = shutdown_wire,
        .paused = paused,
        .dos_idle = dos_idle,
        .clock_by_hand = clock_by_hand,
        .host_tsc = host_tsc,
    };
}

/* ---- The memory map's ---- */

static u32 bus_read(void *bus, gpa_t gpa, u32 size)
{
    return bus_memory_read(bus, gpa, size);
}

static void bus_write(void *bus, gpa_t gpa, u32 size, u32 val)
{
    bus_memory_write(bus, gpa, size, val);
}

struct mmu_bus machine_memory_bus(struct machine *m)
{
    return (struct mmu_bus){ machine_bus(m), bus_read, bus_write };
}
