/*
 * The translator's counters (bt/stats.def): a small program in real mode, and what it must
 * count.
 */
#include "bt/bt.h"
#include "bt/tc.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>

/* mov cx, 5;  1: inc ax;  rdtsc;  rdtsc;  loop 1b;  hlt */
static const u8 program[] = { 0xb9, 5, 0, 0x40, 0x0f, 0x31, 0x0f, 0x31, 0xe2, 0xf9, 0xf4 };

static struct vcpu *run(const u8 *code, u32 size, bool count)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { .cache_size = 1 << 16, .count_runs = count };
    const char *why = NULL;

    cpu_reset(m->cpu);
    CHECK(bt_new(m->cpu, &config, &why) != NULL);
    memcpy(mmu_ram(m->mmu) + 0x10000, code, size);
    cpu_load_segment_real(m->cpu, CS, 0x1000);
    m->cpu->eip = 0;
    m->cpu->gpr[ESP] = 0x8000;
    for (u32 i = 0; i < 100 && !(m->cpu->requests & REQ_HALT); i++)
        bt_run(m->cpu);
    CHECK(m->cpu->requests & REQ_HALT);
    return m->cpu;
}

static struct vcpu *run_program(void)
{
    return run(program, sizeof(program), false);
}

struct wanted {
    const char *name, *label;
    u64 value;
};

static void find(void *arg, const struct engine_stat *s)
{
    struct wanted *w = arg;

    if (!strcmp(s->name, w->name) &&
        (w->label ? s->label && !strcmp(s->label, w->label) : !s->label))
        w->value = s->value;
}

static u64 stat_of(const struct vcpu *cpu, const char *name, const char *label)
{
    struct wanted w = { name, label, ~0ull };

    bt_stats_each(cpu, find, &w);
    return w.value;
}

TEST(bt_stats, counts_what_ran)
{
    struct vcpu *cpu = run_program();

    CHECK(stat_of(cpu, "tus", "16") >= 2);
    CHECK_EQ(stat_of(cpu, "tus", "32"), ~0ull); /* none: not told */
    CHECK_EQ(stat_of(cpu, "callout_by", "rdtsc"), 10);
    CHECK(stat_of(cpu, "callouts", NULL) >= 10);
    CHECK(stat_of(cpu, "ident", NULL) >= 2);
    CHECK(stat_of(cpu, "guest_bytes", NULL) >= sizeof(program));
    CHECK(stat_of(cpu, "host_bytes", NULL) > stat_of(cpu, "guest_bytes", NULL));
    CHECK_EQ(stat_of(cpu, "flushes", NULL), 0);
}

TEST(bt_stats, text_names_callouts)
{
    struct vcpu *cpu = run_program();
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    tc_of(cpu)->memo_hits[0] += 4711;
    bt_stats_print(cpu, out);
    fclose(out);
    CHECK(strstr(text, "rdtsc") && strstr(text, "Host signals"));
    CHECK(strstr(text, "4711")); /* what is done without C is counted elsewhere */
    free(text);
}

TEST(bt_stats, nothing_without_a_translator)
{
    struct machine *m = rig_new(NULL, NULL)->m;

    CHECK_EQ(stat_of(m->cpu, "callouts", NULL), ~0ull);
}

TEST(bt_stats, runs_are_counted_when_asked_for)
{
    /* mov cx, 5;  1: call 2f;  loop 1b;  hlt;  2: ret */
    static const u8 calls[] = { 0xb9, 5, 0, 0xe8, 3, 0, 0xe2, 0xfb, 0xf4, 0xc3 };
    struct vcpu *cpu = run(calls, sizeof(calls), true);

    CHECK_EQ(stat_of(cpu, "runs", "near returns"), 5);
    /* the first call was not chained yet */
    CHECK(stat_of(cpu, "runs", "returns predicted") >= 4);
    CHECK_EQ(stat_of(cpu, "runs", "instructions of these"), 1 + 3 * 5 + 1);
    cpu = run(calls, sizeof(calls), false);
    CHECK_EQ(stat_of(cpu, "runs", "near returns"), ~0ull);
}
