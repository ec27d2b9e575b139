/*
 * The translator's counters (bt/stats.def): a small program in real mode, and what it must
 * count.
 */
#include "bt/bt.h"
#include "bt/tc.h"
#include "cpu/deliver.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/bt/to_hlt.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>

/* mov cx, 5;  1: inc ax;  rdtsc;  rdtsc;  loop 1b;  hlt */
static const u8 program[] = { 0xb9, 5, 0, 0x40, 0x0f, 0x31, 0x0f, 0x31, 0xe2, 0xf9, 0xf4 };

static struct vcpu *run(const u8 *code, u32 size, bool count)
{
    const struct bt_config config = {.cache_size = 1 << 16, .count_runs = count};

    return run_to_hlt(code, size, &config);
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

/* mov si, 5;  1: xor eax, eax;  cpuid;  clts;  invlpg [bx];  mov eax, cr3;  mov eax, cr0;
 * mov cr0, eax;  dec si;  jnz 1b;  mov cr3, eax;  xor eax, 2;  mov cr0, eax;  hlt */
static const u8 leaves[] = {0xbe, 5,    0,    0x66, 0x31, 0xc0, 0x0f, 0xa2, 0x0f,
                            0x06, 0x0f, 0x01, 0x3f, 0x0f, 0x20, 0xd8, 0x0f, 0x20,
                            0xc0, 0x0f, 0x22, 0xc0, 0x4e, 0x75, 0xea, 0x0f, 0x22,
                            0xd8, 0x66, 0x83, 0xf0, 2,    0x0f, 0x22, 0xc0, 0xf4};

/* What C runs and what translated code runs add up to what the guest did. */
TEST(bt_stats, events_that_hardware_would_leave_the_guest_for_are_counted_once)
{
    struct vcpu *cpu = run(leaves, sizeof(leaves), true);
    const struct cpu_stats *s = &cpu->stats;
    const u64 *runs = tc_of(cpu)->runs;

    CHECK_EQ(s->cpuids + runs[RUNS_CPUID], 5);
    CHECK(runs[RUNS_CPUID] >= 3); /* memoised */
    CHECK_EQ(s->clts + runs[RUNS_CLTS], 5);
    CHECK_EQ(s->invlpgs + runs[RUNS_INVLPG], 5);
    CHECK_EQ(s->cr3_reads + runs[RUNS_CR3_READS], 5);
    CHECK_EQ(s->cr3_writes, 1);
    CHECK_EQ(s->cr0_writes, 1); /* those that change nothing are not counted there */
    CHECK_EQ(s->hlts, 1);
    CHECK_EQ(stat_of(cpu, "runs", "invlpg"), runs[RUNS_INVLPG]);
}

TEST(bt_stats, the_cache_is_as_full_as_what_was_made)
{
    struct vcpu *cpu = run_program();

    CHECK_EQ(stat_of(cpu, "tus", NULL) + stat_of(cpu, "dead_tus", NULL),
             stat_of(cpu, "tus", "16"));
    CHECK(stat_of(cpu, "code_bytes", NULL) >= stat_of(cpu, "host_bytes", NULL));
    CHECK(stat_of(cpu, "record_bytes", NULL) > 0);
    CHECK_EQ(stat_of(cpu, "limit_bytes", NULL), 1 << 16);
    bt_flush(cpu->bt);
    CHECK_EQ(stat_of(cpu, "tus", NULL) + stat_of(cpu, "dead_tus", NULL), 0);
    CHECK_EQ(stat_of(cpu, "code_bytes", NULL), 0);
}

TEST(cpu_stats, an_interrupt_that_has_to_wait_for_if_is_a_window)
{
    struct machine *m = rig_new(NULL, NULL)->m;

    cpu_reset(m->cpu);
    cpu_set_intr(m->cpu, true);
    cpu_set_intr(m->cpu, true); /* no other one */
    CHECK_EQ(m->cpu->stats.windows, 1);
    cpu_set_intr(m->cpu, false);
    m->cpu->int_flag = 1;
    cpu_set_intr(m->cpu, true);
    CHECK_EQ(m->cpu->stats.windows, 1);
}

static u32 lines_with(const char *text, const char *what)
{
    u32 n = 0;

    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        const char *at = strstr(text, what);

        n += at && at < end;
    }
    return n;
}

static char *dumped(const struct vcpu *cpu, bool listing)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    bt_dump(cpu, out, listing);
    fclose(out);
    return text;
}

TEST(bt_dump, has_a_line_for_each_tu)
{
    struct vcpu *cpu = run(program, sizeof(program), true);
    char *plain = dumped(cpu, false), *listed = dumped(cpu, true);
    u64 all = stat_of(cpu, "tus", NULL) + stat_of(cpu, "dead_tus", NULL);

    CHECK_EQ(lines_with(plain, "{"), 1 + all);
    CHECK_EQ(lines_with(plain, "\"runs\":"), all);
    CHECK_EQ(lines_with(plain, "\"code\":"), 0);
    CHECK_EQ(lines_with(plain, "\"gpa\":65536,"), 1);
    CHECK_EQ(lines_with(listed, "\"code\":"), stat_of(cpu, "tus", NULL));
    CHECK(strstr(listed, "\"text\":\"inc ax\",\"bytes\":\"40\",\"ident\":true"));
    free(plain);
    free(listed);
}

TEST(bt_stats, the_working_set_is_what_ran_since_the_last_look)
{
    struct vcpu *cpu = run(program, sizeof(program), true);
    u64 first = stat_of(cpu, "touched_tus", NULL);

    CHECK(first >= 2 && first <= stat_of(cpu, "tus", "16"));
    CHECK_EQ(stat_of(cpu, "touched_tus", NULL), 0);
    cpu->eip = 0;
    cpu->requests &= ~(u32)REQ_HALT;
    for (u32 i = 0; i < 100 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(stat_of(cpu, "touched_bytes", NULL) > 0);
    CHECK_EQ(stat_of(run(program, sizeof(program), false), "touched_tus", NULL), ~0ull);
}

TEST(bt_dump, executions_add_up)
{
    struct vcpu *cpu = run(program, sizeof(program), true);
    char *text = dumped(cpu, false);
    u64 runs = 0;

    for (const char *p = text; (p = strstr(p, "\"runs\":")); p += 7)
        runs += strtoull(p + 7, NULL, 10);
    CHECK(runs >= 5);
    CHECK_EQ(runs, stat_of(cpu, "runs", "TUs"));
    free(text);
}

TEST(bt_dump, nothing_without_a_translator)
{
    char *text = dumped(rig_new(NULL, NULL)->m->cpu, true);

    CHECK_EQ(strlen(text), 0);
    free(text);
}
