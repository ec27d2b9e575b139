/*
 * A frame's number is its place in the file, so silence is a hole, which costs no space on most
 * hosts. The header's sizes are brought up to date every second of sound: after a kill -9 the
 * file is still one.
 */
#include "runtime/sound/wav_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 44, CHUNK = 512 };

static u32 frame_size(const struct wav_file *w)
{
    return w->channels * w->bits / 8;
}

/* The format's sizes are 32-bit: 6.2 hours at 48 kHz. */
static u64 most_frames(const struct wav_file *w)
{
    return (UINT32_MAX - HEADER) / frame_size(w);
}

u64 wav_file_bytes(const struct wav_file *w)
{
    return w->frames * frame_size(w);
}

static void put16(u8 *p, u32 val)
{
    p[0] = (u8)val;
    p[1] = (u8)(val >> 8);
}

static void put32(u8 *p, u32 val)
{
    put16(p, val);
    put16(p + 2, val >> 16);
}

/* Microsoft and IBM: Multimedia Programming Interface and Data Specifications 1.0, "Waveform
 * Audio File Format". */
static bool write_header(struct wav_file *w)
{
    u8 h[HEADER] = "RIFF....WAVEfmt \x10\0\0\0\1\0..............data";
    u32 bytes = (u32)wav_file_bytes(w);

    put32(h + 4, HEADER - 8 + bytes);
    put16(h + 22, w->channels);
    put32(h + 24, w->rate);
    put32(h + 28, w->rate * frame_size(w));
    put16(h + 32, frame_size(w));
    put16(h + 34, w->bits);
    put32(h + 40, bytes);
    w->told = w->frames;
    return pwrite(w->fd, h, HEADER, 0) == HEADER;
}

static void stop(struct wav_file *w, const char *why)
{
    w->stopped = why;
    trace(TRACE_AUDIO, "%s: %s; nothing more is written", w->path, why);
}

/* The frames as the file has them. */
static void encode(const struct wav_file *w, const i16 (*frames)[2], u32 n, u8 *to)
{
    for (u32 i = 0; i < n; i++)
        for (u32 k = 0; k < w->channels; k++) {
            i32 val = w->channels == 1 ? (frames[i][0] + frames[i][1]) / 2 : (i32)frames[i][k];

            if (w->bits == 8) {
                *to++ = (u8)((val >> 8) + 0x80);
            } else {
                put16(to, (u32)val);
                to += 2;
            }
        }
}

static bool write_at(struct wav_file *w, u64 place, const i16 (*frames)[2], u32 n)
{
    u8 bytes[CHUNK * 4];
    ssize_t size = n * frame_size(w);

    errno = 0;
    encode(w, frames, n, bytes);
    if (pwrite(w->fd, bytes, (size_t)size, (off_t)(HEADER + place * frame_size(w))) != size) {
        stop(w, errno ? strerror(errno) : "no space left");
        return false;
    }
    w->frames = place + n > w->frames ? place + n : w->frames;
    return true;
}

/* A hole is zeros, and no silence in 8 bits. */
static bool fill(struct wav_file *w, u64 until)
{
    static const i16 silence[CHUNK][2];

    while (w->bits == 8 && w->frames < until) {
        u64 n = until - w->frames;

        if (!write_at(w, w->frames, silence, n < CHUNK ? (u32)n : CHUNK))
            return false;
    }
    return true;
}

void wav_file_put(struct wav_file *w, u64 place, const i16 (*frames)[2], u32 n)
{
    if (w->stopped)
        return;
    if (place + n > most_frames(w)) {
        stop(w, "a WAV file holds no more");
        return;
    }
    if (!fill(w, place))
        return;
    for (u32 done = 0, part; done < n; done += part) {
        part = n - done < CHUNK ? n - done : CHUNK;
        if (!write_at(w, place + done, frames + done, part))
            return;
    }
    if (w->frames >= w->told + w->rate)
        write_header(w);
}

/* What would keep the machine waiting, or cannot be written at a place, is refused. */
static const char *unfit(int fd)
{
    struct stat st;

    return fstat(fd, &st) ? strerror(errno) : S_ISREG(st.st_mode) ? NULL : "no regular file";
}

bool wav_file_open(struct wav_file *w, const char *path, u32 rate, u32 bits, u32 channels,
                   const char **error)
{
    const char *why;

    *w = (struct wav_file){.rate = rate, .bits = bits, .channels = channels};
    w->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    why = w->fd < 0 ? strerror(errno) : unfit(w->fd);
    if (!why && (ftruncate(w->fd, 0) || !write_header(w)))
        why = strerror(errno);
    if (why) {
        if (w->fd >= 0)
            close(w->fd);
        *error = why;
        return false;
    }
    w->path = strdup(path);
    check(w->path, "out of memory");
    return true;
}

void wav_file_close(struct wav_file *w)
{
    write_header(w);
    close(w->fd);
    free(w->path);
}
