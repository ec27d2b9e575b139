/*
 * A machine in the background: a second process, which the first one waits for until it is
 * ready. The folder stays what it was, so that file names keep their meaning.
 */
#include "runtime/control/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1;

static _Noreturn void wait_for(pid_t child, int fd)
{
    int status = 0;
    char byte;
    ssize_t n;

    while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR)
        ;
    if (n == 1)
        _exit(0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void daemon_begin(void)
{
    int fds[2];
    pid_t child;

    fflush(NULL);
    if (pipe2(fds, O_CLOEXEC))
        die("-daemonize: %s", strerror(errno));
    child = fork();
    if (child < 0)
        die("-daemonize: %s", strerror(errno));
    if (child) {
        close(fds[1]);
        wait_for(child, fds[0]);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
}

void daemon_ready(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0) {
        for (int fd = 0; fd <= 2; fd++)
            dup2(null, fd);
        close(null);
    }
    while (write(ready_fd, "", 1) < 0 && errno == EINTR)
        ;
    close(ready_fd);
    ready_fd = -1;
}
