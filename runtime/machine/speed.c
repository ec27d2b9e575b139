/*
 * How fast the guest runs at most.
 *
 * It runs for a slice, a fraction of a millisecond, and then stands for as long as a machine of
 * that speed would have needed more:
 *
 *   owed += instructions / rate - time run        (or, for a share of the host's speed, from
 * the time alone)
 *
 * Instructions are counted by translated code itself (as with -tc-count), so the result does
 * not depend on what the guest does or how quick the host is; and as both are machine time,
 * from which time the host took away is missing, it does not depend on how busy the host is
 * either. Time the guest waits by itself (HLT) is not counted. A guest slower than its limit
 * earns some credit, not more.
 *
 * What named machines did is near what Intel published for typical code of its processors; those it
 * did not make or name go by their clock. Nothing was measured on such a machine. A guest that
 * uses one kind of instruction only will differ, as it did then.
 */
#include "runtime/machine/speed.h"
#include "runtime/machine/clock.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FULL = 1000, LEAST_PERMILLE = 1 };
#define LONGEST    USEC(500) /* a slice, and what is owed after one, about */
#define SHORTEST   USEC(20)
#define CREDIT     MSEC(20)
#define MOST_OWED  SEC(2)
#define LEAST_RATE 100000ull

/* ---- What users write ---- */

static const struct known {
    const char *name;
    u32 kips; /* thousands of instructions a second */
} known[] = {
    {"8088-4.77", 330},      {"8086-8", 660},         {"286-8", 1200},
    {"286-12", 2660},        {"386SX-16", 2500},      {"386DX-16", 5500},
    {"386DX-20", 6500},      {"386DX-25", 8500},      {"386DX-33", 11400},
    {"386DX-40", 13800},     {"486SX-25", 20000},     {"486SX-33", 27000},
    {"486DX-25", 20000},     {"486DX-33", 27000},     {"486DX-50", 41000},
    {"486DX2-50", 41000},    {"486DX2-66", 54000},    {"486DX4-75", 53000},
    {"486DX4-100", 70700},   {"Pentium 60", 100000},  {"Pentium 66", 112000},
    {"Pentium 75", 126500},  {"Pentium 90", 149800},  {"Pentium 100", 166300},
    {"Pentium 120", 203000}, {"Pentium 133", 218900}, {"Pentium 166", 276000},
    {"Pentium 200", 330000},
};

/* Letters and digits alone, so that "Pentium-133", "pentium 133" and "i486dx2/66" are the same.
 */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a && !isalnum((unsigned char)*a) && *a != '.')
            a++;
        while (*b && !isalnum((unsigned char)*b) && *b != '.')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

/* Instructions a clock, times 100, by CPUID's family. */
static u32 per_clock(u32 family)
{
    return family <= 3 ? 34 : family == 4 ? 82 : 165;
}

bool speed_parse(const char *text, u32 family, u32 *permille, u64 *rate)
{
    char *end;
    double number = strtod(text, &end);

    *permille = 0;
    *rate = 0;
    if (end != text && !strcmp(end, "%") && number >= 0.1 && number <= 100) {
        *permille = (u32)(number * 10 + 0.5);
        return true;
    }
    end += *end == ' ';
    if (end != text && !strcasecmp(end, "MHz") && number >= 1 && number <= 100000) {
        *rate = (u64)(number * 1e4 * per_clock(family));
        return true;
    }
    for (u32 i = 0; i < ARRAY_SIZE(known); i++)
        if (same_name(text, known[i].name) ||
            (tolower((unsigned char)*text) == 'i' && same_name(text + 1, known[i].name))) {
            *rate = known[i].kips * 1000ull;
            return true;
        }
    return false;
}

void speed_list(FILE *out)
{
    fprintf(out, "NN%%  NNMHz\n");
    for (u32 i = 0; i < ARRAY_SIZE(known); i++)
        fprintf(out, "%-12s %6.1f million instructions a second\n", known[i].name,
                known[i].kips / 1e3);
}

/* ---- While the guest runs ---- */

static bool limited(const struct speed *s)
{
    return s->rate || (s->permille && s->permille < FULL);
}

