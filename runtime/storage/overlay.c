/*
 * The overlay of a snapshot drive: a sparse file without a name, as large as the medium, and
 * one bit per sector that says whether the guest wrote it. The kernel frees both however we
 * end, so nothing is left behind by a kill.
 *
 * Invariant: a sector's bit is set only after its bytes are in the file; a sector whose bit is
 * clear was never written in this run and lives in the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/storage/file.h"
#include "runtime/storage/overlay.h"

struct overlay {
    struct image image;
    struct image *below;
    int fd;
    u64 sectors;
    u64 *written; /* bit per sector; untouched parts cost no memory */
    size_t map_size;
};

/* On a disk rather than in memory where possible: a guest may rewrite gigabytes. */
static int overlay_file(void)
{
    const char *folders[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

    for (u32 i = 0; i < ARRAY_SIZE(folders); i++) {
        int fd = folders[i] ? open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

        if (fd >= 0)
            return fd;
    }
    return memfd_create("ring3-overlay", MFD_CLOEXEC);
}

static bool overlay_has(const struct overlay *o, u64 sector)
{
    return o->written[sector / 64] >> (sector % 64) & 1;
}

/* How many bytes at `offset`, at most n, come from one source; *written tells which: the
 * overlay or the image below. At least 1 for n > 0. */
static u32 overlay_run(const struct overlay *o, u64 offset, u32 n, bool *written)
{
    u64 sector = offset / IMAGE_SECTOR;
    u64 end = offset + n;

    *written = overlay_has(o, sector);
    while ((sector + 1) * IMAGE_SECTOR < end && overlay_has(o, sector + 1) == *written)
        sector++;
    u64 run_end = (sector + 1) * IMAGE_SECTOR;
    return (u32)((run_end < end ? run_end : end) - offset);
}

static bool overlay_read(struct image *im, u64 offset, void *buf, u32 n)
{
    struct overlay *o = (struct overlay *)im;

    for (u8 *to = buf; n;) {
        bool written;
        u32 run = overlay_run(o, offset, n, &written);

        if (written ? !file_read(o->fd, offset, to, run)
                    : !o->below->ops->read(o->below, offset, to, run))
            return false;
        to += run;
        offset += run;
        n -= run;
    }
    return true;
}

static bool overlay_readv(struct image *im, u64 offset, const struct iovec *to, u32 count,
                          u32 n)
{
    struct overlay *o = (struct overlay *)im;
    bool written;

    if (overlay_run(o, offset, n, &written) < n)
        return image_read_each(im, offset, to, count);
    return written ? file_readv(o->fd, offset, to, count, n)
                   : image_readv(o->below, offset, to, count, n);
}

static bool overlay_write(struct image *im, u64 offset, const void *buf, u32 n)
{
    struct overlay *o = (struct overlay *)im;

    if (!file_write(o->fd, offset, buf, n))
        return false;
    for (u64 s = offset / IMAGE_SECTOR, end = s + n / IMAGE_SECTOR; s < end; s++)
        o->written[s / 64] |= 1ull << (s % 64);
    return true;
}

/* Nothing of it is meant to last. */
static void overlay_flush_begin(struct image *im)
{
}

static enum disk_flush overlay_flush_poll(struct image *im)
{
    return FLUSH_DONE;
}

static bool overlay_lock(struct image *im, bool on)
{
    struct image *below = ((struct overlay *)im)->below;

    return below->ops->lock(below, on);
}

static void overlay_drop(struct overlay *o)
{
    if (o->written != MAP_FAILED)
        munmap(o->written, o->map_size);
    if (o->fd >= 0)
        close(o->fd);
    free(o);
}

static void overlay_free(struct image *im)
{
    struct image *below = ((struct overlay *)im)->below;

    overlay_drop((struct overlay *)im);
    below->ops->free(below);
}

static const struct image_ops overlay_ops = {
    overlay_read, overlay_write, overlay_flush_begin, overlay_flush_poll,
    overlay_lock, overlay_free,  overlay_readv};

struct image *overlay_new(struct image *below)
{
    struct overlay *o = calloc(1, sizeof(*o));
    int saved;

    if (!o)
        return NULL;
    o->image = (struct image){.ops = &overlay_ops,
                              .path = below->path,
                              .format = below->format,
                              .size = below->size,
                              .vectors = below->vectors};
    o->below = below;
    o->sectors = (below->size + IMAGE_SECTOR - 1) / IMAGE_SECTOR;
    o->map_size = (size_t)(o->sectors / 64 + 1) * sizeof(u64);
    o->written = mmap(NULL, o->map_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    o->fd = o->written == MAP_FAILED ? -1 : overlay_file();
    if (o->fd >= 0 && !ftruncate(o->fd, (off_t)(o->sectors * IMAGE_SECTOR)))
        return &o->image;
    saved = errno;
    overlay_drop(o);
    errno = saved;
    return NULL;
}
