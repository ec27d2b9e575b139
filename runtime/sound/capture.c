/*
 * See capture.h. Frames without a gap between them are one stretch, which is resampled as one
 * voice is; its place in the file is that of its first frame.
 */
#include "runtime/sound/capture.h"
#include "runtime/sound/resample.h"
#include "runtime/sound/wav_file.h"

#include <stdlib.h>

enum { CHUNK = 512 };

struct capture {
    struct wav_file file;
    struct sinc sinc;
    struct resampler resampler;
    u32 in;
    u64 first, next; /* the number that is the file's beginning; that of the stretch's end */
    u64 place;       /* in the file, of the next frame */
    i16 frames[CHUNK][2];
    u32 held; /* of those */
};

static void flush(struct capture *c)
{
    if (c->held)
        wav_file_put(&c->file, c->place, (const i16(*)[2])c->frames, c->held);
    c->place += c->held;
    c->held = 0;
}

static void feed(struct capture *c, float left, float right)
{
    float frame[2];

    resampler_feed(&c->resampler, left, right);
    while (resampler_take(&c->resampler, frame)) {
        c->frames[c->held][0] = clipped(frame[0]);
        c->frames[c->held++][1] = clipped(frame[1]);
        if (c->held == CHUNK)
            flush(c);
    }
}

/* What is still in the filter. */
static void end_stretch(struct capture *c)
{
    for (u32 i = 0; i < c->resampler.reach; i++)
        feed(c, 0, 0);
    flush(c);
}

static void begin_stretch(struct capture *c, u64 number)
{
    resampler_start(&c->resampler, &c->sinc, c->in, c->file.rate);
    c->next = number;
    c->place = (u64)((unsigned __int128)(number - c->first) * c->file.rate / c->in);
}

struct capture *capture_new(const char *path, u32 in, u64 first, u32 rate, u32 bits,
                            u32 channels, const char **error)
{
    struct capture *c = calloc(1, sizeof(*c));

    check(c, "out of memory");
    if (!wav_file_open(&c->file, path, rate, bits, channels, error)) {
        free(c);
        return NULL;
    }
    c->in = in;
    c->first = first;
    sinc_init(&c->sinc);
    begin_stretch(c, first);
    return c;
}

void capture_write(struct capture *c, u64 number, const i16 (*frames)[2], u32 n)
{
    u32 late = number < c->first ? (c->first - number < n ? (u32)(c->first - number) : n) : 0;

    if (late < n && number + late != c->next) {
        end_stretch(c);
        begin_stretch(c, number + late);
    }
    for (u32 i = late; i < n; i++)
        feed(c, frames[i][0], frames[i][1]);
    c->next += n - late;
}

void capture_tell(const struct capture *c, FILE *out)
{
    fprintf(out, "Capturing audio(%u,%u,%u) to %s: %llu bytes%s%s\n", c->file.rate,
            c->file.bits, c->file.channels, c->file.path,
            (unsigned long long)wav_file_bytes(&c->file), c->file.stopped ? "; " : "",
            c->file.stopped ? c->file.stopped : "");
}

void capture_free(struct capture *c)
{
    end_stretch(c);
    wav_file_close(&c->file);
    free(c);
}
