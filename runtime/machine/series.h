/*
 * `--stats-interval`: what the counters gained, again and again: a JSON object a line in
 * -stats' file name + ".series". See docs/statistics.md.
 */
#ifndef RING3_SERIES_H
#define RING3_SERIES_H

#include "runtime/base/base.h"

/* Makes the file; the first line counts from the start of the process; nothing without that
 * option, or a second time. A file that cannot be made ends the process: a user's mistake. */
void series_start(struct machine *m);
struct json_object;
/* The last line: what came between the one before and the tree `now` (stats_tree()), which
 * stays the caller's. Nothing if no series was started. */
void series_end(struct machine *m, struct json_object *now);

#endif
