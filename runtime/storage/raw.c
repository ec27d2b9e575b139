/*
 * A raw image: a file or block device, byte for byte, opened, locked, read and written in
 * place.
 *
 * A CD whose file is no whole number of sectors (or a floppy of no known size) is presented
 * rounded up; the bytes past the file's end read as zero until the guest writes them.
 */
#include "runtime/storage/raw.h"
#include "runtime/storage/file.h"
#include "runtime/storage/flush.h"
#include "runtime/storage/recognise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct raw {
    struct image image;
    int fd;
    char *path;
    u64 file_size; /* bytes that really exist; the rest up to the image's size is padding */
    bool unlocked; /* by the user's wish */
    bool guessed;  /* raw because nothing else was recognised: see formats.c */
    bool warned;
    struct flush flush;
};

/* ---- Locks ---- */

/*
 * One writer or many readers, by locks of the open file on a few byte offsets. They are the
 * bytes QEMU uses (100 + n: "I do n", 200 + n: "others may not do n"; n = 1 write, 3 resize),
 * so that an image in use by a QEMU is refused too, and by a QEMU while we use it.
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

static bool lock_as(const struct raw *raw, bool writer)
{
    int fd = raw->fd;

    if (writer)
        return !lock_range(fd, F_OFD_SETLK, F_WRLCK, LOCK_DOES, LOCK_END - LOCK_DOES);
    return !lock_range(fd, F_OFD_SETLK, F_RDLCK, LOCK_FORBIDS + MAY_WRITE, 1) &&
           !lock_range(fd, F_OFD_SETLK, F_RDLCK, LOCK_FORBIDS + MAY_RESIZE, 1) &&
           !lock_range(fd, F_OFD_GETLK, F_WRLCK, LOCK_DOES + MAY_WRITE, 1);
}

static bool raw_lock(struct image *im, bool on)
{
    struct raw *raw = (struct raw *)im;

    if (raw->unlocked)
        return true;
    if (on)
        return lock_as(raw, !im->read_only);
    lock_range(raw->fd, F_OFD_SETLK, F_UNLCK, LOCK_DOES, LOCK_END - LOCK_DOES);
    return true;
}

/* ---- Transfers ---- */

/* Padding included. */
static bool raw_read(struct image *im, u64 offset, void *buf, u32 n)
{
    struct raw *raw = (struct raw *)im;
    u64 have = offset < raw->file_size ? raw->file_size - offset : 0;
    u32 real = have < n ? (u32)have : n;

    memset((u8 *)buf + real, 0, n - real);
    return file_read(raw->fd, offset, buf, real);
}

static bool raw_readv(struct image *im, u64 offset, const struct iovec *to, u32 count, u32 n)
{
    struct raw *raw = (struct raw *)im;

    return offset + n <= raw->file_size ? file_readv(raw->fd, offset, to, count, n)
                                        : image_read_each(im, offset, to, count);
}

/* The first sector, and the next start would take the file for something else. */
static bool would_be_taken_for_another(struct raw *raw, u64 offset, const u8 *buf)
{
    const char *name = raw->guessed && offset == 0 ? image_format_magic(buf) : NULL;

    if (name && !raw->warned)
        warn("%s: the guest writes what makes it look like a %s image: refused (format=raw "
             "allows it)",
             raw->path, name);
    raw->warned |= name != NULL;
    return name;
}

static bool raw_write(struct image *im, u64 offset, const void *buf, u32 n)
{
    struct raw *raw = (struct raw *)im;

    if (would_be_taken_for_another(raw, offset, buf)) {
        errno = EPERM;
        return false;
    }
    if (!file_write(raw->fd, offset, buf, n))
        return false;
    if (offset + n > raw->file_size)
        raw->file_size = offset + n;
    return true;
}

static void raw_flush_begin(struct image *im)
{
    struct raw *raw = (struct raw *)im;

    if (!im->read_only) /* else there is nothing that a host crash could lose */
        flush_begin(&raw->flush, raw->fd);
}

static enum disk_flush raw_flush_poll(struct image *im)
{
    return flush_poll(&((struct raw *)im)->flush);
}

static void raw_free(struct image *im)
{
    struct raw *raw = (struct raw *)im;

    flush_end(&raw->flush);
    if (raw->fd >= 0)
        close(raw->fd);
    free(raw->path);
    free(raw);
}

static const struct image_ops raw_ops = {raw_read, raw_write, raw_flush_begin, raw_flush_poll,
                                         raw_lock, raw_free,  raw_readv};

/* ---- Opening ---- */

