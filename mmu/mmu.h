/*
 * From guest linear addresses to host memory: the guest's page tables walked, and their results
 * kept in shadow page tables that follow the guest's tables write by write.
 *
 *        segmentation            guest page tables          memory map
 *   off ─────────────▶ gla_t ──────────────────▶ gpa_t ────────────────▶ hva (u8 *)
 *                        │                                                ▲
 *                        └────────── shadow: linear shadow table, direct map ──────────┘
 *
 * Invariant: a shadow entry exists only while the guest's entry allows it, with A (and D, for
 * writing) set in the guest's tables; a guest page table that was read for a shadow entry is
 * traced: each write to it, by whomever, drops what was derived from the words written.
 * See mmu/README.md, SDM vol. 3 chapter 4.
 */
#ifndef RING3_MMU_H
#define RING3_MMU_H

#include "mmu/paging.h"

enum mmu_access {
    MMU_READ = 0,
    MMU_WRITE = 1,
    MMU_EXEC = 2,
    MMU_SYSTEM = 4, /* or-ed in: as CPL 0 whatever the CPL (descriptor tables, TSS) */
};

/* ---- Life, and the physical map (phys.c) ---- */

/* What answers where there is no memory: 1, 2 or 4 bytes, aligned. */
struct mmu_bus {
    void *bus;
    u32 (*read)(void *bus, gpa_t gpa, u32 size);
    void (*write)(void *bus, gpa_t gpa, u32 size, u32 val);
};
/* RAM of `ram` bytes (multiple of 4 KiB, up to 3.5 GiB). NULL: the host refused the memory. */
struct mmu *mmu_new(u64 ram, const struct mmu_bus *bus);
void mmu_free(struct mmu *mmu);
u64 mmu_ram_size(const struct mmu *mmu);
/* RAM by its offset, whatever is mapped there. For loading kernels before the guest runs. */
u8 *mmu_ram(const struct mmu *mmu);
/* Memory that is not RAM and can be mapped at a gpa (ROM, video): page-aligned, zeroed. */
u8 *mmu_alloc(struct mmu *mmu, u64 size);

/* Which memory answers at [gpa, gpa+size): `read` for loads and fetches, `write` for stores;
 * NULL: the bus is asked. RAM is mapped at 0 at start, the rest is bus. Shadow entries are
 * dropped. */
void mmu_map_phys(struct mmu *mmu, gpa_t gpa, u64 size, u8 *read, u8 *write);
void mmu_set_a20(struct mmu *mmu, bool enabled);
bool mmu_a20(const struct mmu *mmu);

/* By physical address, page by page: memory, or the bus; writes to ROM are dropped. Writes
 * to a protected page are reported first. */
void mmu_phys_read(struct mmu *mmu, gpa_t gpa, void *buf, u64 size);
void mmu_phys_write(struct mmu *mmu, gpa_t gpa, const void *buf, u64 size);

/* Memory of the host's that answers at gpa: of `size` bytes, *n lie there in a row, at least
 * one. To be written: what is in them is about to change, which is reported as by
 * mmu_phys_write(). NULL: the bus answers, or a ROM that is to be written; nothing has been
 * done. */
u8 *mmu_phys_run(struct mmu *mmu, gpa_t gpa, u32 size, bool write, u32 *n);

/* Does memory answer there, for loads or stores, and not the bus? */
bool mmu_phys_is_memory(const struct mmu *mmu, gpa_t gpa, bool write);

/* What is counted: stats.def. */
struct mmu_stats {
#define COUNTER(id, help) u64 id;
#include "mmu/stats.def"
#undef COUNTER
};
const struct mmu_stats *mmu_stats(const struct mmu *mmu);

/* ---- Accesses by linear address, with the current privilege (access.c) ---- */

/* size 1, 2, 4 or 8, page crossings allowed; false: #PF was raised. Writes that cross
 * check both pages first. */
bool mmu_load(struct paging *pg, gla_t gla, u32 size, enum mmu_access access, u64 *val);
bool mmu_store(struct paging *pg, gla_t gla, u32 size, enum mmu_access access, u64 val);
/* Would the access succeed? Sets A and D as the access would. false: #PF was raised. */
bool mmu_probe(struct paging *pg, gla_t gla, u32 size, enum mmu_access access);
bool mmu_load_bytes(struct paging *pg, gla_t gla, void *buf, u32 n, enum mmu_access access);
bool mmu_store_bytes(struct paging *pg, gla_t gla, const void *buf, u32 n,
                     enum mmu_access access);
/* Host address of the byte at gla, good to the end of its page; NULL with *fault false: device
 * memory (or traced, for writing); NULL with *fault true: #PF was raised. */
u8 *mmu_host(struct paging *pg, gla_t gla, enum mmu_access access, bool *fault);
/* The same for n bytes inside a page that the caller overwrites at once: the write has been
 * reported when it returns. */
u8 *mmu_host_overwrite(struct paging *pg, gla_t gla, u32 n, bool *fault);
/* Where n bytes lie that may be accessed at once, without a look at anything: plain memory in
 * one page. For use before anything else happens. NULL: by the functions above. */
