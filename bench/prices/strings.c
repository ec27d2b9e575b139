/* Rows of string instructions: single, and repeated 0, 1, 16 and 1000 times; both directions;
 * overlapping. */
#include "bench/prices/recipe.h"

#include <stdio.h>
#include <string.h>

enum string_kind {
    MOVS = 'm',
    CMPS = 'c',
    SCAS = 's',
    LODS = 'l',
    STOS = 't',
    INS = 'i',
    OUTS = 'o'
};
enum { MOST = 1000 };

static enum string_kind kind_of(const char *name)
{
    return name[0] == 's' && name[1] == 't' ? STOS : (enum string_kind)name[0];
}

static u32 element(const char *name)
{
    char c = name[strlen(name) - 1];

    return c == 'b' ? 1 : c == 'w' ? 2 : 4;
}

/* One row: where its elements lie, how many. */
struct string_case {
    const char *text;
    u32 prefix, n; /* n 0 without prefix: a single one */
    bool backward;
    i32 source, dest; /* bytes from the areas' starts */
    bool overlap;     /* dest is relative to the source area */
    bool each;        /* pointers are set before each, not once a turn */
};

static void string_pointers(struct recipe *r, struct text *t, const struct string_case *c)
{
    enum string_kind k = kind_of(r->form->name);
    bool unlike = k == CMPS && c->prefix == 0xf2;
    u32 size = element(r->form->name);
    u32 last = !c->backward ? 0 : c->prefix ? (c->n ? c->n - 1 : 0) * size : 15 * size;
    u32 dest = c->overlap ? OFF_SRC : unlike ? OFF_ONES : OFF_DST;

    if (k != SCAS && k != STOS && k != INS)
        text_mov(t, r->mode, ESI, r->mode->base + OFF_SRC + last + (u32)c->source);
    if (k != LODS && k != OUTS)
        text_mov(t, r->mode, EDI, r->mode->base + dest + last + (u32)c->dest);
}

static void string_row(const struct recipe *start, const struct string_case *c, recipe_fn *take)
{
    enum string_kind k = kind_of(start->form->name);
    struct recipe r = *start;
    const char *prefix = c->prefix == 0xf2        ? "repne "
                         : k == CMPS || k == SCAS ? "repe "
                                                  : "rep ";

    r.backward = c->backward;
    r.regs[EAX] = k == SCAS && c->prefix == 0xf2 ? 0x5a5a5a5a : 0;
    string_pointers(&r, c->prefix || c->each ? &r.pre : &r.head, c);
    r.op.n = 0;
    if (c->prefix) {
        text_mov(&r.pre, r.mode, ECX, c->n);
        BYTES(&r.op, (u8)c->prefix);
        r.copies = c->n >= MOST ? 2 : 8;
    }
    text_add(&r.op, r.form->in.len, r.form->in.raw);
    if (c->prefix)
        sprintf(r.name, "%s%s n=%u%s%s", prefix, r.form->name, c->n, c->backward ? " back" : "",
                c->text);
    else
        sprintf(r.name, "%s%s%s", r.form->name, c->backward ? " back" : "", c->text);
    take(&r);
}

static void repeated(const struct recipe *start, u32 prefix, recipe_fn *take)
{
    static const u32 counts[] = { 0, 1, 16, MOST };
    enum string_kind k = kind_of(start->form->name);
    i32 size = (i32)element(start->form->name);

    for (u32 i = 0; i < ARRAY_SIZE(counts); i++)
        for (u32 back = 0; back < 2; back++) {
            u32 n = counts[i];

            string_row(start, &(struct string_case){ "", prefix, n, back }, take);
            if (k == INS || k == OUTS || n < 16)
                continue;
            string_row(start, &(struct string_case){ " mis", prefix, n, back, 1, 1 }, take);
            if (n < MOST)
                string_row(start,
                           &(struct string_case){ " cross", prefix, n, back,
                                                  0x1000 - 7 * size - 1,
                                                  0x1000 - 5 * size - 1 },
                           take);
            if (k != MOVS)
                continue;
            string_row(start,
                       &(struct string_case){ " overlap-up", prefix, n, back, 0x100,
                                              0x100 + size, .overlap = true },
                       take);
            string_row(start,
                       &(struct string_case){ " overlap-down", prefix, n, back, 0x100,
                                              0x100 - size, .overlap = true },
                       take);
        }
}

static void single(const struct recipe *start, recipe_fn *take)
{
    enum string_kind k = kind_of(start->form->name);
    i32 size = (i32)element(start->form->name), middle = 0x1000 - size / 2;

    for (u32 back = 0; back < 2; back++) {
        string_row(start, &(struct string_case){ "", .backward = back }, take);
        if (size == 1 || k == INS || k == OUTS)
            continue;
        string_row(start,
                   &(struct string_case){ " mis", .backward = back, .source = 1, .dest = 1 },
                   take);
        if (!back)
            string_row(start,
                       &(struct string_case){ " cross", .source = middle, .dest = middle,
                                              .each = true },
                       take);
    }
}

void recipes_of_string(const struct recipe *start, recipe_fn *take)
{
    enum string_kind k = kind_of(start->form->name);
    bool compares = k == CMPS || k == SCAS;

    single(start, take);
    repeated(start, 0xf3, take);
    if (compares)
        repeated(start, 0xf2, take);
}
