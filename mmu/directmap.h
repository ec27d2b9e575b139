/*
 * Direct maps, private to mmu/ (directmap.c). What the translator calls is in mmu.h.
 */
#ifndef RING3_DIRECTMAP_H
#define RING3_DIRECTMAP_H

#include "mmu/space.h"

#define MAX_DIRECT_MAPS 8
/* Of a map that gs leads to: the last bytes may be the first of 16. */
#define MAP_BYTES        (GIB(4) + PAGE_SIZE)
#define DIRECT_MAP_SPANS 1024 /* see directmap.c */

/* A guest address space as it is, for loads. */
struct direct_map {
    u8 *at;              /* where guest address 0 lies: 4 GiB and a page, reserved */
    struct space *owner; /* of the sptes that lead here; NULL: free */
    u32 *frame;          /* [SHADOW_SPTES] page of RAM that is mapped there, + 1; 0: none */
    u32 maps;            /* and cuts, since it was opened */
    bool good;           /* it has pages, or had some */
    u16 mapped[DIRECT_MAP_SPANS]; /* pages */
    u32 odd;                      /* of them in odd megabytes */
    bool grown[DIRECT_MAP_SPANS]; /* since it lost pages last */
    u8 cuts[DIRECT_MAP_SPANS];    /* times it lost pages, having grown */
    u16 vain[DIRECT_MAP_SPANS];   /* misses since it had pages to give */
};

/* Host addresses with nothing there, in place of what is at `at`, or, if it is NULL, anywhere.
 * NULL: refused. */
u8 *map_reserve(void *at, u64 size);
/* a host that refuses the address space: there will be none */
void direct_map_init(struct mmu *mmu);
void direct_map_done(struct mmu *mmu);
/* The current space has changed, or its direct map. */
void direct_map_switch(struct mmu *mmu);
/* What pages [first, first+count) lead to is about to change: no load finds it there any
 * more. */
void direct_map_cut_pages(struct mmu *mmu, struct direct_map *w, u32 first, u32 count);
/* Those of all odd megabytes. */
void direct_map_cut_odd(struct mmu *mmu, struct direct_map *w);
static inline void direct_map_cut(struct mmu *mmu, struct space *s, u32 first, u32 count)
{
    if (s->direct_map)
        direct_map_cut_pages(mmu, s->direct_map, first, count);
}
void direct_map_close(struct mmu *mmu, struct space *s); /* all of it; none is fine */
/* Is the page of s in its direct map? */
static inline bool direct_map_has(const struct space *s, u32 page)
{
    return s->direct_map && s->direct_map->frame[page];
}
/* What a spte of the current space leads to, where no cut reaches it. */
u8 *direct_map_memory(const struct mmu *mmu, u8 *hva);

#endif
