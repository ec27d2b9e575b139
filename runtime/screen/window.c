/*
 * The SDL2 window: the guest's picture, scaled sharply to the guest's aspect (scale.c).
 *
 * The picture is drawn by us into the window's surface, and of it only the lines that changed:
 * a blinking cursor costs next to nothing. OpenGL would scale for free, but its drivers keep
 * threads of their own, and a second running thread makes each change of guest mappings several
 * times dearer; they also take 90 MB. Invariant: SDL is touched only on the machine's thread.
 * Nothing is drawn while nothing changed. Keys and the mouse are in window_input.c.
 */
#define SDL_MAIN_HANDLED
#include "runtime/screen/window.h"
#include "devices/vga.h"
#include "runtime/base/clock_ns.h"
#include "runtime/machine/machine.h"
#include "runtime/screen/window_input.h"
#include "runtime/screen/window_text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REFRESH = 60, BLACK = 0 };
#define NOTICE       SEC(3)
#define TITLE_PERIOD MSEC(250)

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

/* A picture that grew may reach over the edge of the display: then to its middle. */
static void keep_on_display(struct window *w, int width, int height)
{
    SDL_Rect b;
    int x, y;

    if (SDL_GetDisplayUsableBounds(SDL_GetWindowDisplayIndex(w->sdl), &b))
        return;
    SDL_GetWindowPosition(w->sdl, &x, &y);
    if (x + width > b.x + b.w || y + height > b.y + b.h)
        SDL_SetWindowPosition(w->sdl, b.x + (b.w > width ? (b.w - width) / 2 : 0),
                              b.y + (b.h > height ? (b.h - height) / 2 : 0));
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
    keep_on_display(w, width, height);
}

void window_natural(struct window *w)
{
    if (SDL_GetWindowFlags(w->sdl) & SDL_WINDOW_FULLSCREEN)
        SDL_SetWindowFullscreen(w->sdl, 0);
    SDL_RestoreWindow(w->sdl);
    w->user_sized = false;
    fit_window(w);
    w->exposed = true;
}

void window_resized(struct window *w, int width, int height)
{
    if (width != w->set_width || height != w->set_height)
        w->user_sized = true;
    if (w->user_sized)
        vga_prefer(w->machine->vga, (u32)width, (u32)height);
    w->exposed = true;
}

