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

/* Runs the CPU's code by its engine until that asks for the run loop, as engine.run does. */
void execlog_run(struct vcpu *cpu);

#endif
