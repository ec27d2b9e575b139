/*
 * Character back ends from inside: what chardev.c (buffers, the loop) and the kinds
 * (char_stdio.c, char_file.c, char_unix.c, char_tcp.c, char_client.c, char_udp.c, char_ring.c)
 * share. A new kind is a struct char_kind in a file of its own, and a row in chardev.c.
 */
#ifndef RING3_CHAR_BACKEND_H
#define RING3_CHAR_BACKEND_H

#include "devices/device.h"
#include "runtime/control/chardev.h"

struct char_backend {
    struct chardev c;
    const struct char_kind *kind;
    char *target; /* as the options say it */
    const char *label; /* the -chardev's id; NULL: none */
    struct machine *m;
    struct char_backend *next;
    int in, out;          /* -1: none */
    int log; /* -chardev logfile=: what goes out goes there, too; -1: none */
    int listener, keeper; /* a Unix socket's; a pty's other end, kept open against hang-ups */
    char *path;           /* of the listener */
    u8 *buffer;           /* a ring */
    u32 head, held;       /* where the oldest byte is, how many there are */
    bool terminal;        /* a stdio kind */
    bool monitored;       /* Ctrl+A commands */
    bool prefixed;        /* Ctrl+A was typed */
    struct monitor *monitor; /* while Ctrl+A c shows it; of -monitor, while there is a client */
    bool is_monitor;         /* -monitor: nothing else is here */
    u8 telnet;               /* enum telnet_state */
    void *impl;              /* the kind's; freed by its close() */
    struct char_client *client; /* who connects (char_client.c); NULL: nobody */
    /* Input that the chip had no room for yet. */
    u8 *pending;
    u32 pending_at, pending_count;
    struct timer feed;
};

/* Once `in` and `out` are open: they are served from the loop. */
void char_watch(struct char_backend *p);
/* As chardev_each() names them; NULL: none is called so. */
struct char_backend *chardev_named(struct machine *m, const char *label);
/* The other end is gone. */
void char_hang_up(struct char_backend *p);

/* Is the byte from a telnet client text? */
bool char_telnet_byte(struct char_backend *p, u8 byte);

extern const struct char_kind stdio_kind, file_kind, pty_kind, unix_kind, tcp_kind, telnet_kind,
    udp_kind, pipe_kind, tty_kind, ringbuf_kind, msmouse_kind, null_kind, none_kind;

#endif
