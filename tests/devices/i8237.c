/*
 * The DMA controllers: registers, and transfers in every direction.
 */
#include "devices/i8237.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <string.h>

static const u16 pages[8] = { 0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a };

/* Address and count in the channel's units; unmasks it. */
static void setup(struct rig *r, u32 n, u8 mode, u32 page, u16 address, u16 count)
{
    u16 base = n < 4 ? 0x00 : 0xc0, step = n < 4 ? 1 : 2, c = n & 3;

    rig_out8(r, base + 0xa * step, 4 | c);
    rig_out8(r, base + 0xc * step, 0);
    rig_out8(r, base + 2 * c * step, (u8)address);
    rig_out8(r, base + 2 * c * step, address >> 8);
    rig_out8(r, base + (2 * c + 1) * step, (u8)count);
    rig_out8(r, base + (2 * c + 1) * step, count >> 8);
    rig_out8(r, base + 0xb * step, mode | c);
    rig_out8(r, pages[n], (u8)page);
    rig_out8(r, base + 0xa * step, c);
}

TEST(i8237, registers_through_the_flip_flop)
{
    struct rig *r = rig_new(&i8237_class, NULL);

    CHECK_EQ(rig_in8(r, 0x0f), 0xff); /* all masked */
    setup(r, 2, 0x44, 0x12, 0x3456, 0x789a);
    rig_out8(r, 0x0c, 0);
    CHECK_EQ(rig_in8(r, 0x04), 0x56);
    CHECK_EQ(rig_in8(r, 0x04), 0x34);
    CHECK_EQ(rig_in8(r, 0x05), 0x9a);
    CHECK_EQ(rig_in8(r, 0x05), 0x78);
    CHECK_EQ(rig_in8(r, 0x81), 0x12);
    CHECK_EQ(rig_in8(r, 0x0f), 0xfb);
    rig_out8(r, 0x0d, 0);
    CHECK_EQ(rig_in8(r, 0x0f), 0xff);
    rig_out8(r, 0x0e, 0);
    CHECK_EQ(rig_in8(r, 0x0f), 0xf0);
    rig_out8(r, 0x0f, 0x05);
    CHECK_EQ(rig_in8(r, 0x0f), 0xf5);
}

TEST(i8237, to_memory_until_the_count_runs_out)
{
    struct rig *r = rig_new(&i8237_class, NULL);
    u8 buf[600], got[600];
    bool terminal;

    for (u32 i = 0; i < sizeof(buf); i++)
        buf[i] = (u8)(i * 7);
    setup(r, 2, 0x46, 0x03, 0x1000, 511);
    CHECK_EQ(i8237_transfer(r->dev, 2, buf, 256, true, &terminal), 256);
    CHECK(!terminal);
    CHECK_EQ(i8237_transfer(r->dev, 2, buf + 256, 344, true, &terminal), 256);
    CHECK(terminal);
    phys_read(r->m, 0x31000, got, 513);
    CHECK(!memcmp(got, buf, 512));
    CHECK_EQ(got[512], 0);
    CHECK_EQ(rig_in8(r, 0x08), 0x04);
    CHECK_EQ(rig_in8(r, 0x08), 0);
    CHECK_EQ(rig_in8(r, 0x0f), 0xff); /* masked itself */
    CHECK_EQ(i8237_transfer(r->dev, 2, buf, 16, true, &terminal), 0);
}

TEST(i8237, from_memory_wrapping_at_64k)
{
    struct rig *r = rig_new(&i8237_class, NULL);
    u8 buf[8];
    bool terminal;

    phys_write(r->m, 0x2fffc, "abcd", 4);
    phys_write(r->m, 0x20000, "efgh", 4);
    phys_write(r->m, 0x30000, "XXXX", 4);
    setup(r, 1, 0x48, 0x02, 0xfffc, 7);
    CHECK_EQ(i8237_transfer(r->dev, 1, buf, 8, false, &terminal), 8);
    CHECK(terminal);
    CHECK(!memcmp(buf, "abcdefgh", 8));
}

TEST(i8237, words)
{
    struct rig *r = rig_new(&i8237_class, NULL);
    u8 buf[9];
    bool terminal;

    phys_write(r->m, 0x22468, "12345678", 8);
    setup(r, 5, 0x48, 0x03, 0x1234, 3); /* bit 0 of the page is not used */
    CHECK_EQ(i8237_transfer(r->dev, 5, buf, 9, false, &terminal), 8);
    CHECK(terminal);
    CHECK(!memcmp(buf, "12345678", 8));
    CHECK_EQ(rig_in8(r, 0xd0), 0x02);
    CHECK_EQ(rig_in8(r, 0xc1), 0xff);
}

TEST(i8237, autoinit_decrement_verify)
{
    struct rig *r = rig_new(&i8237_class, NULL);
    u8 buf[4] = "wxyz", got[4];
    bool terminal;

    setup(r, 3, 0x54, 0x00, 0x5000, 3); /* autoinit */
    CHECK_EQ(i8237_transfer(r->dev, 3, buf, 4, true, &terminal), 4);
    CHECK(terminal);
    CHECK_EQ(i8237_transfer(r->dev, 3, buf, 4, true, &terminal), 4);
    CHECK(terminal);
    setup(r, 3, 0x64, 0x00, 0x6003, 3); /* decrement */
    CHECK_EQ(i8237_transfer(r->dev, 3, buf, 4, true, &terminal), 4);
    phys_read(r->m, 0x6000, got, 4);
    CHECK(!memcmp(got, "zyxw", 4));
    setup(r, 3, 0x40, 0x00, 0x6000, 3); /* verify moves nothing */
    memset(buf, 0, 4);
    CHECK_EQ(i8237_transfer(r->dev, 3, buf, 4, true, &terminal), 4);
    CHECK(terminal);
    phys_read(r->m, 0x6000, got, 4);
    CHECK(!memcmp(got, "zyxw", 4));
}

TEST(i8237, what_does_not_transfer)
{
    struct rig *r = rig_new(&i8237_class, NULL);
    u8 buf[4] = { 0 };
    bool terminal;

    setup(r, 1, 0xc4, 0, 0, 3); /* cascade */
    CHECK_EQ(i8237_transfer(r->dev, 1, buf, 4, true, &terminal), 0);
    setup(r, 1, 0x44, 0, 0, 3);
    rig_out8(r, 0x08, 4); /* controller disabled */
    CHECK_EQ(i8237_transfer(r->dev, 1, buf, 4, true, &terminal), 0);
    rig_out8(r, 0x08, 0);
    CHECK_EQ(i8237_transfer(r->dev, 1, buf, 4, true, &terminal), 4);
    CHECK_EQ(i8237_transfer(r->dev, 4, buf, 4, true, &terminal), 0);
    CHECK_EQ(i8237_transfer(r->dev, 8, buf, 4, true, &terminal), 0);
    rig_out8(r, 0x08, 1);
    rig_out8(r, 0x09, 4); /* memory to memory: refused, and said */
    CHECK_EQ(bus_stats(r->m->bus)->chip_nyi, 1);
}
