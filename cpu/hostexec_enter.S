/*
 * void hostexec_enter(const void *thunk, struct hostexec_frame *frame)
 * void hostexec_enter_vex(const void *thunk, struct hostexec_frame *frame)
 *
 * Loads the frame, calls the thunk (one instruction and RET), stores the frame. The second one
 * loads and stores the upper halves of YMM, too. The host's control words survive; its x87 stack
 * is empty and its vector registers are the caller's to lose, as the System V ABI says at any
 * call. FNINIT drops exceptions that the thunk left pending, so the host never meets them.
 * Offsets are asserted in hostexec.c.
 */
#define FRAME_MEM 512
#define FRAME_EAX 544
#define FRAME_ECX 552
#define FRAME_EDX 560
#define FRAME_FLAGS 568
#define FRAME_YMM 576

.macro enter_thunk vex
        sub     $24, %rsp
        fnstcw  (%rsp)
        stmxcsr 4(%rsp)
        mov     %rdi, %r8
        lea     FRAME_MEM(%rsi), %rdi
        mov     FRAME_EAX(%rsi), %rax
        mov     FRAME_ECX(%rsi), %rcx
        mov     FRAME_EDX(%rsi), %rdx
        fxrstor (%rsi)
    .if \vex
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        vinsertf128 $1, FRAME_YMM+16*\n(%rsi), %ymm\n, %ymm\n
        .endr
    .endif
        push    FRAME_FLAGS(%rsi)
        popfq
        call    *%r8
        pushfq
        popq    FRAME_FLAGS(%rsi)
        mov     %rax, FRAME_EAX(%rsi)
        mov     %rcx, FRAME_ECX(%rsi)
    .if \vex
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        vextractf128 $1, %ymm\n, FRAME_YMM+16*\n(%rsi)
        .endr
        vzeroupper
    .endif
        fxsave  (%rsi)
        fninit
        fldcw   (%rsp)
        ldmxcsr 4(%rsp)
        add     $24, %rsp
        ret
.endm

        .text
        .globl  hostexec_enter
        .type   hostexec_enter, @function
hostexec_enter:
        enter_thunk 0
        .size   hostexec_enter, . - hostexec_enter

        .globl  hostexec_enter_vex
        .type   hostexec_enter_vex, @function
hostexec_enter_vex:
        enter_thunk 1
        .size   hostexec_enter_vex, . - hostexec_enter_vex
        .section .note.GNU-stack, "", @progbits
