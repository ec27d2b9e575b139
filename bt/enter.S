/*
 * Into translated code and out of it. See regs.h for the registers.
 *
 * const u8 *bt_enter(struct vcpu *cpu, const void *host)
 *     runs from `host` until the code leaves; returns what bt_leave found in r9: the place behind an
 *     exit's stub, or 0. The guest's registers are in the vcpu again, EIP too, but for that of an exit
 *     by a direct branch.
 */
#include "bt/macros.h"

        .text

.macro save_but_eax
        mov     %ecx, VCPU_ECX(%r15)
        mov     %edx, VCPU_EDX(%r15)
        mov     %ebx, VCPU_EBX(%r15)
        mov     %r8d, VCPU_ESP(%r15)
        mov     %ebp, VCPU_EBP(%r15)
        mov     %esi, VCPU_ESI(%r15)
        mov     %edi, VCPU_EDI(%r15)
.endm

.macro load_but_eax
        mov     VCPU_ECX(%r15), %ecx
        mov     VCPU_EDX(%r15), %edx
        mov     VCPU_EBX(%r15), %ebx
        mov     VCPU_ESP(%r15), %r8d
        mov     VCPU_EBP(%r15), %ebp
        mov     VCPU_ESI(%r15), %esi
        mov     VCPU_EDI(%r15), %edi
.endm

.macro save_guest
        mov     %eax, VCPU_EAX(%r15)
        save_but_eax
.endm

.macro load_guest
        load_but_eax
        mov     VCPU_SHADOW(%r15), %r14
        lea     SHADOW_BIAS(%r14), %r14
.endm

/* A callout takes longer than a few TUs: takes polls away, but the last. Changes flags and r10. */
.macro count_callout
        mov     $POLLS(1), %r10d
        sub     $(CALLOUT_POLLS * 64), %r12d
        cmp     %r10d, %r12d
        cmovl   %r10d, %r12d
        cmpb    $0, VCPU_HURRY(%r15)
        je      9f
        mov     %r10d, %r12d
        movb    $0, VCPU_HURRY(%r15)
        movl    $POLLS(HURRY_POLLS), TC_BUDGET(%r15)
9:
.endm

/* The guest's flags to memory, when EAX has been saved, and back, when nothing changes them any
 * more. */
.macro save_flags
        lahf
        seto    %al
        mov     %eax, TC_HOST_FLAGS(%r15)
.endm

.macro load_flags
        mov     TC_HOST_FLAGS(%r15), %eax
        flags_restore VCPU_EAX(%r15)
.endm

/*
 * The upper halves of YMM, of a guest that has turned them on; they have no place but the vcpu's.
 * Nothing of them is left behind for C, whose SSE would be slow with it.
 */
.macro store_ymm
        testb   $4, VCPU_XCR0(%r15)     /* XCR0_AVX */
        jz      77f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        vextractf128 $1, %ymm\n, VCPU_YMM_HIGH+16*\n(%r15)
        .endr
        vzeroupper
77:
.endm

.macro load_ymm
        testb   $4, VCPU_XCR0(%r15)
        jz      77f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        vinsertf128 $1, VCPU_YMM_HIGH+16*\n(%r15), %ymm\n, %ymm\n
        .endr
77:
.endm

/* The guest's FPU state to memory, and the host's defaults for C; both only when it is live. */
.macro store_fpu
        cmpq    $0, TC_FPU_LIVE(%r15)
        je      8f
        fxsave64 TC_FPU_STORED(%r15)
        store_ymm
        movq    $FPU_STORED, TC_FPU_LIVE(%r15)
        fninit
        ldmxcsr default_mxcsr(%rip)
8:
.endm

.macro load_fpu
        cmpq    $0, TC_FPU_LIVE(%r15)
        je      8f
        fxrstor VCPU_FPU(%r15)
        load_ymm
8:
.endm

/*
 * Around a callout most of it stays where it is: C uses neither x87 nor MMX. The XMM registers
 * and MXCSR are parked where FXSAVE would store them. bt_fpu_unpark() makes it all memory's.
 */
#define STORED_MXCSR TC_FPU_STORED+24(%r15)
#define STORED_XMM(n) TC_FPU_STORED+160+16*n(%r15)

.macro park_fpu
        cmpq    $0, TC_FPU_LIVE(%r15)
        je      8f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movaps  %xmm\n, STORED_XMM(\n)
        .endr
        store_ymm
        stmxcsr STORED_MXCSR
        movq    $FPU_PARKED, TC_FPU_LIVE(%r15)
        ldmxcsr default_mxcsr(%rip)
8:
.endm

.macro fetch_parked
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movaps  STORED_XMM(\n), %xmm\n
        .endr
        load_ymm
        ldmxcsr STORED_MXCSR
        movq    $FPU_LIVE, TC_FPU_LIVE(%r15)
.endm

