/*
 * Finding, chaining and dropping TUs.
 *
 * A chain across pages passes a link check: the execute spte of the target's page must still be the
 * one noted when the chain was made. So chains stay in place over changes of address space, and one
 * translation serves every process that maps the page at the same place.
 */
#include "bt/tu.h"
#include <string.h>

static u32 *bucket(struct bt *bt, u32 context, u32 eip)
{
    return &bt->hash[(eip ^ eip >> 15 ^ context * 0x9e37) % HASH_SIZE];
}

static u32 number_of(const struct bt *bt, const struct tu *tu)
{
    return (u32)(tu - bt->tus);
}

/* Number of the list of TUs that start in the 64 bytes around gpa. */
static u32 line_of(gpa_t gpa)
{
    u32 line = (u32)(gpa >> LINE_SHIFT);

    return (line ^ line >> 15) % LINES;
}

/* A TU that crosses into a second page is in two lists, or in one for both its parts. */
static u32 *line_link(struct tu *tu, u32 line)
{
    return line_of(tu->gpa) == line ? &tu->line_next : &tu->crossing->line_next;
}

static u64 exec_spte(const struct bt *bt, gla_t gla)
{
    return bt->cpu->shadow[SHADOW_EXEC + (gla >> PAGE_SHIFT)];
}

struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip)
{
    gla_t gla = bt->contexts[context].cs_base + eip;

    bt->stats.lookups++;
    for (struct tu *t = tu_at(bt, *bucket(bt, context, eip)); t; t = tu_at(bt, t->hash_next))
        if (t->eip == eip && t->context == context && exec_spte(bt, gla) == t->spte &&
            (!t->crossing || exec_spte(bt, gla + PAGE_SIZE) == t->crossing->spte))
            return t;
    bt->stats.misses++;
    return NULL;
}

/* A page of linear memory may be followed by itself. */
static bool in_two_pages(const struct tu *tu)
{
    return tu->crossing && tu->crossing->gpa >> PAGE_SHIFT != tu->gpa >> PAGE_SHIFT;
}

static bool in_two_lines(const struct tu *tu)
{
    return tu->crossing && line_of(tu->crossing->gpa) != line_of(tu->gpa);
}

static void line_insert(struct bt *bt, struct tu *tu, gpa_t gpa)
{
    u32 line = line_of(gpa);

    *line_link(tu, line) = bt->lines[line];
    bt->lines[line] = number_of(bt, tu);
}

/* The n bytes at gpa, all in one page, in the map. */
static void map_set(struct bt *bt, gpa_t gpa, u32 n, bool code)
{
    while (n) {
        u32 shift = gpa & 63, count = n < 64 - shift ? n : 64 - shift;
        u64 bits = ~0ull >> (64 - count) << shift;

        bt->code_map[gpa >> 6] = (bt->code_map[gpa >> 6] & ~bits) | (code ? bits : 0);
        gpa += count;
        n -= count;
    }
}

static void page_insert(struct bt *bt, gpa_t gpa)
{
    if (!bt->page_tus[gpa >> PAGE_SHIFT]++)
        mmu_protect_code(bt->cpu->mmu, gpa & ~(gpa_t)PAGE_MASK);
}

/* Its bytes in its own page; the others are the crossing's. */
static u32 first_part(const struct tu *t)
{
    return t->crossing ? PAGE_SIZE - (t->gpa & PAGE_MASK) : t->guest_size;
}

static void map_tu(struct bt *bt, const struct tu *t)
{
    u32 n = first_part(t);

    map_set(bt, t->gpa, n, true);
    if (t->crossing)
        map_set(bt, t->crossing->gpa, t->guest_size - n, true);
}

void tu_insert(struct bt *bt, struct tu *tu)
{
    u32 *b = bucket(bt, tu->context, tu->eip);

    bt->tu_count++;
    tu->hash_next = *b;
    *b = number_of(bt, tu);
    line_insert(bt, tu, tu->gpa);
    page_insert(bt, tu->gpa);
    if (in_two_lines(tu))
        line_insert(bt, tu, tu->crossing->gpa);
    if (in_two_pages(tu))
        page_insert(bt, tu->crossing->gpa);
    map_tu(bt, tu);
}

struct tu *tu_by_host(struct bt *bt, const u8 *pc)
{
    u32 low = 1, high = bt->tu_count;
    u64 off = (u64)(pc - bt->exec);

    while (low < high) {
        u32 mid = (low + high) / 2;

        if (bt->tus[mid].host <= off)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 1 || off >= bt->tus[low - 1].host + bt->tus[low - 1].host_size)
        return NULL;
    return &bt->tus[low - 1];
}

