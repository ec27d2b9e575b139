/*
 * What window and terminal have in common: choosing one, the tick that drives them, the title.
 */
#include "runtime/screen/display.h"
#include "runtime/control/control.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/screen/curses.h"
#include "runtime/screen/vnc.h"
#include "runtime/screen/window.h"

#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* The first that suits is the default. */
const struct display_backend *const displays[] = { &window_backend, &curses_backend, &vnc_backend,
                                                   NULL };

const struct display_backend *display_named(const char *name)
{
    for (u32 i = 0; displays[i]; i++)
        if (!strcmp(displays[i]->name, name))
            return displays[i];
    return NULL;
}

const struct display_backend *display_default(void)
{
    u32 i = 0;

    while (displays[i] && !displays[i]->suits())
        i++;
    return displays[i];
}

static struct display *open_one(struct machine *m, const struct display_backend *b)
{
    const char *error = NULL;
    struct display *d = b->open(m, &error);

    if (!d)
        die("%s: %s%s", b->failed, error, b->instead);
    d->backend = b;
    return d;
}

struct display *display_open(struct machine *m)
{
    const struct options *o = m->options;
    struct display *vnc = o->vnc ? open_one(m, &vnc_backend) : NULL, *d;

    if (!o->display || o->display == &vnc_backend)
        return vnc;
    d = open_one(m, o->display);
    d->other = vnc;
    return d;
}

void display_close(struct display *d)
{
    while (d) {
        struct display *other = d->other;

        d->backend->close(d);
        d = other;
    }
}

/* ---- Ticks ---- */

static void on_tick(void *arg, u32 events)
{
    struct ticker *t = arg;
    u64 expirations;

    if (read(t->fd, &expirations, sizeof(expirations)) == sizeof(expirations))
        t->tick(t->owner);
}

bool ticker_start(struct ticker *t, struct machine *m, u32 hz, void (*tick)(void *owner),
                  void *owner)
{
    struct timespec period = {0, (long)(SEC(1) / hz)};
    struct itimerspec its = {period, period};

    *t = (struct ticker){timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), tick,
                         owner};
    if (t->fd < 0 || timerfd_settime(t->fd, 0, &its, NULL))
        return false;
    loop_add(m, t->fd, LOOP_READ, on_tick, t);
    return true;
}

void ticker_stop(struct ticker *t, struct machine *m)
{
    loop_remove(m, t->fd);
    close(t->fd);
    t->fd = -1;
}

/* ---- The title ---- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* What the user most likely calls this machine. */
static const char *machine_name(const struct options *o)
{
    if (o->name)
        return o->name;
    if (o->kernel)
        return file_name(o->kernel);
    for (u32 i = 0; i < 4; i++)
        if (o->ide[i / 2][i % 2].file)
            return file_name(o->ide[i / 2][i % 2].file);
    return o->floppy[0].file ? file_name(o->floppy[0].file) : NULL;
}

void display_title(struct machine *m, char *buf, size_t size)
{
    const char *name = machine_name(m->options);

    snprintf(buf, size, "%s%sring3 [%s]", name ? name : "", name ? " - " : "",
             control_status(m));
}
