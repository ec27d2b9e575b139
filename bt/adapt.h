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
    FORM_MAPPED,  /* loads by gs:[address], stores by the table */
    FORM_TABLE,   /* the spte as it is; anything unusual faults */
    FORM_CHECKED, /* spte and alignment looked at first; unusual: callout. No fault ever */
    /* loads by gs:[address], misaligned ones, too; stores as in unaligned */
    FORM_MAPPED_UNALIGNED,
    /* by the table, but misaligned operands are in order: the sptes of both ends must be one */
    FORM_UNALIGNED,
    FORM_CHECKED_UNALIGNED, /* so they are, and the spte is looked at first */
    FORM_CALLOUT, /* C runs the instruction */
    FORMS,
};

enum form form_of(struct bt *bt, gpa_t gpa, enum form start);
/* Is its operand, or the top of the stack that it uses, misaligned? */
bool operand_misaligned(const struct vcpu *cpu, const struct insn *in);
/* The same by registers as they are before the TU it is in, if those it uses are likely to stay
 * as odd. */
bool operand_likely_misaligned(const struct vcpu *cpu, const struct insn *in);
void form_set(struct bt *bt, gpa_t gpa, enum form form);
/* There is another direct map: sites that go by the table because they missed the last one may
 * try it. */
void form_forget_table(struct bt *bt);
u32 form_trap(struct bt *bt, gpa_t gpa); /* counts; how many by now, 255 at most */
/* n bytes inside the instruction are overwritten. One whose operand the guest patches again and
 * again is a TU by itself, so that little is translated again. */
void form_patch(struct bt *bt, gpa_t insn, u32 len, gpa_t gpa, u32 n);
bool form_patched(const struct bt *bt, gpa_t gpa);
/* C ran a site that is not in form table; plain: it touched only aligned memory. True: it is
 * from now on. */
bool form_served(struct bt *bt, gpa_t gpa, bool plain);

/* Of a form, as in statistics, and lockstep's --form (stats.c). */
const char *form_name(u32 form);

#endif
