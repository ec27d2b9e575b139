/*
 * What is known of a memory operand by what happened there: innocent until proven guilty.
 *
 * A site that C runs because of its facts is on trial: so many executions in a row in which
 * nothing of the kind happened, and they are forgotten. The next offence then makes it a
 * callout at once, with a trial of twice the length. That ends at MAX_TRIAL, since a relapse
 * costs as much as some hundred callouts: a site that offends more rarely than that is better
 * off without the facts, whatever its record. The same holds for one that is overwritten again
 * and again, but its trial has one length: as many callouts as cost about what a translation
 * does. Where only an immediate or a displacement is, it is read from memory for good.
 *
 * Checked sites stay: the look costs a quarter of a cycle, and what they do is not seen.
 *
 * So each fact costs a site a bounded number of signals and translations for so many
 * executions, whatever the guest does. A full set of the table forgets the one that was there
 * first.
 */
#include "bt/emit.h"
#include "bt/tu.h"
#include "cpu/operand.h"

#include <string.h>

enum { FIRST_TRIAL = 64, MAX_TRIAL = 1024, PATCHED_TRIALS = 4, WRITES_BEFORE_PATCHED = 4 };

static bool stack_misaligned(const struct vcpu *cpu, const struct insn *in)
{
    return cpu_ops[in->mnem].attr & OP_STACK &&
           (cpu->seg[SS].base + cpu->gpr[ESP]) & (in->opsize - 1u);
}

bool operand_misaligned(const struct vcpu *cpu, const struct insn *in)
{
    const struct operand *m = insn_memory(in);

    return stack_misaligned(cpu, in) ||
           (m && m->size <= 8 &&
            (cpu->seg[in->seg].base + insn_offset(cpu, in)) & (m->size - 1u));
}

bool operand_likely_misaligned(const struct vcpu *cpu, const struct insn *in)
{
    bool frame = in->base == ESP || (in->base == EBP && in->addrsize == 2),
         fixed = in->base == NO_REG;

    if (in->index == NO_REG && (frame || fixed))
        return operand_misaligned(cpu, in);
    return stack_misaligned(cpu, in);
}

static bool load_unusual(const struct vcpu *cpu, u8 seg, u32 offset)
{
    return (i64)cpu->shadow[(cpu->seg[seg].base + offset) >> PAGE_SHIFT] < 0;
}

/* The TU's own page may become a code page only with it. */
static bool store_unusual(const struct vcpu *cpu, u8 seg, u32 offset)
{
    u32 page = (cpu->seg[seg].base + offset) >> PAGE_SHIFT;

    return (i64)cpu->shadow[SHADOW_WRITE + page] < 0 ||
           page == (cpu->seg[CS].base + cpu->eip) >> PAGE_SHIFT;
}

static bool push_unusual(const struct vcpu *cpu, const struct insn *in)
{
    u32 mask = cpu_stack_mask(cpu);

    return cpu_ops[in->mnem].attr & OP_STACK &&
           (cpu_ops[in->mnem].attr & OP_STORES || in->mnem == ZYDIS_MNEMONIC_CALL) &&
           store_unusual(cpu, SS, (cpu->gpr[ESP] - in->opsize) & mask);
}

static bool string_unusual(const struct vcpu *cpu, const struct insn *in)
{
    return cpu_ops[in->mnem].attr & OP_STRING && cpu_ops[in->mnem].attr & OP_STORES &&
           store_unusual(cpu, ES, cpu->gpr[EDI] & addr_mask(in));
}

bool operand_likely_unusual(const struct vcpu *cpu, const struct insn *in)
{
    u32 offset = insn_memory(in) ? insn_offset(cpu, in) : 0;
    bool stores = xl_stores(in) && in->mnem != ZYDIS_MNEMONIC_PUSH; /* its operand is loaded */

    if (insn_memory(in) && (stores ? store_unusual : load_unusual)(cpu, in->seg, offset))
        return true;
    return push_unusual(cpu, in) || string_unusual(cpu, in);
}

/* ---- Facts ---- */

static struct site_record *set_of(const struct bt *bt, gpa_t gpa)
{
    return (struct site_record *)bt->records[(u32)gpa * 0x9e3779b1u >> (32 - SITE_BITS)];
}

/* 0: free */
static u32 record_key(gpa_t gpa)
{
    return (u32)gpa + 1;
}

/* NULL: nothing is known. */
static struct site_record *record_of(const struct bt *bt, gpa_t gpa)
{
    struct site_record *set = set_of(bt, gpa);

    for (u32 i = 0; i < SITE_WAYS; i++)
        if (set[i].gpa == record_key(gpa))
            return &set[i];
    return NULL;
}

static struct site_record *record_made(struct bt *bt, gpa_t gpa)
{
    struct site_record *set = set_of(bt, gpa), *r = record_of(bt, gpa);

    if (r)
        return r;
    memmove(set + 1, set, (SITE_WAYS - 1) * sizeof(*set));
    *set = (struct site_record){.gpa = record_key(gpa), .trial = FIRST_TRIAL};
    return set;
}

