/*
 * The terminal, or what stands in for it, as a serial port's other end.
 */
#include "runtime/control/char_backend.h"
#include "runtime/control/terminal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor of our own for what does not lose its place by that, so that O_NONBLOCK stays
 * ours: the shell that started us shares the first one. */
static int own_output(int fd)
{
    struct stat st;
    char path[32];
    int own = -1;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (!fstat(fd, &st) && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
        own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own >= 0 ? own : dup(fd);
}

static void open_stdio(struct char_backend *p, const char *arg)
{
    struct stat st;
    /* poll() refuses nothing but reading a regular file to its end is an end of input. */
    bool readable =
        !fstat(STDIN_FILENO, &st) && !(S_ISCHR(st.st_mode) && !isatty(STDIN_FILENO));

    p->in = readable ? STDIN_FILENO : -1;
    p->terminal = true;
    p->out = own_output(STDOUT_FILENO);
    terminal_raw(STDIN_FILENO, !p->monitored);
    char_watch(p);
}

const struct char_kind stdio_kind = {
    .name = "stdio",
    .chardev = "stdio",
    .terminal = true,
    .typed = true,
    .open = open_stdio,
};
