/*
 * The physical memory map: RAM and other guest memory in one memfd (so that direct maps can map
 * any page of it anywhere), and for each of the 2^20 physical pages below 4 GiB which host
 * memory answers loads and stores. What has none is the bus's.
 */
#include "mmu/phys.h"
#include "mmu/rmap.h"
#include "mmu/shadow.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

enum { EXTRA_MEMORY = 64 << 20 }; /* room for ROMs and video memory */

void *mmu_reserve(u64 size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_NOHUGEPAGE); /* little of it is touched, here and there */
    return p;
}

static u64 host_tsc(void)
{
    return __rdtsc();
}

struct mmu *mmu_new(u64 ram, const struct mmu_bus *bus)
{
    struct mmu *mmu = calloc(1, sizeof(*mmu));

    mmu->bus = *bus;
    mmu->ram_size = mmu->allocated = ram;
    mmu->reserved = ram + EXTRA_MEMORY;
    mmu->a20_mask = ~0u;
    mmu_spaces_kept(mmu, 0);
    mmu->ticks = host_tsc;
    mmu->shared_fd = -1;
    mmu->fd = memfd_create("guest memory", MFD_CLOEXEC);
    if (mmu->fd < 0 || ftruncate(mmu->fd, (off_t)mmu->reserved))
        goto fail;
    mmu->base = mmap(NULL, mmu->reserved, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                     mmu->fd, 0);
    mmu->page_read = mmu_reserve(PHYS_PAGES * sizeof(u8 *));
    mmu->page_write = mmu_reserve(PHYS_PAGES * sizeof(u8 *));
    mmu->page_flags = mmu_reserve(PHYS_PAGES);
    if (mmu->base == MAP_FAILED || !mmu->page_read || !mmu->page_write || !mmu->page_flags ||
        !rmap_init(mmu))
        goto fail;
    direct_map_init(mmu);
    mmu_map_phys(mmu, 0, ram, mmu->base, mmu->base);
    return mmu;
fail:
    mmu_free(mmu);
    return NULL;
}

void mmu_free(struct mmu *mmu)
{
    if (!mmu)
        return;
    if (mmu->base && mmu->base != MAP_FAILED)
        munmap(mmu->base, mmu->reserved);
    if (mmu->page_read)
        munmap(mmu->page_read, PHYS_PAGES * sizeof(u8 *));
    if (mmu->page_write)
        munmap(mmu->page_write, PHYS_PAGES * sizeof(u8 *));
    if (mmu->page_flags)
        munmap(mmu->page_flags, PHYS_PAGES);
    rmap_done(mmu);
    space_done(mmu);
    direct_map_done(mmu);
    user_map_done(mmu);
    if (mmu->fd >= 0)
        close(mmu->fd);
    free(mmu);
}

u64 mmu_ram_size(const struct mmu *mmu)
{
    return mmu->ram_size;
}

u8 *mmu_ram(const struct mmu *mmu)
{
    return mmu->base;
}

u8 *mmu_alloc(struct mmu *mmu, u64 size)
{
    u8 *p = mmu->base + mmu->allocated;

    size = (size + PAGE_MASK) & ~(u64)PAGE_MASK;
    check(mmu->allocated + size <= mmu->reserved, "no room for %llu bytes of device memory",
          (unsigned long long)size);
    mmu->allocated += size;
    return p;
}

void mmu_map_phys(struct mmu *mmu, gpa_t gpa, u64 size, u8 *read, u8 *write)
{
    for (u64 off = 0; off < size && (gpa + off) >> PAGE_SHIFT < PHYS_PAGES; off += PAGE_SIZE) {
        u64 page = (gpa + off) >> PAGE_SHIFT;

        mmu->page_read[page] = read ? read + off : NULL;
        mmu->page_write[page] = write ? write + off : NULL;
        if (mmu->page_flags[page] & (PG_CODE | PG_CAGED))
            mmu_tell_code_written(mmu, page << PAGE_SHIFT, PAGE_SIZE);
    }
    if (mmu->space && mmu->space->root.mode & SPACE_PAGING)
        shadow_drop_all(mmu);
    else
        shadow_drop_identity(mmu, gpa, size);
}

bool mmu_a20(const struct mmu *mmu)
{
    return mmu->a20_mask == ~0u;
}

void mmu_set_a20(struct mmu *mmu, bool enabled)
{
    u32 mask = enabled ? ~0u : ~(1u << 20);

    if (mmu->a20_mask == mask)
        return;
    mmu->a20_mask = mask;
    shadow_drop_a20(mmu);
}

const struct mmu_stats *mmu_stats(const struct mmu *mmu)
{
    return &mmu->stats;
}

/* ---- Access by physical address, page by page ---- */

