/*
 * The Sound Blaster 16: its conversation, transfers and interrupts by the clock, and what is
 * heard.
 */
#include "devices/sb16.h"
#include "devices/i8237.h"
#include "runtime/machine/machine.h"
#include "tests/devices/audio_rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BASE = 0x220, BUFFER = 0x10000 };

static struct rig *card(struct ears **e)
{
    static struct sb16_config config;
    struct rig *r = rig_new(&i8237_class, NULL);

    *e = ears_new();
    config = *(const struct sb16_config *)sb16_user_device.defaults;
    config.audio = &(*e)->audio;
    config.i8237 = r->dev;
    r->dev = rig_add(r, &sb16_class, &config);
    return r;
}

static void dsp(struct rig *r, u32 n, const u8 *bytes)
{
    for (u32 i = 0; i < n; i++) {
        CHECK(!(rig_in8(r, BASE + 0xc) & 0x80));
        rig_out8(r, BASE + 0xc, bytes[i]);
    }
}
#define DSP(r, ...) dsp(r, sizeof((u8[]){ __VA_ARGS__ }), (u8[]){ __VA_ARGS__ })

static u8 dsp_read(struct rig *r)
{
    CHECK(rig_in8(r, BASE + 0xe) & 0x80);
    return rig_in8(r, BASE + 0xa);
}

static bool dsp_reset(struct rig *r)
{
    rig_out8(r, BASE + 6, 1);
    rig_advance(r, USEC(5));
    rig_out8(r, BASE + 6, 0);
    rig_advance(r, USEC(100));
    return rig_in8(r, BASE + 0xe) & 0x80 && rig_in8(r, BASE + 0xa) == 0xaa;
}

static u8 mixer(struct rig *r, u8 index)
{
    rig_out8(r, BASE + 4, index);
    return rig_in8(r, BASE + 5);
}

static void mixer_set(struct rig *r, u8 index, u8 val)
{
    rig_out8(r, BASE + 4, index);
    rig_out8(r, BASE + 5, val);
}

/* DMA from BUFFER: of bytes on channel 1, of words on channel 5. */
static void dma(struct rig *r, u32 channel, u32 units, u8 mode)
{
    u32 n = channel & 3, at = channel < 4 ? BUFFER & 0xffff : BUFFER >> 1 & 0xffff;
    u16 base = channel < 4 ? n * 2 : 0xc0 + n * 4, step = channel < 4 ? 1 : 2;
    u16 control = channel < 4 ? 0 : 0xc0;

    rig_out8(r, control + 10 * step, 4 | n);
    rig_out8(r, control + 11 * step, mode | n);
    rig_out8(r, control + 12 * step, 0);
    rig_out8(r, base, (u8)at);
    rig_out8(r, base, (u8)(at >> 8));
    rig_out8(r, base + step, (u8)(units - 1));
    rig_out8(r, base + step, (u8)((units - 1) >> 8));
    rig_out8(r, channel < 4 ? 0x83 : 0x8b, BUFFER >> 16);
    rig_out8(r, control + 10 * step, n);
}

static u32 dma_left(struct rig *r)
{
    u32 low;

    rig_out8(r, 12, 0);
    low = rig_in8(r, 3);
    return (low | (u32)rig_in8(r, 3) << 8) + 1;
}

enum { SINGLE = 0x48, AUTO = 0x58, FROM_DEVICE = 0x44 };

/* Bytes 0, 1, 2 …: what is heard tells where it came from. */
static void ramp(struct rig *r, u32 at, u32 n, u32 from)
{
    for (u32 i = 0; i < n; i++)
        phys_ram(r->m)[at + i] = (u8)(from + i);
}

static u8 heard_byte(const struct ears *e, u32 i)
{
    return (u8)((e->samples[i] >> 8) + 128);
}

/* ---- The conversation ---- */

