/*
 * Finding, chaining and dropping TUs.
 *
 * A chain across pages passes a link check: the execute slot of the target's page must still be the
 * one noted when the chain was made. So chains stay in place over changes of address space, and one
 * translation serves every process that maps the page at the same place.
 */
#include "bt/tu.h"
#include "runtime/machine.h"
#include <stdlib.h>
#include <string.h>

static struct tu **bucket(struct bt *bt, u32 context, u32 eip)
{
    return &bt->hash[(eip ^ eip >> 15 ^ context * 0x9e37) % HASH_SIZE];
}

/* Lists of one page's TUs: a TU that reaches into a second page is in two. */
static struct tu **page_link(struct tu *tu, u64 page)
{
    return tu->gpa >> PAGE_SHIFT == page ? &tu->page_next : &tu->page2_next;
}

static u64 exec_slot(const struct bt *bt, gla_t gla)
{
    return bt->cpu->flat[FLAT_EXEC + (gla >> PAGE_SHIFT)];
}

struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip)
{
    gla_t gla = bt->contexts[context].cs_base + eip;

    bt->stats.lookups++;
    for (struct tu *t = *bucket(bt, context, eip); t; t = t->hash_next)
        if (t->eip == eip && t->context == context && exec_slot(bt, gla) == t->slot &&
            (!t->slot2 || exec_slot(bt, gla + PAGE_SIZE) == t->slot2))
            return t;
    bt->stats.misses++;
    return NULL;
}

static void page_insert(struct bt *bt, struct tu *tu, gpa_t gpa)
{
    u64 page = gpa >> PAGE_SHIFT;

    *page_link(tu, page) = bt->pages[page];
    bt->pages[page] = tu;
    mmu_guard_code(bt->cpu->mmu, page << PAGE_SHIFT);
}

void tu_insert(struct bt *bt, struct tu *tu)
{
    struct tu **b = bucket(bt, tu->context, tu->eip);

    if (bt->tu_count == bt->tu_space) {
        bt->tu_space = bt->tu_space ? bt->tu_space * 2 : 4096;
        bt->tus = realloc(bt->tus, bt->tu_space * sizeof(*bt->tus));
        check(bt->tus, "out of memory for translations");
    }
    bt->tus[bt->tu_count++] = tu;
    tu->hash_next = *b;
    *b = tu;
    page_insert(bt, tu, tu->gpa);
    if (tu->slot2 && tu->gpa2 >> PAGE_SHIFT != tu->gpa >> PAGE_SHIFT)
        page_insert(bt, tu, tu->gpa2);
}

struct tu *tu_by_host(struct bt *bt, const u8 *pc)
{
    u32 low = 0, high = bt->tu_count;

    while (low < high) {
        u32 mid = (low + high) / 2;

        if (bt->tus[mid]->host <= pc)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low || pc >= bt->tus[low - 1]->host + bt->tus[low - 1]->host_size)
        return NULL;
    return bt->tus[low - 1];
}

struct site *tu_site(struct tu *tu, const u8 *pc)
{
    struct site *s = NULL;

    for (u32 i = 0; i < tu->count && tu->host + tu->sites[i].host_off <= pc; i++)
        s = &tu->sites[i];
    return s;
}

/* ---- Chaining ---- */

static void patch_rel32(struct bt *bt, u8 *at, const u8 *to)
{
    i32 rel = (i32)(to - (cache_exec(bt, at) + 4));

    memcpy(at, &rel, 4);
}

void tu_link(struct bt *bt, struct exit *e, struct tu *to)
{
    if (bt->config.no_chaining || e->to || e->target != to->eip ||
        e->tu->context != to->context || (to->slot2 && !e->second))
        return;
    if (e->check && e->second == !!to->slot2) {
        u64 minus = e->second ? -to->slot2 : -to->slot;

        memcpy(e->check_slot, &minus, 8);
        patch_rel32(bt, e->check_jump, to->host);
        patch_rel32(bt, e->jump, e->check);
    } else {
        patch_rel32(bt, e->jump, to->host);
    }
    bt->stats.chained++;
    e->to = to;
    e->next_in = to->in;
    to->in = e;
}

static void unlink_exit(struct bt *bt, struct exit *e)
{
    patch_rel32(bt, e->jump, e->stub);
    e->to = NULL;
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
    remove_incoming(e->to, e);
    unlink_exit(bt, e);
}

static u8 *jump_entry(struct bt *bt, u32 eip)
{
    return bt->jump_cache + ((eip + (eip >> 7 | eip << 25)) & (JUMP_ENTRIES - 1)) * 32ull;
}

void tu_jump_cache_add(struct bt *bt, struct tu *tu)
{
    u64 entry[4] = { -((u64)tu->context << 32 | tu->eip), FLAT_EXEC + (tu->gla >> PAGE_SHIFT),
                     -tu->slot, (u64)tu->host };

    if (bt->config.no_chaining || tu->slot2)
        return;
    memcpy(jump_entry(bt, tu->eip), entry, sizeof(entry));
}

static void jump_cache_remove(struct bt *bt, struct tu *tu)
{
    u64 *entry = (u64 *)jump_entry(bt, tu->eip);

    if (entry[JUMP_HOST / 8] == (u64)tu->host)
        memset(entry, 0, 32);
}

/* ---- Dropping ---- */

static void bucket_remove(struct bt *bt, struct tu *tu)
{
    struct tu **p = bucket(bt, tu->context, tu->eip);

    while (*p && *p != tu)
        p = &(*p)->hash_next;
    if (*p)
        *p = tu->hash_next;
}

static void page_remove(struct bt *bt, struct tu *tu, gpa_t gpa)
{
    u64 page = gpa >> PAGE_SHIFT;
    struct tu **p = &bt->pages[page];

    while (*p && *p != tu)
        p = page_link(*p, page);
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
    if (tu->slot2 && tu->gpa2 >> PAGE_SHIFT != tu->gpa >> PAGE_SHIFT)
        page_remove(bt, tu, tu->gpa2);
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
    u32 first = t->slot2 ? PAGE_SIZE - (u32)(t->gpa & PAGE_MASK) : t->guest_size;

    if (t->gpa < gpa + n && gpa < t->gpa + first)
        return true;
    return t->slot2 && t->gpa2 < gpa + n && gpa < t->gpa2 + (t->guest_size - first);
}

void bt_code_written(void *owner, gpa_t gpa, u32 n)
{
    struct bt *bt = owner;
    struct tu *next;

    for (struct tu *t = bt->pages[gpa >> PAGE_SHIFT]; t; t = next) {
        next = *page_link(t, gpa >> PAGE_SHIFT);
        if (overlaps(t, gpa, n))
            tu_drop(bt, t);
    }
}

static void page_forget(struct bt *bt, gpa_t gpa)
{
    bt->pages[gpa >> PAGE_SHIFT] = NULL;
    mmu_unguard_code(bt->cpu->mmu, gpa & ~(gpa_t)PAGE_MASK);
}

void tu_free_all(struct bt *bt)
{
    for (u32 i = 0; i < bt->tu_count; i++) {
        struct tu *t = bt->tus[i];

        page_forget(bt, t->gpa);
        if (t->slot2)
            page_forget(bt, t->gpa2);
        free(t);
    }
    bt->tu_count = 0;
    memset(bt->hash, 0, sizeof(bt->hash));
    memset(bt->jump_cache, 0, JUMP_ENTRIES * 32);
}
