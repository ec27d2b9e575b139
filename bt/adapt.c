/*
 * What is known of a memory operand by what happened there: innocent until proven guilty. Kept
 * by the physical address of its instruction, so it outlives the TU; a colliding address
 * replaces it.
 *
 * A site that C runs because of what it did is on trial: so many executions in a row that
 * touched nothing but plain, aligned memory bring it back to form table. The next offence then
 * makes it a callout at once, with a trial of twice the length. That ends at MAX_TRIAL, since a
 * relapse costs as much as some hundred callouts: a site that offends more rarely than that is
 * better off in form table, whatever its record.
 *
 * Checked sites stay: the look costs a quarter of a cycle, and what they do is not seen.
 */
#include "bt/tu.h"
#include "cpu/operand.h"

enum { FIRST_TRIAL = 64, MAX_TRIAL = 1024, PATCHES_BEFORE_ALONE = 4 };

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

static u32 history_index(gpa_t gpa)
{
    return (gpa ^ gpa >> 14) % FORM_SIZE;
}

static struct history *history_of(struct bt *bt, gpa_t gpa)
{
    return &bt->history[history_index(gpa)];
}

/* 0: free */
static u32 history_key(gpa_t gpa)
{
    return (u32)gpa + 1;
}

static struct history *history_at(struct bt *bt, gpa_t gpa)
{
    struct history *l = history_of(bt, gpa);

    if (l->gpa != history_key(gpa))
        *l = (struct history){ .gpa = history_key(gpa), .trial = FIRST_TRIAL };
    return l;
}

enum form form_of(struct bt *bt, gpa_t gpa, enum form start)
{
    const struct history *l = history_of(bt, gpa);

    if (bt->config.force_form)
        return (enum form)bt->config.force_form;
    if (l->gpa == history_key(gpa) && l->form > start)
        return (enum form)l->form;
    return start;
}

void form_forget_table(struct bt *bt)
{
    for (struct history *l = bt->history; l < bt->history + FORM_SIZE; l++)
        if (l->form == FORM_TABLE && l->trial == FIRST_TRIAL)
            l->form = FORM_ADAPT;
}

void form_set(struct bt *bt, gpa_t gpa, enum form form)
{
    struct history *l = history_at(bt, gpa);

    bt->stats.adapted[form]++;
    l->form = (u8)form;
    l->traps = 0;
    l->served = 0;
}

u32 form_trap(struct bt *bt, gpa_t gpa)
{
    struct history *l = history_at(bt, gpa);

    return l->traps < 255 ? ++l->traps : 255;
}

void form_patch(struct bt *bt, gpa_t insn, u32 len, gpa_t gpa, u32 n)
{
    struct history *l;

    if (gpa <= insn || gpa + n > insn + len) /* not its operand alone: new code, more likely */
        return;
    l = history_at(bt, insn);
    l->patched += l->patched < PATCHES_BEFORE_ALONE;
}

bool form_patched(const struct bt *bt, gpa_t gpa)
{
    const struct history *l = &bt->history[history_index(gpa)];

    return l->gpa == history_key(gpa) && l->patched == PATCHES_BEFORE_ALONE;
}

bool form_served(struct bt *bt, gpa_t gpa, bool plain)
{
    struct history *l = history_of(bt, gpa);

    if (l->gpa != history_key(gpa))
        return false;
    if (l->form <= FORM_TABLE) /* another TU with this instruction has served it */
        return true;
    l->served = plain ? l->served + 1 : 0;
    if (l->served < l->trial)
        return false;
    bt->stats.adapted[FORM_TABLE]++;
    l->form = FORM_TABLE;
    l->traps = TRAPS_BEFORE_CHANGE - 1;
    l->trial = l->trial < MAX_TRIAL ? l->trial * 2 : MAX_TRIAL;
    return true;
}
