/*
 * VNC's server thread: it alone uses LibVNCServer, with a picture of its own. So a viewer that
 * sends half a message, or takes nothing, holds up other viewers for PATIENCE at most, and the
 * guest never.
 *
 * Two of QEMU's extensions of RFB (rfbproto's "QEMU Extended Key Event" and "QEMU Pointer
 * Motion Change"): the viewer says by a pseudo-encoding that it knows one, and an empty
 * rectangle of that encoding says that we do.
 */
#include "runtime/screen/vnc_private.h"

#include "runtime/base/libraries.h"
#include "runtime/control/tcp_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rfb/rfb.h>

enum { PATIENCE_MS = 2000, BLUE_SHIFT = 0, GREEN_SHIFT = 8, RED_SHIFT = 16, ENTER_MS = 20 };
enum { EXT_KEY = -258, POINTER_CHANGE = -257, QEMU_MESSAGE = 255, QEMU_KEY = 0 };
enum { MOTION_ZERO = 0x7fff };

extern struct library library_vncserver;

/* clientData: which row of viewers[] it is, and what it knows. */
struct viewer {
    u8 number;
    bool sends_motion;
};

static struct vnc *vnc_of(const struct _rfbClientRec *cl)
{
    return cl->screen->screenData;
}

static struct viewer *viewer_of(const struct _rfbClientRec *cl)
{
    return cl->clientData;
}

/* ---- To the machine ---- */

/* The queue is full where somebody sends faster than the guest's turn comes: then he waits. */
static void put_input(struct vnc *v, struct vnc_input in)
{
    bool done = false;

    for (u32 tries = 0; !done && tries < PATIENCE_MS / ENTER_MS; tries++) {
        pthread_mutex_lock(&v->mutex);
        done = v->inputs < INPUTS;
        if (done)
            v->input[v->inputs++] = in;
        pthread_mutex_unlock(&v->mutex);
        eventfd_write(v->input_fd, 1);
        if (!done && !__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE))
            usleep(ENTER_MS * 1000);
    }
}

static void on_key(rfbBool down, rfbKeySym keysym, struct _rfbClientRec *cl)
{
    put_input(vnc_of(cl), (struct vnc_input){VNC_KEYSYM, viewer_of(cl)->number, down, keysym});
}

static void on_pointer(int buttons, int x, int y, struct _rfbClientRec *cl)
{
    struct vnc_input in = {VNC_POINTER, viewer_of(cl)->number, .x = x, .y = y,
                           .buttons = (u8)buttons};

    if (viewer_of(cl)->sends_motion) {
        in.kind = VNC_MOTION;
        in.x -= MOTION_ZERO;
        in.y -= MOTION_ZERO;
    }
    put_input(vnc_of(cl), in);
}

/* ---- QEMU's extensions ---- */

static rfbBool acknowledge(struct _rfbClientRec *cl, int encoding)
{
    rfbFramebufferUpdateMsg message = {.type = rfbFramebufferUpdate, .nRects = htons(1)};
    rfbFramebufferUpdateRectHeader rect = {
        .r = {.w = htons((u16)cl->screen->width), .h = htons((u16)cl->screen->height)},
        .encoding = htonl((u32)encoding)};

    return rfbWriteExact(cl, (char *)&message, sz_rfbFramebufferUpdateMsg) > 0 &&
           rfbWriteExact(cl, (char *)&rect, sz_rfbFramebufferUpdateRectHeader) > 0;
}

/* Also asked again, with number 0, before each list of encodings: nothing is taken back. */
static rfbBool enable_encoding(struct _rfbClientRec *cl, void **data, int encoding)
{
    if (encoding == POINTER_CHANGE)
        viewer_of(cl)->sends_motion = true;
    if (encoding == EXT_KEY || encoding == POINTER_CHANGE)
        return acknowledge(cl, encoding);
    return TRUE;
}

static rfbBool take_message(struct _rfbClientRec *cl, void *data,
                            const rfbClientToServerMsg *message)
{
    u8 rest[11]; /* kind, down (2), keysym (4), place (4) */
    struct vnc_input in = {VNC_PLACE, viewer_of(cl)->number};

    if (message->type != QEMU_MESSAGE)
        return FALSE;
    if (rfbReadExact(cl, (char *)rest, sizeof(rest)) <= 0 || rest[0] != QEMU_KEY) {
        rfbCloseClient(cl);
        return TRUE;
    }
    in.down = rest[1] | rest[2];
    in.key = (u32)rest[7] << 24 | rest[8] << 16 | rest[9] << 8 | rest[10];
    put_input(vnc_of(cl), in);
    return TRUE;
}

