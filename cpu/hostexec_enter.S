/*
 * void hostexec_enter(const void *thunk, struct hostexec_frame *frame)
 *
 * Loads the frame, calls the thunk (one instruction and RET), stores the frame. The host's
 * control words survive; its x87 stack is empty and its XMM registers are the caller's to lose,
 * as the System V ABI says at any call. FNINIT drops exceptions that the thunk left pending, so
 * the host never meets them. Offsets are asserted in hostexec.c.
 */
        .text
        .globl  hostexec_enter
        .type   hostexec_enter, @function
hostexec_enter:
        sub     $24, %rsp
        fnstcw  (%rsp)
        stmxcsr 4(%rsp)
        mov     %rdi, %r8
        lea     512(%rsi), %rdi         /* frame->mem */
        mov     528(%rsi), %rax         /* frame->eax, ecx, edx */
        mov     536(%rsi), %rcx
        mov     544(%rsi), %rdx
        fxrstor (%rsi)
        push    552(%rsi)               /* frame->flags */
        popfq
        call    *%r8
        pushfq
        popq    552(%rsi)
        mov     %rax, 528(%rsi)
        mov     %rcx, 536(%rsi)
        fxsave  (%rsi)
        fninit
        fldcw   (%rsp)
        ldmxcsr 4(%rsp)
        add     $24, %rsp
        ret
        .size   hostexec_enter, . - hostexec_enter
        .section .note.GNU-stack, "", @progbits
