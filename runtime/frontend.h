/*
 * Small services around the machine: a look at the host, signals, the statistics file, the
 * progress line.
 */
#ifndef RING3_FRONTEND_H
#define RING3_FRONTEND_H

#include "runtime/machine.h"

/* Ends the program, with one line, if the host lacks what a machine of these options needs. */
void host_check(const struct options *o);

/* SIGINT, SIGTERM and SIGHUP end the machine in good order (files flushed, terminal restored);
 * SIGUSR1 writes the statistics now. Blocks them for the whole process: call before any thread. */
void signals_watch(struct machine *m);

/* Writes the counters and times as JSON to -stats' file; nothing without that option. */
void stats_write(struct machine *m);

/*
 * A line on the user's terminal, "ring3: TEXT", while something slow happens; overwritten in place,
 * gone with progress_done() or before the next output that goes there. Nothing where stderr is no
 * terminal, or in the first half second.
 */
void progress(const char *fmt, ...) PRINTF(1, 2);
void progress_done(void);
/* While the guest has said nothing yet on a serial port shown in the terminal: says how far it is. */
void progress_watch(struct machine *m);

#endif
