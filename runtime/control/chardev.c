/*
 * Serial ports' and debug consoles' host side. All kinds share one shape: a descriptor to read,
 * one to write (often the same), and an output buffer that the loop empties when the host takes
 * it.
 *
 *   chip ──write()──▶ buffer ──POLLOUT──▶ out        in ──POLLIN──▶ [Ctrl+A] ──receive()──▶ chip
 */
#include "runtime/control/char_socket.h"
#include "runtime/control/control.h"
#include "runtime/control/monitor.h"
#include "runtime/control/progress.h"
#include "runtime/control/terminal.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, FLUSH_AT = 1 << 15, CHUNK = 4096, PIECE = 1 << 16, DRAIN_MS = 1000 };
#define FEED_AFTER MSEC(1)

/* ---- Output ---- */

static void update_events(struct char_backend *p);

/* Writes once; false when the descriptor takes no more now or is gone. */
static bool flush_once(struct char_backend *p)
{
    u32 n = p->held, straight = BUFFER - p->head;
    ssize_t done;

    if (!n || p->out < 0)
        return false;
    if (n > straight)
        n = straight;
    done = write(p->out, p->buffer + p->head, n > CHUNK ? CHUNK : n);
    if (done < 0 && errno != EAGAIN && errno != EINTR)
        p->held = 0; /* a full disk, a closed pipe: nobody listens */
    if (done <= 0)
        return false;
    p->head = (p->head + (u32)done) % BUFFER;
    p->held -= (u32)done;
    return true;
}

static void flush_output(struct char_backend *p)
{
    while (flush_once(p))
        ;
    update_events(p);
}

static void port_write(struct chardev *c, const u8 *data, u32 n)
{
    struct char_backend *p = container_of(c, struct char_backend, c);
    bool was_empty = !p->held;

    if (p->log >= 0 && write(p->log, data, n) < 0 && errno != EAGAIN && errno != EINTR) {
        close(p->log); /* a full disk */
        p->log = -1;
    }
    if (p->kind->take)
        p->kind->take(p, data, n);
    if (p->out < 0)
        return;
    if (p->terminal && !p->m->spoken) {
        p->m->spoken = true;
        progress_done();
    }
    for (u32 i = 0; i < n && p->held < BUFFER; i++) {
        p->buffer[(p->head + p->held++) % BUFFER] = data[i];
        if (p->kind->telnet && data[i] == 0xff && p->held < BUFFER)
            p->buffer[(p->head + p->held++) % BUFFER] = data[i];
    }
    /* Early once in a while; a reader that is slow gets the rest from the loop. */
    if (p->held % FLUSH_AT == 0 && p->held < BUFFER)
        flush_output(p);
    else if (was_empty)
        update_events(p);
}

static void monitor_says(void *arg, const char *text)
{
    struct char_backend *p = arg;

    port_write(&p->c, (const u8 *)text, (u32)strlen(text));
}

/* ---- Input ---- */

/* Bytes that may be given now. Where no chip listens (a debug console), input is read and
 * dropped. */
static u32 guest_room(struct char_backend *p)
{
    return p->c.receive ? p->c.can_receive(p->c.dev) : CHUNK;
}

/*
 * As much of what waits as there is room for, in one piece: libslirp makes a packet of each,
 * and has room for all that it said only once.
 */
static void feed(struct char_backend *p)
{
    u32 n;

    while (p->pending_count && (n = guest_room(p))) {
        const u8 *data = p->pending + p->pending_at;

        n = n < p->pending_count ? n : p->pending_count;
        p->pending_at += n;
        p->pending_count -= n;
        if (p->c.receive)
            p->c.receive(p->c.dev, data, n);
    }
}

/* Text not at once: guests lose what comes faster than by a line of their time. */
static void feed_soon(struct char_backend *p)
{
    u64 after = p->kind->datagrams ? 0 : FEED_AFTER;

    if (p->pending_count && !p->feed.armed)
        timer_set(&p->feed, clock_now(p->m) + after);
}

static void feed_fire(void *owner)
{
    feed(owner);
    update_events(owner);
}

static void to_guest(struct char_backend *p, u8 byte)
{
    p->pending[p->pending_at + p->pending_count++] = byte;
}

static u8 escape_of(const struct char_backend *p)
{
    return p->m->options->escape ? (u8)p->m->options->escape : 1;
}

static void command(struct char_backend *p, u8 key)
{
    switch (key) {
    case 'x':
        monitor_says(p, "ring3: terminated\r\n");
        control_quit(p->m, "host-ui");
        break;
    case 'c':
        if (p->monitor) {
            monitor_free(p->monitor);
            p->monitor = NULL;
            monitor_says(p, "\r\n");
        } else {
            p->monitor = monitor_new(p->m, monitor_says, p, true);
        }
        break;
    case 1:
        to_guest(p, 1);
        break;
    default:
        monitor_says(p, "\r\nCtrl+A then  x: quit   c: monitor and back   Ctrl+A: send Ctrl+A  "
                        " h: this\r\n");
    }
}

