/*
 * The log of what runs (`-d exec`, `-d cpu`): see execlog.c.
 */
#ifndef RING3_EXECLOG_H
#define RING3_EXECLOG_H

#include "cpu/vcpu.h"
#include "runtime/base/debuglog.h"

/* Does the log want what runs? Then the engine's switches forbid chaining. */
static inline bool execlog_on(void)
{
    return debuglog_on(DEBUGLOG_EXEC | DEBUGLOG_CPU);
}

/* Is the CPU to be run by execlog_run()? So it is, too, where `int` was turned on while the
 * machine runs: what its translated code does without C would not be logged. */
bool execlog_drives(const struct vcpu *cpu);
/* Runs the CPU's code by its engine until that asks for the run loop, as engine.run does. */
void execlog_run(struct vcpu *cpu);

#endif
