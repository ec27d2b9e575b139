/*
 * Port 61 and what the speaker says.
 */
#include "devices/pcspk.h"
#include "devices/i8254.h"
#include "tests/devices/audio_rig.h"

#include <math.h>
#include <stdlib.h>

static struct rig *speaker(struct ears **e)
{
    static struct i8254_config timer;
    static struct pcspk_config wires;
    struct rig *r;

    timer = (struct i8254_config){ 0 };
    r = rig_new(&i8254_class, &timer);
    *e = ears_new();
    wires = (struct pcspk_config){ r->dev, &(*e)->audio };
    timer.speaker = rig_add(r, &pcspk_class, &wires);
    timer.changing = pcspk_changing;
    return r;
}

static void tone(struct rig *r, u32 mode, u16 count)
{
    rig_out8(r, 0x43, 0xb0 | mode << 1);
    rig_out8(r, 0x42, (u8)count);
    rig_out8(r, 0x42, count >> 8);
}

static i64 mean(const struct ears *e, u32 from, u32 to)
{
    i64 sum = 0;

    for (u32 i = from; i < to; i++)
        sum += e->samples[i];
    return sum / (i64)(to - from);
}

TEST(pcspk, gate_and_output_of_channel_2)
{
    struct rig *r = rig_new(&i8254_class, NULL);
    struct pcspk_config wires = { .i8254 = r->dev };

    rig_add(r, &pcspk_class, &wires);
    rig_out8(r, 0x61, 0x00);
    tone(r, 0, 1193);
    rig_advance(r, MSEC(5));
    CHECK_EQ(rig_in8(r, 0x61) & 0x23, 0x00); /* the gate holds it */
    rig_out8(r, 0x61, 0x01);
    rig_advance(r, USEC(990));
    CHECK_EQ(rig_in8(r, 0x61) & 0x23, 0x01);
    rig_advance(r, USEC(20));
    CHECK_EQ(rig_in8(r, 0x61) & 0x23, 0x21);
    rig_out8(r, 0x61, 0xff);
    CHECK_EQ(rig_in8(r, 0x61) & 0xcf, 0x0f);
}

TEST(pcspk, refresh_toggles_every_15_us)
{
    struct rig *r = rig_new(&pcspk_class, NULL);
    u32 changes = 0;
    u8 last = rig_in8(r, 0x61) & 0x10;

    for (u32 i = 0; i < 1000; i++) {
        u8 now;
        rig_advance(r, USEC(1));
        now = rig_in8(r, 0x61) & 0x10;
        changes += now != last;
        last = now;
    }
    CHECK_EQ(changes, 66);
}

TEST(pcspk, beep_has_its_frequency_and_length)
{
    struct ears *e;
    struct rig *r = speaker(&e);

    ears_listen(r, e, MSEC(300));
    CHECK_EQ(e->n, 0);
    tone(r, 3, 1193); /* 1000.15 Hz */
    rig_out8(r, 0x61, 3);
    ears_listen(r, e, MSEC(500));
    CHECK_EQ(e->starts, 1);
    CHECK_EQ(e->began, MSEC(300));
    CHECK_EQ(e->rate, 192000);
    CHECK_EQ(e->n, 96000);
    CHECK_EQ(ears_rises(e, 0, e->n), 500);
    rig_out8(r, 0x61, 0);
    ears_listen(r, e, SEC(1));
    CHECK_EQ(e->stops, 1); /* it costs nothing from then on */
    CHECK(e->n > 96000 + 19200 && e->n < 96000 + 40000);
    CHECK(abs(e->samples[96000 + 15000]) < 20);
    CHECK(abs(e->samples[e->n - 1]) < 8);
}

/* Half of the time out, and the mean taken off: as far up as down. */
TEST(pcspk, square_wave_is_symmetric)
{
    struct ears *e;
    struct rig *r = speaker(&e);
    i64 sum = 0;

    tone(r, 3, 2712); /* 440 Hz */
    rig_out8(r, 0x61, 3);
    ears_listen(r, e, SEC(1));
    CHECK_EQ(ears_rises(e, 0, e->n), 439);
    for (u32 i = 96000; i < 192000; i++)
        sum += abs(e->samples[i]);
    CHECK(llabs(mean(e, 96000, 192000)) < 60);
    CHECK(sum / 96000 > 7800 && sum / 96000 < 8400);
}

/* The frame that an edge falls into takes the share before it: no edge is moved. */
TEST(pcspk, edges_between_frames_are_kept)
{
    struct ears *e;
    struct rig *r = speaker(&e);
    double at, last = 0, worst = 0;

    tone(r, 3, 1000); /* a rise every 838.1 us: 160.9 frames */
    rig_out8(r, 0x61, 3);
    ears_listen(r, e, MSEC(200));
    for (u32 i = 19200; i < e->n; i++) {
        int a = e->samples[i - 1], b = e->samples[i];

        if (a >= -4000 || b <= -4000)
            continue;
        /* The share of this frame that was out tells where in it the edge was. */
        at = i + 1 - (b + 8192.0) / 16384;
        if (b < 7000 && last && fabs(at - last - 160.9143) > worst)
            worst = fabs(at - last - 160.9143);
        last = b < 7000 ? at : 0;
    }
    CHECK(worst < 0.1);
}

