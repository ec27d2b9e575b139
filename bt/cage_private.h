/*
 * What the parts of direct execution share: cage.c, cage_pages.c, cage_state.c.
 */
#ifndef RING3_BT_CAGE_PRIVATE_H
#define RING3_BT_CAGE_PRIVATE_H

#include "bt/cage.h"
#include "bt/cage_process.h"
#include "bt/cage_scan.h"
#include "bt/translator.h"

enum {
    MAX_EXEC = 8192, /* pages executable in a cage: code of more is translated */
};

/* A page of RAM, as far as code on it may run directly. */
enum frame_state { UNKNOWN, RUNS, REFUSED };
struct frame {
    u8 state;       /* enum frame_state */
    u8 needs, tail; /* of struct cage_scan */
    u8 writes;      /* to it, since it was first looked through */
    u32 asked;      /* times, since it was refused */
};

struct cage {
    struct cage_process process;
    bool open;    /* it has one, or had until the host ended it */
    u64 interval; /* that code runs translated before it runs directly again; TSC's ticks */
    u16 cs;       /* the host's selector for the code that runs */
    u8 allowed;   /* NEEDS_*: what the pages that are executable may use */
    u32 exec_count;
    struct exec_page {
        u32 page, frame;
    } exec_pages[MAX_EXEC];
    u8 exec[SHADOW_SPTES / 8]; /* a bit each */
};

struct cages {
    struct bt *bt;
    bool probed, usable;
    const char *why;                 /* not usable */
    u32 failures;                    /* to make a cage */
    pid_t thread;                    /* whose children the cages are */
    struct cage cage[MMU_USER_MAPS]; /* by the user map's number; without a process: none */
    struct frame *frames;            /* [PHYS_PAGES] */
    struct mmu_listener listener;
    struct mmu_mirror mirror;
    u64 shortest; /* run so far, of the TSC's ticks: what a way there and back costs */
    struct cage_state state;
};

static inline bool cage_is_exec(const struct cage *c, u32 page)
{
    return c->exec[page / 8] >> (page & 7) & 1;
}
static inline enum cage_fpu cage_fpu_of(const struct cage *c)
{
    return c->allowed & NEEDS_AVX ? CAGE_FPU_AVX : c->allowed ? CAGE_FPU_SSE : CAGE_FPU_NONE;
}

/* ---- cage.c ---- */
void cage_end(struct cages *cs, u32 map); /* none is fine */

/* ---- cage_pages.c ---- */
void cage_pages_begin(struct cages *cs); /* it hears what the MMU does from now on */
void cage_pages_end(struct cages *cs);
void cage_forget_pages(struct cage *c); /* none is executable: its process is no more */
/* What code may use of the FPU may have changed: pages that use more go. */
void cage_follow_allowed(struct cages *cs, struct cage *c);
/* The page of gla, where code is about to run, becomes executable; false: it cannot. at_entry:
 * an instruction begins there. */
bool cage_make_executable(struct cages *cs, struct cage *c, gla_t gla, bool at_entry);
/* The byte at gla, if the user map has it; else NULL. */
const u8 *cage_byte(const struct vcpu *cpu, gla_t gla);

/* ---- cage_state.c ---- */
/* The vcpu's state to cages.state. */
void cage_state_there(struct cages *cs, struct cage *c);
/* And back, with what the stop means. True: it may go on in the cage. */
bool cage_state_back(struct cages *cs, struct cage *c, enum cage_stop stop,
                     enum cage_exit *exit);

#endif
