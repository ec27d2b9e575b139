/*
 * Trace channels, and the two ways to fail that are not the guest's: check() for our own
 * mistakes and die() for the user's.
 */
#include "runtime/base/base.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

_Thread_local u32 trace_mask;

static const char *const channel_names[] = {
#define CHANNEL(id, name, help) name,
#include "runtime/base/trace.def"
#undef CHANNEL
};

void trace_print(enum trace_channel channel, const char *fmt, ...)
{
    va_list ap;

    flockfile(stderr); /* lines of two machines do not mix */
    fprintf(stderr, "%s: ", channel_names[channel]);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    funlockfile(stderr);
}

static bool trace_enable_one(const char *name, size_t len)
{
    if (len == 3 && !memcmp(name, "all", 3)) {
        trace_mask = ~0u;
        return true;
    }
    for (u32 i = 0; i < TRACE_CHANNELS; i++)
        if (strlen(channel_names[i]) == len && !memcmp(name, channel_names[i], len)) {
            trace_mask |= 1u << i;
            return true;
        }
    return false;
}

const char *trace_enable(const char *list)
{
    while (*list) {
        size_t len = strcspn(list, ",");

        if (len && !trace_enable_one(list, len))
            return list;
        list += len + (list[len] == ',');
    }
    return NULL;
}

static const char *name = "ring3";

void program_set_name(const char *argv0)
{
    const char *slash = strrchr(argv0, '/'), *base = slash ? slash + 1 : argv0;

    if (!strncmp(base, "qemu-system-", 12))
        name = base;
}

bool program_is_qemu(void)
{
    return *name == 'q';
}

const char *program_name(void)
{
    return name;
}

static void print_line(const char *prefix, const char *fmt, va_list ap)
{
    fprintf(stderr, "%s: %s", name, prefix);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void check_failed(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(ap, fmt);
    print_line("internal error: ", fmt, ap);
    va_end(ap);
    abort();
}

void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_line("", fmt, ap);
    va_end(ap);
    exit(1);
}

void warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_line("warning: ", fmt, ap);
    va_end(ap);
}
