/*
 * Look-ups in keys.def: by name (QMP), by SDL scancode (window), by character (terminal).
 */
#include "runtime/control/keys.h"

#include <SDL_scancode.h>
#include <stdlib.h>
#include <string.h>

const struct key keys[] = {
#define KEY(name, code, scancode) { name, code },
#define ALIAS(name, code) { name, code },
#include "runtime/control/keys.def"
#undef KEY
    { NULL, KEY_NONE },
};

static const u16 by_scancode[SDL_NUM_SCANCODES] = {
#define KEY(name, code, scancode) [SDL_SCANCODE_##scancode] = code,
#include "runtime/control/keys.def"
#undef KEY
    [SDL_SCANCODE_NONUSHASH] = 0x2b, /* ISO boards: the key left of Return */
};

u16 key_from_scancode(u32 scancode)
{
    return scancode < ARRAY_SIZE(by_scancode) ? by_scancode[scancode] : KEY_NONE;
}

/* QEMU's spelling of a key without a name: the set-1 code, 0x80 added for extended keys. */
static u16 key_from_number(const char *name)
{
    char *end;
    unsigned long n = strtoul(name, &end, 16);

    if (*end || !(n & 0x7f) || n > 0xff)
        return KEY_NONE;
    return n & 0x80 ? KEY_EXTENDED | (n & 0x7f) : n;
}

u16 key_from_name(const char *name)
{
    for (const struct key *k = keys; k->name; k++)
        if (!strcmp(k->name, name))
            return k->code;
    if (!strncmp(name, "0x", 2))
        return key_from_number(name);
    return strcmp(name, "<") ? KEY_NONE : 0x56;
}

/* US layout: the characters of scan codes 02-0D, 10-1B, 1E-29, 2B, 2C-35, without and with
 * Shift. */
static const struct {
    u8 first;
    const char *plain, *shifted;
} us_rows[] = {
    { 0x02, "1234567890-=", "!@#$%^&*()_+" },
    { 0x10, "qwertyuiop[]", "QWERTYUIOP{}" },
    { 0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~" },
    { 0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?" },
    { 0x39, " ", "" },
    { 0x0e, "\b\t", "" },
    { 0x1c, "\n", "" },
    { 0x1c, "\r", "" },
    { 0x01, "\033", "" },
};

u16 key_from_ascii(int c, bool *shift)
{
    *shift = false;
    for (u32 i = 0; c && i < ARRAY_SIZE(us_rows); i++) {
        const char *plain = strchr(us_rows[i].plain, c);
        const char *shifted = strchr(us_rows[i].shifted, c);

        *shift = !plain && shifted;
        if (plain)
            return us_rows[i].first + (plain - us_rows[i].plain);
        if (shifted)
            return us_rows[i].first + (shifted - us_rows[i].shifted);
    }
    return KEY_NONE;
}
