/*
 * The human monitor's commands as QEMU's HMP spells them: typed at the monitor, or in QMP's
 * human-monitor-command.
 */
#ifndef RING3_HMP_H
#define RING3_HMP_H

#include "runtime/base/base.h"

/* Runs one command line. Returns its output, to be freed by the caller. */
char *hmp_run(struct machine *m, const char *line);

#endif
