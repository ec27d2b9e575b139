/*
 * The shadow page tables, private to mmu/ but for the format of their entries (sptes), which translated code
 * reads.
 *
 * A space is the shadow of one guest address space: a linear shadow table. It holds, for each of 2^20 guest
 * pages, six sptes of 8 bytes, demand-zero, in tables of 8 MiB:
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
 * A direct spte is positive. A protected or device spte makes gla + spte a non-canonical address, so
 * generated code that uses it without looking faults, whatever is added to the two highest bits (where
 * it puts the low bits of a misaligned address); spte 0 leads into the low 4 GiB, where nothing of ours
 * is mapped.
 */
#ifndef RING3_SHADOW_H
#define RING3_SHADOW_H

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

#define PHYS_PAGES (1u << 20) /* 4 GiB; above: nobody */
#define LEAF_SPTES 512u /* sptes in one 4 KiB page, a leaf, of a table: 2 MiB of guest addresses */
#define COLUMNS (SHADOW_SPTES / LEAF_SPTES) /* a leaf of each table */
#define REGIONS 2048u /* directory entries of an address space: PAE's; without it, 1024 */
#define MAX_SPACES 128
#define MAX_SHARED 4
#define MAX_LEAVES 8192u   /* kept in all spaces: 32 MiB */
#define MAX_DIRECT_MAPS 8
#define DIRECT_MAP_SPANS 1024 /* see directmap.c */
#define MAX_RMAPS (1u << 20) /* 8 MiB */
#define MAX_TABLE_USERS (1u << 18) /* 4 MiB */

/* What an address space is to the CPU: where its tables are, and how they are read. */
struct root {
    u32 base;     /* CR3's page-aligned (PAE: 32-byte aligned) part */
    u32 mode;     /* SPACE_*: the control bits the shadow depends on */
    u64 pdpte[4]; /* PAE: as loaded with CR3 */
};
enum { SPACE_PAGING = 1, SPACE_PSE = 2, SPACE_PAE = 4, SPACE_WP = 8, SPACE_NXE = 16 };

/* The sptes of an address space; or those that a shared shadow's spaces share. */
struct space {
    struct root root;
    bool live;
    u8 traced;        /* its directories that are: a bit each, four under PAE */
    u32 directory[4]; /* and their pages */
    u64 age;          /* of the last switch to it */
    u32 root_writes;  /* to its directories since then */
    u64 *shadow;        /* SHADOW_BYTES, reserved */
    u32 leaves;       /* that hold memory of the host's */
    struct direct_map *direct_map; /* that has pages of its sptes; NULL: none */
    struct shared_shadow *group; /* whose sptes its shared regions are; NULL: all are its own */
    u64 seen;         /* the shared shadow's version it agreed with; 0: look again */
    u32 quarrels;     /* times it did not agree */
    u32 bound;        /* id of the shared shadow whose memory is mapped in shadow; 0: none */
    u8 used[COLUMNS];     /* leaves that may hold a spte: a bit for each table */
    u8 resident[COLUMNS]; /* leaves that hold memory */
    u32 table[REGIONS];   /* page + 1 of the table traced for a directory entry; 0: none */
};

/*
 * Spaces whose directories agree where the guest's kernel is: their sptes for it are the same
 * memory. See shared.c.
 */
struct shared_shadow {
    struct space *sptes; /* has the linear shadow table, the traces and the writers of the shared regions */
    u32 id;              /* another for each shared shadow made; 0: free */
    u64 version;         /* of entry[]; from 1 */
    u64 age;
    u32 both;            /* shared entries that were there when it was made */
    u64 shared[REGIONS / 64];
    u64 filled[REGIONS / 64]; /* those of shared for which entry[] holds */
    u64 entry[REGIONS];       /* directory entries the sptes were made from */
};

