/*
 * The translation cache: code memory, and records of what is in it, together no larger than
 * --tc-size. When it is full everything goes at once: nothing points into it but what a flush
 * visits. Without --tc-size it starts small, and doubles instead while what is in it was worth
 * keeping: while most of it is alive, and translating takes more than a small share of the CPU
 * time.
 *
 *   code     one memfd mapped twice, writable here and executable there, filled from the bottom
 *   records  struct tu by number from the bottom; their exits, sites and callouts from the top
 *
 * The stack of host return addresses belongs to it, and is emptied with it.
 */
#include "bt/tu.h"
#include "runtime/base/clock_ns.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
enum { CODE_STEP = 256 << 10, GROW_SHARE = 20 /* of the CPU time, 1/GROW_SHARE */ };
static const u64 FIRST_SIZE = MIB(32), MOST_SIZE = MIB(256);

static bool map_code(struct bt *bt)
{
    bt->fd = memfd_create("translation cache", MFD_CLOEXEC);
    if (bt->fd < 0 || ftruncate(bt->fd, (off_t)bt->size))
        return false;
    bt->write = mmap(NULL, bt->size, PROT_READ | PROT_WRITE, MAP_SHARED, bt->fd, 0);
    bt->exec = mmap(NULL, bt->size, PROT_READ | PROT_EXEC, MAP_SHARED, bt->fd, 0);
    return bt->write != MAP_FAILED && bt->exec != MAP_FAILED;
}

/* As large as the code's, since each may get what the other leaves; the host gives what is
 * touched. */
