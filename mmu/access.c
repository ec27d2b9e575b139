/*
 * Guest memory by linear address, from C: one look at the slot, and the long way for what is not
 * plain memory inside one page.
 */
#include "mmu/pte.h"
#include "mmu/shadow.h"
#include <string.h>

/* The slot for an access, filled if need be; false: #PF recorded. */
static inline bool slot_get(struct paging *pg, gla_t gla, enum mmu_access access, u64 *slot)
{
    u32 table = access & MMU_WRITE ? FLAT_WRITE : access & MMU_EXEC ? FLAT_EXEC : 0;
    u64 *p = &mmu_flat(pg, access)[table + (gla >> PAGE_SHIFT)];

    if (unlikely(!*p) && !shadow_fill(pg, gla, access))
        return false;
    *slot = *p;
    return true;
}

/* The same slot, but not by the window, from which the page may go while another slot is filled. */
static u64 slot_kept(const struct paging *pg, u64 slot, gla_t gla)
{
    u8 *hva = slot_hva(slot, gla);

    return slot_direct(slot) || slot_guarded(slot) ? slot + (u64)(window_memory(pg->mmu, hva) - hva) : slot;
}

static bool crosses(gla_t gla, u32 size)
{
    return (gla & PAGE_MASK) + size > PAGE_SIZE;
}

