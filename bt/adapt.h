/*
 * Forms of memory operands, and what is remembered of what happened there (adapt.c). Private to
 * bt/.
 */
#ifndef RING3_BT_ADAPT_H
#define RING3_BT_ADAPT_H

#include "cpu/insn.h"

struct bt;

/* How a memory operand is reached. */
enum form {
    FORM_ADAPT,
    FORM_MAPPED,  /* by gs:[address]; but the supervisor's stores by the table */
    FORM_TABLE,   /* the spte as it is; anything unusual faults */
    FORM_CHECKED, /* spte and alignment looked at first; unusual: callout. No fault ever */
    /* by gs:[address], misaligned ones, too; but the supervisor's stores as in unaligned */
    FORM_MAPPED_UNALIGNED,
    /* by the table, but misaligned operands are in order: the sptes of both ends must be one */
    FORM_UNALIGNED,
    FORM_CHECKED_UNALIGNED, /* so they are, and the spte is looked at first */
    FORM_CALLOUT,           /* C runs the instruction */
    FORM_TRAP,              /* so it does, once the host has trapped: xl_trap.c */
    FORMS,
};

/*
 * What is known of a site, by what happened there: a set of facts, each learnt at most once
 * until it is forgotten. Together they say which form the site takes. Kept by the physical
 * address of the instruction, so they outlive the TU.
 */
enum fact {
    FACT_UNMAPPED = 1, /* it found nothing in its direct or user map, and would not next time */
    FACT_UNUSUAL = 2, /* its operand was write-protected, a device's, or absent several times */
    FACT_MISALIGNED = 4,    /* it was misaligned */
    FACT_FAULTS = 8,        /* a divide error, more than once */
    FACT_PATCHED = 16,      /* the guest overwrites it again and again */
    FACT_PATCHED_IMM = 32,  /* but only its immediate; */
    FACT_PATCHED_DISP = 64, /* or its displacement, or both (xl_patched.c) */
    FACTS = 7,              /* how many */
    FACTS_OF_PATCHES = FACT_PATCHED | FACT_PATCHED_IMM | FACT_PATCHED_DISP,
    FACTS_OF_OPERAND = FACT_UNUSUAL | FACT_MISALIGNED | FACT_FAULTS,
};

u8 site_facts(const struct bt *bt, gpa_t gpa);
void site_learn(struct bt *bt, gpa_t gpa, enum fact fact);
/* Is its operand, or the top of the stack that it uses, misaligned? */
bool operand_misaligned(const struct vcpu *cpu, const struct insn *in);
/* The same by registers as they are before the TU it is in, if those it uses are likely to stay
 * as odd. */
bool operand_likely_misaligned(const struct vcpu *cpu, const struct insn *in);
/* Would its operand, or what it pushes, be write-protected or a device's, by registers as they
 * are before the TU it is in? A signal for each site is dear where code and data share pages.
 */
bool operand_likely_unusual(const struct vcpu *cpu, const struct insn *in);
/* A host signal at the site: counts; how many since it learnt last, 255 at most. */
u32 site_trap(struct bt *bt, gpa_t gpa);
/* The same, since the last tick: it missed a user map. */
u32 site_miss(struct bt *bt, gpa_t gpa);
/* The guest has overwritten bytes of the instruction, and little else: what they are is
 * FACT_PATCHED, or a field that could be read where it stands. */
void site_overwritten(struct bt *bt, gpa_t gpa, enum fact what);
/*
 * C has run a site because of its facts, and saw nothing of the kind (`innocent`), or
 * something. After so many times in a row the facts are forgotten: true, the TU is to be made
 * again.
 */
bool site_served(struct bt *bt, gpa_t gpa, bool innocent);
/* The same of FACT_PATCHED: C has found what it found before, or something else. */
bool site_stayed(struct bt *bt, gpa_t gpa, bool same);
/* After how many executions in a row FACT_PATCHED is forgotten; and it is. */
u32 site_trial(const struct bt *bt, gpa_t gpa);
void site_settled(struct bt *bt, gpa_t gpa);

/*
 * What each site has cost in host signals and translations, roughly: the dearest are known, by
 * physical address of the instruction (of a TU's first, for translations). A busy neighbour in
 * the table takes a site's count down.
 */
enum { COST_SIZE = 1 << 12 };
struct site_cost {
    u32 gpa;
    u32 rank; /* of those that compete for the place */
    u32 signals, translations;
};
void site_count_signal(struct bt *bt, gpa_t gpa);
void site_count_translation(struct bt *bt, gpa_t gpa);
/* The n dearest, dearest first; returns how many there are. */
u32 site_dearest(const struct bt *bt, struct site_cost *to, u32 n);

/* Of a form, as lockstep's --form takes it, and of a fact by its bit's number, as in statistics
 * (stats.c). */
const char *form_name(u32 form);
const char *fact_name(u32 number);

#endif
