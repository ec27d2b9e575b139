/*
 * What holds at all times, and is checked besides the comparison: that nothing of the monitor
 * is reachable by a guest address (above all by lockstep --hostile and --step), and the
 * context.
 *
 *   sptes   every spte of the shadow in use leads to the memory the guest's tables name, with
 *           no more rights than they give, and directly only where no write has to be reported:
 *           against a walk
 *   direct map  every page of it is one that such a spte could lead to, accessed, at that
 *               page's memory
 *   user map   the same, with the user's rights, before user code runs
 *   memory  beyond RAM nothing is ever written; ROM keeps its bytes
 *   vcpu    pointers that only the monitor changes
 *   context what translated code relies on is what the CPU is, where it comes to C
 *   faults  a SIGSEGV comes from an address that sptes lead to when they are not direct: below
 *           4 GiB, or not canonical; from the direct map; or from the guard page of the stack
 *           of return addresses
 *   steps   (--step) translated code and its routines run with TF set; each memory operand of
 *           the next host instruction is worked out, and has to lie where such code may go. AC
 *           is never set: what #AC spares differs by vendor
 */
#include "tests/fuzz/lockstep.h"
#include "bt/memo.h"
#include "bt/tu.h"
#include "mmu/walk.h"
#include <Zydis/Zydis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>

enum {
    FLAG_TF64 = 0x100,
    STEP_CACHE = 1 << 16,
    /* an instruction is looked at; then the code runs free until it is entered again */
    STEP_TIMES = 8,
    C_STACK = 4096,
    CONTEXT_EVERY = 4, /* callouts */
};

static struct audit {
    const struct pair *pair;
    struct vcpu *cpu;  /* the translator's */
    struct vcpu first; /* as it was at the start, */
    struct tc first_tc; /* and what lies behind it */
    bool stepping;
    bool resuming; /* TF was set in C, on the way to translated code */
    bool left_in_c; /* the last code, by a callout, which may have changed the context */
    u64 steps, operands, callouts;
    ZydisDecoder decoder;
    struct sigaction old;
} audit;

u64 audit_steps(void)
{
    return audit.steps;
}

static bool wrong(const struct machine *m, const char *what, gla_t gla, u64 spte)
{
    tell_where(audit.pair, what);
    printf("gla %08x, spte %016llx, cr0 %08x cr3 %08x cr4 %x cpl %u\n", gla,
           (unsigned long long)spte, m->cpu->cr0, m->cpu->cr3, m->cpu->cr4, m->cpu->cpl);
    return false;
}

/* From a signal handler, or between translated code and C. */
static void fail_now(void)
{
    printf("0 passed, 1 failed\n");
    fflush(stdout);
    _exit(1);
}

/* ---- Sptes ---- */

/* Guest memory at a host address, where it lies by itself, not by the direct map. */
static const u8 *memory_at(const struct machine *m, const u8 *hva)
{
    return m->cpu->direct_map ? direct_map_memory(m->mmu, (u8 *)hva) : hva;
}

/* What table t (read, write, execute; the same for the user) may hold for a page. */
static bool spte_right(const struct machine *m, u32 t, gla_t gla, u64 spte,
                       const struct walk *w)
{
    const struct mmu *mmu = m->mmu;
    gpa_t gpa = w->gpa & (0xffffffff00000000ull | mmu->a20_mask);
    bool known = gpa >> PAGE_SHIFT < PHYS_PAGES, write = t % 3 == 1, user = t >= 3;
    u8 *const *map = write ? mmu->page_write : mmu->page_read;
    const u8 *hva = known ? map[gpa >> PAGE_SHIFT] : NULL;

    if (user && !w->user)
        return wrong(m, "a user's spte for a page that is not", gla, spte);
    if (write && !(w->dirty && (w->writable || (!user && !(m->cpu->cr0 & CR0_WP)))))
        return wrong(m, "a write spte for a page that is clean or read-only", gla, spte);
    if (t % 3 == 2 && w->nx && m->cpu->efer & EFER_NXE && m->cpu->cr4 & CR4_PAE)
        return wrong(m, "an execute spte for a page that is not for that", gla, spte);
    if (!hva)
        return spte == (SPTE_DEVICE | ((gpa - gla) & SPTE_LOW)) ||
               wrong(m, "device memory's spte", gla, spte);
    if (!(spte_direct(spte) || spte_protected(spte)) ||
        (t % 3 == 2 ? spte_hva(spte, gla) : memory_at(m, spte_hva(spte, gla))) != hva)
        return wrong(m, "an spte that leads elsewhere", gla, spte);
    if (spte_direct(spte) && write && mmu->page_flags[gpa >> PAGE_SHIFT])
        return wrong(m, "a direct spte for a write-protected page", gla, spte);
    if (hva < mmu->base || hva >= mmu->base + mmu->allocated)
        return wrong(m, "an spte that leaves the guest's memory", gla, spte);
    return true;
}