/* QEMU's blocks that are no files. */
static bool is_remote(const char *path)
{
    static const char *const schemes[] = {
        "http:", "https:", "ftp:", "ftps:", "nbd:", "nbd+", "ssh:", "iscsi:", "rbd:", "json:"};

    for (u32 i = 0; i < ARRAY_SIZE(schemes); i++)
        if (!strncmp(path, schemes[i], strlen(schemes[i])))
            return true;
    return false;
}

/* Read/write where wanted and possible, else read-only, said aloud if that was not the wish. */
static const char *raw_open_file(struct raw *raw, bool want_write)
{
    const char *path = raw->image.path;
    int why = 0;

    raw->image.read_only = true;
    if (want_write) {
        raw->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (raw->fd >= 0)
            raw->image.read_only = false;
        else
            why = errno;
    }
    if (raw->fd < 0)
        raw->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (raw->fd < 0 && errno == ENOENT && is_remote(path))
        return disk_sentence("%s: an image is a file of the host's: no URLs", path);
    if (raw->fd < 0)
        return disk_sentence("%s: %s", path, strerror(errno));
    if (why && why != EISDIR)
        warn("%s: %s: opened read-only (-snapshot lets the guest write to a temporary copy)",
             path, strerror(why));
    return NULL;
}

/* What the guest sees of a file of that size; says so where it differs. NULL, or an error. */
static const char *raw_round(struct raw *raw, enum disk_kind kind)
{
    u64 unit = kind == DISK_CD ? 2048 : 512;

    raw->image.size = (raw->file_size + unit - 1) / unit * unit;
    if (kind == DISK_FLOPPY && raw->file_size > KIB(2880))
        return disk_sentence(
            "%s: %llu KiB are too large for a floppy (2880 at most): give it by "
            "-hda or -cdrom",
            raw->image.path, (unsigned long long)raw->file_size >> 10);
    if (kind != DISK_CD && raw->image.size != raw->file_size)
        return disk_sentence(
            "%s: %llu bytes are no whole number of 512-byte sectors: is it all "
            "there? truncate -s %%512 FILE fills it up",
            raw->image.path, (unsigned long long)raw->file_size);
    if (kind == DISK_FLOPPY && !image_floppy_size(raw->file_size)) {
        raw->image.size = raw->file_size <= KIB(1440) ? KIB(1440) : KIB(2880);
        warn("%s: %llu bytes is no floppy format: taken as a %llu KiB floppy, zeros at its end",
             raw->image.path, (unsigned long long)raw->file_size,
             (unsigned long long)raw->image.size >> 10);
    }
    return NULL;
}

static const char *raw_measure(struct raw *raw)
{
    struct stat st;
    off_t end;

    if (fstat(raw->fd, &st))
        return disk_sentence("%s: %s", raw->image.path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return disk_sentence("%s: is a folder, not a disk image", raw->image.path);
    end = lseek(raw->fd, 0, SEEK_END);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return disk_sentence("%s: is neither a file nor a block device", raw->image.path);
    if (end < 0)
        return disk_sentence("%s: %s", raw->image.path, strerror(errno));
    if (end == 0)
        return disk_sentence("%s: is empty (truncate -s 64M FILE makes a blank 64 MiB disk)",
                             raw->image.path);
    raw->file_size = (u64)end;
    return NULL;
}

static const char *raw_prepare(struct raw *raw, enum disk_kind kind, bool want_write)
{
    const char *error = raw_open_file(raw, want_write);

    if (!error)
        error = raw_measure(raw);
    if (!error && raw->guessed)
        error = image_foreign(raw->path, raw->fd);
    if (!error)
        error = raw_round(raw, kind);
    if (error)
        return error;
    if (!raw_lock(&raw->image, true))
        return disk_sentence(
            raw->image.read_only
                ? "%s: in use: another ring3 or QEMU writes to it; stop that one"
                : "%s: in use by another ring3 or QEMU: stop that one, or run on "
                  "a temporary copy with -snapshot",
            raw->path);
    return NULL;
}

static struct image *raw_open(const struct image_format *format,
                              const struct image_request *want, const char **error)
{
    struct raw *raw = calloc(1, sizeof(*raw));

    check(raw, "no memory for an image");
    raw->fd = -1;
    raw->path = strdup(want->path);
    raw->unlocked = want->unlocked;
    raw->guessed = !want->format;
    raw->image = (struct image){
        .ops = &raw_ops, .path = raw->path, .format = format->name, .vectors = true};
    *error = raw_prepare(raw, want->kind, want->write);
    if (!*error)
        return &raw->image;
    raw_free(&raw->image);
    return NULL;
}

const struct image_format raw_format = { "raw", raw_open };
