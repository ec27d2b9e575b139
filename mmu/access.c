/*
 * Guest memory by linear address, from C: one look at the slot, and the long way for what is not
 * plain memory inside one page.
 */
#include "devices/device.h"
#include "mmu/pte.h"
#include "mmu/shadow.h"
#include "runtime/machine.h"
#include <string.h>

/* The slot for an access, filled if need be; false: #PF recorded. */
static inline bool slot_get(struct vcpu *cpu, gla_t gla, enum mmu_access access, u64 *slot)
{
    u32 table = access & MMU_WRITE ? FLAT_WRITE : access & MMU_EXEC ? FLAT_EXEC : 0;
    u64 *p = &mmu_flat(cpu, access)[table + (gla >> PAGE_SHIFT)];

    if (unlikely(!*p) && !shadow_fill(cpu, gla, access))
        return false;
    *slot = *p;
    return true;
}

/* The same slot, but not by the window, from which the page may go while another slot is filled. */
static u64 slot_kept(const struct vcpu *cpu, u64 slot, gla_t gla)
{
    u8 *hva = slot_hva(slot, gla);

    return slot_direct(slot) || slot_guarded(slot) ? slot + (u64)(window_memory(cpu->mmu, hva) - hva) : slot;
}

static bool crosses(gla_t gla, u32 size)
{
    return (gla & PAGE_MASK) + size > PAGE_SIZE;
}

bool mmu_probe(struct vcpu *cpu, gla_t gla, u32 size, enum mmu_access access)
{
    u64 slot;

    if (!slot_get(cpu, gla, access, &slot))
        return false;
    return !crosses(gla, size) || slot_get(cpu, (gla + size - 1) & ~PAGE_MASK, access, &slot);
}

/* ---- One page ---- */

static u64 device_read(struct vcpu *cpu, gpa_t gpa, u32 size)
{
    u64 val = 0;

    if (size == 8)
        return bus_mmio_read(cpu->machine, gpa, 4) |
               (u64)bus_mmio_read(cpu->machine, gpa + 4, 4) << 32;
    if (size <= 4)
        val = bus_mmio_read(cpu->machine, gpa, size);
    return val;
}

/* Device memory, or ROM: a write slot without memory behind it. */
static void device_write(struct vcpu *cpu, gpa_t gpa, u32 size, u64 val)
{
    if (gpa >> PAGE_SHIFT < PHYS_PAGES && cpu->mmu->page_read[gpa >> PAGE_SHIFT])
        return; /* ROM */
    bus_mmio_write(cpu->machine, gpa, size < 4 ? size : 4, (u32)val);
    if (size == 8)
        bus_mmio_write(cpu->machine, gpa + 4, 4, (u32)(val >> 32));
}

static void page_load(struct vcpu *cpu, u64 slot, gla_t gla, void *buf, u32 n)
{
    if (slot_direct(slot)) {
        memcpy(buf, slot_hva(slot, gla), n);
        return;
    }
    cpu->mmu->odd_accesses++;
    if (n <= 4 || n == 8) {
        u64 val = device_read(cpu, slot_gpa(slot, gla), n);

        memcpy(buf, &val, n);
    } else {
        phys_read(cpu->machine, slot_gpa(slot, gla), buf, n);
    }
}

/* The physical address of memory a guarded slot leads to; false: the tables say otherwise by now. */
static bool guarded_gpa(struct vcpu *cpu, const u8 *hva, gla_t gla, gpa_t *gpa)
{
    struct mmu *mmu = cpu->mmu;

    *gpa = (u64)(hva - mmu->base); /* RAM is mapped at its own offset */
    if (likely(*gpa < mmu->ram_size))
        return true;
    return mmu_translate(cpu, gla, gpa) && *gpa >> PAGE_SHIFT < PHYS_PAGES &&
           mmu->page_write[*gpa >> PAGE_SHIFT] == hva - (gla & PAGE_MASK);
}

static void guarded_store(struct vcpu *cpu, u8 *hva, gla_t gla, const void *buf, u32 n)
{
    struct mmu *mmu = cpu->mmu;
    gpa_t gpa;

    if (guarded_gpa(cpu, hva, gla, &gpa) && mmu->page_flags[gpa >> PAGE_SHIFT]) {
        shadow_store(mmu, gpa, hva, buf, n);
        return;
    }
    shadow_forget_writes(mmu, gla); /* no longer guarded: let the next fill make the slot direct */
    memcpy(hva, buf, n);
}

static void page_store(struct vcpu *cpu, u64 slot, gla_t gla, const void *buf, u32 n)
{
    if (slot_direct(slot)) {
        memcpy(slot_hva(slot, gla), buf, n);
        return;
    }
    cpu->mmu->odd_accesses++;
    if (slot_guarded(slot)) {
        guarded_store(cpu, window_memory(cpu->mmu, slot_hva(slot, gla)), gla, buf, n);
    } else if (n <= 4 || n == 8) {
        u64 val = 0;

        memcpy(&val, buf, n);
        device_write(cpu, slot_gpa(slot, gla), n, val);
    } else {
        phys_write(cpu->machine, slot_gpa(slot, gla), buf, n);
    }
}

