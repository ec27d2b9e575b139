/*
 * Guest memory by linear address, from C: one look at the spte, and the long way for what is
 * not plain memory inside one page.
 */
#include "mmu/phys.h"
#include "mmu/pte.h"
#include "mmu/shadow.h"
#include <string.h>

/* The spte for an access, filled if need be; false: #PF recorded. */
static inline bool spte_get(struct paging *pg, gla_t gla, enum mmu_access access, u64 *spte)
{
    u32 table = access & MMU_WRITE ? SHADOW_WRITE : access & MMU_EXEC ? SHADOW_EXEC : 0;
    u64 *p = &mmu_shadow(pg, access)[table + (gla >> PAGE_SHIFT)];

    if (unlikely(!*p) && !shadow_fill(pg, gla, access))
        return false;
    *spte = *p;
    return true;
}

/* The same spte, but not by the direct map, from which the page may go while another spte is
 * filled. */
static u64 spte_kept(const struct paging *pg, u64 spte, gla_t gla)
{
    u8 *hva = spte_hva(spte, gla);

    return spte_direct(spte) || spte_protected(spte)
               ? spte + (u64)(direct_map_memory(pg->mmu, hva) - hva)
               : spte;
}

static bool crosses_page(gla_t gla, u32 size)
{
    return (gla & PAGE_MASK) + size > PAGE_SIZE;
}

bool mmu_probe(struct paging *pg, gla_t gla, u32 size, enum mmu_access access)
{
    u64 spte;

    if (!spte_get(pg, gla, access, &spte))
        return false;
    return !crosses_page(gla, size) ||
           spte_get(pg, (gla + size - 1) & ~PAGE_MASK, access, &spte);
}

/* ---- One page ---- */

static u64 device_read(struct paging *pg, gpa_t gpa, u32 size)
{
    u64 val = 0;

    if (size == 8)
        return mmu_bus_read(pg->mmu, gpa, 4) |
               (u64)mmu_bus_read(pg->mmu, gpa + 4, 4) << 32;
    if (size <= 4)
        val = mmu_bus_read(pg->mmu, gpa, size);
    return val;
}

/* Device memory, or ROM, whose chip may want to know: a write spte without memory behind it. */
static void device_write(struct paging *pg, gpa_t gpa, u32 size, u64 val)
{
    mmu_bus_write(pg->mmu, gpa, size < 4 ? size : 4, (u32)val);
    if (size == 8)
        mmu_bus_write(pg->mmu, gpa + 4, 4, (u32)(val >> 32));
}

static void page_load(struct paging *pg, u64 spte, gla_t gla, void *buf, u32 n)
{
    if (spte_direct(spte)) {
        memcpy(buf, spte_hva(spte, gla), n);
        return;
    }
    pg->mmu->odd_accesses++;
    if (n <= 4 || n == 8) {
        u64 val = device_read(pg, spte_gpa(spte, gla), n);

        memcpy(buf, &val, n);
    } else {
        mmu_phys_read(pg->mmu, spte_gpa(spte, gla), buf, n);
    }
}

/* The physical address of memory a write-protected spte leads to; false: the tables say
 * otherwise by now. */
static bool protected_gpa(struct paging *pg, const u8 *hva, gla_t gla, gpa_t *gpa)
{
    struct mmu *mmu = pg->mmu;

    *gpa = (u64)(hva - mmu->base); /* RAM is mapped at its own offset */
    if (likely(*gpa < mmu->ram_size))
        return true;
    return mmu_translate(pg, gla, gpa) && *gpa >> PAGE_SHIFT < PHYS_PAGES &&
           mmu->page_write[*gpa >> PAGE_SHIFT] == hva - (gla & PAGE_MASK);
}

static void protected_store(struct paging *pg, u8 *hva, gla_t gla, const void *buf, u32 n)
{
    struct mmu *mmu = pg->mmu;
    gpa_t gpa;

    if (protected_gpa(pg, hva, gla, &gpa) && mmu->page_flags[gpa >> PAGE_SHIFT]) {
        shadow_store(mmu, gpa, hva, buf, n);
        return;
    }
    /* no longer write-protected: let the next fill make the spte direct */
    shadow_forget_writes(mmu, gla);
    memcpy(hva, buf, n);
}

static void page_store(struct paging *pg, u64 spte, gla_t gla, const void *buf, u32 n)
{
    if (spte_direct(spte)) {
        memcpy(spte_hva(spte, gla), buf, n);
        return;
    }
    pg->mmu->odd_accesses++;
    if (spte_protected(spte)) {
        protected_store(pg, direct_map_memory(pg->mmu, spte_hva(spte, gla)), gla, buf, n);
    } else if (n <= 4 || n == 8) {
        u64 val = 0;

        memcpy(&val, buf, n);
        device_write(pg, spte_gpa(spte, gla), n, val);
    } else {
        mmu_phys_write(pg->mmu, spte_gpa(spte, gla), buf, n);
    }
}

/* ---- Any bytes ---- */

bool mmu_load_bytes(struct paging *pg, gla_t gla, void *buf, u32 n, enum mmu_access access)
{
    u32 first = PAGE_SIZE - (gla & PAGE_MASK);
    u64 spte, spte2;

    if (!spte_get(pg, gla, access, &spte))
        return false;
    if (likely(n <= first)) {
        page_load(pg, spte, gla, buf, n);
        return true;
    }
    pg->mmu->odd_accesses++;
    spte = spte_kept(pg, spte, gla);
    if (!spte_get(pg, gla + first, access, &spte2))
        return false;
    page_load(pg, spte, gla, buf, first);
    page_load(pg, spte2, gla + first, (u8 *)buf + first, n - first);
    return true;
}

