/*
 * Names and codes of the PC keyboard's keys: the rows of keys.def, for the window, the terminal
 * and QMP's send-key. Codes are what machine_input() takes: set 1, E000 + code for extended
 * keys.
 */
#ifndef RING3_KEYS_H
#define RING3_KEYS_H

#include "runtime/base/base.h"

enum { KEY_NONE = 0, KEY_EXTENDED = 0xe000, KEY_PAUSE = 0xe11d };

struct key {
    const char *name; /* QEMU's qcode */
    u16 code;
};
/* In the order of keys.def; ends with a NULL name. */
extern const struct key keys[];

/* KEY_NONE: no such key. Also takes "<" and QEMU's raw spelling "0x1c" (0x80 added:
 * extended). */
u16 key_from_name(const char *name);
/* By SDL_Scancode; KEY_NONE: not on a PC keyboard. */
u16 key_from_scancode(u32 scancode);
/* The key that types an ASCII character on a US keyboard, and whether Shift is held. */
u16 key_from_ascii(int c, bool *shift);

#endif