/* An execute spte that is older than its entry (mmu/shadow.c) leads into the guest's memory. */
static bool stale_right(const struct machine *m, gla_t gla, u64 spte)
{
    const u8 *hva = spte_hva(spte, gla);

    return (spte_direct(spte) && hva >= m->mmu->base &&
            hva < m->mmu->base + m->mmu->allocated) ||
           wrong(m, "a stale spte that leaves the guest's memory", gla, spte);
}

/* deep: that there are no others where the supervisor's read spte is empty, too */
static bool page_right(const struct machine *m, u32 page, bool deep)
{
    const u64 *shadow = m->mmu->space->shadow;
    bool stale = m->cpu->stale_code == page + 1;
    gla_t gla = page << PAGE_SHIFT;
    struct walk w;

    if (stale && shadow[SHADOW_EXEC + page] &&
        !stale_right(m, gla, shadow[SHADOW_EXEC + page]))
        return false;
    if (!shadow[page]) {
        for (u32 t = 1; deep && t < SHADOW_TABLES; t++)
            if (shadow[t * SHADOW_SPTES + page] && !(stale && t % 3 == 2))
                return wrong(m, "an spte without the supervisor's read spte", gla,
                             shadow[t * SHADOW_SPTES + page]);
        return true;
    }
    if (!mmu_walk_quiet(m->mmu, gla, &w))
        return wrong(m, "an spte for a page that is not present", gla, shadow[page]);
    for (u32 t = 0; t < SHADOW_TABLES; t++)
        if (shadow[t * SHADOW_SPTES + page] && !(stale && t % 3 == 2) &&
            !spte_right(m, t, gla, shadow[t * SHADOW_SPTES + page], &w))
            return false;
    return true;
}

static bool direct_map_right(const struct machine *m)
{
    const struct mmu *mmu = m->mmu;
    const struct space *s =
        mmu->space->shared_shadow ? mmu->space->shared_shadow->sptes : mmu->space;
    const struct user_map *user = mmu->space->user_map;
    const u8 *at = s->direct_map ? s->direct_map->at : user ? user->at : mmu->nowhere;
    struct walk w;

    if (m->cpu->direct_map != (u64)at && m->cpu->direct_map &&
        (!mmu->user_maps_used || at != mmu->nowhere))
        return wrong(m, "not the current space's direct map", 0, m->cpu->direct_map);
    for (u32 page = 0; s->direct_map && page < SHADOW_SPTES; page++) {
        u32 frame = s->direct_map->frame[page];
        gla_t gla = page << PAGE_SHIFT;

        if (!s->direct_map->mapped[page / (SHADOW_SPTES / DIRECT_MAP_SPANS)])
            page |= SHADOW_SPTES / DIRECT_MAP_SPANS - 1;
        else if (frame &&
                 (!mmu_walk_quiet(m->mmu, gla, &w) || !w.accessed ||
                  (w.gpa & mmu->a20_mask) != (gpa_t)(frame - 1) << PAGE_SHIFT ||
                  mmu->page_read[frame - 1] != mmu->base + ((u64)(frame - 1) << PAGE_SHIFT)))
            return wrong(m, "a page of the direct map that the tables do not give", gla, frame);
    }
    return true;
}

