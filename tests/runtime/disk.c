/*
 * The disk layer: reading, writing, locks, snapshots, odd sizes, exchanges, and what is in the
 * file after a kill.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/disk.h"
#include "runtime/storage/recognise.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"

static const char *open_error(const char *path, enum disk_kind kind, bool snapshot)
{
    struct drive_options o = { .file = path, .present = true, .snapshot = snapshot };
    const char *error = NULL;
    struct disk *d = disk_open(&o, kind, &error);

    if (!d)
        return error;
    disk_close(d);
    return NULL;
}

static u32 word_at(struct disk *d, u64 sector, u32 i)
{
    u32 words[128] = { 0 };

    CHECK(disk_read(d, sector * 512, words, sizeof(words)));
    return words[i];
}

static bool flush(struct disk *d)
{
    enum disk_flush state;

    disk_flush_begin(d);
    while ((state = disk_flush_poll(d)) == FLUSH_RUNNING)
        usleep(50);
    return state == FLUSH_DONE;
}

TEST(disk, reads_what_is_there_and_nothing_beyond)
{
    struct disk *d = image_open(image_file(MIB(1)), DISK_HARD, false);
    u8 buf[1024];

    CHECK_EQ(d->size, MIB(1));
    CHECK_EQ(word_at(d, 0, 0), image_word(0, 0));
    CHECK_EQ(word_at(d, 2047, 127), image_word(2047, 127));
    CHECK(!disk_read(d, MIB(1), buf, 512));
    CHECK(!disk_read(d, MIB(1) - 512, buf, 1024));
    CHECK(!disk_read(d, ~0ull - 100, buf, 512));
    CHECK(!disk_write(d, MIB(1) - 512, buf, 1024));
    disk_close(d);
}

TEST(disk, writes_stay_in_the_file)
{
    const char *path = image_file(MIB(1));
    struct disk *d = image_open(path, DISK_HARD, false);
    u8 buf[1024];

    memset(buf, 0x5a, sizeof(buf));
    CHECK(disk_write(d, 512, buf, 1024));
    CHECK(disk_write(d, 2048 + 100, buf, 7)); /* a part of a sector keeps the rest */
    CHECK(flush(d));
    disk_close(d);
    d = image_open(path, DISK_HARD, false);
    CHECK_EQ(word_at(d, 1, 0), 0x5a5a5a5a);
    CHECK_EQ(word_at(d, 2, 127), 0x5a5a5a5a);
    CHECK_EQ(word_at(d, 3, 0), image_word(3, 0));
    CHECK_EQ(word_at(d, 4, 25), 0x5a5a5a5a);
    CHECK_EQ(word_at(d, 4, 24), image_word(4, 24));
    disk_close(d);
}

/* Twelve sectors, and a byte more or less than whole ones in each place. */
static bool in_pieces(struct disk *d, u64 sector, u32 words[128 * 12])
{
    u8 *at = (u8 *)words;
    struct iovec to[] = {{at, 513}, {at + 513, 1535}, {at + 2048, 3}, {at + 2051, 4093}};

    memset(words, 0, 128 * 12 * sizeof(u32));
    return disk_readv(d, sector * 512, to, 4, 512 * 12);
}

TEST(disk, reads_into_many_places)
{
    struct disk *d = image_open(image_file(MIB(1)), DISK_HARD, false), *layer;
    u32 words[128 * 12];
    u8 buf[512];

    CHECK(disk_reads_vectors(d));
    CHECK(in_pieces(d, 7, words));
    for (u32 s = 0; s < 12; s++)
        CHECK_EQ(words[s * 128 + 127], image_word(7 + s, 127));
    CHECK(!in_pieces(d, 2048 - 11, words));
    disk_close(d);

    layer = image_open(image_file(MIB(1)), DISK_HARD, true);
    memset(buf, 0x77, sizeof(buf));
    CHECK(in_pieces(layer, 30, words)); /* nothing written, */
    CHECK_EQ(words[5], image_word(30, 5));
    CHECK(disk_write(layer, 512 * 11, buf, 512)); /* part of it, */
    CHECK(in_pieces(layer, 7, words));
    for (u32 s = 0; s < 12; s++)
        CHECK_EQ(words[s * 128], s == 4 ? 0x77777777 : image_word(7 + s, 0));
    for (u32 s = 100; s < 112; s++)
        CHECK(disk_write(layer, 512 * s, buf, 512)); /* and all */
    CHECK(in_pieces(layer, 100, words));
    for (u32 s = 0; s < 12; s++)
        CHECK_EQ(words[s * 128 + 127], 0x77777777);
    disk_close(layer);
}

