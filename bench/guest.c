#include "bench/guest.h"

enum { MULTIBOOT = 0x2badb002, PORT_DEBUG = 0xe9, PORT_EXIT = 0xf4 };

static const char *command_line;

/* ---- Printing ---- */

void put(const char *s)
{
    while (*s)
        outb(PORT_DEBUG, *s++);
}

void put_number(u64 val)
{
    char digits[MAX_DIGITS];

    put(" ");
    put(number_text(val, digits));
}

_Noreturn void leave(void)
{
    put("bench done\n");
    outb(PORT_EXIT, 0);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* ---- Options ---- */

const char *option(const char *name)
{
    const char *s = command_line, *a, *b;

    for (; *s; s++) {
        for (a = s, b = name; *b && *a == *b; a++, b++)
            ;
        if (!*b && (s == command_line || s[-1] == ' '))
            return a;
    }
    return 0;
}

u32 number_option(const char *name)
{
    const char *s = option(name);
    u32 val = 0;

    while (s && *s >= '0' && *s <= '9')
        val = val * 10 + *s++ - '0';
    return val;
}

void options_init(u32 magic, const u32 *info, const char *without)
{
    command_line = magic != MULTIBOOT ? without : info[0] & 4 ? (const char *)info[4] : "";
}

u32 hundredths(u64 cycles, u32 n)
{
    cycles *= 100;
    divide(&cycles, n);
    return cycles;
}