static int encodings[] = {EXT_KEY, POINTER_CHANGE, 0};
static rfbProtocolExtension qemu_extension = {.pseudoEncodings = encodings,
                                              .enablePseudoEncoding = enable_encoding,
                                              .handleMessage = take_message};

/* ---- Viewers ---- */

/* RFC 6143, 7.2.2: the challenge, encrypted with the password. */
static rfbBool check_password(struct _rfbClientRec *cl, const char *response, int n)
{
    struct vnc *v = vnc_of(cl);
    u8 challenge[CHALLENGESIZE];
    char password[PASSWORD];

    pthread_mutex_lock(&v->mutex);
    memcpy(password, v->password, sizeof(password));
    pthread_mutex_unlock(&v->mutex);
    if (!password[0] || n != CHALLENGESIZE)
        return FALSE;
    memcpy(challenge, cl->authChallenge, sizeof(challenge));
    rfbEncryptBytes(challenge, password);
    return !memcmp(challenge, response, CHALLENGESIZE);
}

static void on_gone(struct _rfbClientRec *cl)
{
    struct vnc *v = vnc_of(cl);
    struct viewer *w = viewer_of(cl);

    if (!w)
        return;
    put_input(v, (struct vnc_input){VNC_GONE, w->number});
    pthread_mutex_lock(&v->mutex);
    v->viewers[w->number].here = false;
    pthread_mutex_unlock(&v->mutex);
    __atomic_fetch_sub(&v->viewer_count, 1, __ATOMIC_ACQ_REL);
    free(w);
    cl->clientData = NULL;
}

static enum rfbNewClientAction on_new(struct _rfbClientRec *cl)
{
    struct vnc *v = vnc_of(cl);
    struct viewer *w = NULL;

    cl->clientGoneHook = on_gone;
    pthread_mutex_lock(&v->mutex);
    for (u8 i = 0; i < VIEWERS && !w; i++)
        if (!v->viewers[i].here) {
            w = calloc(1, sizeof(*w));
            check(w, "no memory for a viewer");
            w->number = i;
            v->viewers[i] = (struct vnc_viewer){.here = true};
            snprintf(v->viewers[i].address, sizeof(v->viewers[i].address), "%s",
                     cl->host ? cl->host : "");
        }
    pthread_mutex_unlock(&v->mutex);
    if (!w)
        return RFB_CLIENT_REFUSE;
    cl->clientData = w;
    __atomic_fetch_add(&v->viewer_count, 1, __ATOMIC_ACQ_REL);
    return RFB_CLIENT_ACCEPT;
}

static void close_all(struct vnc *v)
{
    rfbClientIteratorPtr each = rfbGetClientIterator(v->screen);
    rfbClientPtr cl;

    while ((cl = rfbClientIteratorNext(each)))
        rfbCloseClient(cl);
    rfbReleaseClientIterator(each);
}

static void note_states(struct vnc *v)
{
    rfbClientIteratorPtr each = rfbGetClientIterator(v->screen);
    rfbClientPtr cl;

    pthread_mutex_lock(&v->mutex);
    while ((cl = rfbClientIteratorNext(each)))
        if (viewer_of(cl))
            v->viewers[viewer_of(cl)->number].in = cl->state == RFB_NORMAL;
    pthread_mutex_unlock(&v->mutex);
    rfbReleaseClientIterator(each);
}

/* ---- Pictures ---- */

/* Lines first to last - 1 of what the machine handed over. */
static void copy_lines(struct vnc *v, u32 first, u32 last)
{
    size_t pitch = v->shown.width;

    memcpy(v->shown.pixels + first * pitch, v->shared.pixels + first * pitch,
           (last - first) * pitch * sizeof(u32));
}

static void take_picture(struct vnc *v)
{
    struct vnc_picture *from = &v->shared, *to = &v->shown;
    u32 *old = NULL, top, bottom;

    pthread_mutex_lock(&v->mutex);
    if (from->width != to->width || from->height != to->height) {
        old = to->pixels;
        *to = (struct vnc_picture){malloc((size_t)from->width * from->height * sizeof(u32)),
                                   from->width, from->height};
        check(to->pixels, "no memory for a picture");
        from->top = 0;
        from->bottom = from->height;
    }
    top = from->top;
    bottom = from->bottom;
    if (bottom > top)
        copy_lines(v, top, bottom);
    from->top = from->bottom = 0;
    pthread_mutex_unlock(&v->mutex);
    if (old)
        rfbNewFramebuffer(v->screen, (char *)to->pixels, (int)to->width, (int)to->height, 8, 3,
                          4);
    else if (bottom > top)
        rfbMarkRectAsModified(v->screen, 0, (int)top, (int)to->width, (int)bottom);
    free(old);
}

