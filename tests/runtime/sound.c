/*
 * Resampling, mixing and the WAV file: all by the machine's clock, so each run is the same to
 * the bit.
 */
#include "runtime/sound/sound.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/clock.h"
#include "runtime/sound/mixer.h"
#include "runtime/sound/resample.h"
#include "tests/harness/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Resampling ---- */

/* A sine of amplitude 10000 through a resampler; every output frame against the sine itself:
 * the worst error. */
static double sine_error(u32 in, u32 out, double hz)
{
    static struct sinc sinc;
    static struct resampler r;
    float frame[2];
    double worst = 0;
    u32 n = 0;

    sinc_init(&sinc);
    resampler_start(&r, &sinc, in, out);
    for (u32 i = 0; i < in; i++) {
        float v = (float)(10000 * sin(2 * M_PI * hz * i / in));

        resampler_feed(&r, v, -v);
        for (; resampler_take(&r, frame); n++) {
            double error = fabs(frame[0] - 10000 * sin(2 * M_PI * hz * n / out));

            worst = n > out / 50 && error > worst ? error : worst;
            CHECK(frame[1] == -frame[0]);
        }
    }
    CHECK(n > out - out * 2 * r.reach / in && n <= out);
    return worst;
}

TEST(resample, a_sine_stays_a_sine_in_its_place)
{
    static const u32 rates[] = { 4000, 8000, 11025, 22050, 22222, 44100, 48000, 49716, 192000 };

    for (u32 i = 0; i < ARRAY_SIZE(rates); i++)
        CHECK(sine_error(rates[i], 48000, 1000) < 60);
    CHECK(sine_error(44100, 48000, 10000) < 60);
    CHECK(sine_error(11025, 44100, 3000) < 60);
}

/* What the lower rate cannot hold does not come through as another tone. */
TEST(resample, what_cannot_be_heard_is_gone)
{
    static struct sinc sinc;
    static struct resampler r;
    float frame[2], most = 0;

    sinc_init(&sinc);
    resampler_start(&r, &sinc, 192000, 48000);
    for (u32 i = 0; i < 192000; i++) {
        resampler_feed(&r, (float)(10000 * sin(2 * M_PI * 31000 * i / 192000)), 0);
        while (resampler_take(&r, frame))
            most = i > 10000 && fabsf(frame[0]) > most ? fabsf(frame[0]) : most;
    }
    CHECK(most < 30);
}

/* ---- Mixing ---- */

/* Who takes the mixed frames. */
struct tape {
    struct sound sound;
    u64 first, next; /* numbers */
    u32 breaks;      /* numbers left out */
    i16 frames[48000 * 4][2];
};

static void tape_write(struct sound *s, u64 number, const i16 (*frames)[2], u32 n)
{
    struct tape *t = (struct tape *)s;

    if (!t->next)
        t->first = number;
    t->breaks += t->next && t->next != number;
    t->next = number + n;
    for (u32 i = 0; i < n; i++)
        if (number + i < ARRAY_SIZE(t->frames))
            memcpy(t->frames[number + i], frames[i], sizeof(frames[i]));
}

/* A chip that plays a sine of its voice, and can be held up. */
struct player {
    struct device dev;
    struct voice voice;
    double hz;
    bool held;
};

static void player_render(struct device *dev)
{
    struct player *p = (struct player *)dev;

    for (u32 n = p->held ? 0 : voice_due(&p->voice); n; n--) {
        i16 v[2];

        v[0] = (i16)lrint(8000 * sin(2 * M_PI * p->hz * p->voice.written / p->voice.rate));
        v[1] = (i16)-v[0];
        voice_write(&p->voice, v, 1);
    }
}

static struct tape *tape_new(struct rig *r, struct audiodev **a)
{
    static struct tape t;

    memset(&t, 0, sizeof(t));
    t.sound.write = tape_write;
    *a = mixer_new(r->m, &t.sound, 48000);
    return &t;
}

static void player_init(struct player *p, struct rig *r, struct audiodev *a, double hz)
{
    *p = (struct player){ .dev = { .machine = r->m }, .hz = hz };
    voice_init(&p->voice, &p->dev, a, "player", player_render);
}

/* The worst jump from one frame to the next: of a sine, small; at a gap, not. */
static i32 worst_step(const struct tape *t, u64 from, u64 to)
{
    i32 worst = 0;

    for (u64 i = from + 1; i < to; i++) {
        i32 step = abs(t->frames[i][0] - t->frames[i - 1][0]);

        worst = step > worst ? step : worst;
    }
    return worst;
}

