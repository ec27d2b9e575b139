/*
 * Keys and the mouse in the SDL2 window.
 */
#ifndef RING3_WINDOW_INPUT_H
#define RING3_WINDOW_INPUT_H

#include "runtime/screen/window.h"

/* Takes what SDL has for us. */
void window_events(struct window *w);

#endif
