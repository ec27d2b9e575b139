/*
 * -netdev socket: frames to another machine through a socket of the host's, as QEMU sends them.
 *
 *   listen=[ADDRESS]:PORT, connect=ADDRESS:PORT   TCP: four bytes of length, highest first, then the frame
 *   mcast=GROUP:PORT[,localaddr=ADDRESS]          UDP multicast: one frame a datagram; any number of machines
 *   udp=ADDRESS:PORT,localaddr=[ADDRESS]:PORT     UDP to one peer
 *
 * A listener has one peer at a time and waits for the next when it goes. What the peer does not
 * take in time waits in a bounded buffer, then is dropped, whole frames only.
 */
#include "runtime/network/backend.h"
#include "runtime/base/keyval.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LENGTH = 4,               /* bytes before a frame on TCP */
    OUT_SIZE = 256 * 1024,    /* waits for the peer */
    LENGTH_MAX = 1024 * 1024, /* a peer that says more speaks something else */
    BURST = 64,               /* reads a turn */
    CONNECT_MS = 10000,
};

struct peer {
    struct net_backend *b;
    int listener, fd; /* -1: none */
    bool stream, group;
    struct sockaddr_in to; /* datagrams */
    u8 own[6];             /* the source of our last frame: multicast brings our own back */
    /* Streams. in: the length and frame being read; skip: bytes of a frame too long to pass. */
    u8 in[LENGTH + FRAME_MAX];
    u32 in_count, skip;
    u8 *out;
    u32 out_at, out_count;
};

struct socket_keys {
    const char *listen, *connect, *mcast, *udp, *localaddr;
};

/* ---- Addresses ---- */

static struct sockaddr_in resolve_address(const char *where, const char *key, const char *text,
                                          bool named)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
    const char *colon = strrchr(text, ':');
    char *host = keep_format("%.*s", colon ? (int)(colon - text) : 0, text);
    struct sockaddr_in a = { .sin_family = AF_INET };
    u32 port;

    if (!colon || !parse_u32(colon + 1, &port) || port > 65535 || (named && (!*host || !port)))
        die("%s: %s=%s: want %sADDRESS%s:PORT", where, key, text, named ? "" : "[",
            named ? "" : "]");
    if (*host) {
        if (getaddrinfo(host, NULL, &hints, &found))
            die("%s: %s=%s: no host has that name", where, key, text);
        a = *(struct sockaddr_in *)found->ai_addr;
        freeaddrinfo(found);
    }
    a.sin_port = htons((u16)port);
    return a;
}

static int make_socket(const char *where, int type)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        die("%s: no socket: %s", where, strerror(errno));
    return fd;
}

static void set_option(int fd, int level, int option, int val)
{
    setsockopt(fd, level, option, &val, sizeof(val));
}

static void bind_to(int fd, const struct sockaddr_in *a, const char *where, const char *text)
{
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, (const struct sockaddr *)a, sizeof(*a)))
        die("%s: %s: %s", where, text, strerror(errno));
}

/* ---- Streams ---- */

static void stream_update(struct peer *p)
{
    loop_modify(p->b->m, p->fd, LOOP_READ | (p->out_count ? LOOP_WRITE : 0));
}

static void hang_up(struct peer *p)
{
    trace(TRACE_NET, "%s: the peer is gone", p->b->id);
    loop_remove(p->b->m, p->fd);
    close(p->fd);
    p->fd = -1;
    p->in_count = p->skip = p->out_count = p->out_at = 0;
    if (p->listener >= 0)
        loop_modify(p->b->m, p->listener, LOOP_READ);
}

static bool is_lost(ssize_t n)
{
    return n < 0 && errno != EAGAIN && errno != EINTR;
}

static void stream_flush(struct peer *p)
{
    ssize_t n = 1;

    while (p->out_count && n > 0) {
        n = send(p->fd, p->out + p->out_at, p->out_count, MSG_NOSIGNAL);
        if (n > 0) {
            p->out_at += (u32)n;
            p->out_count -= (u32)n;
        }
    }
    if (!p->out_count)
        p->out_at = 0;
    if (is_lost(n))
        hang_up(p);
    else
        stream_update(p);
}

