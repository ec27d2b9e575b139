/*
 * Unix sockets, of serial ports and QMP.
 */
#ifndef RING3_UNIX_SOCKET_H
#define RING3_UNIX_SOCKET_H

#include "runtime/base/base.h"

#include <sys/socket.h>

/* Listens at path, replacing a stale socket there; die()s. Removed by unix_unlisten(). */
int unix_listen(const char *path, const char *option);
void unix_unlisten(int fd, const char *path);
/* Takes a client, of any kind of socket, without blocking unless `wait`. -1: none. The socket does not block. */
int unix_accept(int listener, bool wait);
/* The address that a client is to connect to, and its size; 0 with *error: there is none.
 * tcp_find() is another. */
typedef socklen_t socket_find(const char *where, struct sockaddr_storage *a,
                              const char **error);
socket_find unix_find; /* of a path */
/* A stream to that address of any kind, which may take a while; its calls return at once then.
 * -1 and errno. */
int socket_connect(const struct sockaddr_storage *a, socklen_t size);

#endif
