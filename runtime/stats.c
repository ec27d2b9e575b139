/*
 * `--stats FILE`: the counters of stats.def and what the run cost the host, as JSON.
 */
#include "bt/bt.h"
#include "runtime/frontend.h"

#include <json-c/json.h>
#include <sys/resource.h>

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void add_number(struct json_object *o, const char *name, double val)
{
    json_object_object_add(o, name, json_object_new_double(val));
}

static struct json_object *counters(const struct stats *stats)
{
    struct json_object *o = json_object_new_object();

#define COUNTER(id, help) json_object_object_add(o, #id, json_object_new_uint64(stats->id));
#include "runtime/stats.def"
#undef COUNTER
    return o;
}

static struct json_object *host(struct machine *m)
{
    struct json_object *o = json_object_new_object();
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    add_number(o, "guest_seconds", (double)clock_now(m) / 1e9);
    add_number(o, "user_seconds", seconds(&used.ru_utime));
    add_number(o, "system_seconds", seconds(&used.ru_stime));
    json_object_object_add(o, "peak_kib", json_object_new_int64(used.ru_maxrss));
    json_object_object_add(o, "ram_kib", json_object_new_uint64(mmu_ram_size(m->mmu) >> 10));
    return o;
}

/* ---- The translator's section ---- */

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *m;

    if (!json_object_object_get_ex(o, name, &m)) {
        m = json_object_new_object();
        json_object_object_add(o, name, m);
    }
    return m;
}

static void add_stat(void *arg, const struct bt_stat *s)
{
    struct json_object *o = member(arg, s->group);

    if (s->label)
        o = member(o, s->name);
    json_object_object_add(o, s->label ? s->label : s->name, json_object_new_uint64(s->value));
}

static void add_seconds(void *arg, const char *name, double val)
{
    add_number(arg, name, val);
}

/* The counters of bt/stats.def, those of stats.def that tell of the shadow, and where time went. */
static struct json_object *translator(struct machine *m)
{
    struct json_object *o = json_object_new_object(), *shadow = member(o, "shadow");

#define SHADOW(id, help) json_object_object_add(shadow, #id, json_object_new_uint64(m->stats.id));
#define COUNTER(id, help)
#include "runtime/stats.def"
#undef COUNTER
    bt_stats_each(m->cpu, add_stat, o);
    sampler_each(m, add_seconds, member(o, "seconds"));
    return o;
}

void stats_write(struct machine *m)
{
    struct json_object *o;

    if (!m->options->stats)
        return;
    m->stats.insns_interpreted = m->cpu->insns;
    o = json_object_new_object();
    json_object_object_add(o, "version", json_object_new_string(RING3_VERSION));
    json_object_object_add(o, "host", host(m));
    json_object_object_add(o, "counters", counters(&m->stats));
    json_object_object_add(o, "tc", translator(m));
    if (json_object_to_file_ext(m->options->stats, o, JSON_C_TO_STRING_PRETTY))
        warn("--stats %s: %s", m->options->stats, json_util_get_last_err());
    json_object_put(o);
}
