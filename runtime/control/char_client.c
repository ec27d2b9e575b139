/*
 * A character back end that is a socket's client: it connects at the start, and with reconnect=
 * again some time after the server went. By the host's clock: a stopped machine's monitor may
 * be at the other end.
 */
#include "runtime/base/keyval.h"
#include "runtime/control/char_socket.h"
#include "runtime/machine/hostclock.h"
#include "runtime/machine/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct char_client {
    struct char_backend *p;
    struct loop_source source;
    struct sockaddr_storage to;
    socklen_t size;
    u64 after; /* ns; 0: there is no second try */
    u64 due;   /* by host_monotonic(); 0: connected, connecting, or over */
    int fd;    /* connecting; -1: none */
};

struct socket_words socket_words(const char *kind, const char *arg)
{
    struct word_keys {
        bool server, wait, nowait;
        u32 reconnect;
    } k = {.wait = true};
    static const struct key_row rows[] = {
        KEY(struct word_keys, server, KEY_BOOL),
        KEY(struct word_keys, wait, KEY_BOOL),
        KEY(struct word_keys, nowait, KEY_BOOL),
        {"reconnect", KEY_U32, offsetof(struct word_keys, reconnect), NULL, .max = 86400},
        {"nodelay", KEY_IGNORE, 0, NULL},
        {"delay", KEY_IGNORE, 0, NULL},
        {"ipv4", KEY_IGNORE, 0, NULL},
    };
    size_t n = strcspn(arg, ",");

    keyval_read(kind, arg[n] ? arg + n + 1 : "", NULL, rows, ARRAY_SIZE(rows), &k);
    if (k.server && k.reconnect)
        die("%s%s: reconnect= is of a client, not with server=on", kind, arg);
    return (struct socket_words){strndup(arg, n), k.server, k.wait && !k.nowait, k.reconnect};
}

/* ---- Connecting ---- */

static void plan_again(struct char_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->due = c->after ? host_monotonic() + c->after : 0;
}

static void adopt(struct char_client *c)
{
    c->p->in = c->p->out = c->fd;
    c->fd = -1;
    char_watch(c->p);
}

static void connected(void *arg, u32 events)
{
    struct char_client *c = arg;
    int error = 0;
    socklen_t size = sizeof(error);

    loop_remove(c->p->m, c->fd);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error)
        plan_again(c);
    else
        adopt(c);
}

static void try_again(struct char_client *c)
{
    c->due = 0;
    c->fd = socket(c->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd >= 0 && !connect(c->fd, (struct sockaddr *)&c->to, c->size))
        adopt(c);
    else if (c->fd >= 0 && errno == EINPROGRESS)
        loop_add(c->p->m, c->fd, LOOP_WRITE, connected, c);
    else
        plan_again(c);
}

static u64 until_due(struct loop_source *s)
{
    struct char_client *c = container_of(s, struct char_client, source);
    u64 now = host_monotonic();

    return !c->due ? ~0ull : c->due > now ? c->due - now : 0;
}

static void serve_due(struct loop_source *s)
{
    if (!until_due(s))
        try_again(container_of(s, struct char_client, source));
}

void char_client_lost(struct char_backend *p)
{
    plan_again(p->client);
}

/* ---- The start ---- */

static struct char_client *client_new(struct char_backend *p, const struct socket_words *w)
{
    struct char_client *c = calloc(1, sizeof(*c));

    check(c, "out of memory");
    c->p = p;
    c->fd = -1;
    c->after = SEC((u64)w->reconnect);
    c->source = (struct loop_source){until_due, serve_due};
    p->client = c;
    loop_add_source(p->m, &c->source);
    return c;
}

static void first_try(struct char_client *c, const char *address)
{
    if (c->after) {
        try_again(c);
        return;
    }
    c->fd = socket_connect(&c->to, c->size);
    if (c->fd < 0)
        die("%s%s: cannot connect: %s", c->p->kind->name, address, strerror(errno));
    adopt(c);
}

void char_client_open(struct char_backend *p, const struct socket_words *w, socket_find *find)
{
    struct char_client *c = client_new(p, w);
    const char *error;

    c->size = find(w->address, &c->to, &error);
    if (!c->size)
        die("%s%s: %s", p->kind->name, w->address, error);
    first_try(c, w->address);
}

void char_client_free(struct char_backend *p)
{
    if (!p->client)
        return;
    loop_remove_source(&p->client->source);
    if (p->client->fd >= 0) {
        loop_remove(p->m, p->client->fd);
        close(p->client->fd);
    }
    free(p->client);
}
