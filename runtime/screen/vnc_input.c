/*
 * What viewers do, for the PC's keyboard and mouse.
 *
 * A viewer that knows QEMU's Extended Key Event names the key's place, and the guest's layout
 * is the guest's own affair. Others send characters: then the layout of -k says which key types
 * one, and Shift and AltGr are set for that key as it needs them.
 *
 * A viewer's pointer is somewhere, a PS/2 mouse only moves. So motion is what lies between two
 * places; at the picture's edges it is more than that, which pushes the guest's pointer to its
 * own edge, and so both agree again. A viewer that knows QEMU's Pointer Motion Change sends
 * motion itself.
 */
#include "runtime/control/keys.h"
#include "runtime/machine/input.h"
#include "runtime/screen/vnc_private.h"

#include <xkbcommon/xkbcommon-keysyms.h>

enum { SHIFT_L = 0x2a, SHIFT_R = 0x36, CTRL_L = 0x1d, ALT_L = 0x38, CAPS_LOCK = 0x3a };
enum { ALT_R = KEY_EXTENDED | ALT_L, CTRL_R = KEY_EXTENDED | CTRL_L, WHEEL = 8 | 16 };

static void key(struct vnc *v, u16 code, bool down)
{
    machine_input(v->machine, &(struct input_event){INPUT_KEY, .key = code, .down = down});
}

/* ---- What is held ---- */

static struct vnc_held *held_row(struct vnc *v, u8 viewer, u32 name)
{
    for (u32 i = 0; i < HELD; i++)
        if (v->held[i].key == name && (!name || v->held[i].viewer == viewer))
            return &v->held[i];
    return NULL;
}

static bool is_held(const struct vnc *v, u16 code)
{
    for (u32 i = 0; i < HELD; i++)
        if (v->held[i].key && v->held[i].code == code)
            return true;
    return false;
}

static void let_go(struct vnc *v, struct vnc_held *h)
{
    u16 code = h->code;

    h->key = 0;
    if (!is_held(v, code)) /* else another viewer, or another name */
        key(v, code, false);
}

/* ---- Keys ---- */

/* The key alone; a viewer's repeats go on to the guest, whose keyboard takes them as such. */
static void press(struct vnc *v, const struct vnc_input *in, u16 code)
{
    struct vnc_held *h = held_row(v, in->viewer, in->key);

    if (!h)
        h = held_row(v, 0, 0);
    if (!h)
        return; /* more fingers than a keyboard has */
    *h = (struct vnc_held){in->viewer, in->key, code};
    key(v, code, true);
}

/* A modifier as the character needs it, for one key press. */
static void modify(struct vnc *v, bool wanted, const u16 *codes, u32 n, bool back)
{
    bool held = false;

    for (u32 i = 0; i < n; i++)
        held |= is_held(v, codes[i]);
    if (held == wanted)
        return;
    if (wanted)
        key(v, codes[0], !back);
    for (u32 i = 0; i < n && !wanted; i++)
        if (is_held(v, codes[i]))
            key(v, codes[i], back);
}

static bool is_letter(u32 keysym)
{
    return (keysym >= 'a' && keysym <= 'z') || (keysym >= 'A' && keysym <= 'Z');
}

static void press_character(struct vnc *v, const struct vnc_input *in, struct layout_key k)
{
    static const u16 shifts[] = {SHIFT_L, SHIFT_R}, altgrs[] = {ALT_R};
    bool shift = k.shift ^ (v->caps && is_letter(in->key));
    /* Ctrl+Shift+X and such are said by the keys themselves. */
    bool chord = is_held(v, CTRL_L) || is_held(v, CTRL_R) || is_held(v, ALT_L);

    if (!chord) {
        modify(v, shift, shifts, ARRAY_SIZE(shifts), false);
        modify(v, k.altgr, altgrs, ARRAY_SIZE(altgrs), false);
    }
    press(v, in, k.code);
    if (!chord) {
        modify(v, k.altgr, altgrs, ARRAY_SIZE(altgrs), true);
        modify(v, shift, shifts, ARRAY_SIZE(shifts), true);
    }
}

static void on_keysym(struct vnc *v, const struct vnc_input *in)
{
    struct layout_key k = layout_find(v->layout, in->key);

    if (!k.code)
        return;
    if (k.code == CAPS_LOCK && !held_row(v, in->viewer, in->key))
        v->caps = !v->caps;
    if (k.character)
        press_character(v, in, k);
    else
        press(v, in, k.code);
}

/* RFB's "XT" code: of set 1, E0 as bit 7; Pause is E0 46 there. */
static u16 key_of_place(u32 place)
{
    if (place == 0xc6)
        return KEY_PAUSE;
    if (place == 0x54) /* SysRq: what Alt makes of Print Screen */
        return KEY_EXTENDED | 0x37;
    if (!(place & 0x7f) || place > 0xff)
        return KEY_NONE;
    return (u16)(place & 0x80 ? KEY_EXTENDED | (place & 0x7f) : place);
}

static void on_key(struct vnc *v, const struct vnc_input *in)
{
    struct vnc_input named = *in;
    struct vnc_held *h;
    u16 code;

    if (in->kind == VNC_PLACE)
        named.key |= 1u << 31; /* no keysym's name */
    if (!named.key)
        return;
    if (!in->down) {
        h = held_row(v, in->viewer, named.key);
        if (h)
            let_go(v, h);
        return;
    }
    if (in->kind == VNC_KEYSYM) {
        on_keysym(v, in);
        return;
    }
    code = key_of_place(in->key);
    if (code == CAPS_LOCK && !held_row(v, in->viewer, named.key))
        v->caps = !v->caps;
    if (code)
        press(v, &named, code);
}

/* ---- The pointer ---- */

/* Motion along one axis of `size` points. */
static int motion(int from, int to, u32 size)
{
    if (to <= 0)
        return -(int)size;
    if (to >= (int)size - 1)
        return (int)size;
    return from < 0 ? 0 : to - from;
}

static void on_pointer(struct vnc *v, const struct vnc_input *in)
{
    u8 wheel = in->buttons & WHEEL & ~v->wheel;
    struct input_event e = {INPUT_POINTER, .dx = in->x, .dy = in->y};

    if (in->kind == VNC_POINTER) {
        e.dx = in->x == v->last_x ? 0 : motion(v->last_x, in->x, v->width);
        e.dy = in->y == v->last_y ? 0 : motion(v->last_y, in->y, v->height);
        v->last_x = in->x;
        v->last_y = in->y;
        e.placed = true;
        e.x = input_place(in->x, v->width);
        e.y = input_place(in->y, v->height);
    }
    v->wheel = in->buttons & WHEEL;
    e.wheel = wheel & 8 ? -1 : wheel & 16 ? 1 : 0;
    e.buttons = (u8)((in->buttons & 1) | (in->buttons & 4) >> 1 | (in->buttons & 2) << 1);
    machine_input(v->machine, &e);
}

static void on_gone(struct vnc *v, u8 viewer)
{
    for (u32 i = 0; i < HELD; i++)
        if (v->held[i].key && v->held[i].viewer == viewer)
            let_go(v, &v->held[i]);
    machine_input(v->machine, &(struct input_event){INPUT_POINTER});
}

void vnc_take_input(struct vnc *v, const struct vnc_input *in)
{
    switch (in->kind) {
    case VNC_KEYSYM:
    case VNC_PLACE:
        on_key(v, in);
        break;
    case VNC_POINTER:
    case VNC_MOTION:
        on_pointer(v, in);
        break;
    case VNC_GONE:
        on_gone(v, in->viewer);
        break;
    }
}