/* Has the user every right that the page has in the user map, and is no write to it to be told? */
static bool user_page_right(const struct machine *m, const struct user_map *u, u32 page)
{
    u32 frame = u->mapped[page] - 1;
    bool write = u->writable[page / 8] >> (page & 7) & 1;
    struct walk w;

    return mmu_walk_quiet(m->mmu, page << PAGE_SHIFT, &w) && w.accessed && w.user &&
           (w.gpa & m->mmu->a20_mask) == (gpa_t)frame << PAGE_SHIFT &&
           (gpa_t)frame << PAGE_SHIFT < m->mmu->ram_size &&
           (!write || (w.writable && w.dirty && !m->mmu->page_flags[frame]));
}

/* While user code may run by it. */
static bool user_map_right(const struct machine *m)
{
    const struct user_map *u = m->mmu->space->user_map;

    if (!u || !bt_user_map_serves(m->cpu) || m->cpu->user_map_stale)
        return true;
    for (u32 page = 0; page < SHADOW_SPTES; page++)
        if (!u->columns[page / LEAF_SPTES])
            page |= LEAF_SPTES - 1;
        else if (u->mapped[page] && !user_page_right(m, u, page))
            return wrong(m, "a page of the user map that the tables do not give",
                         page << PAGE_SHIFT, u->mapped[page]);
    return true;
}

static bool sptes_right(const struct machine *m)
{
    struct space *s = m->mmu->space;
    bool deep = !pick(16);

    if (!direct_map_right(m) || !user_map_right(m))
        return false;

    if (m->cpu->shadow_system != s->shadow ||
        m->cpu->shadow != s->shadow + (m->cpu->cpl == 3 ? SHADOW_USER : 0))
        return wrong(m, "not the current space's sptes", 0, 0);
    for (u32 c = 0; c < COLUMNS; c++)
        if (spte_owner(s, c * LEAF_SPTES)->used[c])
            for (u32 i = 0; i < LEAF_SPTES; i++)
                if (!page_right(m, c * LEAF_SPTES + i, deep))
                    return false;
    return true;
}

/* ---- Memory and pointers ---- */

/* No byte of the memory file's rest was ever touched, but for the ROM's page, which is
 * first. */
static bool beyond_untouched(const struct machine *m)
{
    const struct mmu *mmu = m->mmu;

    for (u32 i = 0; i < PAGE_SIZE; i++)
        if (mmu->base[RAM + i] != 0xcc)
            return wrong(m, "ROM was written", ROM + i, mmu->base[RAM + i]);
    if (lseek(mmu->fd, RAM + PAGE_SIZE, SEEK_DATA) >= 0)
        return wrong(m, "memory beyond the guest's was written", 0, 0);
    return true;
}

static bool pointers_kept(const struct vcpu *c)
{
    const struct vcpu *f = &audit.first;
    const struct tc *t = tc_of(c), *u = &audit.first_tc;

    return c->pins.board == f->pins.board && c->mmu == f->mmu && c->bt == f->bt &&
           c->model == f->model && t->callout == u->callout && t->exit == u->exit &&
           t->indirect == u->indirect && t->indirect_miss == u->indirect_miss &&
           t->jump_cache == u->jump_cache && t->stack_top == u->stack_top &&
           c->pins.intr_ack == f->pins.intr_ack;
}

bool audit_pair(const struct pair *p)
{
    if (!sptes_right(p->interp) || !sptes_right(p->bt))
        return false;
    return pointers_kept(p->bt->cpu) || wrong(p->bt, "the monitor's pointers changed", 0, 0);
}

bool audit_memory(const struct pair *p)
{
    return beyond_untouched(p->interp) && beyond_untouched(p->bt);
}

/* ---- Steps ---- */

/* A host instruction's memory operands, of the last that was decoded at such an address. */
struct step_insn {
    const u8 *pc;
    u8 bytes[15], len, count, seen;
    struct {
        u8 base, index, scale; /* of ucontext's registers; NO_GREG: none */
        bool write, rip, direct_map;
        u32 size;
        i64 disp;
    } op[3];
};
enum { NO_GREG = 0xff };
static struct step_insn *step_cache;