static void typed(struct char_backend *p, u8 byte)
{
    if (p->prefixed) {
        p->prefixed = false;
        command(p, byte);
    } else if (p->monitored && byte == escape_of(p)) {
        p->prefixed = true;
    } else if (p->monitor) {
        monitor_type(p->monitor, byte);
    } else {
        to_guest(p, byte);
    }
}

void char_hang_up(struct char_backend *p)
{
    if (p->in >= 0)
        loop_remove(p->m, p->in);
    if ((p->listener >= 0 || p->client) && p->in >= 0) {
        close(p->in); /* a client left, and the listener takes the next; or the server did */
        p->out = -1;
        p->held = 0;
        if (p->client)
            char_client_lost(p);
    }
    p->in = -1;
    update_events(p);
}

/*
 * How much may be read now. The host keeps what the guest does not take; but Ctrl+A must be
 * seen whether the guest listens or not, and nobody knows a datagram's size before it is read.
 */
static u32 input_room(struct char_backend *p)
{
    u32 room = p->monitor || p->pending_count ? 0 : guest_room(p);

    if (p->monitored)
        return p->pending_count <= PIECE ? PIECE : 0;
    if (p->monitor)
        return CHUNK;
    return p->kind->datagrams && room ? PIECE : room < CHUNK ? room : CHUNK;
}

/* Room for PIECE bytes behind those that wait. */
static void make_room(struct char_backend *p)
{
    if (!p->pending) {
        p->pending = malloc(2 * PIECE);
        check(p->pending, "out of memory");
    }
    memmove(p->pending, p->pending + p->pending_at, p->pending_count);
    p->pending_at = 0;
}

static void read_input(struct char_backend *p)
{
    u8 data[PIECE];
    u32 n = input_room(p);
    ssize_t got;

    if (!n)
        return;
    make_room(p);
    got = read(p->in, data, n);
    if (!p->kind->datagrams && (!got || (got < 0 && errno != EAGAIN && errno != EINTR))) {
        char_hang_up(p);
        return;
    }
    for (ssize_t i = 0; i < got; i++)
        if (!p->kind->telnet || char_telnet_byte(p, data[i]))
            typed(p, data[i]);
    if (p->kind->datagrams)
        feed_soon(p);
    else
        feed(p);
}

static void accept_input(struct chardev *c)
{
    struct char_backend *p = container_of(c, struct char_backend, c);

    feed_soon(p);
    update_events(p);
}

/* ---- The loop ---- */

static void backend_ready(void *arg, u32 events)
{
    struct char_backend *p = arg;

    if (events & LOOP_WRITE)
        flush_output(p);
    if (events & LOOP_READ && p->in >= 0)
        read_input(p);
    update_events(p);
}

static void out_ready(void *arg, u32 events)
{
    flush_output(arg);
}

static void update_events(struct char_backend *p)
{
    u32 reads = p->in >= 0 && input_room(p) ? LOOP_READ : 0, writes = p->held ? LOOP_WRITE : 0;

    if (p->in >= 0)
        loop_modify(p->m, p->in, reads | (p->in == p->out ? writes : 0));
    if (p->out >= 0 && p->in != p->out)
        loop_modify(p->m, p->out, writes);
}

void char_watch(struct char_backend *p)
{
    if (p->is_monitor) {
        monitor_free(p->monitor);
        p->monitor = monitor_new(p->m, monitor_says, p, false);
    }
    if (p->in >= 0)
        loop_add(p->m, p->in, 0, backend_ready, p);
    if (p->out >= 0 && p->out != p->in)
        loop_add(p->m, p->out, 0, out_ready, p);
    update_events(p);
}

/* ---- The kinds ---- */

const char *chardev_resolve(const struct options *o, const char *where)
{
    const char *id;

    if (!where || strncmp(where, "chardev:", 8))
        return where;
    id = where + 8;
    for (u32 i = 0; i < MAX_CHARDEVS && o->chardev[i].id; i++)
        if (!strcmp(o->chardev[i].id, id))
            return o->chardev[i].target;
    die("chardev=%s: no -chardev has id=%s", id, id);
}

const struct char_kind *const char_kinds[] = {
    &stdio_kind, &file_kind, &pty_kind,  &unix_kind,    &tcp_kind,     &telnet_kind, &udp_kind,
    &pipe_kind,  &tty_kind,  &null_kind, &ringbuf_kind, &msmouse_kind, &none_kind,   NULL,
};

bool char_monitored(const char *target)
{
    return !strncmp(target, "mon:", 4);
}

static const char *behind_mon(const char *target)
{
    return char_monitored(target) ? target + 4 : target;
}

