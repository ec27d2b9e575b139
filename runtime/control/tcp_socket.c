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

/* "HOST:PORT" parted at the last colon; brackets around HOST go. */
static char *part(const char *where, const char *option, const char **port)
{
    const char *colon = strrchr(where, ':');
    size_t n = colon ? (size_t)(colon - where) : 0;
    char *end;
    long number = colon ? strtol(colon + 1, &end, 10) : 0;

    if (!colon || !colon[1] || *end || number < 1 || number > 65535)
        die("%s: '%s': wants HOST:PORT, a port from 1 to 65535", option, where);
    *port = colon + 1;
    if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
        where++;
        n -= 2;
    }
    return n ? strndup(where, n) : strdup("127.0.0.1");
}

int tcp_listen(const char *where, const char *option)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    const char *port;
    char *host = part(where, option, &port);
    int problem = getaddrinfo(host, port, &hints, &found), fd = -1, on = 1;

    free(host);
    if (problem)
        die("%s: %s: %s", option, where, gai_strerror(problem));
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 4))
        die("%s: %s: %s", option, where, strerror(errno));
    freeaddrinfo(found);
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