TEST(sb16, answers_as_version_4_05)
{
    struct ears *e;
    struct rig *r = card(&e);

    CHECK(!(rig_in8(r, BASE + 0xe) & 0x80));
    CHECK(dsp_reset(r));
    CHECK(!(rig_in8(r, BASE + 0xe) & 0x80));
    DSP(r, 0xe1);
    CHECK_EQ(dsp_read(r), 4);
    CHECK_EQ(dsp_read(r), 5);
    DSP(r, 0xe0, 0x5a);
    CHECK_EQ(dsp_read(r), 0xa5);
    DSP(r, 0xe4, 0x77, 0xe8);
    CHECK_EQ(dsp_read(r), 0x77);
    DSP(r, 0xd1, 0xd8);
    CHECK_EQ(dsp_read(r), 0xff);
    DSP(r, 0xd3, 0xd8);
    CHECK_EQ(dsp_read(r), 0x00);
    DSP(r, 0xe3);
    CHECK_EQ(dsp_read(r), 'C');
    for (u32 i = 0; i < 10; i++)
        rig_in8(r, BASE + 0xa);
    CHECK(dsp_reset(r)); /* drops what was not read */
    CHECK_EQ(rig_in8(r, BASE + 0xa), 0xaa);
    CHECK(!(rig_in8(r, BASE + 0xe) & 0x80));
    CHECK_EQ(e->starts, 0);
}

TEST(sb16, interrupts_on_command)
{
    struct ears *e;
    struct rig *r = card(&e);

    DSP(r, 0xf2);
    CHECK(rig_irq(r, 5));
    CHECK_EQ(mixer(r, 0x82) & 3, 1);
    rig_in8(r, BASE + 0xf);
    CHECK(rig_irq(r, 5)); /* of the other kind */
    rig_in8(r, BASE + 0xe);
    CHECK(!rig_irq(r, 5));
    mixer_set(r, 0x80, 8); /* IRQ 10 */
    CHECK_EQ(mixer(r, 0x80), 8);
    DSP(r, 0xf3);
    CHECK(!rig_irq(r, 5) && rig_irq(r, 10));
    mixer_set(r, 0x80, 4); /* moved while it waits */
    CHECK(rig_irq(r, 7) && !rig_irq(r, 10));
    CHECK(dsp_reset(r));
    CHECK(!rig_irq(r, 7));
}

TEST(sb16, mixer_registers_lie_over_each_other)
{
    struct ears *e;
    struct rig *r = card(&e);

    CHECK_EQ(mixer(r, 0x80), 2);
    CHECK_EQ(mixer(r, 0x81), 0x22);
    mixer_set(r, 0x22, 0x4c);
    CHECK_EQ(mixer(r, 0x30) >> 4, 4);
    CHECK_EQ(mixer(r, 0x31) >> 4, 12);
    CHECK_EQ(mixer(r, 0x22), 0x4c);
    mixer_set(r, 0x32, 0xff);
    CHECK_EQ(mixer(r, 0x32), 0xf8);
    CHECK_EQ(mixer(r, 0x04) >> 4, 15);
    mixer_set(r, 0, 0);
    CHECK_EQ(mixer(r, 0x30), 0xf8);
    CHECK_EQ(e->voice->gain[0], 256);
    mixer_set(r, 0x30, 28 << 3); /* -6 dB */
    CHECK(e->voice->gain[0] >= 127 && e->voice->gain[0] <= 130);
    mixer_set(r, 0x41, 0x40); /* twice as loud again */
    CHECK(e->voice->gain[0] >= 254 && e->voice->gain[0] <= 260);
    CHECK_EQ(e->voice->gain[1], 256);
}

/* ---- What is heard ---- */

TEST(sb16, direct_samples_hold_until_the_next)
{
    struct ears *e;
    struct rig *r = card(&e);

    for (u32 i = 0; i < 4000; i++) {
        DSP(r, 0x10, (u8)(128 + lrint(100 * sin(2 * M_PI * 500 * i / 8000))));
        ears_listen(r, e, USEC(125));
    }
    CHECK_EQ(e->starts, 1);
    CHECK_EQ(e->n, 96000);
    CHECK(abs((int)ears_rises(e, 0, e->n) - 250) <= 1);
    CHECK_EQ(e->samples[24 * 4 + 5], 100 * 256); /* 192 kHz: 24 frames a sample */
    ears_listen(r, e, SEC(1));
    CHECK_EQ(e->stops, 1);
}

