/*
 * What the host's own mechanisms cost on this machine.
 *
 *   hostcost tsc      "tsc KHZ": the TSC's rate against CLOCK_MONOTONIC_RAW; and "core RATIO": core
 *                     cycles per TSC cycle, by a chain of additions of one cycle each
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The TSC and the clock at one moment: the closest of a few pairs, should the host preempt us. */
static void read_pair(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX, before, after, now;

    for (int i = 0; i < 20; i++) {
        before = __rdtsc();
        now = now_ns();
        after = __rdtsc();
        if (after - before < best) {
            best = after - before;
            *tsc = before + best / 2;
            *ns = now;
        }
    }
}

static double tsc_khz(void)
{
    uint64_t tsc[2], ns[2];
    struct timespec wait = { .tv_nsec = 200000000 };

    read_pair(&tsc[0], &ns[0]);
    nanosleep(&wait, NULL);
    read_pair(&tsc[1], &ns[1]);
    return (double)(tsc[1] - tsc[0]) * 1e6 / (double)(ns[1] - ns[0]);
}

static double core_ratio(void)
{
    enum { TURNS = 2000, CHAIN = 100 };
    uint64_t best = UINT64_MAX, start, val, x = 1;

    for (int i = 0; i < 200; i++) {
        start = __rdtsc();
        for (int k = 0; k < TURNS; k++)
            __asm__ volatile(".rept 100\n\tadd %0, %0\n\t.endr" : "+r"(x));
        val = __rdtsc() - start;
        best = val < best ? val : best;
    }
    return (double)TURNS * CHAIN / (double)best;
}

int main(int argc, char **argv)
{
    printf("tsc %.0f\ncore %.3f\n", tsc_khz(), core_ratio());
    return 0;
}