static void stream_send(struct peer *p, const u8 *frame, u32 size)
{
    u8 *end;

    if (p->out_at > OUT_SIZE / 2) {
        memmove(p->out, p->out + p->out_at, p->out_count);
        p->out_at = 0;
    }
    if (p->out_at + p->out_count + LENGTH + size > OUT_SIZE) {
        p->b->dropped++;
        return;
    }
    end = p->out + p->out_at + p->out_count;
    end[0] = end[1] = 0;
    end[2] = size >> 8;
    end[3] = size;
    memcpy(end + LENGTH, frame, size);
    p->out_count += LENGTH + size;
    stream_flush(p);
}

/* Passes on the whole frames that have come. False: this is no peer of ours. */
static bool stream_frames(struct peer *p)
{
    while (p->in_count >= LENGTH) {
        u32 size = (u32)p->in[0] << 24 | p->in[1] << 16 | p->in[2] << 8 | p->in[3],
            whole = LENGTH + size;

        if (size > LENGTH_MAX)
            return false;
        if (size > FRAME_MAX) { /* the buffer holds only its beginning */
            p->skip = whole - p->in_count;
            p->in_count = 0;
            p->b->dropped++;
            return true;
        }
        if (p->in_count < whole)
            return true;
        net_deliver(p->b, p->in + LENGTH, size);
        p->in_count -= whole;
        memmove(p->in, p->in + whole, p->in_count);
    }
    return true;
}

/* What is wanted next: the rest of a frame that is skipped, of a length, or of a frame. */
static u32 stream_wanted(const struct peer *p)
{
    u32 room = (u32)sizeof(p->in) - p->in_count;

    return p->skip && p->skip < room ? p->skip : room;
}

static void stream_read(struct peer *p)
{
    for (u32 i = 0; i < BURST; i++) {
        ssize_t n = recv(p->fd, p->in + p->in_count, stream_wanted(p), 0);

        if (!n || is_lost(n)) {
            hang_up(p);
            return;
        }
        if (n < 0)
            return;
        if (p->skip) {
            p->skip -= (u32)n;
            continue;
        }
        p->in_count += (u32)n;
        if (!stream_frames(p)) {
            hang_up(p);
            return;
        }
    }
}

static void stream_ready(void *arg, u32 events)
{
    struct peer *p = arg;

    if (events & LOOP_WRITE)
        stream_flush(p);
    if (events & LOOP_READ && p->fd >= 0)
        stream_read(p);
}

static void stream_begin(struct peer *p, int fd)
{
    p->fd = fd;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    loop_add(p->b->m, fd, LOOP_READ, stream_ready, p);
    trace(TRACE_NET, "%s: a peer is connected", p->b->id);
}

static void accept_ready(void *arg, u32 events)
{
    struct peer *p = arg;
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    loop_modify(p->b->m, p->listener, 0);
    stream_begin(p, fd);
}

static void open_listen(struct peer *p, const char *where, const struct socket_keys *k)
{
    struct sockaddr_in a = resolve_address(where, "listen", k->listen, false);

    p->listener = make_socket(where, SOCK_STREAM);
    bind_to(p->listener, &a, where, k->listen);
    if (listen(p->listener, 1))
        die("%s: %s: %s", where, k->listen, strerror(errno));
    loop_add(p->b->m, p->listener, LOOP_READ, accept_ready, p);
}

/* Waits for the answer: before the machine starts it is the user's mistake when nobody
 * listens. */
static void open_connect(struct peer *p, const char *where, const struct socket_keys *k)
{
    struct sockaddr_in a = resolve_address(where, "connect", k->connect, true);
    int fd = make_socket(where, SOCK_STREAM), error = 0;
    struct pollfd wait = { .fd = fd, .events = POLLOUT };
    socklen_t size = sizeof(error);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
        error = errno;
    if (error == EINPROGRESS && poll(&wait, 1, CONNECT_MS) > 0)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        die("%s: %s: %s", where, k->connect,
            error == EINPROGRESS ? "no answer" : strerror(error));
    stream_begin(p, fd);
}

/* ---- Datagrams ---- */

static void datagram_ready(void *arg, u32 events)
{
    struct peer *p = arg;
    u8 frame[FRAME_MAX + 1];

    for (u32 i = 0; i < BURST; i++) {
        ssize_t n = recv(p->fd, frame, sizeof(frame), 0);

        if (n < 0)
            return;
        if (p->group && n >= ETHER_HEADER && !memcmp(frame + 6, p->own, 6))
            continue;
        net_deliver(p->b, frame, (u32)n);
    }
}

