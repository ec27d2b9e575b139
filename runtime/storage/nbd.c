/*
 * An image behind qemu-nbd: the requests.
 *
 * Reads wait for their answer, as pread() does. A write is handed to the server, and the guest
 * goes on: its end is collected later. So a write to a growing image costs the guest no more
 * than one to a raw file, which the kernel writes later, too.
 *
 *   order    a request that overlaps a write on its way waits for that first
 *   bound    16 writes on their way, which is what the server takes; then the oldest is awaited
 *   flush    is sent when the writes before it have ended, which NBD asks for; covers those
 *   failure  of a write is told by the next flush, as a drive with a write cache does
 *
 * When this process is killed, the server finishes what it has read from the socket and ends as
 * it should: nothing flushed is lost, and the image is consistent.
 */
#include "runtime/storage/nbd.h"
#include "runtime/base/libraries.h"
#include "runtime/storage/nbd_server.h"
#include "runtime/storage/recognise.h"

#include <errno.h>
#include <libnbd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITES = 16, PIECE = 1 << 20 /* bytes; the server takes 32 MiB */ };

extern struct library library_nbd;

struct nbd;
struct nbd_write {
    struct nbd *nbd;
    u64 offset;
    u32 n;
    void *buf;
    bool busy, before_flush;
};
struct nbd {
    struct image image;
    char *path, *options;      /* qemu-nbd's --image-opts */
    struct nbd_handle *handle; /* NULL: not connected */
    struct nbd_server server;
    u64 bytes; /* of the export; the rest up to the image's size reads as zero */
    struct nbd_write writes[WRITES];
    bool flush_asked, flush_sent,
        failed;   /* failed: a write or flush, and no flush told of it */
    bool waiting; /* for the answer that has not come */
    int error;    /* errno of the answer that has */
};

/* ---- The connection ---- */

/* One step of libnbd's; false: the connection is lost. */
static bool nbd_turn(struct nbd *nbd, int timeout_ms)
{
    int rc = nbd->handle ? nbd_poll(nbd->handle, timeout_ms) : -1;

    if (rc < 0 && nbd->handle && nbd_get_errno() == EINTR)
        return true;
    return rc >= 0;
}

static bool nbd_alive(struct nbd *nbd)
{
    errno = EIO;
    return nbd->handle != NULL;
}

/* ---- Writes on their way ---- */

static int write_ended(void *user, int *error)
{
    struct nbd_write *w = user;

    if (*error) {
        trace(TRACE_DISK, "%s: write at byte %llu: %s", w->nbd->path,
              (unsigned long long)w->offset, strerror(*error));
        w->nbd->failed = true;
    }
    free(w->buf);
    *w = (struct nbd_write){.nbd = w->nbd};
    return 1; /* and libnbd may forget it */
}

/* The server has gone away: it is no zombie, and each further request fails. */
static void nbd_lost(struct nbd *nbd)
{
    char why[700];

    if (!nbd->handle)
        return;
    nbd_close(nbd->handle); /* which calls back for nothing that is on its way */
    nbd->handle = NULL;
    for (u32 i = 0; i < WRITES; i++)
        if (nbd->writes[i].busy)
            write_ended(&nbd->writes[i], &(int){EIO});
    nbd->waiting = nbd->flush_asked = nbd->flush_sent = false;
    nbd->error = EIO;
    nbd->failed = true;
    kill(nbd->server.pid, SIGTERM);
    nbd_server_complaint(&nbd->server, why, sizeof(why));
    warn("%s: its server is gone: %s; the guest gets errors from this disk", nbd->path, why);
}

/* A request has failed: the server's word, or is it gone? */
static void nbd_failed(struct nbd *nbd)
{
    if (nbd->handle && (nbd_aio_is_dead(nbd->handle) || nbd_aio_is_closed(nbd->handle)))
        nbd_lost(nbd);
}

/* What has ended meanwhile. */
static void nbd_collect(struct nbd *nbd)
{
    int rc;

    do
        rc = nbd->handle ? nbd_poll(nbd->handle, 0) : 0;
    while (rc > 0 || (rc < 0 && nbd_get_errno() == EINTR));
    if (rc < 0)
        nbd_lost(nbd);
}

static bool nbd_wait_write(struct nbd *nbd, const struct nbd_write *w)
{
    while (w->busy)
        if (!nbd_turn(nbd, -1)) {
            nbd_lost(nbd);
            return false;
        }
    return true;
}

