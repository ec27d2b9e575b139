/*
 * A debugger outside the guest (debugger.c): breakpoints, watchpoints and single steps that the
 * guest neither sees nor can disturb. DR0 to DR7, EFLAGS.TF and the guest's memory stay the
 * guest's.
 *
 * A hit leaves the engine at an instruction boundary, by REQ_EVENT, and waits there to be
 * taken.
 */
#ifndef RING3_DEBUGGER_H
#define RING3_DEBUGGER_H

#include "cpu/vcpu.h"

enum debug_point_kind { POINT_EXEC, POINT_WRITE, POINT_READ, POINT_ACCESS };
enum { MAX_DEBUG_POINTS = 256 };

/* What stopped the guest. */
struct debug_hit {
    enum debug_point_kind kind;
    gla_t gla; /* the point's */
};

/* Makes room for a debugger's points. No engine may be running. */
void cpu_debugger_attach(struct vcpu *cpu);
/* Forgets them all; without a debugger it does nothing. */
void cpu_debugger_detach(struct vcpu *cpu);

/* len: bytes from gla on, 1 or more; of POINT_EXEC only gla counts. Again the same point is no
 * second one. False: there are too many. */
bool cpu_debugger_insert(struct vcpu *cpu, enum debug_point_kind kind, gla_t gla, u32 len);
/* False: no such point. */
bool cpu_debugger_remove(struct vcpu *cpu, enum debug_point_kind kind, gla_t gla, u32 len);

/* What has been hit since the last question. False: nothing. */
bool cpu_debugger_hit(struct vcpu *cpu, struct debug_hit *hit);
/* The engine is about to run: the breakpoint at EIP has been seen, the first instruction passes
 * it. */
void cpu_debugger_pass(struct vcpu *cpu);
/*
 * Runs one instruction, or one iteration of a repeated one, as hardware does with TF; or
 * delivers the guest's own #DB, if one is due. Exceptions are delivered; interrupts wait; HLT
 * is left as by a debug exception. For use while no engine runs.
 */
void cpu_debugger_step(struct vcpu *cpu);

/* ---- For engines; a debugger is attached where vcpu.watch_* are not 0 ---- */

enum { WATCH_DATA = 1, WATCH_STEP = 2 }; /* bits of vcpu.watch_all */

/* Is the instruction at gla a breakpoint's? Then it is the hit. Asked before it runs, if
 * watch_code. */
bool cpu_debugger_fetch(struct vcpu *cpu, gla_t gla);
/* A data access succeeded; asked if watch_all. */
void cpu_debugger_access(struct vcpu *cpu, gla_t gla, u32 size, bool write);
/* Has the page a breakpoint? */
bool cpu_debugger_page(const struct vcpu *cpu, gla_t gla);
/* Are the pages with breakpoints others than at the last question? */
bool cpu_debugger_pages_changed(struct vcpu *cpu);

/* One iteration of a repeated instruction is all that is wanted. */
static inline bool cpu_debugger_stepping(const struct vcpu *cpu)
{
    return cpu->watch_all & WATCH_STEP;
}

#endif
