/*
 * The translator's counters (stats.def), told one by one, or as text for people.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include <stdlib.h>
#include <string.h>

enum { TOP = 30 }; /* rows of a long table that text shows */

/* ---- What the indices of tables are called ---- */

typedef const char *label_fn(u32 index);

static const char *label_mode(u32 index)
{
    return index ? "32" : "16";
}

static const char *label_number(u32 index)
{
    static const char names[][3] = { "0", "1", "2", "3",  "4",  "5", "6",
                                     "7", "8", "9", "10", "11", "12" };

    static_assert(ARRAY_SIZE(names) == MAX_INSNS + 1, "a name per length");
    return names[index];
}

const char *form_name(u32 form)
{
    static const char *const names[FORMS] = {
        [FORM_ADAPT] = "adapt",
        [FORM_MAPPED] = "mapped",
        [FORM_TABLE] = "table",
        [FORM_CHECKED] = "checked",
        [FORM_MAPPED_UNALIGNED] = "mapped-unaligned",
        [FORM_UNALIGNED] = "unaligned",
        [FORM_CHECKED_UNALIGNED] = "checked-unaligned",
        [FORM_CALLOUT] = "callout",
        [FORM_TRAP] = "trap",
    };

    return form < FORMS ? names[form] : "?";
}

const char *fact_name(u32 number)
{
    static const char *const names[FACTS] = {"unmapped", "unusual",     "misaligned",  "faults",
                                             "patched",  "patched-imm", "patched-disp"};

    return names[number];
}

static const char *label_memo(u32 index)
{
    static const char *const names[MEMO_KINDS] = {"segment load",
                                                  "look at a descriptor",
                                                  "sysenter",
                                                  "sysexit",
                                                  "int",
                                                  "iret",
                                                  "rep movs",
                                                  "rep stos",
                                                  "store to a code page",
                                                  "far transfer",
                                                  "short rep"};

    return names[index];
}

static const char *label_runs(u32 index)
{
    static const char *const names[RUNS_KINDS] = {
        "TUs",   "instructions of these", "near returns", "returns predicted", "invlpg", "clts",
        "cpuid", "reads of CR3"};

    return names[index];
}

/* The least number of so many bits. */
static const char *label_power(u32 index)
{
    static const char *const names[] = {
        "0", "1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048",
        "4096", "8192", "16384", "32768", "65536", "131072", "262144", "524288", "1048576",
        "2097152", "4194304", "8388608", "16777216", "33554432", "67108864", "134217728",
        "268435456", "536870912", "1073741824", "2147483648"};

    static_assert(ARRAY_SIZE(names) == REUSE_BITS + 1, "a name per number of bits");
    return names[index];
}

/* ---- One by one ---- */

