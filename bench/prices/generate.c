/*
 * The price list's generator.
 *
 *   prices generate FOLDER   writes prices-MODE.rows and -MODE.code for the guest (struct
 * price_row; code), and prices.list: "row MODE NAME COPIES BASE", tabs between, BASE the row's
 * number that is the loop alone, -1: it is one; and "left MODE FORM WHY" prices host [NAME]
 * runs the host's rows here, by native.c
 *
 * A row of the instruction table that no mode prices and no reason leaves out ends it with
 * status 1.
 */
#include "bench/prices/recipe.h"
#include "bench/prices/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 12000, MAX_CODE = CODE32_ROOM, ALIGN = 64 };

static const struct mode modes[MODES] = {
    { FLAT, "flat", true, 4, SEL_CODE, SEL_DATA, DATA32 },
    { RING3, "ring3", true, 4, SEL_USER_CODE, SEL_USER_DATA, DATA32 },
    { REAL, "real", false, 2, 0, DATA16 >> 4, 0 },
    { V86, "v86", false, 2, 0, DATA16 >> 4, 0 },
    { NATIVE, "host", true, 8, 0, 0, DATA32 },
};

static struct form forms[2][MAX_FORMS];
static u32 form_count[2];
static bool priced[INSN_MNEMONICS];

/* The rows of a mode, as they come. */
static const struct mode *mode;
static struct price_row rows[MAX_ROWS];
static struct row_name {
    char text[ROW_NAME];
    i32 base;
    u8 copies;
} names[MAX_ROWS];
static u32 row_count, code_bytes;
static u8 code[MAX_CODE];
static FILE *list;

/* ---- Code of a row ---- */

struct loop_key {
    struct text head, pre, post, tail;
    u8 copies;
};
static struct loop_key loops[MAX_ROWS];
static u32 loop_rows[MAX_ROWS], loop_count;

static void put(const void *bytes, u32 n)
{
    check(code_bytes + n <= (mode->code32 ? CODE32_ROOM : CODE16_ROOM), "%s: too much code",
          mode->text);
    memcpy(code + code_bytes, bytes, n);
    code_bytes += n;
}

static void put_text(const struct text *t)
{
    put(t->b, t->n);
}

/* What the row's code calls an address in it, and its code selector. */
static u32 address_of(u32 at, u32 row_start)
{
    return mode->code32 ? CODE32 + at : at - row_start;
}

static u16 selector_of(u32 row_start)
{
    return mode->code32 ? mode->code : (u16)((CODE16 + row_start) >> 4);
}

static void put_copy(const struct recipe *r, u32 row_start, u32 leaf)
{
    u32 word = mode->code32 ? 4 : 2, begin = code_bytes, next, val;
    u8 *at = code + begin + r->patch_at;

    put_text(&r->pre);
    put_text(&r->op);
    next = code_bytes;
    val = r->patch == PATCH_NEXT   ? address_of(next, row_start)
          : r->patch == PATCH_LEAF ? address_of(leaf, row_start)
                                   : leaf - next;
    if (r->patch != PATCH_NONE)
        memcpy(at, &val, word);
    if (r->patch_selector) {
        u16 selector = selector_of(row_start);

        memcpy(at + word, &selector, 2);
    }
    put_text(&r->post);
}

static void put_loop_end(u32 loop)
{
    u32 size = mode->code32 ? 4 : 2, displacement;

    put((u8[]){ 0xff, 0xcd, 0x0f, 0x85 }, 4); /* DEC EBP; JNZ loop */
    displacement = loop - (code_bytes + size);
    put(&displacement, size);
    put((u8[]){ mode->code32 ? 0xc3 : 0xcb }, 1);
}

static void align_code(void)
{
    while (code_bytes % ALIGN)
        put("\xcc", 1);
}

/* The row's code; its addresses into row->regs and memory where it branches by them. */
static void put_code(const struct recipe *r, struct price_row *row)
{
    u32 row_start = code_bytes, leaf = code_bytes, loop, target = 0, word = mode->word;

    put_text(&r->leaf);
    if (r->leaf.n)
        align_code();
    row->code = code_bytes;
    row->entry = (u8)(code_bytes - row_start);
    put_text(&r->prologue);
    loop = code_bytes;
    put_text(&r->head);
    for (u32 i = 0; i < r->copies; i++) {
        put_copy(r, row_start, leaf);
        target = r->target == TARGET_LEAF ? leaf : code_bytes;
    }
    put_text(&r->tail);
    put_loop_end(loop);
    align_code();
    if (r->target == TARGET_NONE)
        return;
    target = address_of(target, row_start);
    row->regs[ECX] = target;
    memset(row->memory, 0, sizeof(row->memory));
    memcpy(row->memory, &target, 4);
    if (word < 8)
        memcpy(row->memory + word, &(u16){ selector_of(row_start) }, 2);
}

