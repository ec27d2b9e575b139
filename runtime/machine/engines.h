/*
 * The table of engines, and which one runs a machine.
 */
#ifndef RING3_ENGINES_H
#define RING3_ENGINES_H

#include "cpu/engine.h"

extern const struct engine *const engines[]; /* ends with NULL */
const struct engine *engine_named(const char *name); /* NULL: none */
void engine_attach(struct machine *m, const struct engine *engine); /* once the CPU is made */

#endif
