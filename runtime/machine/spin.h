/*
 * A guest that only waits, and how long the host may sleep for it.
 */
#ifndef RING3_SPIN_H
#define RING3_SPIN_H

#include "runtime/base/base.h"

/* The CPU has run a batch of PAUSEs. Returns how many make the next one. */
u32 machine_paused(struct machine *m);
/* DOS says that it waits for a key. */
void machine_dos_idle(struct machine *m);
/* Sleeps as it asked for, until the deadline in `next` nanoseconds at most. */
void machine_spin_sleep(struct machine *m, u64 next);

#endif
