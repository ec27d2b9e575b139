/*
 * Makes a TU: scan (guest bytes to instructions, up to 12, the page's end, or a branch), then
 * emit each by its row, or as a callout, then the stubs.
 */
#include "bt/memo.h"
#include "bt/emit.h"
#include "bt/variants.h"
#include "cpu/cpuid.h"
#include "runtime/base/debuglog.h"
#include <string.h>
#include <x86intrin.h>

/* EIP goes elsewhere, or nowhere: back to the run loop. */
static bool ends_tu(const struct insn *in)
{
    const struct op_row *row = &cpu_ops[in->mnem];

    return !row->exec || row->attr & (OP_FLOW | OP_STANDS);
}

/* After these the context may be another: the callout looks before it goes on. */
static bool may_change_context(const struct insn *in)
{
    return cpu_ops[in->mnem].attr & OP_CONTEXT || in->op[0].kind == OP_SEG ||
           in->op[0].kind == OP_CR || in->op[0].kind == OP_DR;
}

/* Does the context already say that the checks before the instruction pass? */
static bool admitted(const struct xl *x, const struct insn *in)
{
    const struct op_row *row = &cpu_ops[in->mnem];
    u32 key = x->context->key;

    return row->exec && cpu_has(x->bt->cpu, row->feature) && !(in->prefixes & PFX_LOCK) &&
           !(row->attr & (OP_FPU | OP_MMXREG | OP_SSE)) &&
           (!(row->attr & OP_CPL0) || !context_cpl(key)) &&
           (!(row->attr & OP_IOPL) || key & KEY_IOPL_OK) &&
           (!(row->attr & OP_PROT) || key & KEY_PROT);
}

/* Memory that device memory may serve, if it is aligned: the segment allows it, or reach tells
 * (FS, GS). */
static bool may_be_device(const struct xl *x, const struct insn *in, u8 seg)
{
    enum seg_class class = context_seg(x->context->key, seg);

    return (class == SEG_FLAT || class == SEG_BASE || class == SEG_ANY ||
            (class == SEG_64K && in->addrsize == 2)) &&
           xl_allowed(x, seg, XL_WRITE);
}

/* Of one whose memory operand is the first, or which has none named. */
static enum fast_kind fast_kind(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_MOV: return FAST_STORE;
    case ZYDIS_MNEMONIC_AND: return FAST_AND;
    case ZYDIS_MNEMONIC_OR: return FAST_OR;
    case ZYDIS_MNEMONIC_XOR: return FAST_XOR;
    case ZYDIS_MNEMONIC_XCHG: return FAST_XCHG;
    case ZYDIS_MNEMONIC_LODSB:
    case ZYDIS_MNEMONIC_LODSW:
    case ZYDIS_MNEMONIC_LODSD: return FAST_LODS;
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD: return FAST_STOS;
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD: return FAST_MOVS;
    default: return FAST_NONE;
    }
}

static enum fast_kind fast_memory(const struct xl *x, const struct insn *in)
{
    enum fast_kind kind = fast_kind(in);
    const struct operand *m = insn_memory(in), *o = m == in->op ? &in->op[1] : &in->op[0];

    if (!kind || in->prefixes & (PFX_LOCK | PFX_REP | PFX_REPNE))
        return FAST_NONE;
    if (kind >= FAST_LODS)
        return (kind == FAST_STOS || may_be_device(x, in, in->seg)) &&
                       (kind == FAST_LODS || may_be_device(x, in, ES)) ? kind : FAST_NONE;
    if (!m || (o->kind != OP_REG && o->kind != OP_IMM) || !may_be_device(x, in, in->seg))
        return FAST_NONE;
    if (kind == FAST_STORE)
        return (m == in->op ? FAST_STORE : FAST_LOAD) + (m->size == 1);
    return m == in->op || kind == FAST_XCHG ? kind : FAST_NONE;
}

/* IN or OUT that cannot fault. */
static bool port_access(const struct xl *x, const struct insn *in)
{
    return (in->mnem == ZYDIS_MNEMONIC_IN || in->mnem == ZYDIS_MNEMONIC_OUT) &&
           x->context->key & KEY_IOPL_OK && !(x->context->key & KEY_V86) && admitted(x, in);
}

