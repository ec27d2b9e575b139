/*
 * -daemonize (daemon.c).
 */
#ifndef RING3_DAEMON_H
#define RING3_DAEMON_H

#include "runtime/base/base.h"

/* Returns in a process of its own session. The first process waits for daemon_ready() and ends
 * with status 0 then, or with the other's status if that ends before; so mistakes are still
 * seen by who made them. Before there are threads or other processes. */
void daemon_begin(void);
/* All sockets listen. From now on there is no terminal. */
void daemon_ready(void);

#endif
