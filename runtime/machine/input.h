/*
 * What the user does, by keyboard and pointer: one way from every front end to whichever chip
 * takes it.
 */
#ifndef RING3_INPUT_H
#define RING3_INPUT_H

#include "runtime/base/base.h"

struct input_event {
    enum { INPUT_KEY, INPUT_POINTER } kind;
    u16 key; /* INPUT_KEY: a code of keys.def */
    bool down;
    /* INPUT_POINTER: motion, dy positive downwards; wheel positive towards the user */
    int dx, dy, wheel;
    u8 buttons;        /* held: bit 0 left, 1 right, 2 middle */
};
/* On the machine's thread. Nothing where no chip takes it. */
void machine_input(struct machine *m, const struct input_event *event);

#endif
