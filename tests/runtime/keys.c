/*
 * Keys by name, by place, by character, and as a terminal sends them.
 */
#include <curses.h> /* first: it declares a trace(), which is a macro of ours */

#include "runtime/control/keys.h"
#include "runtime/screen/cp437.h"
#include "runtime/screen/curses_keys.h"
#include "tests/harness/test.h"

#include <SDL_scancode.h>

TEST(keys, names_are_qemus)
{
    CHECK_EQ(key_from_name("a"), 0x1e);
    CHECK_EQ(key_from_name("ret"), 0x1c);
    CHECK_EQ(key_from_name("kp_enter"), 0xe01c);
    CHECK_EQ(key_from_name("less"), 0x56);
    CHECK_EQ(key_from_name("<"), 0x56);
    CHECK_EQ(key_from_name("pause"), 0xe11d);
    CHECK_EQ(key_from_name("0x1c"), 0x1c);
    CHECK_EQ(key_from_name("0xcb"), 0xe04b);
    CHECK_EQ(key_from_name("0x80"), KEY_NONE);
    CHECK_EQ(key_from_name("0x1cz"), KEY_NONE);
    CHECK_EQ(key_from_name("nosuchkey"), KEY_NONE);
    CHECK_EQ(key_from_name(""), KEY_NONE);
}

TEST(keys, names_are_unique)
{
    for (const struct key *k = keys; k->name; k++) {
        CHECK(k->code);
        CHECK_EQ(key_from_name(k->name), k->code);
    }
}

TEST(keys, scancodes_are_places)
{
    CHECK_EQ(key_from_scancode(SDL_SCANCODE_Q), 0x10);
    CHECK_EQ(key_from_scancode(SDL_SCANCODE_RCTRL), 0xe01d);
    CHECK_EQ(key_from_scancode(SDL_SCANCODE_NONUSHASH), 0x2b);
    CHECK_EQ(key_from_scancode(SDL_SCANCODE_UNKNOWN), KEY_NONE);
    CHECK_EQ(key_from_scancode(100000), KEY_NONE);
}

TEST(keys, characters_of_a_us_keyboard)
{
    bool shift;

    CHECK(key_from_ascii('a', &shift) == 0x1e && !shift);
    CHECK(key_from_ascii('A', &shift) == 0x1e && shift);
    CHECK(key_from_ascii('?', &shift) == 0x35 && shift);
    CHECK(key_from_ascii('\\', &shift) == 0x2b && !shift);
    CHECK(key_from_ascii('~', &shift) == 0x29 && shift);
    CHECK(key_from_ascii('\n', &shift) == 0x1c && !shift);
    CHECK(key_from_ascii(0, &shift) == KEY_NONE);
    for (int c = 32; c < 127; c++)
        CHECK(key_from_ascii(c, &shift) != KEY_NONE);
}

static void check_combo(int c, bool alt, u32 count, u16 k0, u16 k1, u16 k2)
{
    struct key_combo k = key_combo_from_curses(c, alt);
    u16 want[3] = { k0, k1, k2 };

    CHECK_EQ(k.count, count);
    for (u32 i = 0; i < count && i < k.count; i++)
        CHECK_EQ(k.keys[i], want[i]);
}

TEST(keys, what_terminals_send)
{
    check_combo('a', false, 1, 0x1e, 0, 0);
    check_combo('A', false, 2, 0x2a, 0x1e, 0);
    check_combo('x', true, 2, 0x38, 0x2d, 0);
    check_combo(3, false, 2, 0x1d, 0x2e, 0); /* Ctrl+C */
    check_combo(0, false, 2, 0x1d, 0x39, 0); /* Ctrl+Space */
    check_combo(31, false, 2, 0x1d, 0x0c, 0);
    check_combo('\r', false, 1, 0x1c, 0, 0);
    check_combo(127, false, 1, 0x0e, 0, 0);
    check_combo(KEY_UP, false, 1, 0xe048, 0, 0);
    check_combo(KEY_DC, true, 2, 0x38, 0xe053, 0);
    check_combo(KEY_F(1), false, 1, 0x3b, 0, 0);
    check_combo(KEY_F(12), false, 1, 0x58, 0, 0);
    check_combo(KEY_F(13), false, 2, 0x2a, 0x3b, 0);
    check_combo(KEY_F(36), false, 2, 0x1d, 0x58, 0);
    check_combo(KEY_BTAB, false, 2, 0x2a, 0x0f, 0);
    check_combo(0xe9, false, 0, 0, 0, 0); /* no US key types it */
}

TEST(keys, character_set_is_complete)
{
    CHECK_EQ(cp437[0], ' ');
    CHECK_EQ(cp437[1], 0x263a);
    CHECK_EQ(cp437['A'], 'A');
    CHECK_EQ(cp437[0xc4], 0x2500);
    CHECK_EQ(cp437[0xdb], 0x2588);
    CHECK_EQ(cp437[0xfe], 0x25a0);
    CHECK_EQ(cp437[255], ' ');
    CHECK_EQ(cp437[256], 0);
}
