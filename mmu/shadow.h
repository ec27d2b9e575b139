/*
 * What changes sptes: filling, dropping, traces of the guest's page tables (shadow.c).
 */
#ifndef RING3_SHADOW_H
#define RING3_SHADOW_H

#include "mmu/state.h"
#include "mmu/walk.h"

/* A direct spte that leads to host memory hva: by the direct map, if the page is there. */
static inline u64 spte_base(const struct mmu *mmu, const struct space *s, const u8 *hva,
                            u32 page)
{
    u32 frame = s->direct_map ? s->direct_map->frame[page] : 0;

    if (frame && hva == mmu->base + ((u64)(frame - 1) << PAGE_SHIFT))
        return (u64)s->direct_map->at;
    return (u64)hva - ((u64)page << PAGE_SHIFT);
}

/* Fills the sptes of gla after a miss; false: #PF recorded. */
bool shadow_fill(struct paging *pg, gla_t gla, enum mmu_access access);
/* The bytes [gpa, gpa+n), inside one page with page_flags, are about to change. */
void shadow_before_write(struct mmu *mmu, gpa_t gpa, u32 n);
/* A store of the CPU to such a page, whose memory is at hva. */
void shadow_store(struct mmu *mmu, gpa_t gpa, u8 *hva, const void *buf, u32 n);
/* Clears the current space's write sptes of one page: the next store fills them again. */
void shadow_forget_writes(struct mmu *mmu, gla_t gla);
/* Invalidates what a TLB would have kept of the page that code runs in. */
void shadow_forget_stale(struct mmu *mmu);
void shadow_drop_all(struct mmu *mmu);
void shadow_drop_a20(struct mmu *mmu); /* the gate has moved */
void shadow_drop_identity(struct mmu *mmu, gpa_t gpa, u64 size);
/* Parts of the above, for space.c, shared.c and directmap.c. */
void shadow_drop_sptes(struct mmu *mmu, struct space *s);
void shadow_drop_range(struct mmu *mmu, struct space *s, u32 first, u32 count); /* pages */
void shadow_drop_region(struct mmu *mmu, struct space *s, u32 region);
/* Traces the tables that a walk for the current space has read. `owner`: spte_owner() */
void shadow_trace_walk(struct mmu *mmu, const struct walk *w, struct space *owner, u32 region);
void shadow_trace_directory(struct mmu *mmu, struct space *s, u32 page, u32 number);

#endif
