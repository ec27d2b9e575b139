/*
 * Listening on TCP. Without a host, on the loopback interface alone: who gets through rules the
 * machine.
 */
#include "runtime/control/tcp_socket.h"
#include "runtime/control/unix_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "HOST:PORT" parted at the last colon; brackets around HOST go. NULL: it is none. */
static char *part(const char *where, const char **port)
{
    const char *colon = strrchr(where, ':');
    size_t n = colon ? (size_t)(colon - where) : 0;
    char *end;
    long number = colon ? strtol(colon + 1, &end, 10) : 0;

    if (!colon || !colon[1] || *end || number < 1 || number > 65535)
        return NULL;
    *port = colon + 1;
    if (n > 1 && where[0] == '[' && where[n - 1] == ']') {
        where++;
        n -= 2;
    }
    return n ? strndup(where, n) : strdup("127.0.0.1");
}

/* The first address of that name. 0: *error says why there is none. */
static socklen_t find(const char *where, bool numeric, struct sockaddr_storage *a,
                      const char **error)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    const char *port;
    char *host = part(where, &port);
    socklen_t size;
    int problem;

    if (!host) {
        *error = "wants HOST:PORT, a port from 1 to 65535";
        return 0;
    }
    if (numeric) /* no name server may keep the guest waiting */
        hints.ai_flags = AI_NUMERICHOST;
    problem = getaddrinfo(numeric && !strcmp(host, "localhost") ? "127.0.0.1" : host, port,
                          &hints, &found);
    free(host);
    if (problem) {
        *error = gai_strerror(problem);
        return 0;
    }
    size = found->ai_addrlen;
    memcpy(a, found->ai_addr, size);
    freeaddrinfo(found);
    return size;
}

/* -1: *error says why, and *number is errno's of the last call, 0 where it is none of a call.
 */
static int try_listen(const char *where, bool numeric, const char **error, int *number)
{
    struct sockaddr_storage a;
    socklen_t size = find(where, numeric, &a, error);
    int fd, on = 1;

    *number = 0;
    if (!size)
        return -1;
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) || listen(fd, 4)) {
        *number = errno;
        *error = strerror(errno);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    return fd;
}

socklen_t tcp_find(const char *where, struct sockaddr_storage *a, const char **error)
{
    return find(where, false, a, error);
}

int tcp_try_listen(const char *where, const char **error)
{
    int number;

    return try_listen(where, true, error, &number);
}

int tcp_listen(const char *where, const char *option)
{
    const char *error;
    int number, fd = try_listen(where, false, &error, &number);

    if (fd < 0)
        die("%s: '%s': %s", option, where, error);
    return fd;
}

int tcp_listen_if_free(const char *where, const char *option)
{
    const char *error;
    int number, fd = try_listen(where, false, &error, &number);

    if (fd < 0 && number != EADDRINUSE)
        die("%s: '%s': %s", option, where, error);
    return fd;
}

int tcp_accept(int listener, bool wait)
{
    int fd = unix_accept(listener, wait), on = 1;

    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    return fd;
}