static enum fast_kind port_kind(const struct insn *in)
{
    return in->mnem == ZYDIS_MNEMONIC_IN ? FAST_IN : FAST_OUT;
}

/* Is it of the units that have state in the FPU's image? FCOMI is CMOV's, by its feature. */
static bool needs_fpu(const struct insn *in)
{
    return FEATURES_OF_FPU >> cpu_ops[in->mnem].feature & 1 ||
           cpu_ops[in->mnem].attr & (OP_FPU | OP_MMXREG | OP_SSE);
}

static enum fpu_image fpu_image(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_XSAVE:
        return FPU_IMAGE_STORED;
    case ZYDIS_MNEMONIC_FXRSTOR:
        return FPU_IMAGE_LOADED;
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FLDENV:
        return FPU_IMAGE_CHANGED;
    default:
        return FPU_IMAGE_NONE;
    }
}

void xl_callout_record(struct xl *x, const struct site *site, bool fpu)
{
    const struct insn *in = &x->insns[site - x->sites];
    struct callout **co = &x->callouts[site - x->sites];

    if (!*co) {
        *co = cache_note(x->bt, sizeof(**co));
        **co =
            (struct callout){.tu = x->tu,
                             .eip = x->tu->eip + site->eip_off,
                             .revalidate = may_change_context(in),
                             .fpu = fpu,
                             .needs_fpu = needs_fpu(in) || tu_dispatches(x->tu),
                             .fpu_image = tu_dispatches(x->tu) ? FPU_IMAGE_NONE : fpu_image(in),
                             .ends = fpu || ends_tu(in),
                             .admitted = admitted(x, in),
                             .patched = x->patched_sites[site - x->sites],
                             .form = site->form,
                             .insn = *in};
        if (!fpu && !tu_dispatches(x->tu) && !(*co)->patched && !x->bt->config.no_fast)
            (*co)->fast = port_access(x, in) ? port_kind(in) : fast_memory(x, in);
    }
    emit_mov_ri64(x, R9, (u64)*co);
}

static bool may_memo_cr0(const struct xl *x, const struct insn *in)
{
    const struct bt_config *c = &x->bt->config;

    return insn_writes_cr0(in) && !context_cpl(x->context->key) && !tu_dispatches(x->tu) &&
           !c->no_memo && !c->no_chaining;
}

void xl_callout(struct xl *x, const struct site *site, bool fpu)
{
    const struct insn *in = &x->insns[site - x->sites];
    i32 routine = TC_CALLOUT;

    xl_callout_record(x, site, fpu);
    if (x->callouts[site - x->sites]->fast) {
        routine = TC_FAST_CALLOUT;
    } else if (may_memo_cr0(x, in)) {
        routine = TC_MOV_CR0;
        emit_mov_rr(x, R13, hreg_of(in->op[1].reg));
    }
    emit_call_vcpu(x, routine);
}

/* LOCK is dropped where it is legal (one CPU); elsewhere C raises #UD. */
static bool lock_ok(const struct insn *in)
{
    return !(in->prefixes & PFX_LOCK) ||
           (cpu_ops[in->mnem].attr & OP_LOCK && in->op[0].kind == OP_MEM);
}

bool xl_stores(const struct insn *in)
{
    return cpu_ops[in->mnem].attr & OP_STORES ||
           (insn_memory(in) == &in->op[0] && xl_rows[in->mnem].access == XL_WRITE);
}

/* A local variable is loaded soon after it was stored; that store waits for its spte to know
 * where it goes, and a load that did not wait is undone and repeated by the host. Such loads go
 * by sptes as well. */
static bool by_stack_or_frame(const struct insn *in)
{
    return insn_memory(in) && (in->base == ESP || in->base == EBP);
}

/* What the site's form means for this instruction. */
static void set_form(struct xl *x, const struct insn *in)
{
    enum form form = (enum form)x->site->form;

    x->callout = form == FORM_CALLOUT;
    x->checked = form == FORM_CHECKED || form == FORM_CHECKED_UNALIGNED;
    x->unaligned = form == FORM_UNALIGNED || form == FORM_CHECKED_UNALIGNED ||
                   form == FORM_MAPPED_UNALIGNED;
    if (x->user_map)
        x->direct_map = form == FORM_MAPPED || form == FORM_MAPPED_UNALIGNED;
    else
        x->direct_map =
            !by_stack_or_frame(in) &&
            (form == FORM_MAPPED || (form == FORM_MAPPED_UNALIGNED && xl_only_loads(in)));
}

