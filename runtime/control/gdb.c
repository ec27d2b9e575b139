/*
 * The debugger's server: a socket of TCP or a Unix socket, and one client at a time, for whom
 * there is a gdb_session. A second one is turned away: two debuggers would take each other's
 * points.
 *
 * Answers that the client does not take wait here; one that leaves more than MAX_UNREAD bytes
 * is gone.
 */
#include "runtime/control/gdb.h"
#include "runtime/control/gdb_session.h"
#include "runtime/control/tcp_socket.h"
#include "runtime/control/unix_socket.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_UNREAD = 4 << 20, CHUNK = 4096, LAST_WORDS_MS = 500 };

struct gdb {
    struct machine *machine;
    const char *path; /* of a Unix socket; or NULL */
    int listener, client;
    bool listening; /* a command of the client's runs */
    struct gdb_session *session; /* of the client, or NULL */
    bool gone;                   /* the client is, and the session has yet to hear of it */
    char *out;
    u32 out_size;
};

/* ---- Answers ---- */

static void flush_output(struct gdb *g)
{
    ssize_t done = send(g->client, g->out, g->out_size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (done < 0 && errno != EAGAIN && errno != EINTR)
        g->gone = true;
    if (done > 0) {
        g->out_size -= (u32)done;
        memmove(g->out, g->out + done, g->out_size);
    }
    loop_modify(g->machine, g->client, LOOP_READ | (g->out_size ? LOOP_WRITE : 0));
}

static void send_bytes(void *arg, const char *data, u32 n)
{
    struct gdb *g = arg;

    if (g->out_size + n > MAX_UNREAD)
        g->gone = true;
    if (g->gone)
        return;
    g->out = realloc(g->out, g->out_size + n);
    check(g->out, "out of memory");
    memcpy(g->out + g->out_size, data, n);
    g->out_size += n;
    flush_output(g);
}

/* ---- Clients come and go ---- */

static void hang_up(struct gdb *g)
{
    if (g->client < 0)
        return;
    loop_remove(g->machine, g->client);
    close(g->client);
    g->client = -1;
    g->out_size = 0;
    gdb_session_free(g->session);
    g->session = NULL;
    g->gone = false;
    trace(TRACE_GDB, "client left");
}

static void client_ready(void *arg, u32 events)
{
    struct gdb *g = arg;
    u8 data[CHUNK];
    ssize_t n;

    if (events & LOOP_WRITE)
        flush_output(g);
    if (events & LOOP_READ && !g->gone) {
        n = recv(g->client, data, sizeof(data), MSG_DONTWAIT);
        if (n > 0) {
            g->listening = true;
            gdb_session_input(g->session, data, (u32)n);
            g->listening = false;
        } else if (!n || (errno != EAGAIN && errno != EINTR))
            g->gone = true;
    }
    if (g->gone)
        hang_up(g);
}

/* Has it left, which the loop is about to find out? */
static bool client_left(const struct gdb *g)
{
    u8 byte;

    return g->client >= 0 && !recv(g->client, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
}

static void welcome(struct gdb *g, bool wait)
{
    int fd = g->path ? unix_accept(g->listener, wait) : tcp_accept(g->listener, wait);

    if (fd < 0)
        return;
    if (client_left(g))
        hang_up(g);
    if (g->client >= 0) {
        trace(TRACE_GDB, "a second client");
        close(fd);
        return;
    }
    g->client = fd;
    loop_add(g->machine, fd, LOOP_READ, client_ready, g);
    trace(TRACE_GDB, "client came");
    g->session = gdb_session_new(g->machine, send_bytes, g);
}

static void client_waits(void *arg, u32 events)
{
    welcome(arg, false);
}

static void turn(struct machine *m)
{
    struct gdb *g = m->gdb;

    if (!g->session)
        return;
    gdb_session_turn(g->session);
    if (g->gone)
        hang_up(g);
}

static struct gdb *serve(struct machine *m, int listener, const char *path)
{
    struct gdb *g = calloc(1, sizeof(*g));

    check(g, "out of memory");
    *g = (struct gdb){ .machine = m, .client = -1, .path = path, .listener = listener };
    m->gdb = g;
    m->debug = turn;
    loop_add(m, g->listener, LOOP_READ, client_waits, g);
    return g;
}

void gdb_new(struct machine *m, const char *where, bool wait)
{
    bool tcp = !strncmp(where, "tcp:", 4);
    const char *path = tcp ? NULL : where + 5;
    int fd = tcp ? tcp_listen(where + 4, "-gdb tcp") : unix_listen(path, "-gdb unix");
    struct gdb *g = serve(m, fd, path);

    if (wait) {
        fprintf(stderr, "ring3: waiting for a debugger at %s\n", where);
        welcome(g, true);
    }
}

/* The client gets a moment to take the last answers. */
static void last_words(struct gdb *g, int status)
{
    struct pollfd p = {.fd = g->client, .events = POLLOUT};

    if (g->client < 0)
        return;
    gdb_session_exit(g->session, status);
    while (!g->gone && g->out_size && poll(&p, 1, LAST_WORDS_MS) > 0)
        flush_output(g);
    hang_up(g);
}

void gdb_free(struct machine *m, int status)
{
    struct gdb *g = m->gdb;

    if (!g)
        return;
    last_words(g, status);
    loop_remove(m, g->listener);
    if (g->path)
        unix_unlisten(g->listener, g->path);
    else
        close(g->listener);
    free(g->out);
    free(g);
    m->gdb = NULL;
    m->debug = NULL;
}

const char *gdb_change(struct machine *m, const char *where)
{
    const char *error;
    int fd;

    if (strncmp(where, "tcp:", 4) && strcmp(where, "none"))
        return "only tcp:HOST:PORT or none";
    if (m->gdb && m->gdb->listening)
        return "not from the debugger itself";
    gdb_free(m, 0);
    if (!strcmp(where, "none"))
        return NULL;
    fd = tcp_try_listen(where + 4, &error);
    if (fd < 0)
        return error;
    serve(m, fd, NULL);
    return NULL;
}
