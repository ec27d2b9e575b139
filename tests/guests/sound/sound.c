/*
 * Plays what its command line names, by the hardware alone, and ends by the debug exit port.
 * tests/suites/sound.py compares what was heard.
 *
 *   beep    the speaker: 1000 Hz for 300 ms, 200 ms of silence, 440 Hz for 300 ms
 *   speech  the speaker by pulse width: a one-shot for each sample at 8 kHz, a sine of 500 Hz,
 * 500 ms
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

static u32 time(void)
{
    u32 count = inl(0x608);

    thirds += (count - last_count) & 0xffffff;
    last_count = count;
    return thirds / 3;
}

static void time_start(void)
{
    time();
    thirds = 0;
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
        u32 begin;

        outb(0x43, 0xb6);
        outb(0x42, (u8)counts[i]);
        outb(0x42, (u8)(counts[i] >> 8));
        outb(0x61, inb(0x61) | 3);
        begin = time();
        wait_ms(300);
        outb(0x61, inb(0x61) & ~3);
        say("tone ");
        say_number(time() - begin); /* longer than 300 ms where the host is busy */
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
    say("played\n");
    outl(0xf4, 0);
}
