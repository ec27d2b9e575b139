/*
 * The floppy controller, driven as BIOSes and drivers do: DMA and data-port transfers, all the
 * geometries, and the errors.
 */
#include "devices/disk.h"
#include "devices/floppy.h"
#include "devices/i82077.h"
#include "devices/i8237.h"
#include "runtime/machine/machine.h"
#include "runtime/storage/disk.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"
#include <string.h>

enum { DOR = 0x3f2, MSR = 0x3f4, FIFO = 0x3f5, DIR = 0x3f7, CCR = 0x3f7, BUFFER = 0x20000 };

static struct floppy_config config;

static struct rig *drives(struct disk *a, struct disk *b)
{
    struct rig *r = rig_new(&i8237_class, NULL);

    r->m->floppy[0] = a; /* closed with the machine */
    r->m->floppy[1] = b;
    config = (struct floppy_config){ { a, b }, r->dev };
    r->dev = rig_add(r, &i82077_class, &config);
    return r;
}

static u8 msr_after(struct rig *r, u8 mask, u8 want)
{
    for (u32 i = 0; i < 4000 && (rig_in8(r, MSR) & mask) != want; i++)
        rig_advance(r, USEC(100));
    return rig_in8(r, MSR);
}

static void send(struct rig *r, const u8 *bytes, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        CHECK_EQ(rig_in8(r, MSR) & 0xc0, 0x80);
        rig_out8(r, FIFO, bytes[i]);
    }
}
#define SEND(r, ...) send(r, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* Waits for the result and takes n bytes of it. */
static void result(struct rig *r, u8 *bytes, u32 n)
{
    CHECK_EQ(msr_after(r, 0xc0, 0xc0) & 0xd0, 0xd0);
    for (u32 i = 0; i < n; i++)
        bytes[i] = rig_in8(r, FIFO);
    CHECK_EQ(rig_in8(r, MSR) & 0xd0, 0x80);
}

static void sense(struct rig *r, u8 st0, u8 pcn)
{
    u8 got[2];

    SEND(r, 0x08);
    result(r, got, 2);
    CHECK_EQ(got[0], st0);
    CHECK_EQ(got[1], pcn);
}

/* Reset, motor of drive 0 on, data rate, SPECIFY. */
static void start(struct rig *r, u8 rate, u8 nd)
{
    rig_out8(r, DOR, 0x00);
    rig_out8(r, DOR, 0x1c);
    rig_advance(r, MSEC(1));
    CHECK(rig_irq(r, 6));
    for (u32 n = 0; n < 4; n++)
        sense(r, 0xc0 | n, 0);
    CHECK(!rig_irq(r, 6));
    rig_out8(r, CCR, rate);
    SEND(r, 0x03, 0xaf, 0x02 | nd);
}

static void recalibrate(struct rig *r)
{
    SEND(r, 0x07, 0);
    rig_advance(r, MSEC(10));
    CHECK(rig_irq(r, 6));
    sense(r, 0x20, 0);
}

static void seek(struct rig *r, u8 cylinder)
{
    SEND(r, 0x0f, 0, cylinder);
    CHECK_EQ(rig_in8(r, MSR) & 0x01, 0x01);
    rig_advance(r, MSEC(10));
    CHECK(rig_irq(r, 6));
    sense(r, 0x20, cylinder);
    CHECK(!rig_irq(r, 6));
}

static void dma(struct rig *r, bool to_memory, u32 bytes)
{
    rig_out8(r, 0x0a, 0x06);
    rig_out8(r, 0x0c, 0);
    rig_out8(r, 0x0b, to_memory ? 0x46 : 0x4a);
    rig_out8(r, 0x04, (u8)BUFFER);
    rig_out8(r, 0x04, (u8)(BUFFER >> 8));
    rig_out8(r, 0x81, BUFFER >> 16);
    rig_out8(r, 0x05, (u8)(bytes - 1));
    rig_out8(r, 0x05, (u8)((bytes - 1) >> 8));
    rig_out8(r, 0x0a, 0x02);
}

static void check_sector(struct rig *r, u32 at, u64 sector)
{
    u32 words[128];

    phys_read(r->m, BUFFER + at, words, sizeof(words));
    for (u32 i = 0; i < 128; i += 63)
        CHECK_EQ(words[i], image_word(sector, i));
}

