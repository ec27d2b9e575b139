/*
 * The AudioPCI: blocks and interrupts by the clock, formats and rates, the mixer, and what is
 * heard.
 */
#include "devices/es1370.h"
#include "tests/devices/audio_rig.h"
#include "tests/devices/nic_rig.h"
#include "tests/devices/pci_rig.h"

#include <string.h>

enum {
    BASE = 0xc000,
    CONTROL = BASE,
    STATUS = BASE + 4,
    UART_DATA = BASE + 8,
    UART_STATUS = BASE + 9, /* and control */
    UART_RESERVED = BASE + 0xa,
    PAGE = BASE + 0xc,
    CODEC = BASE + 0x10,
    SERIAL = BASE + 0x20,
    COUNT1 = BASE + 0x24,
    COUNT2 = BASE + 0x28,
    COUNT_IN = BASE + 0x2c,
    MEMORY = BASE + 0x30,
    BUFFER = 0x30000,
    LINE = 11,
    PLAY1 = 0x3042, /* DAC1 at 44100 Hz */
    STEREO_16 = 3,
    INTERRUPT1 = 0x100,
};

static struct rig *card(struct ears **e)
{
    struct rig *r = rig_new(NULL, NULL);
    struct es1370_config *config = machine_alloc(r->m, sizeof(*config));

    *e = ears_new();
    *config = (struct es1370_config){{pci_rig_add(r)->slot.bus, 3 << 3}, &(*e)->audio};
    r->dev = rig_add(r, &es1370_class, config);
    rig_out32(r, 0xcf8, 0x80000860); /* PIRQ C, where slot 3's pin A goes, to 11 */
    rig_out32(r, 0xcfc, 0x80008080 | LINE << 16);
    nic_rig_config_write(r, 0x10, BASE);
    nic_rig_config_write(r, 4, 5);
    return r;
}

/* A buffer of so many longwords for DAC1, and so many frames a block. */
static void buffer1(struct rig *r, u32 longs, u32 block)
{
    rig_out8(r, PAGE, 0xc);
    rig_out32(r, MEMORY, BUFFER);
    rig_out32(r, MEMORY + 4, longs - 1);
    rig_out32(r, COUNT1, block - 1);
}

TEST(es1370, registers)
{
    struct ears *e;
    struct rig *r = card(&e);

    CHECK_EQ(nic_rig_config_read(r, 0), 0x50001274);
    CHECK_EQ(nic_rig_config_read(r, 8), 0x04010000);
    CHECK_EQ(nic_rig_config_read(r, 0x2c), 0x4c4c4942);
    CHECK_EQ(rig_in32(r, CONTROL), 1);
    CHECK_EQ(rig_in32(r, STATUS), 0x60);
    rig_out8(r, CONTROL + 2, 0x5a); /* a byte of a register */
    CHECK_EQ(rig_in32(r, CONTROL), 0x5a0001);
    rig_out32(r, COUNT2, 0x1234);
    CHECK_EQ(rig_in32(r, COUNT2), 0x12341234);
    for (u32 page = 0; page < 16; page++) {
        rig_out8(r, PAGE, page);
        rig_out32(r, MEMORY + 8, 0x10000 * page + 7);
    }
    rig_out8(r, PAGE, 0xfc); /* four bits */
    CHECK_EQ(rig_in32(r, PAGE), 0xc);
    CHECK_EQ(rig_in32(r, MEMORY + 8), 0xc0007);
    CHECK_EQ(rig_in16(r, MEMORY + 10), 0xc);
    CHECK_EQ(rig_in8(r, UART_STATUS), 2); /* the UART would send */
    CHECK_EQ(rig_in32(r, BASE + 0x14), 0);
}

