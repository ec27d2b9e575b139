/*
 * What a monitor says of itself: see edid.c.
 */
#ifndef RING3_EDID_H
#define RING3_EDID_H

#include "runtime/base/base.h"

enum { EDID_SIZE = 128 };
/* A block whose preferred mode has that size (points; 8 to 4088 each way), at 60 Hz. */
void edid_make(u8 edid[EDID_SIZE], u32 width, u32 height);

#endif
