/*
 * The SDL2 window: the guest's picture, scaled sharply to the guest's aspect.
 *
 * The picture goes through two textures: `screen` has the guest's dots; where the window is no
 * whole multiple of them, it is first enlarged without smoothing to the next whole multiple in
 * `enlarged`, and that is reduced smoothly, so that only edges between dots are blended.
 * Invariant: SDL is touched only on the machine's thread. Nothing is drawn while nothing changed.
 * Keys and the mouse are in window_input.c.
 */
#define SDL_MAIN_HANDLED
#include "runtime/window.h"
#include "runtime/control.h"

#include <string.h>

enum { MAX_ENLARGED = 4096, REFRESH = 60 };

/* ---- Size ---- */

/* The picture's size in the guest's aspect: wide dots make it higher, high ones wider. */
static void natural_size(const struct frame *f, int *width, int *height)
{
    u64 ax = f->aspect_x ? f->aspect_x : f->width, ay = f->aspect_y ? f->aspect_y : f->height;
    u64 by_width = (f->width * ay + ax / 2) / ax;

    *width = f->width;
    *height = by_width;
    if (by_width < f->height) {
        *width = (f->height * ax + ay / 2) / ay;
        *height = f->height;
    }
}

/* Large displays get whole multiples, up to three fifths of their height. */
static void wanted_size(struct window *w, int *width, int *height)
{
    int factor = 1, display = SDL_GetWindowDisplayIndex(w->sdl);
    SDL_Rect room;

    natural_size(&w->frame, width, height);
    if (display < 0 || SDL_GetDisplayUsableBounds(display, &room))
        return;
    while (*height * (factor + 1) <= room.h * 3 / 5 && *width * (factor + 1) <= room.w * 3 / 5)
        factor++;
    *width *= factor;
    *height *= factor;
}

/* A new mode resizes the window unless the user chose its size. */
static void fit_window(struct window *w)
{
    u32 kept = SDL_WINDOW_FULLSCREEN | SDL_WINDOW_MAXIMIZED | SDL_WINDOW_MINIMIZED;
    int width, height;

    if (w->user_sized || SDL_GetWindowFlags(w->sdl) & kept)
        return;
    wanted_size(w, &width, &height);
    w->set_width = width;
    w->set_height = height;
    SDL_SetWindowSize(w->sdl, width, height);
}

void window_resized(struct window *w, int width, int height)
{
    if (width != w->set_width || height != w->set_height)
        w->user_sized = true;
    w->exposed = true;
}

/* Where in the window the picture goes: as large as fits; whole multiples where near enough. */
static SDL_Rect placement(struct window *w)
{
    int out_w, out_h, nat_w, nat_h, whole;
    SDL_Rect to;

    SDL_GetRendererOutputSize(w->renderer, &out_w, &out_h);
    natural_size(&w->frame, &nat_w, &nat_h);
    to.w = out_w;
    to.h = (i64)out_w * nat_h / nat_w;
    if (to.h > out_h) {
        to.h = out_h;
        to.w = (i64)out_h * nat_w / nat_h;
    }
    whole = to.w / nat_w;
    if (whole && to.w - whole * nat_w <= to.w / 20) { /* sharper is worth five per cent */
        to.w = whole * nat_w;
        to.h = whole * nat_h;
    }
    to.w = to.w > 0 ? to.w : 1;
    to.h = to.h > 0 ? to.h : 1;
    to.x = (out_w - to.w) / 2;
    to.y = (out_h - to.h) / 2;
    return to;
}

/* ---- Textures ---- */

static bool make_screen(struct window *w)
{
    if (w->screen)
        SDL_DestroyTexture(w->screen);
    w->screen = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING,
                                  w->frame.width, w->frame.height);
    if (w->screen)
        SDL_SetTextureScaleMode(w->screen, SDL_ScaleModeNearest);
    return w->screen;
}

/* Enough for a destination of `to`; NULL: none needed, or none to be had. */
static SDL_Texture *make_enlarged(struct window *w, const SDL_Rect *to)
{
    int fx = (to->w + w->frame.width - 1) / w->frame.width;
    int fy = (to->h + w->frame.height - 1) / w->frame.height;
    int width = fx * w->frame.width, height = fy * w->frame.height;

    if ((width == to->w && height == to->h) || width > MAX_ENLARGED || height > MAX_ENLARGED)
        return NULL;
    if (w->enlarged && w->enlarged_w == width && w->enlarged_h == height)
        return w->enlarged;
    if (w->enlarged)
        SDL_DestroyTexture(w->enlarged);
    w->enlarged = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_TARGET,
                                    width, height);
    w->enlarged_w = width;
    w->enlarged_h = height;
    if (w->enlarged)
        SDL_SetTextureScaleMode(w->enlarged, SDL_ScaleModeLinear);
    return w->enlarged;
}

