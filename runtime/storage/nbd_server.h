/*
 * qemu-nbd, one process for one image, on a socket that nobody else can reach.
 */
#ifndef RING3_NBD_SERVER_H
#define RING3_NBD_SERVER_H

#include <sys/types.h>

#include "runtime/base/base.h"

struct nbd_server {
    pid_t pid;  /* 0: none */
    int socket; /* ours, connected; whoever talks on it closes it */
    int log;    /* what it prints; -1: none */
};

/* Starts it for these --image-opts. NULL, or the reason, which needs no package of ours: a
 * static text or strerror()'s. It ends when the socket is closed, or with this thread. */
const char *nbd_server_start(struct nbd_server *s, const char *image_options, bool read_only);
/* After the socket is closed: waits until all is written and it has ended. */
void nbd_server_wait(struct nbd_server *s);
/* Why it is gone, or did not start, in its own words: one line without its name. Waits for it.
 */
void nbd_server_complaint(struct nbd_server *s, char *text, size_t size);

/* Runs a program to its end. False: it failed, and `why` has its first line. */
bool nbd_run(char *const arguments[], char *why, size_t size);

#endif
