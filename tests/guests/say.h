/* Text and numbers, said by put(char), which whoever includes this has defined before. */
#ifndef GUESTS_SAY_H
#define GUESTS_SAY_H

#include "tests/guests/io.h"

static void say(const char *s)
{
    while (*s)
        put(*s++);
}

static inline void say_hex(u32 v)
{
    int shift = 28;

    say("0x");
    while (shift && !(v >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put("0123456789abcdef"[v >> shift & 15]);
}

static inline void say_number(u32 v)
{
    if (v >= 10)
        say_number(v / 10);
    put((char)('0' + v % 10));
}

/* A line: ok, or what came and what was wanted. */
static inline void say_result(const char *name, u32 got, u32 want)
{
    say(got == want ? "ok " : "FAIL ");
    say(name);
    if (got != want) {
        say(": ");
        say_hex(got);
        say(", want ");
        say_hex(want);
    }
    say("\n");
}

#endif