TEST(pcspk, silent_while_the_data_bit_is_clear)
{
    struct ears *e;
    struct rig *r = speaker(&e);

    tone(r, 3, 1193);
    rig_out8(r, 0x61, 1); /* counts, as kernels do that measure time */
    ears_listen(r, e, SEC(1));
    CHECK_EQ(e->starts, 0);
    for (u32 i = 0; i < 100; i++) {
        tone(r, 0, 1193);
        ears_listen(r, e, MSEC(1));
        rig_in8(r, 0x61);
    }
    CHECK_EQ(e->starts, 0);
}

/* Speech of the first kind: the data bit itself, the timer's output standing high. */
TEST(pcspk, data_bit_toggled_is_a_wave)
{
    struct ears *e;
    struct rig *r = speaker(&e);

    rig_out8(r, 0x43, 0xb6); /* mode 3 without a count: high */
    for (u32 i = 0; i < 2000; i++) {
        rig_out8(r, 0x61, i & 1 ? 2 : 0);
        ears_listen(r, e, USEC(125));
    }
    CHECK_EQ(e->starts, 1);
    CHECK(ears_rises(e, 0, e->n) >= 998 && ears_rises(e, 0, e->n) <= 1000);
}

/* Speech of the second kind: a one-shot for each sample at 16 kHz, its count the sample. */
TEST(pcspk, pulse_width_is_the_sample)
{
    struct ears *e;
    struct rig *r = speaker(&e);
    u32 period = 12, rises = 0; /* frames of 192000 Hz in 1/16000 s */
    i32 last = 0;

    rig_out8(r, 0x43, 0x90); /* mode 0, low byte */
    rig_out8(r, 0x61, 3);
    for (u32 i = 0; i < 16000; i++) {
        rig_out8(r, 0x42, (u8)(37 + lrint(30 * sin(2 * M_PI * 200 * i / 16000))));
        ears_listen(r, e, 62500);
    }
    /* Averaged over a sample's period, what is heard is the sine: 200 Hz, 30 of 74.6 ticks. */
    for (u32 i = 0; i + period <= e->n; i += period) {
        i32 now = (i32)mean(e, i, i + period);

        rises += i > 40 * period && last < 0 && now >= 0;
        CHECK(abs(now) < 16384 * 42 / 75 || i < 1600 * period);
        last = now;
    }
    CHECK(rises >= 197 && rises <= 201);
}

TEST(pcspk, a_new_count_changes_the_tone_without_a_gap)
{
    struct ears *e;
    struct rig *r = speaker(&e);

    tone(r, 3, 1193);
    rig_out8(r, 0x61, 3);
    ears_listen(r, e, MSEC(105));
    rig_out8(r, 0x42, 0x55); /* 597: 1999 Hz, from the next half period on */
    rig_out8(r, 0x42, 0x02);
    for (u32 i = 0; i < 50; i++) {
        ears_listen(r, e, MSEC(2));
        rig_in8(r, 0x61); /* looking does not disturb it */
    }
    CHECK_EQ(e->starts, 1);
    CHECK_EQ(e->n, 192 * 205);
    CHECK_EQ(ears_rises(e, 0, 192 * 105), 105);
    CHECK(ears_rises(e, 192 * 105, e->n) >= 199 && ears_rises(e, 192 * 105, e->n) <= 200);
}

/* Every mode's share of high ticks is what OUT shows, tick by tick. */
TEST(pcspk, what_is_computed_is_what_out_shows)
{
    for (u32 mode = 0; mode < 6; mode++)
        for (u32 count = mode == 2 || mode == 3 ? 2 : 1; count < 40; count += 7) {
            struct rig *r = rig_new(&i8254_class, NULL);
            u64 from = i8254_fine_ticks(0), high = 0;

            i8254_gate(r->dev, 2, mode != 1 && mode != 5);
            tone(r, mode, (u16)count);
            i8254_gate(r->dev, 2, true);
            for (u32 i = 0; i < 100; i++) {
                CHECK_EQ(i8254_high(r->dev, 2, from + 256 * i, from + 256 * (i + 1)),
                         i8254_out(r->dev, 2) ? 256 : 0);
                high += i8254_out(r->dev, 2) ? 256 : 0;
                rig_advance(r, i % 2 ? 838 : 839);
                if (i8254_fine_ticks(r->dev ? (u64)clock_now(r->m) : 0) / 256 != i + 1)
                    break;
            }
            CHECK(i8254_high(r->dev, 2, from, from + 256 * 100) >= high);
        }
}

TEST(pcspk, absurd_tones_do_not_hang)
{
    struct ears *e;
    struct rig *r = speaker(&e);

    tone(r, 3, 2); /* 600 kHz: not heard */
    rig_out8(r, 0x61, 3);
    ears_listen(r, e, SEC(1));
    CHECK(llabs(mean(e, 96000, e->n)) < 60);
    r = speaker(&e);
    for (u32 i = 0; i < 20000; i++) { /* all at one time */
        rig_out8(r, 0x61, (u8)i);
        rig_out8(r, 0x42, (u8)i);
        rig_out8(r, 0x43, (u8)(i * 7));
    }
    CHECK(e->n < 192000);
}
