/*
 * From guest linear addresses to host memory: the guest's page tables walked, and their results
 * kept in shadow page tables that follow the guest's tables write by write.
 *
 *        segmentation            guest page tables          memory map
 *   off ─────────────▶ gla_t ──────────────────▶ gpa_t ────────────────▶ hva (u8 *)
 *                        │                                                ▲
 *                        └────────── shadow: flat table, window ──────────┘
 *
 * Invariant: a shadow entry exists only while the guest's entry allows it, with A (and D, for
 * writing) set in the guest's tables; a guest page table that was read for a shadow entry is
 * traced: each write to it, by whomever, drops what was derived from the words written.
 * See mmu/README.md, SDM vol. 3 chapter 4.
 */
#ifndef RING3_MMU_H
#define RING3_MMU_H

#include "cpu/cpu.h"

struct mmu;

enum mmu_access {
    MMU_READ = 0,
    MMU_WRITE = 1,
    MMU_EXEC = 2,
    MMU_SYSTEM = 4, /* or-ed in: as CPL 0 whatever the CPL (descriptor tables, TSS) */
};

/* ---- Life, and the physical map (phys.c) ---- */

/* RAM of `ram` bytes (multiple of 4 KiB, up to 3.5 GiB). NULL: the host refused the memory. */
struct mmu *mmu_new(struct machine *m, u64 ram);
void mmu_free(struct mmu *mmu);
u64 mmu_ram_size(const struct mmu *mmu);
/* RAM by its offset, whatever is mapped there. For loading kernels before the guest runs. */
u8 *mmu_ram(const struct mmu *mmu);
/* Memory beside RAM that can be mapped at a gpa (ROM, video): page-aligned, zeroed. */
u8 *mmu_alloc(struct mmu *mmu, u64 size);

/* Which memory answers at [gpa, gpa+size): `read` for loads and fetches, `write` for stores; NULL:
 * the bus is asked. RAM is mapped at 0 at start, the rest is bus. Shadow entries are dropped. */
void mmu_map_phys(struct mmu *mmu, gpa_t gpa, u64 size, u8 *read, u8 *write);
void mmu_set_a20(struct mmu *mmu, bool enabled);
bool mmu_a20(const struct mmu *mmu);

/* ---- Accesses by linear address, with the current privilege (access.c) ---- */

/* size 1, 2, 4 or 8, page crossings allowed; false: #PF recorded in the vcpu. Writes that cross
 * check both pages first. */
bool mmu_load(struct vcpu *cpu, gla_t gla, u32 size, enum mmu_access access, u64 *val);
bool mmu_store(struct vcpu *cpu, gla_t gla, u32 size, enum mmu_access access, u64 val);
/* Would the access succeed? Sets A and D as the access would. false: #PF recorded. */
bool mmu_probe(struct vcpu *cpu, gla_t gla, u32 size, enum mmu_access access);
bool mmu_load_bytes(struct vcpu *cpu, gla_t gla, void *buf, u32 n, enum mmu_access access);
bool mmu_store_bytes(struct vcpu *cpu, gla_t gla, const void *buf, u32 n, enum mmu_access access);
/* Host address of the byte at gla, good to the end of its page; NULL with *fault false: device
 * memory (or traced, for writing); NULL with *fault true: #PF recorded. */
u8 *mmu_host(struct vcpu *cpu, gla_t gla, enum mmu_access access, bool *fault);
/* The same for n bytes inside a page that the caller overwrites at once: who guards the page has been
 * told when it returns. */
u8 *mmu_host_overwrite(struct vcpu *cpu, gla_t gla, u32 n, bool *fault);
/* Physical address by the current tables, no exception, no A or D: for debuggers. false: unmapped */
bool mmu_translate(struct vcpu *cpu, gla_t gla, gpa_t *gpa);

/* ---- What the CPU tells the MMU ---- */

/* CR0 (PG, WP), CR3, CR4 (PSE, PAE, PGE), EFER.NXE or the CPL changed. Loads the PDPTEs under PAE
 * when `pdptes` is set: false with #GP recorded if reserved bits are set. */
bool mmu_mode_changed(struct vcpu *cpu, bool pdptes);
void mmu_cpl_changed(struct vcpu *cpu);
void mmu_invlpg(struct vcpu *cpu, gla_t gla);
void mmu_flush(struct vcpu *cpu); /* all, global too */

/* ---- Windows, for the translator's loads: gs:[gla] (window.c) ---- */

/* Lets gs lead to vcpu.window: once before code runs on this thread that uses it. While
 * vcpu.window_loaded is set, each change of the window does it, too. */
void mmu_window_load(struct vcpu *cpu);
/* As if the host had no WRGSBASE, for tests; and has it, in words? */
void mmu_plain_host(struct mmu *mmu);
const char *mmu_host_model(const struct mmu *mmu);
/* Is there one that loads are worth to be tried by? */
bool mmu_window_use(const struct vcpu *cpu);
/* A load at gla found nothing in the window, and was done otherwise by now. True: it will find it; false:
 * let it go by a slot. */
bool mmu_window_extend(struct vcpu *cpu, gla_t gla);

/* ---- Who else must know (bt/, the decode cache) ---- */

/* Called before the bytes [gpa, gpa+n) of a page marked with mmu_guard_code() change. */
void mmu_on_code_write(struct mmu *mmu, void (*fn)(void *owner, gpa_t gpa, u32 n), void *owner);
void mmu_guard_code(struct mmu *mmu, gpa_t page);
void mmu_unguard_code(struct mmu *mmu, gpa_t page);

#endif
