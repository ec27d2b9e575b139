/*
 * Listening on Unix sockets, for serial ports and QMP. A socket file nobody listens on any more
 * (its owner was killed) is replaced; one that answers is not, and neither is any other file.
 */
#include "runtime/control/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void remove_stale(int fd, const struct sockaddr_un *sa, const char *option)
{
    struct stat st;

    if (lstat(sa->sun_path, &st))
        return;
    if (!S_ISSOCK(st.st_mode))
        die("%s: %s exists and is no socket", option, sa->sun_path);
    if (!connect(fd, (const struct sockaddr *)sa, sizeof(*sa)))
        die("%s: %s: another program listens there", option, sa->sun_path);
    unlink(sa->sun_path);
}

static int make_socket(const char *option)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        die("%s: no socket: %s", option, strerror(errno));
    return fd;
}

socklen_t unix_find(const char *path, struct sockaddr_storage *a, const char **error)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    *error = "too long a path for a socket";
    if (strlen(path) >= sizeof(sa.sun_path))
        return 0;
    strcpy(sa.sun_path, path);
    memcpy(a, &sa, sizeof(sa));
    return sizeof(sa);
}

int unix_listen(const char *path, const char *option)
{
    struct sockaddr_storage a;
    const char *error;
    int probe = make_socket(option), fd = make_socket(option);

    if (!unix_find(path, &a, &error))
        die("%s: %s: a socket's path has at most %zu letters", option, path,
            sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    remove_stale(probe, (struct sockaddr_un *)&a, option);
    close(probe);
    if (bind(fd, (struct sockaddr *)&a, sizeof(struct sockaddr_un)) || listen(fd, 4))
        die("%s: %s: %s", option, path, strerror(errno));
    return fd;
}

void unix_unlisten(int fd, const char *path)
{
    close(fd);
    unlink(path);
}

int socket_connect(const struct sockaddr_storage *a, socklen_t size)
{
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

    if (fd >= 0 && !connect(fd, (const struct sockaddr *)a, size)) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return fd;
    }
    error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

int unix_accept(int listener, bool wait)
{
    struct pollfd p = { .fd = listener, .events = POLLIN };

    while (wait && poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
