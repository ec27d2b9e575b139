/*
 * The field tables of the AT chips: well formed, and complete. A chip is brought into some state
 * by random writes; a second one gets its fields, as a restore does, and from then on both must
 * answer every read alike, with the same interrupts.
 */
#include "devices/adlib.h"
#include "devices/ata.h"
#include "devices/debugcon.h"
#include "devices/lpt.h"
#include "devices/i8042.h"
#include "devices/i82077.h"
#include "devices/i8237.h"
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/pcspk.h"
#include "devices/port92.h"
#include "devices/post.h"
#include "devices/sb16.h"
#include "runtime/machine/machine.h"
#include "runtime/storage/disk.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"
#include <string.h>

struct chip {
    const struct device_class *class;
    const void *config;
    struct {
        u16 base, count;
    } ports[4];
};

static struct floppy_config floppies;
static struct ide_config drives;
static const struct ns16550_config serial = { 0x3f8, 4, NULL };
static const struct sb16_config card = { .iobase = 0x220, .irq = 5, .dma = 1, .dma16 = 5 };
static const struct adlib_config music = { .iobase = 0x220 };
static const struct debugcon_config debug = { 0xe9, NULL };

static const struct chip chips[] = {
    { &i8259_class, NULL, { { 0x20, 2 }, { 0xa0, 2 }, { 0x4d0, 2 } } },
    { &i8254_class, NULL, { { 0x40, 4 } } },
    { &mc146818_class, NULL, { { 0x70, 4 } } },
    { &i8042_class, NULL, { { 0x60, 1 }, { 0x64, 1 } } },
    { &port92_class, NULL, { { 0x92, 1 } } },
    { &pcspk_class, NULL, { { 0x61, 1 } } },
    { &ns16550_class, &serial, { { 0x3f8, 8 } } },
    { &debugcon_class, &debug, { { 0xe9, 1 } } },
    { &lpt_class, NULL, { { 0x378, 3 } } },
    { &post_class, NULL, { { 0x80, 1 } } },
    { &i8237_class, NULL, { { 0x00, 16 }, { 0xc0, 32 }, { 0x81, 15 } } },
    { &sb16_class, &card, { { 0x224, 12 } } },
    { &adlib_class, &music, { { 0x388, 4 } } },
    { &ata_class, &drives, { { 0x1f0, 8 }, { 0x3f6, 1 }, { 0x170, 8 }, { 0x376, 1 } } },
    { &i82077_class, &floppies, { { 0x3f0, 6 }, { 0x3f7, 1 } } },
};

static u32 noise(u32 *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static u16 some_port(const struct chip *c, u32 *state)
{
    u32 n = 0;

    while (n < 4 && c->ports[n].count)
        n++;
    n = noise(state) % n;
    return (u16)(c->ports[n].base + noise(state) % c->ports[n].count);
}

static void stir(struct rig *r, const struct chip *c, u32 *state)
{
    for (u32 i = 0; i < 300; i++) {
        u16 port = some_port(c, state);
        if (noise(state) % 3 == 0)
            rig_in8(r, port);
        else
            rig_out8(r, port, (u8)(noise(state) % 4 ? noise(state) : noise(state) % 16));
        if (noise(state) % 4 == 0)
            rig_advance(r, noise(state) % USEC(700));
    }
}

static void copy_fields(struct device *to, const struct device *from)
{
    for (const struct field *f = from->class->fields; f->name; f++)
        memcpy((u8 *)to + f->offset, (const u8 *)from + f->offset, (size_t)f->size * f->count);
    if (to->class->loaded)
        to->class->loaded(to);
}

/* Reads everything, with time passing; interrupts are compared on the way. */
static void compare(struct rig *a, struct rig *b, const struct chip *c, u32 *state, u32 round)
{
    for (u32 i = 0; i < 400; i++) {
        u16 port = some_port(c, state);
        u8 x = rig_in8(a, port), y = rig_in8(b, port);
        u64 ns = noise(state) % USEC(50);
        if (x != y) {
            test_fail(__FILE__, __LINE__, "%s, round %u: port %x reads %02x, restored %02x",
                      c->class->name, round, port, x, y);
            return;
        }
        rig_advance(a, ns);
        rig_advance(b, ns);
    }
}

static void restore_alike(const struct chip *c)
{
    for (u32 round = 0; round < 20; round++) {
        u32 state = round * 77 + 1;
        struct rig *a = rig_new(c->class, c->config), *b = rig_new(c->class, c->config);
        stir(a, c, &state);
        rig_advance(b, clock_now(a->m));
        copy_fields(b->dev, a->dev);
        rig_advance(a, MSEC(2)); /* a byte on its way may have started again */
        rig_advance(b, MSEC(2));
        compare(a, b, c, &state, round);
    }
}

TEST(fields, are_well_formed)
{
    for (u32 i = 0; i < ARRAY_SIZE(chips); i++) {
        const struct device_class *class = chips[i].class;
        for (const struct field *f = class->fields; f->name; f++) {
            CHECK(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
            CHECK(f->offset >= sizeof(struct device));
            CHECK(f->offset + f->size * f->count <= class->size);
        }
    }
}

enum { FLOPPY = ARRAY_SIZE(chips) - 1, IDE = FLOPPY - 1 };

TEST(fields, restore_the_small_chips)
{
    for (u32 i = 0; i < IDE; i++)
        restore_alike(&chips[i]);
}

static void open_drives(void)
{
    drives.drive[0][0] = image_open(image_file(MIB(1)), DISK_HARD, true);
    drives.drive[0][1] = image_open(image_file(MIB(1)), DISK_CD, true);
    drives.drive[1][0] = image_open(image_file(KIB(100)), DISK_CD, true);
}

static void close_drives(void)
{
    for (u32 i = 0; i < 4; i++)
        disk_close(drives.drive[i / 2][i % 2]);
    drives = (struct ide_config){ 0 };
}

TEST(fields, restore_the_ide_controller)
{
    open_drives();
    restore_alike(&chips[IDE]);
    close_drives();
}

TEST(fields, restore_the_floppy_controller)
{
    floppies.drive[0] = image_open(image_file(KIB(1440)), DISK_FLOPPY, true);
    restore_alike(&chips[FLOPPY]);
    disk_close(floppies.drive[0]);
}

/* Whatever a broken file brings must not hurt: run it with the address sanitizer. */
TEST(fields, take_garbage)
{
    floppies.drive[0] = image_open(image_file(KIB(1440)), DISK_FLOPPY, true);
    open_drives();
    for (u32 i = 0; i < ARRAY_SIZE(chips); i++) {
        u32 state = i + 1;
        struct rig *r = rig_new(chips[i].class, chips[i].config);
        for (u32 round = 0; round < 50; round++) {
            for (const struct field *f = chips[i].class->fields; f->name; f++)
                for (u32 n = 0; n < f->size * f->count; n++)
                    ((u8 *)r->dev)[f->offset + n] = (u8)noise(&state);
            if (r->dev->class->loaded)
                r->dev->class->loaded(r->dev);
            stir(r, &chips[i], &state);
        }
        CHECK(r->m->clock_stopped > 0);
    }
    disk_close(floppies.drive[0]);
    close_drives();
}
