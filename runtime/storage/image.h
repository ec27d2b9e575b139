/*
 * An image: what a drive reads and writes, whatever holds it. A kind is a constant struct of
 * operations in a file of its own: raw.c, a file as it is; nbd.c, what a server of ours makes of
 * a file; overlay.c, a layer over another image that takes the writes.
 */
#ifndef RING3_IMAGE_H
#define RING3_IMAGE_H

#include "devices/disk.h"

#include <sys/uio.h>

#define IMAGE_SECTOR 512u

struct image;
/* Offsets lie inside the image. False: the host failed, and errno says why (0: the file became
 * shorter). */
struct image_ops {
    bool (*read)(struct image *im, u64 offset, void *buf, u32 n);
    bool (*write)(struct image *im, u64 offset, const void *buf, u32 n); /* whole sectors */
    /* To the host's disk, while the guest runs: begin, then poll until it is not running any
     * more. */
    void (*flush_begin)(struct image *im);
    enum disk_flush (*flush_poll)(struct image *im);
    /* Against other writers: one of them, or many readers. False: somebody is in the way. */
    bool (*lock)(struct image *im, bool on);
    void (*free)(struct image *im);
    /* As read(), n bytes into `count` places. NULL: by read(). */
    bool (*readv)(struct image *im, u64 offset, const struct iovec *to, u32 count, u32 n);
};
/* Leads each kind's own struct. */
struct image {
    const struct image_ops *ops;
    const char *path; /* of the file; for messages */
    const char *format; /* a name of image_formats */
    u64 size;         /* what the guest sees, whole sectors */
    bool read_only;
    bool vectors; /* many places are no dearer to read into than one */
};

/* Place by place. */
static inline bool image_read_each(struct image *im, u64 offset, const struct iovec *to,
                                   u32 count)
{
    for (u32 i = 0; i < count; offset += to[i++].iov_len)
        if (!im->ops->read(im, offset, to[i].iov_base, (u32)to[i].iov_len))
            return false;
    return true;
}

static inline bool image_readv(struct image *im, u64 offset, const struct iovec *to, u32 count,
                               u32 n)
{
    return im->ops->readv ? im->ops->readv(im, offset, to, count, n)
                          : image_read_each(im, offset, to, count);
}

#endif
