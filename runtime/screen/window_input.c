/*
 * Keys and the mouse from the window to the keyboard controller.
 *
 * Keys go by place (scancode), so every layout works: the guest has its own. Invariant: what
 * the guest holds down is in w->held, and all of it is let go when the window loses the
 * keyboard. The window's own keys are in window_keys.c; a click grabs.
 * A guest that follows the pointer's place needs no grab: then the host's pointer is hidden
 * over the picture, as the guest draws its own.
 */
#define SDL_MAIN_HANDLED
#include "runtime/screen/window_input.h"
#include "runtime/control/control.h"
#include "runtime/control/keys.h"
#include "runtime/machine/input.h"
#include "runtime/machine/machine.h"
#include "runtime/screen/window.h"
#include "runtime/screen/window_keys.h"

/* ---- Keys ---- */

static void key_move(struct window *w, u32 scancode, u16 code, bool down)
{
    w->held[scancode] = down ? code : KEY_NONE;
    machine_input(w->machine, &(struct input_event){ INPUT_KEY, .key = code, .down = down });
}

void window_release_keys(struct window *w)
{
    for (u32 i = 0; i < SDL_NUM_SCANCODES; i++)
        if (w->held[i])
            key_move(w, i, w->held[i], false);
}

void window_grab(struct window *w, bool on)
{
    w->grabbed = on;
    SDL_SetRelativeMouseMode(on);
    SDL_SetWindowGrab(w->sdl, on);
    w->dx = w->dy = 0;
}

/* Our own keys: true if it was one. The guest keeps Ctrl and Alt, and sees them let go
 * later. */
static bool hot_key(struct window *w, const SDL_KeyboardEvent *e)
{
    return e->keysym.mod & KMOD_CTRL && e->keysym.mod & KMOD_ALT &&
           window_hot_key(w, e->keysym.scancode);
}

/* The host's repeats are dropped: the guest's keyboard repeats by itself. */
static void on_key(struct window *w, const SDL_KeyboardEvent *e)
{
    u32 scancode = e->keysym.scancode;
    u16 code = key_from_scancode(scancode);
    bool down = e->type == SDL_KEYDOWN;

    if (!code || (down && (e->repeat || w->held[scancode] || hot_key(w, e))))
        return;
    if (down || w->held[scancode])
        key_move(w, scancode, down ? code : w->held[scancode], down);
}

/* ---- Mouse ---- */

static bool follows(const struct window *w)
{
    return !w->grabbed && machine_follows_places(w->machine);
}

static void flush_motion(struct window *w, int wheel)
{
    struct input_event e = { INPUT_POINTER, .dx = w->dx, .dy = w->dy, .wheel = wheel,
                             .buttons = (u8)w->buttons };

    if (follows(w)) {
        e.placed = true;
        e.x = input_place(w->x - w->place.x, (u32)w->place.w);
        e.y = input_place(w->y - w->place.y, (u32)w->place.h);
    }
    machine_input(w->machine, &e);
    w->dx = w->dy = 0;
}

/* The host's pointer shows where the guest draws none. */
static void show_pointer(struct window *w)
{
    bool hidden = follows(w);

    if (hidden != w->pointer_hidden)
        SDL_ShowCursor(hidden ? SDL_DISABLE : SDL_ENABLE);
    w->pointer_hidden = hidden;
}

static void on_button(struct window *w, const SDL_MouseButtonEvent *e)
{
    u32 bit = e->button == SDL_BUTTON_LEFT  ? 1 :
              e->button == SDL_BUTTON_RIGHT ? 2 :
              e->button == SDL_BUTTON_MIDDLE ? 4 : 0;

    w->x = e->x;
    w->y = e->y;
    if (!w->grabbed && !follows(w)) {
        if (e->type == SDL_MOUSEBUTTONDOWN)
            window_grab(w, true);
        return;
    }
    if (w->dx || w->dy)
        flush_motion(w, 0); /* the button changed where the pointer was then */
    w->buttons = e->type == SDL_MOUSEBUTTONDOWN ? w->buttons | bit : w->buttons & ~bit;
    flush_motion(w, 0);
}

static void release_all(struct window *w)
{
    window_release_keys(w);
    if (w->buttons) {
        w->buttons = 0;
        flush_motion(w, 0);
    }
    if (w->grabbed)
        window_grab(w, false);
}

/* ---- Events ---- */

static void on_window_event(struct window *w, const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_FOCUS_LOST: release_all(w); break;
    case SDL_WINDOWEVENT_SIZE_CHANGED: window_resized(w, e->data1, e->data2); break;
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SHOWN:
    case SDL_WINDOWEVENT_RESTORED: w->exposed = true; break;
    }
}

static void on_event(struct window *w, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_QUIT: control_quit(w->machine, "host-ui"); break;
    case SDL_WINDOWEVENT: on_window_event(w, &e->window); break;
    case SDL_KEYDOWN:
    case SDL_KEYUP: on_key(w, &e->key); break;
    case SDL_MOUSEMOTION:
        w->x = e->motion.x;
        w->y = e->motion.y;
        if (w->grabbed || follows(w)) {
            w->dx += e->motion.xrel;
            w->dy += e->motion.yrel;
        }
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: on_button(w, &e->button); break;
    case SDL_DROPFILE:
        window_drop(w, e->drop.file);
        SDL_free(e->drop.file);
        break;
    case SDL_MOUSEWHEEL:
        if (w->grabbed || follows(w))
            flush_motion(w, -e->wheel.y);
        break;
    }
}

void window_events(struct window *w)
{
    SDL_Event e;

    while (SDL_PollEvent(&e))
        on_event(w, &e);
    if (w->dx || w->dy)
        flush_motion(w, 0);
    show_pointer(w);
}