TEST(disk, snapshot_leaves_the_file_alone)
{
    const char *path = image_file(MIB(1));
    struct disk *d = image_open(path, DISK_HARD, true), *again;
    u32 words[128 * 12];
    u8 buf[1024];

    memset(buf, 0x77, sizeof(buf));
    CHECK(!d->read_only);
    CHECK(disk_write(d, 512 * 5, buf, 512));
    CHECK(disk_write(d, 512 * 9, buf, 1024));
    CHECK(disk_write(d, 512 * 20 + 8, buf, 4));
    CHECK_EQ(word_at(d, 5, 3), 0x77777777);
    CHECK_EQ(word_at(d, 20, 2), 0x77777777);
    CHECK_EQ(word_at(d, 20, 3), image_word(20, 3));
    CHECK(disk_read(d, 0, words, sizeof(words))); /* over written and unwritten sectors */
    for (u32 s = 0; s < 12; s++) {
        bool written = s == 5 || s == 9 || s == 10;

        CHECK_EQ(words[s * 128 + 1], written ? 0x77777777 : image_word(s, 1));
    }
    again = image_open(path, DISK_HARD, true); /* two snapshots of one image may run */
    CHECK_EQ(word_at(again, 5, 3), image_word(5, 3));
    disk_close(again);
    disk_close(d);
}

TEST(disk, second_writer_is_refused)
{
    const char *path = image_file(KIB(64));
    struct disk *d = image_open(path, DISK_HARD, false);
    const char *error = open_error(path, DISK_HARD, false);

    CHECK(error && strstr(error, "in use"));
    error = open_error(path, DISK_HARD, true); /* nor a reader while it is written */
    CHECK(error && strstr(error, "in use"));
    disk_close(d);
    CHECK(!open_error(path, DISK_HARD, false));

    d = image_open(path, DISK_HARD, true);
    error = open_error(path, DISK_HARD, false); /* nor a writer while it is read */
    CHECK(error && strstr(error, "-snapshot"));
    disk_close(d);
}

TEST(disk, read_only_where_the_file_is)
{
    const char *path = image_file(KIB(64));
    struct drive_options o = { .file = path, .present = true, .read_only = true };
    const char *error;
    struct disk *d = disk_open(&o, DISK_HARD, &error);
    u8 buf[512] = { 1 };

    CHECK(d && d->read_only);
    CHECK(!disk_write(d, 0, buf, 512));
    CHECK(flush(d));
    disk_close(d);
    d = image_open(path, DISK_CD, false);
    CHECK(d->read_only && d->cdrom);
    CHECK(!disk_write(d, 0, buf, 512));
    disk_close(d);
}

TEST(disk, refusals_are_one_line_that_helps)
{
    static const struct {
        u32 offset;
        const char *magic;
        u32 n;
        const char *says;
    } rows[] = {
        { 0, "\xfd" "7zXZ", 6, "unxz" },
        { 0, "\x1f\x8b\x08", 3, "gunzip" },      { 0, "PK\3\4", 4, "unzip" },
    };
    const char *error;

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        error = open_error(image_file_with(KIB(64), rows[i].offset, rows[i].magic, rows[i].n),
                           DISK_HARD, false);
        CHECK(error && strstr(error, rows[i].says) && !strchr(error, '\n'));
    }
    /* What it is comes before what is wrong with its size. */
    error = open_error(image_file_with(1001, 0, "\x1f\x8b\x08", 3), DISK_HARD, false);
    CHECK(error && strstr(error, "gunzip"));
    error = open_error("/nonexistent/disk.img", DISK_HARD, false);
    CHECK(error && strstr(error, "/nonexistent/disk.img: No such file"));
    error = open_error("/tmp", DISK_HARD, false);
    CHECK(error && strstr(error, "folder"));
    error = open_error("/dev/null", DISK_HARD, false);
    CHECK(error && strstr(error, "neither"));
    error = open_error(image_file(0), DISK_HARD, false);
    CHECK(error && strstr(error, "empty"));
    error = open_error(image_file(MIB(3)), DISK_FLOPPY, false);
    CHECK(error && strstr(error, "too large for a floppy"));
    error = open_error(NULL, DISK_HARD, false);
    CHECK(error && strstr(error, "image file"));
}