TEST(es1370, the_mixer_says_how_loud)
{
    struct ears *e;
    struct rig *r = card(&e);

    CHECK_EQ(e->voice->gain[0], 0);
    rig_out16(r, CODEC, 0x1060); /* FM, where DAC1 goes, to both sides */
    rig_out16(r, CODEC, 0x0406);
    rig_out16(r, CODEC, 0x0509);
    CHECK_EQ(e->voice->gain[0], 0); /* the master is muted still */
    rig_out16(r, CODEC, 0x0000);
    rig_out16(r, CODEC, 0x0100);
    CHECK_EQ(e->voice->gain[0], 256);
    CHECK(e->voice->gain[1] >= 127 && e->voice->gain[1] <= 129); /* -6 dB */
    rig_out16(r, CODEC, 0x0400);
    CHECK(e->voice->gain[0] >= 1018 && e->voice->gain[0] <= 1020); /* +12 dB */
    rig_out16(r, CODEC, 0x1040);
    CHECK_EQ(e->voice->gain[1], 0);
    rig_out16(r, CODEC, 0x1601); /* power down */
    CHECK_EQ(e->voice->gain[0], 0);
    rig_out16(r, CODEC, 0x1603);
    CHECK(e->voice->gain[0]);
    rig_out16(r, CODEC, 0xff00); /* no such register */
    rig_out16(r, CODEC, 0x1602); /* reset */
    rig_out16(r, CODEC, 0x1603);
    CHECK_EQ(e->voice->gain[0], 0);
}

/* Two blocks of 10 ms, round and round. */
TEST(es1370, interrupts_after_each_block)
{
    struct ears *e;
    struct rig *r = card(&e);

    ears_ramp(r, BUFFER, 882, 0);
    buffer1(r, 882, 441);
    rig_out32(r, SERIAL, INTERRUPT1 | STEREO_16);
    rig_out32(r, CONTROL, PLAY1);
    CHECK_EQ(e->rate, 44100);
    CHECK_EQ(e->channels, 2);
    ears_listen(r, e, MSEC(5));
    CHECK_EQ(rig_in32(r, COUNT1) >> 16, 220);
    CHECK_EQ(rig_in32(r, MEMORY + 4), 881 | 220 << 16);
    rig_advance(r, MSEC(5) - 1);
    CHECK(!rig_irq(r, LINE));
    rig_advance(r, 1);
    CHECK(rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, STATUS), 0x80000064);
    rig_out32(r, SERIAL, STEREO_16);
    CHECK(!rig_irq(r, LINE));
    rig_out32(r, SERIAL, INTERRUPT1 | STEREO_16);
    ears_ramp(r, BUFFER, 441, 882);
    ears_listen(r, e, MSEC(10));
    CHECK(rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, MEMORY + 4) >> 16, 0);
    rig_out32(r, SERIAL, STEREO_16);
    ears_listen(r, e, MSEC(10));
    ears_check_ramp(e, 1300);
    CHECK(!rig_irq(r, LINE)); /* not enabled, not remembered */
    rig_out32(r, SERIAL, INTERRUPT1 | STEREO_16);
    CHECK_EQ(rig_in32(r, STATUS), 0x60);
}

TEST(es1370, formats_and_rates)
{
    static const struct {
        u32 rate, control, format;
        i16 first, second; /* of bytes 80 C0 40 00, as the first samples heard */
    } rows[] = {
        {5512, 0x0042, 0, 0, 0x4000},
        {11025, 0x1042, 1, 0, 0x4000},
        {22050, 0x2042, 2, (i16)0xc080, 0x0040},
        {44100, 0x3042, 3, (i16)0xc080, 0x0040},
    };

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ears *e;
        struct rig *r = card(&e);

        memcpy(phys_ram(r->m) + BUFFER, "\x80\xc0\x40\0\x80\xc0\x40", 8);
        buffer1(r, 2, 100);
        rig_out32(r, SERIAL, rows[i].format);
        rig_out32(r, CONTROL, rows[i].control);
        ears_listen(r, e, SEC(1));
        CHECK_EQ(e->rate, rows[i].rate);
        CHECK_EQ(e->channels, 1 + (rows[i].format & 1));
        CHECK(e->samples[0] == rows[i].first && e->samples[1] == rows[i].second);
        CHECK(e->n / e->channels >= rows[i].rate - 1 && e->n / e->channels <= rows[i].rate);
        for (u32 k = 0; k + 8 < e->n && !test_failed(); k++) /* the buffer has eight bytes */
            CHECK_EQ(e->samples[k], e->samples[k % (rows[i].format & 2 ? 4 : 8)]);
    }
}