static bool nbd_wait_overlapping(struct nbd *nbd, u64 offset, u32 n)
{
    for (u32 i = 0; i < WRITES; i++) {
        struct nbd_write *w = &nbd->writes[i];

        if (w->busy && w->offset < offset + n && offset < w->offset + w->n &&
            !nbd_wait_write(nbd, w))
            return false;
    }
    return nbd_alive(nbd);
}

static struct nbd_write *free_write(struct nbd *nbd)
{
    for (;;) {
        for (u32 i = 0; i < WRITES; i++)
            if (!nbd->writes[i].busy)
                return &nbd->writes[i];
        if (!nbd_turn(nbd, -1)) {
            nbd_lost(nbd);
            return NULL;
        }
    }
}

static bool nbd_write_piece(struct nbd *nbd, u64 offset, const void *buf, u32 n)
{
    struct nbd_write *w;

    nbd_collect(nbd);
    if (!nbd_wait_overlapping(nbd, offset, n))
        return false;
    w = free_write(nbd);
    if (!w)
        return false;
    *w = (struct nbd_write){nbd, offset, n, malloc(n), true, false};
    check(w->buf, "no memory for a write");
    memcpy(w->buf, buf, n);
    if (nbd_aio_pwrite(nbd->handle, w->buf, n, offset,
                       (nbd_completion_callback){.callback = write_ended, .user_data = w},
                       0) < 0) {
        free(w->buf);
        w->busy = false;
        nbd_failed(nbd);
        errno = EIO;
        return false;
    }
    /* Until all of it is in the socket. */
    while (nbd->handle && nbd_aio_get_direction(nbd->handle) & LIBNBD_AIO_DIRECTION_WRITE)
        if (!nbd_turn(nbd, -1))
            nbd_lost(nbd);
    return nbd_alive(nbd);
}

static bool nbd_write_all(struct image *im, u64 offset, const void *buf, u32 n)
{
    struct nbd *nbd = (struct nbd *)im;

    for (u32 done = 0, piece; done < n; done += piece) {
        piece = n - done < PIECE ? n - done : PIECE;
        if (!nbd_write_piece(nbd, offset + done, (const u8 *)buf + done, piece))
            return false;
    }
    return true;
}

/* ---- Reads ---- */

static int answer_came(void *user, int *error)
{
    struct nbd *nbd = user;

    nbd->waiting = false;
    nbd->error = *error;
    return 1;
}

static bool nbd_read_piece(struct nbd *nbd, u64 offset, void *buf, u32 n)
{
    if (!nbd_wait_overlapping(nbd, offset, n))
        return false;
    nbd->waiting = true;
    if (nbd_aio_pread(nbd->handle, buf, n, offset,
                      (nbd_completion_callback){.callback = answer_came, .user_data = nbd},
                      0) < 0) {
        nbd_failed(nbd);
        errno = EIO;
        return false;
    }
    while (nbd->waiting)
        if (!nbd_turn(nbd, -1))
            nbd_lost(nbd);
    if (nbd->error)
        nbd_failed(nbd);
    errno = nbd->error;
    return !nbd->error;
}

static bool nbd_read(struct image *im, u64 offset, void *buf, u32 n)
{
    struct nbd *nbd = (struct nbd *)im;
    u64 have = offset < nbd->bytes ? nbd->bytes - offset : 0;
    u32 real = have < n ? (u32)have : n;

    memset((u8 *)buf + real, 0, n - real);
    for (u32 done = 0, piece; done < real; done += piece) {
        piece = real - done < PIECE ? real - done : PIECE;
        if (!nbd_read_piece(nbd, offset + done, (u8 *)buf + done, piece))
            return false;
    }
    return true;
}

/* ---- Flushes ---- */

static int flush_ended(void *user, int *error)
{
    struct nbd *nbd = user;

    nbd->flush_asked = nbd->flush_sent = false;
    nbd->failed |= *error != 0;
    return 1;
}

/* Sends it once the writes before it have ended. */
static void nbd_flush_step(struct nbd *nbd)
{
    nbd_collect(nbd);
    if (!nbd->handle)
        nbd->flush_asked = nbd->flush_sent = false;
    if (!nbd->flush_asked || nbd->flush_sent)
        return;
    for (u32 i = 0; i < WRITES; i++)
        if (nbd->writes[i].busy && nbd->writes[i].before_flush)
            return;
    nbd->flush_sent = true;
    if (nbd_aio_flush(nbd->handle,
                      (nbd_completion_callback){.callback = flush_ended, .user_data = nbd},
                      0) < 0)
        flush_ended(nbd, &(int){EIO});
}

