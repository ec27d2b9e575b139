/*
 * -pidfile (pidfile.c).
 */
#ifndef RING3_PIDFILE_H
#define RING3_PIDFILE_H

#include "runtime/base/base.h"

/* Writes the process's number to the file, which is locked while it runs and removed when it ends in good
 * order. die()s, also where another process holds it. */
void pidfile_write(const char *path);

#endif
