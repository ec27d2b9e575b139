/*
 * What is known of a physical page: the write sptes that lead to it (reverse map), and, if it
 * is a page table of the guest's, for what it was read (rmap.c).
 */
#ifndef RING3_RMAP_H
#define RING3_RMAP_H

#include "mmu/space.h"

#define MAX_RMAPS (1u << 20) /* 8 MiB */
#define MAX_TABLE_USERS (1u << 18) /* 4 MiB */

/* Guest page table page → the spaces and places it was read for. */
struct table_user {
    u32 next;   /* index in pool, 0: end */
    u32 first;  /* what entry 0 is for: level 1: a page (gla >> 12); level 2: a region */
    u16 space;
    u8 level;   /* 1: entries map pages; 2: entries map tables or large pages */
    u8 rights;  /* PTE_W and PTE_U, as the directory's entry grants them */
};
/* Physical page → a write spte that maps it directly. */
struct rmap {
    u32 next;
    u32 page : 20; /* gla >> 12 */
    u32 space : 12;
};

bool rmap_init(struct mmu *mmu); /* false: the host has no address space left */
void rmap_done(struct mmu *mmu);
/* The write spte of page gla_page of s leads to `page`, which lies at hva. */
void rmap_add(struct mmu *mmu, u32 page, const struct space *s, u32 gla_page, u8 *hva);
/* From now on writes to the page are told; flag: PG_*, why. */
void rmap_protect(struct mmu *mmu, u32 page, u8 flag);
/* `page` is a table that was read for this: it is traced until the last user is gone. u.next is
 * set here. */
void table_user_add(struct mmu *mmu, u32 page, struct table_user u);
void table_user_remove(struct mmu *mmu, u32 page, const struct space *s, u32 first, u8 level);
/* Is a list as long as it may get? */
bool rmap_full(const struct mmu *mmu);
/* Forgets who can write which page; nobody has a direct write spte. */
void rmap_clear(struct mmu *mmu);

#endif
