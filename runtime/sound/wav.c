/*
 * A frame's number is its place in the file, so silence is a hole, which costs no space on most
 * hosts. The header's sizes are brought up to date every second of sound: after a kill -9 the
 * file is still one.
 */
#include "runtime/sound/wav.h"
#include "runtime/machine/machine.h"
#include "runtime/sound/mixer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 44, FRAME = 4 };
/* The format's sizes are 32-bit: 6.2 hours at 48 kHz. */
#define MOST_FRAMES ((UINT32_MAX - HEADER) / FRAME)

struct wav {
    struct sound sound;
    int fd;
    const char *path;
    u32 rate;
    u64 frames, told;    /* in the file; in its header */
    const char *stopped; /* why nothing more is written; NULL: all is well */
};

static void put32(u8 *p, u32 val)
{
    for (u32 i = 0; i < 4; i++)
        p[i] = (u8)(val >> 8 * i);
}

/* Microsoft and IBM: Multimedia Programming Interface and Data Specifications 1.0, "Waveform
 * Audio File Format". */
static bool write_header(struct wav *w)
{
    u8 h[HEADER] = "RIFF....WAVEfmt \x10\0\0\0\1\0\2\0........\4\0\x10\0data";
    u32 bytes = (u32)w->frames * FRAME;

    put32(h + 4, HEADER - 8 + bytes);
    put32(h + 24, w->rate);
    put32(h + 28, w->rate * FRAME);
    put32(h + 40, bytes);
    w->told = w->frames;
    return pwrite(w->fd, h, HEADER, 0) == HEADER;
}

static void stop(struct wav *w, const char *why)
{
    w->stopped = why;
    trace(TRACE_AUDIO, "%s: %s; nothing more is written", w->path, why);
}

static void wav_write(struct sound *s, u64 number, const i16 (*frames)[2], u32 n)
{
    struct wav *w = (struct wav *)s;

    if (w->stopped)
        return;
    if (number + n > MOST_FRAMES) {
        stop(w, "a WAV file holds no more");
        return;
    }
    if (pwrite(w->fd, frames, n * FRAME, (off_t)(HEADER + number * FRAME)) !=
        (ssize_t)(n * FRAME)) {
        stop(w, errno ? strerror(errno) : "no space left");
        return;
    }
    w->frames = number + n;
    if (w->frames >= w->told + w->rate)
        write_header(w);
}

static void wav_tell(struct sound *s, FILE *out)
{
    struct wav *w = (struct wav *)s;

    fprintf(out, " to %s, %.1f s", w->path, (double)w->frames / w->rate);
    if (w->stopped)
        fprintf(out, " (%s)", w->stopped);
}

static void wav_close(struct sound *s)
{
    struct wav *w = (struct wav *)s;

    write_header(w);
    close(w->fd);
    free(w);
}

/* What would keep the machine waiting, or cannot be written at a place, is refused. */
static const char *unfit(int fd)
{
    struct stat st;

    return fstat(fd, &st) ? strerror(errno) : S_ISREG(st.st_mode) ? NULL : "no regular file";
}

struct sound *wav_open(struct machine *m, const struct sound_backend *backend,
                       const struct audiodev_options *o)
{
    struct wav *w = calloc(1, sizeof(*w));
    const char *why;

    check(w, "out of memory");
    w->sound = (struct sound){ wav_write, wav_tell, wav_close };
    w->path = o->path ? o->path : "ring3.wav";
    w->rate = o->rate ? o->rate : MIXER_RATE;
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    why = w->fd < 0 ? strerror(errno) : unfit(w->fd);
    if (!why && (ftruncate(w->fd, 0) || !write_header(w)))
        why = strerror(errno);
    if (why)
        die("-audiodev wav: %s: %s", w->path, why);
    return &w->sound;
}
