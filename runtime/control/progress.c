/*
 * The progress line, one a thread: what a thread does slowly is what it tells.
 */
#include "runtime/control/progress.h"
#include "runtime/machine/machine.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static _Thread_local struct {
    bool shown;
    u64 first; /* when progress() was first called for this slow thing */
} line;

void progress(const char *fmt, ...)
{
    char text[160];
    va_list ap;

    if (!line.first)
        line.first = host_monotonic();
    if (!isatty(STDERR_FILENO) || host_monotonic() - line.first < MSEC(500))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "\rring3: %s\033[K", text);
    fflush(stderr);
    line.shown = true;
}

void progress_done(void)
{
    if (line.shown)
        fputs("\r\033[K", stderr);
    line.shown = false;
    line.first = 0;
}

/* ---- A guest that has said nothing yet ---- */

struct silence {
    struct machine *machine;
    struct timer timer;
};

static void still_silent(void *owner)
{
    struct silence *s = owner;
    struct machine *m = s->machine;

    if (m->spoken) {
        progress_done();
        return;
    }
    progress(
        "%llu s, %llu million instructions, nothing on the serial port yet (Ctrl+A x quits)",
        (unsigned long long)(clock_now(m) / SEC(1)),
        (unsigned long long)(m->cpu->insns / 1000000));
    timer_set(&s->timer, clock_now(m) + SEC(1));
}

void progress_watch(struct machine *m)
{
    struct silence *s;

    if (!isatty(STDERR_FILENO) || !m->options->nographic)
        return;
    s = machine_alloc(m, sizeof(*s));
    s->machine = m;
    timer_init(&s->timer, m, still_silent, s);
    timer_set(&s->timer, SEC(1));
}
