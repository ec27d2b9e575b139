/*
 * Keyboard layouts, for front ends that are given characters (X keysyms) and not places of
 * keys: which key of the guest's layout types one. -k names the layout, as QEMU does; the
 * host's xkb-data describes it.
 */
#ifndef RING3_LAYOUT_H
#define RING3_LAYOUT_H

#include "runtime/base/base.h"

struct layout_key {
    u16 code; /* of keys.h; KEY_NONE: no key of that layout types it */
    bool shift, altgr;
    bool character; /* shift and altgr matter: it is no Ctrl, F1 or arrow */
};

struct layout;
/* By QEMU's name; NULL is "en-us". NULL with *error set: not known, or the host lacks it. */
struct layout *layout_new(const char *name, const char **error);
void layout_free(struct layout *l);
/* Dies with one line that names the nearest known layout. */
void layout_check(const char *option, const char *name);
/* keysym: of X11's keysymdef.h, as RFB has it. */
struct layout_key layout_find(const struct layout *l, u32 keysym);

#endif
