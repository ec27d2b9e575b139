/*
 * How random guest code is put together (lockstep_code.c, _insn.c, _seq.c, _transfer.c,
 * _paging.c): a place to write to, and what every writer must know of it.
 *
 * The code consists of blocks of 32 bytes, each of which starts with an instruction, so that
 * branches and handlers have somewhere good to go. To keep most accesses inside the data, EBX,
 * EBP, ESI and EDI are pointers into it, seldom overwritten and often set again; EAX, ECX and
 * EDX are free.
 */
#ifndef RING3_LOCKSTEP_GEN_H
#define RING3_LOCKSTEP_GEN_H

#include "tests/fuzz/lockstep.h"
#include <string.h>

enum { BLOCK = 32, MAX_SEQUENCE = 96 };

struct gen {
    u8 *p;  /* the next byte */
    u32 at; /* its offset in the code segment */
    enum mode mode;
    bool code32;
};

static inline void gen_put(struct gen *g, const void *bytes, u32 n)
{
    memcpy(g->p, bytes, n);
    g->p += n;
    g->at += n;
}
#define GEN(g, ...) gen_put(g, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static inline void gen_imm(struct gen *g, u32 val, u32 size)
{
    gen_put(g, &val, size);
}
static inline u32 gen_word(const struct gen *g) /* the operand size without a prefix */
{
    return g->code32 ? 4 : 2;
}

#define ONE_OF(table) table[pick(ARRAY_SIZE(table))]

static inline u32 code_origin(enum mode mode) /* offset of CODE in the code segment */
{
    return mode_flat(mode) ? CODE : 0;
}
/* Offset in the code segment of a block. */
static inline u32 random_block(enum mode mode)
{
    return code_origin(mode) + pick(CODE_SIZE / BLOCK) * BLOCK;
}
static const u8 gen_pointers[] = { EBX, EBP, ESI, EDI };
/* Offset in the data segment of something a pointer may point to. */
u32 random_pointer(enum mode mode);

/* ---- lockstep_insn.c ---- */
void gen_insn(struct gen *g);
void gen_chaos(struct gen *g); /* any bytes */
/* mov reg, imm of the code's size */
void gen_mov(struct gen *g, enum gpr reg, u32 val);

/* ---- lockstep_seq.c ---- */
void gen_sequence(struct gen *g);
void gen_flip_flag(struct gen *g);
bool gen_real_like(const struct gen *g); /* selectors are paragraphs */
u16 gen_good_code(const struct gen *g);  /* a selector the code's own privilege can run with */
void gen_push(struct gen *g, u32 val);
/* mov [at], val; of the code's word, or of 16 bits */
void gen_store(struct gen *g, u32 at, u32 val, u32 size);
/* Behind an opcode: [at] as its operand */
void gen_memory_op(struct gen *g, u8 reg, u32 at);
void gen_load_segment(struct gen *g, enum seg seg, u16 selector);

/* ---- lockstep_transfer.c ---- */
void gen_transfer(struct gen *g);
/* In a handler of 32 bits, the frame on top of the stack: every other time, something that IRET
 * has to look at changes. */
void gen_change_return(struct gen *g);

/* ---- lockstep_paging.c ---- */
void gen_paging(struct gen *g);
void gen_switch_space(struct gen *g);
void gen_write_table(struct gen *g);

void gen_hostile(struct gen *g); /* lockstep_hostile.c */

#endif
