/*
 * QMP's server, started by main.c; gone with qmp_free().
 */
#ifndef RING3_QMP_H
#define RING3_QMP_H

#include "runtime/base/base.h"

void qmp_new(struct machine *m, const char *path, bool wait);
void qmp_free(struct machine *m);
void qmp_tray_moved(struct machine *m, const char *device, bool open);


#endif