static u32 tape_rises(const struct tape *t, u64 from, u64 to)
{
    u32 rises = 0;

    for (u64 i = from + 1; i < to; i++)
        rises += t->frames[i - 1][0] < 0 && t->frames[i][0] >= 0;
    return rises;
}

TEST(mixer, a_voice_stands_at_its_time)
{
    struct rig *r = rig_new(NULL, NULL);
    struct audiodev *a;
    struct tape *t = tape_new(r, &a);
    struct player p;

    player_init(&p, r, a, 500);
    rig_advance(r, MSEC(700));
    CHECK_EQ(t->next, 0); /* nothing is made while no voice is on */
    voice_start(&p.voice, 8000, 2);
    rig_advance(r, SEC(1));
    player_render(&p.dev);
    voice_stop(&p.voice);
    rig_advance(r, SEC(1));
    CHECK_EQ(t->first, 33600);
    CHECK_EQ(t->breaks, 0);
    CHECK(t->next >= 81600 && t->next < 81600 + 1000);
    CHECK_EQ(tape_rises(t, 33600 + 10, 81600), 499);
    CHECK(abs(t->frames[33600 + 24][0] - 8000) < 80); /* a quarter period in: the top */
    CHECK(abs(t->frames[33600 + 24][1] + 8000) < 80);
    CHECK(abs(t->frames[81600 - 24][0] + 8000) < 80);
    CHECK_EQ(t->frames[81600 + 100][0], 0);
    mixer_free(a);
}

TEST(mixer, voices_add_up_and_are_clipped)
{
    struct rig *r = rig_new(NULL, NULL);
    struct audiodev *a;
    struct tape *t = tape_new(r, &a);
    struct player p[5];

    for (u32 i = 0; i < 5; i++) {
        player_init(&p[i], r, a, 500);
        voice_start(&p[i].voice, i ? 8000 * i : 11025, 2);
    }
    p[0].voice.gain[0] = p[0].voice.gain[1] = 0;
    rig_advance(r, MSEC(500));
    CHECK(abs(t->frames[12000 + 24][0] - 32000) < 200);
    p[0].voice.gain[0] = VOICE_FULL;
    rig_advance(r, MSEC(500));
    CHECK_EQ(t->frames[43200 + 24][0], 32767);
    CHECK_EQ(t->frames[43200 + 72][0], -32768);
    CHECK(abs(t->frames[43200 + 24][1] + 32000) < 200);
    mixer_free(a);
}

/* A guest at half its speed: each piece comes when twice its time is over, and then what was
 * missed in one. */
TEST(mixer, no_gap_when_a_chip_is_late)
{
    struct rig *r = rig_new(NULL, NULL);
    struct audiodev *a;
    struct tape *t = tape_new(r, &a);
    struct player p, other;

    player_init(&p, r, a, 440);
    player_init(&other, r, a, 0);
    voice_start(&p.voice, 22050, 2);
    voice_start(&other.voice, 48000, 2);
    for (u32 i = 0; i < 20; i++) {
        p.held = i & 1;
        rig_advance(r, MSEC(100 + i * 7));
    }
    p.held = false;
    rig_advance(r, MSEC(20));
    CHECK_EQ(t->breaks, 0);
    CHECK(t->next > 48000 * 334 / 100);
    CHECK(worst_step(t, 100, t->next) < 500); /* the sine's own is 461 */
    CHECK_EQ(tape_rises(t, 100, 48000 * 3), 439 * 3 + 2);
    mixer_free(a);
}

TEST(mixer, a_chip_that_never_comes_is_not_waited_for)
{
    struct rig *r = rig_new(NULL, NULL);
    struct audiodev *a;
    struct tape *t = tape_new(r, &a);
    struct player p, dead;

    player_init(&p, r, a, 440);
    player_init(&dead, r, a, 440);
    dead.held = true;
    voice_start(&p.voice, 22050, 1);
    voice_start(&dead.voice, 22050, 1);
    rig_advance(r, SEC(2));
    CHECK(t->next > 48000 * 14 / 10 && t->next < 48000 * 16 / 10);
    rig_advance(r, SEC(1) * 3600);
    dead.held = false;
    rig_advance(r, MSEC(20));
    CHECK(voice_due(&dead.voice) < 500); /* half a second was made up for, the rest given up */
    mixer_free(a);
}