/* The warnings about odd sizes are wanted here. */
static struct disk *open_quietly(const char *path, enum disk_kind kind)
{
    int saved = dup(2), null = open("/dev/null", O_WRONLY);

    dup2(null, 2);
    struct disk *d = image_open(path, kind, false);
    dup2(saved, 2);
    close(saved);
    close(null);
    return d;
}

TEST(disk, half_sectors_are_refused)
{
    const char *error = open_error(image_file(1000), DISK_HARD, false);

    CHECK(error && strstr(error, "no whole number of 512-byte sectors"));
    error = open_error(image_file(1000), DISK_FLOPPY, false);
    CHECK(error && strstr(error, "truncate -s %512"));
}

TEST(disk, odd_sizes_end_in_zeros)
{
    struct disk *d = open_quietly(image_file(512), DISK_FLOPPY);

    CHECK_EQ(d->size, KIB(1440));
    CHECK_EQ(word_at(d, 0, 1), image_word(0, 1));
    CHECK_EQ(word_at(d, 2879, 1), 0);
    disk_close(d);
    d = image_open(image_file(3000), DISK_CD, false);
    CHECK_EQ(d->size, 4096);
    disk_close(d);
}

TEST(disk, a_file_that_shrinks_is_a_read_error)
{
    const char *path = image_file(KIB(64));
    struct disk *d = image_open(path, DISK_HARD, false);
    u8 buf[512];

    CHECK(disk_read(d, KIB(32), buf, 512));
    CHECK(!truncate(path, KIB(16)));
    CHECK(!disk_read(d, KIB(32), buf, 512));
    CHECK(disk_read(d, 0, buf, 512));
    disk_close(d);
}

/* A limit on file sizes stands in for the full file system: an overlay or padding must grow. */
TEST(disk, a_host_without_room_is_a_write_error)
{
    struct disk *d = open_quietly(image_file(KIB(64)), DISK_FLOPPY);
    u8 buf[512] = { 0 };
    pid_t child = fork();
    int status = -1;

    if (!child) {
        struct rlimit limit = { KIB(64), KIB(64) };

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        bool last = disk_write(d, KIB(128), buf, 512);
        bool first = disk_write(d, 0, buf, 512);
        _exit(last ? 1 : first ? 0 : 2);
    }
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    disk_close(d);
}

TEST(disk, media_are_exchanged)
{
    const char *one = image_file(KIB(360)), *two = image_file(KIB(1440));
    struct disk *d = image_open(one, DISK_FLOPPY, false);
    u8 buf[512];

    d->changed = false;
    CHECK(!disk_change(d, two, NULL, false));
    CHECK(d->changed && d->size == KIB(1440));
    CHECK(!strcmp(disk_path(d), two));
    CHECK(disk_change(d, "/nonexistent", NULL, false) != NULL);
    CHECK_EQ(d->size, KIB(1440)); /* a failure leaves the old one in */
    CHECK(open_error(two, DISK_FLOPPY, false) != NULL);
    CHECK(!disk_change(d, two, NULL, false)); /* the same file again */
    CHECK(open_error(two, DISK_FLOPPY, false) != NULL);
    d->locked = true;
    CHECK(strstr(disk_change(d, NULL, NULL, false), "locked") != NULL);
    CHECK(!disk_change(d, NULL, NULL, true));
    CHECK(!d->impl && !disk_path(d) && !d->size && !d->locked);
    CHECK(!disk_read(d, 0, buf, 512));
    CHECK(!disk_write(d, 0, buf, 512));
    CHECK(!open_error(two, DISK_FLOPPY, false));
    disk_close(d);
}

/* ---- Kill -9 at any moment ---- */

enum { KILL_SECTORS = 256 };
struct promise { /* what the child has flushed, told through a pipe */
    u32 sector, value;
};

static _Noreturn void write_until_killed(const char *path, int tell, u32 seed)
{
    struct disk *d = image_open(path, DISK_HARD, false);
    u32 words[128];

    for (u32 n = 1;; n++) {
        struct promise p = { (seed = seed * 1664525 + 1013904223) % KILL_SECTORS, n };

        for (u32 i = 0; i < 128; i++)
            words[i] = n;
        if (!disk_write(d, p.sector * 512ull, words, 512))
            _exit(1);
        if (n % 8 && (!flush(d) || write(tell, &p, sizeof(p)) != sizeof(p)))
            _exit(1);
    }
}

