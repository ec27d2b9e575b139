/*
 * Walks of the guest's page tables (walk.c).
 */
#ifndef RING3_WALK_H
#define RING3_WALK_H

#include "mmu/space.h"

struct walk {
    gpa_t gpa;      /* of the page's first byte (4 KiB granules) */
    bool writable, user, nx, dirty;
    u8 levels;      /* tables read */
    u8 rights;      /* PTE_W and PTE_U of the directory's entry */
    gpa_t table[2]; /* pages read: directory, table */
    bool accessed;  /* in all of them */
    u64 entry;      /* the directory's, as it is now */
};
/* Walks for an access; sets A (and D for writes). False: *error is the #PF code. */
bool mmu_walk(struct mmu *mmu, gla_t gla, enum mmu_access access, bool user, struct walk *w,
              u32 *error);
/* Looks without touching A or D. */
bool mmu_walk_quiet(struct mmu *mmu, gla_t gla, struct walk *w);
/* Bits that must be 0 in a table's entry that is present. */
u64 mmu_entry_reserved(u32 mode);
/* A directory's memory, by its number (0 to 3 under PAE, else 0). NULL: it is not plain
 * memory. */
const u8 *mmu_directory(const struct mmu *mmu, const struct root *r, u32 number, u32 *page);

#endif
