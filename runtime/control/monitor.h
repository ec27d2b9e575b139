/*
 * The human monitor's prompt, typed at after Ctrl+A c.
 */
#ifndef RING3_MONITOR_H
#define RING3_MONITOR_H

#include "runtime/base/base.h"

/* say() prints. */
struct monitor;
struct monitor *monitor_new(struct machine *m, void (*say)(void *arg, const char *text),
                            void *arg);
void monitor_free(struct monitor *mon); /* NULL is fine */
void monitor_type(struct monitor *mon, u8 byte);

#endif
