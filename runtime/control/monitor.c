/*
 * The monitor's prompt on a terminal: a line of input, edited with backspace, run at Enter.
 */
#include "runtime/control/monitor.h"
#include "runtime/control/hmp.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT "(ring3) "

struct monitor {
    struct machine *machine;
    void (*say)(void *arg, const char *text);
    void *arg;
    char line[512];
    u32 n;
};

struct monitor *monitor_new(struct machine *m, void (*say)(void *arg, const char *text),
                            void *arg)
{
    struct monitor *mon = calloc(1, sizeof(*mon));

    check(mon, "out of memory");
    *mon = (struct monitor){ .machine = m, .say = say, .arg = arg };
    say(arg, "\r\nring3 monitor: help lists commands, Ctrl+A c goes back\r\n" PROMPT);
    return mon;
}

void monitor_free(struct monitor *mon)
{
    free(mon);
}

static void run_line(struct monitor *mon)
{
    char *said;

    mon->line[mon->n] = '\0';
    mon->n = 0;
    mon->say(mon->arg, "\r\n");
    said = hmp_run(mon->machine, mon->line);
    mon->say(mon->arg, said);
    mon->say(mon->arg, PROMPT);
    free(said);
}

void monitor_type(struct monitor *mon, u8 byte)
{
    char echo[2] = { (char)byte, '\0' };

    if (byte == '\r' || byte == '\n') {
        run_line(mon);
    } else if (byte == '\b' || byte == 0x7f) {
        if (mon->n) {
            mon->n--;
            mon->say(mon->arg, "\b \b");
        }
    } else if (byte >= ' ' && mon->n + 1 < sizeof(mon->line)) {
        mon->line[mon->n++] = (char)byte;
        mon->say(mon->arg, echo);
    }
}