/* ---- The thread ---- */

static void accept_viewer(struct vnc *v, int listener)
{
    int fd = tcp_accept(listener, false);

    if (fd < 0)
        return;
    if (fd >= FD_SETSIZE)
        close(fd);
    else
        rfbNewClientConnection(v->screen, fd);
}

/* Until something is to do. */
static void wait_for_work(struct vnc *v)
{
    struct pollfd fds[VIEWERS + 8];
    u32 n = 3;

    fds[0] = (struct pollfd){v->wake_fd, POLLIN};
    fds[1] = (struct pollfd){v->listener, POLLIN};
    fds[2] = (struct pollfd){v->websockets, POLLIN}; /* none: passed over */
    for (int fd = 0; fd <= v->screen->maxFd && n < ARRAY_SIZE(fds); fd++)
        if (FD_ISSET(fd, &v->screen->allFds))
            fds[n++] = (struct pollfd){fd, POLLIN};
    if (poll(fds, n, -1) < 0)
        return;
    if (fds[0].revents) {
        eventfd_t count;

        eventfd_read(v->wake_fd, &count);
    }
    for (u32 i = 1; i < 3; i++)
        if (fds[i].revents)
            accept_viewer(v, fds[i].fd);
}

static bool take_disconnect(struct vnc *v)
{
    bool disconnect;

    pthread_mutex_lock(&v->mutex);
    disconnect = v->disconnect;
    v->disconnect = false;
    pthread_mutex_unlock(&v->mutex);
    return disconnect;
}

static void *serve(void *arg)
{
    struct vnc *v = arg;

    while (!__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE)) {
        wait_for_work(v);
        take_picture(v);
        if (take_disconnect(v))
            close_all(v);
        rfbProcessEvents(v->screen, 0);
        note_states(v);
    }
    close_all(v);
    rfbProcessEvents(v->screen, 0);
    return NULL;
}

void vnc_server_wake(struct vnc *v)
{
    eventfd_write(v->wake_fd, 1);
}

static bool make_screen(struct vnc *v)
{
    rfbScreenInfoPtr s;

    rfbLogEnable(FALSE);
    s = rfbGetScreen(NULL, NULL, (int)v->shared.width, (int)v->shared.height, 8, 3, 4);
    if (!s)
        return false;
    v->screen = s;
    v->shown = v->shared;
    v->shown.pixels = malloc((size_t)v->shown.width * v->shown.height * sizeof(u32));
    check(v->shown.pixels, "no memory for a picture");
    copy_lines(v, 0, v->shown.height);
    s->frameBuffer = (char *)v->shown.pixels;
    s->serverFormat.redShift = RED_SHIFT;
    s->serverFormat.greenShift = GREEN_SHIFT;
    s->serverFormat.blueShift = BLUE_SHIFT;
    s->screenData = v;
    s->desktopName = "ring3";
    s->port = 0; /* the listening socket is ours */
    s->ipv6port = 0;
    s->autoPort = FALSE;
    s->alwaysShared = TRUE;
    s->deferUpdateTime = 0;
    s->deferPtrUpdateTime = 0;
    s->maxClientWait = PATIENCE_MS;
    s->cursor = NULL; /* the guest draws its own */
    s->newClientHook = on_new;
    s->kbdAddEvent = on_key;
    s->ptrAddEvent = on_pointer;
    if (v->password_asked) {
        s->passwordCheck = check_password;
        s->authPasswdData = v; /* not NULL: passwords are asked for */
    }
    rfbRegisterProtocolExtension(&qemu_extension);
    rfbInitServer(s);
    return true;
}

bool vnc_server_start(struct vnc *v, const char **error)
{
    sigset_t all, before;
    int problem;

    *error = library_missing(&library_vncserver);
    if (*error)
        return false;
    *error = "no memory for the server";
    if (!v->shared.pixels || !make_screen(v))
        return false;
    v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the machine's */
    problem = pthread_create(&v->thread, NULL, serve, v);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *error = "no thread";
    return !problem;
}

void vnc_server_stop(struct vnc *v)
{
    __atomic_store_n(&v->stop, true, __ATOMIC_RELEASE);
    vnc_server_wake(v);
    pthread_join(v->thread, NULL);
    v->screen->frameBuffer = NULL; /* ours */
    rfbScreenCleanup(v->screen);
    free(v->shown.pixels);
    close(v->wake_fd);
}
