/* Random instructions for the random tester: generate.c makes them, random.c runs them. */
#ifndef RING3_GENERATE_H
#define RING3_GENERATE_H

#include "cpu/insn.h"
#include "tests/insn/case.h"

/* xorshift64*: the same seed gives the same cases everywhere. */
struct dice {
    u64 state;
};
u32 dice_next(struct dice *d);
static inline u32 dice_roll(struct dice *d, u32 sides)
{
    return dice_next(d) % sides;
}

/* Segments of a case by selector: the flat ones, those of the LDT; NULL: null, or not there. */
const struct case_segment *case_segment(u32 selector);
static inline u32 case_segment_base(u32 selector)
{
    const struct case_segment *s = case_segment(selector);

    return s ? s->base : 0;
}
static inline bool case_segment_big(u32 selector)
{
    const struct case_segment *s = case_segment(selector);

    return !s || s->big;
}

/* Where the stack pointer leads. */
u32 stack_linear(const struct insn_case *c);

/* What the host has, and so which instructions it can judge (judged.c). */
struct case_host {
    bool code32; /* it runs 32-bit programs; else the oracle is one of 64-bit mode */
    bool ldt;    /* and they have segments of their own */
    bool amd;
};
bool judged_by(const struct case_host *host, const struct insn *in);

/*
 * Makes one case over the run's data. False: the throw was no instruction worth running (not
 * ours to test, not the host's to judge, or it could touch memory outside the pages of the
 * case): throw again.
 */
bool generate(struct dice *d, const struct case_host *host, const u8 *data, struct insn_case *c,
              struct insn *in);

#endif
