/*
 * Sound by SDL2: frames are put into a ring, and SDL's thread takes them out. (SDL's own queue
 * is not used: its thread gets a stack of 64 KiB then, too small for the thread-local storage
 * of this program.)
 *
 * The queue is what a late machine lives on, and what the user hears as delay. It is kept near
 * TARGET: the host's sound clock is not the machine's, so each piece is made longer or shorter
 * by a frame or two (0.4 % at most). An empty queue is filled up to TARGET with silence first;
 * above MOST, pieces are dropped.
 *
 * A host's sound server may take long to answer, or never do. So the device is opened, at the
 * first sound, by a thread of its own; what sounds until then is kept, up to MOST. A host
 * without sound is silent; --trace audio says why.
 */
#define SDL_MAIN_HANDLED
#include "runtime/sound/sdl.h"
#include "runtime/machine/machine.h"
#include "runtime/sound/mixer.h"

#include <SDL.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICE_FRAMES = 512, RING = 16384, PIECE = 512, STRETCH = 2 };
#define TARGET_MS 40u
#define MOST_MS   120u

/* Where the opening stands. The thread owns the struct with ABANDONED, else the machine. */
enum state { CLOSED, OPENING, OPEN, FAILED, ABANDONED };

struct sdl_sound {
    struct sound sound;
    const char *driver; /* NULL: SDL chooses */
    u32 rate;
    int state;
    SDL_AudioDeviceID device; /* while OPEN */
    u32 put, taken;  /* frames so far: the ring holds taken to put - 1. SDL's thread writes
                        `taken` only */
    char error[160]; /* while FAILED */
    bool told;       /* the error */
    u64 next;        /* number of the frame after the last written */
    i64 level;       /* of the queue, smoothed: frames * 256 */
    u32 underruns, dropped; /* times; frames */
    u32 kept;               /* frames in `early`: what sounded before the device was open */
    i16 ring[RING][2], early[RING][2];
};

static u32 frames_of(const struct sdl_sound *s, u32 ms)
{
    return s->rate * ms / 1000;
}

/* ---- SDL's thread ---- */

static void sdl_take(void *arg, Uint8 *out, int bytes)
{
    struct sdl_sound *s = arg;
    u32 n = __atomic_load_n(&s->put, __ATOMIC_ACQUIRE) - s->taken,
        want = (u32)bytes / sizeof(s->ring[0]);

    n = n < want ? n : want;
    for (u32 i = 0; i < n; i++)
        memcpy(out + i * sizeof(s->ring[0]), s->ring[(s->taken + i) % RING],
               sizeof(s->ring[0]));
    memset(out + n * sizeof(s->ring[0]), 0, (want - n) * sizeof(s->ring[0]));
    __atomic_store_n(&s->taken, s->taken + n, __ATOMIC_RELEASE);
}

/* ---- Opening ---- */

/* SDL's audio is the process's: it is started once, with the first one's driver, and stays. */
static bool start_sdl(const char *driver, char *error, size_t size)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool started;

    pthread_mutex_lock(&lock);
    started = started || !SDL_AudioInit(driver);
    if (!started)
        snprintf(error, size, "%s", SDL_GetError());
    pthread_mutex_unlock(&lock);
    return started;
}

static enum state open_device(struct sdl_sound *s)
{
    SDL_AudioSpec want = { .freq = (int)s->rate,
                           .format = AUDIO_S16SYS,
                           .channels = 2,
                           .samples = DEVICE_FRAMES,
                           .callback = sdl_take,
                           .userdata = s };

    if (!start_sdl(s->driver ? s->driver : getenv("SDL_AUDIODRIVER"), s->error,
                   sizeof(s->error)))
        return FAILED;
    s->device = SDL_OpenAudioDevice(NULL, 0, &want, NULL, 0);
    if (!s->device) {
        snprintf(s->error, sizeof(s->error), "%s", SDL_GetError());
        return FAILED;
    }
    SDL_PauseAudioDevice(s->device, 0);
    return OPEN;
}

