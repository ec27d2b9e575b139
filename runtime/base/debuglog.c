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

static u32 item_named(const char *name, size_t n)
{
    static const char *const names[] = {
        "int",  "in_asm", "cpu_reset", "guest_errors",
        "exec", "cpu",    "fpu"}; /* as enum debuglog has them */

    for (u32 i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i]) == n && !memcmp(names[i], name, n))
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

bool debuglog_open(const char *path)
{
    file = fopen(path, "we");
    return file;
}
