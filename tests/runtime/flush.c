/*
 * Flushes while the guest runs: a failure is reported once, to whoever flushes next, as the
 * host does.
 */
#include <stdlib.h>
#include <unistd.h>

#include "devices/disk.h"
#include "runtime/storage/flush.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"

static enum disk_flush flush_result(struct flush *f)
{
    enum disk_flush state;

    while ((state = flush_poll(f)) == FLUSH_RUNNING)
        usleep(50);
    return state;
}

TEST(flush, tells_a_failure_once)
{
    struct flush f = { 0 };

    CHECK_EQ(flush_poll(&f), FLUSH_DONE); /* none was begun */
    flush_begin(&f, -1);
    CHECK_EQ(flush_result(&f), FLUSH_FAILED);
    CHECK_EQ(flush_poll(&f), FLUSH_DONE);
    flush_end(&f);
}

TEST(flush, failure_nobody_heard_of_is_the_next_ones)
{
    char path[] = "/tmp/ring3-flush-XXXXXX";
    int fd = mkstemp(path);
    struct flush f = { 0 };

    CHECK(fd >= 0);
    flush_begin(&f, -1); /* given up: a reset of the drive */
    flush_begin(&f, fd); /* has nothing to do, for the host: it has failed before */
    CHECK_EQ(flush_result(&f), FLUSH_FAILED);
    flush_begin(&f, fd);
    CHECK_EQ(flush_result(&f), FLUSH_DONE);
    flush_end(&f);
    close(fd);
    unlink(path);
}
