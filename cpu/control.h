/*
 * Control registers, and the handlers of this side that rows of other tables call (control.c).
 */
#ifndef RING3_CONTROL_H
#define RING3_CONTROL_H

#include "cpu/vcpu.h"

struct insn;

bool cpu_has_cr4(const struct vcpu *cpu); /* by its features: SDM vol. 3, 2.5 */
bool cpu_set_cr0(struct vcpu *cpu, u32 val);
bool cpu_set_cr3(struct vcpu *cpu, u32 val);
bool cpu_set_cr4(struct vcpu *cpu, u32 val);

bool ex_mov_from_seg(struct vcpu *cpu, const struct insn *in); /* 8C */
bool ex_mov_to_seg(struct vcpu *cpu, const struct insn *in);   /* 8E */
bool ex_mov_cr(struct vcpu *cpu, const struct insn *in);       /* 0F 20, 0F 22 */
bool ex_push_seg(struct vcpu *cpu, const struct insn *in);
bool ex_pop_seg(struct vcpu *cpu, const struct insn *in);

#endif
