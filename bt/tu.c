/*
 * Finding, chaining and dropping TUs.
 *
 * A chain across pages passes a link check: the execute spte of the target's page must still be
 * the one noted when the chain was made. So chains stay in place over changes of address space,
 * and one translation serves every process that maps the page at the same place.
 */
#include "bt/variants.h"
#include <string.h>

static bool context_pic(const struct bt *bt, u32 context)
{
    return bt->contexts[context].key & KEY_PIC;
}

/* Many pages have one offset; an EIP is enough. */
static u32 *hash_bucket(struct bt *bt, u32 context, u64 place, u32 eip)
{
    u32 page = context_pic(bt, context) ? (u32)(place >> PAGE_SHIFT) * 0x9e3779b1u : 0;

    return &bt->hash[(eip ^ eip >> 15 ^ page ^ page >> 13 ^ context * 0x9e37) % HASH_SIZE];
}

static u64 exec_spte(const struct bt *bt, gla_t gla)
{
    return bt->cpu->shadow[SHADOW_EXEC + (gla >> PAGE_SHIFT)];
}

/* The spte of a page that is not mapped makes a place where nothing is. */
u64 tu_place(const struct bt *bt, u32 context, gla_t gla)
{
    return exec_spte(bt, gla) + (context_pic(bt, context) ? gla & ~(gla_t)PAGE_MASK : 0);
}

struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip)
{
    gla_t gla = bt->contexts[context].cs_base + eip;
    u32 name = context_pic(bt, context) ? eip & PAGE_MASK : eip;
    u64 place = tu_place(bt, context, gla);

    bt->stats.lookups++;
    for (struct tu *t = tu_at(bt, *hash_bucket(bt, context, place, name)); t;
         t = tu_at(bt, t->hash_next))
        if (t->eip == name && t->context == context && place == t->place &&
            (!t->crossing || tu_place(bt, context, gla + PAGE_SIZE) == t->crossing->place))
            return t;
    bt->stats.misses++;
    return NULL;
}

void tu_insert(struct bt *bt, struct tu *tu)
{
    u32 *b = hash_bucket(bt, tu->context, tu->place, tu->eip);

    bt->tu_count++;
    if (tu->variant)
        return;
    tu->hash_next = *b;
    *b = tu_number(bt, tu);
    smc_insert(bt, tu);
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

    for (u32 i = 0; i < tu->count && tu_sites(tu)[i].host_off <= off; i++)
        s = &tu_sites(tu)[i];
    return s;
}

/* ---- Chaining ---- */

/* Offsets in the code memory. */
static void patch_rel32(struct bt *bt, u32 at, u32 to)
{
    u32 rel = to - (at + 4);

    memcpy(bt->write + at, &rel, 4);
}

/* Of the page that the exit looks at. */
static u64 expected_place(const struct exit *e, const struct tu *to)
{
    return e->second ? to->crossing->place : to->place;
}

/* Where a chain enters: behind the poll if it leads forward. Whatever runs for ever comes back
 * some time: by a chain that leads back, or by bt_indirect, which enters at the poll; a return
 * that goes where its call said leads forward, too. Which of two physical pages comes first is
 * not known. */
