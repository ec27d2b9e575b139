/*
 * Reuse distances of TUs (-tc-reuse N): when one runs again, how many others have run since,
 * and how many bytes of host code they have. From the histogram follows how often a cache of
 * any size, least recently used first, would have missed.
 *
 * One TU in N is looked at, picked by a hash of its number, and distances among these are
 * multiplied by N: spatially sampled, as SHARDS does it (Waldspurger and others, FAST 2015).
 *
 * Those that ran are in a list, the last one first; a distance is how deep one lies in it. The
 * list is walked, so that far distances take longest.
 *
 * bt_reuse_c() runs with the guest's FPU in the registers: this file is compiled for the
 * integer registers alone (CMakeLists.txt), and it calls nothing.
 */
#include "bt/tu.h"

#include <stdlib.h>
#include <sys/mman.h>

struct reuse {
    u32 one_in, last; /* last: number of the TU that ran last; 0: none */
    struct link {
        u32 newer, older; /* 0: none */
        u32 size;         /* bytes of host code; 0: it has not run */
    } *links;            /* by number */
    u64 links_size;
};

bool reuse_init(struct bt *bt, const char **why)
{
    struct reuse *r;

    if (!bt->config.reuse_one_in)
        return true;
    r = bt->reuse = calloc(1, sizeof(*r));
    check(r, "out of memory");
    bt->stats.one_in = r->one_in = bt->config.reuse_one_in;
    r->links_size = bt->size / sizeof(struct tu) * sizeof(*r->links);
    r->links = mmap(NULL, r->links_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *why = "the host gives no memory for reuse distances";
    return r->links != MAP_FAILED;
}

void reuse_free(struct bt *bt)
{
    if (bt->reuse && bt->reuse->links != MAP_FAILED)
        munmap(bt->reuse->links, bt->reuse->links_size);
    free(bt->reuse);
}

void reuse_clear(struct bt *bt)
{
    if (!bt->reuse)
        return;
    madvise(bt->reuse->links, bt->reuse->links_size, MADV_DONTNEED); /* reads zero again */
    bt->reuse->last = 0;
}

/* By a hash: numbers are given in order, and code alternates. */
bool reuse_looks_at(const struct bt *bt, u32 number)
{
    u32 hash = number * 0x9e3779b1u;

    return bt->reuse && (u64)hash * bt->reuse->one_in >> 32 == 0;
}

static u32 bits(u64 val)
{
    u32 n = val ? 64 - (u32)__builtin_clzll(val) : 0;

    return n < REUSE_BITS ? n : REUSE_BITS;
}

static void count_distance(struct bt *bt, const struct reuse *r, u32 number)
{
    u64 tus = 0, bytes = 0;

    for (u32 n = r->last; n != number; n = r->links[n].older) {
        bytes += r->links[n].size;
        tus++;
    }
    bt->stats.distance[bits(tus * r->one_in)]++;
    bt->stats.bytes[bits(bytes * r->one_in)]++;
}

/* Out of its place in the list; it is not the last one. */
static void take_out(const struct reuse *r, const struct link *l)
{
    r->links[l->newer].older = l->older;
    if (l->older)
        r->links[l->older].newer = l->newer;
}

void bt_reuse_c(struct vcpu *cpu, u32 number)
{
    struct bt *bt = cpu->bt;
    struct reuse *r = bt->reuse;
    struct link *l = &r->links[number];

    if (l->size) {
        count_distance(bt, r, number);
        if (r->last == number)
            return;
        take_out(r, l);
    } else {
        bt->stats.first++;
        l->size = bt->tus[number].host_size;
    }
    l->newer = 0;
    l->older = r->last;
    r->links[r->last].newer = r->last ? number : 0;
    r->last = number;
}
