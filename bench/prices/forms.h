/* The forms of instructions: one for each mnemonic of the table and each combination of kinds
 * of operands. */
#ifndef BENCH_PRICES_FORMS_H
#define BENCH_PRICES_FORMS_H

#include "cpu/insn.h"

enum { MAX_FORMS = 4096, FORM_NAME = 48 };

struct form {
    struct insn in;       /* memory operand at [EBX] or [BX]; immediates are 1 */
    u8 alt[15], alt_len;  /* an encoding that means the same in 64-bit code; length 0: none */
    char name[FORM_NAME]; /* "add r32,m32": unique in a list */
};

/* Does the processor whose prices these are, -cpu's default, have the instruction? */
bool form_there(u32 mnemonic);
/* All forms in 16- or 32-bit code; their number. */
u32 forms_list(bool code32, struct form out[MAX_FORMS]);

#endif
