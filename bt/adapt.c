/*
 * What is known of a memory operand by what happened there: innocent until proven guilty. Kept by
 * the physical address of its instruction, so it outlives the TU; a colliding address starts anew.
 */
#include "bt/tu.h"

static struct learnt *learnt_at(struct bt *bt, gpa_t gpa)
{
    u32 key = (u32)gpa + 1; /* 0: free */
    struct learnt *l = &bt->learnt[(gpa ^ gpa >> 14) % FORM_SIZE];

    if (l->gpa != key)
        *l = (struct learnt){ .gpa = key };
    return l;
}

enum form form_of(struct bt *bt, gpa_t gpa, enum form start)
{
    const struct learnt *l = &bt->learnt[(gpa ^ gpa >> 14) % FORM_SIZE];

    if (bt->config.force_form)
        return (enum form)bt->config.force_form;
    if (l->gpa == (u32)gpa + 1 && l->form > start)
        return (enum form)l->form;
    return start;
}

void form_set(struct bt *bt, gpa_t gpa, enum form form)
{
    struct learnt *l = learnt_at(bt, gpa);

    bt->stats.adapted[form]++;
    l->form = (u8)form;
    l->traps = 0;
}

u32 form_trap(struct bt *bt, gpa_t gpa)
{
    struct learnt *l = learnt_at(bt, gpa);

    return l->traps < 255 ? ++l->traps : 255;
}