u8 *mmu_span(struct paging *pg, gla_t gla, u32 n, enum mmu_access access);
/* Physical address by the current tables, no exception, no A or D: for debuggers. false:
 * unmapped */
bool mmu_translate(struct paging *pg, gla_t gla, gpa_t *gpa);

/* ---- What the CPU tells the MMU ---- */

/* CR0 (PG, WP), CR3, CR4 (PSE, PAE, PGE) or EFER.NXE changed; the CPL, to 3 or from there.
 * Loads the PDPTEs under PAE when `pdptes` is set: false if reserved bits are set, which is
 * #GP(0). */
bool mmu_mode_changed(struct paging *pg, bool pdptes);
void mmu_cpl_changed(struct paging *pg, bool user);
void mmu_invlpg(struct paging *pg, gla_t gla);
void mmu_flush(struct paging *pg); /* all, global too */

/* ---- Direct maps, for the translator's loads: gs:[gla] (directmap.c) ---- */

/* Lets gs lead to vcpu.direct_map: once before code runs on this thread that uses it. While
 * vcpu.direct_map_loaded is set, each change of the direct map does it, too. */
void mmu_direct_map_load(struct paging *pg);
/* As if the host had no WRGSBASE, for tests; and has it, in words? */
void mmu_plain_host(struct mmu *mmu);
const char *mmu_host_model(const struct mmu *mmu);
/* Is there one that loads are worth to be tried by? */
bool mmu_direct_map_use(const struct paging *pg);
/* A load at gla found nothing in the direct map, and was done otherwise by now. True: it will
 * find it; false: let it go by a spte. */
bool mmu_direct_map_extend(struct paging *pg, gla_t gla);

/* ---- User maps, for the translator's loads and stores in user mode and without paging
 * (usermap.c) ---- */

/* The deadline has come at code that a user map would serve, at that TSC: its space may get
 * one. True: so the supervisor's direct maps, or the space's, have gone. */
bool mmu_user_map_sample(struct paging *pg, u64 tsc);
/* Before such code runs, if paging.user_map_stale: the host's mappings follow the sptes. May
 * give the map up. */
void mmu_user_map_sync(struct paging *pg);
/* For experiments, before anything runs: no user maps; and how many address spaces' shadows are
 * kept (0: as many as there can be; 1: the current one's alone). What the kernel's spaces share
 * is kept in any case. */
void mmu_no_user_maps(struct mmu *mmu);
/* Or early ones, after `ticks` of the TSC in user code, and kept whatever they cost. */
void mmu_user_maps_at_any_price(struct mmu *mmu, u64 ticks);
void mmu_spaces_kept(struct mmu *mmu, u32 n);
/* May the page be accessed there? */
bool mmu_user_map_has(const struct paging *pg, gla_t gla, bool write);

/* The same of the current space for direct execution, where another process has a copy of its
 * user map. Its number, 0 to MMU_USER_MAPS - 1; -1: there is none. */
enum { MMU_USER_MAPS = 32 };
int mmu_user_map_number(const struct paging *pg);
/* The page of RAM mapped at gla, plus 1; 0: none. */
u32 mmu_user_map_frame(const struct paging *pg, gla_t gla);
/* Who keeps the copies hears that the host maps `count` pages from page `first` on to RAM's
 * from `frame` - 1 on, or nothing there if that is 0; that a page's sptes have changed, but not
 * what is mapped; and that a map is no more. */
struct mmu_mirror {
    void (*mapped)(void *owner, u32 map, u32 first, u32 count, u32 frame, bool writable);
    void (*kept)(void *owner, u32 map, u32 page);
    void (*closed)(void *owner, u32 map);
    void *owner;
};
void mmu_set_mirror(struct mmu *mmu, const struct mmu_mirror *mirror); /* NULL: nobody */
/* Tells it all that is mapped there now. */
void mmu_user_map_tell(struct mmu *mmu, u32 map);
/* User time of its space since it was opened, of the TSC's ticks; and so much more, during
 * which the host's calls for the copy took `calls`: what it is charged. */
u64 mmu_user_map_age(const struct paging *pg);
void mmu_user_map_ran(struct paging *pg, u64 ticks, u64 calls);
int mmu_memory_file(const struct mmu *mmu); /* RAM lies at its beginning */

/* ---- Who else must know (bt/, the decode cache) ---- */

/* Called before the bytes [gpa, gpa+n) of a page marked with mmu_protect_code() change. The
 * listener is the caller's, who takes it out again before it goes. There may be several. */
struct mmu_listener {
    void (*code_written)(void *owner, gpa_t gpa, u32 n);
    void *owner;
    struct mmu_listener *next;
};
void mmu_listen(struct mmu *mmu, struct mmu_listener *l);
void mmu_unlisten(struct mmu *mmu, struct mmu_listener *l);
void mmu_protect_code(struct mmu *mmu, gpa_t page);
void mmu_unprotect_code(struct mmu *mmu, gpa_t page);
/* The same for code that runs directly. */
void mmu_protect_caged(struct mmu *mmu, gpa_t page);
void mmu_unprotect_caged(struct mmu *mmu, gpa_t page);

#endif
