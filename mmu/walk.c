/*
 * The guest's page tables, walked as SDM vol. 3, 4.3 (32-bit) and 4.4 (PAE) say: two levels of
 * 1024 entries, or PDPTE registers and two levels of 512. Accessed and dirty bits are set on
 * the way, only once the access is known to be allowed; the error code is that of 4.7.
 */
#include "mmu/walk.h"
#include "mmu/phys.h"
#include "mmu/pte.h"
#include "mmu/state.h"
#include <string.h>

/* An entry of a guest table, in host memory where it is RAM. */
struct entry {
    u64 val;
    gpa_t gpa;
    u32 size; /* 4 or 8 */
};

static struct entry entry_read(struct mmu *mmu, gpa_t gpa, u32 size)
{
    struct entry e = { 0, gpa & mmu->a20_mask, size };
    u8 *page = mmu->page_read[e.gpa >> PAGE_SHIFT];

    if (likely(page))
        e.val = pte_read(page + (e.gpa & PAGE_MASK), size);
    else
        mmu_phys_read(mmu, e.gpa, &e.val, size);
    return e;
}

/* Sets A and D bits; they lie in the low dword. Traces need not hear of it: the shadow is made
 * from the entry as it is afterwards. */
static void entry_set(struct mmu *mmu, struct entry *e, u32 bits)
{
    u8 *page = mmu->page_write[e->gpa >> PAGE_SHIFT];
    u32 low;

    if ((e->val & bits) == bits)
        return;
    e->val |= bits;
    low = (u32)e->val;
    if (mmu->page_flags[e->gpa >> PAGE_SHIFT] & (PG_CODE | PG_CAGED))
        mmu_phys_write(mmu, e->gpa, &low, 4);
    else if (page)
        memcpy(page + (e->gpa & PAGE_MASK), &low, 4);
}

u64 mmu_entry_reserved(u32 mode)
{
    if (!(mode & SPACE_PAE))
        return 0;
    return mode & SPACE_NXE ? PAE_RSVD & ~PTE_NX : PAE_RSVD;
}

static bool reserved_set(const struct entry *e, bool large, u32 mode)
{
    u64 reserved = mmu_entry_reserved(mode);

    if (large)
        reserved |= e->size == 4 ? PDE4M_RSVD : PDE2M_RSVD;
    return e->val & reserved;
}

static bool walk_denied(u32 *error, u32 code, enum mmu_access access, bool user, u32 mode)
{
    *error = code | (access & MMU_WRITE ? PF_W : 0) | (user ? PF_U : 0) |
             (access & MMU_EXEC && mode & SPACE_NXE ? PF_I : 0);
    return false;
}

/* Records one level's table for the traces, and ANDs its rights. */
static void note_table(struct walk *w, const struct entry *e)
{
    w->table[w->levels++] = e->gpa & ~(gpa_t)PAGE_MASK;
    w->writable &= !!(e->val & PTE_W);
    w->user &= !!(e->val & PTE_U);
    w->nx |= e->size == 8 && e->val & PTE_NX;
}

static bool walk_allows(const struct walk *w, enum mmu_access access, bool user, u32 mode)
{
    if (user && !w->user)
        return false;
    if (access & MMU_WRITE && !w->writable && (user || mode & SPACE_WP))
        return false;
    return !(access & MMU_EXEC && w->nx);
}

/* Where a directory (0 to 3 under PAE, else the only one) is; false: its PDPTE is not
 * present. */
static inline bool directory_gpa(const struct root *r, u32 number, gpa_t *gpa)
{
    if (!(r->mode & SPACE_PAE)) {
        *gpa = r->base;
        return true;
    }
    *gpa = r->pdpte[number] & PAE_ADDRESS;
    return r->pdpte[number] & PTE_P;
}

/* The page or table an entry points to. */
static inline gpa_t entry_address(const struct entry *e)
{
    return e->val & (e->size == 8 ? PAE_ADDRESS : 0xfffff000u);
}

/* A directory's entry that maps 2 or 4 MiB? */
static inline bool entry_large(const struct entry *e, u32 mode)
{
    return e->val & PDE_PS && mode & (SPACE_PAE | SPACE_PSE);
}

/* One level: the entry `index`, of which the low 9 or 10 bits count, of a table. False: *code
 * is why, as far as the entry tells. */