static u64 instructions(const struct machine *m)
{
    return m->cpu->engine->insns ? m->cpu->engine->insns(m->cpu) : 0;
}

void speed_before(struct machine *m)
{
    if (!limited(&m->speed))
        return;
    m->speed.began = clock_now(m);
    m->speed.counted = instructions(m);
}

void speed_after(struct machine *m)
{
    struct speed *s = &m->speed;
    u64 ran, insns;

    if (!limited(s))
        return;
    ran = clock_now(m) - s->began;
    insns = instructions(m) - s->counted;
    s->insns += insns;
    s->ran += ran;
    if (ran >
        SHORTEST / 4) { /* what it does unhindered, about; rather too much, for short slices */
        double now = (double)insns * SEC(1) / (double)ran;

        s->quick = now > s->quick ? now : s->quick - (s->quick - now) / 16;
    }
    if (s->rate)
        s->owed += (i64)((double)insns * SEC(1) / (double)s->rate) - (i64)ran;
    else
        s->owed += (i64)(ran * (FULL - s->permille) / s->permille);
    if (s->owed < -(i64)CREDIT)
        s->owed = -(i64)CREDIT;
    if (s->owed > (i64)MOST_OWED)
        s->owed = (i64)MOST_OWED;
}

/* So long that what is owed afterwards is about LONGEST. */
u64 speed_slice(struct machine *m)
{
    struct speed *s = &m->speed;
    double slower; /* than the host: how many times */
    u64 slice;

    if (!limited(s))
        return ~0ull;
    slower = !s->rate   ? (double)FULL / s->permille
             : s->quick ? s->quick / (double)s->rate
                        : 1000;
    slice = (u64)(LONGEST / (slower > 1 ? slower : 1));
    return clock_now(m) + (slice < SHORTEST ? SHORTEST : slice);
}

bool speed_stand(struct machine *m, u64 next)
{
    struct speed *s = &m->speed;
    u64 start, sleep;

    if (!limited(s) || s->owed <= 0 || m->clock_manual)
        return false;
    start = clock_now(m);
    sleep = (u64)s->owed < next ? (u64)s->owed : next;
    sampler_idle(m, true);
    loop_poll(m, sleep);
    sampler_idle(m, false);
    sleep = clock_now(m) - start;
    s->owed -= (i64)sleep;
    s->ran += sleep;
    return true;
}

/* ---- Changes ---- */

static void restart(struct speed *s)
{
    s->owed = 0;
    s->ran = s->insns = 0;
}

static void say_limit(const struct speed *s, char *said, size_t size)
{
    if (s->rate)
        snprintf(said, size, "%.1f MIPS", (double)s->rate / 1e6);
    else if (limited(s))
        snprintf(said, size, "%.1f%%", s->permille / 10.0);
    else
        snprintf(said, size, "full");
}

void speed_change(struct machine *m, int step, char *said, size_t size)
{
    struct speed *s = &m->speed;

    if (!step) {
        s->rate = 0;
        s->permille = FULL;
    } else if (s->rate) {
        s->rate = step > 0 ? s->rate * 5 / 4 : s->rate * 4 / 5;
        s->rate = s->rate < LEAST_RATE ? LEAST_RATE : s->rate;
    } else {
        u32 p = s->permille ? s->permille : FULL;

        p = step > 0 ? p * 5 / 4 + 1 : p * 4 / 5;
        s->permille = p < LEAST_PERMILLE ? LEAST_PERMILLE : p > FULL ? FULL : p;
    }
    restart(s);
    say_limit(s, said, size);
}

void speed_tell(struct machine *m, FILE *out)
{
    struct speed *s = &m->speed;
    char limit[32];

    say_limit(s, limit, sizeof(limit));
    fprintf(out, "limit: %s", limit);
    if (limited(s) && s->ran && m->cpu->engine->insns && m->options->tc_count)
        fprintf(out, ", reached: %.1f MIPS while the guest did not wait",
                (double)s->insns * 1e3 / (double)s->ran);
    fprintf(out, "\n");
    s->ran = s->insns = 0;
}
