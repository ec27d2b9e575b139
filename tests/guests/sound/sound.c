/*
 * Plays what its command line names, by the hardware alone, and ends by the debug exit port.
 * tests/suites/sound.py compares what was heard.
 *
 *   beep    the speaker: 1000 Hz for 300 ms, 200 ms of silence, 440 Hz for 300 ms
 *   sb8     Sound Blaster: 8 bits, mono, 11025 Hz by single blocks of 50 ms: 441 Hz for 500 ms
 *   sb16    16 bits, stereo, 44100 Hz by auto-init: 441 Hz left, 1000 Hz right, 500 ms
 *   fm      the OPL3: 440 Hz for 500 ms
 *   es1370  16 bits, stereo, 44100 Hz, DAC2 round a buffer: as sb16
 *   ac97    16 bits, stereo, 44100 Hz, a ring of buffers: as sb16
 *   speech  the speaker by pulse width: a one-shot for each sample at 8 kHz, a sine of 500 Hz
 *           for 500 ms
 */
#include "tests/guests/io.h"

static void put(char c)
{
    outb(0xe9, (u8)c);
}
#include "tests/guests/say.h"
#include "tests/guests/sound/sine.h"

/* ---- Time: the ACPI timer where SeaBIOS puts it, 24 bits at three times the 8254's rate ----
 */

static u32 last_count, thirds; /* of ticks at 1193182 Hz */
static u32 worst; /* from one look to the next: the host had something else to do */

static u32 time(void)
{
    u32 count = inl(0x608), passed = (count - last_count) & 0xffffff;

    thirds += passed;
    worst = passed > worst ? passed : worst;
    last_count = count;
    return thirds / 3;
}

static void time_start(void)
{
    time();
    thirds = worst = 0;
}

static void wait_until(u32 when)
{
    while ((int)(time() - when) < 0)
        __asm__ volatile("" : : : "memory");
}

static void wait_ms(u32 ms)
{
    wait_until(time() + ms * 1193 + ms * 182 / 1000);
}

/* ---- The speaker ---- */

static void beep(void)
{
    static const u16 counts[] = { 1193, 2712 };

    for (u32 i = 0; i < 2; i++) {
        u32 before, begin, end;

        outb(0x43, 0xb6);
        outb(0x42, (u8)counts[i]);
        outb(0x42, (u8)(counts[i] >> 8));
        before = time();
        outb(0x61, inb(0x61) | 3);
        begin = time();
        wait_ms(300);
        end = time();
        outb(0x61, inb(0x61) & ~3);
        say("tone "); /* at least and at most so long: more than 300 ms where the host is busy
                       */
        say_number(end - begin);
        say(" ");
        say_number(time() - before);
        say("\n");
        wait_ms(200);
    }
}

static void speech(void)
{
    u32 next = time(), rest = 0, late = 0;

    outb(0x43, 0x90); /* channel 2, low byte, mode 0 */
    outb(0x61, inb(0x61) | 3);
    for (u32 i = 0; i < 4000; i++) {
        next += 149; /* 149.148 ticks */
        rest += 148;
        next += rest / 1000;
        rest %= 1000;
        wait_until(next);
        late += time() - next > 75; /* half a sample: the host had something else to do */
        outb(0x42, (u8)(74 + sine(i * 32) / 500));
    }
    outb(0x61, inb(0x61) & ~3);
    wait_ms(100);
    say("late ");
    say_number(late);
    say("\n");
}

/* ---- Sound Blaster ---- */

enum { SB = 0x220, SB_IRQ_8 = 1, SB_IRQ_16 = 2 };

/* Below 16 MiB, and no block crosses 64 KiB. */
static u8 *const buffer = (u8 *)0x200000;

static void dsp(u8 v)
{
    while (inb(SB + 0xc) & 0x80)
        ;
    outb(SB + 0xc, v);
}

static int dsp_reset(void)
{
    outb(SB + 6, 1);
    wait_ms(1);
    outb(SB + 6, 0);
    for (u32 i = 0; i < 10 && !(inb(SB + 0xe) & 0x80); i++)
        wait_ms(1);
    return inb(SB + 0xa) == 0xaa;
}

/* The interrupt's bit, looked for in the mixer, since this kernel takes none. 0: in two
 * seconds, none came. */
static u8 wait_interrupt(void)
{
    u32 end = time() + 2 * 1193182;

    outb(SB + 4, 0x82);
    while (!(inb(SB + 5) & 3))
        if ((int)(time() - end) > 0)
            return 0;
    return inb(SB + 5) & 3;
}

