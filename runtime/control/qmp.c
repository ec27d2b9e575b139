/*
 * The QMP server: one client at a time on a socket or on standard input and output, JSON objects
 * both ways (QEMU's "QEMU Machine Protocol Specification"). The client speaks first-come: a command may lie in pieces
 * over several reads, or several in one.
 *
 * Bounds: a command of more than MAX_COMMAND bytes ends the conversation, and so does a client
 * that leaves more than MAX_UNREAD bytes of answers unread. So that a guest cannot cut a client
 * off, an event which it makes as often as it likes (RESET) is sent once in EVENT_NS; of those in
 * between the last one follows at the end of that time, or before the next message.
 */
#include "runtime/control/qmp.h"
#include "runtime/control/qmp_commands.h"
#include "runtime/control/tcp_socket.h"
#include "runtime/control/unix_socket.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMAND = 1 << 20, MAX_UNREAD = 4 << 20, CHUNK = 4096, LAST_WORDS_MS = 500 };
#define EVENT_NS MSEC(100)

struct qmp {
    struct machine *machine;
    const char *path;     /* of a Unix socket; NULL: TCP, or the terminal */
    int listener, client; /* -1: none; nobody */
    int out_fd;           /* where answers go: client, or standard output */
    bool negotiated;      /* qmp_capabilities was said */
    bool skipping;        /* after a syntax error: to the end of the line */
    struct json_tokener *tokener;
    u32 pending;          /* bytes of an unfinished command in the tokener */
    char *out;            /* answers the client has not taken yet */
    u32 out_size;
    struct {
        u64 last;                 /* host time when one was sent */
        struct json_object *held; /* to be sent EVENT_NS after that; NULL: none */
    } reset;
    struct loop_source timer; /* for the held one */
};

const char *const qmp_events[] = { "DEVICE_DELETED", "DEVICE_TRAY_MOVED", "POWERDOWN", "RESET",
                                   "RESUME", "SHUTDOWN", "STOP", "SUSPEND", "SUSPEND_DISK",
                                   "WAKEUP", NULL };

static void client_ready(void *arg, u32 events);

/* ---- Answers ---- */

static void hang_up(struct qmp *q)
{
    if (q->client < 0)
        return;
    loop_remove(q->machine, q->client);
    if (q->out_fd != q->client)
        loop_remove(q->machine, q->out_fd);
    else
        close(q->client);
    q->client = -1;
    q->out_size = 0;
    json_object_put(q->reset.held);
    q->reset.held = NULL;
    trace(TRACE_QMP, "client left");
}

