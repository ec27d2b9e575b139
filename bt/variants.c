/*
 * An instruction that the guest overwrites again and again: code of games that switches a
 * drawing operation, a C library that writes an interrupt's number into its INT.
 *
 *   its TU     mov r9, variants;  jmp bt_patched
 *                ├─ what stands there is known:  the TU of that variant, which goes on behind
 * it └─ it is not:  a callout, which runs what stands there, and makes a TU of it
 *
 * The bytes of all of these are no code, so that a store to them is one to data. A variant is a
 * TU like others, learns like others, and is found by its patched TU alone. Eight are made, of
 * which four stay: what is ever something else remains a callout.
 */
#include "bt/variants.h"
#include "bt/emit.h"
#include <string.h>

enum { MOST_MADE = 2 * VARIANTS };

static struct variants *variants_of(const struct bt *bt, const struct tu *tu)
{
    return tu->variants ? (struct variants *)((u8 *)bt->tus + bt->size - tu->variants) : NULL;
}

static void forget(struct variants *v, u32 i)
{
    v->tus[i] = 0;
    v->of[i] = (struct variant){.host = v->miss};
}

/* All that is compared lies in the page. */
void xl_variants(struct xl *x)
{
    struct bt *bt = x->bt;
    struct variants *v;

    if (!x->code || (x->tu->gpa & PAGE_MASK) > PAGE_SIZE - VARIANT_BYTES)
        return;
    v = cache_note(bt, sizeof(*v));
    x->tu->variants = (u32)((u8 *)bt->tus + bt->size - (u8 *)v);
    v->code = x->code;
    v->trial = v->left = site_trial(bt, x->tu->gpa);
    emit_mov_ri64(x, R9, (u64)v);
    emit_jmp_vcpu(x, TC_PATCHED);
    v->miss = bt->exec + (x->p - bt->write);
    for (u32 i = 0; i < VARIANTS; i++)
        forget(v, i);
}

bool variants_settled(const struct bt *bt, const struct tu *tu)
{
    const struct variants *v = variants_of(bt, tu);

    return v && !v->left;
}

void variants_add(struct bt *bt, struct tu *tu)
{
    struct variants *v = variants_of(bt, tu);
    u64 flushes = bt->stats.flushes, bytes;
    struct tu *made;
    u32 i;

    if (!v || v->made == MOST_MADE)
        return;
    made = bt_translate_variant(bt, tu);
    if (flushes != bt->stats.flushes)
        return;
    i = v->made++ % VARIANTS;
    if (!made)
        return;
    if (v->tus[i])
        tu_drop(bt, tu_at(bt, v->tus[i]));
    made->patched_tu = tu_number(bt, tu);
    memcpy(&bytes, v->code, sizeof(bytes));
    v->tus[i] = tu_number(bt, made);
    v->of[i].shift = 8 * (VARIANT_BYTES - made->guest_size);
    v->of[i].minus_bytes = -(bytes << v->of[i].shift);
    v->of[i].host = tu_host(bt, made) + POLL_SIZE;
    bt->stats.variants++;
}

void variants_drop(struct bt *bt, struct tu *tu)
{
    struct variants *v = variants_of(bt, tu->variant ? tu_at(bt, tu->patched_tu) : tu);

    for (u32 i = 0; v && i < VARIANTS; i++) {
        struct tu *of = tu_at(bt, v->tus[i]);

        if (!of || (tu->variant && tu != of))
            continue;
        forget(v, i);
        if (!tu->variant)
            tu_drop(bt, of);
    }
}