/* Units from the buffer on, on channel 1 or 5. */
static void dma(u32 channel, u32 at, u32 units, u8 mode)
{
    u16 base = channel < 4 ? 0 : 0xc0, step = channel < 4 ? 1 : 2, n = channel & 3;
    u32 where = channel < 4 ? at : at >> 1;

    outb(base + 10 * step, 4 | n);
    outb(base + 12 * step, 0);
    outb(base + 11 * step, mode | n);
    outb(base + 2 * n * step, (u8)where);
    outb(base + 2 * n * step, (u8)(where >> 8));
    outb(base + (2 * n + 1) * step, (u8)(units - 1));
    outb(base + (2 * n + 1) * step, (u8)((units - 1) >> 8));
    outb(channel < 4 ? 0x83 : 0x8b, (u8)(at >> 16));
    outb(base + 10 * step, n);
}

/* A sample of a tone: the frame of a rate. */
static int tone(u32 frame, u32 hz, u32 rate)
{
    return sine(frame * hz % rate * 512 / rate);
}

static void sb8(void)
{
    const u32 block = 551;

    dsp(0x40);
    dsp(256 - 1000000 / 11025);
    for (u32 i = 0; i < 10; i++) {
        for (u32 k = 0; k < block; k++)
            buffer[k] = (u8)(128 + tone(i * block + k, 441, 11025) / 320);
        dma(1, (u32)buffer, block, 0x48);
        dsp(0x14);
        dsp((u8)(block - 1));
        dsp((u8)((block - 1) >> 8));
        if (wait_interrupt() != SB_IRQ_8)
            say("no interrupt\n");
        inb(SB + 0xe);
    }
    wait_ms(200);
}

/* Half h of the buffer. */
static void fill(u32 h, u32 from, u32 frames)
{
    short *to = (short *)buffer + h * frames * 2;

    for (u32 i = 0; i < frames; i++) {
        to[2 * i] = (short)(tone(from + i, 441, 44100) / 2);
        to[2 * i + 1] = (short)(tone(from + i, 1000, 44100) / 2);
    }
}

static void sb16(void)
{
    const u32 half = 2205; /* frames: 50 ms */

    fill(0, 0, half);
    fill(1, half, half);
    dma(5, (u32)buffer, half * 4, 0x58);
    dsp(0x41);
    dsp(44100 >> 8);
    dsp(44100 & 0xff);
    dsp(0xb6);
    dsp(0x30);
    dsp((half * 2 - 1) & 0xff);
    dsp((half * 2 - 1) >> 8);
    for (u32 i = 0; i < 10; i++) {
        if (wait_interrupt() != SB_IRQ_16)
            say("no interrupt\n");
        if (i == 8)
            dsp(0xd9); /* the next is the last */
        inb(SB + 0xf);
        fill(i & 1, (i + 2) * half, half);
    }
    wait_ms(200);
}

static void sound_blaster(void (*play)(void))
{
    if (dsp_reset())
        play();
    else
        say("no Sound Blaster\n");
}

/* ---- AC'97 ---- */

static u32 config_read(u32 slot, u32 reg)
{
    outl(0xcf8, 0x80000000 | slot << 11 | reg);
    return inl(0xcfc);
}

static void config_write(u32 slot, u32 reg, u32 v)
{
    outl(0xcf8, 0x80000000 | slot << 11 | reg);
    outl(0xcfc, v);
}

static u16 master; /* of PCM out */

static void ac97_open(u32 slot)
{
    u16 codec = config_read(slot, 0x10) & ~3, masters = config_read(slot, 0x14) & ~3;

    config_write(slot, 4, 5);
    outl(masters + 0x2c, 2);
    outw(codec + 0x02, 0);
    outw(codec + 0x18, 0x0808);
    outw(codec + 0x2a, 1);
    outw(codec + 0x2c, 44100);
    master = masters + 0x10;
}

/* Two descriptors of 50 ms, in turn: the one after the current is the last valid. */
static void ac97_play(void)
{
    const u32 half = 2205; /* frames */
    u32 *ring = (u32 *)0x300000, end;

    for (u32 i = 0; i < 32; i++) {
        ring[2 * i] = (u32)buffer + (i & 1) * half * 4;
        ring[2 * i + 1] = 1u << 31 | half * 2;
    }
    fill(0, 0, half);
    fill(1, half, half);
    outl(master, (u32)ring);
    outb(master + 5, 1);
    outb(master + 11, 0x11);
    for (u32 i = 0; i < 10; i++) {
        for (end = time() + 2 * 1193182; !(inw(master + 6) & 8);)
            if ((int)(time() - end) > 0) {
                say("no interrupt\n");
                return;
            }
        if (i < 8)
            fill(i & 1, (i + 2) * half, half);
        outw(master + 6, 8);
        if (i < 8)
            outb(master + 5, i + 2);
    }
    wait_ms(200);
}

