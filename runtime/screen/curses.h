/*
 * The screen in the terminal.
 */
#ifndef RING3_CURSES_H
#define RING3_CURSES_H

#include "runtime/screen/display.h"

extern const struct display_backend curses_backend;

#endif
