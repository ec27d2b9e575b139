/*
 * Finding, chaining and dropping TUs.
 *
 * A chain across pages passes a link check: the execute slot of the target's page must still be the
 * one noted when the chain was made. So chains stay in place over changes of address space, and one
 * translation serves every process that maps the page at the same place.
 */
#include "bt/tu.h"
#include "runtime/machine.h"
#include <string.h>

static u32 *bucket(struct bt *bt, u32 context, u32 eip)
{
    return &bt->hash[(eip ^ eip >> 15 ^ context * 0x9e37) % HASH_SIZE];
}

static u32 number_of(const struct bt *bt, const struct tu *tu)
{
    return (u32)(tu - bt->tus);
}

/* Lists of one page's TUs: a TU that crosses into a second page is in two. */
static u32 *page_link(struct tu *tu, u64 page)
{
    return tu->gpa >> PAGE_SHIFT == page ? &tu->page_next : &tu->crossing->page_next;
}

static u64 exec_slot(const struct bt *bt, gla_t gla)
{
    return bt->cpu->flat[FLAT_EXEC + (gla >> PAGE_SHIFT)];
}

struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip)
{
    gla_t gla = bt->contexts[context].cs_base + eip;

    bt->stats.lookups++;
    for (struct tu *t = tu_at(bt, *bucket(bt, context, eip)); t; t = tu_at(bt, t->hash_next))
        if (t->eip == eip && t->context == context && exec_slot(bt, gla) == t->slot &&
            (!t->crossing || exec_slot(bt, gla + PAGE_SIZE) == t->crossing->slot))
            return t;
    bt->stats.misses++;
    return NULL;
}

/* A page of linear memory may be followed by itself. */
static bool in_two_pages(const struct tu *tu)
{
    return tu->crossing && tu->crossing->gpa >> PAGE_SHIFT != tu->gpa >> PAGE_SHIFT;
}

static void page_insert(struct bt *bt, struct tu *tu, gpa_t gpa)
{
    u64 page = gpa >> PAGE_SHIFT;

    *page_link(tu, page) = bt->pages[page];
    bt->pages[page] = number_of(bt, tu);
    mmu_guard_code(bt->cpu->mmu, page << PAGE_SHIFT);
}

void tu_insert(struct bt *bt, struct tu *tu)
{
    u32 *b = bucket(bt, tu->context, tu->eip);

    bt->tu_count++;
    tu->hash_next = *b;
    *b = number_of(bt, tu);
    page_insert(bt, tu, tu->gpa);
    if (in_two_pages(tu))
        page_insert(bt, tu, tu->crossing->gpa);
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

static u64 expected_slot(const struct tu *to)
{
    return to->crossing ? to->crossing->slot : to->slot;
}

void tu_link(struct bt *bt, struct exit *e, struct tu *to)
{
    const struct tu *tu = tu_at(bt, e->tu);

    if (bt->config.no_chaining || e->to || e->target != to->eip || tu->context != to->context ||
        (to->crossing && !e->second))
        return;
    if (e->check && e->second == !!to->crossing) {
        u64 minus = -expected_slot(to);

        memcpy(bt->write + tu->host + e->check + CHECK_SLOT, &minus, 8);
        patch_rel32(bt, tu->host + e->check + CHECK_JUMP, to->host);
        patch_rel32(bt, tu->host + e->jump, tu->host + e->check);
    } else {
        patch_rel32(bt, tu->host + e->jump, to->host);
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

static u8 *jump_entry(struct bt *bt, u32 eip)
{
    return bt->jump_cache + ((eip + (eip >> 7 | eip << 25)) & (JUMP_ENTRIES - 1)) * 32ull;
}

void tu_jump_cache_add(struct bt *bt, struct tu *tu)
{
    u64 entry[4] = { -((u64)tu->context << 32 | tu->eip), FLAT_EXEC + (tu_gla(bt, tu) >> PAGE_SHIFT),
                     -tu->slot, (u64)tu_host(bt, tu) };

    if (bt->config.no_chaining || tu->crossing)
        return;
    memcpy(jump_entry(bt, tu->eip), entry, sizeof(entry));
}

static void jump_cache_remove(struct bt *bt, const struct tu *tu)
{
    u64 *entry = (u64 *)jump_entry(bt, tu->eip);

    if (entry[JUMP_HOST / 8] == (u64)tu_host(bt, tu))
        memset(entry, 0, 32);
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

static void page_remove(struct bt *bt, struct tu *tu, gpa_t gpa)
{
    u64 page = gpa >> PAGE_SHIFT;
    u32 *p = &bt->pages[page], n = number_of(bt, tu);

    while (*p && *p != n)
        p = page_link(tu_at(bt, *p), page);
    if (*p)
        *p = *page_link(tu, page);
    if (!bt->pages[page])
        mmu_unguard_code(bt->cpu->mmu, page << PAGE_SHIFT);
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
    page_remove(bt, tu, tu->gpa);
    if (in_two_pages(tu))
        page_remove(bt, tu, tu->crossing->gpa);
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
    u32 first = c ? PAGE_SIZE - (t->gpa & PAGE_MASK) : t->guest_size;

    if (t->gpa < gpa + n && gpa < (gpa_t)t->gpa + first)
        return true;
    return c && c->gpa < gpa + n && gpa < (gpa_t)c->gpa + (t->guest_size - first);
}

void bt_code_written(void *owner, gpa_t gpa, u32 n)
{
    struct bt *bt = owner;
    u64 page = gpa >> PAGE_SHIFT;

    for (u32 i = bt->pages[page], next; i; i = next) {
        struct tu *t = tu_at(bt, i);

        next = *page_link(t, page);
        if (overlaps(t, gpa, n))
            tu_drop(bt, t);
    }
}

static void page_forget(struct bt *bt, gpa_t gpa)
{
    bt->pages[gpa >> PAGE_SHIFT] = 0;
    mmu_unguard_code(bt->cpu->mmu, gpa & ~(gpa_t)PAGE_MASK);
}

void tu_forget_all(struct bt *bt)
{
    for (u32 i = 1; i < bt->tu_count; i++) {
        page_forget(bt, bt->tus[i].gpa);
        if (bt->tus[i].crossing)
            page_forget(bt, bt->tus[i].crossing->gpa);
    }
    memset(bt->hash, 0, sizeof(bt->hash));
    memset(bt->jump_cache, 0, JUMP_ENTRIES * 32);
}
