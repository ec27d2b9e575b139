/*
 * How fast the guest runs at most (-speed): a share of what the host can, or so many
 * instructions a second.
 */
#ifndef RING3_SPEED_H
#define RING3_SPEED_H

#include "runtime/base/base.h"

struct speed {
    u32 permille; /* of what the host can; 0 or 1000: no limit */
    u64 rate;     /* instructions a second; 0: no limit */
    /* The rest is speed.c's. */
    double quick; /* instructions a second while it runs unhindered, about */
    i64 owed;  /* nanoseconds of machine time that the guest has to stand for what it has run */
    u64 began; /* machine time when it was let run last */
    u64 counted;    /* instructions by then */
    u64 ran, insns; /* since the limit was set: nanoseconds run and stood, instructions */
};

/* "50%", "66MHz" (of a 486's, Pentium's or P6's instructions, by the CPU's family),
 * "486DX2-66", "Pentium 133". False: it is none of these. */
bool speed_parse(const char *text, u32 family, u32 *permille, u64 *rate);
/* The names it knows, one a line, with their millions of instructions a second. */
void speed_list(FILE *out);

/* Around the engine; the second may leave something owed. */
void speed_before(struct machine *m);
void speed_after(struct machine *m);
/* Machine time until which the guest may run, from now on; ~0: as long as it likes. */
u64 speed_slice(struct machine *m);
/* Lets the guest stand for what it owes, `next` nanoseconds at most. False: it owes nothing. */
bool speed_stand(struct machine *m, u64 next);
/* A step of a quarter up (1) or a fifth down (-1); 0: no limit. Says what it is now. */
void speed_change(struct machine *m, int step, char *said, size_t size);
/* A line for `info speed`. */
void speed_tell(struct machine *m, FILE *out);

#endif
