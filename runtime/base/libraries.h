/*
 * Libraries that are loaded when one of their functions is called first (libraries.S).
 */
#ifndef RING3_LIBRARIES_H
#define RING3_LIBRARIES_H

#include "runtime/base/base.h"

struct library; /* library_NAME of libraries.S */
/* For what is asked for while the guest runs: NULL and the table's slots are filled, or one line
 * that says why they cannot be (in a static buffer of the thread). */
const char *library_missing(struct library *l);
/* Fills the table's slots; a library that cannot be loaded, or is too old, ends ring3 with one
 * line and status 1. For the stubs, on any thread: to load a library twice does no harm. */
void library_load(struct library *l);

#endif
