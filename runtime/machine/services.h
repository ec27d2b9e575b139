/*
 * What chips ask of the frame is declared in devices/device.h; this is the frame's own end of
 * it.
 */
#ifndef RING3_SERVICES_H
#define RING3_SERVICES_H

#include "devices/device.h"

void machine_free_allocations(struct machine *m); /* what machine_alloc() gave */

#endif
