/*
 * Terminal input as keys of a PC.
 */
#ifndef RING3_CURSES_KEYS_H
#define RING3_CURSES_KEYS_H

#include "runtime/base/base.h"

/* What the bytes of a terminal say about a PC's keyboard. */
enum { KEYS_MAX = 4 };
struct key_combo {
    u16 keys[KEYS_MAX]; /* pressed in this order: modifiers first */
    u32 count;          /* 0: nothing a PC keyboard has */
};
/* `c` as from getch(); alt: an Esc came just before it. */
struct key_combo key_combo_from_curses(int c, bool alt);

#endif