static u32 add_row(const struct recipe *r, const char *name, i32 base)
{
    struct price_row *row = &rows[row_count];

    check(row_count < MAX_ROWS, "more than %u rows", MAX_ROWS);
    memcpy(row->regs, r->regs, sizeof(row->regs));
    memcpy(row->memory, r->memory, sizeof(row->memory));
    memcpy(row->lanes, r->lanes, sizeof(row->lanes));
    row->place = r->place;
    row->skip = r->op.n;
    row->unit = r->unit;
    row->backward = r->backward;
    put_code(r, row);
    snprintf(names[row_count].text, sizeof(names[0].text), "%s", name);
    names[row_count].base = base;
    names[row_count].copies = r->copies;
    return row_count++;
}

/* The row of the same loop without the instruction. */
static i32 loop_row(const struct recipe *r)
{
    struct loop_key key = { r->head, r->pre, r->post, r->tail, r->copies };
    struct recipe bare = *r;

    if (r->group)
        key.pre.n = key.post.n = 0;
    memset(key.head.b + key.head.n, 0, sizeof(key.head.b) - key.head.n);
    memset(key.pre.b + key.pre.n, 0, sizeof(key.pre.b) - key.pre.n);
    memset(key.post.b + key.post.n, 0, sizeof(key.post.b) - key.post.n);
    memset(key.tail.b + key.tail.n, 0, sizeof(key.tail.b) - key.tail.n);
    for (u32 i = 0; i < loop_count; i++)
        if (!memcmp(&loops[i], &key, sizeof(key)))
            return (i32)loop_rows[i];
    bare.pre = key.pre;
    bare.post = key.post;
    bare.op.n = bare.prologue.n = bare.leaf.n = 0;
    bare.patch = PATCH_NONE;
    bare.patch_selector = false;
    bare.target = TARGET_NONE;
    loops[loop_count] = key;
    return (i32)(loop_rows[loop_count++] = add_row(&bare, "(loop)", -1));
}

static void take(const struct recipe *r)
{
    i32 base = loop_row(r);

    add_row(r, r->name, base);
    priced[r->form->in.mnem] = true;
}

static void leave_out(const struct mode *m, const struct form *f, const char *why)
{
    if (list && m->name != NATIVE)
        fprintf(list, "left\t%s\t%s\t%s\n", m->text, f->name, why);
}

static void make_rows(const struct mode *m)
{
    mode = m;
    row_count = code_bytes = loop_count = 0;
    memset(rows, 0, sizeof(rows));
    for (u32 i = 0; i < form_count[m->code32]; i++)
        recipes_of(m, &forms[m->code32][i], take, leave_out);
    recipes_more(m, take);
}

/* ---- Files ---- */

static FILE *file_new(const char *folder, const char *name, const char *suffix)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/prices%s%s%s", folder, *name ? "-" : "", name, suffix);
    f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

static void write_mode(const char *folder, const struct mode *m)
{
    FILE *f;

    make_rows(m);
    f = file_new(folder, m->text, ".rows");
    fwrite(rows, sizeof(*rows), row_count, f);
    fclose(f);
    f = file_new(folder, m->text, ".code");
    fwrite(code, 1, code_bytes, f);
    fclose(f);
    for (u32 i = 0; i < row_count; i++)
        fprintf(list, "row\t%s\t%s\t%u\t%d\n", m->text, names[i].text, names[i].copies,
                names[i].base);
}

static int generate(const char *folder)
{
    int status = 0;

    list = file_new(folder, "", ".list");
    for (u32 i = 0; i < MODES; i++)
        write_mode(folder, &modes[i]);
    fclose(list);
    for (u32 m = 0; m < INSN_MNEMONICS; m++)
        if (form_there(m) && !priced[m]) {
            fprintf(stderr, "prices: %s has no row\n", insn_name(m));
            status = 1;
        }
    return status;
}

int main(int argc, char **argv)
{
    form_count[0] = forms_list(false, forms[0]);
    form_count[1] = forms_list(true, forms[1]);
    if (argc == 3 && !strcmp(argv[1], "generate"))
        return generate(argv[2]);
    if (argc >= 2 && !strcmp(argv[1], "host")) {
        make_rows(&modes[NATIVE]);
        native_begin(code, code_bytes);
        for (u32 i = 0; i < row_count; i++)
            if (argc == 2 || strstr(names[i].text, argv[2]) || names[i].base < 0)
                native_row(i, &rows[i]);
        return 0;
    }
    fprintf(stderr, "usage: prices generate FOLDER | prices host [NAME]\n");
    return 1;
}
