/*
 * From what a terminal sends to keys of a US keyboard: characters, control characters, and the
 * keys terminfo knows. A terminal says nothing of keys let go, so each is a press and a
 * release.
 */
#include <curses.h> /* first: it declares a trace(), which is a macro of ours */

#include "runtime/screen/curses_keys.h"
#include "runtime/control/keys.h"

enum {
    CODE_CTRL = 0x1d, CODE_SHIFT = 0x2a, CODE_ALT = 0x38, CODE_F1 = 0x3b, CODE_F11 = 0x57,
    MOD_CTRL = 1, MOD_SHIFT = 2, MOD_ALT = 4,
};

/* Codes curses gives function keys with modifiers: F13 is Shift+F1, F25 Ctrl+F1, F49 Alt+F1. */
static const u8 function_modifiers[6] = { 0, MOD_SHIFT, MOD_CTRL, MOD_CTRL | MOD_SHIFT, MOD_ALT,
                                          MOD_ALT | MOD_SHIFT };

static const struct {
    int curses;
    u16 code;
    u8 modifiers;
} special[] = {
    { KEY_UP, 0xe048, 0 },           { KEY_DOWN, 0xe050, 0 },
    { KEY_LEFT, 0xe04b, 0 },         { KEY_RIGHT, 0xe04d, 0 },
    { KEY_HOME, 0xe047, 0 },         { KEY_END, 0xe04f, 0 },
    { KEY_PPAGE, 0xe049, 0 },        { KEY_NPAGE, 0xe051, 0 },
    { KEY_IC, 0xe052, 0 },           { KEY_DC, 0xe053, 0 },
    { KEY_BACKSPACE, 0x0e, 0 },      { KEY_ENTER, 0x1c, 0 },
    { KEY_BTAB, 0x0f, MOD_SHIFT },   { KEY_B2, 0x4c, 0 },
    { KEY_SR, 0xe048, MOD_SHIFT },   { KEY_SF, 0xe050, MOD_SHIFT },
    { KEY_SLEFT, 0xe04b, MOD_SHIFT }, { KEY_SRIGHT, 0xe04d, MOD_SHIFT },
    { KEY_SHOME, 0xe047, MOD_SHIFT }, { KEY_SEND, 0xe04f, MOD_SHIFT },
    { KEY_SDC, 0xe053, MOD_SHIFT },  { 127, 0x0e, 0 },
};

static struct key_combo combo(u16 code, u32 modifiers)
{
    struct key_combo k = { .count = 0 };

    if (!code)
        return k;
    if (modifiers & MOD_CTRL)
        k.keys[k.count++] = CODE_CTRL;
    if (modifiers & MOD_ALT)
        k.keys[k.count++] = CODE_ALT;
    if (modifiers & MOD_SHIFT)
        k.keys[k.count++] = CODE_SHIFT;
    k.keys[k.count++] = code;
    return k;
}

static struct key_combo function_key(u32 n, u32 modifiers)
{
    if (n >= 12 * ARRAY_SIZE(function_modifiers))
        return combo(KEY_NONE, 0);
    modifiers |= function_modifiers[n / 12];
    n %= 12;
    return combo(n < 10 ? CODE_F1 + n : CODE_F11 + n - 10, modifiers);
}

/* 00 to 1F that are not keys of their own: Ctrl with a letter or one of @ [ \ ] ^ _ */
static struct key_combo control_character(int c, u32 modifiers)
{
    static const char letters[] = " abcdefghijklmnopqrstuvwxyz[\\]6-";
    bool shift;

    return combo(key_from_ascii(letters[c], &shift), modifiers | MOD_CTRL);
}

struct key_combo key_combo_from_curses(int c, bool alt)
{
    u32 modifiers = alt ? MOD_ALT : 0;
    bool shift;
    u16 code;

    for (u32 i = 0; i < ARRAY_SIZE(special); i++)
        if (special[i].curses == c)
            return combo(special[i].code, modifiers | special[i].modifiers);
    if (c > KEY_F0 && c < KEY_F0 + 64)
        return function_key(c - KEY_F(1), modifiers);
    if (c < 0 || c > 126)
        return combo(KEY_NONE, 0);
    if (c < 32 && c != '\r' && c != '\t' && c != '\b' && c != 27)
        return control_character(c, modifiers);
    code = key_from_ascii(c, &shift);
    return combo(code, modifiers | (shift ? MOD_SHIFT : 0));
}
