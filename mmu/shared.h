/*
 * Shared shadows: the sptes of the guest's kernel, which several spaces share (shared.c).
 */
#ifndef RING3_SHARED_H
#define RING3_SHARED_H

#include "mmu/space.h"

#define MAX_SHARED 4

/*
 * Spaces whose directories agree where the guest's kernel is: their sptes for it are the same
 * memory. See shared.c.
 */
struct shared_shadow {
    /* has the linear shadow table, the traces and the reverse map of the shared regions */
    struct space *sptes;
    u32 id;              /* another for each shared shadow made; 0: free */
    u64 version;         /* of entry[]; from 1 */
    u64 age;
    u32 both;            /* shared entries that were there when it was made */
    u64 regions[REGIONS / 64]; /* those that are shared */
    u64 filled[REGIONS / 64]; /* those of regions for which entry[] holds */
    u64 entry[REGIONS];       /* directory entries the sptes were made from */
};

static inline bool bit_test(const u64 *bits, u32 i)
{
    return bits[i / 64] >> i % 64 & 1;
}
/* Which space has the sptes, traces and reverse map of a page of s: s itself, or its shared
 * shadow's. */
static inline struct space *spte_owner(struct space *s, u32 page)
{
    struct shared_shadow *sh = s->shared_shadow;

    return sh && bit_test(sh->regions, page >> region_shift(&s->root)) ? sh->sptes : s;
}

/* The shared shadow a new space belongs to, made if the directory agrees with that of `other`.
 * NULL: none */
struct shared_shadow *shared_find(struct mmu *mmu, const struct root *r,
                                  const struct space *other);
/* Maps the shared shadow's memory into the space's sptes (NULL: none). false: the host
 * refused. */
bool shared_bind(struct mmu *mmu, struct space *s, const struct shared_shadow *sh);
void shared_join(struct mmu *mmu, struct space *s, struct shared_shadow *sh);
/* Makes the shared sptes hold for s, which becomes current. false: it disagrees too often. */
bool shared_agree(struct mmu *mmu, struct space *s);
/* The current space filled a spte of a shared region, whose directory entry is this. */
void shared_filled(struct mmu *mmu, struct space *s, u32 region, u64 entry);
/* The entry of a shared region changes in a directory of s. */
void shared_entry_written(struct mmu *mmu, struct space *s, u32 region);
/* The memory map changed: nobody is known to agree. */
void shared_doubt(struct mmu *mmu);

#endif
