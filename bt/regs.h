/*
 * Which host register holds what in translated code, and where it finds the rest. Shared with
 * enter.S; the offsets are checked against struct vcpu in bt/run.c.
 *
 *   eax ecx edx ebx ebp esi edi   the guest's, upper halves zero
 *   r8d                           the guest's ESP, upper half zero
 *   r9 r10 r11 r13                free inside one guest instruction; r9 carries a branch target or
 *                                 a record from the code to the routines below
 *   r12                           12, the page shift, for SHRX
 *   r14                           vcpu.flat, the shadow of the current privilege, plus FLAT_BIAS: SHLX
 *                                 takes its low six bits for a count of 62
 *   r15                           struct vcpu
 *   gs                            leads to the window (mmu/window.c), for loads
 *   rsp                           a stack of host return addresses, so that guest CALL and RET use
 *                                 the host's return predictor; the guest never sees it
 *   RFLAGS                        the guest's arithmetic flags; DF clear (the guest's DF is part of the
 *                                 context), and AC, as everywhere: what #AC spares differs by vendor
 */
#ifndef RING3_BT_REGS_H
#define RING3_BT_REGS_H

#define VCPU_GPR 0
#define VCPU_EIP 32
#define VCPU_EFLAGS 36
#define VCPU_INT_FLAG 40 /* then CPL, INTR, NMI blocked, a byte each */
#define VCPU_CPL 41
#define VCPU_INTR 42
#define VCPU_ATTENTION 44
#define VCPU_FLAT 48
#define VCPU_FLAT_SYSTEM 56
#define VCPU_POLL 64
#define VCPU_CALLOUT 72
#define VCPU_LEAVE 80
#define VCPU_INDIRECT 88
#define VCPU_HOST_FLAGS 96 /* AX as by LAHF and SETO AL */
#define VCPU_TC_RSP 104
#define VCPU_C_RSP 112
#define VCPU_JUMP_CACHE 120
#define VCPU_CONTEXT_TAG 128
#define VCPU_CONTEXT 132
#define VCPU_STACK_TOP 136
#define VCPU_FPU_LIVE 144

#define VCPU_LOAD_SEGMENT 152
#define VCPU_VERW 160
#define VCPU_SYSENTER 168
#define VCPU_SYSEXIT 176
#define VCPU_IRET 184
#define VCPU_REP_MOVS 192
#define VCPU_REP_STOS 200
#define VCPU_INT_N 208
#define VCPU_CPUID 216
#define VCPU_LIGHT 224
#define VCPU_STACK_CONTEXT 232
#define VCPU_FPU 240
#define VCPU_FPU_STORED (VCPU_FPU + 512)
#define VCPU_SEG (VCPU_FPU_STORED + 512)   /* 8 of 12 bytes */
#define VCPU_REACH (VCPU_SEG + 96)         /* 6 of 16 */
#define VCPU_SEG_CACHE (VCPU_REACH + 96)   /* 16 of 64 */
#define VCPU_SCRATCH (VCPU_SEG_CACHE + 1024)
#define VCPU_CPUIDS (VCPU_SCRATCH + 32)    /* 4 of 32 */
#define VCPU_IRETS (VCPU_CPUIDS + 128)     /* 4 of 16 */
#define VCPU_INTS (VCPU_IRETS + 64)        /* 8 of 64 */
#define VCPU_SYSENTER_CS (VCPU_INTS + 512)
#define VCPU_SYSENTER_ESP (VCPU_SYSENTER_CS + 4)
#define VCPU_SYSENTER_EIP (VCPU_SYSENTER_CS + 8)
#define VCPU_CR0 (VCPU_SYSENTER_CS + 12)
#define VCPU_CR2 (VCPU_CR0 + 4)
#define VCPU_CR3 (VCPU_CR0 + 8)
#define VCPU_CR4 (VCPU_CR0 + 12)
#define VCPU_PAUSES (VCPU_CR0 + 16)
#define VCPU_QUICK (VCPU_CR0 + 20)         /* counters, 10 of 8 */

