/*
 * fdatasync() while the guest runs: it may take long, and the machine's thread must go on. See
 * flush.c.
 */
#ifndef RING3_FLUSH_H
#define RING3_FLUSH_H

#include <pthread.h>

#include "devices/disk.h"

struct flush {
    pthread_t thread;
    int fd;
    int state; /* enum disk_flush; written by the thread */
    bool joinable;
    /* one that was given up has; the host tells it once, so this one has to */
    bool failed_before;
};

/* Starts; waits for one that still runs: if that failed, so has this one. Zeroed is idle. */
void flush_begin(struct flush *f, int fd);
enum disk_flush flush_poll(struct flush *f); /* FLUSH_DONE too if none was begun */
void flush_end(struct flush *f);             /* waits; before fd is closed */

#endif
