/*
 * What is on a page of code, as far as it must be known before the page runs directly
 * (cage_scan.c).
 */
#ifndef RING3_BT_CAGE_SCAN_H
#define RING3_BT_CAGE_SCAN_H

#include "cpu/insn.h"

enum {                /* what its instructions use; without it they would be #NM or #UD */
       NEEDS_FPU = 1, /* x87 or MMX */
       NEEDS_SSE = 2,
       NEEDS_AVX = 4,
};
struct cage_scan {
    u16 refused; /* mnemonic of an instruction that must not run directly; 0: there is none */
    u8 needs;    /* NEEDS_* */
    u8 tail;     /* bytes at the end that begin an instruction of two pages; 0: none */
};

/* Would it differ, directly, without a trap? By SDM vol. 3, 20.2, and Robin and Irvine's list.
 */
bool cage_refuses(const struct vcpu *cpu, const struct insn *in);
/* `entry`: offset of an instruction in it, PAGE_SIZE: none is known. */
struct cage_scan cage_scan_page(const struct vcpu *cpu, const u8 *page, u32 entry);
/* The same of the instruction of which `tail` bytes are at the end of `page`: refused or 0. */
u16 cage_scan_crossing(const struct vcpu *cpu, const u8 *page, u32 tail, const u8 *next);

#endif