static u32 chain_entry(const struct bt *bt, const struct exit *e, const struct tu *to)
{
    const struct tu *from = tu_at(bt, e->tu);
    bool forward = to->eip > from->eip && to->eip - from->eip >= from->guest_size &&
                   (!tu_pic(bt, from) || from->place == to->place);

    if (to->crossing && !e->second)
        return to->host + to->crossing->check;
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

/* By the link check, whatever the exit's target is in this page. */
static void set_check_pic(struct bt *bt, const struct tu *tu, const struct exit *e,
                          const struct tu *to)
{
    u32 at = tu->host + e->check, minus_offset = e->second ? -PAGE_SIZE : -to->eip;
    u64 minus = -(expected_place(e, to) + (e->second ? 0 : to->eip));

    memcpy(bt->write + at + PIC_PLACE, &minus, 8);
    memcpy(bt->write + at + PIC_OFFSET, &minus_offset, 4);
    patch_rel32(bt, at + PIC_JUMP, chain_entry(bt, e, to));
    patch_rel32(bt, tu->host + e->jump, at - (e->guess ? 0 : PIC_DIRECT));
}

static void set_check(struct bt *bt, const struct tu *tu, const struct exit *e,
                      const struct tu *to)
{
    u64 minus = -expected_place(e, to);

    if (e->guess)
        set_guess(bt, tu, e);
    memcpy(bt->write + tu->host + e->check + CHECK_SPTE, &minus, 8);
    patch_rel32(bt, tu->host + e->check + CHECK_JUMP, chain_entry(bt, e, to));
    patch_rel32(bt, tu->host + e->jump, tu->host + e->check);
}

/* Is it where the exit leads? */
static bool leads_to(const struct bt *bt, const struct exit *e, const struct tu *to)
{
    const struct tu *tu = tu_at(bt, e->tu);
    u32 target = (u32)tc_of(bt->cpu)->page + e->target;

    if (e->context != to->context)
        return false;
    return e->guess ||
           (target == bt->cpu->eip && (e->check || !tu_pic(bt, tu) || tu->place == to->place));
}

static void set_thunk(struct bt *bt, const struct exit *e, u64 minus_place)
{
    memcpy(bt->write + tu_at(bt, e->tu)->host + e->jump - THUNK_PLACE, &minus_place, 8);
}

void tu_link(struct bt *bt, struct exit *e, struct tu *to)
{
    const struct tu *tu = tu_at(bt, e->tu);

    if (bt->config.no_chaining || e->to || !leads_to(bt, e, to))
        return;
    if (e->guess)
        e->target = bt->cpu->eip;
    if (!e->check || (e->second && !to->crossing))
        patch_rel32(bt, tu->host + e->jump, chain_entry(bt, e, to));
    else if (tu_pic(bt, tu))
        set_check_pic(bt, tu, e, to);
    else
        set_check(bt, tu, e, to);
    if (e->thunk && e->thunk == tu_is_thunk(bt, to))
        set_thunk(bt, e, -(to->place + to->eip));
    bt->stats.chained++;
    e->to = tu_number(bt, to);
    e->next_in = to->in;
    to->in = e;
}

static void unlink_exit(struct bt *bt, struct exit *e)
{
    const struct tu *tu = tu_at(bt, e->tu);

    patch_rel32(bt, tu->host + e->jump, tu->host + e->stub);
    if (e->guess && !tu_pic(bt, tu))
        patch_rel32(bt, tu->host + e->guess + GUESS_MISS, tu->host + e->stub);
    if (e->thunk)
        set_thunk(bt, e, NO_THUNK);
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

/* Where who has looked at its first page enters. */
static const u8 *jump_host(const struct bt *bt, const struct tu *tu)
{
    return tu_host(bt, tu) + (tu->crossing ? tu->crossing->check : 0);
}

void tu_jump_cache_add(struct bt *bt, struct tu *tu)
{
    u32 eip = bt->cpu->eip;
    u64 minus_tag = -((u64)tu->context << 32 | eip);
    gla_t gla = bt->contexts[tu->context].cs_base + eip;
    struct jump_cached *entry;

    if (bt->config.no_chaining)
        return;
    tu->jumped_to = true;
    entry = jump_entry(bt, eip);
    if (entry->minus_tag != minus_tag)
        entry[1] = entry[0];
    *entry = (struct jump_cached){minus_tag, (u32)SHADOW_EXEC + (gla >> PAGE_SHIFT),
                                  eip - tu->eip, -exec_spte(bt, gla), jump_host(bt, tu)};
}

/* One of KEY_PIC may be there for each linear page: an entry depends on seven bits of its
 * number. */
static void jump_cache_remove(struct bt *bt, const struct tu *tu)
{
    u32 pages = !tu->jumped_to ? 0 : tu_pic(bt, tu) ? 1 << 7 : 1;

    for (u32 page = 0; page < pages; page++) {
        struct jump_cached *entry = jump_entry(bt, page << PAGE_SHIFT | tu->eip);

        for (u32 i = 0; i < 2; i++)
            if (entry[i].host == jump_host(bt, tu))
                memset(&entry[i], 0, sizeof(*entry));
    }
}

/* ---- Dropping ---- */

static void bucket_remove(struct bt *bt, struct tu *tu)
{
    u32 *p = hash_bucket(bt, tu->context, tu->place, tu->eip), n = tu_number(bt, tu);

    while (*p && *p != n)
        p = &tu_at(bt, *p)->hash_next;
    if (*p)
        *p = tu->hash_next;
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
    if (tu->patched)
        variants_drop(bt, tu);
    if (!tu->variant)
        bucket_remove(bt, tu);
    smc_remove(bt, tu);
    jump_cache_remove(bt, tu);
    while (tu->in) {
        struct exit *e = tu->in;

        tu->in = e->next_in;
        unlink_exit(bt, e);
    }
}

void tu_forget_all(struct bt *bt)
{
    for (u32 i = 1; i < bt->tu_count; i++) {
        const struct tu *t = &bt->tus[i];

        *hash_bucket(bt, t->context, t->place, t->eip) = 0;
        smc_forget(bt, t);
    }
    memset(bt->jump_cache, 0, JUMP_BYTES);
}
