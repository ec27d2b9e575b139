/*
 * VNC on the machine's thread: the display back end. At most 30 times a second, and only while
 * somebody looks, the lines that changed are copied for the server's thread; what viewers typed
 * is taken from its queue.
 */
#include "runtime/screen/vnc.h"
#include "devices/frame.h"
#include "devices/vga.h"
#include "runtime/base/clock_ns.h"
#include "runtime/control/tcp_socket.h"
#include "runtime/control/unix_socket.h"
#include "runtime/machine/loop.h"
#include "runtime/screen/vnc_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    REFRESH = 30,
    FIRST_PORT = 5900,
    FIRST_WEBSOCKET = 5700,
    LAST_DISPLAY = 65535 - FIRST_PORT
};

/* ---- Pictures ---- */

/* The frame's lines top to bottom - 1, all of them where the size is new. */
static void hand_over(struct vnc *v, const struct frame *f, u32 top, u32 bottom)
{
    struct vnc_picture *p = &v->shared;

    pthread_mutex_lock(&v->mutex);
    if (p->width != f->width || p->height != f->height) {
        free(p->pixels);
        *p = (struct vnc_picture){calloc((size_t)f->width * f->height, sizeof(u32)), f->width,
                                  f->height, 0, f->height};
        check(p->pixels, "no memory for a picture");
        top = 0;
        bottom = f->height;
    }
    memcpy(p->pixels + (size_t)top * f->width, f->pixels + (size_t)top * f->width,
           (size_t)(bottom - top) * f->width * sizeof(u32));
    if (p->top == p->bottom) {
        p->top = top;
        p->bottom = bottom;
    } else {
        p->top = top < p->top ? top : p->top;
        p->bottom = bottom > p->bottom ? bottom : p->bottom;
    }
    pthread_mutex_unlock(&v->mutex);
    v->width = f->width;
    v->height = f->height;
}

/* False: nothing is new. */
static bool look(struct vnc *v)
{
    struct frame f;
    bool all;

    vga_draw(v->machine->vga, &f);
    if (!f.width || f.generation == v->generation)
        return false;
    /* Somebody else looked in between: what changed then is not in f.top to f.bottom. */
    all = f.generation != v->generation + 1;
    v->generation = f.generation;
    hand_over(v, &f, all ? 0 : f.top, all ? f.height : f.bottom);
    return true;
}

/* As the window does, looking leaves the guest most of the core. */
static void on_tick(void *owner)
{
    struct vnc *v = owner;
    u64 start, spent, rest;
    bool drawn;

    if (!__atomic_load_n(&v->viewer_count, __ATOMIC_ACQUIRE) ||
        host_monotonic() < v->rest_until)
        return;
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    drawn = look(v);
    if (drawn)
        vnc_server_wake(v);
    spent = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    rest = spent * (drawn ? 4 : 40);
    v->rest_until = host_monotonic() + (rest < MSEC(100) ? rest : MSEC(100));
}

/* ---- Input ---- */

static void on_input(void *arg, u32 events)
{
    struct vnc *v = arg;
    static _Thread_local struct vnc_input taken[INPUTS];
    eventfd_t count;
    u32 n;

    eventfd_read(v->input_fd, &count);
    pthread_mutex_lock(&v->mutex);
    n = v->inputs;
    memcpy(taken, v->input, n * sizeof(taken[0]));
    v->inputs = 0;
    pthread_mutex_unlock(&v->mutex);
    for (u32 i = 0; i < n; i++)
        vnc_take_input(v, &taken[i]);
    loop_hurry(v->machine); /* somebody looks at what it does */
}

/* ---- For QMP ---- */

static const char *set_password(struct vnc_control *c, const char *password, bool disconnect)
{
    struct vnc *v = container_of(c, struct vnc, control);

    if (!v->password_asked)
        return "VNC asks for no password: start it with -vnc …,password=on";
    pthread_mutex_lock(&v->mutex);
    snprintf(v->password, sizeof(v->password), "%s", password);
    v->disconnect |= disconnect;
    pthread_mutex_unlock(&v->mutex);
    vnc_server_wake(v);
    return NULL;
}

static u32 tell_viewers(struct vnc_control *c, struct vnc_viewer *viewers, u32 n)
{
    struct vnc *v = container_of(c, struct vnc, control);
    u32 count = 0;

    pthread_mutex_lock(&v->mutex);
    for (u32 i = 0; i < VIEWERS && count < n; i++)
        if (v->viewers[i].here)
            viewers[count++] = v->viewers[i];
    pthread_mutex_unlock(&v->mutex);
    return count;
}

/* ---- Opening and closing ---- */