/* 32: there is none. */
static u32 find_card(u32 id)
{
    u32 slot = 0;

    while (slot < 32 && config_read(slot, 0) != id)
        slot++;
    return slot;
}

static void ac97(void)
{
    u32 slot = find_card(0x24158086);

    if (slot == 32) {
        say("no AC'97\n");
        return;
    }
    ac97_open(slot);
    ac97_play();
}

/* ---- ES1370 ---- */

enum { AUDIOPCI_PLAY = 30 << 16 | 0x22, AUDIOPCI_SERIAL = 0x10000c, AUDIOPCI_INTERRUPT = 0x200 };

static u16 audiopci; /* its ports */

static void audiopci_open(u32 slot, u32 half)
{
    static const u16 codec[] = { 0x1603, 0x0000, 0x0100, 0x0206, 0x0306, 0x110c };

    audiopci = config_read(slot, 0x10) & ~3;
    config_write(slot, 4, 5);
    outl(audiopci, 2);
    for (u32 i = 0; i < sizeof(codec) / 2; i++)
        outw(audiopci + 0x10, codec[i]);
    outl(audiopci + 0xc, 0xc);
    outl(audiopci + 0x38, (u32)buffer);
    outl(audiopci + 0x3c, half * 2 - 1);
    outl(audiopci + 0x20, AUDIOPCI_SERIAL | AUDIOPCI_INTERRUPT);
    outl(audiopci + 0x28, half - 1);
}

static void audiopci_play(u32 half)
{
    u32 end;

    outl(audiopci, AUDIOPCI_PLAY); /* at 1411200 / 32 Hz */
    for (u32 i = 0; i < 10; i++) {
        for (end = time() + 2 * 1193182; !(inl(audiopci + 4) >> 31);)
            if ((int)(time() - end) > 0) {
                say("no interrupt\n");
                return;
            }
        if (i == 9)
            outl(audiopci, 2);
        fill(i & 1, (i + 2) * half, half);
        outl(audiopci + 0x20, AUDIOPCI_SERIAL);
        outl(audiopci + 0x20, AUDIOPCI_SERIAL | AUDIOPCI_INTERRUPT);
    }
    wait_ms(200);
}

static void es1370(void)
{
    const u32 half = 2205; /* frames: 50 ms */
    u32 slot = find_card(0x50001274);

    if (slot == 32) {
        say("no ES1370\n");
        return;
    }
    fill(0, 0, half);
    fill(1, half, half);
    audiopci_open(slot, half);
    audiopci_play(half);
}

/* ---- OPL3 ---- */

static void opl(u8 index, u8 val)
{
    outb(0x388, index);
    outb(0x389, val);
}

static void fm(void)
{
    static const u8 note[][2] = {
        { 0x20, 0x21 }, { 0x40, 0x3f }, { 0x23, 0x21 }, { 0x43, 0x00 },       { 0x63, 0xf0 },
        { 0x83, 0x0f }, { 0xc0, 0x30 }, { 0xa0, 580 & 0xff }, { 0xb0, 0x32 },
    };

    if (inb(0x388) & 0x1f) {
        say("no OPL3\n");
        return;
    }
    for (u32 i = 0; i < sizeof(note) / 2; i++)
        opl(note[i][0], note[i][1]);
    wait_ms(500);
    opl(0xb0, 0x12);
    wait_ms(200);
}

/* ---- Which ---- */

static int named(const char *words, const char *name)
{
    for (; *words; words++) {
        const char *n = name, *w = words;

        while (*n && *n == *w)
            n++, w++;
        if (!*n)
            return 1;
    }
    return 0;
}

struct multiboot {
    u32 flags, unused[3];
    const char *command_line;
};

void board_main(__attribute__((unused)) u32 magic, const struct multiboot *mb)
{
    time_start();
    if (named(mb->command_line, "beep"))
        beep();
    if (named(mb->command_line, "speech"))
        speech();
    if (named(mb->command_line, "sb8"))
        sound_blaster(sb8);
    if (named(mb->command_line, "sb16"))
        sound_blaster(sb16);
    if (named(mb->command_line, "ac97"))
        ac97();
    if (named(mb->command_line, "es1370"))
        es1370();
    if (named(mb->command_line, "fm"))
        fm();
    time();
    say("worst ");
    say_number(worst / 3580);
    say(" ms\n");
    outl(0xf4, 0);
}