bool mmu_store_bytes(struct paging *pg, gla_t gla, const void *buf, u32 n,
                     enum mmu_access access)
{
    u32 first = PAGE_SIZE - (gla & PAGE_MASK);
    u64 spte, spte2;

    access |= MMU_WRITE;
    if (!spte_get(pg, gla, access, &spte))
        return false;
    if (likely(n <= first)) {
        page_store(pg, spte, gla, buf, n);
        return true;
    }
    pg->mmu->odd_accesses++;
    spte = spte_kept(pg, spte, gla);
    if (!spte_get(pg, gla + first, access, &spte2))
        return false;
    page_store(pg, spte, gla, buf, first);
    /* The first part may have changed the tables the second spte came from. */
    if (!spte_get(pg, gla + first, access, &spte2))
        return false;
    page_store(pg, spte2, gla + first, (const u8 *)buf + first, n - first);
    return true;
}

/* The guest aligns as it likes. */
typedef u16 u16_any __attribute__((aligned(1)));
typedef u32 u32_any __attribute__((aligned(1)));
typedef u64 u64_any __attribute__((aligned(1)));

bool mmu_load(struct paging *pg, gla_t gla, u32 size, enum mmu_access access, u64 *val)
{
    u64 spte =
        mmu_shadow(pg, access)[(access & MMU_WRITE ? SHADOW_WRITE : 0) + (gla >> PAGE_SHIFT)];

    if (likely(spte_direct(spte) && !crosses_page(gla, size))) {
        u8 *hva = spte_hva(spte, gla);

        switch (size) {
        case 1:
            *val = *hva;
            return true;
        case 2:
            *val = *(u16_any *)hva;
            return true;
        case 4:
            *val = *(u32_any *)hva;
            return true;
        default:
            *val = *(u64_any *)hva;
            return true;
        }
    }
    *val = 0;
    if (access & MMU_WRITE && !mmu_probe(pg, gla, size, access))
        return false;
    return mmu_load_bytes(pg, gla, val, size, access & ~(unsigned)MMU_WRITE);
}

bool mmu_store(struct paging *pg, gla_t gla, u32 size, enum mmu_access access, u64 val)
{
    u64 spte = mmu_shadow(pg, access)[SHADOW_WRITE + (gla >> PAGE_SHIFT)];

    if (likely(spte_direct(spte) && !crosses_page(gla, size))) {
        u8 *hva = spte_hva(spte, gla);

        switch (size) {
        case 1:
            *hva = (u8)val;
            return true;
        case 2:
            *(u16_any *)hva = (u16)val;
            return true;
        case 4:
            *(u32_any *)hva = (u32)val;
            return true;
        default:
            *(u64_any *)hva = val;
            return true;
        }
    }
    return mmu_store_bytes(pg, gla, &val, size, access);
}

u8 *mmu_host(struct paging *pg, gla_t gla, enum mmu_access access, bool *fault)
{
    u64 spte;

    *fault = false;
    if (!spte_get(pg, gla, access, &spte)) {
        *fault = true;
        return NULL;
    }
    return spte_direct(spte) ? direct_map_memory(pg->mmu, spte_hva(spte, gla)) : NULL;
}

u8 *mmu_host_overwrite(struct paging *pg, gla_t gla, u32 n, bool *fault)
{
    struct mmu *mmu = pg->mmu;
    gpa_t gpa;
    u64 spte;
    u8 *hva;

    *fault = !spte_get(pg, gla, MMU_WRITE, &spte);
    if (*fault)
        return NULL;
    hva = direct_map_memory(mmu, spte_hva(spte, gla));
    if (spte_direct(spte))
        return hva;
    if (!spte_protected(spte))
        return NULL;
    if (protected_gpa(pg, hva, gla, &gpa) && mmu->page_flags[gpa >> PAGE_SHIFT])
        shadow_before_write(mmu, gpa, n);
    else
        shadow_forget_writes(mmu, gla);
    return hva;
}

u8 *mmu_span(struct paging *pg, gla_t gla, u32 n, enum mmu_access access)
{
    u64 spte =
        mmu_shadow(pg, access)[(access & MMU_WRITE ? SHADOW_WRITE : 0) + (gla >> PAGE_SHIFT)];

    return spte_direct(spte) && !crosses_page(gla, n) ? spte_hva(spte, gla) : NULL;
}

/* ---- What the CPU tells the MMU ---- */

void mmu_cpl_changed(struct paging *pg, bool user)
{
    struct space *s = pg->mmu->space;

    pg->shadow_system = s->shadow;
    pg->shadow = s->shadow + (user ? SHADOW_USER : 0);
    pg->mmu->fetch_generation++;
}

static void forget_stale(struct paging *pg)
{
    if (unlikely(pg->stale_code))
        shadow_forget_stale(pg->mmu);
}

bool mmu_mode_changed(struct paging *pg, bool pdptes)
{
    if (pdptes && pg->cr0 & CR0_PG && pg->cr4 & CR4_PAE) {
        u64 entries[4];

        mmu_phys_read(pg->mmu, pg->cr3 & ~31u, entries, sizeof(entries));
        for (u32 i = 0; i < 4; i++)
            if (entries[i] & PTE_P && entries[i] & PDPTE_RSVD)
                return false;
        memcpy(pg->mmu->pdpte, entries, sizeof(entries));
    }
    forget_stale(pg);
    space_switch(pg);
    return true;
}

/* Sptes follow the tables write by write (shadow.c): but for one, there is nothing to drop. */
void mmu_invlpg(struct paging *pg, gla_t gla)
{
    forget_stale(pg);
}

void mmu_flush(struct paging *pg)
{
    forget_stale(pg);
}
