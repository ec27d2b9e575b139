/*
 * Libraries that are loaded when one of their functions is called first (libraries.S).
 */
#ifndef RING3_LIBRARIES_H
#define RING3_LIBRARIES_H

#include "runtime/base/base.h"

struct library;
/* Fills the table's slots; a library that cannot be loaded, or is too old, ends ring3 with one
 * line and status 1. For the stubs, on any thread: to load a library twice does no harm. */
void library_load(struct library *l);

#endif
