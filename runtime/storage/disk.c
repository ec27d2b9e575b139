/*
 * Drives and their media: raw images, opened, locked, read and written in place.
 *
 * A write the guest flushed is on the host's disk: disk_flush_poll() tells of fdatasync()'s end, and
 * between flushes every write is already in the kernel's hands, so killing this process loses
 * nothing at all and a host crash loses only what was not flushed.
 *
 * A CD whose file is no whole number of sectors (or a floppy of no known size) is presented
 * rounded up; the bytes past the file's end read as zero until the guest writes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/storage/disk.h"
#include "runtime/storage/flush.h"
#include "runtime/storage/image.h"
#include "runtime/storage/overlay.h"

/* What is in a drive. */
struct medium {
    int fd;
    char *path;
    u64 file_size; /* bytes that really exist below; the rest up to the disk's size is padding */
    u64 size;      /* what the guest sees */
    bool read_only;
    struct overlay *overlay; /* NULL: writes go to the file */
    struct flush flush;
};

struct drive {
    struct disk disk; /* disk.impl: the medium */
    enum disk_kind kind;
    bool snapshot, read_only; /* as the options wanted */
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

/* ---- Locks ---- */

/*
 * One writer or many readers, by locks of the open file on a few byte offsets. They are the bytes
 * QEMU uses (100 + n: "I do n", 200 + n: "others may not do n"; n = 1 write, 3 resize), so that
 * an image in use by a QEMU is refused too, and by a QEMU while we use it.
 */
enum { LOCK_DOES = 100, LOCK_FORBIDS = 200, LOCK_END = 300, MAY_WRITE = 1, MAY_RESIZE = 3 };

static int lock_range(int fd, int command, short type, u32 start, u32 n)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = n };
    int rc = fcntl(fd, command, &lock);

    if (command == F_OFD_GETLK && rc == 0 && lock.l_type != F_UNLCK)
        return EAGAIN;
    if (rc == 0)
        return 0;
    /* A file system without locks is not a reason to refuse. */
    return errno == EAGAIN || errno == EACCES ? EAGAIN : 0;
}

static bool medium_lock(const struct medium *md, bool writer)
{
    int fd = md->fd;

    if (writer)
        return !lock_range(fd, F_OFD_SETLK, F_WRLCK, LOCK_DOES, LOCK_END - LOCK_DOES);
    return !lock_range(fd, F_OFD_SETLK, F_RDLCK, LOCK_FORBIDS + MAY_WRITE, 1) &&
           !lock_range(fd, F_OFD_SETLK, F_RDLCK, LOCK_FORBIDS + MAY_RESIZE, 1) &&
           !lock_range(fd, F_OFD_GETLK, F_WRLCK, LOCK_DOES + MAY_WRITE, 1);
}

static void medium_unlock(const struct medium *md)
{
    lock_range(md->fd, F_OFD_SETLK, F_UNLCK, LOCK_DOES, LOCK_END - LOCK_DOES);
}

/* ---- Opening a medium ---- */

static void medium_free(struct medium *md)
{
    if (!md)
        return;
    flush_end(&md->flush);
    if (md->fd >= 0)
        close(md->fd);
    overlay_free(md->overlay);
    free(md->path);
    free(md);
}

/* Read/write where wanted and possible, else read-only, said aloud if that was not the wish. */
static const char *medium_open_file(struct medium *md, bool want_write)
{
    const char *path = md->path;
    int why = 0;

    md->read_only = true;
    if (want_write) {
        md->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (md->fd >= 0)
            md->read_only = false;
        else
            why = errno;
    }
    if (md->fd < 0)
        md->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (md->fd < 0)
        return disk_sentence("%s: %s", path, strerror(errno));
    if (why && why != EISDIR)
        warn("%s: %s: opened read-only (-snapshot lets the guest write to a temporary copy)",
             path, strerror(why));
    return NULL;
}

