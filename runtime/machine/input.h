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
    /* And where the pointer is, if it is anywhere: 0 to 65535, of the picture's width and
     * height */
    bool placed;
    u16 x, y;
};
/* On the machine's thread. Nothing where no chip takes it. */
void machine_input(struct machine *m, const struct input_event *event);

/* Does the guest follow places? Then `placed` events need no grab. */
bool machine_follows_places(const struct machine *m);
/* A point as `x` or `y` has it, of `size` points: the outermost ones are 0 and 65535. */
u16 input_place(int at, u32 size);

#endif
