/*
 * The progress line on the user's terminal.
 */
#ifndef RING3_PROGRESS_H
#define RING3_PROGRESS_H

#include "runtime/base/base.h"

/*
 * A line on the user's terminal, "ring3: TEXT", while something slow happens; overwritten in
 * place, gone with progress_done() or before the next output that goes there. Nothing where
 * stderr is no terminal, or in the first half second.
 */
void progress(const char *fmt, ...) PRINTF(1, 2);
void progress_done(void);
/* While the guest has said nothing yet on a serial port shown in the terminal: says how far it
 * is. */
void progress_watch(struct machine *m);

#endif
