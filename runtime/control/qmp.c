/*
 * The QMP server: one client at a time on a Unix socket, JSON objects both ways (QEMU's "QEMU
 * Machine Protocol Specification"). The client speaks first-come: a command may lie in pieces
 * over several reads, or several in one.
 *
 * Bounds: a command of more than MAX_COMMAND bytes ends the conversation, and so does a client
 * that leaves more than MAX_UNREAD bytes of answers unread.
 */
#include "runtime/control/qmp.h"
#include "runtime/control/qmp_commands.h"
#include "runtime/control/unix_socket.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMAND = 1 << 20, MAX_UNREAD = 4 << 20, CHUNK = 4096, LAST_WORDS_MS = 500 };

struct qmp {
    struct machine *machine;
    const char *path;
    int listener, client; /* client -1: nobody */
    bool negotiated;      /* qmp_capabilities was said */
    bool skipping;        /* after a syntax error: to the end of the line */
    struct json_tokener *tokener;
    u32 pending;          /* bytes of an unfinished command in the tokener */
    char *out;            /* answers the client has not taken yet */
    u32 out_size;
};

static void client_ready(void *arg, u32 events);

/* ---- Answers ---- */

static void hang_up(struct qmp *q)
{
    if (q->client < 0)
        return;
    loop_remove(q->machine, q->client);
    close(q->client);
    q->client = -1;
    q->out_size = 0;
    trace(TRACE_QMP, "client left");
}

static void flush_output(struct qmp *q)
{
    ssize_t done;

    if (!q->out_size || q->client < 0)
        return;
    done = send(q->client, q->out, q->out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(q);
        return;
    }
    if (done > 0) {
        q->out_size -= (u32)done;
        memmove(q->out, q->out + done, q->out_size);
    }
    loop_modify(q->machine, q->client, LOOP_READ | (q->out_size ? LOOP_WRITE : 0));
}

/* Sends and frees. */
static void send_answer(struct qmp *q, struct json_object *object)
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
    send_answer(q, object);
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
    n = recv(q->client, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0)
        take_input(q, data, (u32)n);
    else if (!n || (errno != EAGAIN && errno != EINTR))
        hang_up(q);
}

/* ---- Clients come and go ---- */

static void welcome(struct qmp *q, bool wait)
{
    int fd = unix_accept(q->listener, wait);

    if (fd < 0)
        return;
    hang_up(q); /* the newest client counts: an old one may have died without a word */
    q->client = fd;
    q->negotiated = q->skipping = false;
    q->pending = 0;
    json_tokener_reset(q->tokener);
    loop_add(q->machine, fd, LOOP_READ, client_ready, q);
    trace(TRACE_QMP, "client came");
    greet(q);
}

static void client_waits(void *arg, u32 events)
{
    welcome(arg, false);
}

void qmp_new(struct machine *m, const char *path, bool wait)
{
    struct qmp *q = calloc(1, sizeof(*q));

    check(q, "out of memory");
    q->machine = m;
    q->path = path;
    q->client = -1;
    q->tokener = json_tokener_new();
    q->listener = unix_listen(path, "-qmp");
    m->qmp = q;
    m->notify = notify_clients;
    loop_add(m, q->listener, LOOP_READ, client_waits, q);
    if (wait) {
        fprintf(stderr, "ring3: waiting for a QMP client at %s\n", path);
        welcome(q, true);
    }
}

/* The client gets a moment to take the last answers. */
static void last_words(struct qmp *q)
{
    struct pollfd p = { .fd = q->client, .events = POLLOUT };

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
    loop_remove(m, q->listener);
    unix_unlisten(q->listener, q->path);
    json_tokener_free(q->tokener);
    free(q->out);
    free(q);
    m->qmp = NULL;
}
