/*
 * Where the price list's guest, its rows' code and its data lie: shared by the generator, the
 * guest's C and its assembly. Offsets are from DATA32 in 32-bit code, from segment DATA16 in
 * 16-bit code.
 */
#ifndef BENCH_PRICES_LAYOUT_H
#define BENCH_PRICES_LAYOUT_H

#define CODE32      0x200000 /* the rows' code, for the host's column, too */
#define DATA32      0x400000
#define CODE16      0x10000
#define DATA16      0x80000
#define STUB16      0x8000 /* where 16-bit code is entered and left, and real mode's traps */
#define CODE32_ROOM (DATA32 - CODE32)
#define CODE16_ROOM (DATA16 - CODE16)

#define OFF_OPERAND    0x0100 /* a memory operand: aligned */
#define OFF_CROSS      0x1000 /* one across a page has its middle here */
#define OFF_SRC        0x2000 /* strings: zeros */
#define OFF_DST        0x4000 /* zeros */
#define OFF_ONES       0x6000 /* bytes of FFh */
#define OFF_STUB_STACK 0xb000
#define OFF_STACK      0xd000 /* of a row */
#define OFF_GDT        0xe000 /* 32-bit modes */
#define OFF_JOB        0xf000
#define AREA           0x2000 /* bytes of SRC, of DST and of ONES */

#define PORT_POST 0x80 /* a port nobody answers */

#define SEL_CODE      0x08
#define SEL_DATA      0x10
#define SEL_USER_CODE 0x1b
#define SEL_USER_DATA 0x23
#define SEL_TSS       0x28
#define SEL_CODE16    0x30
#define SEL_DATA16    0x38

/* Fields of struct job, in bytes. */
#define J_REGS     0  /* EAX ECX EDX EBX ESP EBP ESI EDI */
#define J_CODE     32 /* offset, then selector for 16-bit code */
#define J_DF       40 /* 1: direction flag set */
#define J_UNIT     44 /* PRICE_X87 or PRICE_MMX */
#define J_V86      48
#define J_SKIP     52 /* bytes that a fault is skipped by */
#define J_TRAP     56 /* vector of the last fault; 255: none */
#define J_START    64 /* TSC */
#define J_END      72
#define J_STUB_ESP 80
#define J_SAVED    84
#define J_FIFTH    88 /* 0.2, a float */
#define J_LANES    96 /* every MMX and XMM register */

#define PRICE_X87 0
#define PRICE_MMX 1

#ifndef __ASSEMBLER__
#include <stdint.h>

/* What a row runs with; the generator writes an array of them. Its code counts EBP down and
 * returns. */
struct price_row {
    uint32_t code; /* bytes from the start of all code */
    uint32_t regs[8];
    uint32_t place;     /* of `memory`: an offset */
    uint8_t memory[16]; /* the memory operand's first bytes */
    uint8_t lanes[16];
    uint8_t skip, unit, backward;
    uint8_t entry; /* bytes from the start of its code segment, in 16-bit code */
};

struct job {
    uint32_t regs[8], code, pad0, backward, unit, v86, skip, trap, pad;
    uint64_t start, end;
    uint32_t stub_esp, saved;
    float fifth;
    uint32_t pad2;
    uint8_t lanes[16];
};
_Static_assert(__builtin_offsetof(struct job, start) == J_START, "layout");
_Static_assert(__builtin_offsetof(struct job, lanes) == J_LANES, "layout");
#endif
#endif