/* Is it one of those of which memo.c keeps what they come to? */
static bool memoised(const struct insn *in)
{
    xl_handler *fn = xl_rows[in->mnem].translate;

    return insn_far(in) || fn == xl_sysenter || fn == xl_sysexit || fn == xl_iret ||
           fn == xl_int || fn == xl_cpuid || fn == xl_look || fn == xl_lds || fn == xl_les ||
           fn == xl_lss || fn == xl_lfs || fn == xl_lgs || in->op[0].kind == OP_SEG;
}

/* An experiment does without what the row would make of it. */
static bool left_to_c(const struct xl *x, const struct insn *in)
{
    const struct bt_config *c = &x->bt->config;

    return (c->no_memo && memoised(in) && in->mnem != ZYDIS_MNEMONIC_PUSH) ||
           (c->no_inline && xl_sensitive(x, in));
}

bool xl_by_row(struct xl *x, const struct insn *in)
{
    const struct xl_row *row = &xl_rows[in->mnem];

    if (left_to_c(x, in))
        return false;
    if (!lock_ok(in) || !cpu_has(x->bt->cpu, cpu_ops[in->mnem].feature) ||
        (cpu_ops[in->mnem].attr & OP_PROT && !(x->context->key & KEY_PROT)))
        return false;
    if (x->patched & FACT_PATCHED_IMM)
        return xl_with_patched_imm(x, in);
    return (row->translate && row->translate(x, in)) || (xl_fpu_native(in) && xl_fpu(x, in));
}

/* Which of its fields are read when it runs. */
static u8 patched_fields(const struct xl *x, const struct insn *in, u8 facts)
{
    u8 fields = 0;

    for (enum fact f = FACT_PATCHED_IMM; f <= FACT_PATCHED_DISP; f *= 2)
        if (x->code && facts & f && xl_field(in, f).n)
            fields |= (u8)f;
    return fields;
}

/* They are no code. In order of their addresses. */
static void note_holes(struct xl *x, const struct insn *in)
{
    x->patched_sites[x->site - x->sites] = x->patched;
    for (enum fact f = FACT_PATCHED_DISP; f >= FACT_PATCHED_IMM; f /= 2) {
        struct hole h = xl_field(in, f);

        if (!(x->patched & f))
            continue;
        h.at += x->site->eip_off;
        x->holes[x->tu->hole_count++] = h;
    }
}

/* A variant is what it is. */
static u8 facts_of(const struct xl *x, u32 eip_off)
{
    u8 facts = site_facts(x->bt, x->tu->gpa + eip_off);

    return x->tu->variant ? facts & (u8)~FACTS_OF_PATCHES : facts;
}

static void translate_insn(struct xl *x, const struct insn *in)
{
    u8 *start = x->p;
    u32 slow = x->slow_count;
    struct low_bits low[8];
    bool forced = x->bt->config.force_form, fpu;
    u8 facts = facts_of(x, x->site->eip_off);

    if (x->bt->config.trap && xl_sensitive(x, in)) {
        xl_trap(x, in);
        return;
    }
    memcpy(low, x->low, sizeof(low));
    set_form(x, in);
    x->ident = false;
    x->patched = patched_fields(x, in, facts);
    if ((!x->callout || forced) && !tu_dispatches(x->tu) && xl_by_row(x, in) &&
        xl_fits(x, start, slow)) {
        for (u32 i = slow; i < x->slow_count; i++)
            x->slow[i].resume = ccf_here(x);
        if (x->slow_count > slow) /* it may go on behind C */
            memcpy(x->low, low, sizeof(low));
        note_holes(x, in);
        if (x->ident && !x->patched)
            x->tu->ident |= (u16)(1u << (x->site - x->sites));
        if (x->patched)
            align_forget(x);
        else
            align_follow(x, in);
        return;
    }
    x->patched = 0;
    align_forget(x);
    x->p = start;
    x->slow_count = slow;
    x->fpu_noted = false;
    memset(x->exits, 0, sizeof(x->exits));
    fpu = xl_fpu_native(in) && !(x->context->key & KEY_FPU_LIVE);
    x->ended = fpu || ends_tu(in) || tu_dispatches(x->tu);
    x->site->form = FORM_CALLOUT;
    if (tu_dispatches(x->tu))
        xl_variants(x);
    xl_callout(x, x->site, fpu);
    x->callouts[x->site - x->sites]->adapted = !forced && facts & FACTS_OF_OPERAND;
}

