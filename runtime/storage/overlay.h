/*
 * A temporary copy of what the guest wrote, over another image: -snapshot. See overlay.c.
 */
#ifndef RING3_OVERLAY_H
#define RING3_OVERLAY_H

#include "runtime/storage/image.h"

/* A layer that may be written; owns `below` from then on. NULL: no temporary file could be
 * made, errno says why. */
struct image *overlay_new(struct image *below);

#endif
