/*
 * Far jumps, calls and returns (far.c; SDM vol. 3, 5.8), and the only places that change the privilege
 * and the code segment.
 */
#ifndef RING3_FAR_H
#define RING3_FAR_H

#include "cpu/segment.h"

bool cpu_far_jump(struct vcpu *cpu, u16 selector, u32 off, u32 opsize, u32 next_eip);
bool cpu_far_call(struct vcpu *cpu, u16 selector, u32 off, u32 opsize, u32 next_eip);
bool cpu_far_ret(struct vcpu *cpu, u32 opsize, u32 pop_bytes);

void cpu_set_cpl(struct vcpu *cpu, u32 cpl);
/* Loads CS and EIP from a checked descriptor, with `rpl` the new CPL. */
void cpu_commit_code(struct vcpu *cpu, u16 selector, const u32 desc[2], u32 rpl, u32 eip);

/* ---- Returns, by RET and IRET ---- */

/* May CS be returned to? A checked descriptor whose RPL is the new CPL; #GP, #NP. */
bool far_check_return_code(struct vcpu *cpu, u16 selector, const u32 desc[2]);
/* Pops the stack of a return to the outer level `rpl`, for stack_commit(). #GP, #SS, #PF. */
bool far_pop_outer_stack(struct vcpu *cpu, u32 opsize, u32 *skip, u32 rpl, struct stack *s);

#endif