/* Before the head, where its poll goes when the count is down, with the head's address on the
 * stack: call [r15+poll] */
static void emit_poll_end(struct xl *x)
{
    static_assert(TC_POLL == 0, "a call without a displacement");
    emit_call_vcpu(x, TC_POLL);
}

/* lea r12, [r12-64];  mov r9, rcx;  lea rcx, [r12-12];  jrcxz (before the head);
 * mov rcx, r9 */
static void emit_poll(struct xl *x)
{
    emit_lea_rm64(x, R12, R12, -64);
    emit_mov_rr64(x, R9, RCX);
    emit_lea_rm64(x, RCX, R12, -12);
    emit_patch8(emit_jrcxz(x), x->start - POLL_END_SIZE);
    emit_mov_rr64(x, RCX, R9);
    check(x->p - x->start == POLL_SIZE, "a poll of %d bytes", (int)(x->p - x->start));
}

/* What the facts say. A host fault for each operand of a
 * stack that is misaligned would be dear. Where the guest wants #AC itself, a misaligned
 * operand makes a callout. */
static enum form site_form(const struct xl *x, u8 facts, const struct insn *in)
{
    enum form forced = (enum form)x->bt->config.force_form;
    bool ac = x->context->key & KEY_AC;
    bool mapped = x->context->key & KEY_MAP && !(facts & FACT_UNMAPPED);
    bool odd = !ac && (facts & FACT_MISALIGNED || operand_likely_misaligned(x->bt->cpu, in));

    if (forced == FORM_MAPPED && !(x->context->key & KEY_MAP))
        return FORM_TABLE;
    if (forced == FORM_MAPPED_UNALIGNED && !(x->context->key & KEY_MAP))
        forced = FORM_UNALIGNED;
    if (forced)
        return ac && forced > FORM_CHECKED && forced < FORM_CALLOUT ? FORM_CHECKED : forced;
    if (facts & (FACT_FAULTS | FACT_PATCHED))
        return FORM_CALLOUT;
    if (facts & FACT_UNUSUAL || (ac && facts & FACT_MISALIGNED) ||
        (!x->bt->config.no_adapt && operand_likely_unusual(x->bt->cpu, in)))
        return odd ? FORM_CHECKED_UNALIGNED : FORM_CHECKED;
    if (mapped)
        return odd ? FORM_MAPPED_UNALIGNED : FORM_MAPPED;
    return odd ? FORM_UNALIGNED : FORM_TABLE;
}

static void translate_body(struct xl *x, u32 max)
{
    struct tu *tu = x->tu;
    u32 eip = tu->eip;
    u8 *insns;

    emit_poll(x);
    emit_count(x, RUNS_TUS, 1);
    emit_count_tu(x);
    emit_reuse(x);
    insns = emit_count(x, RUNS_INSNS, 0);
    for (u32 i = 0; i < max && !x->ended; i++) {
        u8 eip_off = (u8)(eip - tu->eip), facts = facts_of(x, eip_off);

        x->site = &x->sites[i];
        x->last = i + 1 == max;
        *x->site = (struct site){.host_off = ccf_here(x),
                                 .eip_off = eip_off,
                                 .form = (u8)site_form(x, facts, &x->insns[i])};
        eip += x->insns[i].len;
        x->next_eip = eip;
        tu->count++;
        translate_insn(x, &x->insns[i]);
    }
    if (!x->ended)
        xl_exit(x, 0, JMP, eip);
    tu->guest_size = (u8)(eip - tu->eip);
    if (insns)
        *insns = tu->count;
}

