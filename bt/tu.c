/*
 * Finding, chaining and dropping TUs.
 *
 * A chain across pages passes a link check: the execute spte of the target's page must still be
 * the one noted when the chain was made. So chains stay in place over changes of address space,
 * and one translation serves every process that maps the page at the same place.
 */
#include "bt/tu.h"
#include <string.h>

static u32 *hash_bucket(struct bt *bt, u32 context, u32 eip)
{
    return &bt->hash[(eip ^ eip >> 15 ^ context * 0x9e37) % HASH_SIZE];
}

static u64 exec_spte(const struct bt *bt, gla_t gla)
{
    return bt->cpu->shadow[SHADOW_EXEC + (gla >> PAGE_SHIFT)];
}

struct tu *tu_lookup(struct bt *bt, u32 context, u32 eip)
{
    gla_t gla = bt->contexts[context].cs_base + eip;

    bt->stats.lookups++;
    for (struct tu *t = tu_at(bt, *hash_bucket(bt, context, eip)); t;
         t = tu_at(bt, t->hash_next))
        if (t->eip == eip && t->context == context && exec_spte(bt, gla) == t->spte &&
            (!t->crossing || exec_spte(bt, gla + PAGE_SIZE) == t->crossing->spte))
            return t;
    bt->stats.misses++;
    return NULL;
}

void tu_insert(struct bt *bt, struct tu *tu)
{
    u32 *b = hash_bucket(bt, tu->context, tu->eip);

    bt->tu_count++;
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

/* Where a chain enters: behind the poll if it leads forward. Whatever runs for ever comes back
 * some time: by a chain that leads back, or by bt_indirect, which enters at the poll; a return
 * that goes where its call said leads forward, too. */
static u32 chain_entry(const struct tu *from, const struct tu *to)
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
    if (bt->config.no_chaining || e->to || e->target != to->eip || e->context != to->context ||
        (to->crossing && !e->second))
        return;
    if (e->guess)
        set_guess(bt, tu, e);
    if (e->check && e->second == !!to->crossing) {
        u64 minus = -expected_spte(to);

        memcpy(bt->write + tu->host + e->check + CHECK_SPTE, &minus, 8);
        patch_rel32(bt, tu->host + e->check + CHECK_JUMP, chain_entry(tu, to));
        patch_rel32(bt, tu->host + e->jump, tu->host + e->check);
    } else {
        patch_rel32(bt, tu->host + e->jump, chain_entry(tu, to));
    }
    bt->stats.chained++;
    e->to = tu_number(bt, to);
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
    *jump_entry(bt, tu->eip) =
        (struct jump_cached){ -((u64)tu->context << 32 | tu->eip),
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
    u32 *p = hash_bucket(bt, tu->context, tu->eip), n = tu_number(bt, tu);

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

        *hash_bucket(bt, t->context, t->eip) = 0;
        smc_forget(bt, t);
    }
    memset(bt->jump_cache, 0, JUMP_ENTRIES * sizeof(*bt->jump_cache));
}
