/*
 * VNC: the guest's screen for viewers on the network (RFC 6143), by LibVNCServer.
 */
#ifndef RING3_VNC_H
#define RING3_VNC_H

#include "runtime/screen/display.h"

/* Opens what m->options->vnc says; beside a window, too. */
extern const struct display_backend vnc_backend;

#endif
