/*
 * A space is the shadow of one guest address space: a linear shadow table, and what it traces
 * (space.c).
 */
#ifndef RING3_SPACE_H
#define RING3_SPACE_H

#include "mmu/spte.h"

#define REGIONS 2048u /* directory entries of an address space: PAE's; without it, 1024 */
#define MAX_SPACES 128
#define MAX_LEAVES 8192u   /* kept in all spaces: 32 MiB */

/* What an address space is to the CPU: where its tables are, and how they are read. */
struct root {
    u32 base;     /* CR3's page-aligned (PAE: 32-byte aligned) part */
    u32 mode;     /* SPACE_*: the control bits the shadow depends on */
    u64 pdpte[4]; /* PAE: as loaded with CR3 */
};
enum { SPACE_PAGING = 1, SPACE_PSE = 2, SPACE_PAE = 4, SPACE_WP = 8, SPACE_NXE = 16 };

/* The sptes of an address space; or those that a shared shadow's spaces share. */
struct space {
    struct root root;
    bool live;
    u8 traced;        /* its directories that are: a bit each, four under PAE */
    u32 directory[4]; /* and their pages */
    u64 age;          /* of the last switch to it */
    u32 root_writes;  /* to its directories since then */
    u64 *shadow;        /* SHADOW_BYTES, reserved */
    u32 leaves;       /* that hold memory of the host's */
    struct direct_map *direct_map; /* that has pages of its sptes; NULL: none */
    struct user_map *user_map;     /* NULL: none */
    u64 user_time, user_map_due;   /* TSC's ticks in user code, as sampled; when it is due */
    /* Sptes filled for user pages; both as they were when it was last asked whether few are. */
    u64 user_fills, fills_then, time_then;
    bool steady; /* few were */
    /* whose sptes its shared regions are; NULL: all are its own */
    struct shared_shadow *shared_shadow;
    u64 seen;         /* the shared shadow's version it agreed with; 0: look again */
    u32 quarrels;     /* times it did not agree */
    u32 bound;        /* id of the shared shadow whose memory is mapped in shadow; 0: none */
    u8 used[COLUMNS];     /* leaves that may hold a spte: a bit for each table */
    bool odd[COLUMNS];    /* may they in their second half, an odd megabyte? */
    bool any_odd;         /* is there one? */
    u8 resident[COLUMNS]; /* leaves that hold memory */
    u32 table[REGIONS];   /* page + 1 of the table traced for a directory entry; 0: none */
};

static inline u32 region_shift(const struct root *r) /* from a page's number to its region's */
{
    return r->mode & SPACE_PAE ? 9 : 10;
}
static inline u32 entry_size(const struct root *r)
{
    return r->mode & SPACE_PAE ? 8 : 4;
}
static inline u32 region_directory(const struct root *r, u32 region)
{
    return r->mode & SPACE_PAE ? region >> 9 : 0;
}

/* Makes the space of CR3 and the mode bits current; finds it, or makes it. */
void space_switch(struct paging *pg);
/* Drops its sptes, and every trace it asked for. */
void space_clear(struct mmu *mmu, struct space *s);
void space_begin(struct mmu *mmu, struct space *s); /* it lives */
void space_free(struct mmu *mmu, struct space *s); /* not the current one */
/* Gives memory of the spaces back when they hold too much: the oldest go. */
void space_shrink(struct mmu *mmu);
void space_done(struct mmu *mmu); /* with the MMU */

#endif
