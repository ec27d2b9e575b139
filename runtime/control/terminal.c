/*
 * The user's terminal in raw mode, and back: at exit, at a fatal signal, around Ctrl+Z. There
 * is one terminal a process, so this state is the process's, whichever machine uses it.
 */
#include "runtime/control/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct {
    int fd;
    bool is_raw; /* between terminal_raw() and terminal_restore() */
    struct termios before, raw;
} terminal;

/* Async-signal-safe: tcsetattr() is. */
void terminal_restore(void)
{
    if (terminal.is_raw)
        tcsetattr(terminal.fd, TCSANOW, &terminal.before);
    terminal.is_raw = false;
}

static void on_fatal(int sig)
{
    terminal_restore();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void on_stop(int sig)
{
    bool was_raw = terminal.is_raw;

    terminal_restore();
    raise(SIGSTOP);
    if (was_raw) {
        tcsetattr(terminal.fd, TCSANOW, &terminal.raw);
        terminal.is_raw = true;
    }
}

static void catch_signals(void)
{
    static const int fatal[] = { SIGABRT, SIGQUIT, SIGILL, SIGFPE };
    struct sigaction old;

    for (u32 i = 0; i < ARRAY_SIZE(fatal); i++)
        if (!sigaction(fatal[i], NULL, &old) && old.sa_handler == SIG_DFL)
            signal(fatal[i], on_fatal);
    signal(SIGTSTP, on_stop);
    atexit(terminal_restore);
}

void terminal_raw(int fd, bool signals)
{
    static bool caught;

    if (terminal.is_raw || tcgetattr(fd, &terminal.before))
        return;
    terminal.fd = fd;
    terminal.raw = terminal.before;
    /* As QEMU: output keeps its newline translation. */
    terminal.raw.c_iflag &=
        ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    terminal.raw.c_oflag |= OPOST;
    terminal.raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        terminal.raw.c_lflag &= ~(tcflag_t)ISIG;
    terminal.raw.c_cc[VMIN] = 1;
    terminal.raw.c_cc[VTIME] = 0;
    if (!caught)
        catch_signals();
    caught = true;
    terminal.is_raw = true;
    tcsetattr(fd, TCSANOW, &terminal.raw);
}