/* From where it is: parked, or in the vcpu. */
.macro unpark_fpu
        cmpq    $FPU_PARKED, TC_FPU_LIVE(%r15)
        jb      7f
        fetch_parked
        jmp     8f
7:      load_fpu
8:
.endm

        .globl  bt_enter
        .type   bt_enter, @function
bt_enter:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        sub     $8, %rsp
        lea     VCPU_SIZE(%rdi), %r15
        mov     %rsi, %r9
        mov     TC_POLLS(%r15), %r12d
        mov     %rsp, TC_C_RSP(%r15)
        mov     TC_RSP(%r15), %rsp
        load_fpu
        load_guest
        load_flags
        jmp     *%r9

/* By an exit's stub, which calls. r9d: where an indirect branch goes. */
        .globl  bt_exit
        .type   bt_exit, @function
bt_exit:
        mov     %r9d, VCPU_EIP(%r15)
        pop     %r9
/* Leaves: r9 as above; EIP is stored already. */
bt_leave:
        save_guest
        save_flags
/* A signal handler resumes here when the code's state is in the vcpu already; r15 and r9 are
 * set. */
        .globl  bt_leave_saved
        .type   bt_leave_saved, @function
bt_leave_saved:
        mov     %rsp, TC_RSP(%r15)
        mov     TC_C_RSP(%r15), %rsp
        store_fpu
        mov     %r9, %rax
bt_return:
        mov     %r12d, TC_POLLS(%r15)
        add     $8, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/*
 * The poll of a TU's head, when its count is down: is the deadline there, or a request? Called
 * from before the head, with RCX in r9. Else on, with as many polls more as take a part of the
 * time to the deadline.
 */
        .globl  bt_poll
        .type   bt_poll, @function
bt_poll:
        mov     %r9, %rcx
        pop     %r9                     /* the head */
        flags_save VCPU_EAX(%r15)
        mov     %eax, %r13d
        mov     %rdx, TC_SCRATCH(%r15)
        rdtsc
        shl     $32, %rdx
        or      %rdx, %rax
        mov     VCPU_DEADLINE(%r15), %r11
        mov     TC_BUDGET(%r15), %r12d
        mov     %rax, %r10
        sub     TC_LOOKED(%r15), %r10   /* since the last look */
        mov     %rax, TC_LOOKED(%r15)
        mov     TC_SCRATCH(%r15), %rdx
        sub     %rax, %r11              /* to the deadline */
        jbe     5f
        cmpl    $0, VCPU_REQUESTS(%r15)
        jne     6f
        cmp     TC_DIRECT_AT(%r15), %rax
        jae     6f
        cmp     $LOOK_SOON, %r10
        jb      1f
        cmp     $LOOK_LATE, %r10
        ja      2f
        shl     $3, %r10                /* twice as much would be a sixteenth */
        cmp     %r10, %r11
        jb      2f
        shr     %r11
        cmp     %r10, %r11
        jb      3f
1:      lea     -12(%r12,%r12), %r12d
        cmp     $POLLS(MAX_POLLS), %r12d
        jbe     3f
        mov     $POLLS(MAX_POLLS), %r12d
        jmp     3f
2:      shr     %r12d
        and     $-64, %r12d
        add     $12, %r12d
        cmp     $POLLS(MIN_POLLS), %r12d
        jae     3f
        mov     $POLLS(MIN_POLLS), %r12d
3:      mov     %r12d, TC_BUDGET(%r15)
        mov     %r13d, %eax
        flags_restore VCPU_EAX(%r15)
        jmp     *%r9
5:      lock orl $REQUEST_TIMER, VCPU_REQUESTS(%r15)
6:      mov     %r9, TC_POLLED(%r15)
        mov     %r13d, %eax
        flags_restore VCPU_EAX(%r15)
        mov     $0, %r9d                /* not XOR: flags are live */
        jmp     bt_leave

/* r9: struct callout *. Runs its instruction in C, and does as bt_callout_c says (enum after):
 * goes on behind the call, or at EIP, or leaves. */
        .globl  bt_callout
        .type   bt_callout, @function
bt_callout:
        save_guest
        save_flags
        pop     %rbx                    /* where to go on */
        mov     %rsp, TC_RSP(%r15)
        mov     TC_C_RSP(%r15), %rsp
        park_fpu
        lea     -VCPU_SIZE(%r15), %rdi
        mov     %r9, %rsi
        call    bt_callout_c
after:
        count_callout
        cmp     $AFTER_JUMP, %eax
        ja      2f
        je      1f
        mov     TC_RSP(%r15), %rsp
        push    %rbx
        unpark_fpu
        load_guest
        load_flags
        ret
1:      mov     TC_RSP(%r15), %rsp
        unpark_fpu
        load_guest
        mov     VCPU_EIP(%r15), %r9d
        load_flags
        jmp     bt_indirect
2:      lea     -VCPU_SIZE(%r15), %rdi
        call    bt_fpu_unpark
        xor     %eax, %eax
        jmp     bt_return

