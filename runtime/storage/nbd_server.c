/*
 * qemu-nbd, started and ended.
 *
 * It gets a listening socket by systemd's protocol (sd_listen_fds(3): descriptor 3, LISTEN_FDS
 * and LISTEN_PID), to which we are connected before it exists: so ours is the first connection
 * and, as it takes one only, the last. The socket's name is in a folder of ours, and gone
 * before the server starts: a kill leaves nothing behind.
 *
 * It ends when the connection does, after it has written everything, or by PR_SET_PDEATHSIG
 * where it had not come so far. It has a process group of its own: Ctrl+C is not for it.
 */
#include "runtime/storage/nbd_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { LISTEN = 3, MISSING = 127 };

/* ---- The socket ---- */

/* Both ends: one listens, the other is connected to it. The folder is ours alone (mkdtemp). */
static bool connect_pair(const char *folder, int *listening, int *connected)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    bool done;

    snprintf(at.sun_path, sizeof(at.sun_path), "%s/nbd", folder);
    *listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    done = *listening >= 0 && *connected >= 0 &&
           !bind(*listening, (struct sockaddr *)&at, sizeof(at)) && !listen(*listening, 1) &&
           !connect(*connected, (struct sockaddr *)&at, sizeof(at));
    if (!done) {
        int saved = errno;

        if (*listening >= 0)
            close(*listening);
        if (*connected >= 0)
            close(*connected);
        errno = saved;
    }
    unlink(at.sun_path);
    return done;
}

static bool private_pair(int *listening, int *connected)
{
    const char *folders[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};

    for (u32 i = 0; i < ARRAY_SIZE(folders); i++) {
        char folder[80]; /* sun_path holds 108 */

        if (!folders[i] || strlen(folders[i]) > 50)
            continue;
        snprintf(folder, sizeof(folder), "%s/ring3-XXXXXX", folders[i]);
        if (!mkdtemp(folder))
            continue;
        bool done = connect_pair(folder, listening, connected);

        rmdir(folder);
        if (done)
            return true;
    }
    return false;
}

/* ---- The process ---- */

struct plan {
    char *const *arguments;
    char **environment;
    char *pid_digits; /* in LISTEN_PID= of the environment */
    int listening, log;
    pid_t parent;
};

/* After fork(): nothing here may allocate. */
static _Noreturn void become_server(const struct plan *p)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;
    char digits[12];
    u32 n = 0;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != p->parent)
        _exit(1);
    dup2(null, 0);
    dup2(null, 1);
    dup2(p->log, 2);
    if (p->listening == LISTEN)
        fcntl(LISTEN, F_SETFD, 0);
    else
        dup2(p->listening, LISTEN);
    for (u32 rest = (u32)getpid(); rest; rest /= 10)
        digits[n++] = (char)('0' + rest % 10);
    for (u32 i = 0; i < n; i++)
        p->pid_digits[i] = digits[n - 1 - i];
    p->pid_digits[n] = 0;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvpe(p->arguments[0], p->arguments, p->environment);
    _exit(errno == ENOENT ? MISSING : 1);
}

static pid_t start(const char *image_options, bool read_only, int listening, int log)
{
    char *arguments[] = {"qemu-nbd", "--image-opts", (char *)image_options,
                         read_only ? "-r" : NULL, NULL};
    char listen_pid[32] = "LISTEN_PID=";
    struct plan p = {arguments, NULL, listen_pid + strlen(listen_pid),
                     listening, log,  getpid()};
    u32 n = 0;
    pid_t pid;

    while (environ[n])
        n++;
    p.environment = calloc(n + 3, sizeof(char *));
    check(p.environment, "no memory for an environment");
    memcpy(p.environment, environ, n * sizeof(char *));
    p.environment[n] = listen_pid;
    p.environment[n + 1] = "LISTEN_FDS=1";
    pid = fork();
    if (!pid)
        become_server(&p);
    free(p.environment);
    return pid;
}

const char *nbd_server_start(struct nbd_server *s, const char *image_options, bool read_only)
{
    int listening;

    *s = (struct nbd_server){.log = -1};
    if (!private_pair(&listening, &s->socket))
        return strerror(errno);
    s->log = memfd_create("ring3-qemu-nbd", MFD_CLOEXEC);
    s->pid = start(image_options, read_only, listening, s->log);
    close(listening); /* so that ours ends when the server does not come to accept it */
    if (s->pid > 0)
        return NULL;
    close(s->socket);
    if (s->log >= 0)
        close(s->log);
    *s = (struct nbd_server){.log = -1};
    return "the host starts no further process";
}

static int server_wait(struct nbd_server *s)
{
    int status = 0;

    if (s->pid > 0)
        while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
            ;
    s->pid = 0;
    return status;
}

void nbd_server_wait(struct nbd_server *s)
{
    server_wait(s);
    if (s->log >= 0)
        close(s->log);
    s->log = -1;
}

/* "qemu-nbd: Failed to blk_new_open '…': Could not open 'x': why": the part after the quoted
 * options, which are ours and not the user's. */
static char *own_words(char *line)
{
    char *after = strstr(line, "': "), *name = strstr(line, "qemu-nbd: ");

    if (strstr(line, "blk_new_open") && after)
        return after + 3;
    return name == line ? line + strlen("qemu-nbd: ") : line;
}

void nbd_server_complaint(struct nbd_server *s, char *text, size_t size)
{
    int status = server_wait(s);
    char line[600] = "";
    ssize_t n = s->log >= 0 ? pread(s->log, line, sizeof(line) - 1, 0) : -1;

    line[n > 0 ? n : 0] = 0;
    line[strcspn(line, "\n")] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == MISSING)
        snprintf(text, size,
                 "qemu-nbd, which reads it, is not installed: apt-get install "
                 "qemu-utils");
    else
        snprintf(text, size, "%s", line[0] ? own_words(line) : "qemu-nbd ended without a word");
    nbd_server_wait(s);
}

bool nbd_run(char *const arguments[], char *why, size_t size)
{
    int log = memfd_create("ring3-qemu-img", MFD_CLOEXEC), status = 0;
    struct nbd_server s = {.log = log};
    ssize_t n;

    s.pid = fork();
    if (!s.pid) {
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(log, 1);
        dup2(log, 2);
        execvp(arguments[0], arguments);
        _exit(MISSING);
    }
    status = server_wait(&s);
    n = log >= 0 ? pread(log, why, size - 1, 0) : -1;
    why[n > 0 ? n : 0] = 0;
    why[strcspn(why, "\n")] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == MISSING)
        snprintf(why, size, "%s is not installed: apt-get install qemu-utils", arguments[0]);
    if (log >= 0)
        close(log);
    return WIFEXITED(status) && !WEXITSTATUS(status);
}
