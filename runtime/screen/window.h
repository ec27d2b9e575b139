/*
 * The SDL2 window from inside: window.c draws, window_input.c takes keys and the mouse.
 */
#ifndef RING3_WINDOW_H
#define RING3_WINDOW_H

#include "devices/frame.h"
#include "runtime/control/control.h"
#include "runtime/screen/display.h"
#include "runtime/screen/scale.h"

#include <SDL.h>

struct window {
    struct display display;
    struct machine *machine;
    struct ticker ticker;
    SDL_Window *sdl;
    struct scaler scaler;
    SDL_Rect place; /* of the picture in the window */
    u32 *pixels;    /* the scaled picture, where the window's format is not ours; else NULL */
    int set_width, set_height; /* the size we gave the window last */
    int surface_w, surface_h;  /* placed in */
    u64 rest_until;            /* host time: not drawn before */
    bool user_sized, exposed;  /* exposed: all of it is to be drawn */
    struct frame frame;        /* shown */
    char title[320];
    u64 title_until;           /* host time: not changed before */
    char panel[768];           /* over the picture */
    u64 panel_until;           /* host time; ~0: until it is put away; 0: not shown */
    struct machine_activity activity; /* at the last title */

    bool grabbed;
    u32 buttons;                 /* held: bit 0 left, 1 right, 2 middle */
    int dx, dy;                  /* motion not yet passed on */
    int x, y;                    /* the host's pointer, in the window */
    bool pointer_hidden;         /* as the guest follows it */
    u16 held[SDL_NUM_SCANCODES]; /* key code a scancode holds down in the guest, or KEY_NONE */
};

extern const struct display_backend window_backend;
/* Lines over the picture for some seconds. */
void window_notice(struct window *w, const char *fmt, ...) PRINTF(2, 3);
/* Gives the window the size of the picture, and lets it follow modes again. */
void window_natural(struct window *w);
void window_resized(struct window *w, int width, int height);

#endif
