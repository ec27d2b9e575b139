/*
 * `--stats-interval`: lines of what the counters gained, at intervals of machine time.
 *
 * A line is the difference of two trees of stats.c, name by name, so a name is documented once
 * and the lines of a run add up to its -stats file. Numbers that did not change are left out;
 * those of `gauges` are states, not counts, and stand as they are.
 *
 * The machine's own timer makes them, so the translated code pays nothing. A stopped machine's
 * time stands: no lines.
 */
#include "runtime/machine/series.h"
#include "runtime/base/keyval.h"
#include "runtime/machine/hostclock.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

struct series {
    struct machine *machine;
    struct timer timer;
    FILE *out;
    struct json_object *before; /* the tree at the last line */
    u64 wall;                   /* and the host's time, nanoseconds */
};

/* What a line has as it is; and what is no count, or another counter again. */
static const char *const gauges[] = {"schema", "version",  "engine",  "processor",    "tsc_mhz",
                                     "cache",  "peak_kib", "ram_kib", "guest_seconds"};
static const char *const left_out[] = {"shadow", "dearest"};

static bool is_one_of(const char *name, const char *const *list, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (!strcmp(name, list[i]))
            return true;
    return false;
}

static struct json_object *gain(struct json_object *now, struct json_object *before);

/* NULL: it is no count, or gained nothing. */
static struct json_object *gain_of(struct json_object *now, struct json_object *before)
{
    double seconds;
    u64 count;

    switch (json_object_get_type(now)) {
    case json_type_object:
        return gain(now, before);
    case json_type_int:
        count = json_object_get_uint64(now) - json_object_get_uint64(before);
        return count ? json_object_new_uint64(count) : NULL;
    case json_type_double:
        seconds = json_object_get_double(now) - json_object_get_double(before);
        return seconds > 0 ? stats_seconds(seconds) : NULL;
    default:
        return NULL;
    }
}

/* before: NULL stands for zeros, in every number as in every object. */
static struct json_object *gain(struct json_object *now, struct json_object *before)
{
    struct json_object *o = json_object_new_object();

    json_object_object_foreach(now, name, val)
    {
        struct json_object *was = NULL, *difference;

        if (is_one_of(name, left_out, ARRAY_SIZE(left_out)))
            continue;
        json_object_object_get_ex(before, name, &was);
        difference = is_one_of(name, gauges, ARRAY_SIZE(gauges)) ? json_object_get(val)
                                                                 : gain_of(val, was);
        if (difference)
            json_object_object_add(o, name, difference);
    }
    return o;
}

/* now: the tree; the series keeps it. */
static void series_line(struct series *s, struct json_object *now)
{
    struct json_object *line = gain(now, s->before);
    u64 wall = host_monotonic();

    json_object_object_add(line, "wall_seconds", stats_seconds((double)(wall - s->wall) / 1e9));
    fprintf(s->out, "%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
    fflush(s->out);
    json_object_put(line);
    json_object_put(s->before);
    s->before = now;
    s->wall = wall;
}

static void series_fire(void *owner)
{
    struct series *s = owner;
    struct machine *m = s->machine;

    series_line(s, stats_tree(m));
    timer_set(&s->timer, clock_now(m) + m->options->stats_interval);
}

void series_start(struct machine *m)
{
    const struct options *o = m->options;
    struct series *s;
    const char *path;

    if (!o->stats_interval || m->series)
        return;
    path = keep_format("%s.series", o->stats);
    s = m->series = calloc(1, sizeof(*s));
    check(s, "out of memory");
    s->machine = m;
    s->out = fopen(path, "we");
    if (!s->out)
        die("-stats-interval: %s: %s", path, strerror(errno));
    s->before = json_object_new_object();
    s->wall = host_monotonic();
    timer_init(&s->timer, m, series_fire, s);
    timer_set(&s->timer, clock_now(m) + o->stats_interval);
}

void series_end(struct machine *m, struct json_object *now)
{
    struct series *s = m->series;

    if (!s)
        return;
    timer_cancel(&s->timer);
    series_line(s, json_object_get(now));
    fclose(s->out);
    json_object_put(s->before);
    free(s);
    m->series = NULL;
}