static void datagram_send(struct peer *p, const u8 *frame, u32 size)
{
    memcpy(p->own, frame + 6, 6);
    if (sendto(p->fd, frame, size, 0, (struct sockaddr *)&p->to, sizeof(p->to)) < 0)
        p->b->dropped++;
}

static void open_mcast(struct peer *p, const char *where, const struct socket_keys *k)
{
    struct ip_mreq group = { 0 };

    p->group = true;
    p->to = resolve_address(where, "mcast", k->mcast, true);
    if (!IN_MULTICAST(ntohl(p->to.sin_addr.s_addr)))
        die("%s: mcast=%s is no multicast address (224.0.0.0 to 239.255.255.255)", where,
            k->mcast);
    p->fd = make_socket(where, SOCK_DGRAM);
    bind_to(p->fd, &p->to, where, k->mcast);
    group.imr_multiaddr = p->to.sin_addr;
    if (k->localaddr && !inet_aton(k->localaddr, &group.imr_interface))
        die("%s: localaddr=%s is no IPv4 address", where, k->localaddr);
    set_option(p->fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
    if (setsockopt(p->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) ||
        (k->localaddr && setsockopt(p->fd, IPPROTO_IP, IP_MULTICAST_IF, &group.imr_interface,
                                    sizeof(group.imr_interface))))
        die("%s: mcast=%s: %s", where, k->mcast, strerror(errno));
    loop_add(p->b->m, p->fd, LOOP_READ, datagram_ready, p);
}

static void open_udp(struct peer *p, const char *where, const struct socket_keys *k)
{
    struct sockaddr_in local;

    if (!k->localaddr)
        die("%s: udp= wants localaddr=[ADDRESS]:PORT", where);
    p->to = resolve_address(where, "udp", k->udp, true);
    local = resolve_address(where, "localaddr", k->localaddr, false);
    p->fd = make_socket(where, SOCK_DGRAM);
    bind_to(p->fd, &local, where, k->localaddr);
    loop_add(p->b->m, p->fd, LOOP_READ, datagram_ready, p);
}

/* ---- The kind ---- */

static void socket_open(struct net_backend *b, const char *where, const char *list)
{
    static const struct key_row rows[] = {
        KEY(struct socket_keys, listen, KEY_TEXT), KEY(struct socket_keys, connect, KEY_TEXT),
        KEY(struct socket_keys, mcast, KEY_TEXT), KEY(struct socket_keys, udp, KEY_TEXT),
        KEY(struct socket_keys, localaddr, KEY_TEXT),
    };
    struct peer *p = calloc(1, sizeof(*p));
    struct socket_keys k = { NULL };

    check(p, "out of memory");
    keyval_read(where, list, NULL, rows, ARRAY_SIZE(rows), &k);
    if (!!k.listen + !!k.connect + !!k.mcast + !!k.udp != 1)
        die("%s: wants one of listen=, connect=, mcast=, udp=", where);
    *p = (struct peer){ .b = b, .listener = -1, .fd = -1, .stream = k.listen || k.connect, .out = malloc(OUT_SIZE) };
    check(p->out, "out of memory");
    b->impl = p;
    if (k.listen)
        open_listen(p, where, &k);
    else if (k.connect)
        open_connect(p, where, &k);
    else if (k.mcast)
        open_mcast(p, where, &k);
    else
        open_udp(p, where, &k);
}

static void socket_send(struct net_backend *b, const u8 *frame, u32 size)
{
    struct peer *p = b->impl;

    if (p->fd < 0)
        b->dropped++;
    else if (p->stream)
        stream_send(p, frame, size);
    else
        datagram_send(p, frame, size);
}

static void socket_info(const struct net_backend *b, FILE *out)
{
    fprintf(out, ",peer=%s", ((const struct peer *)b->impl)->fd >= 0 ? "yes" : "no");
}

static void socket_close(struct net_backend *b)
{
    struct peer *p = b->impl;
    int fds[] = { p->fd, p->listener };

    for (u32 i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0) {
            loop_remove(b->m, fds[i]);
            close(fds[i]);
        }
    free(p->out);
    free(p);
}

const struct net_kind net_socket = {
    "socket",    "another machine: listen=, connect=, mcast=, udp=",
    socket_open, socket_send,
    socket_info, socket_close,
};
