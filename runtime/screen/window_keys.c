/*
 * The window's own keys, all with Ctrl and Alt: a row each, from which the help panel is made,
 * too. And files dropped on the window.
 */
#define SDL_MAIN_HANDLED
#include "runtime/screen/window_keys.h"
#include "runtime/control/control.h"
#include "runtime/control/keyqueue.h"
#include "runtime/control/keys.h"
#include "runtime/control/screenshot.h"
#include "runtime/machine/machine.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static void key_help(struct window *w);

static void key_grab(struct window *w)
{
    window_grab(w, !w->grabbed);
}

static void key_full_screen(struct window *w)
{
    bool full = SDL_GetWindowFlags(w->sdl) & SDL_WINDOW_FULLSCREEN;

    SDL_SetWindowFullscreen(w->sdl, full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
    w->exposed = true;
}

static void key_size(struct window *w)
{
    window_natural(w);
}

static void key_scaling(struct window *w)
{
    static const char *const names[] = {"sharp", "nearest", "linear"};

    w->scaler.how = (w->scaler.how + 1) % SCALE_HOWS;
    window_notice(w, "scaling: %s", names[w->scaler.how]);
}

static void key_pause(struct window *w)
{
    if (w->machine->state == RUN_RUNNING)
        control_stop(w->machine);
    else
        control_cont(w->machine);
}

static void key_reset(struct window *w)
{
    control_reset(w->machine);
    window_notice(w, "reset");
}

static void key_ctrl_alt_del(struct window *w)
{
    static const u16 codes[] = {0x1d, 0x38, 0xe053};

    window_release_keys(w); /* else the user lets go of them in the midst of it */
    control_send_keys(w->machine, codes, ARRAY_SIZE(codes), key_hold(0));
}

/* A name that is free: two shots in one second are two files. */
static bool shot_name(char *name, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;
    size_t n;

    localtime_r(&now, &tm);
    n = strftime(name, size, "ring3-%Y%m%d-%H%M%S", &tm);
    for (u32 i = 1; i < 100; i++) {
        snprintf(name + n, size - n, i > 1 ? "-%u.png" : ".png", i);
        if (access(name, F_OK))
            return true;
    }
    return false;
}

static void speed(struct window *w, int step)
{
    char now[32];

    speed_change(w->machine, step, now, sizeof(now));
    window_notice(w, "speed: %s", now);
}

static void key_faster(struct window *w)
{
    speed(w, 1);
}

static void key_slower(struct window *w)
{
    speed(w, -1);
}

static void key_full_speed(struct window *w)
{
    speed(w, 0);
}

static void key_screenshot(struct window *w)
{
    char name[64];
    const char *error =
        shot_name(name, sizeof(name)) ? screen_dump(w->machine, name, true) : "no free name";

    if (error)
        window_notice(w, "no screenshot: %s", error);
    else
        window_notice(w, "screenshot: %s", name);
}

static const struct hot_key {
    u32 scancode;
    void (*run)(struct window *w);
    const char *key, *help; /* help NULL: another row's */
} hot_keys[] = {
    {SDL_SCANCODE_H, key_help, "H", "this help"},
    {SDL_SCANCODE_G, key_grab, "G", "grab or release the mouse"},
    {SDL_SCANCODE_F, key_full_screen, "F", "full screen"},
    {SDL_SCANCODE_U, key_size, "U", "the window's own size again"},
    {SDL_SCANCODE_I, key_scaling, "I", "scaling: sharp, nearest, linear"},
    {SDL_SCANCODE_S, key_screenshot, "S", "screenshot, into the current folder"},
    {SDL_SCANCODE_P, key_pause, "P", "pause, go on"},
    {SDL_SCANCODE_R, key_reset, "R", "reset"},
    {SDL_SCANCODE_MINUS, key_slower, "- +", "slower, faster; 0: as fast as the host can"},
    {SDL_SCANCODE_KP_MINUS, key_slower, "- +", NULL},
    {SDL_SCANCODE_EQUALS, key_faster, "- +", NULL},
    {SDL_SCANCODE_KP_PLUS, key_faster, "- +", NULL},
    {SDL_SCANCODE_0, key_full_speed, "0", NULL},
    {SDL_SCANCODE_INSERT, key_ctrl_alt_del, "Ins", "Ctrl+Alt+Del for the guest; also End"},
    {SDL_SCANCODE_END, key_ctrl_alt_del, "End", NULL},
};

static void key_help(struct window *w)
{
    size_t n = 0;

    w->exposed = true;
    if (w->panel_until == ~0ull) {
        w->panel_until = 0;
        return;
    }
    n += snprintf(w->panel, sizeof(w->panel), "Ctrl+Alt and\n\n");
    for (u32 i = 0; i < ARRAY_SIZE(hot_keys); i++)
        if (hot_keys[i].help)
            n += snprintf(w->panel + n, sizeof(w->panel) - n, "%-5s%s\n", hot_keys[i].key,
                          hot_keys[i].help);
    snprintf(w->panel + n, sizeof(w->panel) - n,
             "\nDrop a file on the window to put it into\n"
             "the floppy or CD drive.");
    w->panel_until = ~0ull;
}

bool window_hot_key(struct window *w, u32 scancode)
{
    for (u32 i = 0; i < ARRAY_SIZE(hot_keys); i++)
        if (hot_keys[i].scancode == scancode) {
            hot_keys[i].run(w);
            return true;
        }
    return false;
}

void window_drop(struct window *w, const char *path)
{
    const char *drive, *error = control_insert(w->machine, path, &drive);
    const char *slash = strrchr(path, '/');

    if (error)
        window_notice(w, "%s", error);
    else
        window_notice(w, "%s: %s", drive, slash ? slash + 1 : path);
}