/* DAC2 and the ADC share a divider. */
TEST(es1370, dac2_by_its_divider)
{
    struct ears *e;
    struct rig *r = card(&e);

    rig_out8(r, PAGE, 0xc);
    rig_out32(r, MEMORY + 8, BUFFER);
    rig_out32(r, MEMORY + 12, 999);
    rig_out32(r, COUNT2, 480 - 1);
    rig_out32(r, SERIAL, 0x200 | STEREO_16 << 2);
    rig_out32(r, CONTROL, 0x20 | (1411200 / 8000 - 2) << 16); /* 8018 Hz */
    rig_advance(r, (u64)SEC(1) * 480 / 8018 - MSEC(1));
    CHECK(!rig_irq(r, LINE));
    rig_advance(r, MSEC(2));
    CHECK(rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, STATUS), 0x80000062);
    CHECK_EQ(e->starts, 0); /* DAC1 is silent */
}

TEST(es1370, stop_mode_waits_for_the_guest)
{
    struct ears *e;
    struct rig *r = card(&e);

    ears_ramp(r, BUFFER, 882, 0);
    buffer1(r, 882, 441);
    rig_out32(r, SERIAL, 0x2000 | INTERRUPT1 | STEREO_16);
    rig_out32(r, CONTROL, PLAY1);
    ears_listen(r, e, MSEC(50));
    CHECK(rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, MEMORY + 4) >> 16, 441);
    rig_out32(r, SERIAL, STEREO_16);
    ears_listen(r, e, MSEC(5));
    CHECK_EQ(rig_in32(r, MEMORY + 4) >> 16, 441 + 220);
}

TEST(es1370, pause_keeps_the_place)
{
    struct ears *e;
    struct rig *r = card(&e);

    ears_ramp(r, BUFFER, 4410, 0);
    buffer1(r, 4410, 4410);
    rig_out32(r, SERIAL, STEREO_16);
    rig_out32(r, CONTROL, PLAY1);
    rig_advance(r, MSEC(50));
    rig_out32(r, SERIAL, 0x800 | STEREO_16);
    CHECK_EQ(rig_in32(r, MEMORY + 4) >> 16, 2205);
    rig_advance(r, SEC(1));
    CHECK_EQ(rig_in32(r, MEMORY + 4) >> 16, 2205);
    ears_clear(e);
    rig_out32(r, SERIAL, STEREO_16);
    rig_advance(r, MSEC(40));
    rig_in32(r, STATUS);
    CHECK_EQ(e->samples[0], 2205);
    CHECK_EQ(e->samples[3000], 2205 + 1500);
}

TEST(es1370, a_starved_guest_makes_no_gap)
{
    static const u32 pauses[] = {5, 30, 7, 45, 200, 2, 70, 1, 220, 20};
    struct ears *e;
    struct rig *r = card(&e);
    u32 filled = 2;

    ears_ramp(r, BUFFER, 882, 0);
    buffer1(r, 882, 441);
    rig_out32(r, SERIAL, INTERRUPT1 | STEREO_16);
    rig_out32(r, CONTROL, PLAY1);
    for (u32 i = 0; i < 20; i++) {
        r->m->clock_stopped += MSEC(pauses[i % ARRAY_SIZE(pauses)]); /* no timer runs either */
        for (u32 k = 0; k < 400; k++) {
            ears_listen(r, e, MSEC(1));
            if (!rig_irq(r, LINE))
                continue;
            ears_ramp(r, BUFFER + filled % 2 * 441 * 4, 441, filled * 441);
            filled++;
            rig_out32(r, SERIAL, STEREO_16);
            rig_out32(r, SERIAL, INTERRUPT1 | STEREO_16);
        }
    }
    CHECK_EQ(e->starts, 1);
    ears_check_ramp(e, 20 * 400 * 44);
}

TEST(es1370, records_silence)
{
    struct ears *e;
    struct rig *r = card(&e);

    memset(phys_ram(r->m) + BUFFER, 0x11, 1024);
    rig_out8(r, PAGE, 0xd);
    rig_out32(r, MEMORY, BUFFER);
    rig_out32(r, MEMORY + 4, 99);
    rig_out32(r, COUNT_IN, 400 - 1);
    rig_out32(r, SERIAL, 0x400); /* 8 bits: the middle is 80 */
    rig_out32(r, CONTROL, 0x10 | 30 << 16);
    rig_advance(r, MSEC(10));
    CHECK(rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, STATUS), 0x80000061);
    CHECK_EQ(phys_ram(r->m)[BUFFER], 0x80);
    CHECK_EQ(phys_ram(r->m)[BUFFER + 399], 0x80);
    CHECK_EQ(phys_ram(r->m)[BUFFER + 400], 0x11);
    CHECK_EQ(e->starts, 0);
}

