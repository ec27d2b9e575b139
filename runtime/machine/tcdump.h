/*
 * The translation cache written to a file: `-dump-tc`, and commands of monitor and QMP.
 */
#ifndef RING3_TCDUMP_H
#define RING3_TCDUMP_H

#include "runtime/base/base.h"

/* As lines of JSON: docs/statistics.md. NULL, or what went wrong: a text that holds till the
 * next call. An engine that makes no code: an empty file. */
const char *tcdump_write(struct machine *m, const char *path, bool listing);
/* At exit: to -dump-tc's file; nothing without that option. What goes wrong is a warning. */
void tcdump_at_exit(struct machine *m);

#endif
