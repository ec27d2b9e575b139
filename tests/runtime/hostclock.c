/*
 * The clock by the TSC: it goes as CLOCK_MONOTONIC, and never back.
 */
#include "runtime/machine/hostclock.h"
#include "tests/harness/test.h"

#include <time.h>
#include <x86intrin.h>

static u64 monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return SEC((u64)ts.tv_sec) + (u64)ts.tv_nsec;
}

/* How far the clock is from the host's, at least, in a few tries. */
static u64 apart(struct host_clock *c)
{
    u64 least = ~0ull;

    for (u32 i = 0; i < 20; i++) {
        u64 before = monotonic(), now = host_clock_now(c), after = monotonic();
        u64 off = now < before ? before - now : now > after ? now - after : 0;

        least = off < least ? off : least;
    }
    return least;
}

TEST(hostclock, follows_the_hosts)
{
    struct host_clock c = { 0 };
    u64 last = 0, now, end;

    host_clock_init(&c);
    CHECK(apart(&c) < USEC(100));
    for (end = monotonic() + MSEC(100); monotonic() < end;) {
        now = host_clock_now(&c);
        CHECK(now >= last);
        last = now;
    }
    CHECK(apart(&c) < USEC(20));
}

/* As a host that sleeps, or a stopped process, leaves it. */
TEST(hostclock, begins_again_after_a_start_that_took_long)
{
    struct host_clock c = {0};

    host_clock_begin(&c);
    c.older.ns -= SEC(60);
    c.newer.ns -= SEC(60);
    host_clock_init(&c);
    CHECK(apart(&c) < USEC(100));
}

TEST(hostclock, goes_on_when_the_tsc_jumps)
{
    struct host_clock c = { 0 };
    u64 before;

    host_clock_init(&c);
    before = host_clock_now(&c);
    c.tsc -= 1000000000000; /* as if it had gone ahead by minutes */
    c.older.tsc -= 1000000000000;
    CHECK(host_clock_now(&c) - before < MSEC(20));
    before = host_clock_now(&c);
    c.tsc += 1000000000000; /* and back */
    CHECK(host_clock_now(&c) >= before);
}

TEST(hostclock, tells_when_by_the_tsc)
{
    struct host_clock c = { 0 };
    u64 at, tsc;

    host_clock_init(&c);
    at = host_clock_now(&c) + MSEC(2);
    tsc = host_clock_tsc(&c, at);
    while (__rdtsc() < tsc)
        ;
    CHECK(host_clock_now(&c) + USEC(50) > at);
    CHECK_EQ(host_clock_tsc(&c, 0), 0);
}
