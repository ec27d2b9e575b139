/*
 * What phys.c offers the other files of mmu/; the rest of it is in mmu.h.
 */
#ifndef RING3_PHYS_H
#define RING3_PHYS_H

#include "mmu/mmu.h"

#define PHYS_PAGES (1u << 20) /* 4 GiB; above: nobody */

/* To every listener: the bytes [gpa, gpa+n) are about to change. */
void mmu_tell_code_written(struct mmu *mmu, gpa_t gpa, u32 n);
/* Address space that becomes zeroed memory page by page when touched. NULL: the host has none
 * left. */
void *mmu_reserve(u64 size);

#endif
