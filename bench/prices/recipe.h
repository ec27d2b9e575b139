/* What a row is made of: the instruction, and what it needs around it to run in a loop without
 * end. */
#ifndef BENCH_PRICES_RECIPE_H
#define BENCH_PRICES_RECIPE_H

#include "bench/prices/forms.h"
#include "bench/prices/layout.h"

enum mode_name { FLAT, RING3, REAL, V86, NATIVE, MODES };

struct mode {
    enum mode_name name;
    const char *text;
    bool code32;
    u8 word;        /* bytes of a pushed register */
    u16 code, data; /* selectors; code of 16-bit modes is each row's own */
    u32 base;       /* what offsets of layout.h are added to */
};

enum { ROW_NAME = 96 };

/* Bytes of code. */
struct text {
    u8 n, b[47];
};

/* Which address is written at patch_at of pre and op; where an indirect branch goes. */
enum patch { PATCH_NONE, PATCH_NEXT, PATCH_LEAF, PATCH_LEAF_REL };
enum target { TARGET_NONE, TARGET_NEXT, TARGET_LEAF };

/*
 * The code: leaf; prologue; loop: head, `copies` times (pre, op, post), tail, count EBP down.
 * Its price is that of a copy, less the same loop without op; with `group`, less the loop
 * without pre and post, too.
 */
struct recipe {
    const struct mode *mode;
    const struct form *form;
    char name[ROW_NAME];
    u32 regs[8], place;
    u8 memory[16], lanes[16];
    u8 unit, copies;
    bool backward, group;
    struct text leaf, prologue, head, pre, op, post, tail;
    enum patch patch;
    u8 patch_at;
    bool patch_selector; /* behind the address */
    enum target target; /* regs[ECX] and memory get it; a far pointer's selector is behind it */
};

void text_add(struct text *t, u32 n, const u8 *bytes);
#define BYTES(t, ...) text_add(t, sizeof((u8[]){ __VA_ARGS__ }), (u8[]){ __VA_ARGS__ })
void text_word(struct text *t, const struct mode *m, u32 val); /* 2 or 4 bytes */
void text_mov(struct text *t, const struct mode *m, u32 reg, u32 val);

typedef void recipe_fn(const struct recipe *r);

/* Calls `take` for every row of a form; for what is not priced, `leave_out` with the reason. */
void recipes_of(const struct mode *m, const struct form *f, recipe_fn *take,
                void (*leave_out)(const struct mode *m, const struct form *f, const char *why));
/* Rows that are no form's: ways to address memory, pairs. */
void recipes_more(const struct mode *m, recipe_fn *take);

/* strings.c */
void recipes_of_string(const struct recipe *start, recipe_fn *take);
/* fpu.c */
void recipe_x87(struct recipe *r);
void recipe_lanes(struct recipe *r);

#endif
