/*
 * A guest of a few pages whose user code is what a test gives it: paged, flat, and with a
 * kernel that is a HLT for each vector.
 *
 *   100000 page directory  101000 page table  102000 GDT  103000 IDT  104000 TSS
 *   110000 kernel: vector v halts at 110000 + 16 v      120000 its stack
 *   200000 to 220fff the user's: code, data, stack; all of it may be written
 */
#ifndef RING3_USER_GUEST_H
#define RING3_USER_GUEST_H

#include "cpu/vcpu.h"

enum {
    UG_TABLE = 0x101000,
    UG_KERNEL = 0x110000,
    UG_USER = 0x200000,
    UG_USER_2 = 0x201000,
    UG_DATA = 0x210000,
    UG_STACK = 0x220000,
    UG_CODE3 = 24 + 3,
    UG_DATA3 = 32 + 3,
    UG_ENTRY = 0x67, /* a page table's: present, writable, the user's, A and D */
};

/* The tables in RAM, and the registers that lead to them. */
void user_guest_begin(struct vcpu *cpu);
/* The page table's entry for a page, by a write that is seen. */
void user_guest_set_page(struct vcpu *cpu, gla_t gla, u32 entry);
/* Where a vector leads, which user code may call; before it has run. */
void user_guest_set_gate(struct vcpu *cpu, u32 vector, u32 to);
/* The user's state of flat segments, IF set and no other flag, about to run at eip; general
 * registers but ESP stay. */
void user_guest_enter(struct vcpu *cpu, u32 eip);

#endif
