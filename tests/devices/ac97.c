/*
 * The AC'97 controller: descriptors and interrupts by the clock, rates, and what is heard.
 */
#include "devices/ac97.h"
#include "tests/devices/audio_rig.h"
#include "tests/devices/nic_rig.h"
#include "tests/devices/pci_rig.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAM = 0xc000,
    MASTERS = 0xc400,
    OUT = MASTERS + 0x10,
    IN = MASTERS,
    BDBAR = 0,
    CIV = 4,
    LVI = 5,
    SR = 6,
    PICB = 8,
    PIV = 10,
    CR = 11,
    RING = 0x20000,
    BUFFERS = 0x30000,
    LINE = 11,
};
#define IOC (1u << 31)

static struct rig *card(struct ears **e)
{
    struct rig *r = rig_new(NULL, NULL);
    struct ac97_config *config = machine_alloc(r->m, sizeof(*config));

    *e = ears_new();
    *config = (struct ac97_config){ { pci_rig_add(r)->slot.bus, 3 << 3 }, &(*e)->audio };
    r->dev = rig_add(r, &ac97_class, config);
    rig_out32(r, 0xcf8, 0x80000860); /* PIRQ C, where slot 3's pin A goes, to 11 */
    rig_out32(r, 0xcfc, 0x80008080 | LINE << 16);
    nic_rig_config_write(r, 0x10, NAM);
    nic_rig_config_write(r, 0x14, MASTERS);
    nic_rig_config_write(r, 4, 5);
    return r;
}

static void descriptor(struct rig *r, u32 n, u32 at, u32 control)
{
    u32 words[2] = { at, control };

    memcpy(phys_ram(r->m) + RING + 8 * n, words, 8);
}

static void check_ramp(const struct ears *e, u32 frames)
{
    CHECK(e->n >= 2 * frames);
    ears_check_ramp(e, e->n / 2);
}

TEST(ac97, codec_registers)
{
    struct ears *e;
    struct rig *r = card(&e);

    CHECK_EQ(nic_rig_config_read(r, 0), 0x24158086);
    CHECK_EQ(nic_rig_config_read(r, 8) >> 8, 0x040100);
    CHECK_EQ(rig_in32(r, NAM + 0x7c), 0x76008384);
    CHECK_EQ(rig_in16(r, NAM + 2), 0x8000);
    CHECK_EQ(e->voice->gain[0], 0); /* muted */
    rig_out16(r, NAM + 2, 0x0004);  /* left 0 dB, right -6 */
    rig_out16(r, NAM + 0x18, 0x0808);
    CHECK_EQ(e->voice->gain[0], 256);
    CHECK(e->voice->gain[1] >= 127 && e->voice->gain[1] <= 130);
    rig_out16(r, NAM + 0x2c, 22050); /* fixed */
    CHECK_EQ(rig_in16(r, NAM + 0x2c), 48000);
    rig_out16(r, NAM + 0x2a, 1);
    rig_out16(r, NAM + 0x2c, 22050);
    CHECK_EQ(rig_in16(r, NAM + 0x2c), 22050);
    rig_out16(r, NAM + 0x2c, 100);
    CHECK_EQ(rig_in16(r, NAM + 0x2c), 4000);
    CHECK_EQ(rig_in16(r, NAM + 0x26) & 15, 15);
    rig_out16(r, NAM, 0);
    CHECK_EQ(rig_in16(r, NAM + 0x2c), 48000);
    CHECK(rig_in32(r, MASTERS + 0x30) & 0x100);
    CHECK_EQ(rig_in8(r, MASTERS + 0x34), 0);
    CHECK_EQ(rig_in8(r, MASTERS + 0x34), 1);
    rig_in16(r, NAM);
    CHECK_EQ(rig_in8(r, MASTERS + 0x34), 0);
}