/* void bt_fpu_unpark(struct vcpu *cpu): what is parked, if it is, is stored from now on. */
        .globl  bt_fpu_unpark
        .type   bt_fpu_unpark, @function
bt_fpu_unpark:
        lea     VCPU_SIZE(%rdi), %rdi
        xchg    %rdi, %r15
        cmpq    $FPU_PARKED, TC_FPU_LIVE(%r15)
        jne     9f
        fetch_parked
        store_fpu
9:      mov     %rdi, %r15
        ret

/*
 * r9: struct callout * of a device access, or of a store to a write-protected page. As
 * bt_callout, but flags stay as LAHF and SETO have them.
 */
        .globl  bt_fast_callout
        .type   bt_fast_callout, @function
bt_fast_callout:
        flags_save VCPU_EAX(%r15)
        mov     %r9, %r13
        save_but_eax
        mov     %eax, TC_HOST_FLAGS(%r15)
        pop     %rbx
        mov     %rsp, TC_RSP(%r15)
        mov     TC_C_RSP(%r15), %rsp
        park_fpu
        lea     -VCPU_SIZE(%r15), %rdi
        mov     %r9, %rsi
        call    bt_fast_callout_c
        cmp     $FAST_ON, %eax
        jne     3f
        count_callout
        mov     TC_RSP(%r15), %rsp
        push    %rbx
        load_but_eax
        cmpq    $0, TC_FPU_LIVE(%r15)
        jne     5f
        load_flags
        ret
5:      unpark_fpu
        load_flags
        ret
3:      ja      4f
        mov     TC_RSP(%r15), %rsp      /* nothing has happened */
        push    %rbx
        load_but_eax
        unpark_fpu
        mov     %r13, %r9
        load_flags
        jmp     bt_callout
4:      lea     -VCPU_SIZE(%r15), %rdi
        mov     %r13, %rsi
        call    bt_after_c
        jmp     after

/*
 * r9d: the guest address to go on at. Without touching flags: the jump cache, checked for the
 * context, the address, and that its page still maps the memory the TU was made from.
 */
        .globl  bt_indirect
        .type   bt_indirect, @function
bt_indirect:
        mov     $(JUMP_ENTRIES - 1), %r11d
        rorx    $7, %r9d, %r10d
        lea     (%r10,%r9), %r10d
        pext    %r11d, %r10d, %r10d
        lea     (,%r10,4), %r10
        mov     TC_JUMP_CACHE(%r15), %r11
        lea     (%r11,%r10,8), %r11
        mov     %rcx, %r13
        mov     JUMP_TAG(%r11), %rcx
        mov     TC_CONTEXT_TAG(%r15), %r10
        lea     (%rcx,%r9), %rcx
        lea     (%rcx,%r10), %rcx
        jrcxz   1f
        mov     JUMP_TAG+JUMP_SIZE(%r11), %rcx
        lea     (%rcx,%r9), %rcx
        lea     (%rcx,%r10), %rcx
        jrcxz   4f
        jmp     2f
4:      lea     JUMP_SIZE(%r11), %r11
1:      mov     JUMP_NUMBER(%r11), %ecx
        mov     -SHADOW_BIAS(%r14,%rcx,8), %rcx
        mov     JUMP_SPTE(%r11), %r10
        lea     (%rcx,%r10), %rcx
        jrcxz   3f
2:      mov     %r13, %rcx
        .globl  bt_indirect_miss        /* with the target in r9d */
        .type   bt_indirect_miss, @function
bt_indirect_miss:
        mov     %r9d, VCPU_EIP(%r15)
        mov     $0, %r9d                /* not XOR: flags are live */
        jmp     bt_leave
3:      mov     JUMP_PAGE(%r11), %r10d
        mov     %r10d, TC_PAGE(%r15)
        mov     %r13, %rcx
        jmp     *JUMP_HOST(%r11)

/* The end of the stack of return addresses: start over, and look the target up. */
        .globl  bt_stack_empty
        .type   bt_stack_empty, @function
bt_stack_empty:
        mov     TC_STACK_TOP(%r15), %rsp
        jmp     bt_indirect

/* r9d: the number of the TU that begins to run: reuse.c looks at it, by integer registers alone. */
        .globl  bt_reuse
        .type   bt_reuse, @function
bt_reuse:
        flags_save VCPU_EAX(%r15)
        mov     %eax, %r13d
        save_but_eax
        mov     %rsp, TC_RSP(%r15)
        mov     TC_C_RSP(%r15), %rsp
        lea     -VCPU_SIZE(%r15), %rdi
        mov     %r9d, %esi
        call    bt_reuse_c
        mov     TC_RSP(%r15), %rsp
        load_but_eax
        mov     %r13d, %eax
        flags_restore VCPU_EAX(%r15)
        ret

        .globl  bt_enter_end
bt_enter_end:

        .section .rodata
default_mxcsr:
        .long   0x1f80

        .section .note.GNU-stack, "", @progbits