static u8 greg_of(ZydisRegister reg)
{
    static const u8 gregs[16] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    };

    if (reg < ZYDIS_REGISTER_RAX || reg > ZYDIS_REGISTER_R15)
        return NO_GREG;
    return gregs[reg - ZYDIS_REGISTER_RAX];
}

static void step_decode(struct step_insn *s, const u8 *pc)
{
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];

    memset(s, 0, sizeof(*s));
    check(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&audit.decoder, pc, 15, &in, ops)),
          "no instruction at %p in translated code", (const void *)pc);
    s->pc = pc;
    s->len = in.length;
    memcpy(s->bytes, pc, in.length);
    for (u32 i = 0; i < in.operand_count && s->count < ARRAY_SIZE(s->op); i++) {
        const ZydisDecodedOperand *o = &ops[i];

        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
            in.mnemonic == ZYDIS_MNEMONIC_NOP || in.mnemonic == ZYDIS_MNEMONIC_PREFETCHT0)
            continue;
        s->op[s->count].base = greg_of(o->mem.base);
        s->op[s->count].index = greg_of(o->mem.index);
        s->op[s->count].scale = o->mem.scale;
        s->op[s->count].disp = o->mem.disp.has_displacement ? o->mem.disp.value : 0;
        s->op[s->count].direct_map = o->mem.segment == ZYDIS_REGISTER_GS;
        s->op[s->count].rip = o->mem.base == ZYDIS_REGISTER_RIP;
        s->op[s->count].write = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        s->op[s->count++].size = o->size / 8;
    }
}

static struct step_insn *step_insn_at(const u8 *pc)
{
    struct step_insn *s = &step_cache[((uintptr_t)pc ^ (uintptr_t)pc >> 16) % STEP_CACHE];

    if (s->pc != pc || memcmp(s->bytes, pc, s->len))
        step_decode(s, pc);
    return s;
}

static bool within(u64 at, u32 size, const void *start, u64 bytes)
{
    return at - (u64)start < bytes && at + size - (u64)start <= bytes;
}

/* May n bytes of a page be written without a word? Not if a page table is there, or code. */
static bool untold(const struct mmu *mmu, u64 off, u32 n)
{
    const u64 *map = tc_of(audit.cpu)->code_map;

    if (!mmu->page_flags[off >> PAGE_SHIFT])
        return true;
    for (u64 at = off; at < off + n; at++)
        if (mmu->page_flags[at >> PAGE_SHIFT] != PG_CODE || map[at >> 6] >> (at & 63) & 1)
            return false;
    return true;
}

/* A spte as it is used: what is write-protected for code alone, too. */
static u64 spte_used(u64 spte)
{
    return spte_protected(spte) ? spte & SPTE_LOW : spte;
}

/* In the guest's memory: inside a page, or two that are neighbours there and here; none that is
 * write-protected, except where a store hits no code; by the spte of the guest's address. */
static bool guest_access(const struct step_insn *s, u32 i, u64 at, const greg_t *g)
{
    const struct mmu *mmu = audit.cpu->mmu;
    u64 off = at - (u64)mmu->base, gla = (u32)g[REG_R9], spte = (u64)g[REG_R10];
    const u64 *shadow = (const u64 *)(g[REG_R14] - SHADOW_BIAS);
    bool by_spte = s->op[i].base == REG_R10 && s->op[i].index == REG_R9;

    u64 last = off + s->op[i].size - 1;

    if (off >> PAGE_SHIFT != last >> PAGE_SHIFT &&
        (!by_spte || spte != shadow[(s->op[i].write ? SHADOW_WRITE : 0) +
                                    ((gla + s->op[i].size - 1) >> PAGE_SHIFT)]))
        return false;
    if (s->op[i].write && (last >= RAM || !untold(mmu, off, s->op[i].size)))
        return false;
    if (!by_spte || gla >> 32)
        return !by_spte;
    return spte == spte_used(shadow[SHADOW_WRITE + (gla >> PAGE_SHIFT)]) ||
           (!s->op[i].write && spte == shadow[gla >> PAGE_SHIFT]);
}

