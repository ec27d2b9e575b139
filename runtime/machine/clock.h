/*
 * The machine's clock and its deadlines, as the run loop and tests drive them. Chips see devices/device.h.
 */
#ifndef RING3_CLOCK_H
#define RING3_CLOCK_H

#include "runtime/base/base.h"

void clock_start(struct machine *m);
void clock_stop(struct machine *m);
/* Manual clocks only: moves time on, firing timers in order at their deadlines. */
void clock_advance(struct machine *m, u64 ns);
/* Fires what is due. Returns nanoseconds to the next deadline, ~0 if none. */
u64 timers_run(struct machine *m);
/* The guest waits: fires an eager timer that would be due soon. False: there is none. */
bool timers_hurry(struct machine *m);
/* Of a deterministic machine, which is one whose time is what it has run: it has run as long as
 * its engine does between two looks at the clock; it has nothing to do for so long, which passes at
 * once. False: it is none, or has nothing to wait for but the outside. */
void clock_turn(struct machine *m);
bool clock_skip(struct machine *m, u64 ns);
/* Asks for an REQ_TIMER at the first deadline, or when descriptors are to be looked at. */
void clock_arm(struct machine *m);

#endif
