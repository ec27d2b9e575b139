/*
 * Where the bytes of serial ports and debug consoles go on the host: the makers of the
 * `struct chardev` that chips are wired to (devices/chardev.h).
 *
 * Nothing here blocks. What the guest writes waits in a bounded buffer until the host takes it;
 * when the buffer is full, or nobody is connected, it is dropped. Input is read no faster than
 * the chip takes it.
 */
#ifndef RING3_CHARDEV_H
#define RING3_CHARDEV_H

#include "devices/chardev.h"

struct options;
/* A target; of "chardev:ID" the one of that -chardev. die()s where there is none. NULL: NULL.
 */
const char *chardev_resolve(const struct options *o, const char *where);

/* A kind of back end: constant, a row of chardev.c's table. */
struct char_backend;
struct char_kind {
    const char *name;     /* as -serial spells it; ends with ":" where an argument follows */
    const char *argument; /* for messages; NULL: none */
    const char *chardev;  /* as -chardev names it; NULL: not there */
    bool path;            /* of -chardev: path= is the argument */
    bool telnet;          /* input and output go by RFC 854 */
    bool terminal;        /* it takes the terminal: only one may */
    bool typed;           /* somebody may type there: mon: may stand before it */
    bool datagrams;       /* a read is a whole piece, and no error is an end */
    void (*open)(struct char_backend *p, const char *arg); /* die()s on the user's mistakes */
    void (*close)(struct char_backend *p); /* what is not in, out or keeper; NULL: nothing is */
    /* Takes the output, in place of `out`; NULL: that does. */
    void (*take)(struct char_backend *p, const u8 *data, u32 n);
    /* What is at the other end is a chip of ours: makes it. open is NULL then. */
    struct chardev *(*chip)(struct machine *m);
};
extern const struct char_kind *const char_kinds[]; /* ends with NULL */
/* Of a target as below; NULL: none has that name, or its argument is missing, or mon: stands
 * where nobody could type. */
const struct char_kind *char_kind_of(const char *target);
/* Does mon: stand before it? */
bool char_monitored(const char *target);

/*
 * target, as -serial takes it:
 *   stdio               the terminal, byte by byte; Ctrl+C ends ring3
 *   file:PATH           made or emptied; output only
 *   pty                 a pseudo-terminal; its name is printed
 *   unix:PATH,server=on,wait=off   a socket for one client, the newest
 *   tcp:HOST:PORT,server=on,wait=off      the same by TCP; no HOST: on the loopback interface
 *   telnet:HOST:PORT,server=on,wait=off   for a telnet client
 *   the same without server=on     we are the client; reconnect=N: again N seconds after the
 *                       server is gone
 *   udp:[HOST]:PORT[@[ADDRESS]:PORT]      datagrams to and from one peer
 *   tty:PATH            a serial port of the host's, at the speed it has; or just /dev/…
 *   pipe:PATH           FIFOs PATH.in and PATH.out, or PATH for both
 *   ringbuf:SIZE        the newest SIZE bytes, a power of two, for the monitor and QMP
 *   msmouse             a serial mouse
 *   null, none
 *   mon:TARGET          one to type at: Ctrl+A c is the monitor, x quits; of the terminal,
 *                       Ctrl+C is the guest's
 *
 * Freed by chardev_free_all(). die()s with one line on the user's mistakes.
 */
struct chardev *chardev_new(struct machine *m, const char *target);
/* The same for a human monitor. */
void chardev_monitor(struct machine *m, const char *target);
/* Each -chardev that nobody has by now: QEMU makes them all, so that one can see and reach
 * them. */
void chardev_open_rest(struct machine *m);
/*
 * The ringbuf of a name as chardev_each() tells it: its oldest bytes are taken out, n at most,
 * or bytes are put in as the guest would. NULL, or what is wrong, in QEMU's words, good until
 * the next call. *data: n bytes, to be freed.
 */
const char *chardev_ring_read(struct machine *m, const char *label, u64 most, u8 **data,
                              u32 *n);
const char *chardev_ring_write(struct machine *m, const char *label, const u8 *data, u32 n);
/* Of each: its name, where it leads, whether somebody is at the other end. */
void chardev_each(struct machine *m,
                  void (*tell)(void *arg, const char *label, const char *target, bool open),
                  void *arg);
/* Writes out what is left (a terminal or peer gets a second to take it) and closes
 * everything. */
void chardev_free_all(struct machine *m);

#endif