#define VCPU_RUNS (VCPU_QUICK + 80)        /* counters, 4 of 8 */
#define VCPU_WINDOW (VCPU_RUNS + 32)
#define VCPU_WINDOW_FRAMES (VCPU_WINDOW + 8)
#define VCPU_RAM (VCPU_WINDOW + 16)
#define VCPU_RAM_PAGES (VCPU_WINDOW + 24)
#define VCPU_PAGE_FLAGS (VCPU_WINDOW + 32)
#define VCPU_CODE_MAP (VCPU_WINDOW + 40)
#define VCPU_BESIDE (VCPU_WINDOW + 48)
#define VCPU_FAR (VCPU_WINDOW + 56)        /* routines of far.S, FAR_* of 8 */
#define VCPU_FAR_EIP (VCPU_FAR + 96)       /* their operands */
#define VCPU_FAR_SELECTOR (VCPU_FAR + 100)
#define VCPU_FAR_DROP (VCPU_FAR + 104)
#define VCPU_FARS (VCPU_FAR + 112)         /* 128 of 16 */
#define VCPU_IDTR (VCPU_FARS + 2048 + 8)

/* What they count: see fast.S */
#define QUICK_SEGMENT 0
#define QUICK_VERW 1
#define QUICK_SYSENTER 2
#define QUICK_SYSEXIT 3
#define QUICK_INT 4
#define QUICK_IRET 5
#define QUICK_MOVS 6
#define QUICK_STOS 7
#define QUICK_BESIDE 8
#define QUICK_FAR 9
#define QUICK_KINDS 10
/* See stats.def */
#define RUNS_TUS 0
#define RUNS_INSNS 1
#define RUNS_RETURNS 2
#define RUNS_PREDICTED 3
#define RUNS_KINDS 4

/* struct seg_cached */
#define CACHED_KEY 0
#define CACHED_SLOT 8
#define CACHED_DESC 16
#define CACHED_MINUS_DESC 24
#define CACHED_REACH 32
#define CACHED_SEG 48
#define CACHED_PAGE 60
/* Bits of its key, see segment_key() */
#define SEG_KEY_SS 0x00800000
#define SEG_KEY_CODE 0x01000000
#define SEG_KEY_VERW 0x01800000
#define SEG_KEY_STACK32 0x00400000
#define SEG_KEY_VALID 0x80000000

/* struct iret_cached */
#define IRET_FROM 0
#define IRET_CS 4
#define IRET_SS 6
#define IRET_IOPL 8
#define IRET_TO 12

/* struct far_cached */
#define FAR_FROM 0
#define FAR_SELECTOR 4
#define FAR_TO 8
#define FAR_VALID 0x10000
/* The entry is (context << 16 | selector) * FAR_HASH >> FAR_HASH_SHIFT, in 32 bits. */
#define FAR_ENTRIES 128
#define FAR_HASH 0x9e3779b1
#define FAR_HASH_SHIFT 25
/* far.S: operands of 16 bits; plus FAR_WIDE of 32; plus FAR_PROT in protected mode */
#define FAR_CALL 0
#define FAR_RET 1
#define FAR_JMP 2
#define FAR_WIDE 3
#define FAR_PROT 6
#define FAR_KINDS 12
/* in place of the two JMPs of 32 bits, which are no different */
#define FAR_INT 5
#define FAR_IRET 11

/* struct int_cached */
#define INT_MINUS_GATE 0
#define INT_MINUS_SLOT 8
#define INT_GATE 16
#define INT_PAGE 24
#define INT_FROM 28
#define INT_TO 32
#define INT_VECTOR 36
#define INT_EIP 40
#define INT_CS 44
#define INT_SS 46
#define INT_TRAP 48

/* What bt_light_c() says. */
#define LIGHT_NOT 0   /* nothing has happened: a callout */
#define LIGHT_ON 1    /* done, and on */
#define LIGHT_AFTER 2 /* done, but look what follows */

/* What follows a callout. */
#define AFTER_ON 0    /* the instruction behind it */
#define AFTER_JUMP 1  /* the one at EIP */
#define AFTER_LEAVE 2 /* the run loop */

/* An entry of the jump cache: 4096 of 32 bytes, indexed by the low 12 bits of EIP + (EIP ror 7):
 * function entries are aligned, so the lowest bits alone tell little. */
#define JUMP_ENTRIES 4096
#define JUMP_TAG 0   /* -(context << 32 | eip) */
#define JUMP_PAGE 8  /* gla >> 12, plus FLAT_EXEC */
#define JUMP_SLOT 16 /* -(the slot of that page when the TU was found) */
#define JUMP_HOST 24 /* where to go */

#endif
