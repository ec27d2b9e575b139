/*
 * The human monitor's prompt, typed at after Ctrl+A c.
 */
#ifndef RING3_MONITOR_H
#define RING3_MONITOR_H

#include "runtime/base/base.h"

/* say() prints. shared: with a serial port, to which Ctrl+A c leads back. */
struct monitor;
struct monitor *monitor_new(struct machine *m, void (*say)(void *arg, const char *text),
                            void *arg, bool shared);
void monitor_free(struct monitor *mon); /* NULL is fine */
void monitor_type(struct monitor *mon, u8 byte);

#endif