/* Does the host fault there, by construction? */
static bool must_fault(u64 at, u32 size)
{
    if (at + size <= GIB(4) + 16)
        return true;
    return (u64)((i64)(at << 16) >> 16) != at;
}

/* What belongs to TUs, among the translator's records. */
static bool note(u64 at, u32 size)
{
    const struct bt *bt = audit.cpu->bt;

    return within(at, size, bt->notes, (u64)((u8 *)bt->tus + bt->size - bt->notes));
}

/* A patched instruction's variants, which what looks for them writes to, too. */
static bool variants_record(const struct step_insn *s, u64 at)
{
    return s->pc >= (const u8 *)bt_patched && s->pc < (const u8 *)bt_patched_end &&
           note(at, s->op[0].size);
}

static bool may_touch(const struct step_insn *s, u32 i, u64 at, const greg_t *g, bool in_cache)
{
    const struct vcpu *cpu = audit.cpu;
    const struct bt *bt = cpu->bt;
    bool write = s->op[i].write;
    u32 size = s->op[i].size;

    if (s->op[i].direct_map)
        return (!write || (bt_user_map_serves(cpu) && cpu->user_map)) &&
               at - cpu->direct_map < GIB(4);
    if (must_fault(at, size))
        return true;
    if (at - cpu->direct_map < GIB(4) && cpu->mmu->space->live)
        at = (u64)memory_at(machine_of(cpu), (const u8 *)at);
    if (within(at, size, cpu->mmu->base, cpu->mmu->reserved))
        return guest_access(s, i, at, g);
    if (within(at, size, cpu, sizeof(*cpu) + sizeof(struct tc)))
        return !in_cache || (s->op[i].base == REG_R15 && s->op[i].index == NO_GREG);
    if (within(at, size, bt->stack - PAGE_SIZE, STACK_SIZE + PAGE_SIZE) ||
        variants_record(s, at))
        return true;
    if (!in_cache && within(at, size, (const u8 *)tc_of(cpu)->c_rsp - C_STACK, C_STACK + 512))
        return true;
    return !write &&
           ((!in_cache && note(at, size)) || /* a callout's, which a routine looks at */
            within(at, size, cpu->mmu->space->shadow, SHADOW_BYTES) ||
            within(at, size, bt->jump_cache, JUMP_BYTES) ||
            within(at, size, bt->decimal, DECIMAL_KINDS * sizeof(*bt->decimal)) ||
            within(at, size, cpu->direct_map_frames, SHADOW_SPTES * sizeof(u32)) ||
            within(at, size, cpu->page_flags, PHYS_PAGES) ||
            within(at, size, tc_of(cpu)->code_map, CODE_MAP_BYTES) || s->op[i].rip);
}

/* False: it has been looked at often enough. */
static bool step_check(const u8 *pc, const greg_t *g, bool in_cache)
{
    struct step_insn *s = step_insn_at(pc);

    for (u32 i = 0; i < s->count; i++) {
        u64 at = (u64)s->op[i].disp + (s->op[i].rip ? (u64)pc + s->len : 0);

        at += s->op[i].base != NO_GREG ? (u64)g[s->op[i].base] : 0;
        at += s->op[i].index != NO_GREG ? (u64)g[s->op[i].index] * s->op[i].scale : 0;
        if (s->op[i].direct_map)
            at = audit.cpu->direct_map + (u32)at;
        audit.operands++;
        if (may_touch(s, i, at, g, in_cache))
            continue;
        tell_where(audit.pair, "translated code goes astray");
        printf("at %p it %s %u bytes at %#llx; r9 %llx r10 %llx r14 %llx, direct map %llx, "
               "memory %p; ",
               (void *)pc, s->op[i].write ? "writes" : "reads", s->op[i].size,
               (unsigned long long)at, (unsigned long long)g[REG_R9],
               (unsigned long long)g[REG_R10], (unsigned long long)g[REG_R14],
               (unsigned long long)audit.cpu->direct_map, (void *)audit.cpu->mmu->base);
        for (u32 n = 0; n < s->len; n++)
            printf("%02x ", s->bytes[n]);
        printf("\n");
        fail_now();
    }
    s->seen += s->seen < STEP_TIMES;
    return s->seen < STEP_TIMES || !in_cache;
}

