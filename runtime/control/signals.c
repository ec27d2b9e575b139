/*
 * Signals that ask the program to end, taken as events of the loop: handlers would have to be
 * careful, and here everything can be put away in order.
 */
#include "runtime/control/signals.h"
#include "runtime/control/control.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/stats.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
    struct machine *machine;
    int fd;
};

/* QEMU's words, where we go by its name: who asked for the end. */
static void tell_end(const struct signalfd_siginfo *info)
{
    char path[32], command[128] = "<unknown process>";
    FILE *f;

    if (!info->ssi_pid) {
        fprintf(stderr, "%s: terminating on signal %u\n", program_name(), info->ssi_signo);
        return;
    }
    snprintf(path, sizeof(path), "/proc/%u/cmdline", info->ssi_pid);
    f = fopen(path, "r");
    if (f) {
        size_t n = fread(command, 1, sizeof(command) - 1, f);

        if (n)
            command[n] = '\0';
        fclose(f);
    }
    fprintf(stderr, "%s: terminating on signal %u from pid %u (%s)\n", program_name(), info->ssi_signo,
            info->ssi_pid, command);
}

static void on_signal(void *arg, u32 events)
{
    struct signals *s = arg;
    struct signalfd_siginfo info;

    while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGUSR1)
            stats_write(s->machine);
        else {
            if (program_is_qemu())
                tell_end(&info);
            control_quit(s->machine, "host-signal");
        }
    }
}

/* nohup's wish stays respected: a blocked signal would reach us even where it is ignored. */
static void add_unless_ignored(sigset_t *set, int sig)
{
    struct sigaction now;

    if (!sigaction(sig, NULL, &now) && now.sa_handler != SIG_IGN)
        sigaddset(set, sig);
}

void signals_watch(struct machine *m)
{
    struct signals *s = machine_alloc(m, sizeof(*s));
    sigset_t set;

    sigemptyset(&set);
    add_unless_ignored(&set, SIGINT);
    add_unless_ignored(&set, SIGTERM);
    add_unless_ignored(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->machine = m;
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0)
        die("signalfd: %s; without it, nothing could end the machine", strerror(errno));
    loop_add(m, s->fd, LOOP_READ, on_signal, s);
}
