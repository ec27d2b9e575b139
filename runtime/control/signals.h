/*
 * Signals that ask the program to end.
 */
#ifndef RING3_SIGNALS_H
#define RING3_SIGNALS_H

#include "runtime/base/base.h"

/* SIGINT, SIGTERM and SIGHUP end the machine in good order (files flushed, terminal restored);
 * SIGUSR1 writes the statistics now. Blocks them for the whole process: call before any
 * thread. */
void signals_watch(struct machine *m);

#endif
