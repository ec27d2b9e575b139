/*
 * TUs of one instruction that the guest overwrites again and again, by what stands there
 * (variants.c, variants.S). Private to bt/.
 */
#ifndef RING3_BT_VARIANTS_H
#define RING3_BT_VARIANTS_H

#include "bt/tu.h"

enum { VARIANTS = 4, VARIANT_BYTES = 8 /* longer ones have none */ };

struct variant {
    u64 minus_bytes; /* -(the instruction's bytes, shifted to the top) */
    u64 shift;       /* by which the eight bytes that stand there are compared with it */
    const u8 *host;  /* its TU's code, behind the poll; no variant: variants.miss */
};

struct variants {
    const u8 *code; /* the guest's bytes in host memory */
    const u8 *miss; /* where the callout is */
    u64 not_last;   /* ~(the variant that ran last) */
    u32 left;       /* times that it may run in a row before this stops */
    u32 trial;      /* the same, when another has run */
    struct variant of[VARIANTS];
    u32 tus[VARIANTS]; /* numbers; 0: none */
    u32 made;
};

struct xl;

/* Of a patched TU that is being made: emits what goes there; the callout comes behind it. */
void xl_variants(struct xl *x);
/* Does a callout run its instruction, or, at first, bt_patched? Not in a variant. */
static inline bool tu_dispatches(const struct tu *tu)
{
    return tu->patched && !tu->variant;
}
/* Has one and the same variant run for a whole trial? */
bool variants_settled(const struct bt *bt, const struct tu *tu);
/* What stands at EIP gets a TU, if the patched TU may have one more. The cache may have been
 * emptied. */
void variants_add(struct bt *bt, struct tu *tu);
/* It is dropped: a patched TU, or a variant. */
void variants_drop(struct bt *bt, struct tu *tu);

#endif