static bool in_routines(u64 pc)
{
    static const struct {
        void (*first)(void), (*end)(void);
    } files[] = {
        { bt_indirect, bt_enter_end },
        { bt_load_segment, bt_memo_end },
        { bt_far_call, bt_memo_far_end },
        { bt_rep_movs, bt_strings_end },
        { bt_code_page_store, bt_code_page_store_end },
        { bt_patched, bt_patched_end },
    };

    for (u32 i = 0; i < ARRAY_SIZE(files); i++)
        if (pc - (u64)files[i].first < (u64)files[i].end - (u64)files[i].first)
            return true;
    return false;
}

/* C code, and the ways in and out of it, run free: TF comes back with the next entry. */
static void step_trap(greg_t *g)
{
    u64 pc = (u64)g[REG_RIP];
    bool in_cache = bt_in_code(audit.cpu, pc), looked = in_cache || in_routines(pc);

    if (looked)
        audit.resuming = false;
    else if (audit.stepping && audit.resuming)
        return;
    g[REG_EFL] &= ~FLAG_TF64;
    if (!audit.stepping || !looked)
        return;
    audit.steps++;
    if (g[REG_EFL] & FLAG_AC) {
        tell_where(audit.pair, "translated code runs with AC set");
        fail_now();
    }
    if (step_check((const u8 *)pc, g, in_cache))
        g[REG_EFL] |= FLAG_TF64;
}

static void audit_signal(int sig, siginfo_t *info, void *context)
{
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    u64 pc = (u64)g[REG_RIP], at = (u64)info->si_addr;
    const struct bt *bt = audit.cpu->bt;

    if (sig == SIGTRAP) {
        step_trap(g);
        return;
    }
    if (at >= GIB(4) + 16 && at - audit.cpu->direct_map > GIB(4) &&
        info->si_code != SI_KERNEL && at - ((u64)bt->stack - PAGE_SIZE) >= PAGE_SIZE) {
        tell_where(audit.pair, "the host faults");
        printf("at %#llx, from %#llx\n", (unsigned long long)at, (unsigned long long)pc);
        fail_now();
    }
    audit.old.sa_sigaction(sig, info, context);
}

/* ---- The context ---- */

/* Does code of one context do for another? Real mode loads a base of 0 like any other, and an
 * aligned one like that of protected mode before. */
static bool serves(const struct context *have, const struct context *right)
{
    u32 key = have->key, map = KEY_MAP | KEY_MAP_STORES;

    for (u32 seg = ES; seg <= DS; seg++)
        if (context_seg(key, seg) == SEG_BASE && context_seg(right->key, seg) == SEG_FLAT)
            key -= (u32)(SEG_BASE - SEG_FLAT) << (KEY_SEG_SHIFT + 3 * seg);
        else if (context_seg(key, seg) == SEG_LIMIT && context_seg(right->key, seg) == SEG_64K)
            key -= (u32)(SEG_LIMIT - SEG_64K) << (KEY_SEG_SHIFT + 3 * seg);
    if (context_user_map(key))
        map = 0; /* but accesses find nothing in a map that has been closed */
    return (key | map) == (right->key | map) && have->cs_base == right->cs_base &&
           have->cs_limit == right->cs_limit;
}