static long port_number(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);

    if (end == text || *end || port < 1 || port > 65535)
        die("-vnc: websocket=%s: wants on, PORT or HOST:PORT", text);
    return port;
}

static char *format_port(const char *where, int host, long port)
{
    char *text;

    if (asprintf(&text, "%.*s:%ld", host, where, port) < 0)
        text = NULL;
    check(text, "no memory for an address");
    return text;
}

/* "[HOST]:DISPLAY": the display's number. *host: how long HOST is. */
static long display_of(const char *where, int *host)
{
    const char *colon = strrchr(where, ':');
    char *end = NULL;
    long display = colon ? strtol(colon + 1, &end, 10) : -1;

    if (!colon || end == colon + 1 || *end || display < 0 || display > LAST_DISPLAY)
        die("-vnc: '%s': wants [HOST]:DISPLAY (port 5900 + DISPLAY), unix:PATH or none", where);
    *host = (int)(colon - where);
    return display;
}

/* The first display that is free, from the one asked for to to=. Returns its number. */
static long listen_to_viewers(struct vnc *v, const char *where, long last)
{
    int host;
    long display = display_of(where, &host);

    for (v->listener = -1; v->listener < 0; display++) {
        free((char *)v->control.where);
        v->control.where = format_port(where, host, FIRST_PORT + display);
        if (display >= last)
            v->listener = tcp_listen(v->control.where, "-vnc");
        else
            v->listener = tcp_listen_if_free(v->control.where, "-vnc");
    }
    return display - 1;
}

/* websocket=on is 5700 + DISPLAY, of the same HOST; PORT, HOST:PORT. */
static void listen_to_websockets(struct vnc *v, const char *where, const char *websocket,
                                 long display)
{
    int host;
    char *text;

    display_of(where, &host);
    if (!strcmp(websocket, "on"))
        text = format_port(where, host, FIRST_WEBSOCKET + display);
    else if (strchr(websocket, ':'))
        text = format_port(websocket, (int)(strrchr(websocket, ':') - websocket),
                           port_number(strrchr(websocket, ':') + 1));
    else
        text = format_port(where, host, port_number(websocket));
    v->websockets = tcp_listen(text, "-vnc websocket");
    free(text);
}

static void open_socket(struct vnc *v, const struct options *o)
{
    const char *where = o->vnc;
    long display;

    v->websockets = -1;
    if (!strncmp(where, "unix:", 5)) {
        if (o->vnc_websocket)
            die("-vnc: websocket= is not supported with unix:PATH");
        v->socket_path = v->control.where = where + 5;
        v->control.local = true;
        v->listener = unix_listen(v->socket_path, "-vnc");
        return;
    }
    display = listen_to_viewers(v, where, o->vnc_to);
    if (o->vnc_websocket)
        listen_to_websockets(v, where, o->vnc_websocket, display);
}

static void vnc_close(struct display *d)
{
    struct vnc *v = (struct vnc *)d;

    v->machine->vnc = NULL;
    ticker_stop(&v->ticker, v->machine);
    loop_remove(v->machine, v->input_fd);
    vnc_server_stop(v);
    if (v->socket_path)
        unix_unlisten(v->listener, v->socket_path);
    else
        close(v->listener);
    if (v->websockets >= 0)
        close(v->websockets);
    close(v->input_fd);
    free(v->shared.pixels);
    layout_free(v->layout);
    pthread_mutex_destroy(&v->mutex);
}

static struct display *vnc_open(struct machine *m, const char **error)
{
    struct vnc *v = machine_alloc(m, sizeof(*v));
    const struct options *o = m->options;

    v->machine = m;
    v->last_x = v->last_y = -1;
    v->password_asked = v->control.authenticates = o->vnc_password;
    v->control.set_password = set_password;
    v->control.viewers = tell_viewers;
    pthread_mutex_init(&v->mutex, NULL);
    *error = "the board has no video";
    if (!m->vga)
        return NULL;
    v->layout = layout_new(o->keyboard_layout, error);
    if (!v->layout)
        return NULL;
    open_socket(v, o);
    look(v);
    v->input_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!vnc_server_start(v, error))
        return NULL;
    loop_add(m, v->input_fd, LOOP_READ, on_input, v);
    m->vnc = &v->control;
    *error = "no timer";
    return ticker_start(&v->ticker, m, REFRESH, on_tick, v) ? &v->display : NULL;
}

static bool vnc_suits(void)
{
    return false; /* only where it is asked for */
}

const struct display_backend vnc_backend = {
    .name = "vnc",
    .suits = vnc_suits,
    .failed = "-vnc",
    .instead = "",
    .open = vnc_open,
    .close = vnc_close,
};
