/*
 * The run loop, and the buttons on the case: all on the machine's thread.
 */
#ifndef RING3_RUN_H
#define RING3_RUN_H

#include "runtime/base/base.h"

/* Runs until quit; returns the exit status. */
int machine_run(struct machine *m);
void machine_stop(struct machine *m); /* QMP stop: clock and CPU stand */
void machine_cont(struct machine *m);
void machine_reset(struct machine *m); /* RESET on every chip, now: between instructions only */
void machine_wake(struct machine *m);  /* the same, out of S3 */
bool machine_time_passes(const struct machine *m); /* it runs, or is suspended */
/* Tells who listens (QMP's clients): an event's name there and its "reason", or NULL. */
void machine_notify(struct machine *m, const char *event, const char *reason);

#endif