/* A machine that was stopped by SIGSTOP: its clock has gone on, and nobody looked. */
TEST(mixer, an_hour_missed_is_not_made_up_for)
{
    struct rig *r = rig_new(NULL, NULL);
    struct audiodev *a;
    struct tape *t = tape_new(r, &a);
    struct player p;

    player_init(&p, r, a, 440);
    voice_start(&p.voice, 48000, 2);
    rig_advance(r, MSEC(100));
    r->m->clock_stopped += SEC(3600);
    rig_advance(r, MSEC(20));
    CHECK_EQ(t->breaks, 1);
    CHECK(t->next > 48000ull * 3600);
    CHECK_EQ(p.voice.rate, 48000);
    mixer_free(a);
}

/* ---- The WAV file ---- */

static u32 get32(const u8 *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24;
}

TEST(sound, wav_is_by_the_machines_clock)
{
    static u8 file[48000 * 4 * 3];
    struct rig *r = rig_new(NULL, NULL);
    char path[] = "/tmp/ring3-wav-XXXXXX";
    int fd = mkstemp(path);
    struct player p;
    struct audiodev *a;
    ssize_t n;

    r->m->options->audiodev[0] = (struct audiodev_options){ "x", "wav", path, 44100 };
    a = sound_audio(r->m, "x");
    CHECK(a == sound_audio(r->m, NULL)); /* the first is the default, and is opened once */
    player_init(&p, r, a, 441);
    rig_advance(r, MSEC(500));
    voice_start(&p.voice, 11025, 1);
    rig_advance(r, SEC(1));
    voice_stop(&p.voice);
    sound_free_all(r->m);
    n = read(fd, file, sizeof(file));
    CHECK(!memcmp(file, "RIFF", 4) && !memcmp(file + 8, "WAVEfmt ", 8) &&
          !memcmp(file + 36, "data", 4));
    CHECK_EQ(get32(file + 4) + 8, n);
    CHECK_EQ(get32(file + 40) + 44, n);
    CHECK_EQ(get32(file + 24), 44100);
    CHECK_EQ(get32(file + 28), 44100 * 4);
    CHECK((n - 44) / 4 >= 44100 * 3 / 2 - 50 && (n - 44) / 4 <= 44100 * 3 / 2 + 50);
    for (u32 i = 44; i < 44 + 4 * 22050; i++)
        CHECK_EQ(file[i], 0);
    CHECK(abs((i16)get32(file + 44 + 4 * (22050 + 25)) - 8000) < 80);
    close(fd);
    unlink(path);
}

/* The loudest of these frames' first samples, away from silence. */
static i32 loudest(const u8 *file, u32 bits, u32 channels, u32 from, u32 to)
{
    i32 most = 0;

    for (u32 i = from; i < to; i++) {
        const u8 *p = file + 44 + i * channels * bits / 8;
        i32 val = abs(bits == 8 ? (*p - 0x80) * 256 : (i16)(p[0] | p[1] << 8));

        most = val > most ? val : most;
    }
    return most;
}

/* Silence, a tone, silence, the tone again, seconds after the start; what sounded before is not
 * there. */
static void check_capture(const char *path, u32 rate, u32 bits, u32 channels)
{
    static u8 file[44100 * 4 * 3];
    FILE *f = fopen(path, "rb");
    u32 n = f ? (u32)fread(file, 1, sizeof(file), f) : 0, size = channels * bits / 8,
        few = rate / 100, frames = (n - 44) / size;

    CHECK(f && n > 44);
    if (f)
        fclose(f);
    CHECK_EQ(get32(file + 4) + 8, n);
    CHECK_EQ(get32(file + 40) + 44, n);
    CHECK_EQ(get32(file + 20), 1 | channels << 16);
    CHECK_EQ(get32(file + 24), rate);
    CHECK_EQ(get32(file + 28), rate * size);
    CHECK_EQ(get32(file + 32), size | bits << 16);
    CHECK(frames >= rate * 2 - few && frames <= rate * 2 + 3 * few);
    CHECK_EQ(loudest(file, bits, channels, 0, rate / 2 - few), 0);
    CHECK(abs(loudest(file, bits, channels, rate / 2 + few, rate - few) - 8000) < 300);
    CHECK_EQ(loudest(file, bits, channels, rate + few, rate * 3 / 2 - few), 0);
    CHECK(abs(loudest(file, bits, channels, rate * 3 / 2 + few, rate * 2 - few) - 8000) < 300);
    unlink(path);
}

static void play_for(struct rig *r, struct player *p, u64 ns)
{
    voice_start(&p->voice, 11025, 1);
    rig_advance(r, ns);
    voice_stop(&p->voice);
}

