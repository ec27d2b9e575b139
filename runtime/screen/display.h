/*
 * What shows the guest's screen and takes the user's keys: an SDL2 window, a terminal, VNC. They
 * run on the machine's thread, from the loop, at most 60 times a second, and draw only what
 * changed.
 */
#ifndef RING3_DISPLAY_H
#define RING3_DISPLAY_H

#include "runtime/machine/machine.h"

/* A display back end: constant, one per file, a row of display.c's table. Input goes to
 * machine_input(). */
struct display_backend {
    const char *name;             /* of -display */
    /* it takes the terminal; it is a window on the host's desktop */
    bool terminal, window;
    bool (*suits)(void);          /* Would it do, where the user says nothing? */
    const char *failed, *instead; /* around the error when it cannot be opened */
    /* NULL with *error set: no display, no terminal. */
    struct display *(*open)(struct machine *m, const char **error);
    /* Also restores the terminal; frees nothing of the machine's. */
    void (*close)(struct display *d);
};
/* An open one: leads the back end's own struct. */
struct display {
    const struct display_backend *backend;
    struct display *other; /* VNC beside a window or terminal; or NULL */
};

extern const struct display_backend *const displays[]; /* ends with NULL */
const struct display_backend *display_named(const char *name); /* NULL: none */
const struct display_backend *display_default(void); /* the first that suits; NULL: none does */

/* Opens what m->options asks for, -vnc as well; NULL for `none`. die()s with one line where that cannot
 * be. */
struct display *display_open(struct machine *m);
void display_close(struct display *d); /* NULL: nothing to do */

/*
 * Calls tick() up to `hz` times a second of host time, whether the guest runs, sleeps or is
 * stopped. One a display.
 */
struct ticker {
    int fd;
    void (*tick)(void *owner);
    void *owner;
};
bool ticker_start(struct ticker *t, struct machine *m, u32 hz, void (*tick)(void *owner),
                  void *owner);
void ticker_stop(struct ticker *t, struct machine *m);

/* "NAME - ring3 [running]", NAME being -name's or the first image's. */
void display_title(struct machine *m, char *buf, size_t size);

#endif