enum { UART_EN = 8, TXINTEN = 0x20, TXRDY = 2, TXINT = 4, BYTE_NS = 320000 };

/* 31250 baud: 320 us a byte, by polling. */
TEST(es1370, uart_takes_the_time_of_a_byte)
{
    struct ears *e;
    struct rig *r = card(&e);

    rig_out32(r, CONTROL, UART_EN);
    rig_out8(r, UART_STATUS, 0);
    CHECK_EQ(rig_in8(r, UART_STATUS), TXRDY);
    rig_out8(r, UART_DATA, 0x90);
    CHECK_EQ(rig_in8(r, UART_STATUS), 0);
    rig_advance(r, BYTE_NS / 2);
    rig_out8(r, UART_DATA, 0x40); /* not ready: the byte under way goes on, and no longer */
    rig_advance(r, BYTE_NS / 2 - 1);
    CHECK_EQ(rig_in8(r, UART_STATUS), 0);
    rig_advance(r, 1);
    CHECK_EQ(rig_in8(r, UART_STATUS), TXRDY);
    CHECK_EQ(rig_in8(r, UART_DATA), 0); /* nothing comes in */
    CHECK_EQ(rig_in32(r, UART_DATA), TXRDY << 8);
    CHECK_EQ(rig_in32(r, STATUS), 0x60);
    CHECK_EQ(rig_irq_rises(r, LINE), 0);
}

/* A message of three bytes, each but the first by the interrupt of the one before. */
TEST(es1370, uart_interrupts_when_it_is_ready)
{
    struct ears *e;
    struct rig *r = card(&e);

    rig_out8(r, UART_STATUS, TXINTEN);
    CHECK(!rig_irq(r, LINE)); /* the UART is off */
    CHECK_EQ(rig_in8(r, UART_STATUS), TXRDY);
    rig_out8(r, UART_DATA, 0x90);
    CHECK_EQ(rig_in8(r, UART_STATUS), TXRDY);
    rig_out32(r, CONTROL, UART_EN);
    CHECK(rig_irq(r, LINE));
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(rig_in8(r, UART_STATUS), TXRDY | TXINT);
        CHECK_EQ(rig_in32(r, STATUS), 0x80000068);
        rig_out8(r, UART_DATA, 0x90 + i);
        CHECK_EQ(rig_in8(r, UART_STATUS), 0);
        CHECK_EQ(rig_in32(r, STATUS), 0x60);
        CHECK(!rig_irq(r, LINE));
        rig_advance(r, BYTE_NS - 1);
        CHECK(!rig_irq(r, LINE));
        rig_advance(r, 1);
        CHECK(rig_irq(r, LINE));
    }
    for (u32 i = 0; i < 4; i++) { /* of the two bits only 01 enables */
        rig_out8(r, UART_STATUS, i << 5);
        CHECK_EQ(rig_irq(r, LINE), i == 1);
    }
    rig_out8(r, UART_STATUS, TXINTEN);
    rig_out32(r, CONTROL, 0);
    CHECK(!rig_irq(r, LINE));
}

TEST(es1370, uart_reset_and_test_mode)
{
    struct ears *e;
    struct rig *r = card(&e);

    rig_out32(r, CONTROL, UART_EN);
    rig_out8(r, UART_DATA, 0xf8);
    rig_out8(r, UART_STATUS, 3); /* software reset */
    CHECK_EQ(rig_in8(r, UART_STATUS), TXRDY);
    rig_out16(r, UART_DATA, 0xf8); /* sent, and reset no more: in this order */
    CHECK_EQ(rig_in8(r, UART_STATUS), 0);
    rig_advance(r, BYTE_NS);
    CHECK_EQ(rig_irq_rises(r, LINE), 0);
    rig_out8(r, UART_RESERVED, 0xff);
    CHECK_EQ(rig_in32(r, UART_DATA), 1 << 16 | TXRDY << 8);
    rig_out8(r, UART_DATA, 0xf8);
    CHECK_EQ(rig_in8(r, UART_STATUS), 0);
    rig_advance(r, USEC(5)); /* by the bus's clock */
    CHECK_EQ(rig_in8(r, UART_STATUS), TXRDY);
}

