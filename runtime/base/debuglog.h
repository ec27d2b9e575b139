/*
 * `-d`: what QEMU logs under the same names, in its formats, to standard error or the file of
 * `-D`. Our own log, with more in it, is `--trace` (base.h).
 */
#ifndef RING3_DEBUGLOG_H
#define RING3_DEBUGLOG_H

#include "runtime/base/base.h"

enum debuglog {
    DEBUGLOG_INT = 1,          /* exceptions and interrupts in protected mode, with registers */
    DEBUGLOG_IN_ASM = 2,       /* guest code that is translated */
    DEBUGLOG_CPU_RESET = 4,    /* registers before a reset */
    DEBUGLOG_GUEST_ERRORS = 8, /* what the guest asks of chips in vain */
    DEBUGLOG_EXEC = 16,        /* a line before each piece of code that runs */
    DEBUGLOG_CPU = 32,         /* the registers there */
    DEBUGLOG_FPU = 64,         /* with the FPU's and SSE's */
};
/* Their names, from the lowest bit up. */
enum { DEBUGLOG_NAMES = 7 };
extern const struct debuglog_name {
    const char *name, *help;
} debuglog_names[DEBUGLOG_NAMES];
void debuglog_list(FILE *out); /* a line for each */

extern _Thread_local u32
    debuglog_items; /* of the thread that reads the options and runs the machine */

#define debuglog_on(item) unlikely(debuglog_items &(item))

void debuglog_print(const char *fmt, ...) PRINTF(1, 2);
/* Turns on the items of a comma-separated list. NULL, or the first unknown name. */
const char *debuglog_enable(const char *list);
/* The list's items from now on, and no others; "none": nothing. With an unknown name, which is
 * returned, all stays as it was. */
const char *debuglog_set(const char *list);
/* Lines go to the file from now on, which is made or emptied. False: errno says why. */
bool debuglog_open(const char *path);

#endif
