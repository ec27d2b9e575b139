/*
 * A Unix socket as a serial port's other end: we listen, or connect (char_client.c).
 */
#include "runtime/control/char_socket.h"
#include "runtime/machine/loop.h"

#include <stdlib.h>
#include <string.h>

/* One client at a time, the newest: one that vanished without a word keeps nobody out. */
static void take_client(void *arg, u32 events)
{
    struct char_backend *p = arg;
    int fd;

    if (p->in >= 0)
        char_hang_up(p);
    fd = unix_accept(p->listener, false);
    if (fd < 0)
        return;
    p->in = p->out = fd;
    char_watch(p);
}

static void open_unix(struct char_backend *p, const char *arg)
{
    struct socket_words w = socket_words(p->kind->name, arg);

    p->path = w.address;
    if (!w.server) {
        char_client_open(p, &w, unix_find);
        return;
    }
    p->listener = unix_listen(p->path, "-serial unix");
    if (w.wait) {
        fprintf(stderr, "ring3: waiting for a client at %s\n", p->path);
        p->in = p->out = unix_accept(p->listener, true);
        char_watch(p);
    }
    loop_add(p->m, p->listener, LOOP_READ, take_client, p);
}

static void close_unix(struct char_backend *p)
{
    char_client_free(p);
    if (p->listener >= 0) {
        loop_remove(p->m, p->listener);
        unix_unlisten(p->listener, p->path);
    }
    free(p->path);
}

const struct char_kind unix_kind = {
    .name = "unix:",
    .argument = "PATH",
    .chardev = "socket",
    .path = true,
    .typed = true,
    .open = open_unix,
    .close = close_unix,
};
