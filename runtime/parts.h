/*
 * Making a machine: the one place that knows every wing and every chip.
 */
#ifndef RING3_PARTS_H
#define RING3_PARTS_H

#include "runtime/machine/machine.h"

/* Builds a machine from the options; die()s with one line on the user's mistakes. */
struct machine *machine_new(struct options *o);
/* RAM, a bus and a CPU without a board or firmware: what tests build on. */
struct machine *machine_bare(struct options *o);
void machine_free(struct machine *m);

#endif
