/*
 * Character back ends that are a descriptor and no more: files, pseudo-terminals, nothing;
 * and a chip of ours, which is none.
 */
#include "devices/msmouse.h"
#include "runtime/control/char_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static void no_write(struct chardev *c, const u8 *data, u32 n)
{
}

static void open_null(struct char_backend *p, const char *arg)
{
    if (p->log < 0)
        p->c.write = no_write;
}

static void open_file(struct char_backend *p, const char *path)
{
    p->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    if (p->out < 0)
        die("file:%s: %s", path, strerror(errno));
    char_watch(p);
}

/* Bytes as they are, and no modem is waited for. False: it is none. */
static bool make_raw(int fd)
{
    struct termios raw;

    if (tcgetattr(fd, &raw))
        return false;
    cfmakeraw(&raw);
    raw.c_cflag |= CLOCAL | CREAD;
    tcsetattr(fd, TCSANOW, &raw);
    return true;
}

static void open_pty(struct char_backend *p, const char *arg)
{
    char name[256];

    if (openpty(&p->in, &p->keeper, name, NULL, NULL))
        die("pty: %s", strerror(errno));
    make_raw(p->keeper);
    fcntl(p->in, F_SETFL, O_NONBLOCK);
    p->out = p->in;
    fprintf(stderr, "ring3: serial port at %s\n", name);
    char_watch(p);
}

const struct char_kind file_kind = {
    .name = "file:",
    .argument = "PATH",
    .chardev = "file",
    .path = true,
    .open = open_file,
};
const struct char_kind pty_kind = {
    .name = "pty",
    .chardev = "pty",
    .typed = true,
    .open = open_pty,
};
/* Both ends are opened by us as well: so neither waits for somebody, nor ends when he goes. */
static int open_fifo(const char *path, const char *ending)
{
    char name[4096];

    snprintf(name, sizeof(name), "%s%s", path, ending);
    return open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static void open_pipe(struct char_backend *p, const char *path)
{
    p->in = open_fifo(path, ".in");
    p->out = open_fifo(path, ".out");
    if (p->in < 0 || p->out < 0) {
        if (p->in >= 0)
            close(p->in);
        if (p->out >= 0)
            close(p->out);
        p->in = p->out = open_fifo(path, "");
    }
    if (p->in < 0)
        die("pipe:%s: %s: mkfifo %s.in %s.out makes them", path, strerror(errno), path, path);
    char_watch(p);
}

const struct char_kind pipe_kind = {
    .name = "pipe:",
    .argument = "PATH",
    .chardev = "pipe",
    .path = true,
    .typed = true,
    .open = open_pipe,
};

/* The host's own port, or anything that is a terminal. Its speed and parity are what the host
 * has set: stty. */
static void open_tty(struct char_backend *p, const char *path)
{
    p->in = p->out = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (p->in < 0)
        die("%s: %s", path, strerror(errno));
    if (!make_raw(p->in))
        die("%s: no terminal, nor a serial port", path);
    char_watch(p);
}

const struct char_kind tty_kind = {
    .name = "tty:",
    .argument = "/dev/PORT",
    .chardev = "serial",
    .path = true,
    .typed = true,
    .open = open_tty,
};

static struct chardev *make_mouse(struct machine *m)
{
    return msmouse_plug(device_new(m, &msmouse_class, NULL));
}

const struct char_kind msmouse_kind = {
    .name = "msmouse",
    .chardev = "msmouse",
    .chip = make_mouse,
};
const struct char_kind null_kind = { .name = "null", .chardev = "null", .open = open_null };
const struct char_kind none_kind = { .name = "none", .open = open_null };
