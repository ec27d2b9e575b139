/*
 * What QMP and the monitor do to the VNC server, whoever it is: runtime/screen/vnc.c puts its
 * own at machine.vnc. On the machine's thread.
 */
#ifndef RING3_VNC_CONTROL_H
#define RING3_VNC_CONTROL_H

#include "runtime/base/base.h"

struct vnc_viewer {
    bool here;
    char address[64]; /* numeric host, or "" for a Unix socket's peer */
    bool in;          /* past the password */
};
struct vnc_control {
    /* NULL, or why not. "" refuses everybody. The text is cut to eight letters, as RFB's is. */
    const char *(*set_password)(struct vnc_control *c, const char *password, bool disconnect);
    /* Fills `viewers`, which has room for n; how many there are. */
    u32 (*viewers)(struct vnc_control *c, struct vnc_viewer *viewers, u32 n);
    const char *where;  /* "HOST:PORT" or the socket's path */
    bool local;         /* it is a path */
    bool authenticates; /* by password */
};

#endif
