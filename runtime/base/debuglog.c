/*
 * The log of `-d`, which scripts written for QEMU read. Lines reach the file as they are
 * printed, so that they are there when the process dies.
 */
#include "runtime/base/debuglog.h"

#include <stdarg.h>
#include <string.h>

_Thread_local u32 debuglog_items;
static FILE *file; /* NULL: standard error */

void debuglog_print(const char *fmt, ...)
{
    FILE *f = file ? file : stderr;
    va_list ap;

    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fflush(f);
}

const struct debuglog_name debuglog_names[DEBUGLOG_NAMES] = {
    {"int", "exceptions and interrupts, with registers"},
    {"in_asm", "guest code that is translated"},
    {"cpu_reset", "registers before a reset"},
    {"guest_errors", "what the guest asks of chips in vain"},
    {"exec",
     "each unit of code before it runs, unchained; with -engine interp each instruction"},
    {"cpu", "registers before each of these"},
    {"fpu", "with the FPU's"},
};

void debuglog_list(FILE *out)
{
    for (u32 i = 0; i < DEBUGLOG_NAMES; i++)
        fprintf(out, "%-12s %s\n", debuglog_names[i].name, debuglog_names[i].help);
}

static u32 item_named(const char *name, size_t n)
{
    for (u32 i = 0; i < DEBUGLOG_NAMES; i++)
        if (strlen(debuglog_names[i].name) == n && !memcmp(debuglog_names[i].name, name, n))
            return 1u << i;
    return 0;
}

const char *debuglog_enable(const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ",");
        u32 item = item_named(list, n);

        if (n && !item)
            return list;
        debuglog_items |= item;
        list += n + (list[n] == ',');
    }
    return NULL;
}

const char *debuglog_set(const char *list)
{
    u32 before = debuglog_items;
    const char *unknown;

    debuglog_items = 0;
    unknown = strcmp(list, "none") ? debuglog_enable(list) : NULL;
    if (unknown)
        debuglog_items = before;
    return unknown;
}

bool debuglog_open(const char *path)
{
    file = fopen(path, "we");
    return file;
}
