/*
 * Drives, and what is in them: an image, or none.
 *
 * A write the guest flushed is on the host's disk: disk_flush_poll() tells of fdatasync()'s
 * end, and between flushes every write to a raw image is already in the kernel's hands, so
 * killing this process loses nothing at all and a host crash loses only what was not flushed.
 * Writes to other formats are in the hands of their server (nbd.c), which outlives a kill.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/storage/disk.h"
#include "runtime/storage/formats.h"
#include "runtime/storage/nbd.h"
#include "runtime/storage/overlay.h"

struct drive {
    struct disk disk; /* disk.impl: the image */
    enum disk_kind kind;
    bool snapshot, read_only, unlocked; /* as the options wanted */
    struct disk_counts counts;
};

static _Thread_local char sentence[1024];

const char *disk_sentence(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, args);
    va_end(args);
    return sentence;
}

/* ---- Images ---- */

static void image_free(struct image *im)
{
    if (im)
        im->ops->free(im);
}

/* What goes into the drive; with -snapshot, under a layer that takes the writes. */
static struct image *drive_open(const struct drive *dr, const char *path, const char *format,
                                const char **error)
{
    bool want_write = !dr->read_only && dr->kind != DISK_CD;
    const struct image_request want = { path, format, dr->kind, want_write && !dr->snapshot,
                                        dr->unlocked };
    struct image *im = image_format_open(&want, error), *layer;

    if (!im || !want_write || !dr->snapshot)
        return im;
    layer = overlay_new(im);
    if (!layer) {
        *error = disk_sentence("%s: no room for the snapshot's temporary file: %s (TMPDIR "
                               "chooses another folder)",
                               path, strerror(errno));
        image_free(im);
    }
    return layer;
}

/* ---- Drives ---- */

static void drive_insert(struct drive *dr, struct image *im)
{
    dr->disk.impl = im;
    dr->disk.size = im ? im->size : 0;
    dr->disk.read_only = im ? im->read_only : dr->kind == DISK_CD;
}

struct disk *disk_open(const struct drive_options *o, enum disk_kind kind, const char **error)
{
    struct drive *dr = calloc(1, sizeof(*dr));

    check(dr, "no memory for a drive");
    dr->kind = kind;
    dr->snapshot = o->snapshot;
    dr->read_only = o->read_only;
    dr->unlocked = o->unlocked;
    dr->disk.cdrom = kind == DISK_CD;
    dr->disk.cylinders = o->cylinders;
    dr->disk.heads = o->heads;
    dr->disk.sectors = o->sectors;
    dr->disk.serial = o->serial;
    dr->disk.model = o->model;
    dr->disk.version = o->version;
    drive_insert(dr, NULL);
    if (!o->file && kind == DISK_HARD) {
        *error = disk_sentence("a hard disk needs an image file");
        free(dr);
        return NULL;
    }
    if (o->file) {
        struct image *im = drive_open(dr, o->file, o->format, error);

        if (!im) {
            free(dr);
            return NULL;
        }
        drive_insert(dr, im);
    }
    return &dr->disk;
}

void disk_close(struct disk *d)
{
    if (!d)
        return;
    image_free(d->impl);
    free(container_of(d, struct drive, disk));
}

const char *disk_path(const struct disk *d)
{
    const struct image *im = d->impl;

    return im ? im->path : NULL;
}

const char *disk_format(const struct disk *d)
{
    const struct image *im = d->impl;

    return im ? im->format : NULL;
}

const char *disk_change(struct disk *d, const char *path, const char *format, bool force)
{
    struct drive *dr = container_of(d, struct drive, disk);
    struct image *old = d->impl, *im = NULL;
    const char *error = NULL;

    if (dr->kind == DISK_HARD)
        return disk_sentence("a hard disk cannot be taken out");
    if (d->locked && old && !force)
        return disk_sentence("the guest has locked the drive (use force)");
    if (path) {
        if (old)
            old->ops->lock(old, false); /* the same file may come again */
        im = drive_open(dr, path, format, &error);
        if (!im) {
            if (old)
                old->ops->lock(old, true);
            return error;
        }
    }
    drive_insert(dr, im);
    d->changed = true;
    d->locked = false;
    image_free(old);
    return NULL;
}

struct disk_counts disk_counts(const struct disk *d)
{
    return container_of((struct disk *)d, struct drive, disk)->counts;
}

/* ---- Snapshots ---- */

