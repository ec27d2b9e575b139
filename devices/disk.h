/*
 * A disk as a controller sees it: runtime/storage/disk.c is behind it.
 */
#ifndef RING3_DEVICES_DISK_H
#define RING3_DEVICES_DISK_H

#include "runtime/base/base.h"

#include <sys/uio.h>

/* A raw image, or a CD. Sector size is 512 (2048 for CDs is the ATAPI layer's view). */
struct disk {
    u64 size;       /* bytes; changes only with the medium */
    bool read_only;
    bool cdrom;
    u32 cylinders, heads, sectors; /* geometry wanted by the user, 0: guess */
    const char *serial, *model, *version; /* what the drive says of itself; NULL: its own */
    /* medium changed since the controller last looked; the controller clears it */
    bool changed;
    bool locked;    /* the guest prevents removal */
    void *impl;     /* NULL: no medium */
};

/* Bytes; false on a host I/O error (the guest gets a medium error). Beyond the end is false. */
bool disk_read(struct disk *d, u64 offset, void *buf, u32 size);
/* The same into `count` places, `size` bytes in all: where that is one call of the host. */
bool disk_reads_vectors(const struct disk *d);
bool disk_readv(struct disk *d, u64 offset, const struct iovec *to, u32 count, u32 size);
bool disk_write(struct disk *d, u64 offset, const void *buf, u32 size);
/* To the host's disk, while the guest runs: begin, then poll until it is not running any more.
 * Covers the writes before begin. */
enum disk_flush { FLUSH_DONE, FLUSH_RUNNING, FLUSH_FAILED };
void disk_flush_begin(struct disk *d);
enum disk_flush disk_flush_poll(struct disk *d);

#endif
