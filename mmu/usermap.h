/*
 * User maps, private to mmu/ (usermap.c). What the translator calls is in mmu.h.
 */
#ifndef RING3_USERMAP_H
#define RING3_USERMAP_H

#include "mmu/space.h"

#define MAX_USER_MAPS  MMU_USER_MAPS
#define USER_MAP_AFTER 32000000 /* of the TSC's ticks, in user code */
#define USER_MAP_DIRTY 2048    /* pages that may differ before all of it is looked through */

struct user_map {
    u8 *at;              /* where guest address 0 lies: 4 GiB and a page, reserved */
    struct space *owner; /* NULL: free */
    u32 *mapped;         /* [SHADOW_SPTES] page of RAM that the host maps there, + 1; and, */
    u8 *writable;        /* a bit each, whether for writing, too */
    u8 *differs;         /* a bit for each page that is in the list */
    u32 dirty[USER_MAP_DIRTY], dirty_count;
    bool lost;            /* the list was too short: all is dirty */
    u16 columns[COLUMNS]; /* pages mapped in each 2 MiB */
    u8 *changes;          /* of each page by the host, since; */
    u64 counted;          /* the owner's user time then */
    u64 opened, spent; /* the owner's user time then; TSC's ticks on the host's calls since */
    u32 calls;         /* of them, those that are not paid for yet */
};

void user_map_done(struct mmu *mmu);
/* The user's data sptes of a page have changed, or are about to. */
void user_map_note(struct mmu *mmu, struct user_map *m, u32 page);
static inline void user_map_changes(struct mmu *mmu, struct space *s, u32 page)
{
    if (unlikely(s->user_map != NULL))
        user_map_note(mmu, s->user_map, page);
}
/* It is no longer what it was: nothing to do if it is not mapped. */
static inline void user_map_drops(struct mmu *mmu, struct space *s, u32 page)
{
    if (unlikely(s->user_map != NULL) && s->user_map->mapped[page])
        user_map_note(mmu, s->user_map, page);
}
/* The same of those pages [first, first+count) that are mapped. */
void user_map_range_changes(struct mmu *mmu, struct space *s, u32 first, u32 count);
/* A call of the host for it took so many of the TSC's ticks: when it is next asked about, it may be
 * given up for that. */
void user_map_pays(struct mmu *mmu, struct user_map *m, u64 ticks);
/* All sptes of the space go. */
void user_map_close(struct mmu *mmu, struct space *s);

#endif