u8 site_facts(const struct bt *bt, gpa_t gpa)
{
    const struct site_record *r = record_of(bt, gpa);

    return r ? r->facts : 0;
}

void site_learn(struct bt *bt, gpa_t gpa, enum fact fact)
{
    struct site_record *r = record_made(bt, gpa);

    bt->stats.learnt[__builtin_ctz(fact)] += !(r->facts & fact);
    r->facts |= fact;
    r->traps = 0;
    r->served = 0;
}

u32 site_trap(struct bt *bt, gpa_t gpa)
{
    struct site_record *r = record_made(bt, gpa);

    return r->traps < 255 ? ++r->traps : 255;
}

u32 site_miss(struct bt *bt, gpa_t gpa)
{
    struct site_record *r = record_made(bt, gpa);

    if (r->tick != (u8)bt->ticks)
        r->traps = 0;
    r->tick = (u8)bt->ticks;
    return site_trap(bt, gpa);
}

void site_overwritten(struct bt *bt, gpa_t gpa, enum fact what)
{
    struct site_record *r = record_made(bt, gpa);

    if (r->facts & FACT_PATCHED || ++r->writes < WRITES_BEFORE_PATCHED)
        return;
    if (r->facts & what) /* it did not help */
        what = FACT_PATCHED;
    site_learn(bt, gpa, what);
    r->writes = 0;
}

static u32 patched_trial(const struct site_record *r)
{
    return r->trial * PATCHED_TRIALS;
}

static void forget(struct bt *bt, struct site_record *r, u8 facts)
{
    r->facts &= (u8)~facts;
    r->served = 0;
    r->trial = r->trial < MAX_TRIAL ? r->trial * 2 : MAX_TRIAL;
    bt->stats.forgotten++;
}

static void forget_patched(struct bt *bt, struct site_record *r)
{
    forget(bt, r, FACT_PATCHED);
    r->writes = WRITES_BEFORE_PATCHED - 1;
}

static bool served(struct site_record *r, bool innocent, u32 trial)
{
    r->served = innocent ? r->served + 1 : 0;
    return r->served >= trial;
}

bool site_served(struct bt *bt, gpa_t gpa, bool innocent)
{
    struct site_record *r = record_of(bt, gpa);

    if (!r)
        return false;
    if (!(r->facts & FACTS_OF_OPERAND)) /* another TU with this instruction has served it */
        return true;
    if (!served(r, innocent, r->trial))
        return false;
    forget(bt, r, FACTS_OF_OPERAND);
    r->traps = TRAPS_BEFORE_CHANGE - 1;
    return true;
}

bool site_stayed(struct bt *bt, gpa_t gpa, bool same)
{
    struct site_record *r = record_of(bt, gpa);

    if (!r)
        return false;
    if (!(r->facts & FACT_PATCHED))
        return true;
    if (!served(r, same, patched_trial(r)))
        return false;
    forget_patched(bt, r);
    return true;
}

u32 site_trial(const struct bt *bt, gpa_t gpa)
{
    const struct site_record *r = record_of(bt, gpa);

    return r ? patched_trial(r) : FIRST_TRIAL;
}

void site_settled(struct bt *bt, gpa_t gpa)
{
    struct site_record *r = record_of(bt, gpa);

    if (r && r->facts & FACT_PATCHED)
        forget_patched(bt, r);
}

/* ---- What sites cost ---- */

/* The place of a site's count; or a place to which it has come once more, but is not its own.
 */
static struct site_cost *cost_of(struct bt *bt, gpa_t gpa)
{
    struct site_cost *c = &bt->costs[(gpa ^ gpa >> 12) % COST_SIZE];

    if (c->gpa == (u32)gpa || !c->rank)
        c->gpa = (u32)gpa;
    else if (!--c->rank)
        *c = (struct site_cost){.gpa = (u32)gpa};
    return c;
}

static bool count_cost(struct site_cost *c, gpa_t gpa)
{
    if (c->gpa != (u32)gpa)
        return false;
    c->rank++;
    return true;
}

void site_count_signal(struct bt *bt, gpa_t gpa)
{
    struct site_cost *c = cost_of(bt, gpa);

    c->signals += count_cost(c, gpa);
}

void site_count_translation(struct bt *bt, gpa_t gpa)
{
    struct site_cost *c = cost_of(bt, gpa);

    c->translations += count_cost(c, gpa);
}

static u64 price(const struct site_cost *c)
{
    return (u64)c->signals + c->translations;
}

u32 site_dearest(const struct bt *bt, struct site_cost *to, u32 n)
{
    u32 count = 0;

    for (const struct site_cost *c = bt->costs; c < bt->costs + COST_SIZE; c++) {
        u32 at = count;

        while (at && price(&to[at - 1]) < price(c))
            at--;
        if (!price(c) || at == n)
            continue;
        count += count < n;
        memmove(to + at + 1, to + at, (count - 1 - at) * sizeof(*to));
        to[at] = *c;
    }
    return count;
}
