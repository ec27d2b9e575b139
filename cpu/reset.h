/*
 * A processor's making and end, its reset, and its registers as text (reset.c).
 */
#ifndef RING3_RESET_H
#define RING3_RESET_H

#include "cpu/vcpu.h"

struct cpu_model;

/* `features` as cpu_features_of() returns them. The pins are copied. */
struct vcpu *cpu_new(struct mmu *mmu, const struct cpu_model *model, u64 features,
                     const struct cpu_pins *pins);
void cpu_free(struct vcpu *cpu);
/* The state after RESET (vol. 3, table 9-1): real mode, CS:EIP = F000:FFF0, base FFFF0000. */
void cpu_reset(struct vcpu *cpu);
/* QEMU's `info registers` layout. Returns bytes written, NUL not counted. */
size_t cpu_print(const struct vcpu *cpu, char *buf, size_t size);
/* The same without the FPU's and SSE's. */
size_t cpu_print_integer(const struct vcpu *cpu, char *buf, size_t size);

#endif
