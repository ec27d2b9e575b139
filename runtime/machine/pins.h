/*
 * Where the processor's pins and the memory map's bus lead on this board.
 */
#ifndef RING3_PINS_H
#define RING3_PINS_H

#include "cpu/vcpu.h"
#include "mmu/mmu.h"

struct cpu_pins machine_pins(struct machine *m); /* but those of interrupts, which the chips add */
struct mmu_bus machine_memory_bus(struct machine *m);

#endif
