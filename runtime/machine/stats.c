/*
 * `--stats FILE`: the counters of stats.def and what the run cost the host, as JSON.
 */
#include "runtime/machine/stats.h"
#include "runtime/machine/host.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"
#include "runtime/machine/series.h"

#include <json-c/json.h>
#include <sys/resource.h>

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

struct json_object *stats_seconds(double val)
{
    char text[32];

    snprintf(text, sizeof(text), "%.6f", val);
    return json_object_new_double_s(val, text);
}

static void add_number(struct json_object *o, const char *name, double val)
{
    json_object_object_add(o, name, stats_seconds(val));
}

/* Gathered from those who count. */
void stats_each(const struct machine *m, stats_fn *fn, void *arg)
{
    fn(arg, "insns_interpreted", "instructions run by the interpreter", m->cpu->insns);
#define COUNTER(id, help) fn(arg, #id, help, m->cpu->stats.id);
#include "cpu/stats.def"
#undef COUNTER
    stats_each_of_mmu(m, fn, arg);
#define COUNTER(id, help) fn(arg, #id, help, bus_stats(m->bus)->id);
#include "devices/stats.def"
#undef COUNTER
#define COUNTER(id, help) fn(arg, #id, help, m->stats.id);
#include "runtime/machine/stats.def"
#undef COUNTER
}

void stats_each_of_mmu(const struct machine *m, stats_fn *fn, void *arg)
{
#define COUNTER(id, help) fn(arg, #id, help, mmu_stats(m->mmu)->id);
#include "mmu/stats.def"
#undef COUNTER
}

static void add_counter(void *o, const char *name, const char *help, u64 val)
{
    json_object_object_add(o, name, json_object_new_uint64(val));
}

static struct json_object *host_numbers(struct machine *m)
{
    struct json_object *o = json_object_new_object();
    struct rusage used;
    static _Thread_local char processor[5 * 64 + 8]; /* it stays the same */

    getrusage(RUSAGE_SELF, &used);
    if (!*processor)
        host_processor(processor, sizeof(processor));
    json_object_object_add(o, "processor", json_object_new_string(processor));
    if (m->host_clock.rate)
        json_object_object_add(o, "tsc_mhz",
                               json_object_new_uint64((1000ull << 32) / m->host_clock.rate));
    add_number(o, "guest_seconds", (double)clock_now(m) / 1e9);
    add_number(o, "user_seconds", seconds(&used.ru_utime));
    add_number(o, "system_seconds", seconds(&used.ru_stime));
    json_object_object_add(o, "peak_kib", json_object_new_int64(used.ru_maxrss));
    json_object_object_add(o, "ram_kib", json_object_new_uint64(mmu_ram_size(m->mmu) >> 10));
    return o;
}

/* ---- The translator's section ---- */

static struct json_object *member_object(struct json_object *o, const char *name)
{
    struct json_object *m;

    if (!json_object_object_get_ex(o, name, &m)) {
        m = json_object_new_object();
        json_object_object_add(o, name, m);
    }
    return m;
}

static void add_stat(void *arg, const struct engine_stat *s)
{
    struct json_object *o = member_object(arg, s->group);

    if (s->label)
        o = member_object(o, s->name);
    json_object_object_add(o, s->label ? s->label : s->name, json_object_new_uint64(s->value));
}

static void add_seconds(void *arg, const char *name, double val)
{
    add_number(arg, name, val);
}

/* The counters of bt/stats.def, those of the shadow, and where time went. */
static struct json_object *translator(struct machine *m)
{
    struct json_object *o = json_object_new_object(), *shadow = member_object(o, "shadow");

    stats_each_of_mmu(m, add_counter, shadow);
    if (m->cpu->engine->stats_each)
        m->cpu->engine->stats_each(m->cpu, add_stat, o);
    sampler_each(m, add_seconds, member_object(o, "seconds"));
    return o;
}

struct json_object *stats_tree(struct machine *m)
{
    struct json_object *o = json_object_new_object(), *counters = json_object_new_object();

    stats_each(m, add_counter, counters);
    json_object_object_add(o, "schema", json_object_new_int(STATS_SCHEMA));
    json_object_object_add(o, "version", json_object_new_string(RING3_VERSION));
    json_object_object_add(o, "engine", json_object_new_string(m->cpu->engine->name));
    json_object_object_add(o, "host", host_numbers(m));
    json_object_object_add(o, "counters", counters);
    json_object_object_add(o, "tc", translator(m));
    return o;
}

void stats_write(struct machine *m)
{
    struct json_object *o;

    if (!m->options->stats)
        return;
    o = stats_tree(m);
    series_end(m, o);
    if (json_object_to_file_ext(m->options->stats, o, JSON_C_TO_STRING_PRETTY))
        warn("--stats %s: %s", m->options->stats, json_util_get_last_err());
    json_object_put(o);
}