static bool flush_all(struct disk *d)
{
    enum disk_flush state;

    disk_flush_begin(d);
    while ((state = disk_flush_poll(d)) == FLUSH_RUNNING)
        usleep(100);
    return state == FLUSH_DONE;
}

const char *disk_snapshot(struct disk *d, const char *path, bool existing)
{
    struct drive *dr = container_of(d, struct drive, disk);
    struct image *old = d->impl, *im;
    const char *error = NULL;

    if (!old || d->read_only || dr->snapshot || image_is_folder(old->path))
        return disk_sentence("this drive has no image that a snapshot could be taken of");
    if (!flush_all(d))
        return disk_sentence("%s: cannot be flushed", old->path);
    if (!existing)
        error = nbd_create_overlay(path, old->path, old->format, old->size);
    if (error)
        return error;
    old->ops->lock(old, false); /* it is the new one's server that reads it */
    im = drive_open(dr, path, "qcow2", &error);
    if (im && im->size == old->size) {
        drive_insert(dr, im);
        image_free(old);
        return NULL;
    }
    if (im) {
        image_free(im);
        error = disk_sentence("%s: is of another size", path);
    }
    old->ops->lock(old, true);
    return error;
}

/* ---- Transfers ---- */

static bool disk_inside(const struct disk *d, u64 offset, u32 size)
{
    return d->impl && offset <= d->size && size <= d->size - offset;
}

static bool disk_failed(const struct image *im, const char *what, u64 offset)
{
    trace(TRACE_DISK, "%s: host cannot %s at byte %llu: %s", im->path, what,
          (unsigned long long)offset, errno ? strerror(errno) : "the file became shorter");
    return false;
}

bool disk_readv(struct disk *d, u64 offset, const struct iovec *to, u32 count, u32 size)
{
    struct disk_counts *n = &container_of(d, struct drive, disk)->counts;
    struct image *im = d->impl;

    if (!disk_inside(d, offset, size))
        return false;
    n->reads++;
    n->bytes_read += size;
    if (image_readv(im, offset, to, count, size))
        return true;
    n->failed_reads++;
    return disk_failed(im, "read", offset);
}

bool disk_read(struct disk *d, u64 offset, void *buf, u32 size)
{
    return disk_readv(d, offset, &(struct iovec){buf, size}, 1, size);
}

bool disk_reads_vectors(const struct disk *d)
{
    const struct image *im = d->impl;

    return im && im->vectors;
}

/* A part of one sector: the rest of it is kept. */
static bool disk_write_part(struct disk *d, u64 offset, const void *buf, u32 n)
{
    u8 sector[IMAGE_SECTOR];
    u32 in = (u32)(offset % IMAGE_SECTOR);

    if (!disk_read(d, offset - in, sector, sizeof(sector)))
        return false;
    memcpy(sector + in, buf, n);
    return disk_write(d, offset - in, sector, sizeof(sector));
}

static bool disk_write_sectors(struct disk *d, u64 offset, const void *buf, u32 n)
{
    struct disk_counts *counts = &container_of(d, struct drive, disk)->counts;
    struct image *im = d->impl;

    counts->writes++;
    counts->bytes_written += n;
    if (im->ops->write(im, offset, buf, n))
        return true;
    counts->failed_writes++;
    return disk_failed(im, "write", offset);
}

bool disk_write(struct disk *d, u64 offset, const void *buf, u32 size)
{
    const u8 *from = buf;

    if (!disk_inside(d, offset, size) || d->read_only)
        return false;
    while (size) {
        u32 in = (u32)(offset % IMAGE_SECTOR);
        bool whole = !in && size >= IMAGE_SECTOR;
        u32 n = whole ? size - size % IMAGE_SECTOR : IMAGE_SECTOR - in;

        if (n > size)
            n = size;
        if (whole ? !disk_write_sectors(d, offset, from, n)
                  : !disk_write_part(d, offset, from, n))
            return false;
        from += n;
        offset += n;
        size -= n;
    }
    return true;
}

void disk_flush_begin(struct disk *d)
{
    struct image *im = d->impl;

    container_of(d, struct drive, disk)->counts.flushes++;
    if (im)
        im->ops->flush_begin(im);
}

enum disk_flush disk_flush_poll(struct disk *d)
{
    struct image *im = d->impl;

    return im ? im->ops->flush_poll(im) : FLUSH_DONE;
}
