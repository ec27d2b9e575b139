/*
 * A clock of the host's, in nanoseconds (clock_gettime(2)).
 */
#ifndef RING3_CLOCK_NS_H
#define RING3_CLOCK_NS_H

#include "runtime/base/base.h"

#include <time.h>

static inline u64 clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return SEC((u64)ts.tv_sec) + (u64)ts.tv_nsec;
}

#endif
