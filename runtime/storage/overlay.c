/*
 * The overlay of a snapshot drive: a sparse file without a name, as large as the medium, and one
 * bit per sector that says whether the guest wrote it. The kernel frees both however we end, so
 * nothing is left behind by a kill.
 *
 * Invariant: a sector's bit is set only after its bytes are in the file; a sector whose bit is
 * clear was never written in this run and lives in the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/storage/overlay.h"

struct overlay {
    int fd;
    u64 sectors;
    u64 *written; /* bit per sector; untouched parts cost no memory */
    size_t map_size;
};

bool file_read(int fd, u64 offset, void *buf, u64 n)
{
    for (u8 *to = buf; n;) {
        ssize_t got = pread(fd, to, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = 0;
        if (got <= 0)
            return false;
        to += got;
        offset += (u64)got;
        n -= (u64)got;
    }
    return true;
}

bool file_write(int fd, u64 offset, const void *buf, u64 n)
{
    for (const u8 *from = buf; n;) {
        ssize_t put = pwrite(fd, from, n, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0)
            errno = ENOSPC;
        if (put <= 0)
            return false;
        from += put;
        offset += (u64)put;
        n -= (u64)put;
    }
    return true;
}

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

struct overlay *overlay_new(u64 size)
{
    struct overlay *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->sectors = (size + OVERLAY_SECTOR - 1) / OVERLAY_SECTOR;
    o->map_size = (size_t)(o->sectors / 64 + 1) * sizeof(u64);
    o->written = mmap(NULL, o->map_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    o->fd = o->written == MAP_FAILED ? -1 : overlay_file();
    if (o->fd >= 0 && !ftruncate(o->fd, (off_t)(o->sectors * OVERLAY_SECTOR)))
        return o;
    overlay_free(o);
    return NULL;
}

void overlay_free(struct overlay *o)
{
    int saved = errno;

    if (!o)
        return;
    if (o->written != MAP_FAILED)
        munmap(o->written, o->map_size);
    if (o->fd >= 0)
        close(o->fd);
    free(o);
    errno = saved;
}

static bool overlay_has(const struct overlay *o, u64 sector)
{
    return o->written[sector / 64] >> (sector % 64) & 1;
}

u32 overlay_run(const struct overlay *o, u64 offset, u32 n, bool *written)
{
    u64 sector = offset / OVERLAY_SECTOR;
    u64 end = offset + n;

    *written = overlay_has(o, sector);
    while ((sector + 1) * OVERLAY_SECTOR < end && overlay_has(o, sector + 1) == *written)
        sector++;
    u64 run_end = (sector + 1) * OVERLAY_SECTOR;
    return (u32)((run_end < end ? run_end : end) - offset);
}

bool overlay_read(struct overlay *o, u64 offset, void *buf, u32 n)
{
    return file_read(o->fd, offset, buf, n);
}

bool overlay_write(struct overlay *o, u64 offset, const void *buf, u32 n)
{
    if (!file_write(o->fd, offset, buf, n))
        return false;
    for (u64 s = offset / OVERLAY_SECTOR, end = s + n / OVERLAY_SECTOR; s < end; s++)
        o->written[s / 64] |= 1ull << (s % 64);
    return true;
}
