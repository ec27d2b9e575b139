/*
 * Images behind qemu-nbd: writes that are still on their way are seen by reads, ended by
 * flushes and by closing, and not overtaken by later ones. Nothing is checked where qemu-img is
 * not installed.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/image.h"
#include "tests/harness/test.h"

enum { SIZE = 4 << 20 };

/* NULL: no qemu-img. */
static const char *new_image(void)
{
    const char *path = image_file(512); /* its name is free */
    char command[256];

    snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 '%s' %u 2>/dev/null", path,
             SIZE);
    return system(command) ? NULL : path;
}

static bool flush(struct disk *d)
{
    enum disk_flush state;

    disk_flush_begin(d);
    while ((state = disk_flush_poll(d)) == FLUSH_RUNNING)
        usleep(50);
    return state == FLUSH_DONE;
}

static void fill(u8 *buf, u32 n, u32 value)
{
    memset(buf, (int)value, n);
}

TEST(nbd, later_writes_win)
{
    const char *path = new_image();
    static u8 buf[64 << 10], got[64 << 10], want[SIZE];
    struct disk *d;
    u32 seed = 1;

    if (!path)
        return;
    d = image_open(path, DISK_HARD, false);
    CHECK_EQ(d->size, SIZE);
    memset(want, 0, sizeof(want));
    for (u32 i = 0; i < 1000; i++) {
        u32 n, at;

        seed = seed * 1664525 + 1013904223;
        n = (1 + (seed >> 8) % 128) * 512;
        at = (seed >> 16) % 256 * 512; /* so that they overlap */
        fill(buf, n, i);
        fill(want + at, n, i);
        CHECK(disk_write(d, at, buf, n));
        if (i % 16 == 0) {
            CHECK(disk_read(d, at, got, n));
            CHECK(!memcmp(got, want + at, n));
        }
        if (i % 100 == 50)
            CHECK(flush(d));
    }
    disk_close(d); /* waits for what is on its way */
    d = image_open(path, DISK_HARD, false);
    for (u32 at = 0; at < SIZE; at += sizeof(got)) {
        CHECK(disk_read(d, at, got, sizeof(got)));
        CHECK(!memcmp(got, want + at, sizeof(got)));
    }
    disk_close(d);
}

TEST(nbd, large_and_odd_requests)
{
    const char *path = new_image();
    static u8 buf[3 << 20], got[3 << 20];
    struct disk *d;

    if (!path)
        return;
    d = image_open(path, DISK_HARD, false);
    for (u32 i = 0; i < sizeof(buf); i++)
        buf[i] = (u8)(i * 7 + (i >> 9));
    CHECK(disk_write(d, 512, buf, sizeof(buf)));
    CHECK(disk_write(d, 512 + 100, "part", 4)); /* of a sector */
    memcpy(buf + 100, "part", 4);
    CHECK(disk_read(d, 512, got, sizeof(got)));
    CHECK(!memcmp(got, buf, sizeof(buf)));
    CHECK(!disk_read(d, SIZE - 512, got, 1024));
    CHECK(!disk_write(d, SIZE - 512, got, 1024));
    disk_flush_begin(d);
    disk_flush_begin(d); /* the first given up, by a reset */
    CHECK(flush(d));
    disk_close(d);
}
