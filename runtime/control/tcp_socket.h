/*
 * Listening on TCP: the debugger's server, QMP, VNC, character back ends; and what a client
 * connects to.
 */
#ifndef RING3_TCP_SOCKET_H
#define RING3_TCP_SOCKET_H

#include "runtime/base/base.h"

#include <sys/socket.h>

/* Listens at "HOST:PORT", "[HOST]:PORT" or ":PORT", which is the loopback interface; die()s.
 * The socket does not block, and closes with close(). */
int tcp_listen(const char *where, const char *option);
/* The same while the guest runs: HOST is a number, or localhost. -1 with *error: what went wrong, good
 * until the next call. */
int tcp_try_listen(const char *where, const char **error);
/* As tcp_listen(); -1 where somebody listens there already. */
int tcp_listen_if_free(const char *where, const char *option);
/* Takes a client, without blocking unless `wait`. -1: none. Its socket does not block, and does
 * not hold small packets back. */
int tcp_accept(int listener, bool wait);
/* The address of "HOST:PORT", spelled as above, for a client; it may ask a name server. Its
 * size; 0 with *error: there is none. */
socklen_t tcp_find(const char *where, struct sockaddr_storage *a, const char **error);

#endif