bool mmu_probe(struct paging *pg, gla_t gla, u32 size, enum mmu_access access)
{
    u64 slot;

    if (!slot_get(pg, gla, access, &slot))
        return false;
    return !crosses(gla, size) || slot_get(pg, (gla + size - 1) & ~PAGE_MASK, access, &slot);
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

/* Device memory, or ROM: a write slot without memory behind it. */
static void device_write(struct paging *pg, gpa_t gpa, u32 size, u64 val)
{
    if (gpa >> PAGE_SHIFT < PHYS_PAGES && pg->mmu->page_read[gpa >> PAGE_SHIFT])
        return; /* ROM */
    mmu_bus_write(pg->mmu, gpa, size < 4 ? size : 4, (u32)val);
    if (size == 8)
        mmu_bus_write(pg->mmu, gpa + 4, 4, (u32)(val >> 32));
}

static void page_load(struct paging *pg, u64 slot, gla_t gla, void *buf, u32 n)
{
    if (slot_direct(slot)) {
        memcpy(buf, slot_hva(slot, gla), n);
        return;
    }
    pg->mmu->odd_accesses++;
    if (n <= 4 || n == 8) {
        u64 val = device_read(pg, slot_gpa(slot, gla), n);

        memcpy(buf, &val, n);
    } else {
        mmu_phys_read(pg->mmu, slot_gpa(slot, gla), buf, n);
    }
}

/* The physical address of memory a guarded slot leads to; false: the tables say otherwise by now. */
static bool guarded_gpa(struct paging *pg, const u8 *hva, gla_t gla, gpa_t *gpa)
{
    struct mmu *mmu = pg->mmu;

    *gpa = (u64)(hva - mmu->base); /* RAM is mapped at its own offset */
    if (likely(*gpa < mmu->ram_size))
        return true;
    return mmu_translate(pg, gla, gpa) && *gpa >> PAGE_SHIFT < PHYS_PAGES &&
           mmu->page_write[*gpa >> PAGE_SHIFT] == hva - (gla & PAGE_MASK);
}

static void guarded_store(struct paging *pg, u8 *hva, gla_t gla, const void *buf, u32 n)
{
    struct mmu *mmu = pg->mmu;
    gpa_t gpa;

    if (guarded_gpa(pg, hva, gla, &gpa) && mmu->page_flags[gpa >> PAGE_SHIFT]) {
        shadow_store(mmu, gpa, hva, buf, n);
        return;
    }
    shadow_forget_writes(mmu, gla); /* no longer guarded: let the next fill make the slot direct */
    memcpy(hva, buf, n);
}

static void page_store(struct paging *pg, u64 slot, gla_t gla, const void *buf, u32 n)
{
    if (slot_direct(slot)) {
        memcpy(slot_hva(slot, gla), buf, n);
        return;
    }
    pg->mmu->odd_accesses++;
    if (slot_guarded(slot)) {
        guarded_store(pg, window_memory(pg->mmu, slot_hva(slot, gla)), gla, buf, n);
    } else if (n <= 4 || n == 8) {
        u64 val = 0;

        memcpy(&val, buf, n);
        device_write(pg, slot_gpa(slot, gla), n, val);
    } else {
        mmu_phys_write(pg->mmu, slot_gpa(slot, gla), buf, n);
    }
}

/* ---- Any bytes ---- */

bool mmu_load_bytes(struct paging *pg, gla_t gla, void *buf, u32 n, enum mmu_access access)
{
    u32 first = PAGE_SIZE - (gla & PAGE_MASK);
    u64 slot, slot2;

    if (!slot_get(pg, gla, access, &slot))
        return false;
    if (likely(n <= first)) {
        page_load(pg, slot, gla, buf, n);
        return true;
    }
    pg->mmu->odd_accesses++;
    slot = slot_kept(pg, slot, gla);
    if (!slot_get(pg, gla + first, access, &slot2))
        return false;
    page_load(pg, slot, gla, buf, first);
    page_load(pg, slot2, gla + first, (u8 *)buf + first, n - first);
    return true;
}

bool mmu_store_bytes(struct paging *pg, gla_t gla, const void *buf, u32 n, enum mmu_access access)
{
    u32 first = PAGE_SIZE - (gla & PAGE_MASK);
    u64 slot, slot2;

    access |= MMU_WRITE;
    if (!slot_get(pg, gla, access, &slot))
        return false;
    if (likely(n <= first)) {
        page_store(pg, slot, gla, buf, n);
        return true;
    }
    pg->mmu->odd_accesses++;
    slot = slot_kept(pg, slot, gla);
    if (!slot_get(pg, gla + first, access, &slot2))
        return false;
    page_store(pg, slot, gla, buf, first);
    /* The first part may have changed the tables the second slot came from. */
    if (!slot_get(pg, gla + first, access, &slot2))
        return false;
    page_store(pg, slot2, gla + first, (const u8 *)buf + first, n - first);
    return true;
}

/* The guest aligns as it likes. */
typedef u16 u16_any __attribute__((aligned(1)));
typedef u32 u32_any __attribute__((aligned(1)));
typedef u64 u64_any __attribute__((aligned(1)));

bool mmu_load(struct paging *pg, gla_t gla, u32 size, enum mmu_access access, u64 *val)
{
    u64 slot = mmu_flat(pg, access)[(access & MMU_WRITE ? FLAT_WRITE : 0) + (gla >> PAGE_SHIFT)];

    if (likely(slot_direct(slot) && !crosses(gla, size))) {
        u8 *hva = slot_hva(slot, gla);

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
    u64 slot = mmu_flat(pg, access)[FLAT_WRITE + (gla >> PAGE_SHIFT)];

    if (likely(slot_direct(slot) && !crosses(gla, size))) {
        u8 *hva = slot_hva(slot, gla);

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
    u64 slot;

    *fault = false;
    if (!slot_get(pg, gla, access, &slot)) {
        *fault = true;
        return NULL;
    }
    return slot_direct(slot) ? window_memory(pg->mmu, slot_hva(slot, gla)) : NULL;
}

u8 *mmu_host_overwrite(struct paging *pg, gla_t gla, u32 n, bool *fault)
{
    struct mmu *mmu = pg->mmu;
    gpa_t gpa;
    u64 slot;
    u8 *hva;

    *fault = !slot_get(pg, gla, MMU_WRITE, &slot);
    if (*fault)
        return NULL;
    hva = window_memory(mmu, slot_hva(slot, gla));
    if (slot_direct(slot))
        return hva;
    if (!slot_guarded(slot))
        return NULL;
    if (guarded_gpa(pg, hva, gla, &gpa) && mmu->page_flags[gpa >> PAGE_SHIFT])
        shadow_before_write(mmu, gpa, n);
    else
        shadow_forget_writes(mmu, gla);
    return hva;
}

/* ---- What the CPU tells the MMU ---- */

void mmu_cpl_changed(struct paging *pg, bool user)
{
    struct space *s = pg->mmu->space;

    pg->flat_system = s->flat;
    pg->flat = s->flat + (user ? FLAT_USER : 0);
    pg->mmu->fetch_generation++;
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
    space_switch(pg);
    return true;
}

/* Slots follow the tables write by write (shadow.c): there is nothing stale to drop. */
void mmu_invlpg(struct paging *pg, gla_t gla)
{
}

void mmu_flush(struct paging *pg)
{
}
