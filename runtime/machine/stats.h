/*
 * What the processor, the MMU, the bus and the frame count, gathered; and `--stats FILE`.
 * Names, meanings and units are in docs/statistics.md.
 */
#ifndef RING3_STATS_H
#define RING3_STATS_H

#include "runtime/base/base.h"

/* The tree's version: another number when a name goes or means something else, the same when
 * one is added. */
enum { STATS_SCHEMA = 1 };

/* The frame's own counters: stats.def. */
struct stats {
#define COUNTER(id, help) u64 id;
#include "runtime/machine/stats.def"
#undef COUNTER
};

typedef void stats_fn(void *arg, const char *name, const char *help, u64 val);
void stats_each(const struct machine *m, stats_fn *fn, void *arg);
void stats_each_of_mmu(const struct machine *m, stats_fn *fn, void *arg);

struct json_object;
/* All of it, as -stats writes it: docs/statistics.md. The caller's, by json_object_put(). */
struct json_object *stats_tree(struct machine *m);
struct json_object *stats_seconds(double val); /* a number of it, to the microsecond */
/* Writes the tree to -stats' file; nothing without that option. */
void stats_write(struct machine *m);

#endif
