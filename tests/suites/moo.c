/*
 * The MOO reader: the whole file in memory, unpacked by gzip, then chunk by chunk. A chunk that
 * claims more than is there ends the file.
 */
#include "tests/suites/moo.h"

#include <stdlib.h>
#include <string.h>

struct moo_file {
    u8 *data;
    u32 size, pos; /* pos: of the next top-level chunk */
    u16 flags_mask;
    struct moo_test test;
    struct moo_byte init_ram[MOO_MAX_RAM], final_ram[MOO_MAX_RAM];
};

/* A part of the file being read. */
struct cursor {
    const u8 *p, *end;
};

static u32 get(struct cursor *c, u32 bytes)
{
    u32 val = 0;

    if (c->end - c->p < bytes) {
        c->p = c->end;
        return 0;
    }
    memcpy(&val, c->p, bytes);
    c->p += bytes;
    return val;
}

/* The next chunk of `c`, its tag in tag[5]; false at the end. */
static bool chunk(struct cursor *c, char tag[5], struct cursor *payload)
{
    u32 size;

    if (c->end - c->p < 8)
        return false;
    memcpy(tag, c->p, 4);
    tag[4] = 0;
    c->p += 4;
    size = get(c, 4);
    if (size > c->end - c->p)
        return false;
    *payload = (struct cursor){ c->p, c->p + size };
    c->p += size;
    return true;
}

static u8 *read_gzip(const char *path, u32 *size)
{
    char command[4200];
    u8 *data = NULL;
    size_t room = 0, used = 0, n;
    FILE *in;

    if (strchr(path, '\''))
        return NULL;
    snprintf(command, sizeof(command), "gzip -dc '%s' 2>/dev/null", path);
    in = popen(command, "r");
    if (!in)
        return NULL;
    do {
        if (used == room)
            data = realloc(data, room = room ? 2 * room : 1 << 20);
        check(data, "no memory for %s", path);
        used += n = fread(data + used, 1, room - used, in);
    } while (n);
    pclose(in);
    *size = (u32)used;
    return data;
}

struct moo_file *moo_open(const char *path, const char **why)
{
    struct moo_file *f = calloc(1, sizeof(*f));

    check(f, "no memory for %s", path);
    f->flags_mask = 0xffff;
    f->data = read_gzip(path, &f->size);
    if (f->data && f->size >= 8 && !memcmp(f->data, "MOO ", 4))
        return f;
    *why = f->size ? "no MOO file" : "cannot be read";
    moo_close(f);
    return NULL;
}

void moo_close(struct moo_file *f)
{
    free(f->data);
    free(f);
}

u16 moo_flags_mask(const struct moo_file *f)
{
    return f->flags_mask;
}

static void read_regs(struct cursor c, u16 *set, u16 reg[MOO_REGS])
{
    *set = (u16)get(&c, 2);
    for (u32 i = 0; i < MOO_REGS; i++)
        if (*set >> i & 1)
            reg[i] = (u16)get(&c, 2);
}

static void read_ram(struct cursor c, struct moo_state *s)
{
    s->ram_count = get(&c, 4);
    check(s->ram_count <= MOO_MAX_RAM, "a test with %u bytes of memory", s->ram_count);
    for (u32 i = 0; i < s->ram_count; i++) {
        s->ram[i].gpa = get(&c, 4);
        s->ram[i].val = (u8)get(&c, 1);
    }
}

static void read_state(struct cursor c, struct moo_state *s)
{
    struct cursor payload;
    char tag[5];

    while (chunk(&c, tag, &payload))
        if (!strcmp(tag, "REGS"))
            read_regs(payload, &s->set, s->reg);
        else if (!strcmp(tag, "RAM "))
            read_ram(payload, s);
}

static void read_text(struct cursor c, char *text, u32 size)
{
    u32 n = get(&c, 4);

    n = n < size - 1 ? n : size - 1;
    n = n < c.end - c.p ? n : (u32)(c.end - c.p);
    memcpy(text, c.p, n);
    text[n] = 0;
}

static void read_test(struct moo_file *f, struct cursor c)
{
    struct moo_test *t = &f->test;
    struct cursor payload;
    char tag[5];

    memset(t, 0, sizeof(*t));
    t->init.ram = f->init_ram;
    t->final.ram = f->final_ram;
    t->index = get(&c, 4);
    while (chunk(&c, tag, &payload)) {
        if (!strcmp(tag, "NAME")) {
            read_text(payload, t->name, sizeof(t->name));
        } else if (!strcmp(tag, "BYTS")) {
            t->length = get(&payload, 4);
            t->length = t->length < sizeof(t->bytes) ? t->length : sizeof(t->bytes);
            for (u32 i = 0; i < t->length; i++)
                t->bytes[i] = (u8)get(&payload, 1);
        } else if (!strcmp(tag, "INIT")) {
            read_state(payload, &t->init);
        } else if (!strcmp(tag, "FINA")) {
            read_state(payload, &t->final);
        } else if (!strcmp(tag, "EXCP")) {
            t->has_exception = true;
            t->exception = (u8)get(&payload, 1);
        } else if (!strcmp(tag, "HASH")) {
            for (u32 i = 0; i < MOO_HASH; i++)
                t->hash[i] = (u8)get(&payload, 1);
        }
    }
}

const struct moo_test *moo_next(struct moo_file *f)
{
    struct cursor c = { f->data + f->pos, f->data + f->size }, payload;
    char tag[5];

    while (chunk(&c, tag, &payload)) {
        u16 set, reg[MOO_REGS] = { 0 };

        f->pos = (u32)(c.p - f->data);
        if (!strcmp(tag, "RMSK")) {
            read_regs(payload, &set, reg);
            if (set >> MOO_FLAGS & 1)
                f->flags_mask = reg[MOO_FLAGS];
        } else if (!strcmp(tag, "TEST")) {
            read_test(f, payload);
            return &f->test;
        }
    }
    return NULL;
}
