/*
 * One fdatasync() at a time and file, in a thread that lives as long as it takes. The thread
 * touches nothing but its struct and runs with all signals blocked: they are the machine's.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/storage/flush.h"

static void *flush_run(void *arg)
{
    struct flush *f = arg;
    int rc;

    do
        rc = fdatasync(f->fd);
    while (rc && errno == EINTR);
    __atomic_store_n(&f->state, rc || f->failed_before ? FLUSH_FAILED : FLUSH_DONE,
                     __ATOMIC_RELEASE);
    return NULL;
}

void flush_end(struct flush *f)
{
    if (f->joinable)
        pthread_join(f->thread, NULL);
    f->joinable = false;
}

void flush_begin(struct flush *f, int fd)
{
    sigset_t all, before;

    flush_end(f);
    f->fd = fd;
    f->failed_before = f->state == FLUSH_FAILED; /* flush_poll() leaves none that it has told */
    f->state = FLUSH_RUNNING;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    f->joinable = !pthread_create(&f->thread, NULL, flush_run, f);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!f->joinable) /* no thread to be had: then here */
        flush_run(f);
}

enum disk_flush flush_poll(struct flush *f)
{
    enum disk_flush state = (enum disk_flush)__atomic_load_n(&f->state, __ATOMIC_ACQUIRE);

    if (state != FLUSH_RUNNING) {
        flush_end(f);
        f->state = FLUSH_DONE;
    }
    return state;
}
