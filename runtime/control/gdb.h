/*
 * The debugger's server: -gdb, -s (gdb.c).
 */
#ifndef RING3_GDB_H
#define RING3_GDB_H

#include "runtime/base/base.h"

/* Listens at `where`: "tcp:HOST:PORT" or "unix:PATH"; die()s. wait: for a client, at once. */
void gdb_new(struct machine *m, const char *where, bool wait);
/* The same while the guest runs, in place of the one that is there: "tcp:HOST:PORT", or "none". NULL, or
 * what went wrong. */
const char *gdb_change(struct machine *m, const char *where);
/* The client hears the exit status. */
void gdb_free(struct machine *m, int status);

#endif