TEST(sb16, single_block_of_8_bits)
{
    struct ears *e;
    struct rig *r = card(&e);

    ramp(r, BUFFER, 2000, 0);
    dma(r, 1, 2000, SINGLE);
    DSP(r, 0x40, 256 - 1000000 / 10000); /* 10000 Hz */
    DSP(r, 0x14, 2000 & 0xff ? 0xcf : 0, 0x07);
    CHECK_EQ(e->rate, 10000);
    ears_listen(r, e, MSEC(100));
    CHECK_EQ(e->n, 1000);
    for (u32 i = 0; i < 1000; i++)
        CHECK_EQ(heard_byte(e, i), (u8)i);
    CHECK_EQ(dma_left(r), 1000);
    rig_advance(r, MSEC(99) + USEC(999));
    CHECK(!rig_irq(r, 5));
    rig_advance(r, USEC(1)); /* 2000 samples at 10 kHz: 200 ms */
    CHECK(rig_irq(r, 5));
    CHECK_EQ(e->n, 2000);
    CHECK_EQ(heard_byte(e, 1999), (u8)1999);
    rig_in8(r, BASE + 0xe);
    CHECK(!rig_irq(r, 5));
    ears_listen(r, e, SEC(1));
    CHECK_EQ(e->stops, 1);
    CHECK_EQ(rig_irq_rises(r, 5), 1);
}

/* 44100 Hz, stereo, 16 bits: interrupts at each half of the buffer. */
TEST(sb16, auto_init_of_16_bits_stereo)
{
    struct ears *e;
    struct rig *r = card(&e);
    i16 *buffer = (i16 *)(phys_ram(r->m) + BUFFER);
    u32 rises = 0;

    for (u32 i = 0; i < 4410; i++) {
        buffer[2 * i] = (i16)i;
        buffer[2 * i + 1] = (i16)-i;
    }
    dma(r, 5, 8820, AUTO);
    DSP(r, 0x41, 44100 >> 8, 44100 & 0xff);
    DSP(r, 0xb6, 0x30, (4410 - 1) & 0xff, (4410 - 1) >> 8); /* blocks of 2205 frames: 50 ms */
    for (u32 i = 0; i < 100; i++) {
        ears_listen(r, e, MSEC(10));
        if (!rig_irq(r, 5))
            continue;
        rises++;
        CHECK_EQ(i % 5, 4);
        CHECK_EQ(mixer(r, 0x82) & 3, 2);
        rig_in8(r, BASE + 0xf);
        CHECK(!rig_irq(r, 5));
    }
    CHECK_EQ(rises, 20);
    CHECK_EQ(e->channels, 2);
    CHECK_EQ(e->n, 2 * 44100);
    for (u32 i = 0; i < 44100; i++)
        CHECK(e->samples[2 * i] == (i16)(i % 4410) &&
              e->samples[2 * i + 1] == (i16) - (i % 4410));
    DSP(r, 0xd9); /* ends with this block */
    ears_listen(r, e, MSEC(60));
    CHECK(rig_irq(r, 5));
    rig_in8(r, BASE + 0xf);
    ears_listen(r, e, SEC(1));
    CHECK(!rig_irq(r, 5));
    CHECK_EQ(e->stops, 1);
}

TEST(sb16, pause_and_continue)
{
    struct ears *e;
    struct rig *r = card(&e);

    ramp(r, BUFFER, 20000, 0);
    dma(r, 1, 20000, SINGLE);
    DSP(r, 0x40, 156, 0x14, 0x1f, 0x4e);
    ears_listen(r, e, MSEC(500));
    DSP(r, 0xd0);
    CHECK_EQ(dma_left(r), 15000);
    ears_listen(r, e, SEC(1));
    CHECK_EQ(dma_left(r), 15000);
    CHECK_EQ(e->stops, 1);
    ears_clear(e);
    DSP(r, 0xd4);
    ears_listen(r, e, MSEC(1500));
    CHECK(rig_irq(r, 5));
    for (u32 i = 0; i < 15000; i++)
        CHECK_EQ(heard_byte(e, i), (u8)(5000 + i));
}

