/*
 * The process's number in a file, for scripts. The lock tells a running process's file from one
 * that was left behind, which is written over.
 */
#include "runtime/control/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char *written;

static void remove_file(void)
{
    unlink(written);
}

void pidfile_write(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* open until the process ends */
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (fd < 0)
        die("-pidfile: %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB))
        die("-pidfile: %s: a running process holds it", path);
    if (ftruncate(fd, 0) || write(fd, text, (size_t)n) != n)
        die("-pidfile: %s: %s", path, strerror(errno));
    written = path;
    atexit(remove_file);
}
