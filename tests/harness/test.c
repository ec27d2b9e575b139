/*
 * The unit test runner: every registered test in turn, in one process.
 */
#include "tests/harness/test.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test *tests, **tests_end = &tests;
static struct test *running;
static bool failed;

void test_register(struct test *t)
{
    *tests_end = t;
    tests_end = &t->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    failed = true;
    printf("%s:%d: %s.%s: ", file, line, running->suite, running->name);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

bool test_failed(void)
{
    return failed;
}

static bool selected(const struct test *t, const char *pattern)
{
    char name[256];

    snprintf(name, sizeof(name), "%s.%s", t->suite, t->name);
    return !pattern || strstr(name, pattern);
}

static void leave_at_once(int status, void *arg)
{
    _exit(status);
}

int test_fork(void)
{
    int pid = fork();

    if (!pid)
        on_exit(leave_at_once, NULL);
    return pid;
}

int main(int argc, char **argv)
{
    u32 passed = 0, failures = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (running = tests; running; running = running->next) {
        if (!selected(running, argc > 1 ? argv[1] : NULL))
            continue;
        failed = false;
        running->run();
        rig_free_all();
        if (failed)
            failures++;
        else
            passed++;
    }
    printf("%u passed, %u failed\n", passed, failures);
    return failures ? 1 : 0;
}
