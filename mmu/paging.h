/*
 * The part of a processor that the MMU works for, and what it keeps there: a vcpu embeds one.
 * Below it are the bits of the control registers that decide how addresses are translated (SDM
 * vol. 3, 2.5 and 4.1).
 */
#ifndef RING3_PAGING_H
#define RING3_PAGING_H

#include "runtime/base/base.h"

struct mmu;

struct paging {
    struct mmu *mmu;
    /* Raises #PF with this error code, CR2 set; returns false. */
    bool (*page_fault)(struct paging *pg, u32 error);
    /* Where the instruction that makes an access lies. */
    gla_t (*running_at)(const struct paging *pg);

    /* Set by the MMU, for C and for translated code. */
    u32 stale_code; /* 1 + the page whose execute spte is older than its entry: shadow.c; or 0 */
    bool direct_map_loaded; /* code that uses the direct map may run on this thread */
    u64 direct_map;   /* what gs leads to in translated code, see mmu/directmap.c; */
    u32 user_map;     /* 1: there gs leads to the current space's user map; else 0 */
    bool user_map_stale;          /* before user code runs: mmu_user_map_sync() */
    const u32 *direct_map_frames; /* page of RAM + 1 by page there; */
    u8 *ram;      /* where RAM lies by itself, */
    u64 ram_pages;
    const u8 *page_flags; /* and why its pages are write-protected */
    /* shadow of the current privilege; never NULL once reset */
    u64 *shadow __attribute__((aligned(64)));
    u64 *shadow_system; /* and of the supervisor */

    /* Set by the CPU, which tells the MMU: mmu_mode_changed(). */
    u32 efer, cr0, cr2, cr3, cr4;
};

enum {
    CR0_PE = 1u << 0, CR0_MP = 1u << 1, CR0_EM = 1u << 2, CR0_TS = 1u << 3, CR0_ET = 1u << 4,
    CR0_NE = 1u << 5, CR0_WP = 1u << 16, CR0_AM = 1u << 18, CR0_NW = 1u << 29,
    CR0_CD = 1u << 30, CR0_PG = 1u << 31,
    CR4_VME = 1u << 0, CR4_PVI = 1u << 1, CR4_TSD = 1u << 2, CR4_DE = 1u << 3,
    CR4_PSE = 1u << 4, CR4_PAE = 1u << 5, CR4_MCE = 1u << 6, CR4_PGE = 1u << 7,
    CR4_PCE = 1u << 8, CR4_OSFXSR = 1u << 9, CR4_OSXMMEXCPT = 1u << 10,
    CR4_OSXSAVE = 1u << 18,
    EFER_NXE = 1u << 11,
};

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 }; /* #PF error code, vol. 3, 4.7 */

#endif
