/*
 * The human monitor: commands as QEMU's HMP spells them, run for QMP's human-monitor-command and
 * typed at the terminal after Ctrl+A c.
 */
#ifndef RING3_MONITOR_H
#define RING3_MONITOR_H

#include "runtime/base.h"

/* Runs one command line. Returns its output, to be freed by the caller. */
char *hmp_run(struct machine *m, const char *line);

/* A prompt on a terminal: say() prints. */
struct monitor;
struct monitor *monitor_new(struct machine *m, void (*say)(void *arg, const char *text), void *arg);
void monitor_free(struct monitor *mon); /* NULL is fine */
void monitor_type(struct monitor *mon, u8 byte);

#endif
