/*
 * Task switches (task.c; SDM vol. 3, 7.3).
 */
#ifndef RING3_TASK_H
#define RING3_TASK_H

#include "cpu/vcpu.h"

enum task_switch { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
/* next_eip is saved in the old TSS. */
bool cpu_switch_task(struct vcpu *cpu, u16 selector, enum task_switch how, u32 next_eip,
                     bool has_error, u32 error);

/* cpu_switch_task() with the EFLAGS to save: faults through task gates save RF set. */
bool task_switch_to(struct vcpu *cpu, u16 selector, enum task_switch how, u32 next_eip,
                    u32 flags, bool has_error, u32 error);

#endif