static bool map_records(struct bt *bt)
{
    void *p = mmap(NULL, bt->size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return false;
    bt->tus = p;
    madvise(p, bt->size, MADV_HUGEPAGE); /* fewer faults as it fills */
    bt->notes = (u8 *)p + bt->size;
    bt->tu_count = 1;
    return true;
}

static u64 runs_size(const struct bt *bt)
{
    return bt->size / sizeof(struct tu) * sizeof(*bt->tu_runs);
}

/* Beside the TUs, since few want them. */
static bool map_runs(struct bt *bt)
{
    u8 *p;

    if (!bt->config.count_runs)
        return true;
    p = mmap(NULL, 2 * runs_size(bt), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    bt->tu_runs = (u64 *)p;
    bt->tu_runs_before = (u64 *)(p + runs_size(bt));
    return true;
}

bool cache_touched(struct bt *bt, u64 *tus, u64 *bytes)
{
    *tus = *bytes = 0;
    for (u32 i = 1; bt->tu_runs && i < bt->tu_count; i++)
        if (bt->tu_runs[i] != bt->tu_runs_before[i]) {
            bt->tu_runs_before[i] = bt->tu_runs[i];
            *bytes += bt->tus[i].host_size;
            ++*tus;
        }
    return bt->tu_runs;
}

/* A guard page below, so that deep recursion faults (fault.c starts the stack over). */
static bool map_stack(struct bt *bt)
{
    u8 *p = mmap(NULL, STACK_SIZE + PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return false;
    bt->stack = p + PAGE_SIZE;
    return !mprotect(bt->stack, STACK_SIZE, PROT_READ | PROT_WRITE);
}

/* An access through an empty spte goes to the guest's address as it is: it must fault there.
 * The address sanitizer keeps its own memory in that range; its builds live with the
 * difference. */
static bool low_memory_free(void)
{
#ifndef __SANITIZE_ADDRESS__
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long long first = 0;
    bool known = maps && fscanf(maps, "%llx", &first) == 1; /* they ascend */

    if (maps)
        fclose(maps);
    return known && first >= GIB(4);
#else
    return true;
#endif
}

static struct moment moment_now(void)
{
    return (struct moment){.tsc = __rdtsc(),
                           .wall = clock_ns(CLOCK_MONOTONIC),
                           .cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID)};
}

/* The thread's CPU time since then, in the TSC's ticks. */
static u64 cpu_ticks_since(const struct moment *then)
{
    struct moment now = moment_now();

    return (u64)((double)(now.tsc - then->tsc) * (double)(now.cpu - then->cpu) /
                 (double)(now.wall - then->wall + 1));
}

bool cache_init(struct bt *bt, const char **why)
{
    if (!low_memory_free()) {
        *why = "something of ours is mapped below 4 GiB, where guest addresses must fault";
        return false;
    }
    bt->size = bt->config.cache_size ? bt->config.cache_size : MOST_SIZE;
    bt->size = (bt->size + 0xffff) & ~0xffffull;
    bt->limit = bt->config.cache_size ? bt->size : FIRST_SIZE;
    /* the machine's thread is not there yet: it begins with no CPU time */
    bt->cleared = (struct moment){.tsc = __rdtsc(), .wall = clock_ns(CLOCK_MONOTONIC)};
    if (map_code(bt) && map_records(bt) && map_runs(bt) && map_stack(bt)) {
        cache_reset_stack(bt);
        return true;
    }
    *why = "the host gives no executable memory";
    return false;
}

void cache_free(struct bt *bt)
{
    if (bt->write && bt->write != MAP_FAILED)
        munmap(bt->write, bt->size);
    if (bt->exec && bt->exec != MAP_FAILED)
        munmap(bt->exec, bt->size);
    if (bt->tus)
        munmap(bt->tus, bt->size);
    if (bt->tu_runs)
        munmap(bt->tu_runs, 2 * runs_size(bt));
    if (bt->stack)
        munmap(bt->stack - PAGE_SIZE, STACK_SIZE + PAGE_SIZE);
    if (bt->fd >= 0)
        close(bt->fd);
}

/* Every word leads to bt_stack_empty, so a RET below the last CALL is a look-up. */
void cache_reset_stack(struct bt *bt)
{
    u64 *word = (u64 *)bt->stack;

    for (u32 i = 0; i < STACK_SIZE / 8; i++)
        word[i] = (u64)bt_stack_empty;
    tc_of(bt->cpu)->stack_top = (u64)bt->stack + STACK_SIZE - 64;
    tc_of(bt->cpu)->rsp = tc_of(bt->cpu)->stack_top;
}

u64 cache_records_size(const struct bt *bt)
{
    return bt->tu_count * sizeof(struct tu) + (u64)((u8 *)bt->tus + bt->size - bt->notes);
}

/* Asks the host for the next pages of code at once, in both mappings: one by one, each is a
 * fault, of 0.2 to 10 us. Linux before 5.14 knows nothing of it. */
static void take_code(struct bt *bt)
{
    u64 end = bt->used + MAX_CCF,
        n = bt->size - bt->taken < CODE_STEP ? bt->size - bt->taken : CODE_STEP;

    if (likely(end <= bt->taken) || !n)
        return;
    madvise(bt->write + bt->taken, n, MADV_POPULATE_WRITE);
    madvise(bt->exec + bt->taken, n, MADV_POPULATE_READ);
    bt->taken += n;
}

/* Most of what was made is alive, and making it was dear. */
static bool worth_keeping(const struct bt *bt)
{
    u64 dead = bt->stats.drops - bt->dropped_before, spent = bt->stats.translate_tsc - bt->spent;

    return dead < bt->tu_count / 2 && spent * GROW_SHARE > cpu_ticks_since(&bt->cleared);
}

static void make_room(struct bt *bt)
{
    if (bt->limit >= bt->size || bt->config.deterministic || !worth_keeping(bt)) {
        bt_flush(bt);
        return;
    }
    bt->limit = bt->limit * 2 < bt->size ? bt->limit * 2 : bt->size;
    bt->stats.grown++;
}

u8 *cache_reserve(struct bt *bt)
{
    if (bt->used + cache_records_size(bt) + MAX_CCF + sizeof(struct tu) + MAX_NOTES > bt->limit)
        make_room(bt);
    take_code(bt);
    return bt->write + bt->used;
}

void cache_commit(struct bt *bt, u32 size)
{
    check(size <= MAX_CCF, "a CCF of %u bytes", size);
    bt->used += (size + 15) & ~15u;
}

void *cache_note(struct bt *bt, u32 size)
{
    bt->notes -= (size + 7) & ~7u;
    return bt->notes;
}

void cache_clear(struct bt *bt)
{
    fallocate(bt->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bt->size);
    madvise(bt->tus, bt->size, MADV_DONTNEED); /* reads zero again */
    if (bt->tu_runs)
        madvise(bt->tu_runs, 2 * runs_size(bt), MADV_DONTNEED);
    bt->notes = (u8 *)bt->tus + bt->size;
    bt->tu_count = 1;
    bt->used = bt->taken = 0;
    bt->cleared = moment_now();
    bt->spent = bt->stats.translate_tsc;
    bt->dropped_before = bt->stats.drops;
    cache_reset_stack(bt);
}