static const struct row {
    const char *group, *name, *help;
    size_t offset;
    u32 size; /* 0: not a table */
    label_fn *label;
} rows[] = {
#define GROUP(id, title) { #id, NULL, title, 0, 0, NULL },
#define COUNT(id, help) { NULL, #id, help, offsetof(struct bt_stats, id), 0, NULL },
#define TABLE(id, size, label, help)                                                           \
    { NULL, #id, help, offsetof(struct bt_stats, id), size, label },
#include "bt/stats.def"
#undef GROUP
#undef COUNT
#undef TABLE
};

static const u64 *counter_values(const struct bt *bt, const struct row *r)
{
    return (const u64 *)((const u8 *)&bt->stats + r->offset);
}

/* NULL: no translator. */
static const struct bt *stats_gather(const struct vcpu *cpu)
{
    struct bt *bt = cpu->bt;

    if (bt) {
        memcpy(bt->stats.in_cache, tc_of(cpu)->memo_hits, sizeof(bt->stats.in_cache));
        memcpy(bt->stats.runs, tc_of(cpu)->runs, sizeof(bt->stats.runs));
    }
    return bt;
}

/* By physical address. */
static void each_dearest(const struct bt *bt, engine_stats_fn *fn, void *arg)
{
    struct site_cost top[10];
    u32 n = site_dearest(bt, top, ARRAY_SIZE(top));

    for (u32 i = 0; i < n; i++) {
        struct engine_stat s = {.group = "dearest", .help = "what sites cost"};
        char label[9];

        snprintf(label, sizeof(label), "%08x", top[i].gpa);
        s.label = label;
        s.name = "signals";
        s.value = top[i].signals;
        fn(arg, &s);
        s.name = "translations";
        s.value = top[i].translations;
        fn(arg, &s);
    }
}

/* The working set since somebody asked last. */
static void each_touched(const struct bt *bt, engine_stats_fn *fn, void *arg)
{
    struct engine_stat tus = {"cache", "touched_tus", "TUs that ran since the last look"},
                       bytes = {"cache", "touched_bytes", "bytes of their host code"};

    if (!cache_touched(bt->cpu->bt, &tus.value, &bytes.value))
        return;
    fn(arg, &tus);
    fn(arg, &bytes);
}

/* What the translation cache holds now. Docs: tc.cache. */
static void each_cache(const struct bt *bt, engine_stats_fn *fn, void *arg)
{
    u64 dead = bt->stats.drops - bt->dropped_before;
    const struct engine_stat all[] = {
        {"cache", "tus", "TUs that may run", NULL, bt->tu_count - 1 - dead},
        {"cache", "dead_tus", "TUs that were dropped since the last flush", NULL, dead},
        {"cache", "code_bytes", "bytes of host code, dead TUs' too", NULL, bt->used},
        {"cache", "record_bytes", "bytes of records", NULL, cache_records_size(bt)},
        {"cache", "limit_bytes", "bytes of both at which it grows, or is flushed", NULL,
         bt->limit},
    };

    for (u32 i = 0; i < ARRAY_SIZE(all); i++)
        fn(arg, &all[i]);
    each_touched(bt, fn, arg);
}

u64 bt_insns(const struct vcpu *cpu)
{
    const struct bt *bt = cpu->bt;

    return tc_of(cpu)->runs[RUNS_INSNS] + bt->stats.interpreted;
}

void bt_stats_each(const struct vcpu *cpu, engine_stats_fn *fn, void *arg)
{
    const struct bt *bt = stats_gather(cpu);
    struct engine_stat s = { 0 };

    for (u32 i = 0; bt && i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];

        if (r->group) {
            s.group = r->group;
            continue;
        }
        s.name = r->name;
        s.help = r->help;
        for (u32 k = 0; k < (r->size ? r->size : 1); k++) {
            s.label = r->label ? r->label(k) : NULL;
            s.value = counter_values(bt, r)[k];
            if (s.value || !r->label)
                fn(arg, &s);
        }
    }
    if (!bt)
        return;
    each_cache(bt, fn, arg);
    each_dearest(bt, fn, arg);
}

/* ---- As text ---- */

struct pair {
    u64 value;
    const char *label;
};

static int compare_pairs(const void *a, const void *b)
{
    u64 x = ((const struct pair *)a)->value, y = ((const struct pair *)b)->value;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Long tables by value, the largest first; short ones as they are. */
static void print_table(const u64 *val, const struct row *r, FILE *out)
{
    struct pair *p = calloc(r->size, sizeof(*p));
    u64 total = 0;
    u32 n = 0;

    check(p, "out of memory");
    for (u32 i = 0; i < r->size; i++) {
        if (val[i])
            p[n++] = (struct pair){ val[i], r->label(i) };
        total += val[i];
    }
    if (r->size > TOP)
        qsort(p, n, sizeof(*p), compare_pairs);
    fprintf(out, "  %-14s %12llu  %s\n", r->name, (unsigned long long)total, r->help);
    for (u32 i = 0; i < n && i < TOP; i++)
        fprintf(out, "    %-12s %12llu  %5.1f %%\n", p[i].label, (unsigned long long)p[i].value,
                100.0 * (double)p[i].value / (double)total);
    free(p);
}

/* Counts of one place are comparable; between places they are lower bounds: see adapt.h */
static void print_dearest(const struct bt *bt, FILE *out)
{
    struct site_cost top[10];
    u32 n = site_dearest(bt, top, ARRAY_SIZE(top));

    if (n)
        fprintf(out, "Sites that cost most (physical address, host signals, translations)\n");
    for (u32 i = 0; i < n; i++)
        fprintf(out, "    %08x %12u %12u\n", top[i].gpa, top[i].signals, top[i].translations);
}

void bt_stats_print(const struct vcpu *cpu, FILE *out)
{
    const struct bt *bt = stats_gather(cpu);

    for (u32 i = 0; bt && i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];

        if (r->group)
            fprintf(out, "%s\n", r->help);
        else if (r->size)
            print_table(counter_values(bt, r), r, out);
        else
            fprintf(out, "  %-14s %12llu  %s\n", r->name,
                    (unsigned long long)*counter_values(bt, r), r->help);
    }
    if (bt)
        print_dearest(bt, out);
}

bool bt_in_code(const struct vcpu *cpu, u64 pc)
{
    const struct bt *bt = cpu->bt;

    return bt && pc - (u64)bt->exec < bt->size;
}
