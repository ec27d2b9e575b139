/* void native_enter(void): runs the job's row on the host, as the guest's `stub` (guest.S)
 * does. */
#include "bench/prices/layout.h"
        .equ    JOB, DATA32 + OFF_JOB

        .text
        .globl  native_enter
native_enter:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        subq    $16, %rsp
        stmxcsr (%rsp)
        fnstcw  8(%rsp)
        movq    %rsp, %r12
        fninit
        movups  JOB + J_LANES, %xmm0
        .irp    n, 1, 2, 3, 4, 5, 6, 7
        movaps  %xmm0, %xmm\n
        .endr
        cmpb    $PRICE_MMX, JOB + J_UNIT
        je      1f
        flds    JOB + J_FIFTH
        fld     %st(0)
        fld1
        fldz
        fld1
        jmp     2f
1:      .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        movq    JOB + J_LANES, %mm\n
        .endr
2:      cmpb    $0, JOB + J_DF
        je      3f
        std
3:      rdtsc
        movl    %eax, JOB + J_START
        movl    %edx, JOB + J_START + 4
        movl    JOB + J_REGS, %eax
        movl    JOB + J_REGS + 4, %ecx
        movl    JOB + J_REGS + 8, %edx
        movl    JOB + J_REGS + 12, %ebx
        movl    JOB + J_REGS + 16, %esp
        movl    JOB + J_REGS + 20, %ebp
        movl    JOB + J_REGS + 24, %esi
        movl    JOB + J_REGS + 28, %edi
        movl    JOB + J_CODE, %r11d
        call    *%r11
        rdtsc
        movl    %eax, JOB + J_END
        movl    %edx, JOB + J_END + 4
        movq    %r12, %rsp
        cld
        fninit
        fldcw   8(%rsp)
        ldmxcsr (%rsp)
        addq    $16, %rsp
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret
        .section .note.GNU-stack, "", @progbits
