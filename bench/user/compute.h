/*
 * The rows that only compute: the same source runs in user mode on the host and in a guest
 * (bench/user) and, the last one, in kernel mode (bench/nano). Each runs n operations and
 * returns the TSC cycles they took. 32-bit, no libc.
 */
#ifndef BENCH_COMPUTE_H
#define BENCH_COMPUTE_H

#include "bench/user/tsc.h"

static volatile u32 compute_sink;

static inline u32 xorshift(u32 x)
{
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ x << 5;
}

static u64 run_integer(u32 n)
{
    u32 x = 2463534242, sum = 0;
    u64 start = rdtsc();

    while (n--) {
        x = xorshift(x);
        sum += x;
    }
    compute_sink = sum;
    return rdtsc() - start;
}

/* A cycle through 64 KB, one line a step, in an order no prefetcher knows. */
static u64 run_chase(u32 n)
{
    static struct node {
        struct node *next;
        u32 line[15];
    } nodes[1024] __attribute__((aligned(64)));
    struct node *p = nodes;
    u64 start;
    u32 i, at = 0, next;

    if (!p->next) {
        for (i = 0; i < 1024; i++, at = next) {
            next = (at * 421 + 17) & 1023; /* full period: 421 = 1 mod 4, 17 odd */
            nodes[at].next = &nodes[next];
        }
    }
    start = rdtsc();
    while (n--)
        p = p->next;
    compute_sink = (u32)p;
    return rdtsc() - start;
}

static u64 run_copy(u32 n)
{
    static u32 from[1024] __attribute__((aligned(4096))),
        to[1024] __attribute__((aligned(4096)));
    u64 start = rdtsc();

    while (n--) {
        void *d = to, *s = from;
        u32 count = 1024;

        __asm__ volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(count)::"memory");
    }
    return rdtsc() - start;
}

/* Four dependent operations of the x87: multiply, add, divide, subtract. */
static u64 run_float(u32 n)
{
    static volatile double constants[4] = { 1.0000001, 0.25, 1.125, 0.125 };
    double a = constants[0], b = constants[1], c = constants[2], d = constants[3], x = 1.5;
    u64 start = rdtsc();

    while (n--)
        x = (x * a + b) / c - d;
    constants[1] = x > 1e6 ? 0.5 : 0.25;
    return rdtsc() - start;
}

static __attribute__((noinline)) u32 plus_1(u32 x) { return x + 1; }
static __attribute__((noinline)) u32 plus_3(u32 x) { return x + 3; }
static __attribute__((noinline)) u32 times_3(u32 x) { return x * 3; }
static __attribute__((noinline)) u32 inverse(u32 x) { return ~x; }

static u64 run_indirect(u32 n)
{
    static u32 (*volatile table[4])(u32) = { plus_1, plus_3, times_3, inverse };
    u32 x = 1, r = 2463534242;
    u64 start = rdtsc();

    while (n--) {
        r = r * 1664525 + 1013904223;
        x = table[r >> 30](x);
    }
    compute_sink = x;
    return rdtsc() - start;
}

/* Calls of a function by itself; n of them, nearly. */
static __attribute__((noinline, noclone, optimize("O1"))) u32 recurse(u32 n)
{
    return n < 2 ? 1 : recurse(n / 2) + recurse(n - n / 2);
}

static u64 run_recursion(u32 n)
{
    u64 start = rdtsc();

    compute_sink = recurse((n + 1) / 2);
    return rdtsc() - start;
}

/* Arithmetic and memory as a kernel has them: a hash table of chains, looked up and updated.
 * One operation is one look-up: hash, walk, compare, add. */
static u64 run_mixed(u32 n)
{
    enum { BUCKETS = 256, ITEMS = 1024 };
    static struct item {
        struct item *next;
        u32 key, hits, sum;
    } items[ITEMS], *buckets[BUCKETS];
    struct item *p;
    u32 i, key = 1, found = 0;
    u64 start;

    if (!items[0].key) {
        for (i = 0; i < ITEMS; i++) {
            items[i].key = i * 2654435761u | 1;
            items[i].next = buckets[items[i].key >> 24];
            buckets[items[i].key >> 24] = &items[i];
        }
    }
    start = rdtsc();
    while (n--) {
        key = items[(key >> 7) % ITEMS].key + (n & 1) * 2;
        for (p = buckets[key >> 24]; p && p->key != key; p = p->next)
            ;
        if (p) {
            p->hits++;
            p->sum += key ^ n;
            found++;
        }
        key = xorshift(key + n);
    }
    compute_sink = found;
    return rdtsc() - start;
}

#endif