static void check_result(const u8 *got, u8 st0, u8 st1, u8 st2, u8 c, u8 h, u8 s)
{
    CHECK_EQ(got[0], st0);
    CHECK_EQ(got[1], st1);
    CHECK_EQ(got[2], st2);
    CHECK_EQ(got[3], c);
    CHECK_EQ(got[4], h);
    CHECK_EQ(got[5], s);
    CHECK_EQ(got[6], 2);
}

static struct rig *with_1440(u8 nd)
{
    struct rig *r = drives(image_open(image_file(KIB(1440)), DISK_FLOPPY, true), NULL);

    start(r, 0, nd);
    recalibrate(r);
    return r;
}

TEST(i82077, reads_by_dma)
{
    struct rig *r = with_1440(0);
    u8 got[7];

    dma(r, true, 3 * 512);
    rig_irq_rises(r, 6);
    SEND(r, 0xe6, 0x04, 0, 1, 17, 2, 18, 0x1b, 0xff); /* head 1, sector 17, then across */
    CHECK_EQ(rig_in8(r, MSR) & 0xf0, 0x10);
    result(r, got, 7);
    CHECK_EQ(rig_irq_rises(r, 6), 1);
    CHECK(!rig_irq(r, 6));
    check_result(got, 0x40, 0x80, 0, 1, 0, 1); /* ends at EOT of head 1: end of cylinder */
    check_sector(r, 0, 34);
    check_sector(r, 512, 35);
    dma(r, true, 3 * 512);
    SEND(r, 0xe6, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff); /* head 0 goes on at head 1 */
    result(r, got, 7);
    check_result(got, 0x04, 0, 0, 0, 1, 2);
    check_sector(r, 1024, 18);
}

/* Without time that passes. */
TEST(i82077, who_polls_need_not_wait)
{
    struct rig *r = with_1440(0);
    u8 got[7];

    dma(r, true, 1024);
    SEND(r, 0xe6, 0, 0, 0, 1, 2, 2, 0x1b, 0xff);
    CHECK(!rig_irq(r, 6)); /* not within the command's last OUT */
    for (u32 i = 0; i < 12 && !rig_irq(r, 6); i++)
        rig_in8(r, MSR);
    CHECK(rig_irq(r, 6));
    check_sector(r, 0, 0);
    check_sector(r, 512, 1);
    result(r, got, 7);
}

