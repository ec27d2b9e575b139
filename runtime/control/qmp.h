/*
 * QMP's server, started by main.c; gone with qmp_free().
 */
#ifndef RING3_QMP_H
#define RING3_QMP_H

#include "runtime/base/base.h"

/* where: "unix:PATH", "tcp:HOST:PORT" (no HOST: the loopback interface), or "stdio". wait: until a
 * client is there. die()s. */
void qmp_new(struct machine *m, const char *where, bool wait);
/* The one at the other end listens; where is no stdio. die()s. */
void qmp_connect(struct machine *m, const char *where);
void qmp_free(struct machine *m);
void qmp_tray_moved(struct machine *m, const char *device, bool open);
void qmp_device_deleted(struct machine *m, const char *id);

#endif
