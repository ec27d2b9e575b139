/*
 * Self-modifying code: which bytes of memory are code, and what a write to them drops.
 *
 * A physical page with TUs is write-protected (mmu/), and lists them by the 64 bytes they start
 * in, so that a write drops those it overlaps and no others, however much code the page has. A
 * bit for each byte of memory (code_map) lets a store to such a page that hits no code go on in
 * the cache (codepage.S).
 */
#include "bt/emit.h"

#include <string.h>

/* Number of the list of TUs that start in the 64 bytes around gpa. */
static u32 line_of(gpa_t gpa)
{
    u32 line = (u32)(gpa >> LINE_SHIFT);

    return (line ^ line >> 18) % LINES;
}

/* A TU that crosses into a second page is in two lists, or in one for both its parts. */
static u32 *line_link(struct tu *tu, u32 line)
{
    return line_of(tu->gpa) == line ? &tu->line_next : &tu->crossing->line_next;
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
    bt->lines[line] = tu_number(bt, tu);
}

/* The n bytes at gpa, all in one page, in the map. */
static void code_map_set(struct bt *bt, gpa_t gpa, u32 n, bool code)
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

/* What of its own page lies between holes, or before or behind all of them: n bytes from `at`
 * on, the i-th such. False: there are no more. */
static bool between_holes(const struct tu *t, u32 i, u32 *at, u32 *n)
{
    const struct hole *holes = tu_holes(t);

    if (i > t->hole_count)
        return false;
    *at = i ? holes[i - 1].at + holes[i - 1].n : 0;
    *n = (i < t->hole_count ? holes[i].at : first_part(t)) - *at;
    return true;
}

static void code_map_add(struct bt *bt, const struct tu *t)
{
    u32 at, n;

    for (u32 i = 0; between_holes(t, i, &at, &n); i++)
        code_map_set(bt, t->gpa + at, n, true);
    n = first_part(t);
    if (t->crossing)
        code_map_set(bt, t->crossing->gpa, t->guest_size - n, true);
}

void smc_insert(struct bt *bt, struct tu *tu)
{
    if (tu->patched)
        return;
    line_insert(bt, tu, tu->gpa);
    page_insert(bt, tu->gpa);
    if (in_two_lines(tu))
        line_insert(bt, tu, tu->crossing->gpa);
    if (in_two_pages(tu))
        page_insert(bt, tu->crossing->gpa);
    code_map_add(bt, tu);
}

static void line_remove(struct bt *bt, struct tu *tu, gpa_t gpa)
{
    u32 line = line_of(gpa), *p = &bt->lines[line], n = tu_number(bt, tu);

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
    code_map_set(bt, gpa & ~(gpa_t)PAGE_MASK, PAGE_SIZE, false);
}

void smc_remove(struct bt *bt, struct tu *tu)
{
    if (tu->patched)
        return;
    line_remove(bt, tu, tu->gpa);
    page_remove(bt, tu->gpa);
    if (in_two_lines(tu))
        line_remove(bt, tu, tu->crossing->gpa);
    if (in_two_pages(tu))
        page_remove(bt, tu->crossing->gpa);
}

/* ---- Writes ---- */

/* Do its bytes in the page of gpa overlap? The second part starts at its page. */
static bool tu_overlaps(const struct tu *t, gpa_t gpa, u32 n)
{
    const struct crossing *c = t->crossing;
    u32 first = first_part(t), at, size;

    for (u32 i = 0; between_holes(t, i, &at, &size); i++)
        if (size && t->gpa + at < gpa + n && gpa < (gpa_t)t->gpa + at + size)
            return true;
    return c && c->gpa < gpa + n && gpa < (gpa_t)c->gpa + (t->guest_size - first);
}

enum { PATCH_SIZE = 64 }; /* what writes more is loading code */

/* A TU's bytes, if they are together. */
static const u8 *bytes_of(const struct bt *bt, const struct tu *t)
{
    return tu_code(bt, t, bt->contexts[t->context].cs_base + t->eip);
}

/* What n bytes at gpa are of the instruction that starts at its TU's `first`. */
static enum fact overwritten(const struct bt *bt, const struct tu *t, u32 first, gpa_t gpa,
                             u32 n)
{
    struct insn in;

    if (t->crossing || insn_decode(bytes_of(bt, t) + first, t->guest_size - first,
                                   bt->contexts[t->context].key & KEY_CODE32, &in) != DECODE_OK)
        return FACT_PATCHED;
    for (enum fact f = FACT_PATCHED_IMM; f <= FACT_PATCHED_DISP; f *= 2) {
        struct hole h = xl_field(&in, f);
        gpa_t at = t->gpa + first + h.at;

        if (gpa >= at && gpa + n <= at + h.n)
            return f;
    }
    return FACT_PATCHED;
}

/* A store to a few instructions: a guest that does it again and again is patching them. */
static void note_patch(struct bt *bt, const struct tu *t, gpa_t gpa, u32 n)
{
    for (u32 i = 0; i < t->count && n <= PATCH_SIZE && !bt->config.no_adapt; i++) {
        u32 first = tu_sites(t)[i].eip_off,
            end = i + 1u < t->count ? tu_sites(t)[i + 1].eip_off : t->guest_size;

        if (t->crossing || (t->gpa + first < gpa + n && gpa < (gpa_t)t->gpa + end))
            site_overwritten(bt, t->gpa + first, overwritten(bt, t, first, gpa, n));
    }
}

static void drop_in_line(struct bt *bt, u32 line, gpa_t gpa, u32 n)
{
    for (u32 i = bt->lines[line], next; i; i = next) {
        struct tu *t = tu_at(bt, i);

        next = *line_link(t, line);
        if (!tu_overlaps(t, gpa, n))
            continue;
        note_patch(bt, t, gpa, n);
        tu_drop(bt, t);
    }
}

/* Only the lines in which a TU can start that reaches the bytes: a store to a code page that
 * hits no code is no dearer for how much code there is. */
void bt_code_written(void *owner, gpa_t gpa, u32 n)
{
    struct bt *bt = owner;
    gpa_t page = gpa & ~(gpa_t)PAGE_MASK;
    gpa_t first = gpa - page < MAX_TU_BYTES ? page : gpa - MAX_TU_BYTES;

    for (gpa_t at = first >> LINE_SHIFT << LINE_SHIFT; at < gpa + n; at += 1 << LINE_SHIFT)
        drop_in_line(bt, line_of(at), gpa, n);
    code_map_set(bt, gpa, n, false);
}

static void start_forget(struct bt *bt, gpa_t gpa)
{
    bt->lines[line_of(gpa)] = 0;
    if (!bt->page_tus[gpa >> PAGE_SHIFT])
        return;
    bt->page_tus[gpa >> PAGE_SHIFT] = 0;
    code_map_set(bt, gpa & ~(gpa_t)PAGE_MASK, PAGE_SIZE, false);
    mmu_unprotect_code(bt->cpu->mmu, gpa & ~(gpa_t)PAGE_MASK);
}

void smc_forget(struct bt *bt, const struct tu *tu)
{
    if (tu->patched)
        return;
    start_forget(bt, tu->gpa);
    if (tu->crossing)
        start_forget(bt, tu->crossing->gpa);
}
