/*
 * Page-table entries, SDM vol. 3, figures 4-4 and 4-7.
 *
 *   32-bit  31........12 11..9 8 7  6 5 4   3   2 1 0      PAE adds bit 63 NX and address bits 35-32
 *            address     avl   G PS D A PCD PWT U W P
 */
#ifndef RING3_PTE_H
#define RING3_PTE_H

#include "runtime/base/base.h"
#include <string.h>

#define PTE_P 1u
#define PTE_W 2u
#define PTE_U 4u
#define PTE_PWT 8u
#define PTE_PCD 0x10u
#define PTE_A 0x20u
#define PTE_D 0x40u
#define PDE_PS 0x80u
#define PTE_PAT 0x80u /* in an entry that maps a page of 4 KiB */
#define PTE_G 0x100u
#define PTE_AVL 0xe00u
#define PTE_NX (1ull << 63)
#define PAE_ADDRESS 0x0000000ffffff000ull /* 36 physical bits */
#define PAE_RSVD 0xfffffff000000000ull    /* above them; NX too unless EFER.NXE */
#define PDE2M_RSVD 0x00000000001fe000ull  /* 20-13; bit 12 is PAT */
#define PDE4M_RSVD 0x003fe000u            /* 21-13: no PSE-36; bit 12 is PAT */
#define PDPTE_RSVD 0xfffffff0000001e6ull

/* An entry of 4 or 8 bytes: two loads that the compiler knows, no call of memcpy(). */
static inline u64 pte_read(const u8 *at, u32 size)
{
    u64 wide;
    u32 narrow;

    if (size == 8) {
        memcpy(&wide, at, 8);
        return wide;
    }
    memcpy(&narrow, at, 4);
    return narrow;
}

#endif
