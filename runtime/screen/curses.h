/*
 * The screen in the terminal.
 */
#ifndef RING3_CURSES_H
#define RING3_CURSES_H

#include "runtime/screen/display.h"

/* NULL with *error set: no terminal. */
struct viewer *curses_open(struct machine *m, const char **error);

#endif
