/*
 * VNC from inside. Two threads share a struct vnc: the machine's (vnc.c: pictures out, input
 * in) and the server's (vnc_server.c), which alone touches LibVNCServer, so that a viewer that
 * stalls never holds up the guest. vnc_input.c makes keys and motion of what viewers send.
 *
 * Under `mutex`: shared, input, password, viewers[]. Everything else belongs to one of the two.
 */
#ifndef RING3_VNC_PRIVATE_H
#define RING3_VNC_PRIVATE_H

#include "runtime/control/layout.h"
#include "runtime/control/vnc_control.h"
#include "runtime/screen/display.h"

#include <pthread.h>

/* VIEWERS: at once. PASSWORD: what the protocol's DES key takes, and a zero. */
enum { VIEWERS = 16, INPUTS = 1024, HELD = 64, PASSWORD = 9 };

/* What a viewer did. */
struct vnc_input {
    enum { VNC_KEYSYM, VNC_PLACE, VNC_POINTER, VNC_MOTION, VNC_GONE } kind;
    u8 viewer;
    bool down;
    u32 key;    /* keysym, or RFB's XT code of the place */
    int x, y;   /* VNC_POINTER: where; VNC_MOTION: by how much */
    u8 buttons; /* RFB's: 1 left, 2 middle, 4 right, 8 and 16 wheel */
};

struct vnc_held {
    u8 viewer;
    u32 key;  /* as the viewer named it; 0: the row is free */
    u16 code; /* what the guest holds */
};

struct vnc_picture {
    u32 *pixels;                    /* width * height, 0x00RRGGBB */
    u32 width, height, top, bottom; /* lines top to bottom - 1 are new */
};

struct vnc {
    struct display display;
    struct vnc_control control;
    struct machine *machine;
    pthread_mutex_t mutex;

    /* The machine's thread. */
    struct ticker ticker;
    u64 generation, rest_until;
    int input_fd; /* an eventfd: the server has input */
    struct layout *layout;
    struct vnc_held held[HELD];
    bool caps;
    int last_x, last_y; /* -1: no pointer was here */
    u32 width, height;  /* of the picture that was handed over */
    u8 wheel;           /* RFB's wheel buttons that are down */

    /* Both. */
    struct vnc_picture shared;
    struct vnc_input input[INPUTS];
    u32 inputs;
    bool password_asked;     /* -vnc …,password=on; constant */
    char password[PASSWORD]; /* empty: nobody gets in */
    bool disconnect;         /* all viewers, at the next turn */
    struct vnc_viewer viewers[VIEWERS];
    int viewer_count; /* atomic */
    bool stop;        /* atomic */

    /* The server's thread. */
    pthread_t thread;
    int websockets;          /* a second listener; -1: none. Both take both kinds. */
    int listener, wake_fd;   /* an eventfd: there is a picture, or it is time to stop */
    const char *socket_path; /* NULL: TCP */
    struct _rfbScreenInfo *screen;
    struct vnc_picture shown;
};

/* vnc_server.c; start: false, and *error says why. */
bool vnc_server_start(struct vnc *v, const char **error);
void vnc_server_stop(struct vnc *v);
void vnc_server_wake(struct vnc *v);
/* vnc_input.c, on the machine's thread. */
void vnc_take_input(struct vnc *v, const struct vnc_input *in);

#endif