struct site *tu_site(const struct bt *bt, const struct tu *tu, const u8 *pc)
{
    u64 off = (u64)(pc - tu_host(bt, tu));
    struct site *s = NULL;

    for (u32 i = 0; i < tu->count && tu->sites[i].host_off <= off; i++)
        s = &tu->sites[i];
    return s;
}

/* ---- Chaining ---- */

/* Offsets in the code memory. */
static void patch_rel32(struct bt *bt, u32 at, u32 to)
{
    u32 rel = to - (at + 4);

    memcpy(bt->write + at, &rel, 4);
}

static u64 expected_spte(const struct tu *to)
{
    return to->crossing ? to->crossing->spte : to->spte;
}

/* Where a chain enters: behind the poll if it leads forward. Whatever runs for ever comes back some
 * time: by a chain that leads back, or by bt_indirect, which enters at the poll; a return that goes
 * where its call said leads forward, too. */
static u32 entry_of(const struct tu *from, const struct tu *to)
{
    bool forward = to->eip > from->eip && to->eip - from->eip >= from->guest_size;

    return to->host + (forward ? POLL_SIZE : 0);
}

/* What the site compares its target with, and whose page is checked. */
static void set_guess(struct bt *bt, const struct tu *tu, const struct exit *e)
{
    u32 page = (bt->contexts[tu->context].cs_base + e->target) >> PAGE_SHIFT;
    u32 minus = -e->target, spte = (SHADOW_EXEC + page) * 8 - SHADOW_BIAS;

    memcpy(bt->write + tu->host + e->guess, &minus, 4);
    memcpy(bt->write + tu->host + e->check + CHECK_PAGE, &spte, 4);
    patch_rel32(bt, tu->host + e->guess + GUESS_MISS, tu->host + e->check + CHECK_SIZE);
}

void tu_link(struct bt *bt, struct exit *e, struct tu *to)
{
    const struct tu *tu = tu_at(bt, e->tu);

    if (e->guess && !e->to)
        e->target = to->eip;
    if (bt->config.no_chaining || e->to || e->target != to->eip || tu->context != to->context ||
        (to->crossing && !e->second))
        return;
    if (e->guess)
        set_guess(bt, tu, e);
    if (e->check && e->second == !!to->crossing) {
        u64 minus = -expected_spte(to);

        memcpy(bt->write + tu->host + e->check + CHECK_SPTE, &minus, 8);
        patch_rel32(bt, tu->host + e->check + CHECK_JUMP, entry_of(tu, to));
        patch_rel32(bt, tu->host + e->jump, tu->host + e->check);
    } else {
        patch_rel32(bt, tu->host + e->jump, entry_of(tu, to));
    }
    bt->stats.chained++;
    e->to = number_of(bt, to);
    e->next_in = to->in;
    to->in = e;
}

static void unlink_exit(struct bt *bt, struct exit *e)
{
    const struct tu *tu = tu_at(bt, e->tu);

    patch_rel32(bt, tu->host + e->jump, tu->host + e->stub);
    if (e->guess)
        patch_rel32(bt, tu->host + e->guess + GUESS_MISS, tu->host + e->stub);
    e->to = 0;
}

/* The exit found its page changed: it goes through the look-up once more. */
static void remove_incoming(struct tu *to, struct exit *e)
{
    struct exit **p = &to->in;

    while (*p && *p != e)
        p = &(*p)->next_in;
    if (*p)
        *p = e->next_in;
}

void tu_unlink(struct bt *bt, struct exit *e)
{
    if (!e->to)
        return;
    remove_incoming(tu_at(bt, e->to), e);
    unlink_exit(bt, e);
}

static struct jump_cached *jump_entry(struct bt *bt, u32 eip)
{
    return &bt->jump_cache[(eip + (eip >> 7 | eip << 25)) & (JUMP_ENTRIES - 1)];
}

void tu_jump_cache_add(struct bt *bt, struct tu *tu)
{
    if (bt->config.no_chaining || tu->crossing)
        return;
    *jump_entry(bt, tu->eip) = (struct jump_cached){ -((u64)tu->context << 32 | tu->eip),
                                                     SHADOW_EXEC + (tu_gla(bt, tu) >> PAGE_SHIFT), -tu->spte,
                                                     tu_host(bt, tu) };
}

static void jump_cache_remove(struct bt *bt, const struct tu *tu)
{
    struct jump_cached *entry = jump_entry(bt, tu->eip);

    if (entry->host == tu_host(bt, tu))
        memset(entry, 0, sizeof(*entry));
}

/* ---- Dropping ---- */