static inline bool walk_level(struct mmu *mmu, gpa_t table, u32 index, struct walk *w,
                              struct entry *e, u32 *code)
{
    const struct root *r = &mmu->space->root;
    u32 size = entry_size(r);

    *code = 0;
    if (table >> PAGE_SHIFT >= PHYS_PAGES)
        return false;
    *e = entry_read(mmu, table + (index & (PAGE_SIZE / size - 1)) * size, size);
    if (!(e->val & PTE_P))
        return false;
    if (reserved_set(e, !w->levels && entry_large(e, r->mode), r->mode)) {
        *code = PF_P | PF_RSVD;
        return false;
    }
    note_table(w, e);
    return true;
}

/* Both levels; a large page has but one, whose entry is *pde and *pte then. */
static inline bool walk_levels(struct mmu *mmu, gla_t gla, struct walk *w, struct entry *pde,
                               struct entry *pte, u32 *code)
{
    const struct root *r = &mmu->space->root;
    u32 shift = PAGE_SHIFT + region_shift(r), within = (1u << shift) - 1;
    gpa_t directory;

    *code = 0;
    if (!directory_gpa(r, gla >> 30, &directory) ||
        !walk_level(mmu, directory, gla >> shift, w, pde, code))
        return false;
    w->rights = pde->val & (PTE_W | PTE_U);
    if (entry_large(pde, r->mode)) {
        w->gpa = (entry_address(pde) & ~(gpa_t)within) | (gla & within & ~PAGE_MASK);
        *pte = *pde;
        return true;
    }
    if (!walk_level(mmu, entry_address(pde), gla >> PAGE_SHIFT, w, pte, code))
        return false;
    w->gpa = entry_address(pte);
    return true;
}

/* The common walk. `touch` false leaves A and D and the rights alone (debuggers). */
static bool walk(struct mmu *mmu, gla_t gla, enum mmu_access access, bool user, bool touch,
                 struct walk *w, u32 *error)
{
    u32 mode = mmu->space->root.mode, code;
    struct entry pde, pte;

    *w = (struct walk){ .writable = true, .user = true };
    if (!walk_levels(mmu, gla, w, &pde, &pte, &code))
        return walk_denied(error, code, access, user, mode);
    if (touch) {
        if (!walk_allows(w, access, user, mode))
            return walk_denied(error, PF_P, access, user, mode);
        if (w->levels == 2)
            entry_set(mmu, &pde, PTE_A);
        entry_set(mmu, &pte, PTE_A | (access & MMU_WRITE ? PTE_D : 0));
    }
    w->dirty = pte.val & PTE_D;
    w->accessed = touch || pde.val & pte.val & PTE_A;
    w->entry = w->levels == 2 ? pde.val : pte.val;
    return true;
}

bool mmu_walk(struct mmu *mmu, gla_t gla, enum mmu_access access, bool user, struct walk *w,
              u32 *error)
{
    if (!(mmu->space->root.mode & SPACE_PAGING)) {
        *w = (struct walk){ .gpa = gla & ~PAGE_MASK, .writable = true, .user = true, .dirty = true,
                           .accessed = true };
        return true;
    }
    return walk(mmu, gla, access, user, true, w, error);
}

bool mmu_walk_quiet(struct mmu *mmu, gla_t gla, struct walk *w)
{
    u32 error;

    if (!(mmu->space->root.mode & SPACE_PAGING))
        return mmu_walk(mmu, gla, MMU_READ, false, w, &error);
    return walk(mmu, gla, MMU_READ, false, false, w, &error);
}

const u8 *mmu_directory(const struct mmu *mmu, const struct root *r, u32 number, u32 *page)
{
    gpa_t gpa;

    if (!directory_gpa(r, number, &gpa) || gpa >> PAGE_SHIFT >= PHYS_PAGES)
        return NULL;
    *page = (u32)(gpa & mmu->a20_mask) >> PAGE_SHIFT;
    return mmu->page_read[*page];
}

bool mmu_translate(struct paging *pg, gla_t gla, gpa_t *gpa)
{
    struct walk w;

    if (!mmu_walk_quiet(pg->mmu, gla, &w))
        return false;
    *gpa = (w.gpa | (gla & PAGE_MASK)) & (0xffffffff00000000ull | pg->mmu->a20_mask);
    return true;
}
