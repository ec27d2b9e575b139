/*
 * How a row is timed, in the guest and on the host: turns of its loop are doubled until a
 * sample takes long enough, then the best and the median of samples. The first runs, in which a
 * translator learns, are not timed.
 */
#ifndef BENCH_PRICES_TIMING_H
#define BENCH_PRICES_TIMING_H

#include "bench/user/sample.h"

enum { WARM_RUNS = 4, WARM_TURNS = 8, MOST_TURNS = 16384 };

static u64 best_of_three(run_fn *run, u32 turns)
{
    u64 best = run(turns), val;

    for (u32 i = 0; i < 2; i++) {
        val = run(turns);
        best = val < best ? val : best;
    }
    return best;
}

/* The turns of a sample of so many cycles. */
static u32 turns_for(run_fn *run, u32 cycles)
{
    u32 turns = 1;

    for (u32 i = 0; i < WARM_RUNS; i++)
        if (run(WARM_TURNS) > (u64)cycles * WARM_TURNS)
            break;
    while (turns < MOST_TURNS && best_of_three(run, turns) < cycles)
        turns *= 2;
    return turns;
}

#endif
