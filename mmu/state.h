/*
 * struct mmu: what all files of mmu/ share. Others may read three of its members
 * (fetch_generation, odd_accesses and page_read), and ask its bus.
 */
#ifndef RING3_MMU_STATE_H
#define RING3_MMU_STATE_H

#include "mmu/directmap.h"
#include "mmu/shared.h"
#include "mmu/usermap.h"

struct rmap;
struct table_user;

struct mmu {
    struct mmu_bus bus;
    struct mmu_stats stats;
    struct paging *pg; /* whose tables these are; set at its first use */
    u64 ram_size;
    int fd;           /* memfd behind base */
    u8 *base;         /* RAM, then what mmu_alloc() gave */
    u64 reserved, allocated;
    u8 **page_read, **page_write; /* [PHYS_PAGES]; NULL: bus. RAM is at its own offset only */
    u8 *page_flags;               /* [PHYS_PAGES] PG_* */
    u32 a20_mask;
    u64 pdpte[4];                 /* the CPU's PDPTE registers */

    /* behind the spaces, the shared shadows' sptes */
    struct space spaces[MAX_SPACES + MAX_SHARED];
    u32 spaces_end;        /* no space from there on has ever lived */
    u64 bases[MAX_SPACES]; /* 1 + root.base of live spaces, else 0: what a switch looks at */
    struct shared_shadow shareds[MAX_SHARED];
    u32 shared_id;        /* the last one given */
    u64 spaces_made;
    /* how many that has to be before a shared shadow is thought of again */
    u64 shared_due;
    u32 shared_tries;     /* times one was */
    int shared_fd;        /* memory of the shared shadows' sptes */
    struct space *space; /* current */
    u64 clock;           /* counts switches, for age */
    u32 leaves;          /* that hold memory, in all spaces */

    struct direct_map direct_maps[MAX_DIRECT_MAPS];
    bool fast_gs;        /* the host lets programs use WRGSBASE */
    u8 *nowhere;         /* the direct map of who has none: every load there faults */
    u32 direct_maps_closed;  /* so far */
    u32 direct_map_run;      /* pages in a row that are worth mapping */

    struct user_map user_maps[MAX_USER_MAPS];
    u64 (*ticks)(void);  /* what user maps are charged by: the host's TSC, but in tests */
    const struct mmu_mirror *mirror; /* who keeps copies of user maps; NULL: nobody */
    bool no_user_maps;   /* for tests and experiments: none is opened */
    u32 spaces_kept;     /* at most MAX_SPACES; */
    bool only_current;   /* or the one before goes with each change */
    bool user_maps_used; /* one was: under paging gs is no longer the supervisor's */
    u32 user_map_pages;  /* mapped in all of them */
    u64 user_maps_after; /* so much user time, of the TSC's ticks */
    u64 user_sampled;    /* the TSC at the last sample */

    u32 *table_head;     /* [PHYS_PAGES] into table_pool */
    struct table_user *table_pool;
    u32 table_free, table_size;
    u32 *rmap_head;    /* [PHYS_PAGES] into rmap_pool */
    struct rmap *rmap_pool;
    u32 rmap_free, rmap_size;

    u64 odd_accesses;     /* by C, that found no plain memory, or two pages */
    u32 fetch_generation; /* changes whenever a cached code page translation may be stale */
    struct mmu_listener *listeners;
};

/* A device's memory, or nobody's, at a physical address: 1, 2 or 4 bytes, aligned. */
static inline u32 mmu_bus_read(const struct mmu *mmu, gpa_t gpa, u32 size)
{
    return mmu->bus.read(mmu->bus.bus, gpa, size);
}

static inline void mmu_bus_write(const struct mmu *mmu, gpa_t gpa, u32 size, u32 val)
{
    mmu->bus.write(mmu->bus.bus, gpa, size, val);
}

#endif