const struct char_kind *char_kind_of(const char *target)
{
    bool monitored = char_monitored(target);

    target = behind_mon(target);
    for (u32 i = 0; char_kinds[i]; i++) {
        const char *name = char_kinds[i]->name;
        size_t n = strlen(name);

        if (!strncmp(target, name, n) && (name[n - 1] == ':' ? target[n] != '\0' : !target[n]))
            return monitored && !char_kinds[i]->typed ? NULL : char_kinds[i];
    }
    return NULL;
}

static int open_log(const char *path, bool append)
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | (append ? O_APPEND : O_TRUNC),
             0666);

    if (fd < 0)
        die("-chardev logfile=%s: %s", path, strerror(errno));
    return fd;
}

/* What the -chardev that this target is of says besides. */
static void take_options(struct char_backend *p, const struct options *o, const char *target)
{
    for (u32 i = 0; o && i < MAX_CHARDEVS && o->chardev[i].id; i++)
        if (o->chardev[i].target == target) {
            p->label = o->chardev[i].id;
            if (o->chardev[i].log)
                p->log = open_log(o->chardev[i].log, o->chardev[i].log_append);
        }
}

static struct chardev *open_backend(struct machine *m, const char *target, bool is_monitor)
{
    const struct char_kind *kind;
    struct char_backend *p = calloc(1, sizeof(*p));

    check(p, "out of memory");
    target = m->options ? chardev_resolve(m->options, target) : target;
    kind = char_kind_of(target);
    if (!kind)
        die("'%s' is no target for a serial port: stdio, file:PATH, pty, unix:PATH, tcp:HOST:PORT, null",
            target);
    p->kind = kind;
    p->target = strdup(target);
    p->m = m;
    p->is_monitor = is_monitor;
    p->in = p->out = p->listener = p->keeper = p->log = -1;
    p->monitored = char_monitored(target);
    timer_init(&p->feed, m, feed_fire, p);
    take_options(p, m->options, target);
    p->buffer = malloc(BUFFER);
    check(p->buffer, "out of memory");
    p->c.write = port_write;
    p->c.accept_input = accept_input;
    p->next = m->ports;
    m->ports = p;
    if (kind->chip)
        return kind->chip(m);
    kind->open(p, behind_mon(target) + strlen(kind->name));
    return &p->c;
}

struct chardev *chardev_new(struct machine *m, const char *target)
{
    return open_backend(m, target, false);
}

void chardev_monitor(struct machine *m, const char *target)
{
    open_backend(m, target, true);
}

/* QMP's own is none of the ports. */
void chardev_open_rest(struct machine *m)
{
    const struct options *o = m->options;

    for (u32 i = 0; i < MAX_CHARDEVS && o->chardev[i].id; i++)
        if (!o->chardev[i].qmp && !chardev_named(m, o->chardev[i].id))
            open_backend(m, o->chardev[i].target, false);
}

/* A terminal scrolls, a reader reads: give them a moment to take the rest. */
static void drain_output(struct char_backend *p)
{
    struct pollfd poller = { .fd = p->out, .events = POLLOUT };

    while (p->held && p->out >= 0 && poll(&poller, 1, DRAIN_MS) > 0 && flush_once(p))
        ;
}

static void port_free(struct char_backend *p)
{
    int fds[] = { p->in, p->out != p->in ? p->out : -1, p->keeper };

    if (p->log >= 0)
        close(p->log);

    drain_output(p);
    monitor_free(p->monitor);
    timer_cancel(&p->feed);
    for (u32 i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0) {
            loop_remove(p->m, fds[i]);
            if (fds[i] != STDIN_FILENO)
                close(fds[i]);
        }
    if (p->kind->close)
        p->kind->close(p);
    free(p->buffer);
    free(p->pending);
    free(p->target);
    free(p);
}

/* By the -chardev's id, or numbered: ports are listed newest first, and numbered in the order
 * in which they were made. */
static void name_of(const struct char_backend *p, char name[32])
{
    u32 before = 0;

    for (const struct char_backend *q = p->next; q; q = q->next)
        before += q->is_monitor == p->is_monitor;
    if (p->label)
        snprintf(name, 32, "%s", p->label);
    else
        snprintf(name, 32, p->is_monitor ? "compat_monitor%u" : "serial%u", before);
}

void chardev_each(struct machine *m,
                  void (*tell)(void *arg, const char *label, const char *target, bool open),
                  void *arg)
{
    for (struct char_backend *p = m->ports; p; p = p->next) {
        char name[32];

        name_of(p, name);
        tell(arg, name, p->target, p->out >= 0 || p->kind->take || p->kind->chip);
    }
}

struct char_backend *chardev_named(struct machine *m, const char *label)
{
    for (struct char_backend *p = m->ports; p; p = p->next) {
        char name[32];

        name_of(p, name);
        if (!strcmp(name, label))
            return p;
    }
    return NULL;
}

void chardev_free_all(struct machine *m)
{
    struct char_backend *p;

    while ((p = m->ports)) {
        m->ports = p->next;
        port_free(p);
    }
    terminal_restore();
}