/* A guest address space as it is, for loads. See directmap.c. */
struct direct_map {
    u8 *at;              /* where guest address 0 lies: 4 GiB and a page, reserved */
    struct space *owner; /* of the sptes that lead here; NULL: free */
    u32 *frame;          /* [SHADOW_SPTES] page of RAM that is mapped there, + 1; 0: none */
    u32 maps;            /* and cuts, since it was opened */
    bool good;           /* it has pages, or had some */
    u16 mapped[DIRECT_MAP_SPANS]; /* pages */
    bool grown[DIRECT_MAP_SPANS]; /* since it lost pages last */
    u8 cuts[DIRECT_MAP_SPANS];    /* times it lost pages, having grown */
    u16 vain[DIRECT_MAP_SPANS];   /* misses since it had pages to give */
};

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

    struct space spaces[MAX_SPACES + MAX_SHARED]; /* behind the spaces, the shared shadows' sptes */
    u64 bases[MAX_SPACES]; /* 1 + root.base of live spaces, else 0: what a switch looks at */
    struct shared_shadow shareds[MAX_SHARED];
    u32 shared_id;        /* the last one given */
    u64 spaces_made;
    u64 shared_due;       /* how many that has to be before a shared shadow is thought of again */
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

static inline u32 region_shift(const struct root *r) /* from a page's number to its region's */
{
    return r->mode & SPACE_PAE ? 9 : 10;
}
static inline u32 entry_size(const struct root *r)
{
    return r->mode & SPACE_PAE ? 8 : 4;
}
static inline u32 region_directory(const struct root *r, u32 region)
{
    return r->mode & SPACE_PAE ? region >> 9 : 0;
}
static inline bool bit_test(const u64 *bits, u32 i)
{
    return bits[i / 64] >> i % 64 & 1;
}
/* Which space has the sptes, traces and writers of a page of s: s itself, or its shared shadow's. */
static inline struct space *spte_owner(struct space *s, u32 page)
{
    struct shared_shadow *g = s->group;

    return g && bit_test(g->shared, page >> region_shift(&s->root)) ? g->sptes : s;
}

/* ---- phys.c ---- */
void mmu_tell_code_written(struct mmu *mmu, gpa_t gpa, u32 n);
/* Address space that becomes zeroed memory page by page when touched. NULL: the host has none left. */
void *mmu_reserve(u64 size);

/* ---- walk.c ---- */
struct walk {
    gpa_t gpa;      /* of the page's first byte (4 KiB granules) */
    bool writable, user, nx, dirty;
    u8 levels;      /* tables read */
    u8 rights;      /* PTE_W and PTE_U of the directory's entry */
    gpa_t table[2]; /* pages read: directory, table */
    bool accessed;  /* in all of them */
    u64 entry;      /* the directory's, as it is now */
};
/* Walks for an access; sets A (and D for writes). Returns 0 or -1, else *error is the #PF code. */
bool mmu_walk(struct mmu *mmu, gla_t gla, enum mmu_access access, bool user, struct walk *w,
              u32 *error);
/* Looks without touching A or D. */
bool mmu_walk_quiet(struct mmu *mmu, gla_t gla, struct walk *w);
/* Bits that must be 0 in a table's entry that is present. */
u64 mmu_entry_reserved(u32 mode);
/* A directory's memory, by its number (0 to 3 under PAE, else 0). NULL: it is not plain memory. */
const u8 *mmu_directory(const struct mmu *mmu, const struct root *r, u32 number, u32 *page);