static void nbd_flush_begin(struct image *im)
{
    struct nbd *nbd = (struct nbd *)im;

    if (im->read_only)
        return;
    while (nbd->flush_asked) { /* one that nobody waited for */
        nbd_flush_step(nbd);
        if (nbd->flush_asked && !nbd_turn(nbd, -1))
            nbd_lost(nbd);
    }
    nbd->flush_asked = true;
    nbd->failed |= !nbd->handle;
    for (u32 i = 0; i < WRITES; i++)
        nbd->writes[i].before_flush = nbd->writes[i].busy;
    nbd_flush_step(nbd);
}

static enum disk_flush nbd_flush_poll(struct image *im)
{
    struct nbd *nbd = (struct nbd *)im;
    bool failed;

    if (nbd->flush_asked)
        nbd_flush_step(nbd);
    if (nbd->flush_asked)
        return FLUSH_RUNNING;
    failed = nbd->failed;
    nbd->failed = false;
    return failed ? FLUSH_FAILED : FLUSH_DONE;
}

/* ---- Starting and ending ---- */

/* All that was written is the server's, and on the image, before this returns. */
static void nbd_disconnect(struct nbd *nbd)
{
    for (u32 i = 0; i < WRITES; i++)
        nbd_wait_write(nbd, &nbd->writes[i]);
    if (!nbd->handle)
        return;
    nbd_shutdown(nbd->handle, 0);
    nbd_close(nbd->handle);
    nbd->handle = NULL;
    nbd_server_wait(&nbd->server);
}

/* The server's complaint, made ours. */
static const char *nbd_refusal(const struct nbd *nbd, const char *why)
{
    if (!strstr(why, "lock"))
        return disk_sentence("%s: %s", nbd->path, why);
    return disk_sentence(nbd->image.read_only
                             ? "%s: in use: another ring3 or QEMU writes to it; stop that one"
                             : "%s: in use by another ring3 or QEMU: stop that one, or run on "
                               "a temporary copy with -snapshot",
                         nbd->path);
}

static const char *nbd_connect(struct nbd *nbd)
{
    const char *error = nbd_server_start(&nbd->server, nbd->options, nbd->image.read_only);
    char why[700];
    i64 size;

    if (error)
        return disk_sentence("%s: no qemu-nbd can be started: %s", nbd->path, error);
    nbd->handle = nbd_create();
    check(nbd->handle, "no memory for libnbd");
    if (!nbd_connect_socket(nbd->handle, nbd->server.socket)) {
        size = nbd_get_size(nbd->handle);
        nbd->bytes = size > 0 ? (u64)size : 0;
        return NULL;
    }
    nbd_close(nbd->handle);
    nbd->handle = NULL;
    nbd_server_complaint(&nbd->server, why, sizeof(why));
    return nbd_refusal(nbd, why);
}

/* The server holds the locks, which are QEMU's own. */
static bool nbd_lock(struct image *im, bool on)
{
    struct nbd *nbd = (struct nbd *)im;

    if (!on)
        nbd_disconnect(nbd);
    else if (!nbd->handle)
        return !nbd_connect(nbd);
    return true;
}

static void nbd_free(struct image *im)
{
    struct nbd *nbd = (struct nbd *)im;

    nbd_disconnect(nbd);
    free(nbd->options);
    free(nbd->path);
    free(nbd);
}

static const struct image_ops nbd_ops = {nbd_read,       nbd_write_all, nbd_flush_begin,
                                         nbd_flush_poll, nbd_lock,      nbd_free};

/* ---- Overlays ---- */

const char *nbd_create_overlay(const char *path, const char *below, const char *format,
                               u64 size)
{
    char *whole = realpath(below, NULL), why[300], bytes[24];
    /* -u: the image below is ours, and locked; so its size is said, too */
    char *const arguments[] = {
        "qemu-img", "create",       "-q", "-f", "qcow2",      "-b",  whole,
        "-F",       (char *)format, "-u", "--", (char *)path, bytes, NULL};
    bool done;

    if (!whole)
        return disk_sentence("%s: %s", below, strerror(errno));
    if (!access(path, F_OK)) {
        free(whole);
        return disk_sentence("%s: is there already", path);
    }
    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)size);
    done = nbd_run(arguments, why, sizeof(why));
    free(whole);
    return done ? NULL : disk_sentence("%s: %s", path, why);
}

/* ---- Opening ---- */