static void present(struct window *w)
{
    SDL_Rect to = placement(w);
    SDL_Texture *enlarged = make_enlarged(w, &to), *from = w->screen;

    if (enlarged && !SDL_SetRenderTarget(w->renderer, enlarged)) {
        SDL_RenderCopy(w->renderer, w->screen, NULL, NULL);
        SDL_SetRenderTarget(w->renderer, NULL);
        from = enlarged;
    }
    SDL_SetRenderDrawColor(w->renderer, 0, 0, 0, 255);
    SDL_RenderClear(w->renderer);
    SDL_RenderCopy(w->renderer, from, NULL, &to);
    SDL_RenderPresent(w->renderer);
}

/* ---- The tick ---- */

static void draw(struct window *w)
{
    u64 start = host_clock();
    struct frame f;
    bool resized;

    if (!w->machine->vga || SDL_GetWindowFlags(w->sdl) & (SDL_WINDOW_HIDDEN | SDL_WINDOW_MINIMIZED))
        return;
    vga_draw(w->machine->vga, &f);
    if (f.generation == w->frame.generation && !w->exposed)
        return;
    resized = !w->screen || f.width != w->frame.width || f.height != w->frame.height ||
              f.aspect_x != w->frame.aspect_x || f.aspect_y != w->frame.aspect_y;
    w->frame = f;
    w->exposed = false;
    if (resized) {
        fit_window(w);
        if (!make_screen(w))
            return;
    }
    SDL_UpdateTexture(w->screen, NULL, f.pixels, f.width * sizeof(u32));
    present(w);
    ticker_cost(&w->ticker, host_clock() - start);
}

/* The title shows the state, and the keys where a user looks for them. */
static void window_title(struct window *w)
{
    char title[256], machine[192];

    display_title(w->machine, machine, sizeof(machine));
    snprintf(title, sizeof(title), "%s - %s", machine,
             w->grabbed ? "Ctrl+Alt+G releases the mouse" :
                          "Ctrl+Alt+G grabs the mouse, Ctrl+Alt+F full screen");
    if (!strcmp(title, w->title))
        return;
    memcpy(w->title, title, sizeof(title));
    SDL_SetWindowTitle(w->sdl, title);
}

static void tick(void *owner)
{
    struct window *w = owner;

    window_events(w);
    window_title(w);
    draw(w);
}

/* ---- Opening and closing ---- */

static void window_close(struct viewer *v)
{
    struct window *w = (struct window *)v;

    ticker_stop(&w->ticker, w->machine);
    SDL_Quit(); /* window, renderer and textures with it */
}

static void set_hints(void)
{
    SDL_SetMainReady();
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_GRAB_KEYBOARD, "1");
    SDL_SetHint(SDL_HINT_RENDER_VSYNC, "0"); /* the guest does not wait for the host's screen */
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
}

static bool make_window(struct window *w)
{
    u32 flags = SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI;
    int width, height;

    vga_draw(w->machine->vga, &w->frame);
    natural_size(&w->frame, &width, &height);
    if (w->machine->options->full_screen)
        flags |= SDL_WINDOW_FULLSCREEN_DESKTOP;
    w->sdl = SDL_CreateWindow("ring3", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, width,
                              height, flags);
    if (!w->sdl)
        return false;
    w->renderer = SDL_CreateRenderer(w->sdl, -1, 0);
    if (!w->renderer)
        w->renderer = SDL_CreateRenderer(w->sdl, -1, SDL_RENDERER_SOFTWARE);
    SDL_SetWindowMinimumSize(w->sdl, 160, 120);
    return w->renderer;
}

struct viewer *window_open(struct machine *m, const char **error)
{
    struct window *w = machine_alloc(m, sizeof(*w));

    w->viewer.close = window_close;
    w->machine = m;
    set_hints();
    *error = "the board has no video";
    if (!m->vga)
        return NULL;
    if (SDL_Init(SDL_INIT_VIDEO) || !make_window(w)) {
        *error = SDL_GetError();
        return NULL;
    }
    SDL_StopTextInput(); /* places of keys, not letters */
    SDL_EnableScreenSaver();
    fit_window(w);
    w->exposed = true;
    *error = "no timer";
    return ticker_start(&w->ticker, m, REFRESH, tick, w) ? &w->viewer : NULL;
}
