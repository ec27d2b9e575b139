/*
 * Time that the host took from the guest: hidden from its clocks, and made up later. See stolen.c.
 */
#ifndef RING3_STOLEN_H
#define RING3_STOLEN_H

#include "runtime/base/base.h"

struct machine;

struct stolen {
    bool works;       /* the host's CPU time of a thread is fine enough */
    u64 wall, cpu;    /* the host's clock and this thread's CPU time, read together */
    u64 seen;         /* the TSC when C last looked at the clock */
    u64 lag;          /* nanoseconds that were hidden and are not made up yet */
    u32 fraction;     /* of a tick, times 2^32, that the guest's TSC was not moved by yet */
    u64 served;       /* of them, those by stolen_release() */
    u64 made_up;      /* the host's clock when that was last done */
    u64 held;         /* machine time that stands while the host's things are served; 0: it goes */
    u64 held_tsc;     /* the host's TSC at that time */
    u64 heard_until;  /* machine time: somebody listens */
};

/* The clock starts, on the thread that will run the guest. Returns the host's time at which: what was
 * before is not looked at. */
u64 stolen_start(struct machine *m);
/* The clock is read, `now` by the host's: hides what was taken since it was read before, and makes
 * up some of what was hidden. Both move machine time's offset. */
void stolen_look(struct machine *m, u64 now);
/* How long a wait of the guest's is for the host, while `lag` is made up. Nanoseconds. */
u64 stolen_wait(const struct machine *m, u64 ns);

/* The guest waits, for `ns` at most: of this, what is to be made up passes at once. Returns the
 * rest, which is to be slept. ~0 is without end, and stays so. */
u64 stolen_make_up(struct machine *m, u64 ns);
/* Around what the host does while the guest waits or stands still: machine time is that at which
 * hold() was called, or a sleep was to end (`until`), at most. Later what was longer is taken time,
 * up to a limit. */
void stolen_hold(struct machine *m, u64 until);
void stolen_release(struct machine *m);
/* Somebody hears what the guest does: for the next 50 ms machine time stays close to the host's. */
void stolen_heard(struct machine *m);

#endif