TEST(i82077, terminal_count_ends_a_command)
{
    struct rig *r = with_1440(0);
    u8 got[7];

    seek(r, 5);
    dma(r, true, 512);
    SEND(r, 0x46, 0x00, 5, 0, 3, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    check_result(got, 0, 0, 0, 5, 0, 4);
    check_sector(r, 0, 5 * 36 + 2);
    dma(r, true, 512);
    SEND(r, 0x46, 0x00, 5, 0, 18, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    check_result(got, 0, 0, 0, 6, 0, 1);
}

TEST(i82077, writes_by_dma)
{
    struct rig *r = with_1440(0);
    u8 data[1024], got[7], back[512];

    memset(data, 0x5a, sizeof(data));
    phys_write(r->m, BUFFER, data, sizeof(data));
    dma(r, false, 700); /* the second sector is filled up with zeros */
    SEND(r, 0xc5, 0x00, 40, 0, 1, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    check_result(got, 0, 0, 0, 40, 0, 3);
    CHECK(disk_read(config.drive[0], 40 * 36 * 512, back, 512));
    CHECK(!memcmp(back, data, 512));
    CHECK(disk_read(config.drive[0], (40 * 36 + 1) * 512, back, 512));
    CHECK(!memcmp(back, data, 700 - 512));
    CHECK_EQ(back[188], 0);
}

TEST(i82077, reads_and_writes_through_the_data_port)
{
    struct rig *r = with_1440(1);
    u8 got[7], byte[512];

    SEND(r, 0x46, 0x00, 0, 0, 2, 2, 3, 0x1b, 0xff);
    for (u32 s = 1; s < 3; s++) {
        CHECK_EQ(msr_after(r, 0x80, 0x80), 0xf0);
        CHECK(rig_irq(r, 6));
        for (u32 i = 0; i < 512; i++)
            byte[i] = rig_in8(r, FIFO);
        CHECK_EQ(byte[0] | byte[1] << 8 | byte[2] << 16 | (u32)byte[3] << 24, image_word(s, 0));
    }
    result(r, got, 7);
    check_result(got, 0x40, 0x80, 0, 1, 0, 1); /* no terminal count in this mode */
    SEND(r, 0x45, 0x00, 0, 0, 9, 2, 9, 0x1b, 0xff);
    CHECK_EQ(msr_after(r, 0x80, 0x80), 0xb0);
    for (u32 i = 0; i < 512; i++)
        rig_out8(r, FIFO, (u8)i);
    result(r, got, 7);
    CHECK(disk_read(config.drive[0], 8 * 512, byte, 512));
    CHECK_EQ(byte[77], 77);
}

TEST(i82077, every_size_reads_its_last_sector)
{
    static const struct {
        u16 kib;
        u8 cylinder, head, sector, rate;
    } sizes[] = {
        { 160, 39, 0, 8, 2 },   { 180, 39, 0, 9, 1 },   { 320, 39, 1, 8, 2 },
        { 360, 39, 1, 9, 1 },   { 720, 79, 1, 9, 2 },   { 1200, 79, 1, 15, 0 },
        { 1440, 79, 1, 18, 0 }, { 1680, 79, 1, 21, 0 }, { 2880, 79, 1, 36, 3 },
    };

    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct disk *d = image_open(image_file(KIB(sizes[i].kib)), DISK_FLOPPY, true);
        struct rig *r = drives(d, NULL);
        u8 got[7];

        start(r, sizes[i].rate, 0);
        recalibrate(r);
        dma(r, true, 512);
        SEND(r, 0xe6, sizes[i].head << 2, sizes[i].cylinder, sizes[i].head, sizes[i].sector, 2,
             sizes[i].sector, 0x1b, 0xff);
        result(r, got, 7);
        CHECK_EQ(got[0] & 0xc0, 0);
        check_sector(r, 0, sizes[i].kib * 2u - 1);
        dma(r, true, 512);
        SEND(r, 0xe6, 0, 0, 0, sizes[i].sector + 1, 2, 99, 0x1b, 0xff);
        result(r, got, 7);
        CHECK_EQ(got[1], 0x04); /* no such sector */
        rig_out8(r, CCR, sizes[i].rate == 0 ? 2 : 0);
        SEND(r, 0x4a, 0);
        result(r, got, 7);
        CHECK_EQ(got[1], 0x01); /* wrong rate: no address marks */
    }
}

TEST(i82077, wrong_cylinder_after_a_seek)
{
    struct rig *r = with_1440(0);
    u8 got[7];

    seek(r, 10);
    dma(r, true, 512);
    SEND(r, 0x46, 0, 11, 0, 1, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    check_result(got, 0x40, 0x04, 0x10, 11, 0, 1);
    SEND(r, 0x13, 0, 0x40, 0); /* implied seek */
    SEND(r, 0x46, 0, 11, 0, 1, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    check_result(got, 0, 0, 0, 11, 0, 2);
    SEND(r, 0x46, 0, 11, 1, 1, 2, 18, 0x1b, 0xff); /* H differs from the head */
    result(r, got, 7);
    CHECK_EQ(got[1], 0x04);
    SEND(r, 0x46, 0, 11, 0, 1, 3, 18, 0x1b, 0xff); /* 1024-byte sectors */
    result(r, got, 7);
    CHECK_EQ(got[1], 0x04);
}

TEST(i82077, read_id_turns_with_the_disk)
{
    struct rig *r = with_1440(0);
    u8 got[7], first;

    seek(r, 3);
    SEND(r, 0x4a, 0x04);
    result(r, got, 7);
    CHECK_EQ(got[0], 0x04);
    CHECK_EQ(got[3], 3);
    CHECK_EQ(got[4], 1);
    first = got[5];
    SEND(r, 0x4a, 0x04);
    result(r, got, 7);
    CHECK_EQ(got[5], first % 18 + 1);
    rig_out8(r, DOR, 0x0c); /* motor off */
    SEND(r, 0x4a, 0x04);
    result(r, got, 7);
    CHECK_EQ(got[1], 0x01);
}

TEST(i82077, empty_drive_and_no_drive)
{
    static const struct drive_options none;
    const char *error;
    struct disk *empty = disk_open(&none, DISK_FLOPPY, &error);
    struct rig *r = drives(empty, NULL);
    u8 got[7];

    start(r, 0, 0);
    recalibrate(r);
    CHECK_EQ(rig_in8(r, DIR), 0x80);
    SEND(r, 0x4a, 0);
    result(r, got, 7);
    CHECK_EQ(got[0], 0x40);
    CHECK_EQ(got[1], 0x01);
    SEND(r, 0x07, 1); /* drive 1 does not exist: no track 0 */
    rig_advance(r, MSEC(10));
    sense(r, 0x71, 0);
    SEND(r, 0x04, 1);
    result(r, got, 1);
    CHECK_EQ(got[0], 0x29);
    SEND(r, 0x04, 0);
    result(r, got, 1);
    CHECK_EQ(got[0], 0x78);
}

TEST(i82077, write_protected)
{
    struct disk *d = image_open(image_file(KIB(1440)), DISK_FLOPPY, true);
    struct rig *r = drives(d, NULL);
    u8 got[7];

    d->read_only = true;
    start(r, 0, 0);
    recalibrate(r);
    dma(r, false, 512);
    SEND(r, 0xc5, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    check_result(got, 0x40, 0x02, 0, 0, 0, 1);
    SEND(r, 0x4d, 0x00, 2, 18, 0x6c, 0xf6);
    result(r, got, 7);
    CHECK_EQ(got[1], 0x02);
    SEND(r, 0x04, 0);
    result(r, got, 1);
    CHECK_EQ(got[0], 0x78);
}

TEST(i82077, change_line)
{
    struct rig *r = with_1440(0);

    CHECK_EQ(rig_in8(r, DIR), 0x80); /* since power-on */
    seek(r, 1);
    CHECK_EQ(rig_in8(r, DIR), 0);
    config.drive[0]->changed = true;
    CHECK_EQ(rig_in8(r, DIR), 0x80);
    CHECK(!config.drive[0]->changed);
    CHECK_EQ(rig_in8(r, DIR), 0x80);
    recalibrate(r);
    CHECK_EQ(rig_in8(r, DIR), 0);
}

TEST(i82077, formats_a_track)
{
    struct rig *r = with_1440(0);
    u8 ids[18 * 4], got[7], sector[512];

    for (u32 i = 0; i < 18; i++)
        memcpy(ids + 4 * i, (u8[]){ 7, 1, (u8)(i * 5 % 18 + 1), 2 }, 4);
    phys_write(r->m, BUFFER, ids, sizeof(ids));
    seek(r, 7);
    dma(r, false, sizeof(ids));
    SEND(r, 0x4d, 0x04, 2, 18, 0x6c, 0xf6);
    result(r, got, 7);
    CHECK_EQ(got[0], 0x04);
    for (u32 i = 0; i < 18; i++) {
        CHECK(disk_read(config.drive[0], ((7 * 2 + 1) * 18 + i) * 512, sector, 512));
        CHECK(sector[0] == 0xf6 && sector[511] == 0xf6);
    }
    CHECK(disk_read(config.drive[0], (7 * 2 + 2) * 18 * 512, sector, 512));
    CHECK(sector[0] != 0xf6 || sector[511] != 0xf6);
    dma(r, false, 9 * 4);
    SEND(r, 0x4d, 0x04, 2, 9, 0x6c, 0xf6); /* a 720 KiB format does not fit the image */
    result(r, got, 7);
    CHECK_EQ(got[1], 0x04);
}

TEST(i82077, verify_needs_no_dma)
{
    struct rig *r = with_1440(0);
    u8 got[7];

    SEND(r, 0x56, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    check_result(got, 0, 0, 0, 1, 0, 1);
    SEND(r, 0x56, 0x80, 0, 0, 1, 2, 18, 0x1b, 4); /* EC: four sectors */
    result(r, got, 7);
    check_result(got, 0, 0, 0, 0, 0, 5);
}

TEST(i82077, overrun_without_dma)
{
    struct rig *r = with_1440(0);
    u8 got[7];

    rig_out8(r, 0x0a, 0x06); /* masked */
    SEND(r, 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    result(r, got, 7);
    CHECK_EQ(got[0], 0x40);
    CHECK_EQ(got[1], 0x10);
}

TEST(i82077, late_dma_is_waited_for)
{
    struct rig *r = with_1440(0);
    u8 got[7];

    rig_out8(r, 0x0a, 0x06);
    SEND(r, 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    rig_advance(r, MSEC(20));
    dma(r, true, 512);
    result(r, got, 7);
    CHECK_EQ(got[0], 0);
    check_sector(r, 0, 0);
}

TEST(i82077, registers)
{
    struct rig *r = with_1440(0);
    u8 got[10];

    SEND(r, 0x10);
    result(r, got, 1);
    CHECK_EQ(got[0], 0x90);
    SEND(r, 0x18);
    result(r, got, 1);
    CHECK_EQ(got[0], 0x80);
    SEND(r, 0x08); /* nothing to sense */
    result(r, got, 1);
    CHECK_EQ(got[0], 0x80);
    SEND(r, 0x13, 0, 0x57, 0x22);
    SEND(r, 0x12, 0x84);
    SEND(r, 0x94);
    result(r, got, 1);
    CHECK_EQ(got[0], 0x10);
    SEND(r, 0x0e);
    result(r, got, 10);
    CHECK_EQ(got[4], 0xaf);
    CHECK_EQ(got[5], 0x02);
    CHECK_EQ(got[7], 0x84);
    CHECK_EQ(got[8], 0x57);
    CHECK_EQ(got[9], 0x22);
    rig_out8(r, 0x3f4, 0x80); /* a reset by DSR keeps what is locked; polling is off: no irq */
    rig_advance(r, MSEC(1));
    CHECK(!rig_irq(r, 6));
    SEND(r, 0x14);
    result(r, got, 1);
    CHECK_EQ(got[0], 0);
    SEND(r, 0x0e);
    result(r, got, 10);
    CHECK_EQ(got[8], 0x57);
    rig_out8(r, DOR, 0x18);
    rig_out8(r, DOR, 0x1c);
    rig_advance(r, MSEC(1));
    CHECK(rig_irq(r, 6)); /* unlocked: polls again */
    SEND(r, 0x0e);
    result(r, got, 10);
    CHECK_EQ(got[8], 0x20);
}

TEST(i82077, relative_seek)
{
    struct rig *r = with_1440(0);

    seek(r, 20);
    SEND(r, 0xcf, 0, 5);
    rig_advance(r, MSEC(10));
    sense(r, 0x20, 25);
    SEND(r, 0x8f, 0, 10);
    rig_advance(r, MSEC(10));
    sense(r, 0x20, 15);
}

TEST(i82077, two_seeks_at_once)
{
    struct rig *r = drives(image_open(image_file(KIB(1440)), DISK_FLOPPY, true),
                           image_open(image_file(KIB(720)), DISK_FLOPPY, true));

    start(r, 0, 0);
    SEND(r, 0x0f, 0, 30);
    SEND(r, 0x0f, 1, 40);
    CHECK_EQ(rig_in8(r, MSR) & 0x03, 0x03);
    rig_advance(r, MSEC(10));
    sense(r, 0x20, 30);
    CHECK(rig_irq(r, 6));
    sense(r, 0x21, 40);
    CHECK(!rig_irq(r, 6));
}

TEST(i82077, double_stepping)
{
    struct rig *r = drives(image_open(image_file(KIB(360)), DISK_FLOPPY, true), NULL);
    u8 got[7];

    start(r, 1, 0);
    recalibrate(r);
    seek(r, 40); /* an 80-track drive */
    dma(r, true, 512);
    SEND(r, 0x46, 0x00, 20, 0, 1, 2, 9, 0x2a, 0xff);
    result(r, got, 7);
    CHECK_EQ(got[0], 0);
    check_sector(r, 0, 20 * 18);
}