/* What the guest sees of a file of that size; says so where it differs. NULL, or an error. */
static const char *medium_round(struct medium *md, enum disk_kind kind)
{
    u64 unit = kind == DISK_CD ? 2048 : 512;

    md->size = (md->file_size + unit - 1) / unit * unit;
    if (kind == DISK_FLOPPY && md->file_size > KIB(2880))
        return disk_sentence("%s: %llu KiB are too large for a floppy (2880 at most): give it by "
                             "-hda or -cdrom",
                             md->path, (unsigned long long)md->file_size >> 10);
    if (kind != DISK_CD && md->size != md->file_size)
        return disk_sentence("%s: %llu bytes are no whole number of 512-byte sectors: is it all "
                             "there? truncate -s %%512 FILE fills it up",
                             md->path, (unsigned long long)md->file_size);
    if (kind == DISK_FLOPPY && !image_floppy_size(md->file_size)) {
        md->size = md->file_size <= KIB(1440) ? KIB(1440) : KIB(2880);
        warn("%s: %llu bytes is no floppy format: taken as a %llu KiB floppy, zeros at its end",
             md->path, (unsigned long long)md->file_size, (unsigned long long)md->size >> 10);
    }
    return NULL;
}

static const char *medium_measure(struct medium *md)
{
    struct stat st;
    off_t end;

    if (fstat(md->fd, &st))
        return disk_sentence("%s: %s", md->path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return disk_sentence("%s: is a folder, not a disk image", md->path);
    end = lseek(md->fd, 0, SEEK_END);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return disk_sentence("%s: is neither a file nor a block device", md->path);
    if (end < 0)
        return disk_sentence("%s: %s", md->path, strerror(errno));
    if (end == 0)
        return disk_sentence("%s: is empty (truncate -s 64M FILE makes a blank 64 MiB disk)",
                             md->path);
    md->file_size = (u64)end;
    return NULL;
}

static const char *medium_prepare(struct medium *md, enum disk_kind kind, bool want_write,
                                  bool snapshot)
{
    const char *error = medium_open_file(md, want_write && !snapshot);

    if (!error)
        error = medium_measure(md);
    if (!error)
        error = image_foreign(md->path, md->fd);
    if (!error)
        error = medium_round(md, kind);
    if (error)
        return error;
    if (!medium_lock(md, !md->read_only))
        return disk_sentence(md->read_only ?
                                 "%s: in use: another ring3 or QEMU writes to it; stop that one" :
                                 "%s: in use by another ring3 or QEMU: stop that one, or run on "
                                 "a temporary copy with -snapshot",
                             md->path);
    if (snapshot && want_write) {
        md->overlay = overlay_new(md->size);
        if (!md->overlay)
            return disk_sentence("%s: no room for the snapshot's temporary file: %s (TMPDIR "
                                 "chooses another folder)",
                                 md->path, strerror(errno));
        md->read_only = false;
    }
    return NULL;
}

static struct medium *medium_new(const struct drive *dr, const char *path, const char **error)
{
    struct medium *md = calloc(1, sizeof(*md));
    bool want_write = !dr->read_only && dr->kind != DISK_CD;

    check(md, "no memory for a medium");
    md->fd = -1;
    md->path = strdup(path);
    *error = medium_prepare(md, dr->kind, want_write, dr->snapshot);
    if (!*error)
        return md;
    medium_free(md);
    return NULL;
}

/* ---- Drives ---- */

static void drive_insert(struct drive *dr, struct medium *md)
{
    dr->disk.impl = md;
    dr->disk.size = md ? md->size : 0;
    dr->disk.read_only = md ? md->read_only : dr->kind == DISK_CD;
}

struct disk *disk_open(const struct drive_options *o, enum disk_kind kind, const char **error)
{
    struct drive *dr = calloc(1, sizeof(*dr));

    check(dr, "no memory for a drive");
    dr->kind = kind;
    dr->snapshot = o->snapshot;
    dr->read_only = o->read_only;
    dr->disk.cdrom = kind == DISK_CD;
    dr->disk.cylinders = o->cylinders;
    dr->disk.heads = o->heads;
    dr->disk.sectors = o->sectors;
    drive_insert(dr, NULL);
    if (!o->file && kind == DISK_HARD) {
        *error = disk_sentence("a hard disk needs an image file");
        free(dr);
        return NULL;
    }
    if (o->file) {
        struct medium *md = medium_new(dr, o->file, error);

        if (!md) {
            free(dr);
            return NULL;
        }
        drive_insert(dr, md);
    }
    return &dr->disk;
}

void disk_close(struct disk *d)
{
    if (!d)
        return;
    medium_free(d->impl);
    free(container_of(d, struct drive, disk));
}

const char *disk_path(const struct disk *d)
{
    const struct medium *md = d->impl;

    return md ? md->path : NULL;
}

const char *disk_change(struct disk *d, const char *path, bool force)
{
    struct drive *dr = container_of(d, struct drive, disk);
    struct medium *old = d->impl, *md = NULL;
    const char *error = NULL;

    if (dr->kind == DISK_HARD)
        return disk_sentence("a hard disk cannot be taken out");
    if (d->locked && old && !force)
        return disk_sentence("the guest has locked the drive (use force)");
    if (path) {
        if (old)
            medium_unlock(old); /* the same file may come again */
        md = medium_new(dr, path, &error);
        if (!md) {
            if (old)
                medium_lock(old, !old->read_only && !old->overlay);
            return error;
        }
    }
    drive_insert(dr, md);
    d->changed = true;
    d->locked = false;
    medium_free(old);
    return NULL;
}

/* ---- Transfers ---- */

static bool disk_inside(const struct disk *d, u64 offset, u32 size)
{
    return d->impl && offset <= d->size && size <= d->size - offset;
}

static bool disk_failed(const struct medium *md, const char *what, u64 offset)
{
    trace(TRACE_DISK, "%s: host cannot %s at byte %llu: %s", md->path, what,
          (unsigned long long)offset, errno ? strerror(errno) : "the file became shorter");
    return false;
}

/* From the image itself, padding included. */
static bool medium_read(struct medium *md, u64 offset, void *buf, u32 n)
{
    u64 have = offset < md->file_size ? md->file_size - offset : 0;
    u32 real = have < n ? (u32)have : n;

    memset((u8 *)buf + real, 0, n - real);
    return file_read(md->fd, offset, buf, real) || disk_failed(md, "read", offset);
}

bool disk_read(struct disk *d, u64 offset, void *buf, u32 size)
{
    struct medium *md = d->impl;

    if (!disk_inside(d, offset, size))
        return false;
    if (!md->overlay)
        return medium_read(md, offset, buf, size);
    for (u8 *to = buf; size;) {
        bool written;
        u32 run = overlay_run(md->overlay, offset, size, &written);

        if (written ? !overlay_read(md->overlay, offset, to, run) :
                      !medium_read(md, offset, to, run))
            return false;
        to += run;
        offset += run;
        size -= run;
    }
    return true;
}

/* A part of one sector: the rest of it is kept. */
static bool disk_write_part(struct disk *d, u64 offset, const void *buf, u32 n)
{
    u8 sector[OVERLAY_SECTOR];
    u32 in = (u32)(offset % OVERLAY_SECTOR);

    if (!disk_read(d, offset - in, sector, sizeof(sector)))
        return false;
    memcpy(sector + in, buf, n);
    return disk_write(d, offset - in, sector, sizeof(sector));
}

static bool medium_write(struct medium *md, u64 offset, const void *buf, u32 n)
{
    if (md->overlay)
        return overlay_write(md->overlay, offset, buf, n) || disk_failed(md, "write", offset);
    if (!file_write(md->fd, offset, buf, n))
        return disk_failed(md, "write", offset);
    if (offset + n > md->file_size)
        md->file_size = offset + n;
    return true;
}

bool disk_write(struct disk *d, u64 offset, const void *buf, u32 size)
{
    const u8 *from = buf;

    if (!disk_inside(d, offset, size) || d->read_only)
        return false;
    while (size) {
        u32 in = (u32)(offset % OVERLAY_SECTOR);
        bool whole = !in && size >= OVERLAY_SECTOR;
        u32 n = whole ? size - size % OVERLAY_SECTOR : OVERLAY_SECTOR - in;

        if (n > size)
            n = size;
        if (whole ? !medium_write(d->impl, offset, from, n) : !disk_write_part(d, offset, from, n))
            return false;
        from += n;
        offset += n;
        size -= n;
    }
    return true;
}

/* Is there anything that a host crash could lose? */
static bool disk_keeps(const struct disk *d)
{
    const struct medium *md = d->impl;

    return md && !md->read_only && !md->overlay;
}

void disk_flush_begin(struct disk *d)
{
    struct medium *md = d->impl;

    if (disk_keeps(d))
        flush_begin(&md->flush, md->fd);
}

enum disk_flush disk_flush_poll(struct disk *d)
{
    struct medium *md = d->impl;

    return md ? flush_poll(&md->flush) : FLUSH_DONE;
}