TEST(sb16, silence_and_its_interrupt)
{
    struct ears *e;
    struct rig *r = card(&e);

    DSP(r, 0x40, 156, 0x80, 0xe7, 0x03); /* 1000 samples at 10 kHz */
    rig_advance(r, MSEC(100) - 1);
    CHECK(!rig_irq(r, 5));
    rig_advance(r, 1);
    CHECK(rig_irq(r, 5));
    for (u32 i = 0; i < e->n; i++)
        CHECK_EQ(e->samples[i], 0);
}

/* By hand: reference 80; then +1 << 7, and steps that grow with differences of 5 and more. */
TEST(sb16, adpcm_of_4_bits)
{
    static const u8 bytes[] = { 0x80, 0x17, 0x72, 0xf0, 0x00 };
    static const i16 values[] = {
        128, 128 + 7 * 128, 1024 + 7 * 256, 2816 + 2 * 512, 3840 - 7 * 512, 256, 256, 256
    };
    struct ears *e;
    struct rig *r = card(&e);

    memcpy(phys_ram(r->m) + BUFFER, bytes, sizeof(bytes));
    dma(r, 1, sizeof(bytes), SINGLE);
    DSP(r, 0x40, 156, 0x75, sizeof(bytes) - 1, 0);
    ears_listen(r, e, MSEC(1));
    CHECK(rig_irq(r, 5)); /* 8 samples at 10 kHz */
    for (u32 i = 0; i < 8; i++)
        CHECK_EQ((u16)e->samples[i], (u16)(2 * values[i]));
}

TEST(sb16, records_silence)
{
    struct ears *e;
    struct rig *r = card(&e);

    ramp(r, BUFFER, 1000, 0);
    dma(r, 1, 1000, FROM_DEVICE);
    DSP(r, 0x40, 156, 0x24, 0xe7, 0x03);
    rig_advance(r, MSEC(100));
    CHECK(rig_irq(r, 5));
    CHECK_EQ(phys_ram(r->m)[BUFFER], 0x80);
    CHECK_EQ(phys_ram(r->m)[BUFFER + 999], 0x80);
    CHECK_EQ(phys_ram(r->m)[BUFFER + 1000], 0);
    DSP(r, 0x20);
    CHECK_EQ(dsp_read(r), 0x80);
}

TEST(sb16, needs_no_ears)
{
    static struct sb16_config config;
    struct rig *r = rig_new(&i8237_class, NULL);

    config = *(const struct sb16_config *)sb16_user_device.defaults;
    config.i8237 = r->dev;
    rig_add(r, &sb16_class, &config);
    dma(r, 1, 50000, AUTO);
    DSP(r, 0x40, 156, 0x48, 0x4f, 0xc3, 0x1c); /* 50000 at 10 kHz: 5 s */
    rig_advance(r, SEC(5) - 1);
    CHECK_EQ(rig_irq_rises(r, 5), 0);
    rig_advance(r, 1);
    CHECK_EQ(rig_irq_rises(r, 5), 1);
    rig_in8(r, BASE + 0xe);
    rig_advance(r, SEC(1));
    CHECK_EQ(dma_left(r), 40000);
}

/* ---- Guests that a busy host starves ---- */

/* A player with a buffer of two halves of 20 ms each at 10 kHz, which it fills when told. */
struct player {
    struct rig *r;
    u32 half, next;
};

static void player_begin(struct player *p, struct rig *r)
{
    *p = (struct player){ r, 0, 400 };
    ramp(r, BUFFER, 400, 0);
    dma(r, 1, 400, AUTO);
    DSP(r, 0x40, 156, 0x48, 199, 0, 0x1c);
}