/* Where in the window the picture goes: as large as fits; whole multiples where near enough. */
static SDL_Rect placement(struct window *w, int out_w, int out_h)
{
    int nat_w, nat_h, whole;
    SDL_Rect to;

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

/* ---- Drawing ---- */

static bool is_ours(const SDL_Surface *s)
{
    return s->format->format == SDL_PIXELFORMAT_RGB888 ||
           s->format->format == SDL_PIXELFORMAT_ARGB8888;
}

/* The window or the picture has a new size: places it again, black around it. */
static void place_picture(struct window *w, SDL_Surface *s)
{
    w->surface_w = s->w;
    w->surface_h = s->h;
    w->place = placement(w, s->w, s->h);
    scaler_set(&w->scaler, w->frame.width, w->frame.height, w->place.w, w->place.h);
    SDL_FillRect(s, NULL, SDL_MapRGB(s->format, BLACK, BLACK, BLACK));
    free(w->pixels);
    w->pixels = is_ours(s) ? NULL : calloc((size_t)w->place.w * w->place.h, sizeof(u32));
    check(w->pixels || is_ours(s), "out of memory");
}

/* Lines first to last - 1 of the scaled picture into the surface. */
static void draw_lines(struct window *w, SDL_Surface *s, u32 first, u32 last)
{
    const SDL_Rect *p = &w->place;
    u8 *corner = (u8 *)s->pixels + p->y * s->pitch + p->x * s->format->BytesPerPixel;

    if (!w->pixels) {
        scaler_draw(&w->scaler, w->frame.pixels, (u32 *)corner, s->pitch / 4, first, last);
        return;
    }
    scaler_draw(&w->scaler, w->frame.pixels, w->pixels, p->w, first, last);
    SDL_ConvertPixels(p->w, last - first, SDL_PIXELFORMAT_RGB888,
                      w->pixels + (size_t)first * p->w, p->w * 4, s->format->format,
                      corner + first * s->pitch, s->pitch);
}

/* Source lines top to bottom - 1 to the screen; all of them, and what is around, if `all`. */
static void present(struct window *w, u32 top, u32 bottom, bool all)
{
    SDL_Surface *s = SDL_GetWindowSurface(w->sdl);
    u32 first, last;
    SDL_Rect part;

    if (!s || s->w <= 0 || s->h <= 0)
        return;
    if (all || s->w != w->surface_w || s->h != w->surface_h) {
        place_picture(w, s);
        top = 0;
        bottom = w->frame.height;
        all = true;
    }
    scaler_reach(&w->scaler, top, bottom, &first, &last);
    if (SDL_MUSTLOCK(s))
        SDL_LockSurface(s);
    draw_lines(w, s, first, last);
    if (SDL_MUSTLOCK(s))
        SDL_UnlockSurface(s);
    if (w->panel_until)
        window_text_draw(s, w->panel);
    part = (SDL_Rect){ w->place.x, w->place.y + first, w->place.w, last - first };
    if (all)
        SDL_UpdateWindowSurface(w->sdl);
    else
        SDL_UpdateWindowSurfaceRects(w->sdl, &part, 1);
}

/* ---- The tick ---- */

static bool same_shape(const struct frame *a, const struct frame *b)
{
    return a->width == b->width && a->height == b->height && a->aspect_x == b->aspect_x &&
           a->aspect_y == b->aspect_y;
}

/*
 * After `spent` nanoseconds of the core the window rests: drawing leaves the guest four fifths,
 * and looking at a large linear mode in vain (nine megabytes to compare) the rest of a
 * fortieth.
 */
static void rest_after(struct window *w, u64 spent, bool drawn)
{
    u64 most = MSEC(100), wanted = spent * (drawn ? 4 : 40);

    w->rest_until = host_monotonic() + (wanted < most ? wanted : most);
    if (drawn)
        trace(TRACE_VGA, "window: drawn in %llu us", (unsigned long long)spent / 1000);
}

/* Draws if the picture changed. */
static bool draw(struct window *w)
{
    struct frame f;
    bool all, reshaped;

    vga_draw(w->machine->vga, &f);
    if (w->panel_until && host_monotonic() >= w->panel_until) {
        w->panel_until = 0;
        w->exposed = true;
    }
    if (f.generation == w->frame.generation && !w->exposed)
        return false;
    reshaped = !same_shape(&f, &w->frame);
    /* Somebody else looked in between: what changed then is not in f.top to f.bottom. */
    all = w->exposed || w->panel_until || f.generation != w->frame.generation + 1 || reshaped;
    w->frame = f;
    w->exposed = false;
    if (reshaped)
        fit_window(w);
    present(w, all ? 0 : f.top, all ? f.height : f.bottom, all);
    return true;
}

void window_notice(struct window *w, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(w->panel, sizeof(w->panel), fmt, args);
    va_end(args);
    w->panel_until = host_monotonic() + NOTICE;
    w->exposed = true;
}

/* Drives and network, a star after those that were at work since the last title. */
static void devices_at_work(struct window *w, char *buf, size_t size)
{
    struct machine_activity now;
    size_t n = 0;

    control_activity(w->machine, &now);
    for (u32 i = 0; i < now.count && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, " %s%s", now.part[i].name,
                              now.part[i].accesses != w->activity.part[i].accesses ? "*" : "");
    w->activity = now;
}

/* The title shows the state, what is at work, and the keys where a user looks for them; not
 * changed more than some times a second. */
static void window_title(struct window *w)
{
    char title[sizeof(w->title)], machine[160], work[96];

    if (host_monotonic() < w->title_until)
        return;
    w->title_until = host_monotonic() + TITLE_PERIOD;
    display_title(w->machine, machine, sizeof(machine));
    work[0] = 0;
    devices_at_work(w, work, sizeof(work));
    snprintf(title, sizeof(title), "%s%s - %s", machine, work,
             w->grabbed ? "Ctrl+Alt+G releases the mouse" : "Ctrl+Alt+H: keys");
    if (!strcmp(title, w->title))
        return;
    memcpy(w->title, title, sizeof(title));
    SDL_SetWindowTitle(w->sdl, title);
}

static void window_tick(void *owner)
{
    struct window *w = owner;
    u64 start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    bool drawn;

    window_events(w);
    window_title(w);
    if (host_monotonic() < w->rest_until ||
        SDL_GetWindowFlags(w->sdl) & (SDL_WINDOW_HIDDEN | SDL_WINDOW_MINIMIZED))
        return;
    drawn = draw(w);
    rest_after(w, clock_ns(CLOCK_THREAD_CPUTIME_ID) - start, drawn);
}

/* ---- Opening and closing ---- */

static void window_close(struct display *d)
{
    struct window *w = (struct window *)d;

    ticker_stop(&w->ticker, w->machine);
    scaler_free(&w->scaler);
    free(w->pixels);
    SDL_Quit(); /* the window with it */
}

/* SDL would go on to drivers without a picture; NULL: the environment names no display. */
static const char *choose_driver(void)
{
    bool x11 = getenv("DISPLAY"), wayland = getenv("WAYLAND_DISPLAY");
    const char *drivers = x11 && wayland ? "x11,wayland" :
                          x11            ? "x11" :
                          wayland        ? "wayland" : NULL;

    if (drivers)
        /* SDL_VIDEODRIVER in the environment wins */
        SDL_SetHint(SDL_HINT_VIDEODRIVER, drivers);
    return getenv("SDL_VIDEODRIVER") ? getenv("SDL_VIDEODRIVER") : drivers;
}

static void set_hints(void)
{
    SDL_SetMainReady();
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_GRAB_KEYBOARD, "1");
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
}