/* What a finished TU keeps of the translation. Before the stubs, which note where they are. */
static void tu_keep_records(struct xl *x)
{
    struct tu *tu = x->tu;

    for (u32 i = 0; i < MAX_EXITS; i++)
        if (x->exits[i].jump)
            tu->exit_count = (u8)(i + 1);
    tu->exits = cache_note(x->bt, tu->exit_count * sizeof(struct exit) +
                                      tu->count * sizeof(struct site) +
                                      tu->hole_count * sizeof(struct hole));
    memcpy(tu->exits, x->exits, tu->exit_count * sizeof(struct exit));
    memcpy(tu_sites(tu), x->sites, tu->count * sizeof(struct site));
    memcpy(tu_sites(tu) + tu->count, x->holes, tu->hole_count * sizeof(struct hole));
}

/* No interrupt comes between it and the next instruction, which is cheap inside one TU. */
static bool casts_shadow(const struct insn *in)
{
    return cpu_ops[in->mnem].attr & OP_SHADOW ||
           (in->op[0].kind == OP_SEG && in->op[0].reg == SS && in->mnem != ZYDIS_MNEMONIC_PUSH);
}

/* Pass 1: how many instructions from p fit. One that the guest overwrites often stands alone.
 */
static u32 tu_scan(struct bt *bt, const u8 *p, gpa_t gpa, u32 left, bool code32,
                   struct insn *insns)
{
    u32 max = bt->config.max_insns ? bt->config.max_insns : MAX_INSNS, n = 0;

    while (n < max && left) {
        if (insn_decode(p, left, code32, &insns[n]) != DECODE_OK)
            break;
        if (site_facts(bt, gpa) & FACT_PATCHED) {
            n += !n;
            break;
        }
        p += insns[n].len;
        gpa += insns[n].len;
        left -= insns[n].len;
        if (ends_tu(&insns[n++]))
            return n;
    }
    return n > 1 && casts_shadow(&insns[n - 1]) ? n - 1 : n;
}

/* code: its bytes in host memory; NULL: they are in two pages, `second` the other */
static struct tu *tu_make(struct bt *bt, u32 context, gpa_t gpa, const u8 *code,
                          const struct insn *insns, u32 count, bool variant,
                          const struct crossing *second)
{
    struct xl x = {.bt = bt, .context = &bt->contexts[context], .code = code, .insns = insns};
    u32 eip = bt->cpu->eip;
    struct tu *tu;

    x.p = cache_reserve(bt);
    emit_poll_end(&x);
    x.start = x.p;
    x.pic = x.context->key & KEY_PIC;
    x.page = x.pic ? eip & ~PAGE_MASK : 0;
    x.tu = tu = &bt->tus[bt->tu_count];
    *tu = (struct tu){.context = context,
                      .eip = eip - x.page,
                      .gpa = (u32)gpa,
                      .place = tu_place(bt, context, x.context->cs_base + eip),
                      .host = (u32)bt->used + POLL_END_SIZE,
                      .patched = variant || site_facts(bt, gpa) & FACT_PATCHED,
                      .variant = variant};
    x.user_map = context_user_map(x.context->key);
    x.code32 = x.context->key & KEY_CODE32;
    x.stack32 = x.context->key & KEY_STACK32;
    translate_body(&x, count);
    tu_keep_records(&x);
    tu->body_size = (u16)(x.p - x.start);
    xl_stubs(&x);
    if (second) {
        tu->crossing = cache_note(bt, sizeof(*tu->crossing));
        *tu->crossing = *second;
        tu->crossing->check = xl_second_check(&x, second->place);
    }
    tu->host_size = (u16)(x.p - x.start);
    cache_commit(bt, POLL_END_SIZE + tu->host_size);
    if (debuglog_on(DEBUGLOG_IN_ASM))
        dump_guest_code(&x);
    if (trace_on(TRACE_TC))
        dump_tu(&x);
    if (trace_on(TRACE_PERF))
        dump_perf(bt, tu);
    if (trace_on(TRACE_JIT))
        jit_name(bt, tu);
    return tu;
}

/* Its page's execute spte does not lead where a walk does (mmu/shadow.c). */
static bool stale(const struct vcpu *cpu, gla_t gla)
{
    return unlikely(cpu->stale_code == (gla >> PAGE_SHIFT) + 1);
}