static void *open_run(void *arg)
{
    struct sdl_sound *s = arg;
    int opening = OPENING, state = open_device(s);

    if (!__atomic_compare_exchange_n(&s->state, &opening, state, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (state == OPEN)
            SDL_CloseAudioDevice(s->device);
        free(s);
    }
    SDL_TLSCleanup(); /* what SDL keeps of a thread that is not its own, its last error */
    return NULL;
}

/* run(s) in a thread that nobody waits for: 0, or why there is none. */
static int in_thread(struct sdl_sound *s, void *(*run)(void *))
{
    sigset_t all, before;
    pthread_t thread;
    int failed;

    sigfillset(&all); /* signals are the machine's; SDL's thread inherits this */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, NULL, run, s);
    if (!failed)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void open_begin(struct sdl_sound *s)
{
    int failed;

    s->state = OPENING;
    failed = in_thread(s, open_run);
    if (failed) {
        snprintf(s->error, sizeof(s->error), "no thread: %s", strerror(failed));
        s->state = FAILED;
    }
}

/* ---- Writing ---- */

static u32 queued(const struct sdl_sound *s)
{
    return s->put - __atomic_load_n(&s->taken, __ATOMIC_ACQUIRE);
}

/* There is room: MOST is less than the ring. */
static void queue(struct sdl_sound *s, const i16 (*frames)[2], u32 n)
{
    for (u32 i = 0; i < n; i++)
        memcpy(s->ring[(s->put + i) % RING], frames[i], sizeof(frames[i]));
    __atomic_store_n(&s->put, s->put + n, __ATOMIC_RELEASE);
}

/* The queue ran out, or a sound begins. */
static void prime(struct sdl_sound *s, bool goes_on)
{
    static const i16 silence[PIECE][2];

    s->underruns += goes_on;
    for (u32 n = frames_of(s, TARGET_MS); n; n -= n < PIECE ? n : PIECE)
        queue(s, silence, n < PIECE ? n : PIECE);
    s->level = (i64)frames_of(s, TARGET_MS) * 256;
}

/* n frames as m, by straight lines between them. */
static void queue_stretched(struct sdl_sound *s, const i16 (*frames)[2], u32 n, u32 m)
{
    i16 out[PIECE + STRETCH][2];

    for (u32 i = 0; i < m; i++) {
        u32 at = i * (n - 1) * 256 / (m - 1), part = at % 256;
        const i16 *a = frames[at / 256], *b = frames[at / 256 + (part != 0)];

        out[i][0] = (i16)((a[0] * (256 - (i32)part) + b[0] * (i32)part) / 256);
        out[i][1] = (i16)((a[1] * (256 - (i32)part) + b[1] * (i32)part) / 256);
    }
    queue(s, (const i16(*)[2])out, m);
}

/* How many frames longer the queue wants a piece. */
static int correction(struct sdl_sound *s, u32 level)
{
    i64 off;

    s->level += ((i64)level * 256 - s->level) / 64;
    off = s->level / 256 - frames_of(s, TARGET_MS);
    return off > frames_of(s, TARGET_MS) / 2 ? -2
           : off > frames_of(s, 4)           ? -1
           : off < -(i64)frames_of(s, 4)     ? 1
                                             : 0;
}

static void sdl_play(struct sdl_sound *s, const i16 (*frames)[2], u32 n, bool goes_on)
{
    u32 level = queued(s);

    if (!level)
        prime(s, goes_on);
    if (level + n > frames_of(s, MOST_MS)) {
        s->dropped += n;
        return;
    }
    if (n < PIECE / 4 || n > PIECE)
        queue(s, frames, n);
    else
        queue_stretched(s, frames, n,
                        n + (u32)correction(s, level ? level : frames_of(s, TARGET_MS)));
}

static void sdl_keep(struct sdl_sound *s, const i16 (*frames)[2], u32 n)
{
    u32 room = frames_of(s, MOST_MS - TARGET_MS) - s->kept;

    n = n < room ? n : room;
    memcpy(s->early[s->kept], frames, n * sizeof(frames[0]));
    s->kept += n;
}

static void play_kept(struct sdl_sound *s)
{
    if (!s->kept)
        return;
    prime(s, false);
    queue(s, (const i16(*)[2])s->early, s->kept);
    s->kept = 0;
}

static void sdl_write(struct sound *sound, u64 number, const i16 (*frames)[2], u32 n)
{
    struct sdl_sound *s = (struct sdl_sound *)sound;
    bool goes_on = number == s->next;

    s->next = number + n;
    switch (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE)) {
    case CLOSED:
        open_begin(s);
        sdl_keep(s, frames, n);
        break;
    case OPENING:
        sdl_keep(s, frames, n);
        break;
    case OPEN:
        play_kept(s);
        sdl_play(s, frames, n, goes_on);
        break;
    case FAILED:
        if (!s->told)
            trace(TRACE_AUDIO, "no sound: %s", s->error);
        s->told = true;
        break;
    }
}

/* ---- The rest ---- */

static void sdl_tell(struct sound *sound, FILE *out)
{
    static const char *const states[] = { "not opened yet", "opening", "open",
                                          "cannot be opened" };
    struct sdl_sound *s = (struct sdl_sound *)sound;
    int state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);

    fprintf(out, " (%s", states[state]);
    if (state == FAILED)
        fprintf(out, ": %s", s->error);
    if (state == OPEN)
        fprintf(out, ", %s", SDL_GetCurrentAudioDriver());
    fprintf(out, "), delay %u ms of at most %u and %u in SDL, %u times empty, %u ms dropped",
            state == OPEN ? queued(s) * 1000 / s->rate : TARGET_MS, MOST_MS,
            DEVICE_FRAMES * 1000 / s->rate, s->underruns,
            (u32)((u64)s->dropped * 1000 / s->rate));
}

static void *close_run(void *arg)
{
    struct sdl_sound *s = arg;

    SDL_CloseAudioDevice(s->device);
    SDL_TLSCleanup();
    free(s);
    return NULL;
}

/* Nobody waits for the host's sound: a device that is open, or still being opened, is left to a
 * thread. */
static void sdl_close(struct sound *sound)
{
    struct sdl_sound *s = (struct sdl_sound *)sound;
    int state = OPENING;

    if (__atomic_compare_exchange_n(&s->state, &state, ABANDONED, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return;
    if (state != OPEN || in_thread(s, close_run))
        free(s);
}

struct sound *sdl_open(struct machine *m, const struct sound_backend *backend,
                       const struct audiodev_options *o)
{
    u32 rate = o->rate ? o->rate : MIXER_RATE;
    struct sdl_sound *s = calloc(1, sizeof(*s));

    check(s, "out of memory");
    s->sound = (struct sound){ sdl_write, sdl_tell, sdl_close };
    s->driver = backend->driver;
    s->rate = rate;
    return &s->sound;
}