/* A value of --image-opts: its commas are doubled. Frees nothing. */
static char *option_value(const char *text)
{
    char *value = calloc(2, strlen(text) + 1), *to = value;

    check(value, "no memory for a path");
    for (; *text; *to++ = *text++)
        if (*text == ',')
            *to++ = ',';
    return value;
}

/* "fat:[12:|16:|32:][floppy:][rw:]FOLDER", QEMU's spelling. */
static char *folder_options(const char *name, struct image_request *want, const char **error)
{
    bool floppy = want->kind == DISK_FLOPPY, rw = false;
    char *options, *folder;
    struct stat st;
    const char *bits = "";

    name += strlen("fat:");
    for (bool more = true; more;) {
        if (!strncmp(name, "floppy:", 7))
            floppy = true;
        else if (!strncmp(name, "rw:", 3))
            rw = true;
        else if (!strncmp(name, "12:", 3))
            bits = "fat-type=12,";
        else if (!strncmp(name, "16:", 3))
            bits = "fat-type=16,";
        else if (!strncmp(name, "32:", 3))
            bits = "fat-type=32,";
        else
            more = false;
        if (more)
            name = strchr(name, ':') + 1;
    }
    want->write &= rw;
    *error = want->kind == DISK_CD
                 ? disk_sentence("%s: a folder is a hard disk or floppy, no CD", want->path)
             : stat(name, &st)      ? disk_sentence("%s: %s", name, strerror(errno))
             : !S_ISDIR(st.st_mode) ? disk_sentence("%s: is no folder", name)
                                    : NULL;
    if (*error)
        return NULL;
    folder = option_value(name);
    if (asprintf(&options, "driver=vvfat,floppy=%s,rw=%s,%sdir=%s", floppy ? "on" : "off",
                 want->write ? "on" : "off", bits, folder) < 0)
        options = NULL;
    check(options, "no memory for a path");
    free(folder);
    return options;
}

static char *file_options(const char *format, struct image_request *want, const char **error)
{
    char *options, *path;
    struct stat st;

    *error =
        stat(want->path, &st) ? disk_sentence("%s: %s", want->path, strerror(errno)) : NULL;
    if (!*error && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        *error = disk_sentence("%s: is neither a file nor a block device", want->path);
    if (*error)
        return NULL;
    if (want->write && access(want->path, W_OK)) {
        warn("%s: %s: opened read-only (-snapshot lets the guest write to a temporary copy)",
             want->path, strerror(errno));
        want->write = false;
    }
    path = option_value(want->path);
    if (asprintf(&options, "driver=%s,file.driver=%s,file.locking=%s,file.filename=%s", format,
                 S_ISBLK(st.st_mode) ? "host_device" : "file", want->unlocked ? "off" : "auto",
                 path) < 0)
        options = NULL;
    check(options, "no memory for a path");
    free(path);
    return options;
}

/* What the guest sees of an image of that size. */
static const char *nbd_round(struct nbd *nbd, enum disk_kind kind)
{
    u64 unit = kind == DISK_CD ? 2048 : 512;

    nbd->image.size = (nbd->bytes + unit - 1) / unit * unit;
    if (!nbd->bytes)
        return disk_sentence("%s: is a disk without a sector", nbd->path);
    if (kind == DISK_FLOPPY && !image_floppy_size(nbd->bytes))
        return disk_sentence("%s: %llu KiB are no floppy's size: give it by -hda", nbd->path,
                             (unsigned long long)nbd->bytes >> 10);
    return NULL;
}

struct image *nbd_open(const struct image_format *format, const struct image_request *request,
                       const char **error)
{
    struct image_request want = *request;
    const char *missing = library_missing(&library_nbd);
    struct nbd *nbd;
    char *options;

    if (missing) {
        *error =
            disk_sentence("%s: %s (apt-get install libnbd0 qemu-utils)", want.path, missing);
        return NULL;
    }
    options = image_is_folder(want.path) ? folder_options(want.path, &want, error)
                                         : file_options(format->name, &want, error);
    if (!options)
        return NULL;
    nbd = calloc(1, sizeof(*nbd));
    check(nbd, "no memory for an image");
    nbd->path = strdup(want.path);
    nbd->options = options;
    nbd->image = (struct image){
        .ops = &nbd_ops, .path = nbd->path, .format = format->name, .read_only = !want.write};
    *error = nbd_connect(nbd);
    if (!*error)
        *error = nbd_round(nbd, want.kind);
    if (!*error)
        return &nbd->image;
    nbd_free(&nbd->image);
    return NULL;
}