/* The handler: acknowledges, then fills the half that was played; that takes a while. */
static void player_serve(struct player *p, struct ears *e)
{
    if (!rig_irq(p->r, 5))
        return;
    rig_in8(p->r, BASE + 0xe);
    for (u32 i = 0; i < 10; i++) {
        ramp(p->r, BUFFER + p->half * 200 + i * 20, 20, p->next);
        p->next += 20;
        ears_listen(p->r, e, USEC(100));
    }
    p->half ^= 1;
}

/* Nothing is missing, and nothing comes twice. */
static void check_ramp(const struct ears *e, u32 n)
{
    CHECK(e->n >= n);
    for (u32 i = 0; i < e->n && !test_failed(); i++)
        CHECK_EQ(heard_byte(e, i), (u8)i);
}

TEST(sb16, a_guest_on_time_is_heard_on_time)
{
    struct ears *e;
    struct rig *r = card(&e);
    struct player p;

    player_begin(&p, r);
    for (u32 i = 0; i < 1000; i++) {
        ears_listen(r, e, MSEC(1));
        player_serve(&p, e);
    }
    CHECK_EQ(e->starts, 1);
    check_ramp(e, 10000);
}

/* At twice the load a host can bear, the machine's thread stands still half of the time. */
TEST(sb16, a_starved_guest_makes_no_gap)
{
    static const u32 pauses[] = { 5, 30, 7, 45, 60, 2, 70, 1, 35, 20 };
    struct ears *e;
    struct rig *r = card(&e);
    struct player p;
    u64 total = 0;

    player_begin(&p, r);
    for (u32 i = 0; i < 200; i++) {
        u32 pause = pauses[i % ARRAY_SIZE(pauses)];

        r->m->clock_stopped += MSEC(pause); /* nothing runs meanwhile, no timer either */
        for (u32 k = 0; k < pause + 10; k++) {
            ears_listen(r, e, MSEC(1));
            player_serve(&p, e);
        }
        total += 2 * pause + 10;
    }
    CHECK_EQ(e->starts, 1);
    check_ramp(e, (u32)(total - 100) * 10);
}

TEST(sb16, who_does_not_acknowledge_is_not_waited_for)
{
    struct ears *e;
    struct rig *r = card(&e);
    struct player p;

    player_begin(&p, r);
    ears_listen(r, e, SEC(2));
    CHECK_EQ(e->starts, 1);
    CHECK(e->n > 19500); /* the buffer again and again */
    CHECK_EQ(rig_irq_rises(r, 5), 1);
}

/* Blocks that are single, begun by the handler a little late, join without a seam. */
TEST(sb16, single_blocks_join)
{
    struct ears *e;
    struct rig *r = card(&e);

    DSP(r, 0x40, 156);
    for (u32 i = 0; i < 20; i++) {
        ramp(r, BUFFER, 300, i * 300);
        dma(r, 1, 300, SINGLE);
        DSP(r, 0x14, 300 - 256 - 1, 1);
        while (!rig_irq(r, 5))
            ears_listen(r, e, USEC(100));
        ears_listen(r, e, MSEC(i)); /* the host is late */
        rig_in8(r, BASE + 0xe);
        ears_listen(r, e, MSEC(1));
    }
    CHECK_EQ(e->starts, 1);
    e->n = 6000;
    check_ramp(e, 6000);
}

TEST(sb16, absurd_blocks_do_not_hang)
{
    struct ears *e;
    struct rig *r = card(&e);

    dma(r, 1, 1, AUTO);
    DSP(r, 0x40, 255, 0x48, 0, 0, 0x1c); /* blocks of one sample at 45 kHz */
    rig_advance(r, SEC(5));
    CHECK(e->n > 200000);
    DSP(r, 0xda);
    dma(r, 1, 1, AUTO);
    DSP(r, 0x48, 0, 0, 0x7d); /* one byte: the reference */
    rig_advance(r, SEC(1));
    DSP(r, 0xb6, 0x30, 0, 0); /* its channel is not ready */
    rig_advance(r, SEC(1));
    CHECK(rig_irq_rises(r, 5) < 100);
}
