/*
 * The reference interpreter (interp.c): as an engine, and step by step for the others.
 */
#ifndef RING3_INTERP_H
#define RING3_INTERP_H

#include "cpu/vcpu.h"

struct insn;

extern const struct engine interp_engine;

/* One instruction, or the delivery of what it raised. EIP is exact before and after. REP string
 * instructions may return after some iterations, EIP unmoved, to let interrupts in. */
void cpu_step(struct vcpu *cpu);
/* The same without a look at requests: for engines that have served them already. */
void cpu_run_one(struct vcpu *cpu);
/* Runs an instruction decoded before, at the present EIP, without TF, RF and breakpoints. False: an
 * exception was delivered instead. */
bool cpu_run_insn(struct vcpu *cpu, const struct insn *in);
/* The same where mode, privilege and model are known to allow it, and it has nothing to do with the FPU. */
bool cpu_run_admitted(struct vcpu *cpu, const struct insn *in);

#endif