/* ---- shadow.c ---- */
bool shadow_init(struct mmu *mmu);
/* Fills the sptes of gla after a miss; false: #PF recorded. */
bool shadow_fill(struct paging *pg, gla_t gla, enum mmu_access access);
/* The bytes [gpa, gpa+n), inside one page with page_flags, are about to change. */
void shadow_before_write(struct mmu *mmu, gpa_t gpa, u32 n);
/* A store of the CPU to such a page, whose memory is at hva. */
void shadow_store(struct mmu *mmu, gpa_t gpa, u8 *hva, const void *buf, u32 n);
/* Clears the current space's write sptes of one page: the next store fills them anew. */
void shadow_forget_writes(struct mmu *mmu, gla_t gla);
void shadow_drop_all(struct mmu *mmu);
void shadow_drop_identity(struct mmu *mmu, gpa_t gpa, u64 size);
void shadow_protect(struct mmu *mmu, u32 page, u8 flag);
/* Parts of the above, for space.c and shared.c. */
void shadow_drop_sptes(struct mmu *mmu, struct space *s);
void shadow_drop_range(struct mmu *mmu, struct space *s, u32 first, u32 count); /* pages */
void shadow_drop_region(struct mmu *mmu, struct space *s, u32 region);
/* Traces the tables that a walk for the current space has read. `owner`: spte_owner() */
void shadow_trace_walk(struct mmu *mmu, const struct walk *w, struct space *owner, u32 region);
void shadow_trace_directory(struct mmu *mmu, struct space *s, u32 page, u32 number);
void shadow_untrace(struct mmu *mmu, u32 page, const struct space *s, u32 first, u8 level);

/* ---- space.c ---- */
void space_switch(struct paging *pg);
/* Drops its sptes, and every trace it asked for. */
void space_clear(struct mmu *mmu, struct space *s);
void space_free(struct mmu *mmu, struct space *s); /* not the current one */
/* Gives memory of the spaces back when they hold too much: the oldest go. */
void space_shrink(struct mmu *mmu);
void space_done(struct mmu *mmu);

/* ---- directmap.c ---- */
void direct_map_init(struct mmu *mmu); /* a host that refuses the address space: there will be none */
void direct_map_done(struct mmu *mmu);
/* The current space has changed, or its direct map. */
void direct_map_switch(struct mmu *mmu);
/* What pages [first, first+count) lead to is about to change: no load finds it there any more. */
void direct_map_cut_pages(struct mmu *mmu, struct direct_map *w, u32 first, u32 count);
static inline void direct_map_cut(struct mmu *mmu, struct space *s, u32 first, u32 count)
{
    if (s->direct_map)
        direct_map_cut_pages(mmu, s->direct_map, first, count);
}
void direct_map_close(struct mmu *mmu, struct space *s); /* all of it; none is fine */
/* Is the page of s in its direct map? */
static inline bool direct_map_has(const struct space *s, u32 page)
{
    return s->direct_map && s->direct_map->frame[page];
}
/* What a spte of the current space leads to, where no cut reaches it. */
u8 *direct_map_memory(const struct mmu *mmu, u8 *hva);

/* ---- shared.c ---- */
/* The shared shadow a new space belongs to, made if the directory agrees with that of `other`. NULL: none */
struct shared_shadow *shared_find(struct mmu *mmu, const struct root *r, const struct space *other);
/* Maps the shared shadow's memory into the space's sptes (NULL: none). false: the host refused. */
bool shared_bind(struct mmu *mmu, struct space *s, const struct shared_shadow *g);
void shared_join(struct mmu *mmu, struct space *s, struct shared_shadow *g);
/* Makes the shared sptes hold for s, which becomes current. false: it disagrees too often. */
bool shared_agree(struct mmu *mmu, struct space *s);
/* The current space filled a spte of a shared region, whose directory entry is this. */
void shared_filled(struct mmu *mmu, struct space *s, u32 region, u64 entry);
/* The entry of a shared region changes in a directory of s. */
void shared_entry_written(struct mmu *mmu, struct space *s, u32 region);
/* The memory map changed: nobody is known to agree. */
void shared_doubt(struct mmu *mmu);

static inline bool mmu_user(const struct paging *pg, enum mmu_access access)
{
    return pg->shadow != pg->shadow_system && !(access & MMU_SYSTEM);
}
static inline u64 *mmu_shadow(const struct paging *pg, enum mmu_access access)
{
    return access & MMU_SYSTEM ? pg->shadow_system : pg->shadow;
}

#endif
