/*
 * The shadow page tables, private to mmu/ but for the slot format, which the translator's
 * generated code reads (DESIGN.md's "form F").
 *
 * A space is the shadow of one guest address space. It holds, for each of 2^20 guest pages, six
 * slots of 8 bytes, demand-zero, in tables of 8 MiB:
 *
 *   flat ──▶ [supervisor read][write][execute][user read][write][execute]
 *
 *   slot   63  62  61 60 ............................ 12 11 ... 0
 *           0   0   0 │ hva - gla (direct)              │ 0        add gla: the host address
 *           1   1   0 │ hva - gla (guarded)             │ 0        plain memory, but a write must
 *                     │                                 │          be told: code, page table
 *           1   0   1 │ gpa - gla, 61 bits (device)     │ 0        ask the bus
 *           0   0   0 │ 0                               │ 0        not known: walk
 *
 * A direct slot is positive. A guarded or device slot makes gla + slot a non-canonical address, so
 * generated code that uses it without looking faults; slot 0 leads into the low 4 GiB, where
 * nothing of ours is mapped.
 */
#ifndef RING3_SHADOW_H
#define RING3_SHADOW_H

#include "mmu/mmu.h"
#include "mmu/slots.h"

#define FLAT_TABLES 6
#define FLAT_BYTES (FLAT_TABLES * (u64)FLAT_SLOTS * 8)
#define SLOT_GUARDED (3ull << 62)
#define SLOT_DEVICE (5ull << 61)
#define SLOT_LOW ((1ull << 61) - 1)

/* May be used as it is: one test of the sign. */
static inline bool slot_direct(u64 slot)
{
    return (i64)slot > 0;
}
static inline bool slot_guarded(u64 slot)
{
    return slot >> 62 == 3;
}
static inline u8 *slot_hva(u64 slot, gla_t gla) /* of a direct or guarded slot */
{
    return (u8 *)((slot & SLOT_LOW) + gla);
}
static inline gpa_t slot_gpa(u64 slot, gla_t gla) /* of a device slot */
{
    return (slot + gla) & SLOT_LOW;
}

/* What a physical page holds that a write to it must be told about. */
enum { PG_CODE = 1, PG_TABLE = 2 };

#define PHYS_PAGES (1u << 20) /* 4 GiB; above: nobody */
#define MAX_SPACES 64
#define LEAF_SLOTS 512u /* slots in one 4 KiB page of a table */
#define LEAVES (FLAT_TABLES * FLAT_SLOTS / LEAF_SLOTS)

struct space {
    bool live;
    u32 root;      /* CR3's page-aligned (PAE: 32-byte aligned) part */
    u32 mode;      /* SPACE_*: the control bits the shadow depends on */
    u64 pdpte[4];  /* PAE: as loaded with CR3 */
    u64 age;       /* of the last switch to it */
    u32 root_writes; /* to its top-level table since then */
    u64 *flat;     /* FLAT_BYTES, reserved */
    u64 used[LEAVES / 64]; /* leaves that may hold a slot */
};
enum { SPACE_PAGING = 1, SPACE_PSE = 2, SPACE_PAE = 4, SPACE_WP = 8, SPACE_NXE = 16 };

/* Guest page table page → the spaces and places it was read for. */
struct table_user {
    u32 next; /* index in pool, 0: end */
    u32 gla;  /* first address it maps there */
    u16 space;
    u8 level; /* 1: entries map pages; 2: entries map tables or large pages */
};
/* Physical page → a write slot that maps it directly. */
struct writer {
    u32 next;
    u32 page : 20; /* gla >> 12 */
    u32 space : 12;
};

struct mmu {
    struct machine *machine;
    struct vcpu *cpu; /* whose tables these are; set at its first use */
    u64 ram_size;
    int fd;           /* memfd behind base */
    u8 *base;         /* RAM, then what mmu_alloc() gave */
    u64 reserved, allocated;
    u8 **page_read, **page_write; /* [PHYS_PAGES]; NULL: bus */
    u8 *page_flags;               /* [PHYS_PAGES] PG_* */
    u32 a20_mask;
    u64 pdpte[4];                 /* the CPU's PDPTE registers */

    struct space spaces[MAX_SPACES];
    struct space *space; /* current */
    u64 clock;           /* counts switches, for age */

    u32 *table_head;     /* [PHYS_PAGES] into table_pool */
    struct table_user *table_pool;
    u32 table_free, table_size;
    u32 *writer_head;    /* [PHYS_PAGES] into writer_pool */
    struct writer *writer_pool;
    u32 writer_free, writer_size;

    u32 fetch_generation; /* changes whenever a cached code page translation may be stale */
    void (*on_code_write)(void *owner, gpa_t gpa, u32 n);
    void *code_owner;
};

/* ---- phys.c ---- */
/* Address space that becomes zeroed memory page by page when touched. NULL: the host has none left. */
void *mmu_reserve(u64 size);

/* ---- walk.c ---- */
struct walk {
    gpa_t gpa;      /* of the page's first byte (4 KiB granules) */
    bool writable, user, nx, dirty;
    u8 levels;      /* tables read */
    struct {
        gpa_t table; /* page of the table */
        u32 gla;     /* first address the table maps */
        u8 level;
    } path[2];
};
/* Walks for an access; sets A (and D for writes). Returns 0 or -1, else *error is the #PF code. */
bool mmu_walk(struct mmu *mmu, gla_t gla, enum mmu_access access, bool user, struct walk *w,
              u32 *error);
/* Looks without touching A or D. */
bool mmu_walk_quiet(struct mmu *mmu, gla_t gla, struct walk *w);

/* ---- shadow.c ---- */
bool shadow_init(struct mmu *mmu);
/* Fills the slots of gla after a miss; false: #PF recorded. */
bool shadow_fill(struct vcpu *cpu, gla_t gla, enum mmu_access access);
/* The bytes [gpa, gpa+n), inside one page with page_flags, are about to change. */
void shadow_before_write(struct mmu *mmu, gpa_t gpa, u32 n);
/* Clears the current space's slots of one page: the next access fills them anew. */
void shadow_forget_page(struct mmu *mmu, gla_t gla);
void shadow_switch(struct vcpu *cpu);
void shadow_drop_all(struct mmu *mmu);
void shadow_drop_identity(struct mmu *mmu, gpa_t gpa, u64 size);
void shadow_guard(struct mmu *mmu, u32 page, u8 flag);

static inline bool mmu_user(const struct vcpu *cpu, enum mmu_access access)
{
    return cpu->cpl == 3 && !(access & MMU_SYSTEM);
}
static inline u64 *mmu_flat(const struct vcpu *cpu, enum mmu_access access)
{
    return access & MMU_SYSTEM ? cpu->flat_system : cpu->flat;
}

#endif
