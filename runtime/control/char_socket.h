/*
 * What character back ends by TCP and by Unix sockets share: the words behind their address,
 * and the client's side.
 */
#ifndef RING3_CHAR_SOCKET_H
#define RING3_CHAR_SOCKET_H

#include "runtime/control/char_backend.h"
#include "runtime/control/unix_socket.h"

struct socket_words {
    char *address; /* HOST:PORT or a path; to be freed */
    bool server;   /* we listen */
    bool wait;     /* for the first client */
    u32 reconnect; /* a client's: seconds until the next try; 0: it has one */
};
/* "ADDRESS,server=on,wait=off,…"; kind is the name before it. die()s. */
struct socket_words socket_words(const char *kind, const char *arg);

/* Connects, at once; die()s where it cannot and is not to try again. find: tcp_find, unix_find
 */
void char_client_open(struct char_backend *p, const struct socket_words *w, socket_find *find);
/* The server is gone: closes nothing, connects again where that is wanted. */
void char_client_lost(struct char_backend *p);
/* A back end without a client: nothing is done. */
void char_client_free(struct char_backend *p);

#endif
