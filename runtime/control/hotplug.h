/*
 * device_add and device_del: see hotplug.c.
 */
#ifndef RING3_HOTPLUG_H
#define RING3_HOTPLUG_H

#include "runtime/machine/machine.h"

struct hotplug_request {
    const char *driver, *id, *bus, *drive; /* NULL: not given */
    const char *unit;                      /* "0", "1"; NULL: the first that fits */
};
/* NULL, or in one line, in QEMU's words, why not (in a static buffer). */
const char *hotplug_add(struct machine *m, const struct hotplug_request *r);
bool hotplug_known(struct machine *m, const char *id);
/* Of an id that is known: the same. */
const char *hotplug_del(struct machine *m, const char *id);

#endif