/* ---- Any bytes ---- */

bool mmu_load_bytes(struct vcpu *cpu, gla_t gla, void *buf, u32 n, enum mmu_access access)
{
    u32 first = PAGE_SIZE - (gla & PAGE_MASK);
    u64 slot, slot2;

    if (!slot_get(cpu, gla, access, &slot))
        return false;
    if (likely(n <= first)) {
        page_load(cpu, slot, gla, buf, n);
        return true;
    }
    cpu->mmu->odd_accesses++;
    slot = slot_kept(cpu, slot, gla);
    if (!slot_get(cpu, gla + first, access, &slot2))
        return false;
    page_load(cpu, slot, gla, buf, first);
    page_load(cpu, slot2, gla + first, (u8 *)buf + first, n - first);
    return true;
}

bool mmu_store_bytes(struct vcpu *cpu, gla_t gla, const void *buf, u32 n, enum mmu_access access)
{
    u32 first = PAGE_SIZE - (gla & PAGE_MASK);
    u64 slot, slot2;

    access |= MMU_WRITE;
    if (!slot_get(cpu, gla, access, &slot))
        return false;
    if (likely(n <= first)) {
        page_store(cpu, slot, gla, buf, n);
        return true;
    }
    cpu->mmu->odd_accesses++;
    slot = slot_kept(cpu, slot, gla);
    if (!slot_get(cpu, gla + first, access, &slot2))
        return false;
    page_store(cpu, slot, gla, buf, first);
    /* The first part may have changed the tables the second slot came from. */
    if (!slot_get(cpu, gla + first, access, &slot2))
        return false;
    page_store(cpu, slot2, gla + first, (const u8 *)buf + first, n - first);
    return true;
}

/* The guest aligns as it likes. */
typedef u16 u16_any __attribute__((aligned(1)));
typedef u32 u32_any __attribute__((aligned(1)));
typedef u64 u64_any __attribute__((aligned(1)));

bool mmu_load(struct vcpu *cpu, gla_t gla, u32 size, enum mmu_access access, u64 *val)
{
    u64 slot = mmu_flat(cpu, access)[(access & MMU_WRITE ? FLAT_WRITE : 0) + (gla >> PAGE_SHIFT)];

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
    if (access & MMU_WRITE && !mmu_probe(cpu, gla, size, access))
        return false;
    return mmu_load_bytes(cpu, gla, val, size, access & ~(unsigned)MMU_WRITE);
}

bool mmu_store(struct vcpu *cpu, gla_t gla, u32 size, enum mmu_access access, u64 val)
{
    u64 slot = mmu_flat(cpu, access)[FLAT_WRITE + (gla >> PAGE_SHIFT)];

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
    return mmu_store_bytes(cpu, gla, &val, size, access);
}

u8 *mmu_host(struct vcpu *cpu, gla_t gla, enum mmu_access access, bool *fault)
{
    u64 slot;

    *fault = false;
    if (!slot_get(cpu, gla, access, &slot)) {
        *fault = true;
        return NULL;
    }
    return slot_direct(slot) ? window_memory(cpu->mmu, slot_hva(slot, gla)) : NULL;
}

u8 *mmu_host_overwrite(struct vcpu *cpu, gla_t gla, u32 n, bool *fault)
{
    struct mmu *mmu = cpu->mmu;
    gpa_t gpa;
    u64 slot;
    u8 *hva;

    *fault = !slot_get(cpu, gla, MMU_WRITE, &slot);
    if (*fault)
        return NULL;
    hva = window_memory(mmu, slot_hva(slot, gla));
    if (slot_direct(slot))
        return hva;
    if (!slot_guarded(slot))
        return NULL;
    if (guarded_gpa(cpu, hva, gla, &gpa) && mmu->page_flags[gpa >> PAGE_SHIFT])
        shadow_before_write(mmu, gpa, n);
    else
        shadow_forget_writes(mmu, gla);
    return hva;
}

/* ---- What the CPU tells the MMU ---- */

void mmu_cpl_changed(struct vcpu *cpu)
{
    struct space *s = cpu->mmu->space;

    cpu->flat_system = s->flat;
    cpu->flat = s->flat + (cpu->cpl == 3 ? FLAT_USER : 0);
    cpu->mmu->fetch_generation++;
}

bool mmu_mode_changed(struct vcpu *cpu, bool pdptes)
{
    if (pdptes && cpu->cr0 & CR0_PG && cpu->cr4 & CR4_PAE) {
        u64 entries[4];

        phys_read(cpu->machine, cpu->cr3 & ~31u, entries, sizeof(entries));
        for (u32 i = 0; i < 4; i++)
            if (entries[i] & PTE_P && entries[i] & PDPTE_RSVD)
                return cpu_fault(cpu, EXC_GP, 0);
        memcpy(cpu->mmu->pdpte, entries, sizeof(entries));
    }
    space_switch(cpu);
    return true;
}

/* Slots follow the tables write by write (shadow.c): there is nothing stale to drop. */
void mmu_invlpg(struct vcpu *cpu, gla_t gla)
{
}

void mmu_flush(struct vcpu *cpu)
{
}