/* Two buffers of 10 ms, the second the last. */
TEST(ac97, plays_to_the_last_valid_descriptor)
{
    struct ears *e;
    struct rig *r = card(&e);

    ears_ramp(r, BUFFERS, 960, 0);
    descriptor(r, 0, BUFFERS, 960 | IOC);
    descriptor(r, 1, BUFFERS + 480 * 4, 960 | IOC);
    rig_out32(r, OUT + BDBAR, RING);
    rig_out8(r, OUT + LVI, 1);
    CHECK_EQ(rig_in16(r, OUT + SR), 1);
    rig_out8(r, OUT + CR, 0x1d);
    CHECK_EQ(rig_in16(r, OUT + SR), 0);
    CHECK_EQ(rig_in8(r, OUT + PIV), 1);
    ears_listen(r, e, MSEC(5));
    CHECK_EQ(rig_in16(r, OUT + PICB), 480);
    CHECK(!rig_irq(r, LINE));
    rig_advance(r, MSEC(5) - 1);
    CHECK(!rig_irq(r, LINE));
    rig_advance(r, 1);
    CHECK(rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, MASTERS + 0x30), 0x140);
    CHECK_EQ(rig_in8(r, OUT + CIV), 1);
    rig_out16(r, OUT + SR, 0x1c);
    CHECK(!rig_irq(r, LINE));
    rig_advance(r, MSEC(10));
    CHECK_EQ(rig_in16(r, OUT + SR), 0x0f); /* complete, last, at it, halted */
    CHECK(rig_irq(r, LINE));
    check_ramp(e, 960);
    rig_out16(r, OUT + SR, 0x1c);
    ears_ramp(r, BUFFERS, 480, 960);
    descriptor(r, 2, BUFFERS, 960);
    rig_out8(r, OUT + LVI, 2); /* goes on, joined */
    CHECK_EQ(rig_in8(r, OUT + CIV), 2);
    rig_advance(r, MSEC(11));
    CHECK_EQ(rig_in16(r, OUT + SR), 0x07);
    e->n = e->n < 2880 ? e->n : 2880;
    check_ramp(e, 1440);
    ears_listen(r, e, SEC(1));
    CHECK_EQ(e->stops, 1);
    rig_out8(r, OUT + CR, 0);
    rig_out8(r, OUT + CR, 2);
    CHECK(!rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, OUT + CIV), 0x00010000);
}

/* A ring of 32 buffers of 5 ms at 44100 Hz, filled ahead, by a guest that is on time and one
 * that is not. */
static u32 filled;

static void serve(struct rig *r)
{
    if (!rig_irq(r, LINE))
        return;
    rig_out16(r, OUT + SR, 0x1c);
    for (u32 civ = rig_in8(r, OUT + CIV); filled % 32 != civ; filled++) {
        ears_ramp(r, BUFFERS + filled % 32 * 220 * 4, 220, filled * 220);
        rig_out8(r, OUT + LVI, filled % 32);
    }
}

static void ring_begin(struct rig *r)
{
    for (filled = 0; filled < 32; filled++) {
        ears_ramp(r, BUFFERS + filled * 220 * 4, 220, filled * 220);
        descriptor(r, filled, BUFFERS + filled * 220 * 4, 440 | IOC);
    }
    rig_out16(r, NAM + 0x2a, 1);
    rig_out16(r, NAM + 0x2c, 44100);
    rig_out32(r, OUT + BDBAR, RING);
    rig_out8(r, OUT + LVI, 31);
    rig_out8(r, OUT + CR, 0x1d);
}

TEST(ac97, a_ring_on_time)
{
    struct ears *e;
    struct rig *r = card(&e);

    ring_begin(r);
    for (u32 i = 0; i < 2000; i++) {
        ears_listen(r, e, MSEC(1));
        serve(r);
    }
    CHECK_EQ(e->starts, 1);
    CHECK_EQ(e->rate, 44100);
    check_ramp(e, 44100 * 2 - 50);
}

TEST(ac97, a_starved_guest_makes_no_gap)
{
    static const u32 pauses[] = { 5, 30, 7, 45, 200, 2, 70, 1, 240, 20 };
    struct ears *e;
    struct rig *r = card(&e);
    u64 total = 0;

    ring_begin(r);
    for (u32 i = 0; i < 50; i++) {
        u32 pause = pauses[i % ARRAY_SIZE(pauses)];

        r->m->clock_stopped += MSEC(pause); /* nothing runs meanwhile, no timer either */
        for (u32 k = 0; k < pause + 10; k++) {
            ears_listen(r, e, MSEC(1));
            serve(r);
        }
        total += 2 * pause + 10;
    }
    CHECK_EQ(e->starts, 1);
    check_ramp(e, (u32)(total - 250) * 44);
}

