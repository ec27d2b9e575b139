/*
 * Where the machine's thread spends its time.
 */
#ifndef RING3_SAMPLER_H
#define RING3_SAMPLER_H

#include "runtime/machine/machine.h"

/* As activity_begin() and activity_end(). */
static inline u8 activity_enter(struct machine *m, enum activity what)
{
    return activity_begin(&m->activity, what);
}
static inline void activity_leave(struct machine *m, u8 before)
{
    activity_end(&m->activity, before);
}
/* Samples the calling thread, which runs the machine, from now on. Starting twice is fine. */
void sampler_start(struct machine *m);
void sampler_stop(struct machine *m); /* what was counted stays; by machine_free() */
/* The guest sleeps from now on, or no longer. */
void sampler_idle(struct machine *m, bool asleep);
/* Seconds since sampler_start(), by activity; "idle": asleep; "waiting": what the host's other
 * work took. Nothing if it was not started. */
void sampler_each(struct machine *m, void (*fn)(void *arg, const char *name, double seconds),
                  void *arg);

#endif
