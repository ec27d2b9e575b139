/*
 * Memory through segments, and the stack (access.c).
 */
#ifndef RING3_ACCESS_H
#define RING3_ACCESS_H

#include "cpu/vcpu.h"

/*
 * size is 1, 2, 4 or 8 bytes. Checks presence, type and limit (#GP, or #SS for SS; error 0), then
 * translates with the CPL's privilege. cpu_check_* test an access without making it, so that
 * instructions with several accesses can fault before the first one. `off` is the offset, already
 * truncated to the address size.
 */
bool cpu_read(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 *val);
bool cpu_write(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 val);
/* Reads what will be written back: faults as a write does. */
bool cpu_read_rmw(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 *val);
bool cpu_check_read(struct vcpu *cpu, enum seg seg, u32 off, u32 size);
bool cpu_check_write(struct vcpu *cpu, enum seg seg, u32 off, u32 size);
/* Any size up to 512 (FXSAVE, environments, SSE); all or nothing. */
bool cpu_read_bytes(struct vcpu *cpu, enum seg seg, u32 off, void *buf, u32 n);
bool cpu_write_bytes(struct vcpu *cpu, enum seg seg, u32 off, const void *buf, u32 n);
bool cpu_check_write_bytes(struct vcpu *cpu, enum seg seg, u32 off, u32 n);
/* Segment checks only: *gla is where the access would go. */
bool cpu_linear(struct vcpu *cpu, enum seg seg, u32 off, u32 size, bool write, gla_t *gla);

/* Pushes and pops of the operand size (2 or 4), ESP or SP by SS.B. Pops leave ESP to the caller's
 * commit: `cpu_pop` reads at ESP + *skip and adds size to *skip; cpu_pop_commit adds it to ESP. */
bool cpu_push(struct vcpu *cpu, u32 size, u32 val);
bool cpu_pop(struct vcpu *cpu, u32 size, u32 *skip, u32 *val);
void cpu_pop_commit(struct vcpu *cpu, u32 skip);
/* The same reads, `count` of four bytes, at once. False: nothing has happened, and one by one
 * they may succeed, or fault. */
bool cpu_pop_words(struct vcpu *cpu, u32 count, u32 *skip, u32 *vals);

#endif