/* Video drivers without a frame buffer of their own (Wayland) get one through a renderer. */
static bool has_surface(struct window *w)
{
    if (SDL_GetWindowSurface(w->sdl))
        return true;
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "1");
    return SDL_GetWindowSurface(w->sdl);
}

static bool make_window(struct window *w)
{
    u32 flags = SDL_WINDOW_RESIZABLE;
    int width, height;

    vga_draw(w->machine->vga, &w->frame);
    natural_size(&w->frame, &width, &height);
    if (w->machine->options->full_screen)
        flags |= SDL_WINDOW_FULLSCREEN_DESKTOP;
    w->sdl = SDL_CreateWindow("ring3", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, width,
                              height, flags);
    if (!w->sdl)
        return false;
    SDL_SetWindowMinimumSize(w->sdl, 160, 120);
    fit_window(w);
    return has_surface(w);
}

static struct display *window_open(struct machine *m, const char **error)
{
    struct window *w = machine_alloc(m, sizeof(*w));

    w->machine = m;
    w->scaler.how = m->options->scaling;
    set_hints();
    *error = "the board has no video";
    if (!m->vga)
        return NULL;
    *error = "there is no display (DISPLAY and WAYLAND_DISPLAY are not set)";
    if (!choose_driver())
        return NULL;
    if (SDL_Init(SDL_INIT_VIDEO) || !make_window(w)) {
        snprintf(w->title, sizeof(w->title), "the display cannot be opened (%s)",
                 SDL_GetError());
        *error = w->title;
        return NULL;
    }
    SDL_StopTextInput(); /* places of keys, not letters */
    SDL_EnableScreenSaver();
    w->exposed = true;
    *error = "no timer";
    return ticker_start(&w->ticker, m, REFRESH, window_tick, w) ? &w->display : NULL;
}

static bool window_suits(void)
{
    return getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
}

const struct display_backend window_backend = {
    .name = "sdl",
    .window = true,
    .suits = window_suits,
    .failed = "no window",
    .instead = "; try -display curses, or -display none",
    .open = window_open,
    .close = window_close,
};