TEST(sound, a_capture_is_by_the_machines_clock)
{
    struct rig *r = rig_new(NULL, NULL);
    char wav[] = "/tmp/ring3-wav-XXXXXX", one[] = "/tmp/ring3-wav-XXXXXX",
         two[] = "/tmp/ring3-wav-XXXXXX", text[256] = "";
    struct player p;
    FILE *f;

    close(mkstemp(wav));
    close(mkstemp(one));
    close(mkstemp(two));
    r->m->options->audiodev[0] = (struct audiodev_options){"x", "wav", wav, 0};
    CHECK(strstr(sound_capture_start(r->m, one, "x", 44100, 16, 2), "no sound device"));
    player_init(&p, r, sound_audio(r->m, "x"), 441);
    play_for(r, &p, MSEC(700));
    rig_advance(r, SEC(1));
    CHECK(strstr(sound_capture_start(r->m, "/no/such/file", "x", 44100, 16, 2), "No such"));
    CHECK(strstr(sound_capture_start(r->m, "/dev/null", "x", 44100, 16, 2), "regular"));
    CHECK(!sound_capture_start(r->m, one, "x", 44100, 16, 2));
    CHECK(!sound_capture_start(r->m, two, "x", 22050, 8, 1));
    rig_advance(r, MSEC(500));
    play_for(r, &p, MSEC(500));
    rig_advance(r, MSEC(500));
    play_for(r, &p, MSEC(500));
    rig_advance(r, SEC(1));
    f = fmemopen(text, sizeof(text), "w");
    sound_capture_tell(r->m, f);
    fclose(f);
    CHECK(strstr(text, "[1]: Capturing audio(22050,8,1) to /tmp/ring3-wav-"));
    CHECK(!sound_capture_stop(r->m, 2));
    CHECK(sound_capture_stop(r->m, 0));
    play_for(r, &p, MSEC(0)); /* the other goes on */
    sound_free_all(r->m);
    check_capture(one, 44100, 16, 2);
    check_capture(two, 22050, 8, 1);
    unlink(wav);
}

TEST(sound, none_is_no_audio)
{
    struct rig *r = rig_new(NULL, NULL);

    CHECK(!sound_audio(r->m, NULL)); /* no window, no -audiodev */
    r->m->options->audiodev[0] = (struct audiodev_options){ "x", "none", NULL, 0 };
    CHECK(!sound_audio(r->m, "x"));
    CHECK(strstr(sound_capture_start(r->m, "/dev/null", "x", 44100, 16, 2), "kind none"));
    sound_free_all(r->m);
}

/* The line of `info audio`. */
static void told(struct machine *m, char *line, size_t size)
{
    FILE *f = fmemopen(line, size, "w");

    sound_tell(m, f);
    fclose(f);
}

/* SDL's drivers: one that does not exist, and one that plays to nobody at the right pace. */
TEST(sound, sdl_without_sound_is_silent)
{
    struct rig *r = rig_new(NULL, NULL);
    char line[512] = "";
    struct player p;

    setenv("SDL_AUDIODRIVER", "nonesuch", 1);
    r->m->options->audiodev[0] = (struct audiodev_options){ "x", "sdl", NULL, 0 };
    player_init(&p, r, sound_audio(r->m, NULL), 441);
    voice_start(&p.voice, 44100, 2);
    for (u32 i = 0; i < 200 && !strstr(line, "cannot"); i++) {
        rig_advance(r, MSEC(10));
        usleep(10000);
        told(r->m, line, sizeof(line));
    }
    CHECK(strstr(line, "x: sdl (cannot be opened: "));
    sound_free_all(r->m);
}

TEST(sound, sdl_keeps_its_delay)
{
    struct rig *r = rig_new(NULL, NULL);
    char line[512] = "";
    struct player p;
    u32 delay = 0;

    setenv("SDL_AUDIODRIVER", "dummy", 1);
    r->m->options->audiodev[0] = (struct audiodev_options){ "x", "sdl", NULL, 0 };
    player_init(&p, r, sound_audio(r->m, NULL), 441);
    voice_start(&p.voice, 44100, 2);
    for (u32 i = 0; i < 60; i++) {
        rig_advance(r, MSEC(20)); /* twice as fast as the host plays */
        usleep(10000);
    }
    told(r->m, line, sizeof(line));
    CHECK_EQ(sscanf(line, "x: sdl (open, dummy), delay %u ms", &delay), 1);
    CHECK(delay > 60 && delay <= 120);
    sound_free_all(r->m);
}