TEST(ac97, pause_keeps_the_place)
{
    struct ears *e;
    struct rig *r = card(&e);

    ears_ramp(r, BUFFERS, 4800, 0);
    descriptor(r, 0, BUFFERS, 9600);
    rig_out32(r, OUT + BDBAR, RING);
    rig_out8(r, OUT + CR, 0x01);
    rig_advance(r, MSEC(50));
    rig_out8(r, OUT + CR, 0x00);
    CHECK_EQ(rig_in16(r, OUT + PICB), 4800);
    rig_advance(r, SEC(1));
    CHECK_EQ(rig_in16(r, OUT + PICB), 4800);
    ears_clear(e);
    rig_out8(r, OUT + CR, 0x01);
    rig_advance(r, MSEC(50));
    CHECK_EQ(e->samples[0], 2400);
    CHECK_EQ(e->samples[4798], 4799);
}

/* In the midst of a buffer: a second card with the fields of the first goes on alike. */
TEST(ac97, restored_it_goes_on)
{
    struct ears *e;
    struct rig *a = card(&e), *b = card(&e);

    ring_begin(a);
    rig_advance(a, MSEC(7));
    rig_advance(b, MSEC(7));
    memcpy(phys_ram(b->m) + RING, phys_ram(a->m) + RING, 32 * 8);
    for (const struct field *f = ac97_class.fields; f->name; f++)
        memcpy((u8 *)b->dev + f->offset, (u8 *)a->dev + f->offset, (size_t)f->size * f->count);
    ac97_class.loaded(b->dev);
    CHECK_EQ(rig_irq(b, LINE), rig_irq(a, LINE));
    for (u32 i = 0; i < 100; i++) {
        CHECK_EQ(rig_in32(b, OUT + CIV), rig_in32(a, OUT + CIV));
        CHECK_EQ(rig_in16(b, OUT + PICB), rig_in16(a, OUT + PICB));
        rig_out16(a, OUT + SR, 0x1c);
        rig_out16(b, OUT + SR, 0x1c);
        rig_advance(a, USEC(333));
        rig_advance(b, USEC(333));
    }
    CHECK(rig_in8(b, OUT + CIV) > 5);
}

TEST(ac97, records_silence)
{
    struct ears *e;
    struct rig *r = card(&e);

    ears_ramp(r, BUFFERS, 480, 1);
    descriptor(r, 0, BUFFERS, 480 | IOC);
    rig_out32(r, IN + BDBAR, RING);
    rig_out8(r, IN + CR, 0x11);
    rig_advance(r, MSEC(5));
    CHECK(rig_irq(r, LINE));
    CHECK_EQ(rig_in32(r, MASTERS + 0x30), 0x120);
    CHECK_EQ(phys_ram(r->m)[BUFFERS], 0);
    CHECK_EQ(phys_ram(r->m)[BUFFERS + 959], 0);
    CHECK_EQ(phys_ram(r->m)[BUFFERS + 960], 241);
    CHECK_EQ(e->starts, 0);
}

TEST(ac97, absurd_rings_do_not_hang)
{
    struct ears *e;
    struct rig *r = card(&e);

    for (u32 i = 0; i < 32; i++)
        descriptor(r, i, 0xfffffffe, i & 1 ? IOC : IOC | 1);
    rig_out32(r, OUT + BDBAR, RING);
    rig_out8(r, OUT + CR, 0x1d);
    for (u32 i = 0; i < 1000; i++) {
        rig_out8(r, OUT + LVI, (u8)(i * 7));
        rig_advance(r, MSEC(1));
    }
    descriptor(r, 0, 0xfee00000, 0xffff); /* reads device memory, and writes it */
    rig_out32(r, IN + BDBAR, 0xfffffff8);
    rig_out8(r, IN + CR, 0x1d);
    rig_advance(r, SEC(2));
    CHECK(rig_in16(r, OUT + SR) & 1);
}
