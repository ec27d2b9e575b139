/* Number types and the time-stamp counter, for programs without a library, and for one with it.
 */
#ifndef BENCH_TSC_H
#define BENCH_TSC_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

static inline u64 rdtsc(void)
{
    u32 low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (u64)high << 32 | low;
}

/* *val /= by, by two divisions of 64 by 32 bits, since there is no libgcc; returns the
 * remainder. */
static inline u32 divide(u64 *val, u32 by)
{
    u32 high = *val >> 32, low = *val, rest;

    __asm__("divl %4" : "=a"(high), "=d"(rest) : "0"(high), "1"(0), "r"(by));
    __asm__("divl %4" : "=a"(low), "=d"(rest) : "0"(low), "1"(rest), "r"(by));
    *val = (u64)high << 32 | low;
    return rest;
}

#endif
