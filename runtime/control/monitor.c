/*
 * The monitor's prompt on a terminal: a line of input, edited with backspace, run at Enter.
 */
#include "runtime/control/monitor.h"
#include "runtime/control/hmp.h"
#include "runtime/machine/options.h"

#include <stdlib.h>
#include <string.h>

static const char *prompt(void)
{
    return program_is_qemu() ? "(qemu) " : "(ring3) ";
}

struct monitor {
    struct machine *machine;
    void (*say)(void *arg, const char *text);
    void *arg;
    char line[512];
    bool ended; /* by CR: LF is no second line */
    u32 n;
};

struct monitor *monitor_new(struct machine *m, void (*say)(void *arg, const char *text),
                            void *arg, bool shared)
{
    struct monitor *mon = calloc(1, sizeof(*mon));

    check(mon, "out of memory");
    *mon = (struct monitor){ .machine = m, .say = say, .arg = arg };
    if (program_is_qemu())
        say(arg, "QEMU 7.2.0 (ring3 " RING3_VERSION ") monitor - type 'help' for more information\r\n");
    else
        say(arg, shared ? "\r\nring3 monitor: help lists commands, Ctrl+A c goes back\r\n" :
                          "ring3 monitor: help lists commands\r\n");
    say(arg, prompt());
    return mon;
}

void monitor_free(struct monitor *mon)
{
    free(mon);
}

/* A terminal in raw mode wants CR LF, as a telnet client does. */
static void say_lines(struct monitor *mon, const char *text)
{
    char *lines = malloc(2 * strlen(text) + 1), *to = lines;

    check(lines, "out of memory");
    for (; *text; text++) {
        if (*text == '\n')
            *to++ = '\r';
        *to++ = *text;
    }
    *to = '\0';
    mon->say(mon->arg, lines);
    free(lines);
}

static void run_line(struct monitor *mon)
{
    char *said;

    mon->line[mon->n] = '\0';
    mon->n = 0;
    mon->say(mon->arg, "\r\n");
    said = hmp_run(mon->machine, mon->line);
    say_lines(mon, said);
    mon->say(mon->arg, prompt());
    free(said);
}

void monitor_type(struct monitor *mon, u8 byte)
{
    char echo[2] = { (char)byte, '\0' };

    bool ended = mon->ended;

    mon->ended = byte == '\r';
    if (byte == '\r' || (byte == '\n' && !ended)) {
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
