/*
 * The format of shadow entries (sptes), which translated code reads as C does.
 *
 * A linear shadow table holds, for each of 2^20 guest pages, six sptes of 8 bytes, demand-zero,
 * in tables of 8 MiB:
 *
 *   shadow ──▶ [supervisor read][write][execute][user read][write][execute]
 *
 *   spte   63 62 61 60 59 58 57 56 55 .................... 12 11 ... 0
 *           0  0  0  0  0  0  0  0 │ hva - gla (direct)      │ 0    add gla: the host address
 *           1  0  0  0  0  1  0  0 │ hva - gla (protected)   │ 0    plain memory, but a write must
 *                                  │                         │      be told: code, page table
 *           1  0  0  0  1  0  0  0 │ gpa - gla (device)      │ 0    ask the bus
 *           0  0  0  0  0  0  0  0 │ 0                       │ 0    not known: walk
 *
 * The supervisor's read spte is set whenever one of the six is.
 *
 * A direct spte is positive. A protected or device spte makes gla + spte a non-canonical
 * address, so generated code that uses it without looking faults, whatever is added to the two
 * highest bits (where it puts the low bits of a misaligned address); spte 0 leads into the low
 * 4 GiB, where nothing of ours is mapped.
 */
#ifndef RING3_SPTE_H
#define RING3_SPTE_H

#include "mmu/mmu.h"
#include "mmu/shadow_layout.h"

#define SHADOW_TABLES 6
#define SHADOW_BYTES (SHADOW_TABLES * (u64)SHADOW_SPTES * 8)
#define SPTE_PROTECTED (0x21ull << 58)
#define SPTE_DEVICE (0x22ull << 58)
#define SPTE_LOW ((1ull << 56) - 1)

/* May be used as it is: one test of the sign. */
static inline bool spte_direct(u64 spte)
{
    return (i64)spte > 0;
}
static inline bool spte_protected(u64 spte)
{
    return spte >> 58 == SPTE_PROTECTED >> 58;
}
static inline bool spte_device(u64 spte)
{
    return spte >> 58 == SPTE_DEVICE >> 58;
}
static inline u8 *spte_hva(u64 spte, gla_t gla) /* of a direct or write-protected spte */
{
    return (u8 *)((spte & SPTE_LOW) + gla);
}
static inline gpa_t spte_gpa(u64 spte, gla_t gla) /* of a device spte */
{
    return (spte + gla) & SPTE_LOW;
}

/* The six tables by number, which is also their bit in used[]; TABLE_USER is added. */
enum { TABLE_READ, TABLE_WRITE, TABLE_EXEC, TABLE_USER,
       TABLES_EXEC = 1 << TABLE_EXEC | 1 << (TABLE_USER + TABLE_EXEC) };

#define LEAF_SPTES                                                                             \
    512u /* sptes in one 4 KiB page, a leaf, of a table: 2 MiB of guest addresses */
#define COLUMNS (SHADOW_SPTES / LEAF_SPTES) /* a leaf of each table */

/* Does an access count as the user's? And the table it looks into. */
static inline bool mmu_user(const struct paging *pg, enum mmu_access access)
{
    return pg->shadow != pg->shadow_system && !(access & MMU_SYSTEM);
}
static inline u64 *mmu_shadow(const struct paging *pg, enum mmu_access access)
{
    return access & MMU_SYSTEM ? pg->shadow_system : pg->shadow;
}

#endif