/* Each promise holds unless a later write to the sector was under way. */
static void check_promises(struct disk *d, int told)
{
    u32 latest[KILL_SECTORS] = { 0 }, words[128], count = 0;
    struct promise p;

    for (; read(told, &p, sizeof(p)) == sizeof(p); count++)
        latest[p.sector % KILL_SECTORS] = p.value;
    CHECK(count > 0);
    for (u32 s = 0; s < KILL_SECTORS; s++) {
        CHECK(disk_read(d, s * 512ull, words, 512));
        CHECK(!latest[s] || words[0] >= latest[s]);
        for (u32 i = 1; i < 128 && latest[s]; i++)
            CHECK_EQ(words[i], words[0]);
    }
}

TEST(disk, what_was_flushed_survives_a_kill)
{
    for (u32 round = 0; round < 8; round++) {
        const char *path = image_file(KILL_SECTORS * 512);
        int fds[2];

        CHECK(!pipe(fds));
        pid_t child = fork();
        if (!child)
            write_until_killed(path, fds[1], round);
        close(fds[1]);
        poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 10000);
        usleep(round * round * 700);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct disk *d = image_open(path, DISK_HARD, false); /* and the lock is gone */
        if (d)
            check_promises(d, fds[0]);
        close(fds[0]);
        disk_close(d);
    }
}

/* ---- What a file is ---- */

static enum image_kind kind_of(const char *path)
{
    const char *error;

    return image_recognise(path, &error);
}

TEST(image, recognised_by_size_and_contents)
{
    static const u8 signature[2] = { 0x55, 0xaa };
    static const u32 multiboot[3] = { 0x1badb002, 3, -(0x1badb002u + 3) };
    u8 mbr[512] = { [450] = 6, [454] = 63, [458] = 100, [510] = 0x55, [511] = 0xaa };
    u8 kernel[1024] = { [510] = 0x55, [511] = 0xaa, [0x202] = 'H', 'd', 'r', 'S' };
    u8 elf[1024] = "\x7f" "ELF";

    CHECK_EQ(kind_of(image_file(KIB(1440))), IMAGE_FLOPPY);
    CHECK_EQ(kind_of(image_file(KIB(360))), IMAGE_FLOPPY);
    CHECK_EQ(kind_of(image_file_with(512, 510, signature, 2)), IMAGE_FLOPPY);
    CHECK_EQ(kind_of(image_file_with(MIB(2), 0, mbr, 512)), IMAGE_DISK);
    CHECK_EQ(kind_of(image_file_with(MIB(20), 510, signature, 2)), IMAGE_DISK);
    CHECK_EQ(kind_of(image_file_with(MIB(20), 0, kernel, 1024)), IMAGE_BZIMAGE);
    CHECK_EQ(kind_of(image_file_with(KIB(400), 0x8001, "CD001", 5)), IMAGE_CD);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 0, elf, 1024)), IMAGE_ELF);
    memcpy(elf + 128, multiboot, 12);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 0, elf, 1024)), IMAGE_MULTIBOOT);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 4096, multiboot, 12)), IMAGE_MULTIBOOT);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 4097, multiboot, 12)), IMAGE_UNKNOWN);
    CHECK_EQ(kind_of(image_file_with(MIB(20), 0, "text", 4)), IMAGE_UNKNOWN);
    CHECK_EQ(kind_of(image_file_with(MIB(20), 0, "", 1)), IMAGE_DISK); /* blank */
    CHECK_EQ(kind_of(image_file_with(MIB(20) + 1, 0, "", 1)), IMAGE_UNKNOWN);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 0, "", 1)), IMAGE_UNKNOWN);
    CHECK_EQ(kind_of(image_file(0)), IMAGE_UNREADABLE);
    CHECK_EQ(kind_of("/nonexistent"), IMAGE_UNREADABLE);
    CHECK_EQ(kind_of("/"), IMAGE_UNREADABLE);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 0, "QFI\xfb", 4)), IMAGE_DISK);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 0x40, "\x7f\x10\xda\xbe", 4)), IMAGE_DISK);
    CHECK_EQ(kind_of(image_file_with(KIB(100), 0, "\x1f\x8b\x08", 3)), IMAGE_UNREADABLE);
    CHECK_EQ(kind_of("fat:/tmp"), IMAGE_DISK);
}
