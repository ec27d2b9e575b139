/*
 * The flash chip: what reads answer after which command, bits that only go to 0, blocks that go
 * to 1, and what its file has in the end.
 */
#include "devices/cfi_flash.h"
#include "runtime/machine/machine.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"

#include <string.h>

enum { BASE = 0xfff00000, SIZE = 0x10000 };

static struct rig *chip_on(const char *path, bool read_only)
{
    struct rig *r = rig_new(NULL, NULL);
    struct flash_config *c = machine_alloc(r->m, sizeof(*c));
    struct drive_options o = {
        .file = path, .format = "raw", .present = true, .read_only = read_only};
    const char *error = NULL;

    r->m->flash[0] = disk_open(&o, DISK_HARD, &error); /* the machine closes it */
    CHECK(r->m->flash[0]);
    *c = (struct flash_config){r->m->flash[0], BASE};
    r->dev = rig_add(r, &cfi_flash_class, c);
    return r;
}

static u8 get(struct rig *r, u32 off)
{
    u8 val;

    phys_read(r->m, (gpa_t)BASE + off, &val, 1);
    return val;
}

static void put(struct rig *r, u32 off, u8 val)
{
    phys_write(r->m, (gpa_t)BASE + off, &val, 1);
}

static u8 in_file(struct rig *r, u32 off)
{
    u8 val = 0;

    CHECK(disk_read(r->m->flash[0], off, &val, 1));
    return val;
}

TEST(cfi_flash, reads_as_the_last_command_says)
{
    struct rig *r = chip_on(image_file(SIZE), false);
    u8 first = get(r, 0x1234);

    CHECK_EQ(first, (u8)(image_word(9, 13)));
    put(r, 0x100, 0x70);
    CHECK_EQ(get(r, 0x1234), 0x80);
    put(r, 0, 0x90);
    CHECK_EQ(get(r, 0), 0);
    put(r, 0, 0x98);
    CHECK(get(r, 0x10) == 'Q' && get(r, 0x11) == 'R' && get(r, 0x12) == 'Y');
    CHECK_EQ(get(r, 0x13), 1);  /* Intel's commands */
    CHECK_EQ(get(r, 0x27), 16); /* 2 to the 16th bytes */
    CHECK_EQ(get(r, 0x2a), 8);  /* a buffer of 256 */
    CHECK_EQ(get(r, 0x2c), 1);  /* one region: 16 blocks of 4 KiB */
    CHECK_EQ(get(r, 0x2d), 15);
    CHECK_EQ(get(r, 0x2f), 0x10);
    CHECK_EQ(get(r, 0x30), 0);
    CHECK(get(r, 0x31) == 'P' && get(r, 0x35) == '0');
    put(r, 0, 0xff);
    CHECK_EQ(get(r, 0x1234), first);
    put(r, 0, 0x70);
    CHECK_EQ(get(r, 0x1234), 0x80);
    cfi_flash_class.reset(r->dev);
    CHECK_EQ(get(r, 0x1234), first);
}

TEST(cfi_flash, bits_go_down_one_by_one_and_up_by_blocks)
{
    struct rig *r = chip_on(image_file(SIZE), false);
    u8 before = in_file(r, 0x0fff), after = in_file(r, 0x2000);

    put(r, 0x1800, 0x20);
    put(r, 0x1800, 0xd0);
    CHECK_EQ(get(r, 0), 0x80);
    put(r, 0, 0xff);
    CHECK(get(r, 0x1000) == 0xff && get(r, 0x1fff) == 0xff);
    CHECK(get(r, 0x0fff) == before && get(r, 0x2000) == after);
    put(r, 0x1003, 0x10);
    put(r, 0x1003, 0xf0);
    put(r, 0x1003, 0x40);
    put(r, 0x1003, 0x3c);
    CHECK_EQ(get(r, 0x1003), 0x80);
    put(r, 0, 0xff);
    CHECK_EQ(get(r, 0x1003), 0x30);
    CHECK_EQ(in_file(r, 0x1003), 0x30);
    CHECK_EQ(in_file(r, 0x1002), 0xff);
}

TEST(cfi_flash, a_buffer_is_written_when_it_is_confirmed)
{
    struct rig *r = chip_on(image_file_with(SIZE, 0, "", 0), false);

    put(r, 0, 0x20);
    put(r, 0, 0xd0);
    for (u32 i = 0; i < 2; i++) {
        put(r, 0x200, 0xe8);
        CHECK_EQ(get(r, 0x200), 0x80);
        put(r, 0x200, 2);
        for (u32 k = 0; k < 3; k++)
            put(r, 0x210 + k, (u8)(k + 1));
        CHECK_EQ(in_file(r, 0x210), 0xff);
        put(r, 0x200, i ? 0xd0 : 0x12); /* first something else */
        CHECK_EQ(get(r, 0), i ? 0x80 : 0xb0);
        put(r, 0, 0x50);
    }
    CHECK(in_file(r, 0x210) == 1 && in_file(r, 0x212) == 3 && in_file(r, 0x213) == 0xff);
    put(r, 0x200, 0xe8);
    put(r, 0x200, 1);
    put(r, 0x2ff, 0);
    put(r, 0x300, 0); /* not in the same 256 bytes */
    put(r, 0x200, 0xd0);
    CHECK_EQ(get(r, 0), 0xb0);
    CHECK_EQ(in_file(r, 0x2ff), 0xff);
}

TEST(cfi_flash, what_is_read_only_stays)
{
    const char *path = image_file(SIZE);
    struct rig *r = chip_on(path, true);
    u8 first = get(r, 0x1000);

    put(r, 0x1000, 0x20);
    put(r, 0x1000, 0xd0);
    CHECK_EQ(get(r, 0), 0xa0);
    put(r, 0x1000, 0x50);
    put(r, 0x1000, 0x40);
    put(r, 0x1000, 0);
    CHECK_EQ(get(r, 0), 0x90);
    put(r, 0, 0xff);
    CHECK_EQ(get(r, 0x1000), first);
    CHECK_EQ(in_file(r, 0x1000), first);
}

TEST(cfi_flash, any_commands_in_any_order)
{
    struct rig *r = chip_on(image_file(SIZE), false);
    u32 random = 1;

    for (u32 i = 0; i < 20000; i++) {
        static const u8 commands[] = {0x10, 0x20, 0x40, 0x50, 0x60, 0x70,
                                      0x90, 0x98, 0xe8, 0xd0, 0xff};
        u32 off, val, n;

        random = random * 1664525 + 1013904223;
        off = random >> 8 & (SIZE - 4);
        n = 1u << (random >> 4 & 3) % 3;
        val = random & 1 ? commands[(random >> 24) % ARRAY_SIZE(commands)] : random >> 20;
        phys_write(r->m, (gpa_t)BASE + off, &val, n);
        get(r, off);
    }
    cfi_flash_class.reset(r->dev);
    for (u32 off = 0; off < SIZE && !test_failed(); off++)
        CHECK_EQ(get(r, off), in_file(r, off));
}