static void bucket_remove(struct bt *bt, struct tu *tu)
{
    u32 *p = bucket(bt, tu->context, tu->eip), n = number_of(bt, tu);

    while (*p && *p != n)
        p = &tu_at(bt, *p)->hash_next;
    if (*p)
        *p = tu->hash_next;
}

static void line_remove(struct bt *bt, struct tu *tu, gpa_t gpa)
{
    u32 line = line_of(gpa), *p = &bt->lines[line], n = number_of(bt, tu);

    while (*p && *p != n)
        p = line_link(tu_at(bt, *p), line);
    if (*p)
        *p = *line_link(tu, line);
}

static void page_remove(struct bt *bt, gpa_t gpa)
{
    if (--bt->page_tus[gpa >> PAGE_SHIFT])
        return;
    mmu_unprotect_code(bt->cpu->mmu, gpa & ~(gpa_t)PAGE_MASK);
    map_set(bt, gpa & ~(gpa_t)PAGE_MASK, PAGE_SIZE, false);
}

/* Nobody finds it any more. Its host code stays until the next flush: the stack of return
 * addresses may lead there, and what it does there (a compare, a chained jump) stays true. */
void tu_drop(struct bt *bt, struct tu *tu)
{
    if (tu->dead)
        return;
    tu->dead = true;
    bt->dropped = true;
    bt->stats.drops++;
    bucket_remove(bt, tu);
    line_remove(bt, tu, tu->gpa);
    page_remove(bt, tu->gpa);
    if (in_two_lines(tu))
        line_remove(bt, tu, tu->crossing->gpa);
    if (in_two_pages(tu))
        page_remove(bt, tu->crossing->gpa);
    jump_cache_remove(bt, tu);
    while (tu->in) {
        struct exit *e = tu->in;

        tu->in = e->next_in;
        unlink_exit(bt, e);
    }
}

/* Do its bytes in the page of gpa overlap? The second part starts at its page. */
static bool overlaps(const struct tu *t, gpa_t gpa, u32 n)
{
    const struct crossing *c = t->crossing;
    u32 first = first_part(t);

    if (t->gpa < gpa + n && gpa < (gpa_t)t->gpa + first)
        return true;
    return c && c->gpa < gpa + n && gpa < (gpa_t)c->gpa + (t->guest_size - first);
}

static void note_patch(struct bt *bt, const struct tu *t, gpa_t gpa, u32 n)
{
    for (u32 i = 0; i < t->count && !t->crossing; i++) {
        u32 end = i + 1u < t->count ? t->sites[i + 1].eip_off : t->guest_size;

        form_patch(bt, t->gpa + t->sites[i].eip_off, end - t->sites[i].eip_off, gpa, n);
    }
}

static void drop_in_line(struct bt *bt, u32 line, gpa_t gpa, u32 n)
{
    for (u32 i = bt->lines[line], next; i; i = next) {
        struct tu *t = tu_at(bt, i);

        next = *line_link(t, line);
        if (!overlaps(t, gpa, n))
            continue;
        note_patch(bt, t, gpa, n);
        tu_drop(bt, t);
    }
}

/* Only the lines in which a TU can start that reaches the bytes: a store beside code in its page is
 * no dearer for how much code there is. */
void bt_code_written(void *owner, gpa_t gpa, u32 n)
{
    struct bt *bt = owner;
    gpa_t page = gpa & ~(gpa_t)PAGE_MASK;
    gpa_t first = gpa - page < MAX_TU_BYTES ? page : gpa - MAX_TU_BYTES;

    for (gpa_t at = first >> LINE_SHIFT << LINE_SHIFT; at < gpa + n; at += 1 << LINE_SHIFT)
        drop_in_line(bt, line_of(at), gpa, n);
    map_set(bt, gpa, n, false);
}

static void start_forget(struct bt *bt, gpa_t gpa)
{
    bt->lines[line_of(gpa)] = 0;
    if (!bt->page_tus[gpa >> PAGE_SHIFT])
        return;
    bt->page_tus[gpa >> PAGE_SHIFT] = 0;
    map_set(bt, gpa & ~(gpa_t)PAGE_MASK, PAGE_SIZE, false);
    mmu_unprotect_code(bt->cpu->mmu, gpa & ~(gpa_t)PAGE_MASK);
}

void tu_forget_all(struct bt *bt)
{
    for (u32 i = 1; i < bt->tu_count; i++) {
        const struct tu *t = &bt->tus[i];

        *bucket(bt, t->context, t->eip) = 0;
        start_forget(bt, t->gpa);
        if (t->crossing)
            start_forget(bt, t->crossing->gpa);
    }
    memset(bt->jump_cache, 0, JUMP_ENTRIES * sizeof(*bt->jump_cache));
}
