/*
 * Which host register holds what in translated code, and the numbers it shares with C. Where
 * fields lie is generated: offsets.c.
 *
 *   eax ecx edx ebx ebp esi edi   the guest's, upper halves zero
 *   r8d                           the guest's ESP, upper half zero
 *   r9 r10 r11 r13                free inside one guest instruction; r9 carries a branch target
 *                                 or a record from the code to the routines below
 *   r12                           in its low six bits 12, the page shift, for SHRX; above them
 *                                 the polls until one looks whether there is a request: 1 or more
 *   r14                           vcpu.shadow, the shadow of the current privilege, plus
 *                                 SHADOW_BIAS: SHLX takes its low six bits for a count of 62
 *   r15                           where struct vcpu ends, and struct tc begins (tc.h)
 *   gs                            leads to the direct map (mmu/directmap.c), for loads
 *   rsp                           a stack of host return addresses, so that guest CALL and RET
 *                                 use the host's return predictor; the guest never sees it. Of
 *                                 KEY_PIC the page that called lies above each
 *   RFLAGS                        the guest's arithmetic flags; DF clear (the guest's DF is
 *                                 part of the context), and AC, as everywhere: what #AC spares
 *                                 differs by vendor
 */
#ifndef RING3_BT_REGS_H
#define RING3_BT_REGS_H

/* What they count: see memo.S */
#define MEMO_SEGMENT 0
#define MEMO_LOOK      1
#define MEMO_SYSENTER 2
#define MEMO_SYSEXIT 3
#define MEMO_INT 4
#define MEMO_IRET 5
#define MEMO_MOVS 6
#define MEMO_STOS 7
#define MEMO_CODE_PAGE 8
#define MEMO_FAR 9
#define MEMO_SHORT     10
#define MEMO_PE        11
#define MEMO_KINDS     12
/* What makes the address of an operand not canonical, below where misalignment is put:
 * tc.beyond */
#define BEYOND_BIT 57
#define BEYOND     (1ull << BEYOND_BIT)
/* Repeated string instructions of so many elements at most: strings.S */
#define REP_SHORT 64
/* bt_code_page_store(): so many bytes at most, and the size of the jump that it may skip */
#define CODE_PAGE_STORE_MAX 57
#define JMP_SIZE            5
/* See stats.def */
#define RUNS_TUS 0
#define RUNS_INSNS 1
#define RUNS_RETURNS 2
#define RUNS_PREDICTED 3
#define RUNS_INVLPG    4
#define RUNS_CLTS      5
#define RUNS_CPUID     6
#define RUNS_CR3_READS 7
#define RUNS_KINDS     8

/* r12 with so many polls left; how many there may be; and the TSC's ticks from one look at the
 * clock to the next: a sixteenth of the time to the deadline, within limits. */
#define POLLS(n) ((n) * 64 + 12)
#define MIN_POLLS 4
#define MAX_POLLS 4096
#define HURRY_POLLS 16 /* when the deadline has come near */
#define LOOK_SOON 2048
#define LOOK_LATE 32768
/* What a callout counts for. */
#define CALLOUT_POLLS 16

/* Bits of a cached segment load's key, see memo_segment_key() */
#define SEG_KEY_SS 0x00800000
#define SEG_KEY_CODE 0x01000000
#define SEG_KEY_LOOK    0x01800000 /* not a load: VERW, VERR, LAR, LSL, by LOOK_* */
#define SEG_KEY_STACK32 0x00400000
#define SEG_KEY_VALID 0x80000000
#define LOOK_SHIFT      25 /* of LOOK_*; above it a bit for operands of 32 bits */
#define LOOK_VERW       1
#define LOOK_VERR       2
#define LOOK_LAR        3
#define LOOK_LSL        4
#define LOOK_WIDE       8

/* The bit of a context's number that says KEY_MAP */
#define CONTEXT_MAP 1

/* The bits of a leaf by which its answer is found: extended, and the number. */
#define CPUID_BITS 0x8000001f
#define CPUID_ENTRIES 64

#define FAR_VALID 0x10000
/* The entry is (context << 15 | selector) * FAR_HASH >> FAR_HASH_SHIFT, in 32 bits. */
#define FAR_ENTRIES 128
#define FAR_HASH 0x9e3779b1
#define FAR_HASH_SHIFT 25
/* memo_far.S: operands of 16 bits; plus FAR_WIDE of 32; plus FAR_PROT in protected mode */
#define FAR_CALL 0
#define FAR_RET 1
#define FAR_JMP 2
#define FAR_WIDE 3
#define FAR_PROT 6
#define FAR_IRETS 12 /* IRET to the same level: plus 1 of 32 bits; plus 2 in protected mode */
#define FAR_KINDS 16
/* in place of a JMP of 32 bits, which is no different */
#define FAR_INT 5

/* Where the guest's FPU state is: tc.fpu_live (fpu.c). */
#define FPU_NOBODY 4 /* no CPL: tc.fpu_cpl */
#define FPU_OFF 0    /* in the vcpu; the code has none */
#define FPU_LIVE 1   /* in the host's registers while code runs, in the vcpu while C does */
#define FPU_STORED 2 /* in tc.fpu_stored, newer than the vcpu's */
#define FPU_PARKED 3 /* in a callout: XMM and MXCSR there, the rest in the host's registers */

/* What bt_fast_callout_c() says. */
#define FAST_NOT 0   /* nothing has happened: a callout */
#define FAST_ON 1    /* done, and on */
#define FAST_AFTER 2 /* done, but look what follows */

/* What follows a callout. */
#define AFTER_ON 0    /* the instruction behind it */
#define AFTER_JUMP 1  /* the one at EIP */
#define AFTER_LEAVE 2 /* the run loop */

/* An entry of the jump cache: 4096 of 32 bytes, indexed by the low 12 bits of EIP + (EIP ror
 * 7): function entries are aligned, so the lowest bits alone tell little. What was there before
 * moves to the next one, so that two that alternate both stay: hence one more. */
#define JUMP_ENTRIES 4096
#define JUMP_SIZE    32

#endif
