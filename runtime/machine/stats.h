/*
 * What the processor, the MMU, the bus and the frame count, gathered; and `--stats FILE`.
 */
#ifndef RING3_STATS_H
#define RING3_STATS_H

#include "runtime/base/base.h"

/* The frame's own counters: stats.def. */
struct stats {
#define COUNTER(id, help) u64 id;
#include "runtime/machine/stats.def"
#undef COUNTER
};

typedef void stats_fn(void *arg, const char *name, const char *help, u64 val);
void stats_each(const struct machine *m, stats_fn *fn, void *arg);
void stats_each_of_mmu(const struct machine *m, stats_fn *fn, void *arg);

/* Writes the counters and times as JSON to -stats' file; nothing without that option. */
void stats_write(struct machine *m);

#endif
