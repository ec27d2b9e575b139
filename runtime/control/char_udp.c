/*
 * UDP to and from one peer. What is written between two turns of the loop goes as one datagram,
 * and is lost if nobody is there; only what comes from the peer is taken.
 */
#include "runtime/base/keyval.h"
#include "runtime/control/char_backend.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "[HOST]:PORT"; no HOST: `usual`. Brackets around HOST go. */
static struct addrinfo *find_address(const char *arg, const char *text, const char *usual,
                                     u32 lowest, int family)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
                             .ai_family = family,
                             .ai_flags = AI_PASSIVE},
                    *found;
    const char *colon = strrchr(text, ':');
    u32 port, n = colon ? (u32)(colon - text) : 0;
    char host[256];
    int problem;

    if (!colon || !parse_u32(colon + 1, &port) || port < lowest || port > 65535 ||
        n >= sizeof(host))
        die("udp:%s: wants [HOST]:PORT[@[ADDRESS]:PORT]", arg);
    if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    snprintf(host, sizeof(host), "%.*s", (int)n, text);
    problem = getaddrinfo(*host ? host : usual, colon + 1, &hints, &found);
    if (problem)
        die("udp:%s: %s", arg, gai_strerror(problem));
    return found;
}

static void open_udp(struct char_backend *p, const char *arg)
{
    const char *at = strchr(arg, '@');
    struct addrinfo *to, *from;
    int fd, bound;

    to = find_address(arg, keep_format("%.*s", at ? (int)(at - arg) : (int)strlen(arg), arg),
                      "127.0.0.1", 1, AF_UNSPEC);
    from = find_address(arg, at ? at + 1 : ":0", NULL, 0, to->ai_family);
    fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bound = fd < 0 ? -1 : bind(fd, from->ai_addr, from->ai_addrlen);
    if (bound || connect(fd, to->ai_addr, to->ai_addrlen))
        die("udp:%s: %s", arg, strerror(errno));
    freeaddrinfo(to);
    freeaddrinfo(from);
    p->in = p->out = fd;
    char_watch(p);
}

const struct char_kind udp_kind = {
    .name = "udp:",
    .argument = "HOST:PORT",
    .chardev = "udp",
    .typed = true,
    .datagrams = true,
    .open = open_udp,
};