/* A terminal or pipe that is ready takes PIPE_BUF bytes without blocking (pipe(7)). */
static ssize_t write_some(struct qmp *q)
{
    struct pollfd p = { .fd = q->out_fd, .events = POLLOUT };

    if (q->out_fd == q->client)
        return send(q->client, q->out, q->out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (poll(&p, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(q->out_fd, q->out, q->out_size < PIPE_BUF ? q->out_size : PIPE_BUF);
}

static void watch(struct qmp *q)
{
    u32 writes = q->out_size ? LOOP_WRITE : 0;

    loop_modify(q->machine, q->client, LOOP_READ | (q->out_fd == q->client ? writes : 0));
    if (q->out_fd != q->client)
        loop_modify(q->machine, q->out_fd, writes);
}

static void flush_output(struct qmp *q)
{
    ssize_t done;

    if (!q->out_size || q->client < 0)
        return;
    done = write_some(q);
    if (done < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(q);
        return;
    }
    if (done > 0) {
        q->out_size -= (u32)done;
        memmove(q->out, q->out + done, q->out_size);
    }
    watch(q);
}

/* Sends and frees. */
static void send_now(struct qmp *q, struct json_object *object)
{
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE |
                                                                  JSON_C_TO_STRING_SPACED);
    u32 n = (u32)strlen(text);

    trace(TRACE_QMP, "< %s", text);
    if (q->client >= 0 && q->out_size + n + 2 > MAX_UNREAD)
        hang_up(q);
    if (q->client >= 0) {
        q->out = realloc(q->out, q->out_size + n + 2);
        check(q->out, "out of memory");
        memcpy(q->out + q->out_size, text, n);
        memcpy(q->out + q->out_size + n, "\r\n", 2);
        q->out_size += n + 2;
        flush_output(q);
    }
    json_object_put(object);
}

static void send_held(struct qmp *q)
{
    struct json_object *held = q->reset.held;

    if (!held)
        return;
    q->reset.held = NULL;
    q->reset.last = host_monotonic();
    send_now(q, held);
}

/* What happened before it is told before it. Frees the object. */
static void send_answer(struct qmp *q, struct json_object *object)
{
    send_held(q);
    send_now(q, object);
}

static struct json_object *json_text(const char *text)
{
    return json_object_new_string(text);
}

static void greet(struct qmp *q)
{
    struct json_object *hello = json_object_new_object(), *body = json_object_new_object();
    struct qmp_call call = { .machine = q->machine };

    qmp_run(&call, "query-version");
    json_object_object_add(body, "version", call.result);
    json_object_object_add(body, "capabilities", json_object_new_array());
    json_object_object_add(hello, "QMP", body);
    send_answer(q, hello);
}

static void answer_error(struct qmp *q, const char *class, const char *text,
                         struct json_object *id)
{
    struct json_object *reply = json_object_new_object(), *error = json_object_new_object();

    json_object_object_add(error, "class", json_text(class));
    json_object_object_add(error, "desc", json_text(text));
    if (id)
        json_object_object_add(reply, "id", json_object_get(id));
    json_object_object_add(reply, "error", error);
    send_answer(q, reply);
}

static void answer_call(struct qmp *q, struct qmp_call *call, struct json_object *id)
{
    struct json_object *reply;

    if (call->error[0]) {
        answer_error(q, call->class ? call->class : "GenericError", call->error, id);
        json_object_put(call->result);
        return;
    }
    reply = json_object_new_object();
    json_object_object_add(reply, "return",
                           call->result ? call->result : json_object_new_object());
    if (id)
        json_object_object_add(reply, "id", json_object_get(id));
    send_answer(q, reply);
}

/* ---- Events ---- */

static void send_event(struct qmp *q, const char *event, struct json_object *data)
{
    struct json_object *object = json_object_new_object(), *when = json_object_new_object();
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    json_object_object_add(when, "seconds", json_object_new_int64(now.tv_sec));
    json_object_object_add(when, "microseconds", json_object_new_int64(now.tv_nsec / 1000));
    json_object_object_add(object, "timestamp", when);
    json_object_object_add(object, "event", json_text(event));
    if (data)
        json_object_object_add(object, "data", data);
    if (strcmp(event, "RESET")) {
        send_answer(q, object);
        return;
    }
    json_object_put(q->reset.held);
    q->reset.held = object;
    if (host_monotonic() - q->reset.last >= EVENT_NS)
        send_held(q);
}

/* When the held event is due. */
static u64 held_wait(struct loop_source *s)
{
    struct qmp *q = container_of(s, struct qmp, timer);
    u64 since = host_monotonic() - q->reset.last;

    if (!q->reset.held)
        return ~0ull;
    return since < EVENT_NS ? EVENT_NS - since : 0;
}

static void held_serve(struct loop_source *s)
{
    if (!held_wait(s))
        send_held(container_of(s, struct qmp, timer));
}

static bool listening(const struct qmp *q)
{
    return q && q->client >= 0 && q->negotiated;
}

static void notify_clients(struct machine *m, const char *event, const char *reason)
{
    struct json_object *data = NULL;

    if (!listening(m->qmp))
        return;
    if (reason) {
        data = json_object_new_object();
        json_object_object_add(data, "guest",
                               json_object_new_boolean(!strncmp(reason, "guest", 5)));
        json_object_object_add(data, "reason", json_text(reason));
    }
    send_event(m->qmp, event, data);
}

void qmp_tray_moved(struct machine *m, const char *device, bool open)
{
    struct json_object *data;

    if (!listening(m->qmp))
        return;
    data = json_object_new_object();
    json_object_object_add(data, "device", json_text(device));
    json_object_object_add(data, "id", json_text(""));
    json_object_object_add(data, "tray-open", json_object_new_boolean(open));
    send_event(m->qmp, "DEVICE_TRAY_MOVED", data);
}

void qmp_device_deleted(struct machine *m, const char *id)
{
    struct json_object *data;
    char path[128];

    if (!listening(m->qmp))
        return;
    snprintf(path, sizeof(path), "/machine/peripheral/%s", id);
    data = json_object_new_object();
    json_object_object_add(data, "device", json_text(id));
    json_object_object_add(data, "path", json_text(path));
    send_event(m->qmp, "DEVICE_DELETED", data);
}

/* ---- Commands ---- */

static void send_error(struct qmp_call *call, const char *class, const char *text)
{
    call->class = class;
    snprintf(call->error, sizeof(call->error), "%s", text);
}

static void negotiate(struct qmp *q, struct qmp_call *call, bool asked)
{
    if (asked && q->negotiated)
        send_error(call, "CommandNotFound",
             "Capabilities negotiation is already complete, command ignored");
    else if (asked)
        q->negotiated = true;
    else
        send_error(call, "CommandNotFound",
             "Expecting capabilities negotiation with 'qmp_capabilities'");
}

static void dispatch(struct qmp *q, struct json_object *command)
{
    struct qmp_call call = { .machine = q->machine };
    struct json_object *id = NULL, *name = NULL;
    bool is_capabilities;

    trace(TRACE_QMP, "> %s", json_object_to_json_string(command));
    if (!json_object_is_type(command, json_type_object)) {
        answer_error(q, "GenericError", "QMP input must be a JSON object", NULL);
        return;
    }
    json_object_object_get_ex(command, "id", &id);
    json_object_object_get_ex(command, "arguments", &call.args);
    if (!json_object_object_get_ex(command, "execute", &name) ||
        !json_object_is_type(name, json_type_string)) {
        answer_error(q, "GenericError", "QMP input lacks member 'execute'", id);
        return;
    }
    if (call.args && !json_object_is_type(call.args, json_type_object)) {
        answer_error(q, "GenericError", "QMP input member 'arguments' must be an object", id);
        return;
    }
    is_capabilities = !strcmp(json_object_get_string(name), "qmp_capabilities");
    if (is_capabilities || !q->negotiated)
        negotiate(q, &call, is_capabilities);
    else
        qmp_run(&call, json_object_get_string(name));
    answer_call(q, &call, id);
}

/* ---- Reading ---- */

/* One step of the tokener over data[0..n). Returns the bytes taken. */
static u32 parse(struct qmp *q, const char *data, u32 n)
{
    struct json_object *command = json_tokener_parse_ex(q->tokener, data, (int)n);
    enum json_tokener_error error = json_tokener_get_error(q->tokener);
    u32 taken = (u32)json_tokener_get_parse_end(q->tokener);

    if (error == json_tokener_continue) {
        q->pending += n;
        return n;
    }
    json_tokener_reset(q->tokener);
    q->pending = 0;
    if (error == json_tokener_success) {
        dispatch(q, command);
        json_object_put(command);
        return taken;
    }
    q->skipping = true;
    answer_error(q, "GenericError", "JSON parse error", NULL);
    return taken < n ? taken : n;
}

static u32 skip_line(struct qmp *q, const char *data, u32 n)
{
    const char *end = memchr(data, '\n', n);

    if (!end)
        return n;
    q->skipping = false;
    return (u32)(end - data) + 1;
}

/* Blanks between commands, which the tokener would count as an unfinished one. */
static u32 skip_blanks(struct qmp *q, const char *data, u32 n)
{
    u32 i = 0;

    while (!q->pending && i < n && strchr(" \t\r\n", data[i]) && data[i])
        i++;
    return i;
}

static void take_input(struct qmp *q, const char *data, u32 n)
{
    u32 at = 0;

    while (at < n && q->client >= 0) {
        if (q->skipping) {
            at += skip_line(q, data + at, n - at);
            continue;
        }
        at += skip_blanks(q, data + at, n - at);
        if (at < n)
            at += parse(q, data + at, n - at);
    }
    if (q->client >= 0 && q->pending > MAX_COMMAND) {
        answer_error(q, "GenericError", "command too long", NULL);
        hang_up(q);
    }
}

static void client_ready(void *arg, u32 events)
{
    struct qmp *q = arg;
    char data[CHUNK];
    ssize_t n;

    if (events & LOOP_WRITE)
        flush_output(q);
    if (!(events & LOOP_READ) || q->client < 0)
        return;
    n = q->out_fd == q->client ? recv(q->client, data, sizeof(data), MSG_DONTWAIT)
                               : read(q->client, data, sizeof(data));
    if (n > 0)
        take_input(q, data, (u32)n);
    else if (!n || (errno != EAGAIN && errno != EINTR))
        hang_up(q);
}

/* ---- Clients come and go ---- */

static void output_ready(void *arg, u32 events)
{
    flush_output(arg);
}

static void begin(struct qmp *q, int in, int out)
{
    q->client = in;
    q->out_fd = out;
    q->negotiated = q->skipping = false;
    q->pending = 0;
    json_tokener_reset(q->tokener);
    loop_add(q->machine, in, LOOP_READ, client_ready, q);
    if (out != in)
        loop_add(q->machine, out, 0, output_ready, q);
    trace(TRACE_QMP, "client came");
    greet(q);
}

static void welcome(struct qmp *q, bool wait)
{
    int fd = q->path ? unix_accept(q->listener, wait) : tcp_accept(q->listener, wait);

    if (fd < 0)
        return;
    hang_up(q); /* the newest client counts: an old one may have died without a word */
    begin(q, fd, fd);
}

static void client_waits(void *arg, u32 events)
{
    welcome(arg, false);
}

static int open_listener(struct qmp *q, const char *where)
{
    if (!strncmp(where, "tcp:", 4))
        return tcp_listen(where + 4, "-qmp tcp");
    q->path = where + 5;
    return unix_listen(q->path, "-qmp");
}

static struct qmp *make(struct machine *m)
{
    struct qmp *q = calloc(1, sizeof(*q));

    check(q, "out of memory");
    q->machine = m;
    q->client = q->listener = -1;
    q->tokener = json_tokener_new();
    m->qmp = q;
    m->notify = notify_clients;
    q->timer = (struct loop_source){ held_wait, held_serve, .m = m };
    loop_add_source(m, &q->timer);
    return q;
}

void qmp_new(struct machine *m, const char *where, bool wait)
{
    struct qmp *q = make(m);

    if (!strcmp(where, "stdio")) {
        begin(q, STDIN_FILENO, STDOUT_FILENO);
        return;
    }
    q->listener = open_listener(q, where);
    loop_add(m, q->listener, LOOP_READ, client_waits, q);
    if (wait) {
        fprintf(stderr, "ring3: waiting for a QMP client at %s\n", where);
        welcome(q, true);
    }
}

void qmp_connect(struct machine *m, const char *where)
{
    bool tcp = !strncmp(where, "tcp:", 4);
    const char *address = where + (tcp ? 4 : 5), *error;
    struct sockaddr_storage a;
    socklen_t size = (tcp ? tcp_find : unix_find)(address, &a, &error);
    int fd;

    if (!size)
        die("-qmp: %s: %s", where, error);
    fd = socket_connect(&a, size);
    if (fd < 0)
        die("-qmp: %s: cannot connect: %s", where, strerror(errno));
    begin(make(m), fd, fd);
}

/* The client gets a moment to take the last answers. */
static void last_words(struct qmp *q)
{
    struct pollfd p = { .fd = q->out_fd, .events = POLLOUT };

    if (q->client >= 0)
        send_held(q);
    while (q->client >= 0 && q->out_size && poll(&p, 1, LAST_WORDS_MS) > 0)
        flush_output(q);
    hang_up(q);
}

void qmp_free(struct machine *m)
{
    struct qmp *q = m->qmp;

    if (!q)
        return;
    last_words(q);
    loop_remove_source(&q->timer);
    if (q->listener >= 0)
        loop_remove(m, q->listener);
    if (q->path)
        unix_unlisten(q->listener, q->path);
    else if (q->listener >= 0)
        close(q->listener);
    json_tokener_free(q->tokener);
    free(q->out);
    free(q);
    m->qmp = NULL;
}