/* Worked out again. What else bt_context() puts right must not hide a mistake: that stays. */
static bool context_right(struct vcpu *cpu)
{
    static struct {
        __typeof__(tc_of(cpu)->reach) reach;
        __typeof__(tc_of(cpu)->seg_cache) cache;
        __typeof__(tc_of(cpu)->irets) irets;
        __typeof__(tc_of(cpu)->ints) ints;
        __typeof__(tc_of(cpu)->fars) fars;
        struct tables tables;
    } kept;
    struct bt *bt = cpu->bt;
    u32 context = tc_of(cpu)->context, right;

    if (bt->context_count > MAX_CONTEXTS / 2) /* one too many drops the code we come from */
        return true;
    memcpy(kept.reach, tc_of(cpu)->reach, sizeof(kept.reach));
    memcpy(kept.cache, tc_of(cpu)->seg_cache, sizeof(kept.cache));
    memcpy(kept.irets, tc_of(cpu)->irets, sizeof(kept.irets));
    memcpy(kept.ints, tc_of(cpu)->ints, sizeof(kept.ints));
    memcpy(kept.fars, tc_of(cpu)->fars, sizeof(kept.fars));
    kept.tables = bt->tables;
    right = bt_context(bt);
    memcpy(tc_of(cpu)->reach, kept.reach, sizeof(kept.reach));
    memcpy(tc_of(cpu)->seg_cache, kept.cache, sizeof(kept.cache));
    memcpy(tc_of(cpu)->irets, kept.irets, sizeof(kept.irets));
    memcpy(tc_of(cpu)->ints, kept.ints, sizeof(kept.ints));
    memcpy(tc_of(cpu)->fars, kept.fars, sizeof(kept.fars));
    bt->tables = kept.tables;
    tc_of(cpu)->context = context;
    if (serves(&bt->contexts[context], &bt->contexts[right]))
        return true;
    printf("context %x, should be %x; ", bt->contexts[context].key, bt->contexts[right].key);
    return false;
}

static void check_context(struct vcpu *cpu)
{
    if (context_right(cpu))
        return;
    wrong(machine_of(cpu), "another context than that of the code", 0, tc_of(cpu)->context);
    fail_now();
}

/* ---- Around the translator's entry and callouts ---- */

struct exit *__real_bt_enter(struct vcpu *cpu, const void *host);
struct exit *__wrap_bt_enter(struct vcpu *cpu, const void *host);
int __real_bt_callout_c(struct vcpu *cpu, void *callout);
int __wrap_bt_callout_c(struct vcpu *cpu, void *callout);
int __real_bt_after_c(struct vcpu *cpu, void *callout);
int __wrap_bt_after_c(struct vcpu *cpu, void *callout);

/* The host's TF, from here to where the code is entered. */
static void step_on(void)
{
    if (!audit.stepping)
        return;
    audit.resuming = true;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq" : : : "memory", "cc");
}

struct exit *__wrap_bt_enter(struct vcpu *cpu, const void *host)
{
    struct exit *e;

    audit.left_in_c = false;
    step_on();
    e = __real_bt_enter(cpu, host);
    if (audit.pair->chain && !audit.left_in_c)
        check_context(cpu);
    return e;
}

int __wrap_bt_callout_c(struct vcpu *cpu, void *callout)
{
    int after;

    if (!(++audit.callouts % CONTEXT_EVERY))
        check_context(cpu);
    after = __real_bt_callout_c(cpu, callout);
    audit.left_in_c = after == AFTER_LEAVE;
    if (after != AFTER_LEAVE)
        step_on();
    return after;
}

/* Of a fast callout; where that stops the steps, they stay so up to the next one. */
int __wrap_bt_after_c(struct vcpu *cpu, void *callout)
{
    int after = __real_bt_after_c(cpu, callout);

    audit.left_in_c = after == AFTER_LEAVE;
    return after;
}

void audit_start(const struct pair *p)
{
    struct vcpu *cpu = p->bt->cpu;
    struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    audit.pair = p;
    audit.cpu = cpu;
    audit.first = *cpu;
    audit.first_tc = *tc_of(cpu);
    audit.stepping = p->step;
    ZydisDecoderInit(&audit.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    step_cache = calloc(STEP_CACHE, sizeof(*step_cache));
    check(step_cache, "no memory to remember host instructions");
    sa.sa_sigaction = audit_signal;
    sigaction(SIGSEGV, &sa, &audit.old);
    sigaction(SIGTRAP, &sa, NULL);
}
