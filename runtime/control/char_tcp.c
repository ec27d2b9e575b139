/*
 * TCP as a character back end: we listen, for one client at a time, the newest, or connect
 * (char_client.c). telnet: does the same in TELNET's terms (RFC 854): we echo and go character
 * by character, and what the other end says about itself is taken out of its input.
 */
#include "runtime/control/char_socket.h"
#include "runtime/control/tcp_socket.h"
#include "runtime/machine/loop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IAC = 255, DONT = 254, WILL = 251, SB = 250, SE = 240 }; /* RFC 854 */
enum { ECHO_OPTION = 1, GO_AHEAD_OPTION = 3 };                   /* RFC 857, 858 */
enum telnet_state { TEXT, COMMAND, OPTION, SUBNEGOTIATION, SUBNEGOTIATION_IAC };

static void greet(struct char_backend *p)
{
    static const u8 we_will[] = { IAC, WILL, ECHO_OPTION, IAC, WILL, GO_AHEAD_OPTION };

    p->telnet = TEXT;
    if (p->kind->telnet && write(p->out, we_will, sizeof(we_will)) < 0)
        return; /* it is gone already, which reading will tell */
}

bool char_telnet_byte(struct char_backend *p, u8 byte)
{
    switch (p->telnet) {
    case TEXT:
        p->telnet = byte == IAC ? COMMAND : TEXT;
        return byte != IAC && byte; /* 0 follows a CR that is one */
    case COMMAND:
        p->telnet = byte == SB ? SUBNEGOTIATION : byte >= WILL && byte <= DONT ? OPTION : TEXT;
        return byte == IAC;
    case SUBNEGOTIATION:
        p->telnet = byte == IAC ? SUBNEGOTIATION_IAC : SUBNEGOTIATION;
        return false;
    case SUBNEGOTIATION_IAC:
        p->telnet = byte == SE ? TEXT : SUBNEGOTIATION;
        return false;
    default:
        p->telnet = TEXT;
        return false;
    }
}

static void take_client(struct char_backend *p, bool wait)
{
    int fd = tcp_accept(p->listener, wait);

    if (fd < 0)
        return;
    if (p->in >= 0)
        char_hang_up(p);
    p->in = p->out = fd;
    greet(p);
    char_watch(p);
}

static void client_waits(void *arg, u32 events)
{
    take_client(arg, false);
}

static void open_tcp(struct char_backend *p, const char *arg)
{
    struct socket_words w = socket_words(p->kind->name, arg);

    if (w.server)
        p->listener = tcp_listen(w.address, p->kind->telnet ? "telnet" : "tcp");
    else
        char_client_open(p, &w, tcp_find);
    free(w.address);
    if (w.server && w.wait) {
        fprintf(stderr, "ring3: waiting for a client at %s%s\n", p->kind->name, arg);
        take_client(p, true);
    }
    if (w.server)
        loop_add(p->m, p->listener, LOOP_READ, client_waits, p);
}

static void close_tcp(struct char_backend *p)
{
    char_client_free(p);
    if (p->listener < 0)
        return;
    loop_remove(p->m, p->listener);
    close(p->listener);
}

const struct char_kind tcp_kind = {
    .name = "tcp:",
    .argument = "HOST:PORT[,server=on,wait=off]",
    .typed = true,
    .open = open_tcp,
    .close = close_tcp,
};
const struct char_kind telnet_kind = {
    .name = "telnet:",
    .argument = "HOST:PORT[,server=on,wait=off]",
    .telnet = true,
    .typed = true,
    .open = open_tcp,
    .close = close_tcp,
};