TEST(es1370, uart_restored_goes_on)
{
    struct ears *e;
    struct rig *a = card(&e), *b = card(&e);

    rig_out32(a, CONTROL, UART_EN);
    rig_out8(a, UART_STATUS, TXINTEN);
    rig_out8(a, UART_DATA, 0xf8);
    rig_advance(a, BYTE_NS / 4);
    rig_advance(b, BYTE_NS / 4);
    for (const struct field *f = es1370_class.fields; f->name; f++)
        memcpy((u8 *)b->dev + f->offset, (u8 *)a->dev + f->offset, (size_t)f->size * f->count);
    es1370_class.loaded(b->dev);
    CHECK_EQ(rig_in8(b, UART_STATUS), 0);
    rig_advance(b, BYTE_NS * 3 / 4 - 1);
    CHECK(!rig_irq(b, LINE));
    rig_advance(b, 1);
    CHECK(rig_irq(b, LINE));
}

TEST(es1370, without_leave_of_the_bus_it_is_silent)
{
    struct ears *e;
    struct rig *r = card(&e);

    nic_rig_config_write(r, 4, 1);
    ears_ramp(r, BUFFER, 441, 1);
    buffer1(r, 441, 441);
    rig_out32(r, SERIAL, STEREO_16);
    rig_out32(r, CONTROL, PLAY1);
    ears_listen(r, e, MSEC(10));
    CHECK(e->n >= 800);
    for (u32 i = 0; i < e->n && !test_failed(); i++)
        CHECK_EQ(e->samples[i], 0);
}

/* In the midst of a block: a second card with the fields of the first goes on alike. */
TEST(es1370, restored_it_goes_on)
{
    struct ears *e;
    struct rig *a = card(&e), *b = card(&e);

    buffer1(a, 1000, 100);
    rig_out32(a, SERIAL, INTERRUPT1 | STEREO_16);
    rig_out32(a, CONTROL, PLAY1);
    rig_advance(a, MSEC(7));
    rig_advance(b, MSEC(7));
    for (const struct field *f = es1370_class.fields; f->name; f++)
        memcpy((u8 *)b->dev + f->offset, (u8 *)a->dev + f->offset, (size_t)f->size * f->count);
    es1370_class.loaded(b->dev);
    CHECK_EQ(rig_irq(b, LINE), rig_irq(a, LINE));
    for (u32 i = 0; i < 100; i++) {
        CHECK_EQ(rig_in32(b, COUNT1), rig_in32(a, COUNT1));
        CHECK_EQ(rig_in32(b, MEMORY + 4), rig_in32(a, MEMORY + 4));
        rig_out32(a, SERIAL, STEREO_16);
        rig_out32(b, SERIAL, STEREO_16);
        rig_advance(a, USEC(333));
        rig_advance(b, USEC(333));
    }
    CHECK(rig_in32(a, MEMORY + 4) >> 16);
}

TEST(es1370, absurd_registers_do_not_hang)
{
    struct ears *e;
    struct rig *r = card(&e);

    for (u32 i = 0; i < 400; i++) {
        rig_out8(r, PAGE, 0xc + i % 2);
        rig_out32(r, MEMORY, i & 4 ? 0xfffffffe : 0xfee00000 + i); /* devices, the top */
        rig_out32(r, MEMORY + 4, i * 0x12345); /* places outside the buffer */
        rig_out32(r, COUNT1 + i % 3 * 4, i & 1 ? 0 : 0xffff);
        rig_out32(r, SERIAL, i * 0x9e3779b9u);
        rig_out32(r, CONTROL, 0x72 | i << 16 | (i & 3) << 12); /* up to the clock's half */
        rig_advance(r, MSEC(i % 30));
        rig_in32(r, STATUS + i % 7);
        rig_out16(r, BASE + 0x1f, i); /* from one register into the next */
    }
    CHECK(rig_in32(r, CONTROL) & 0x70);
}