static void bus_read_bytes(struct mmu *mmu, gpa_t gpa, u8 *buf, u32 n)
{
    while (n) {
        u32 size = n >= 4 && !(gpa & 3) ? 4 : n >= 2 && !(gpa & 1) ? 2 : 1;
        u32 val = mmu_bus_read(mmu, gpa, size);

        memcpy(buf, &val, size);
        gpa += size, buf += size, n -= size;
    }
}

static void bus_write_bytes(struct mmu *mmu, gpa_t gpa, const u8 *buf, u32 n)
{
    while (n) {
        u32 size = n >= 4 && !(gpa & 3) ? 4 : n >= 2 && !(gpa & 1) ? 2 : 1;
        u32 val = 0;

        memcpy(&val, buf, size);
        mmu_bus_write(mmu, gpa, size, val);
        gpa += size, buf += size, n -= size;
    }
}

static u32 to_page_end(gpa_t gpa, u64 size)
{
    u32 left = PAGE_SIZE - (u32)(gpa & PAGE_MASK);

    return size < left ? (u32)size : left;
}

void mmu_phys_read(struct mmu *mmu, gpa_t gpa, void *buf, u64 size)
{
    u8 *p = buf;

    while (size) {
        u32 n = to_page_end(gpa, size);
        u8 *hva = gpa >> PAGE_SHIFT < PHYS_PAGES ? mmu->page_read[gpa >> PAGE_SHIFT] : NULL;

        if (hva)
            memcpy(p, hva + (gpa & PAGE_MASK), n);
        else
            bus_read_bytes(mmu, gpa, p, n);
        gpa += n, p += n, size -= n;
    }
}

void mmu_phys_write(struct mmu *mmu, gpa_t gpa, const void *buf, u64 size)
{
    const u8 *p = buf;

    while (size) {
        u32 n = to_page_end(gpa, size);
        u64 page = gpa >> PAGE_SHIFT;

        if (page < PHYS_PAGES && mmu->page_write[page]) {
            if (mmu->page_flags[page])
                shadow_before_write(mmu, gpa, n);
            memcpy(mmu->page_write[page] + (gpa & PAGE_MASK), p, n);
        } else { /* a ROM's, too */
            bus_write_bytes(mmu, gpa, p, n);
        }
        gpa += n, p += n, size -= n;
    }
}

u8 *mmu_phys_run(struct mmu *mmu, gpa_t gpa, u32 size, bool write, u32 *n)
{
    u8 **answers = write ? mmu->page_write : mmu->page_read, *first = NULL, *hva;

    for (*n = 0; *n < size; *n += to_page_end(gpa + *n, size - *n)) {
        u64 page = (gpa + *n) >> PAGE_SHIFT;

        hva = page < PHYS_PAGES ? answers[page] : NULL;
        if (!hva || (first && hva + ((gpa + *n) & PAGE_MASK) != first + *n))
            break;
        first = first ? first : hva + (gpa & PAGE_MASK);
        if (write && mmu->page_flags[page])
            shadow_before_write(mmu, gpa + *n, to_page_end(gpa + *n, size - *n));
    }
    return first;
}

bool mmu_phys_is_memory(const struct mmu *mmu, gpa_t gpa, bool write)
{
    u64 page = gpa >> PAGE_SHIFT;

    return page < PHYS_PAGES && (write ? mmu->page_write[page] : mmu->page_read[page]);
}

void mmu_listen(struct mmu *mmu, struct mmu_listener *l)
{
    l->next = mmu->listeners;
    mmu->listeners = l;
}

void mmu_unlisten(struct mmu *mmu, struct mmu_listener *l)
{
    struct mmu_listener **p = &mmu->listeners;

    while (*p && *p != l)
        p = &(*p)->next;
    if (*p)
        *p = l->next;
}

void mmu_tell_code_written(struct mmu *mmu, gpa_t gpa, u32 n)
{
    for (struct mmu_listener *l = mmu->listeners; l; l = l->next)
        l->code_written(l->owner, gpa, n);
}

void mmu_protect_code(struct mmu *mmu, gpa_t page)
{
    rmap_protect(mmu, (u32)(page >> PAGE_SHIFT), PG_CODE);
}

void mmu_unprotect_code(struct mmu *mmu, gpa_t page)
{
    mmu->page_flags[page >> PAGE_SHIFT] &= (u8)~PG_CODE;
}

void mmu_protect_caged(struct mmu *mmu, gpa_t page)
{
    rmap_protect(mmu, (u32)(page >> PAGE_SHIFT), PG_CAGED);
}

void mmu_unprotect_caged(struct mmu *mmu, gpa_t page)
{
    mmu->page_flags[page >> PAGE_SHIFT] &= (u8)~PG_CAGED;
}

int mmu_memory_file(const struct mmu *mmu)
{
    return mmu->fd;
}
