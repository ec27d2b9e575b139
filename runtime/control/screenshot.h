/*
 * The screen as a file.
 */
#ifndef RING3_SCREENSHOT_H
#define RING3_SCREENSHOT_H

#include "runtime/base/base.h"

/* PPM or PNG of the current screen. NULL, or what went wrong. */
const char *screen_dump(struct machine *m, const char *path, bool png);

#endif