/* One instruction, of which `left` bytes lie in this page and the rest in the next. */
static struct tu *tu_make_crossing(struct bt *bt, u32 context, gpa_t gpa, u64 spte, u32 left)
{
    struct vcpu *cpu = bt->cpu;
    gla_t gla = cpu->seg[CS].base + cpu->eip, next = (gla & ~PAGE_MASK) + PAGE_SIZE;
    u64 spte2 = cpu->shadow[SHADOW_EXEC + (next >> PAGE_SHIFT)];
    struct insn insn;
    u8 bytes[15];
    gpa_t gpa2;

    if (left != next - gla || left >= sizeof(bytes) || cpu->seg[CS].limit - cpu->eip < 14 ||
        !spte_direct(spte2) || stale(cpu, next) || !mmu_translate(&cpu->paging, next, &gpa2) ||
        gpa2 >> PAGE_SHIFT >= PHYS_PAGES)
        return NULL;
    memcpy(bytes, spte_hva(spte, gla), left);
    memcpy(bytes + left, spte_hva(spte2, next), sizeof(bytes) - left);
    if (insn_decode(bytes, sizeof(bytes), cpu_code32(cpu), &insn) != DECODE_OK ||
        insn.len <= left)
        return NULL;
    return tu_make(bt, context, gpa, NULL, &insn, 1, false,
                   &(struct crossing){.gpa = (u32)gpa2, .place = tu_place(bt, context, next)});
}

static void count_tu(struct bt *bt, const struct tu *tu, bool code32, u64 start)
{
    struct bt_stats *s = &bt->stats;

    s->tus[code32]++;
    s->insns += tu->count;
    s->ident += (u32)__builtin_popcount(tu->ident);
    s->length[tu->count]++;
    s->guest_bytes += tu->guest_size;
    s->host_bytes += tu->host_size;
    s->translate_tsc += __rdtsc() - start;
}

struct tu *bt_translate(struct bt *bt, u32 context)
{
    struct vcpu *cpu = bt->cpu;
    struct insn insns[MAX_INSNS];
    gla_t gla = cpu->seg[CS].base + cpu->eip;
    u32 left = PAGE_SIZE - (gla & PAGE_MASK), count;
    u64 spte = cpu->shadow[SHADOW_EXEC + (gla >> PAGE_SHIFT)];
    u64 start = __rdtsc(); /* the clock would cost as much as an instruction */
    struct tu *tu;
    gpa_t gpa;

    if (!spte_direct(spte) || stale(cpu, gla) || cpu->eip > cpu->seg[CS].limit ||
        !mmu_translate(&cpu->paging, gla, &gpa) || gpa >> PAGE_SHIFT >= PHYS_PAGES)
        return NULL;
    if (cpu->seg[CS].limit - cpu->eip < left - 1)
        left = cpu->seg[CS].limit - cpu->eip + 1;
    if (bt->config.translating)
        bt->config.translating(bt->config.owner, true);
    count = tu_scan(bt, spte_hva(spte, gla), gpa, left, cpu_code32(cpu), insns);
    tu = count ? tu_make(bt, context, gpa, spte_hva(spte, gla), insns, count, false, NULL)
               : tu_make_crossing(bt, context, gpa, spte, left);
    if (tu) {
        tu_insert(bt, tu);
        site_count_translation(bt, gpa);
        count_tu(bt, tu, cpu_code32(cpu), start);
    }
    if (bt->config.translating)
        bt->config.translating(bt->config.owner, false);
    return tu;
}

struct tu *bt_translate_variant(struct bt *bt, const struct tu *of)
{
    struct vcpu *cpu = bt->cpu;
    const u8 *code = tu_code(bt, of, cpu->seg[CS].base + cpu->eip);
    u64 start = __rdtsc();
    struct insn in;
    struct tu *tu;

    if (insn_decode(code, VARIANT_BYTES, cpu_code32(cpu), &in) != DECODE_OK ||
        cpu->seg[CS].limit - cpu->eip < in.len - 1u)
        return NULL;
    tu = tu_make(bt, of->context, of->gpa, code, &in, 1, true, NULL);
    tu_insert(bt, tu);
    site_count_translation(bt, tu->gpa);
    count_tu(bt, tu, cpu_code32(cpu), start);
    return tu;
}
