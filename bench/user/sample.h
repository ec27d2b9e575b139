/*
 * How a row is timed by the programs that run without a library (bench/user, bench/nano,
 * bench/prices): short samples of many operations, as many as fit a time, kept sorted. The best
 * is free of what else the host does.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include "bench/user/tsc.h"

enum { MAX_SAMPLES = 400, MIN_SAMPLES = 9, MAX_DIGITS = 24 };

typedef u64 run_fn(u32 n); /* n operations; the TSC cycles they took */

/* How many operations, `least` doubled, take that many cycles, up to `most`. */
static inline u32 sample_size(run_fn *run, u32 cycles, u32 least, u32 most)
{
    u32 n = least;

    run(n);
    while (n < most && run(n) < cycles)
        n *= 2;
    return n;
}

/* Samples of n operations for that many cycles, `most` at the most; the cycles each took. */
static inline void sample(run_fn *run, u32 n, u64 cycles, u32 most, u64 *best, u64 *median)
{
    static u64 samples[MAX_SAMPLES];
    u64 end = rdtsc() + cycles, val;
    u32 count = 0, i;

    while (count < most && (count < MIN_SAMPLES || rdtsc() < end)) {
        val = run(n);
        for (i = count++; i && samples[i - 1] > val; i--)
            samples[i] = samples[i - 1];
        samples[i] = val;
    }
    *best = samples[0];
    *median = samples[count / 2];
}

/* In decimal, at the end of `digits`. */
static inline const char *number_text(u64 val, char digits[MAX_DIGITS])
{
    char *p = digits + MAX_DIGITS;

    *--p = 0;
    do {
        *--p = '0' + divide(&val, 10);
    } while (val);
    return p;
}

#endif
